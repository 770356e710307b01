//! Watches: what fires, for whom and in which order, and how they go.
#![allow(clippy::disallowed_methods)]

mod common;

use common::alone::{Server, create, delete, set, text};
use server::Settings;
use wire::client::{
    AddWatchRequest, ExistsRequest, GetChildrenRequest, GetDataRequest, MultiRequest, Op,
    RemoveWatchesRequest, Request, Response, SetACLRequest, SetDataRequest, SetWatches2,
};
use wire::{Acl, Id, WatcherType, code};
use zab::ClientId;

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

/// Of any kind: those of both tables, at once.
#[test]
fn watches_removed_together() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    server.read(1, &exists("/a")).expect("read");
    server.read(1, &children("/a")).expect("read");
    let kind = WatcherType::Any.number();
    let remove = Request::RemoveWatches(RemoveWatchesRequest { path: text("/a"), kind });
    assert_eq!(server.read(1, &remove), Ok(Response::Empty));
    assert_eq!(server.read(1, &remove), Err(code::NO_WATCHER));
    server.write(&delete("/a")).expect("deleted");
    assert!(server.events().is_empty());
}

/// What waited for a connection goes with it: another one may have its number.
#[test]
fn events_of_a_connection_that_is_gone() {
    let mut server = Server::new(Settings::default());
    server.create("/a");
    for client in [1, 2] {
        server.read(client, &exists("/a")).expect("read");
    }
    server.write(&set("/a", "y")).expect("set");
    server.server.client_gone(ClientId(1));
    assert_eq!(server.events(), ["2 NodeDataChanged /a"]);
}

#[test]
fn a_path_that_cannot_be() {
    let mut server = Server::new(Settings::default());
    assert_eq!(server.read(1, &exists("/a\0")), Err(code::BAD_ARGUMENTS));
    assert!(server.server.watches().data_table().is_empty());
}
