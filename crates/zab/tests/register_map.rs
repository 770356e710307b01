//! The register map behind the state-machine trait: its transactions, its digest, its snapshots.

use bytes::{Bytes, BytesMut};
use wire::txn::{get_data_request, set_data_request};
use wire::{
    SessionId, SnapshotParser, SnapshotRecord, StatPersisted, Txn, TxnBody, TxnHeader, Zxid, code, op,
};
use zab::register_map::RegisterMap;
use zab::{StateMachine, WriteRequest};

fn request<'a>(session: i64, op: i32, body: &'a Bytes) -> WriteRequest<'a> {
    WriteRequest {
        session: SessionId(session),
        cxid: 1,
        op,
        body,
        auth: &[],
        session_error: None,
        config: None,
    }
}

fn set(map: &mut RegisterMap, zxid: i64, session: i64, path: &str, value: &str) -> Bytes {
    let body = set_data_request(path.as_bytes(), value.as_bytes(), -1);
    map.prepare(Zxid(zxid), 0, &request(session, op::SET_DATA, &body))
}

fn get(map: &RegisterMap, path: &str) -> Option<Vec<u8>> {
    let read = map.read(op::GET_DATA, &get_data_request(path.as_bytes())).ok()?;
    let len = i32::from_be_bytes(read[..4].try_into().expect("four bytes")) as usize;
    Some(read[4..4 + len].to_vec())
}

fn open(map: &mut RegisterMap, zxid: i64, session: i64) -> Bytes {
    let body = Bytes::copy_from_slice(&10_000i32.to_be_bytes());
    map.prepare(Zxid(zxid), 0, &request(session, op::CREATE_SESSION, &body))
}

fn snapshot(map: &RegisterMap) -> Bytes {
    let (mut cursor, mut body) = (map.snapshot_begin(), BytesMut::new());
    while !map.snapshot_slice(&mut cursor, 1, &mut body) {}
    body.freeze()
}

fn restore(body: Bytes) -> RegisterMap {
    let mut map = RegisterMap::new();
    let mut parser = SnapshotParser::new();
    parser.feed(body);
    while let Some(record) = parser.next_record().expect("a snapshot") {
        map.restore(record).expect("a record of this machine");
    }
    assert!(parser.is_complete());
    map
}

#[test]
fn versions_count_what_is_prepared_and_not_applied() {
    let mut map = RegisterMap::new();
    let first = set(&mut map, 1, 7, "/a", "x");
    let body = set_data_request(b"/a", b"y", 0);
    let second = map.prepare(Zxid(2), 0, &request(7, op::SET_DATA, &body));
    let stale = map.prepare(Zxid(3), 0, &request(7, op::SET_DATA, &body));
    assert!(map.apply(Zxid(1), &first).result.is_ok());
    assert!(map.apply(Zxid(2), &second).result.is_ok());
    assert_eq!(map.apply(Zxid(3), &stale).result, Err(code::BAD_VERSION));
    assert_eq!(get(&map, "/a").as_deref(), Some(&b"y"[..]));
}

#[test]
fn what_was_prepared_for_an_old_role_is_forgotten() {
    let mut map = RegisterMap::new();
    set(&mut map, 1, 7, "/a", "x");
    map.role_ended();
    let body = set_data_request(b"/a", b"y", 0);
    let txn = map.prepare(Zxid(2), 0, &request(7, op::SET_DATA, &body));
    assert_eq!(map.apply(Zxid(2), &txn).result, Err(code::BAD_VERSION), "/a does not exist: version -1");
}

#[test]
fn owned_registers_go_with_their_session() {
    let mut map = RegisterMap::new();
    let begin = map.digest();
    let empty = Bytes::new();
    let apply =
        |map: &mut RegisterMap, zxid: i64, txn: Bytes| assert!(map.apply(Zxid(zxid), &txn).result.is_ok());
    let txn = open(&mut map, 1, 7);
    apply(&mut map, 1, txn);
    let txn = set(&mut map, 2, 7, "/e/7", "mine");
    apply(&mut map, 2, txn);
    assert_eq!(map.session_timeout(SessionId(7)), Some(10_000));
    let close = map.prepare(Zxid(3), 0, &request(7, op::CLOSE_SESSION, &empty));
    apply(&mut map, 3, close);
    assert_eq!(get(&map, "/e/7"), None);
    assert_eq!(map.session_timeout(SessionId(7)), None);
    assert_eq!(map.digest(), begin, "nothing is left, in the digest either");
}

#[test]
fn unknown_operations_and_records_change_nothing() {
    let mut map = RegisterMap::new();
    let txn = map.prepare(Zxid(1), 0, &request(7, op::DELETE, &Bytes::new()));
    let before = map.digest();
    assert_eq!(map.apply(Zxid(1), &txn).result, Err(code::UNIMPLEMENTED));
    assert_eq!(map.apply(Zxid(2), &Bytes::from_static(b"nonsense")).result, Err(code::UNIMPLEMENTED));
    assert_eq!(map.digest(), before);
}

