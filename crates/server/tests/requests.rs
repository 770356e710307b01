//! Requests that a server must answer rightly, one rule each: those that wedge or stop a Java server,
//! sessions, and what other logs hold.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::{Bytes, BytesMut};
use common::alone::{SESSION, Server, body, create, create_ttl, delete, set, text};
use server::data_tree::ROOT;
use server::{Settings, container_manager, is_client_request};
use wire::client::{GetDataRequest, MultiRequest, Op, OpResult, Request, Response};
use wire::txn::{CreateTTLTxn, CreateTxn, CreateTxnV0, DeleteTxn, MultiTxn, SubTxn};
use wire::{
    Acl, Id, Jute, NullableString, SessionId, SnapshotParser, SnapshotRecord, StatPersisted, Txn, TxnBody,
    TxnHeader, Zxid, code, op,
};
use zab::{StateMachine, WriteRequest};

/// Trap 21: where flags and type do not agree, nothing is made of it.
#[test]
fn flags_and_type_of_a_create() {
    for (extended_types, request, expected) in [
        (true, Request::CreateTTL(create_ttl("/p", 0, -1)), code::BAD_ARGUMENTS),
        (true, Request::CreateTTL(create_ttl("/p", 4, 5)), code::BAD_ARGUMENTS),
        (true, Request::CreateTTL(create_ttl("/p", 5, 0)), code::BAD_ARGUMENTS),
        (true, Request::CreateTTL(create_ttl("/p", 6, 1 << 40)), code::BAD_ARGUMENTS),
        (false, Request::CreateTTL(create_ttl("/p", 5, 1000)), code::UNIMPLEMENTED),
        (false, Request::CreateTTL(create_ttl("/p", 0, -1)), code::BAD_ARGUMENTS),
        (true, Request::Create(create("/p", 5)), code::BAD_ARGUMENTS),
        (false, Request::Create(create("/p", 5)), code::UNIMPLEMENTED),
        (true, Request::Create(create("/p", 4)), code::BAD_ARGUMENTS),
        (true, Request::Create2(create("/p", 4)), code::BAD_ARGUMENTS),
        (true, Request::CreateContainer(create("/p", 0)), code::BAD_ARGUMENTS),
        (true, Request::CreateContainer(create("/p", 1)), code::BAD_ARGUMENTS),
        (true, Request::Create(create("/p", 7)), code::BAD_ARGUMENTS),
        (true, Request::Create(create("/p", -1)), code::BAD_ARGUMENTS),
    ] {
        let mut server = Server::new(Settings { extended_types, ..Settings::default() });
        assert_eq!(server.write(&request), Err(expected), "{request:?}");
        // In a multi the flags decide, or the whole is not understood; either way nobody is harmed.
        let operation = match request {
            Request::CreateTTL(r) => Op::CreateTTL(r),
            Request::Create(r) => Op::Create(r),
            Request::Create2(r) => Op::Create2(r),
            Request::CreateContainer(r) => Op::CreateContainer(r),
            other => panic!("{other:?}"),
        };
        let reply = server.write(&Request::Multi(MultiRequest { ops: vec![operation] }));
        if let Ok(Response::Multi(multi)) = &reply {
            let container = matches!(&multi.results[..], [OpResult::Create2(_)]);
            let id = server.server.database().tree.find(b"/p");
            let owner = id.map(|id| server.server.database().tree.node(id).owner());
            assert!(!container || owner == Some(i64::MIN), "{reply:?}");
        }
        server.create("/still-here");
        assert_eq!(server.mismatches(), 0);
    }
}

