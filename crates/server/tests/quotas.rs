//! Quotas: what the limits refuse, and what a server counts, which no client must be able to disturb.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::BytesMut;
use common::alone::{Server, create, delete, set, text};
use server::data_tree::Walk;
use server::{Settings, ZooKeeperServer};
use wire::client::{CreateRequest, Request, Response};
use wire::{SnapshotRecord, code};
use zab::StateMachine;

fn node(path: &str, data: &str) -> CreateRequest {
    CreateRequest { data: Some(text(data)), ..create(path, 0) }
}

/// Bytes of all paths and data, counted one by one.
fn size(server: &Server) -> u64 {
    let (tree, mut bytes) = (&server.server.database().tree, 0);
    let mut walk = Walk::new(tree);
    while let Some((id, path)) = walk.next_node() {
        bytes += path.len() + tree.node(id).data().map_or(0, <[u8]>::len);
    }
    bytes as u64
}

/// Another server with what this one writes as a snapshot, its records changed.
fn loaded(server: &Server, change: impl Fn(SnapshotRecord) -> SnapshotRecord) -> ZooKeeperServer {
    let mut again = ZooKeeperServer::new(Settings::default());
    again.clear();
    let mut slices = BytesMut::new();
    let mut cursor = server.server.snapshot_begin();
    while !server.server.snapshot_slice(&mut cursor, 50, &mut slices) {}
    let mut parser = wire::SnapshotParser::new();
    parser.feed(slices.freeze());
    while let Some(record) = parser.next_record().expect("a record") {
        again.restore(change(record)).expect("restored");
    }
    again
}

#[test]
fn quotas() {
    let mut server = Server::new(Settings { enforce_quota: true, ..Settings::default() });
    for path in ["/a", "/a/b", "/zookeeper/quota/a"] {
        server.create(path);
    }
    let limits = "count=1,bytes=-1=;byteHardLimit=10;countHardLimit=3";
    server.write(&Request::Create(node("/zookeeper/quota/a/zookeeper_limits", limits))).expect("created");
    server.write(&Request::Create(node("/zookeeper/quota/a/zookeeper_stats", "anything"))).expect("created");
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    assert_eq!(server.data(stats), "count=2,bytes=2");
    server.create("/ab");
    server.create("/a/c");
    assert_eq!(server.data(stats), "count=3,bytes=3");
    assert_eq!(server.write(&Request::Create(create("/a/d", 0))), Err(code::QUOTA_EXCEEDED));
    server.write(&delete("/a/c")).expect("deleted");
    assert_eq!(server.write(&set("/a", "123456789")).map(|_| ()), Ok(()));
    assert_eq!(server.data(stats), "count=2,bytes=10");
    assert_eq!(server.write(&set("/a/b", "xx")), Err(code::QUOTA_EXCEEDED));
    assert_eq!(server.write(&set("/a/b", "y")).map(|_| ()), Ok(()));
    assert_eq!(server.mismatches(), 0, "statistics are in no digest");
    // Above limits that came later, what adds nothing is no matter; -1 is no limit.
    let limits = |text: &str| set("/zookeeper/quota/a/zookeeper_limits", text);
    server.write(&limits("count=1,bytes=1=;byteHardLimit=5;countHardLimit=1")).expect("set");
    for (data, expected) in [("z", Ok(())), ("", Err(code::QUOTA_EXCEEDED))] {
        assert_eq!(server.write(&set("/a/b", data)).map(|_| ()), expected, "{data}");
    }
    server.write(&limits("count=1,bytes=1=;byteHardLimit=-1;countHardLimit=-1")).expect("set");
    server.create("/a/more");
    server.write(&delete("/a/more")).expect("deleted");

    // Loaded again, everything is counted anew.
    server.server = loaded(&server, |record| match record {
        SnapshotRecord::Node { path, acl_key, stat, .. } if path == stats => {
            SnapshotRecord::Node { path, data: Some(text("count=77,bytes=0")), acl_key, stat }
        }
        other => other,
    });
    assert_eq!(server.data(stats), "count=2,bytes=10");

    server.write(&delete("/zookeeper/quota/a/zookeeper_limits")).expect("deleted");
    server.create("/a/d");
    assert_eq!(server.data(stats), "count=2,bytes=10", "without limits nothing is counted");
    // Text that is no statistics stops nobody.
    server.write(&Request::Create(node("/zookeeper/quota/a/zookeeper_limits", "count"))).expect("created");
    server.write(&set(stats, "count=x")).expect("set");
    server.create("/a/e");
    assert_eq!(server.mismatches(), 0);
}

