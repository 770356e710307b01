//! Any bytes as requests, transactions, snapshot records: a result, never a panic, and the server goes on.
//! A bounded run of what a fuzzer would do, from valid bytes that are cut, joined and changed.
#![allow(clippy::disallowed_methods)]

use bytes::{Bytes, BytesMut};
use server::{ReadRequest, Settings, ZooKeeperServer};
use wire::client::{
    AddWatchRequest, CreateRequest, CreateTTLRequest, DeleteRequest, GetChildrenRequest, GetDataRequest,
    MultiRequest, Op, RemoveWatchesRequest, Request, SetACLRequest, SetDataRequest, SetWatches2,
};
use wire::{Acl, Id, SessionId, SnapshotParser, Zxid, op};
use zab::{ClientId, StateMachine, WriteRequest};

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Some bytes changed to such as often matter, some gone, some twice.
    fn damaged(&mut self, bytes: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        for _ in 0..self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = *self.of(&[0, 1, 2, 4, 0x2f, 0x7f, 0x80, 0xff]),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                _ => {
                    let again = bytes[at..].to_vec();
                    bytes.extend(again);
                }
            }
        }
        bytes.into()
    }
}

fn body(request: &Request) -> (i32, Bytes) {
    let mut out = BytesMut::new();
    request.encode(&mut out);
    (request.op(), out.freeze())
}

fn requests() -> Vec<(i32, Bytes)> {
    let path = || Bytes::from_static(b"/a");
    let data = Some(Bytes::from_static(b"data"));
    let acl = Some(vec![Acl::open(), Acl { perms: 31, id: Id::of("ip", "1.2.3.4/8") }]);
    let create = |flags| CreateRequest { path: path(), data: data.clone(), acl: acl.clone(), flags };
    let below = || Bytes::from_static(b"/a/b");
    let set = SetDataRequest { path: path(), data: data.clone(), version: -1 };
    let ttl = CreateTTLRequest { path: below(), data: data.clone(), acl: acl.clone(), flags: 5, ttl: 10 };
    let list = || vec![path(), below()];
    let watches = SetWatches2 {
        relative_zxid: Zxid(3),
        data_watches: list(),
        exist_watches: list(),
        child_watches: list(),
        persistent_watches: list(),
        persistent_recursive_watches: list(),
    };
    let multi = vec![
        Op::Create(CreateRequest { path: below(), ..create(2) }),
        Op::SetData(set.clone()),
        Op::CreateTTL(ttl.clone()),
        Op::Delete(DeleteRequest { path: below(), version: -1 }),
    ];
    let reads = vec![
        Op::GetData(GetDataRequest { path: path(), watch: true }),
        Op::GetChildren(GetChildrenRequest { path: below(), watch: true }),
    ];
    [
        Request::Create(create(0)),
        Request::Create(create(1)),
        Request::Create(create(3)),
        Request::CreateContainer(create(4)),
        Request::CreateTTL(ttl),
        Request::Delete(DeleteRequest { path: path(), version: -1 }),
        Request::SetData(set),
        Request::SetACL(SetACLRequest { path: path(), acl: acl.clone(), version: -1 }),
        Request::Multi(MultiRequest { ops: multi }),
        Request::MultiRead(MultiRequest { ops: reads }),
        Request::GetData(GetDataRequest { path: path(), watch: true }),
        Request::GetChildren(GetChildrenRequest { path: path(), watch: true }),
        Request::SetWatches2(watches),
        Request::AddWatch(AddWatchRequest { path: path(), mode: 1 }),
        Request::RemoveWatches(RemoveWatchesRequest { path: path(), kind: 3 }),
        Request::CloseSession,
        Request::WhoAmI,
    ]
    .iter()
    .map(body)
    .collect()
}

