//! The server in the register map's place: elections, broadcast, snapshots, SNAP and DIFF, restarts.
#![allow(clippy::disallowed_methods)]

mod ensemble;

use bytes::Bytes;
use ensemble::Ensemble;
use peer::{Event, StateMachine, TxnEntry};
use wire::client::{
    CreateRequest, DeleteRequest, GetChildrenRequest, GetDataRequest, MultiRequest, Op, ReconfigRequest,
    Request, Response, SetDataRequest,
};
use wire::txn::CreateTxn;
use wire::{Acl, NullableString, SessionId, Txn, TxnBody, TxnHeader, code, op};

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn create(path: &str, flags: i32) -> CreateRequest {
    CreateRequest { path: text(path), data: Some(text("data")), acl: Some(vec![Acl::open()]), flags }
}

fn set(path: &str, version: i32) -> SetDataRequest {
    SetDataRequest { path: text(path), data: Some(text("more")), version }
}

fn children(path: &str) -> Request {
    Request::GetChildren(GetChildrenRequest { path: text(path), watch: false })
}

fn names(reply: Result<Response, i32>) -> Vec<String> {
    match reply {
        Ok(Response::GetChildren(reply)) => {
            reply.children.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Requests of two clients on two members, one behind the other's back, before anything is committed.
#[test]
fn clients_of_two_members() {
    let mut ensemble = Ensemble::new();
    ensemble.serve();
    let leader = ensemble.leader();
    let follower = 1 + leader % 3;
    let session = ensemble.connect(leader, 1, None);
    ensemble.connect(follower, 2, None);
    ensemble.ask(leader, 1, &Request::Create(create("/a", 0))).expect("created");
    let sequential = Request::Create(create("/a/n-", 2));
    for at in 0..6 {
        let (member, client) = if at % 2 == 0 { (leader, 1) } else { (follower, 2) };
        ensemble.send(member, client, at, &sequential);
    }
    for _ in 0..6 {
        ensemble.reply(&sequential).expect("created");
    }
    let six: Vec<String> = (0..6).map(|n| format!("n-{n:010}")).collect();
    assert_eq!(names(ensemble.ask(follower, 2, &children("/a"))), six);

    let multi = |ops| Request::Multi(MultiRequest { ops });
    let both = multi(vec![Op::Create(create("/b", 1)), Op::SetData(set("/a", 0))]);
    ensemble.ask(leader, 1, &both).expect("done");
    let neither = multi(vec![Op::Create(create("/c", 1)), Op::SetData(set("/a", 0))]);
    ensemble.ask(follower, 2, &neither).expect("answered");
    assert_eq!(names(ensemble.ask(follower, 2, &children("/"))), ["a", "b", "zookeeper"]);
    let missing = Request::GetData(GetDataRequest { path: text("/c"), watch: false });
    assert_eq!(ensemble.ask(leader, 1, &missing), Err(code::NO_NODE));
    ensemble.assert_equal();

    // The session moves to the follower; what the leader's connection still sends is refused.
    ensemble.connect(follower, 3, Some(session));
    assert_eq!(ensemble.ask(leader, 1, &Request::SetData(set("/a", -1))), Err(code::SESSION_MOVED));
    ensemble.ask(follower, 3, &Request::CloseSession).expect("closed");
    ensemble.forget_replies();
    assert_eq!(names(ensemble.ask(follower, 2, &children("/"))), ["a", "zookeeper"]);
    ensemble.assert_equal();
}

/// Members that were away, one of them with an empty disk, while snapshots were taken and logs rolled.
#[test]
fn members_that_were_away() {
    let mut ensemble = Ensemble::new();
    ensemble.serve();
    let leader = ensemble.leader();
    let (away, other) = (1 + leader % 3, 1 + (leader + 1) % 3);
    ensemble.connect(leader, 1, None);
    ensemble.ask(leader, 1, &Request::Create(create("/a", 0))).expect("created");
    ensemble.stop(away);
    let write = |ensemble: &mut Ensemble, n: usize| {
        let path = format!("/a/{n}");
        ensemble
            .ask(leader, 1, &Request::Create(create(&path, i32::from(n.is_multiple_of(3)))))
            .expect("created");
        if n.is_multiple_of(2) {
            let delete = DeleteRequest { path: text(&format!("/a/{}", n / 2)), version: -1 };
            _ = ensemble.ask(leader, 1, &Request::Delete(delete));
        }
    };
    for n in 0..150 {
        write(&mut ensemble, n);
    }
    ensemble.pass(1000);
    let taken =
        ensemble.events.iter().filter(|(_, event)| matches!(event, Event::SnapshotTaken { .. })).count();
    assert!(taken >= 4, "{taken} snapshots");
    ensemble.lose_disk(away);
    ensemble.start(away);
    ensemble.serve();
    ensemble.assert_equal();
    for n in 150..170 {
        write(&mut ensemble, n);
    }
    ensemble.stop(other);
    for n in 170..175 {
        write(&mut ensemble, n);
    }
    ensemble.start(other);
    ensemble.serve();
    ensemble.assert_equal();

    // All of them at once, from their disks alone.
    let digest = ensemble.state(leader).digest();
    (1..=3).for_each(|sid| ensemble.stop(sid));
    (1..=3).for_each(|sid| ensemble.start(sid));
    ensemble.serve();
    ensemble.forget_replies();
    ensemble.assert_equal();
    assert_eq!(ensemble.state(1).digest(), digest);
    // The session is gone in time, and what it owned.
    let owned = |ensemble: &Ensemble| ensemble.state(2).database().tree.sessions_with_ephemerals().count();
    assert_eq!(owned(&ensemble), 1);
    ensemble.pass(60_000);
    assert_eq!(owned(&ensemble), 0);
    ensemble.assert_equal();
}

/// Each member has it from its own file; it is in no digest, and clients cannot change it.
#[test]
fn the_configuration_on_every_member() {
    let mut ensemble = Ensemble::new();
    ensemble.serve();
    let expected = "server.1=h1:2888:3888:participant\nserver.2=h2:2888:3888:participant\n\
                    server.3=h3:2888:3888:participant\nversion=0";
    let get = Request::GetData(GetDataRequest { path: text("/zookeeper/config"), watch: true });
    let config_of = |ensemble: &mut Ensemble, sid: i64, client: u64| {
        ensemble.connect(sid, client, None);
        match ensemble.ask(sid, client, &get) {
            Ok(Response::GetData(found)) => (found.data.expect("some"), found.stat),
            other => panic!("{other:?}"),
        }
    };
    for sid in 1..=3 {
        let (data, stat) = config_of(&mut ensemble, sid, sid as u64);
        assert_eq!(data, text(expected));
        assert_eq!((stat.version, stat.mzxid.0, stat.data_length), (-1, 0, expected.len() as i32));
        assert!(stat.mtime >= 1_700_000_000_000);
    }
    let set_it = Request::SetData(set("/zookeeper/config", -1));
    assert_eq!(ensemble.ask(1, 1, &set_it), Err(code::NO_AUTH));
    let joins = Request::Reconfig(ReconfigRequest {
        joining_servers: NullableString(Some("server.4=h4:2888:3888".into())),
        leaving_servers: NullableString(None),
        new_members: NullableString(None),
        cur_config_id: -1,
    });
    assert_eq!(ensemble.ask(2, 2, &joins), Err(code::RECONFIG_DISABLED));
    ensemble.assert_equal();
    // Behind a snapshot of the leader's, too.
    let away = 1 + ensemble.leader() % 3;
    ensemble.stop(away);
    ensemble.lose_disk(away);
    ensemble.start(away);
    ensemble.serve();
    assert_eq!(config_of(&mut ensemble, away, 7).0, text(expected));
    ensemble.assert_equal();
}

/// An old log may make nodes for a session that it never opened: a new leader closes it, on all members.
#[test]
fn a_session_that_nobody_opened() {
    let mut ensemble = Ensemble::new();
    ensemble.serve();
    ensemble.connect(1, 1, None);
    let (leader, zxid) = (ensemble.leader(), ensemble.last_zxid().next());
    (1..=3).for_each(|sid| ensemble.stop(sid));
    let header =
        TxnHeader { client_id: SessionId(9), cxid: 1, zxid, time_ms: 1_700_000_000_000, kind: op::CREATE };
    let path = text("/orphan");
    let made = CreateTxn { path, data: None, acl: None, ephemeral: true, parent_c_version: 1 };
    let txn = Txn::new(header, TxnBody::Create(made), None).to_bytes();
    ensemble.append(leader, vec![TxnEntry { zxid, txn }]);
    (1..=3).for_each(|sid| ensemble.start(sid));
    ensemble.serve();
    assert_eq!(ensemble.state(leader).database().orphans(), [SessionId(9)]);
    ensemble.pass(2000);
    for sid in 1..=3 {
        assert!(ensemble.state(sid).database().tree.find(b"/orphan").is_none(), "on {sid}");
    }
    ensemble.assert_equal();
}

/// With a larger `jute.maxbuffer`, records beyond what is usual go through log, DIFF and snapshots, and are read
/// again; what is beyond that is refused.
#[test]
fn long_records() {
    let mut ensemble = Ensemble::with_limit(3 << 20);
    ensemble.serve();
    let leader = ensemble.leader();
    let (away, other) = (1 + leader % 3, 1 + (leader + 1) % 3);
    ensemble.connect(leader, 1, None);
    let long = |path: &str, len: usize| CreateRequest { data: Some(vec![7; len].into()), ..create(path, 0) };
    ensemble.stop(away);
    ensemble.ask(leader, 1, &Request::Create(long("/long", 3_000_000))).expect("created");
    // The transaction is longer than the request: each part has its header.
    let three = ["/a", "/b", "/c"].map(|path| Op::Create(long(path, 1_000_000)));
    ensemble.ask(leader, 1, &Request::Multi(MultiRequest { ops: three.into() })).expect("created");
    ensemble.start(away);
    ensemble.serve();
    ensemble.assert_equal();
    ensemble.stop(other);
    ensemble.lose_disk(other);
    ensemble.start(other);
    ensemble.serve();
    ensemble.assert_equal();
    for n in 0..150 {
        ensemble.ask(leader, 1, &Request::Create(create(&format!("/{n}"), 0))).expect("created");
    }
    let digest = ensemble.state(leader).digest();
    (1..=3).for_each(|sid| ensemble.stop(sid));
    (1..=3).for_each(|sid| ensemble.start(sid));
    ensemble.serve();
    ensemble.assert_equal();
    assert_eq!(ensemble.state(leader).digest(), digest);
}