/// The same from another leader's log: no effect, no panic, and what follows is applied.
#[test]
fn a_ttl_transaction_that_ends_java() {
    for ttl in [-1, 0, i64::MIN, i64::MAX] {
        let mut server = Server::new(Settings::default());
        let make = TxnBody::CreateTTL(CreateTTLTxn {
            path: text("/p"),
            data: None,
            acl: None,
            parent_c_version: 1,
            ttl,
        });
        let kinds = [
            (op::CREATE_TTL, make.clone()),
            (op::MULTI, TxnBody::Multi(MultiTxn { txns: vec![SubTxn::new(op::CREATE_TTL, &make)] })),
        ];
        for (kind, body) in kinds {
            server.zxid = server.zxid.next();
            let header = TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind };
            let applied = server.server.apply(server.zxid, &Txn::new(header, body, None).to_bytes());
            assert!(applied.result.is_err() || kind == op::MULTI, "{applied:?}");
        }
        assert!(server.server.database().tree.find(b"/p").is_none());
        server.create("/q");
    }
}

/// Trap 22: what only servers send.
#[test]
fn types_that_are_servers_own() {
    for kind in [op::DELETE_CONTAINER, op::CREATE_SESSION, op::CHECK, op::NOTIFICATION, op::ERROR, 10, 23, 99]
    {
        assert!(!is_client_request(kind), "{kind}");
    }
    for kind in [op::CREATE, op::MULTI, op::CLOSE_SESSION, op::PING, op::WHO_AM_I, op::SET_WATCHES2, op::SASL]
    {
        assert!(is_client_request(kind), "{kind}");
    }
    let mut server = Server::new(Settings::default());
    server.create("/empty");
    server.write(&Request::CreateContainer(create("/box", 4))).expect("created");
    server.write(&Request::Create(create("/mine", 1))).expect("created");
    for path in ["/empty", "/box"] {
        // With a session it comes from a client, however it got here.
        assert_eq!(server.raw(SESSION, op::DELETE_CONTAINER, &text(path)), Err(code::UNIMPLEMENTED));
    }
    for (path, expected) in [
        ("/none", Err(code::NO_NODE)),
        ("/mine", Err(code::BAD_VERSION)),
        ("/", Err(code::BAD_ARGUMENTS)),
        ("/zookeeper", Err(code::BAD_ARGUMENTS)),
        ("/box", Ok(Bytes::new())),
    ] {
        assert_eq!(
            server.raw(SessionId(0), op::DELETE_CONTAINER, &text(path).to_bytes()),
            expected,
            "{path}"
        );
    }
    server.create("/empty/child");
    assert_eq!(server.raw(SessionId(0), op::DELETE_CONTAINER, &text("/empty")), Err(code::NOT_EMPTY));
    assert_eq!(server.raw(SESSION, op::CHECK, &body(&delete("/empty"))), Err(code::UNIMPLEMENTED));
    assert_eq!(server.mismatches(), 0);
}

/// Trap 23: a body that is none takes its own zxid, as any failure, and the next write the next one.
#[test]
fn malformed_bodies() {
    let kinds = [
        op::CREATE,
        op::CREATE2,
        op::CREATE_CONTAINER,
        op::CREATE_TTL,
        op::DELETE,
        op::SET_DATA,
        op::SET_ACL,
        op::MULTI,
        op::RECONFIG,
        op::CREATE_SESSION,
    ];
    let mut server = Server::new(Settings::default());
    for kind in kinds {
        for bytes in [&b""[..], b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff/", b"\0\0\0\x02/a\0"] {
            let before = server.zxid;
            let result = server.raw(SESSION, kind, &Bytes::copy_from_slice(bytes));
            if kind != op::CREATE_SESSION || bytes.len() < 4 {
                assert_eq!(result, Err(code::MARSHALLING_ERROR), "{kind} {bytes:?}");
            }
            assert_eq!(server.zxid, before.next());
        }
    }
    // A log of such a server may have a zxid twice.
    let (zxid, error) = server.prepare(SESSION, op::DELETE, &text(""));
    let (_, create) = server.prepare(SESSION, op::CREATE, &body(&Request::Create(create("/a", 0))));
    assert_eq!(server.server.apply(zxid, &error).result, Err(code::MARSHALLING_ERROR));
    assert!(server.server.apply(zxid, &create).result.is_ok());
    assert_eq!(server.mismatches(), 0);
}