/// What a register cannot stand for must not be written as a snapshot: it would be lost.
#[test]
fn records_of_another_state_machine_are_known_as_such() {
    let mut map = RegisterMap::new();
    let txn = set(&mut map, 1, 7, "/a", "x");
    map.apply(Zxid(1), &txn).result.expect("applied");
    assert!(map.is_whole());
    let mut create = BytesMut::from(&txn[..28]);
    create.extend_from_slice(&op::CREATE.to_be_bytes());
    create.extend_from_slice(b"body of a create");
    let _ = map.apply(Zxid(2), &create.freeze());
    assert!(!map.is_whole());
    let node = |path: &'static str, cversion: i32| SnapshotRecord::Node {
        path: path.into(),
        data: None,
        acl_key: -1,
        stat: StatPersisted { cversion, ..StatPersisted::default() },
    };
    for (record, whole) in [
        (node("/a", 0), true),
        (node("/e/7", 0), true),
        (node("", 0), true),
        (node("/zookeeper", 0), true),
        (node("/zookeeper/quota", 0), true),
        // As every Java server from 3.5 on has it; ours would lose it.
        (node("/zookeeper/config", 0), false),
        (node("", 1), false),
        (node("/a/b", 0), false),
        (node("/a", 1), false),
    ] {
        let mut map = RegisterMap::new();
        map.restore(record.clone()).expect("restored");
        assert_eq!(map.is_whole(), whole, "{record:?}");
        map.clear();
        assert!(map.is_whole(), "an empty state holds all of an empty history");
    }
}

fn txn(zxid: i64, session: i64, kind: i32, body: &[u8]) -> Bytes {
    let header = TxnHeader { client_id: SessionId(session), cxid: 1, zxid: Zxid(zxid), time_ms: 0, kind };
    let mut out = BytesMut::new();
    header.encode(&mut out);
    out.extend_from_slice(body);
    out.freeze()
}

/// Over a data tree sessions are opened and closed; all else is refused by a transaction.
#[test]
fn what_is_prepared_over_a_data_tree() {
    let mut map = RegisterMap::new();
    let opened = open(&mut map, 1, 7);
    map.apply(Zxid(1), &opened).result.expect("applied");
    let owned = set(&mut map, 2, 7, "/e/7", "v");
    map.apply(Zxid(2), &owned).result.expect("applied");
    let _ = map.apply(Zxid(3), &txn(3, 7, op::CREATE, b"body of a create"));

    for refused in
        [set(&mut map, 4, 7, "/a", "x"), map.prepare(Zxid(4), 0, &request(7, op::DELETE, &Bytes::new()))]
    {
        let refused = Txn::decode(&refused).expect("a transaction");
        assert_eq!(refused.body, TxnBody::Error(wire::txn::ErrorTxn { err: code::UNIMPLEMENTED }));
    }
    assert_eq!(get(&map, "/e/7"), None, "what may be false is not told");
    let opened = Txn::decode(&open(&mut map, 5, 8)).expect("a transaction");
    assert!(matches!(opened.body, TxnBody::CreateSession { .. }));
    // What else the session owns is not known: every server takes away what it has.
    let closed = map.prepare(Zxid(6), 0, &request(7, op::CLOSE_SESSION, &Bytes::new()));
    assert_eq!(Txn::decode(&closed).expect("a transaction").body, TxnBody::CloseSession(None));
    map.apply(Zxid(6), &closed).result.expect("applied");
    assert_eq!(map.sessions(), []);
}

/// A closeSession of before 3.6 lists no paths; a session that owns nothing closes nothing.
#[test]
fn closing_without_a_list_takes_away_what_the_session_owns() {
    let mut map = RegisterMap::new();
    for (zxid, session, path) in [(1, 7, "/e/7"), (2, 8, "/e/8"), (3, 0, "/a")] {
        let txn = set(&mut map, zxid, session, path, "v");
        map.apply(Zxid(zxid), &txn).result.expect("applied");
    }
    for session in [7, 0] {
        map.apply(Zxid(4), &txn(4, session, op::CLOSE_SESSION, b"")).result.expect("applied");
    }
    assert_eq!(["/e/7", "/e/8", "/a"].map(|path| get(&map, path).is_some()), [false, true, true]);
}

