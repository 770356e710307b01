//! What would be too long: no transaction that a log or another member cannot read, whatever the request.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::Bytes;
use common::alone::{SESSION, Server, body, create};
use server::Settings;
use wire::client::{CreateRequest, MultiRequest, Op, OpResult, Request, Response};
use wire::txn::CreateTxn;
use wire::{Acl, Id, SessionId, Txn, TxnBody, TxnHeader, code, op};
use zab::StateMachine;

/// Of a record on the wire and in a log: twice `jute.maxbuffer`.
const LONGEST: usize = 2 * 0xf_ffff;

fn long(name: char, len: usize) -> String {
    format!("/{name}{}", "x".repeat(len - 2))
}

fn ephemeral(name: char) -> CreateRequest {
    create(&long(name, 700_000), 1)
}

/// The end of a session lists its nodes; those that would make it too long are refused, be the others applied
/// or prepared only.
#[test]
fn the_list_of_a_session_that_ends() {
    for applied in [true, false] {
        let mut server = Server::new(Settings::default());
        // What is taken back does not count.
        let fails = vec![Op::Create(ephemeral('a')), Op::Create(ephemeral('b')), Op::Create(ephemeral('a'))];
        let multi = body(&Request::Multi(MultiRequest { ops: fails }));
        let small = body(&Request::Create(create("/small", 1)));
        let mut prepared =
            vec![server.prepare(SESSION, op::CREATE, &small), server.prepare(SESSION, op::MULTI, &multi)];
        for name in ['a', 'b', 'c'] {
            prepared.push(server.prepare(SESSION, op::CREATE, &body(&Request::Create(ephemeral(name)))));
            if applied {
                for (zxid, txn) in prepared.drain(..) {
                    _ = server.server.apply(zxid, &txn);
                }
            }
        }
        let (zxid, close) = server.prepare(SESSION, op::CLOSE_SESSION, &Bytes::new());
        assert!(close.len() <= LONGEST);
        for (zxid, txn) in prepared {
            _ = server.server.apply(zxid, &txn);
        }
        let tree = &server.server.database().tree;
        let there = ['a', 'b', 'c'].map(|name| tree.find(long(name, 700_000).as_bytes()).is_some());
        assert_eq!(there, [true, true, false], "applied: {applied}");
        let TxnBody::CloseSession(Some(list)) = Txn::decode(&close).expect("readable").body else {
            panic!("a list");
        };
        assert_eq!(list.paths2_delete.len(), 3);
        server.server.apply(zxid, &close).result.expect("closed");
        assert_eq!(server.server.database().tree.node_count(), 4);
        assert_eq!((server.mismatches(), server.server.outstanding_changes()), (0, 0));
    }
    let mut server = Server::new(Settings::default());
    for name in ['a', 'b'] {
        server.write(&Request::Create(ephemeral(name))).expect("created");
    }
    assert_eq!(server.write(&Request::Create(ephemeral('c'))), Err(code::QUOTA_EXCEEDED));
    server.write(&Request::Create(CreateRequest { flags: 0, ..ephemeral('c') })).expect("nobody's");
    server.write(&common::alone::delete(&long('a', 700_000))).expect("deleted");
    server.write(&Request::Create(ephemeral('d'))).expect("there is room again");
}

/// Another leader let the session have them: no list at all, and no digest, which Java would read as one.
#[test]
fn a_session_that_has_too_many() {
    let mut server = Server::new(Settings::default());
    for name in ['a', 'b', 'c'] {
        server.zxid = server.zxid.next();
        let path = long(name, 700_000).into();
        let make = CreateTxn { path, data: None, acl: None, ephemeral: true, parent_c_version: -1 };
        let header =
            TxnHeader { client_id: SESSION, cxid: 1, zxid: server.zxid, time_ms: 1, kind: op::CREATE };
        let txn = Txn::new(header, TxnBody::Create(make), None).to_bytes();
        server.server.apply(server.zxid, &txn).result.expect("created");
    }
    let (zxid, close) = server.prepare(SESSION, op::CLOSE_SESSION, &Bytes::new());
    assert_eq!(Txn::decode(&close).expect("readable").body, TxnBody::CloseSession(None));
    assert_eq!(close.len(), 32, "a header");
    server.server.apply(zxid, &close).result.expect("closed");
    assert_eq!(server.server.database().tree.node_count(), 4);
    server.raw(SessionId(1), op::CREATE_SESSION, &Bytes::from_static(&[0, 0, 16, 0])).expect("opened");
    assert_eq!((server.mismatches(), server.server.outstanding_changes()), (0, 0));
}

/// A client's ids stand for one entry of a list; so short requests make long transactions.
#[test]
fn lists_that_grow() {
    let mut server = Server::new(Settings::default());
    server.auth =
        (0..1000).map(|n| Id { scheme: "digest".into(), id: format!("{n:0100}:x").into() }).collect();
    let node = |path: &str, entries: i32| {
        let all = |perms| Acl { perms, id: Id::of("auth", "") };
        CreateRequest { acl: Some((0..entries).map(all).collect()), ..create(path, 0) }
    };
    assert_eq!(server.write(&Request::Create(node("/long", 31))), Err(code::INVALID_ACL));
    server.write(&Request::Create(node("/a", 8))).expect("created");
    let ops = ["/b", "/c", "/d"].map(|path| Op::Create(node(path, 8))).to_vec();
    let multi = body(&Request::Multi(MultiRequest { ops: ops.clone() }));
    let (zxid, refused) = server.prepare(SESSION, op::MULTI, &multi);
    assert_eq!(server.server.outstanding_changes(), 0, "nothing of it will come");
    assert_eq!(server.server.apply(zxid, &refused).result, Err(code::MARSHALLING_ERROR));
    let multi = Request::Multi(MultiRequest { ops: ops[..2].to_vec() });
    let Ok(Response::Multi(made)) = server.write(&multi) else { panic!("a reply") };
    assert!(made.results.iter().all(|result| matches!(result, OpResult::Create(_))));
    assert_eq!(server.mismatches(), 0);
}
