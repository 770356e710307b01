//! A server that is no member of an ensemble: no election, zxids that go on where the disk ends, sessions that outlive
//! the process.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::BytesMut;
use common::alone::{Server, conn, create, exists, framed};
use peer::{DiskError, DiskOp, Input, Role, Settings};
use storage::{MemFs, Storage, StorageSettings};
use wire::client::{CreateRequest, GetDataRequest, Request, SyncRequest};
use wire::{Acl, Epoch, SnapshotRecord, SnapshotWriter, StatPersisted, Zxid, code};

fn alone() -> Settings {
    Settings { standalone: true, ..Settings::default() }
}

fn restarted(server: Server) -> Server {
    let mut storage = server.storage;
    storage.forget_memory();
    Server::with_disk(alone(), storage)
}

fn ephemeral(path: &str) -> Request {
    let (data, acl) = (None, Some(vec![Acl::open()]));
    Request::Create(CreateRequest { path: path.to_owned().into(), data, acl, flags: 1 })
}

#[test]
fn it_serves_at_once() {
    let mut server = Server::new(alone());
    assert_eq!(server.peer.role(), Role::Standalone);
    assert!(server.peer.status().serving && server.network.is_empty(), "{:?}", server.network);
    assert_eq!(server.now, peer::Nanos::ZERO, "it waits for nobody");
    server.connect(1, "10.0.0.1");
    // The session was the first.
    assert_eq!(server.ask(1, &create("/a", 3)).zxid, Zxid(2));
    let config = Request::GetData(GetDataRequest { path: "/zookeeper/config".into(), watch: false });
    let read = server.ask(1, &config);
    assert_eq!((read.err, read.zxid), (code::OK, Zxid(2)), "it is there, and empty");
    assert_eq!(server.ask(1, &create("/a", 3)).err, code::NODE_EXISTS);
    assert_eq!(server.ask(1, &exists("/a", false)).zxid, Zxid(3), "a write that failed took its zxid");
}

#[test]
fn what_is_not_durable_is_not_answered() {
    let mut server = Server::new(alone());
    server.connect(1, "10.0.0.1");
    server.connect(2, "10.0.0.2");
    server.slow = Some(Vec::new());
    server.say(1, framed(1, &create("/a", 1)));
    server.say(1, framed(2, &exists("/a", false)));
    server.say(1, framed(3, &Request::Sync(SyncRequest { path: "/".into() })));
    server.say(2, framed(1, &exists("/a", false)));
    assert!(server.replies(1).is_empty(), "a read waits for its session's write");
    assert_eq!(server.replies(2)[0].err, code::NO_NODE);
    server.is_fast();
    let replies: Vec<_> = server.replies(1).iter().map(|reply| (reply.xid, reply.err)).collect();
    assert_eq!(replies, [(1, code::OK), (2, code::OK), (3, code::OK)]);
}

#[test]
fn sessions_and_zxids_go_on_behind_a_restart() {
    let mut server = Server::new(alone());
    let (session, passwd) = server.resume(1, "10.0.0.1", wire::SessionId(0), None);
    assert_eq!(server.ask(1, &ephemeral("/mine")).zxid, Zxid(2));
    let mut server = restarted(server);
    server.connect(2, "10.0.0.2");
    assert_eq!(server.ask(2, &exists("/mine", false)).err, code::OK);
    assert_eq!(server.ask(2, &create("/b", 1)).zxid, Zxid(4));
    // It comes back in time, and then not.
    server.pass(20_000);
    assert_eq!(server.resume(3, "10.0.0.1", session, passwd.clone()).0, session);
    server.input(Input::Closed { conn: conn(3), reason: peer::CloseReason::Eof });
    server.pass(29_000);
    assert!(server.peer.state().tree().expect("a tree").database().tree.find(b"/mine").is_some());
    server.pass(3_000);
    assert!(server.peer.state().tree().expect("a tree").database().tree.find(b"/mine").is_none());
    assert_eq!(server.resume(4, "10.0.0.1", session, passwd).0, wire::SessionId(0));
}

/// Of an ensemble's former member: the next epoch begins where the counter is at its end, in both files.
#[test]
fn a_counter_at_its_end() {
    let last = Zxid::new(Epoch(1), u32::MAX - 3);
    let mut storage =
        Storage::new(MemFs::default(), StorageSettings { prealloc: 0, ..StorageSettings::default() });
    let mut body = BytesMut::new();
    SnapshotWriter::count(&mut body, 0);
    SnapshotWriter::count(&mut body, 0);
    for path in ["", "/zookeeper"] {
        let stat = StatPersisted::default();
        let node = SnapshotRecord::Node { path: path.into(), data: None, acl_key: -1, stat };
        SnapshotWriter::record(&mut body, &node);
    }
    SnapshotWriter::end(&mut body);
    let bytes = body.freeze();
    for op in [
        DiskOp::Load,
        DiskOp::WriteEpoch(peer::EpochFile::AcceptedEpoch, Epoch(1)),
        DiskOp::WriteEpoch(peer::EpochFile::CurrentEpoch, Epoch(1)),
        DiskOp::SnapshotSlice { zxid: last, bytes },
        DiskOp::SnapshotFinish { zxid: last },
    ] {
        storage.execute(&op).expect("done");
    }
    storage.forget_memory();
    let mut server = Server::with_disk(alone(), storage);
    server.connect(1, "10.0.0.1");
    assert_eq!(server.ask(1, &create("/a", 1)).zxid, Zxid::new(Epoch(1), u32::MAX - 1));
    // Those that wait for the epoch go on in their order.
    server.say(1, framed(7, &create("/b", 1)));
    server.say(1, framed(8, &create("/c", 1)));
    let zxids: Vec<_> = server.replies(1).iter().map(|reply| reply.zxid).collect();
    assert_eq!(zxids, [1, 2].map(|counter| Zxid::new(Epoch(2), counter)));
    let mut server = restarted(server);
    assert_eq!(server.peer.status().epoch, Epoch(2));
    server.connect(2, "10.0.0.2");
    for path in ["/a", "/b", "/c"] {
        assert_eq!(server.ask(2, &exists(path, false)).err, code::OK, "{path}");
    }
}

#[test]
fn a_disk_that_fails_ends_it() {
    let mut server = Server::new(alone());
    server.connect(1, "10.0.0.1");
    server.slow = Some(Vec::new());
    server.say(1, framed(1, &create("/a", 1)));
    for done in server.slow.take().expect("slow") {
        let Input::Disk(mut done) = done else { unreachable!("of the disk") };
        done.result = Err(DiskError::NoSpace("log.1".into()));
        server.input(Input::Disk(done));
    }
    assert!(server.halted.as_ref().is_some_and(|why| why.contains("log.1")), "{:?}", server.halted);
    assert_eq!(server.closed, [conn(1)]);
    assert!(server.replies(1).is_empty());
}