#[test]
fn as_requests_and_transactions() {
    let requests = requests();
    let kinds: Vec<i32> = wire::OpCode::ALL.iter().map(|kind| kind.number()).chain([99, i32::MIN]).collect();
    let auth = [Id::of("ip", "1.2.3.4"), Id::of("digest", "a:b")];
    let (mut applied, mut done) = (0, 0);
    for seed in 1..60 {
        let mut draw = Draw(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let settings = Settings {
            extended_types: true,
            enforce_quota: true,
            skip_acl: seed % 7 == 0,
            ..Settings::default()
        };
        let mut server = ZooKeeperServer::new(settings);
        let mut log: Vec<Bytes> = Vec::new();
        for n in 1..400 {
            let (zxid, session) = (Zxid(n), SessionId(1 + draw.below(3) as i64));
            if n % 50 == 1 {
                let open = Bytes::from_static(&[0, 0, 0x10, 0]);
                let write = WriteRequest {
                    session,
                    cxid: 1,
                    op: op::CREATE_SESSION,
                    body: &open,
                    auth: &[],
                    session_error: None,
                    config: None,
                };
                log.push(server.prepare(zxid, n, &write));
                server.apply(zxid, &log[log.len() - 1]);
                continue;
            }
            let (kind, body) = draw.of(&requests).clone();
            let kind = if draw.below(8) == 0 { *draw.of(&kinds) } else { kind };
            let body = draw.damaged(&body);
            let client = Some(ClientId(draw.below(3) as u64));
            let read = ReadRequest { client, session, op: kind, body: &body, auth: &auth };
            _ = server.read_request(&read);
            let write = WriteRequest {
                session,
                cxid: 1,
                op: kind,
                body: &body,
                auth: &auth,
                session_error: None,
                config: None,
            };
            let txn = server.prepare(zxid, n, &write);
            done += u32::from(server.apply(zxid, &txn).result.is_ok());
            applied += 1;
            assert_eq!(server.database().digest_mismatches(), 0, "{kind} {body:?}");
            assert_eq!(server.outstanding_changes(), 0);
            log.push(txn);
            // What another leader, or a disk, might hold.
            if draw.below(4) == 0 {
                let one = draw.of(&log).clone();
                let txn = draw.damaged(&one);
                let mut other = server.clone();
                other.apply(zxid, &txn);
                sound(&other);
            }
        }
        sound(&server);
    }
    assert!(applied > 20_000 && done > 3000, "{applied} {done}");
}

/// What is kept apart and must agree: a snapshot, loaded, is the same state.
fn sound(server: &ZooKeeperServer) {
    let (mut cursor, mut out) = (server.snapshot_begin(), BytesMut::new());
    while !server.snapshot_slice(&mut cursor, 500, &mut out) {}
    let mut again = ZooKeeperServer::new(Settings::default());
    again.clear();
    let mut parser = SnapshotParser::new();
    parser.feed(out.freeze());
    while let Some(record) = parser.next_record().expect("a record") {
        again.restore(record).expect("a tree");
    }
    assert_eq!(again.digest(), server.digest());
    let (a, b) = (server.database(), again.database());
    assert_eq!(a.tree.approximate_data_size(), b.tree.approximate_data_size());
    assert!(a.tree.sessions_with_ephemerals().eq(b.tree.sessions_with_ephemerals()));
}

#[test]
fn as_snapshots() {
    let mut whole = BytesMut::new();
    let mut server = ZooKeeperServer::new(Settings::default());
    for (n, (kind, body)) in requests().into_iter().enumerate().take(9) {
        let write = WriteRequest {
            session: SessionId(1),
            cxid: 1,
            op: kind,
            body: &body,
            auth: &[],
            session_error: None,
            config: None,
        };
        let zxid = Zxid(n as i64 + 1);
        let txn = server.prepare(zxid, 1, &write);
        server.apply(zxid, &txn);
    }
    let mut cursor = server.snapshot_begin();
    while !server.snapshot_slice(&mut cursor, 100, &mut whole) {}
    let mut draw = Draw(77);
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let bytes = draw.damaged(&whole);
        let mut server = ZooKeeperServer::new(Settings::default());
        server.clear();
        let mut parser = SnapshotParser::new();
        parser.feed(bytes);
        let good = loop {
            match parser.next_record() {
                Ok(None) => break parser.is_complete(),
                Ok(Some(record)) if server.restore(record.clone()).is_ok() => {}
                _ => break false,
            }
        };
        let (kind, body) = &requests()[8];
        let write = WriteRequest {
            session: SessionId(1),
            cxid: 1,
            op: *kind,
            body,
            auth: &[],
            session_error: None,
            config: None,
        };
        let txn = server.prepare(Zxid(99), 1, &write);
        server.apply(Zxid(99), &txn);
        if good { loaded += 1 } else { refused += 1 }
    }
    assert!(loaded > 1000 && refused > 1000, "{loaded} {refused}");
}
