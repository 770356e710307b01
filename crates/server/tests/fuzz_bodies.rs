//! A bounded run of the fuzz targets: the same bodies, on bytes that are valid requests, damaged.
#![allow(clippy::disallowed_methods)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use bytes::BytesMut;
use proptest::prelude::*;
use wire::client::{CreateRequest, GetDataRequest, MultiRequest, Op, Request, SetWatches2};
use wire::{Acl, Zxid};

/// `type, length, body` of some requests, as `bodies::requests` takes them.
fn corpus() -> Vec<Vec<u8>> {
    let create = |flags| CreateRequest {
        path: "/a".into(),
        data: Some("d".into()),
        acl: Some(vec![Acl::open()]),
        flags,
    };
    let list = || vec!["/a".into()];
    let requests = [
        Request::Create(create(1)),
        Request::Create2(create(2)),
        Request::Multi(MultiRequest { ops: vec![Op::Create(create(0)), Op::Create(create(0))] }),
        Request::GetData(GetDataRequest { path: "/a".into(), watch: true }),
        Request::SetWatches2(SetWatches2 {
            relative_zxid: Zxid(0),
            data_watches: list(),
            exist_watches: list(),
            child_watches: list(),
            persistent_watches: list(),
            persistent_recursive_watches: list(),
        }),
        Request::CloseSession,
        Request::Ping,
    ];
    let entry = |request: &Request| {
        let mut body = BytesMut::new();
        request.encode(&mut body);
        [&[request.op() as u8, body.len() as u8][..], &body].concat()
    };
    requests.iter().map(entry).collect()
}

/// Some of the corpus, one behind the other, with a few bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let corpus = corpus();
    let parts = prop::collection::vec(0..corpus.len(), 1..6);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (parts, changes).prop_map(move |(parts, changes)| {
        let mut bytes: Vec<u8> = parts.into_iter().flat_map(|part| corpus[part].clone()).collect();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// More, to hunt.
fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn decoders(data in damaged()) {
        bodies::decoders(&data);
    }

    #[test]
    fn requests(data in damaged()) {
        bodies::requests(&data);
    }

    #[test]
    fn client_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        bodies::client_bytes(&data);
    }
}

#[test]
fn requests_that_are_right() {
    // Its session, six replies (none behind closeSession), three events that setWatches finds missed, one of its
    // own end.
    assert_eq!(bodies::requests(&corpus().concat()), 11);
}
