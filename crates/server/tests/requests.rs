//! Requests that a server must answer rightly, one rule each: those that wedge or stop a Java server,
//! sessions, watches and who may see what they saw.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::Bytes;
use common::alone::{SESSION, Server, body, create, create_ttl, delete, set, text};
use server::data_tree::ROOT;
use server::{Settings, container_manager, is_client_request};
use wire::client::{
    AddWatchRequest, ExistsRequest, GetChildrenRequest, GetDataRequest, MultiRequest, Op, OpResult,
    RemoveWatchesRequest, Request, Response, SetACLRequest, SetDataRequest, SetWatches2,
};
use wire::txn::{CreateTTLTxn, CreateTxn, DeleteTxn, MultiTxn, SubTxn};
use wire::{
    Acl, Id, Jute, NullableString, SessionId, SnapshotRecord, StatPersisted, Txn, TxnBody, TxnHeader, Zxid,
    code, op,
};
use zab::{ClientId, StateMachine, WriteRequest};

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

#[test]
fn reconfig_is_refused() {
    let mut server = Server::new(Settings::default());
    let none = || NullableString(None);
    let reconfig = Request::Reconfig(wire::client::ReconfigRequest {
        joining_servers: none(),
        leaving_servers: none(),
        new_members: none(),
        cur_config_id: -1,
    });
    assert_eq!(server.write(&reconfig), Err(code::RECONFIG_DISABLED));
    let get = Request::GetData(GetDataRequest { path: text("/zookeeper/config"), watch: false });
    assert!(matches!(server.read(1, &get), Ok(Response::GetData(_))));
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

/// A session that owns nodes and is in no table, as an old log may leave it, ends when a server loads that.
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
    assert_eq!(db.kill_orphans(), [SessionId(9)]);
    assert!(db.tree.find(b"/orphan").is_none() && db.tree.find(b"/mine").is_some());
    assert_eq!(db.tree.last_zxid(), server.zxid);
    assert!(db.kill_orphans().is_empty());
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
    let mut db = server::ZkDatabase::bare();
    assert_eq!(db.tree.set_config(b"", Zxid(7), 55), Err(code::NO_NODE));
    let stat = StatPersisted::default();
    for path in ["", "/zookeeper"] {
        let node = SnapshotRecord::Node { path: text(path), data: None, acl_key: -1, stat };
        db.restore(node).expect("restored");
    }
    assert_eq!(db.tree.set_config(b"x", Zxid(7), 55), Ok(()));
    let id = db.tree.find(b"/zookeeper/config").expect("made");
    assert_eq!(db.tree.acl(id), [Acl { perms: 1, id: Id::anyone() }]);
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

fn exists(path: &str) -> Request {
    Request::Exists(ExistsRequest { path: text(path), watch: true })
}

fn children(path: &str) -> Request {
    Request::GetChildren(GetChildrenRequest { path: text(path), watch: true })
}

#[test]
fn watches_fire_in_their_order() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    let data = Request::GetData(GetDataRequest { path: text("/a"), watch: true });
    for request in [&data, &children("/a"), &children("/")] {
        server.read(1, request).expect("read");
    }
    assert_eq!(server.read(2, &exists("/a/b")), Err(code::NO_NODE));
    server.read(2, &Request::AddWatch(AddWatchRequest { path: text("/"), mode: 1 })).expect("added");
    server.read(3, &Request::AddWatch(AddWatchRequest { path: text("/a"), mode: 0 })).expect("added");
    server.create("/a/b");
    let created = ["2 NodeCreated /a/b", "1 NodeChildrenChanged /a", "3 NodeChildrenChanged /a"];
    assert_eq!(server.events(), created, "one event for a client with two watches");
    server.write(&delete("/a/b")).expect("deleted");
    assert_eq!(server.events(), ["2 NodeDeleted /a/b", "3 NodeChildrenChanged /a"]);
    server.read(1, &children("/a")).expect("read");
    server.write(&delete("/a")).expect("deleted");
    let deleted = ["1 NodeDeleted /a", "2 NodeDeleted /a", "3 NodeDeleted /a", "1 NodeChildrenChanged /"];
    assert_eq!(server.events(), deleted, "both of client 1's watches of /a are used up by one event");
    server.create("/a");
    assert_eq!(server.events(), ["2 NodeCreated /a", "3 NodeCreated /a"]);
    // In a multi that fails nothing happened; in one that does not, in order of its operations.
    let multi = |ops| Request::Multi(MultiRequest { ops });
    let set = |path: &str, version| Op::SetData(SetDataRequest { path: text(path), data: None, version });
    server.write(&multi(vec![set("/a", 0), set("/a", 0)])).expect("an answer");
    assert!(server.events().is_empty());
    server
        .write(&multi(vec![set("/a", 0), Op::Create(create("/a/c", 0)), set("/a/c", 0)]))
        .expect("an answer");
    let fired = [
        "2 NodeDataChanged /a",
        "3 NodeDataChanged /a",
        "2 NodeCreated /a/c",
        "3 NodeChildrenChanged /a",
        "2 NodeDataChanged /a/c",
    ];
    assert_eq!(server.events(), fired);
    server
        .write(&Request::SetACL(SetACLRequest {
            path: text("/a"),
            acl: Some(vec![Acl::open()]),
            version: -1,
        }))
        .expect("set");
    assert!(server.events().is_empty(), "ACLs have no watches");
    server.server.client_gone(ClientId(2));
    let remove = |kind| Request::RemoveWatches(RemoveWatchesRequest { path: text("/a"), kind });
    assert_eq!(server.read(3, &remove(1)), Err(code::NO_WATCHER));
    assert_eq!(server.read(3, &remove(9)), Err(code::MARSHALLING_ERROR));
    assert_eq!(server.read(3, &remove(4)), Ok(Response::Empty));
    server.write(&delete("/a/c")).expect("deleted");
    assert!(server.events().is_empty() && server.server.watches().data_table().is_empty());
    assert!(server.server.watches().child_table().is_empty());
}