/// | what the leader made of it | client | |
/// |---|---|---|
/// | nothing: it does not reconfigure | | ReconfigDisabled |
/// | an error | | that |
/// | a configuration | anybody | NoAuth |
/// | a configuration | super, or where ACLs are skipped | it is written |
#[test]
fn reconfig() {
    let none = || NullableString(None);
    let reconfig = Request::Reconfig(wire::client::ReconfigRequest {
        joining_servers: none(),
        leaving_servers: none(),
        new_members: none(),
        cur_config_id: -1,
    });
    let get = Request::GetData(GetDataRequest { path: text("/zookeeper/config"), watch: true });
    for skip_acl in [false, true] {
        let mut server = Server::new(Settings { skip_acl, ..Settings::default() });
        assert_eq!(server.write(&reconfig), Err(code::RECONFIG_DISABLED));
        server.config = Some(Err(code::NEW_CONFIG_NO_QUORUM));
        assert_eq!(server.write(&reconfig), Err(code::NEW_CONFIG_NO_QUORUM));
        server.config = Some(Ok(text("server.1=a:1:2\nversion=7")));
        if !skip_acl {
            assert_eq!(server.write(&reconfig), Err(code::NO_AUTH));
            server.auth.push(Id::of("super", ""));
        }
        assert!(matches!(server.read(1, &get), Ok(Response::GetData(_))));
        let digest = server.server.digest();
        let written = server.write(&reconfig).expect("it is written");
        let Response::GetData(reply) = &written else { panic!("{written:?}") };
        assert_eq!(reply.data, Some(text("server.1=a:1:2\nversion=7")));
        assert_eq!((reply.stat.version, reply.stat.mzxid), (-1, server.zxid));
        assert_eq!(server.read(1, &get), Ok(written));
        assert_eq!(server.events(), ["1 NodeDataChanged /zookeeper/config"]);
        assert_eq!(server.server.digest(), digest, "it is in no digest");
        assert_eq!(server.mismatches(), 0);
    }
}

/// A session's nodes go with it, those too that were only prepared, and none is made after.
#[test]
fn closing_a_session() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    server.write(&Request::Create(create("/a/old", 1))).expect("created");
    server.write(&Request::Create(create("/a/gone", 1))).expect("created");
    let mut prepared = Vec::new();
    for request in [Request::Create(create("/a/new", 1)), delete("/a/gone"), Request::CloseSession] {
        prepared.push(server.prepare(SESSION, request.op(), &body(&request)));
    }
    let closed = Txn::decode(&prepared[2].1).expect("a transaction");
    let TxnBody::CloseSession(Some(close)) = closed.body else { panic!("{closed:?}") };
    assert_eq!(close.paths2_delete, [text("/a/new"), text("/a/old")]);
    // Another session may delete the parent at once.
    let late = Request::Create(create("/a/late", 1));
    prepared.push(server.prepare(SESSION, op::CREATE, &body(&late)));
    prepared.push(server.prepare(SESSION, op::CREATE, &body(&Request::Create(create("/a/late", 0)))));
    let results: Vec<_> =
        prepared.into_iter().map(|(zxid, txn)| server.server.apply(zxid, &txn).result.is_ok()).collect();
    assert_eq!(results, [true, true, true, false, false]);
    let tree = &server.server.database().tree;
    assert_eq!(tree.children(tree.find(b"/a").expect("it stays")).count(), 0);
    assert_eq!((server.mismatches(), server.server.session_timeout(SESSION)), (0, None));
    // A session that nobody knows owns nothing.
    let stranger = SessionId(77);
    let made = server.raw(stranger, op::CREATE, &body(&Request::Create(create("/e", 1))));
    assert_eq!(made, Err(code::SESSION_EXPIRED));
}