/// One member has the history as a log, another as a Java server's snapshot amid it.
#[test]
fn the_digest_of_a_data_tree_does_not_depend_on_how_it_came() {
    let mut by_log = RegisterMap::new();
    let timeout = 9000i32.to_be_bytes();
    for before in [
        txn(1, 7, op::CREATE_SESSION, &timeout),
        txn(2, 7, op::CREATE, b"/a"),
        txn(3, 8, op::CREATE_SESSION, &timeout),
        txn(4, 8, op::MULTI, b"some"),
        // Of which no length can be right: still the session ends.
        txn(5, 8, op::CLOSE_SESSION, &[0x7f; 9]),
    ] {
        let _ = by_log.apply(TxnHeader::peek(&before).expect("a header").zxid, &before);
    }
    let mut by_snapshot = RegisterMap::new();
    let a = StatPersisted { czxid: Zxid(2), mzxid: Zxid(2), pzxid: Zxid(2), ..StatPersisted::default() };
    let root = StatPersisted { cversion: 1, pzxid: Zxid(2), ..StatPersisted::default() };
    let node =
        |path: &'static str, stat| SnapshotRecord::Node { path: path.into(), data: None, acl_key: -1, stat };
    for record in [
        SnapshotRecord::Session { id: SessionId(7), timeout_ms: 9000 },
        node("", root),
        node("/zookeeper", StatPersisted::default()),
        node("/a", a),
    ] {
        by_snapshot.restore(record).expect("restored");
    }
    assert_eq!(by_log.digest(), by_snapshot.digest());
    for behind in [
        txn(6, 7, op::SET_DATA, &set_data_request(b"/a", b"x", 1)),
        txn(7, 9, op::CREATE_SESSION, &timeout),
        txn(8, 7, op::CLOSE_SESSION, b""),
        txn(9, 9, op::DELETE, b"/a"),
    ] {
        let zxid = TxnHeader::peek(&behind).expect("a header").zxid;
        assert_eq!(by_log.apply(zxid, &behind), by_snapshot.apply(zxid, &behind));
        assert_eq!(by_log.digest(), by_snapshot.digest(), "behind {zxid}");
        assert_eq!(by_log.sessions(), by_snapshot.sessions());
    }
    assert_eq!(by_log.sessions(), [(SessionId(9), 9000)]);
}

#[test]
fn a_snapshot_restores_to_the_same_digest() {
    let mut map = RegisterMap::new();
    for (zxid, path) in [(1, "/a"), (2, "/b"), (3, "/e/7"), (4, "/a")] {
        let txn =
            if zxid == 3 { set(&mut map, zxid, 7, path, "v") } else { set(&mut map, zxid, 0, path, "w") };
        map.apply(Zxid(zxid), &txn).result.expect("applied");
    }
    assert_eq!(restore(snapshot(&map)).digest(), map.digest());
}

/// Writes, closings and openings go on while the snapshot is written, one record a slice; the log from
/// the snapshot's zxid on, replayed over it, gives the state.
#[test]
fn a_fuzzy_snapshot_and_the_log_behind_it_give_the_state() {
    for cut in 0..8 {
        let mut map = RegisterMap::new();
        let mut log = Vec::new();
        let mut step = |map: &mut RegisterMap, zxid: i64| {
            let empty = Bytes::new();
            let txn = match zxid % 7 {
                0 => open(map, zxid, 7),
                1 | 2 => set(map, zxid, 7, &format!("/e/{zxid}"), "mine"),
                3 => map.prepare(Zxid(zxid), 0, &request(7, op::CLOSE_SESSION, &empty)),
                _ => set(map, zxid, 0, &format!("/r{}", zxid % 5), &format!("v{zxid}")),
            };
            let _ = map.apply(Zxid(zxid), &txn);
            log.push((zxid, txn));
        };
        for zxid in 1..20 {
            step(&mut map, zxid);
        }
        let (mut cursor, mut body) = (map.snapshot_begin(), BytesMut::new());
        let (mut zxid, mut slices) = (20, 0);
        while !map.snapshot_slice(&mut cursor, 1, &mut body) {
            slices += 1;
            if slices % (cut + 1) == 0 {
                step(&mut map, zxid);
                zxid += 1;
            }
        }
        let mut again = restore(body.freeze());
        for (zxid, txn) in log.iter().filter(|(zxid, _)| *zxid > 19) {
            let _ = again.apply(Zxid(*zxid), txn);
        }
        assert_eq!(again.digest(), map.digest(), "a change every {} slices", cut + 1);
    }
}

/// It changes no register and no digest, and is there in snapshots; what is older does not take its place.
#[test]
fn the_configuration_of_a_reconfig() {
    let mut map = RegisterMap::new();
    let body = Bytes::new();
    let asked = |config| WriteRequest { config, ..request(7, op::RECONFIG, &body) };
    let refused = map.prepare(Zxid(1), 0, &asked(Some(Err(code::BAD_VERSION))));
    assert_eq!(map.apply(Zxid(1), &refused).result, Err(code::BAD_VERSION));
    let disabled = map.prepare(Zxid(2), 0, &asked(None));
    assert_eq!(map.apply(Zxid(2), &disabled).result, Err(code::RECONFIG_DISABLED));
    assert_eq!(map.config(), None);
    let digest = map.digest();
    let text = Bytes::from_static(b"server.1=h:1:2\nversion=3");
    let first = map.prepare(Zxid(3), 0, &asked(Some(Ok(text.clone()))));
    let second = map.prepare(Zxid(4), 0, &asked(Some(Ok(Bytes::from_static(b"later")))));
    assert_eq!(map.apply(Zxid(3), &first).result, Ok(text.clone()));
    assert_eq!((map.config(), map.digest(), map.is_whole()), (Some(text), digest, true));
    let _ = map.apply(Zxid(4), &second);
    let mut restored = restore(snapshot(&map));
    assert!(restored.is_whole());
    let _ = restored.apply(Zxid(3), &first);
    assert_eq!((restored.config(), restored.digest()), (Some(Bytes::from_static(b"later")), digest));
}