/// An event is for those who may read the node; the watch is used up by it all the same.
#[test]
fn watches_and_who_may_see() {
    let mut server = Server::new(Settings::default());
    let ann = Id::of("digest", "ann:x");
    server.create("/a");
    server.read(1, &exists("/a")).expect("read");
    server.auth.push(ann.clone());
    server.read(2, &exists("/a")).expect("read");
    let acl = Some(vec![Acl { perms: 31, id: ann }]);
    server.write(&Request::SetACL(SetACLRequest { path: text("/a"), acl, version: -1 })).expect("set");
    server.write(&set("/a", "secret")).expect("set");
    assert_eq!(server.events(), ["2 NodeDataChanged /a"]);
    server.auth.pop();
    assert_eq!(server.read(1, &exists("/a")), Err(code::NO_AUTH));
    assert!(server.server.watches().data_table().is_empty(), "no watch without a right to read");
}

#[test]
fn watches_set_again() {
    let mut server = Server::new(Settings::default());
    for path in ["/same", "/changed", "/gone", "/kids", "/last"] {
        server.create(path);
    }
    let since = server.zxid;
    server.write(&set("/changed", "y")).expect("set");
    server.write(&delete("/gone")).expect("deleted");
    server.create("/kids/k");
    server.create("/made");
    server.events();
    let list = |paths: &[&str]| paths.iter().map(|path| text(path)).collect::<Vec<_>>();
    let again = SetWatches2 {
        relative_zxid: since,
        data_watches: list(&["/same", "/changed", "/gone", "/last"]),
        exist_watches: list(&["/made", "/none"]),
        child_watches: list(&["/kids", "/gone", "/changed", "/last"]),
        persistent_watches: list(&["/none"]),
        persistent_recursive_watches: list(&["/deep"]),
    };
    assert_eq!(server.read(1, &Request::SetWatches2(again)), Ok(Response::Empty));
    let missed = [
        "1 NodeDataChanged /changed missed",
        "1 NodeDeleted /gone missed",
        "1 NodeCreated /made missed",
        "1 NodeChildrenChanged /kids missed",
        "1 NodeDeleted /gone missed",
    ];
    assert_eq!(server.events(), missed);
    let counts = |server: &Server| {
        (server.server.watches().data_table().len(), server.server.watches().child_table().len())
    };
    assert_eq!(counts(&server), (4, 3), "/same, /last, /none, /deep; /changed, /last, /none");
    server.write(&set("/same", "z")).expect("set");
    server.create("/none");
    assert_eq!(server.events(), ["1 NodeDataChanged /same", "1 NodeCreated /none"]);
    server.server.client_gone(ClientId(1));
    assert_eq!(counts(&server), (0, 0));
}