/// The same session opened again, and closed again, before the first closing is applied: it stays closed.
#[test]
fn a_session_closed_twice() {
    let mut server = Server::new(Settings::default());
    let opening = 4000.to_bytes();
    let first = server.prepare(SESSION, op::CLOSE_SESSION, &Bytes::new());
    server.prepare(SESSION, op::CREATE_SESSION, &opening);
    server.prepare(SESSION, op::CLOSE_SESSION, &Bytes::new());
    server.server.apply(first.0, &first.1).result.expect("closed");
    for flags in [0, 1] {
        let (_, txn) = server.prepare(SESSION, op::CREATE, &body(&Request::Create(create("/late", flags))));
        let TxnBody::Error(error) = Txn::decode(&txn).expect("a transaction").body else { panic!("{flags}") };
        assert_eq!(error.err, code::SESSION_EXPIRED);
    }
}

/// Before 3.4 a create did not say the parent's new counter: one more.
#[test]
fn creates_of_old_logs() {
    let mut server = Server::new(Settings::default());
    for (path, v0) in [("/a", true), ("/b", false)] {
        server.zxid = server.zxid.next();
        let (data, acl, ephemeral) = (None, None, false);
        let path = text(path);
        let body = match v0 {
            true => TxnBody::CreateV0(CreateTxnV0 { path, data, acl, ephemeral }),
            false => TxnBody::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version: -1 }),
        };
        let header =
            TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind: op::CREATE };
        server.server.apply(server.zxid, &Txn::new(header, body, None).to_bytes()).result.expect("created");
        assert_eq!(server.server.database().tree.node(ROOT).pzxid(), server.zxid);
    }
    assert_eq!(server.server.database().tree.node(ROOT).cversion(), 2);
}

/// A session that owns nodes and is in no table, as an old log may leave it.
#[test]
fn orphans() {
    let mut server = Server::new(Settings::default());
    server.write(&Request::Create(create("/mine", 1))).expect("created");
    server.zxid = server.zxid.next();
    let header =
        TxnHeader { client_id: SessionId(9), cxid: 1, zxid: server.zxid, time_ms: 1, kind: op::CREATE };
    let path = text("/orphan");
    let make = CreateTxn { path, data: None, acl: None, ephemeral: true, parent_c_version: -1 };
    let txn = Txn::new(header, TxnBody::Create(make), None);
    let mut db = server.server.database().clone();
    db.process_txn(&txn, &mut ());
    assert_eq!(db.orphans(), [SessionId(9)]);
    let later = TxnHeader { zxid: server.zxid.next(), kind: op::CLOSE_SESSION, ..header };
    db.process_txn(&Txn::new(later, TxnBody::CloseSession(None), None), &mut ());
    assert!(db.tree.find(b"/orphan").is_none() && db.tree.find(b"/mine").is_some());
    assert!(db.orphans().is_empty());
}