/// A change counts for the deepest path with limits only; a server that loads the tree counts everything for
/// each, be it written before the quotas or behind them.
#[test]
fn quotas_in_one_another() {
    for top in ["/a", "/zz"] {
        let mut server = Server::new(Settings::default());
        let below = |path: &str| format!("{top}{path}");
        let quotas = [format!("/zookeeper/quota{top}"), format!("/zookeeper/quota{top}/b")];
        for path in [top, &below("/b"), &quotas[0], &quotas[1]] {
            server.create(path);
        }
        for of in &quotas {
            for name in ["zookeeper_limits", "zookeeper_stats"] {
                server.write(&Request::Create(node(&format!("{of}/{name}"), "count=9"))).expect("created");
            }
        }
        let stats = |server: &Server| {
            let [outer, inner] = &quotas;
            [outer, inner].map(|of| server.data(&format!("{of}/zookeeper_stats")))
        };
        server.create(&below("/b/c"));
        server.create(&below("/c"));
        assert_eq!(stats(&server), ["count=3,bytes=3", "count=2,bytes=2"]);
        server.write(&set(&below("/b/c"), "1234")).expect("set");
        server.write(&delete(&below("/c"))).expect("deleted");
        assert_eq!(stats(&server), ["count=2,bytes=2", "count=2,bytes=5"]);
        server.server = loaded(&server, |record| record);
        assert_eq!(stats(&server), ["count=3,bytes=6", "count=2,bytes=5"], "{top}");
        assert_eq!(server.server.database().tree.approximate_data_size(), size(&server));
    }
}

/// Statistics grow by themselves: their bytes are added, too, or deleting them takes away what never came.
#[test]
fn the_size_of_the_tree_with_statistics() {
    let mut server = Server::new(Settings::default());
    for path in ["/a", "/zookeeper/quota/a"] {
        server.create(path);
    }
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    let limits = "/zookeeper/quota/a/zookeeper_limits";
    for _ in 0..10 {
        // Without data; the server writes some.
        server.write(&Request::Create2(node(stats, ""))).expect("created");
        assert_eq!(server.data(stats), "count=1,bytes=1");
        server.write(&Request::Create(node(limits, "count=1"))).expect("created");
        server.write(&set(stats, "")).expect("set");
        for child in ["/a/b", "/a/c"] {
            server.create(child);
        }
        assert_eq!(server.data(stats), "count=1,bytes=1");
        assert_eq!(server.server.database().tree.approximate_data_size(), size(&server));
        for path in ["/a/b", limits, stats, "/a/c"] {
            server.write(&delete(path)).expect("deleted");
        }
        assert_eq!(server.server.database().tree.approximate_data_size(), size(&server));
    }
}

/// The answer tells of the node as it was asked for; the count comes behind it.
#[test]
fn the_stat_of_new_statistics() {
    let mut server = Server::new(Settings::default());
    server.create("/zookeeper/quota/a");
    let made = server.write(&Request::Create2(node("/zookeeper/quota/a/zookeeper_stats", "12345")));
    let Ok(Response::Create2(made)) = made else { panic!("{made:?}") };
    assert_eq!(made.stat.data_length, 5);
}