/// The configuration is a server's own: in no digest; a tree of before 3.5 gets a node for it.
#[test]
fn the_configuration_node() {
    let mut db = server::ZkDatabase::new();
    let digest = db.digest();
    assert_eq!(db.tree.set_config(b"server.1=h:1:2", Zxid(7), 55), Ok(()));
    let id = db.tree.find(b"/zookeeper/config").expect("it is there");
    let stat = db.tree.stat(id);
    assert_eq!(db.tree.node(id).data(), Some(&b"server.1=h:1:2"[..]));
    assert_eq!((stat.version, stat.mzxid, stat.mtime, stat.aversion), (-1, Zxid(7), 55, -1));
    assert_eq!(db.digest(), digest);
    let (mut db, mut fuzzy) = (server::ZkDatabase::bare(), server::ZkDatabase::bare());
    assert_eq!(db.tree.set_config(b"", Zxid(7), 55), Err(code::NO_NODE));
    let stat = StatPersisted::default();
    for path in ["", "/zookeeper"] {
        let node = SnapshotRecord::Node { path: text(path), data: None, acl_key: -1, stat };
        db.restore(node).expect("restored");
    }
    let stat = StatPersisted { czxid: Zxid(3), mzxid: Zxid(5), ..stat };
    let (path, version) = (text("/zookeeper/config"), StatPersisted { mzxid: Zxid(77), ..stat });
    let mut other = db.clone();
    for (path, stat) in [(text("/a"), stat), (path, version)] {
        other.restore(SnapshotRecord::Node { path, data: None, acl_key: -1, stat }).expect("restored");
    }
    assert_eq!(other.tree.last_zxid(), Zxid(5), "the version is not of the history");
    assert_eq!(db.tree.set_config(b"x", Zxid(7), 55), Ok(()));
    let id = db.tree.find(b"/zookeeper/config").expect("made");
    assert_eq!(db.tree.acl(id), [Acl { perms: 1, id: Id::anyone() }]);
    // A snapshot that began before the node was there has it, and not its ACL.
    for path in ["", "/zookeeper", "/zookeeper/config"] {
        let acl_key = if path.len() > 10 { 1 } else { -1 };
        let node = SnapshotRecord::Node { path: text(path), data: None, acl_key, stat };
        fuzzy.restore(node).expect("restored");
    }
    let id = fuzzy.tree.find(b"/zookeeper/config").expect("there");
    assert_ne!(fuzzy.tree.acl(id), db.tree.acl(db.tree.find(b"/zookeeper/config").expect("made")));
    assert_eq!(fuzzy.tree.set_config(b"x", Zxid(7), 55), Ok(()));
    assert_eq!(fuzzy.tree.acl(id), [Acl { perms: 1, id: Id::anyone() }]);
}

/// What the leader's tracker says comes first, but behind what is wrong with the flags.
#[test]
fn errors_of_sessions() {
    let mut server = Server::new(Settings::default());
    for (request, expected) in [
        (Request::Create(create("/a", 0)), code::SESSION_MOVED),
        (Request::Create(create("/a", 9)), code::BAD_ARGUMENTS),
        (delete("/none"), code::SESSION_MOVED),
        (set("/", "x"), code::SESSION_MOVED),
        (Request::Multi(MultiRequest { ops: vec![Op::Create(create("/a", 0))] }), code::SESSION_MOVED),
    ] {
        let body = body(&request);
        let write = WriteRequest {
            session: SESSION,
            cxid: 1,
            op: request.op(),
            body: &body,
            auth: &[],
            session_error: Some(code::SESSION_MOVED),
            config: None,
        };
        server.zxid = server.zxid.next();
        let txn = server.server.prepare(server.zxid, 1, &write);
        assert_eq!(server.server.apply(server.zxid, &txn).result, Err(expected), "{request:?}");
    }
}

#[test]
fn containers_and_ttl_nodes_that_had_their_time() {
    let mut server = Server::new(Settings { extended_types: true, ..Settings::default() });
    let now = 1_700_000_000_000;
    for path in ["/new", "/used", "/full"] {
        server.write(&Request::CreateContainer(create(path, 4))).expect("created");
    }
    for path in ["/used/a", "/full/a"] {
        server.create(path);
    }
    server.write(&Request::CreateTTL(create_ttl("/short", 5, 10))).expect("created");
    server.write(&Request::CreateTTL(create_ttl("/parent", 5, 10))).expect("created");
    server.create("/parent/a");
    server.write(&delete("/used/a")).expect("deleted");
    // Nobody makes a TTL of 0; who brought one in meant none.
    let stat = StatPersisted { ephemeral_owner: 0xff << 56, ..StatPersisted::default() };
    let ageless = SnapshotRecord::Node { path: text("/ageless"), data: None, acl_key: -1, stat };
    server.server.restore(ageless).expect("restored");
    let due = |server: &Server, at: i64, never_used: i64| -> Vec<String> {
        let due = container_manager::candidates(&server.server.database().tree, at, never_used);
        due.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    };
    assert_eq!(due(&server, now, 0), ["/used"]);
    assert_eq!(due(&server, now + 10, 0), ["/used"]);
    assert_eq!(due(&server, now + 11, 0), ["/used", "/short"]);
    assert_eq!(due(&server, now + 11, 10), ["/new", "/used", "/short"]);
    for path in due(&server, now + 11, 10) {
        let deleted = server.raw(SessionId(0), op::DELETE_CONTAINER, &text(&path));
        assert_eq!(deleted, Ok(Bytes::new()), "{path}");
    }
    assert!(due(&server, now + 11, 10).is_empty());
    assert_eq!(server.mismatches(), 0);
}

/// Names count creations below the parent; at the end the number stays, as the tree's counter does.
#[test]
fn sequential_names_at_the_end() {
    let mut server = Server::new(Settings::default());
    let stat = StatPersisted { cversion: i32::MAX - 1, ..StatPersisted::default() };
    server.server.clear();
    for (path, stat) in [("", StatPersisted::default()), ("/a", stat)] {
        let node = SnapshotRecord::Node { path: text(path), data: None, acl_key: -1, stat };
        server.server.restore(node).expect("restored");
    }
    server.raw(SESSION, op::CREATE_SESSION, &4000.to_bytes()).expect("a session");
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(server.write(&Request::Create(create("/a/n", 2))).map(|reply| match reply {
            Response::Create(reply) => String::from_utf8_lossy(&reply.path).into_owned(),
            other => panic!("{other:?}"),
        }));
    }
    let exists = || Err(code::NODE_EXISTS);
    let name = |number: &str| Ok(format!("/a/n{number}"));
    assert_eq!(names, [name("2147483646"), name("2147483647"), exists(), exists()]);
    assert_eq!(server.mismatches(), 0);
}

/// What a foreign log may say of nodes that cannot be: no effect.
#[test]
fn transactions_without_effect() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    let digest = server.server.digest();
    let make = |path: &str| {
        TxnBody::Create(CreateTxn {
            path: text(path),
            data: None,
            acl: None,
            ephemeral: false,
            parent_c_version: 0,
        })
    };
    for (kind, body) in [
        (op::CREATE, make("")),
        (op::CREATE, make("a")),
        (op::CREATE, make("/")),
        (op::CREATE, make("/a/")),
        (op::CREATE, make("/x/y")),
        (op::DELETE, TxnBody::Delete(DeleteTxn { path: text("") })),
        (op::DELETE, TxnBody::Delete(DeleteTxn { path: text("/") })),
        (op::DELETE, TxnBody::Delete(DeleteTxn { path: text("/x/y") })),
        (op::MULTI, TxnBody::Multi(MultiTxn { txns: vec![SubTxn { kind: op::CREATE, data: None }] })),
        (op::MULTI, TxnBody::Multi(MultiTxn { txns: vec![SubTxn { kind: 77, data: Some(text("x")) }] })),
    ] {
        server.zxid = server.zxid.next();
        let header = TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind };
        server.server.apply(server.zxid, &Txn::new(header, body.clone(), None).to_bytes());
        assert_eq!(server.server.digest(), digest, "{body:?}");
    }
    assert!(server.server.is_whole());
    server.zxid = server.zxid.next();
    let header = TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind: 77 };
    server.server.apply(server.zxid, &Txn::new(header, TxnBody::Other(text("?")), None).to_bytes());
    assert!(!server.server.is_whole(), "a type of a later release: its effect is not known");
    let tree = &server.server.database().tree;
    assert_eq!(tree.all_children_number(ROOT), 4);
}

/// A failed multi of Java's log may have the data of its operations still, where the codes should be.
#[test]
fn a_failed_multi_of_javas_log() {
    let mut server = Server::new(Settings::default());
    let make = CreateTxn { path: text("/a"), data: None, acl: None, ephemeral: false, parent_c_version: 1 };
    let operation = || SubTxn { kind: op::ERROR, ..SubTxn::new(op::CREATE, &TxnBody::Create(make.clone())) };
    let error = SubTxn { kind: op::ERROR, data: Some(code::NO_NODE.to_bytes()) };
    let txns = vec![operation(), error, operation()];
    server.zxid = server.zxid.next();
    let header = TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind: op::MULTI };
    let txn = Txn::new(header, TxnBody::Multi(MultiTxn { txns }), None).to_bytes();
    let reply = server.server.apply(server.zxid, &txn).result.expect("an answer");
    let Response::Multi(reply) = Response::decode(op::MULTI, reply).expect("a reply") else {
        panic!("a multi")
    };
    let codes = reply.results.into_iter().map(|result| match result {
        OpResult::Error(error) => error.err,
        other => panic!("{other:?}"),
    });
    assert_eq!(codes.collect::<Vec<_>>(), [code::OK, code::NO_NODE, code::RUNTIME_INCONSISTENCY]);
    assert!(server.server.database().tree.find(b"/a").is_none());
}

/// Of digests the user; of other ids all, an address with colons too.
#[test]
fn who_a_client_is() {
    let mut server = Server::new(Settings::default());
    server.auth = vec![Id::of("ip", "fe80::1"), Id::of("digest", "ann:secret"), Id::of("super", "")];
    let Ok(Response::WhoAmI(who)) = server.read(1, &Request::WhoAmI) else { panic!("an answer") };
    let users = who.client_info.into_iter().map(|info| (info.auth_scheme, info.user));
    let expected = [("ip", "fe80::1"), ("digest", "ann"), ("super", "")];
    assert_eq!(users.collect::<Vec<_>>(), expected.map(|(scheme, user)| (text(scheme), text(user))));
}

/// The log has what was made after a snapshot began.
#[test]
fn what_a_snapshot_leaves_out() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    let mut cursor = server.server.snapshot_begin();
    let mut slices = BytesMut::new();
    assert!(!server.server.snapshot_slice(&mut cursor, 1, &mut slices));
    for path in ["/a/new", "/b"] {
        server.create(path);
    }
    while !server.server.snapshot_slice(&mut cursor, 1, &mut slices) {}
    let mut parser = SnapshotParser::new();
    parser.feed(slices.freeze());
    let mut paths = Vec::new();
    while let Some(record) = parser.next_record().expect("a record") {
        if let SnapshotRecord::Node { path, .. } = record {
            paths.push(path);
        }
    }
    assert_eq!(paths, ["", "/a", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"].map(text));
}

/// A multi in two steps, as releases before 3.5.5 applied it: nothing is done twice, and the end is the same.
#[test]
fn a_multi_in_two_steps() {
    let mut server = Server::new(Settings::default());
    let ops = ["/a", "/b"].map(|path| Op::Create(create(path, 0))).to_vec();
    let multi = Request::Multi(MultiRequest { ops });
    let (zxid, txn) = server.prepare(SESSION, multi.op(), &body(&multi));
    let mut at_once = server.server.clone();
    assert!(server.server.apply_first_part(zxid, &txn));
    let there = |path: &[u8]| server.server.database().tree.find(path).is_some();
    assert_eq!((there(b"/a"), there(b"/b")), (true, false));
    assert_eq!(server.server.apply(zxid, &txn), at_once.apply(zxid, &txn));
    assert_eq!(server.server.digest(), at_once.digest());
    let (zxid, txn) = server.prepare(SESSION, op::CREATE, &body(&Request::Create(create("/c", 0))));
    assert!(!server.server.apply_first_part(zxid, &txn), "it has one part");
}
