//! Transactions in PROPOSALs and INFORMs of real ensembles decode into their records, and encode to the
//! same bytes again; and the cases by which a body's release is told.

mod common;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use common::{files, frames};
use wire::txn::{CloseSessionTxn, CreateTxn, CreateTxnV0, ErrorTxn, MultiTxn, SubTxn};
use wire::{Acl, Direction, Jute, OpCode, Packet, Reader, SessionId, Txn, TxnBody, TxnHeader, Zxid, op};

#[test]
fn every_transaction_on_the_wire() {
    let mut count = BTreeMap::<String, u32>::new();
    let mut failed = 0;
    for file in files("quorum") {
        for frame in frames(&file).into_iter().filter(|f| f.kind == "quorum" && f.dir == "<") {
            let packet = match frame.name.as_str() {
                "SNAPSHOT" => continue,
                _ => Packet::decode(&mut Reader::new(frame.bytes), Direction::ToLearner).expect("a packet"),
            };
            let (Packet::Proposal { zxid, txn: bytes } | Packet::Inform { zxid, txn: bytes }) = packet else {
                continue;
            };
            let txn = Txn::decode(&bytes).unwrap_or_else(|e| panic!("{}: {zxid}: {e}", file.display()));
            assert_eq!(txn.to_bytes(), bytes, "{}: {zxid}", file.display());
            assert!(!matches!(txn.body, TxnBody::Other(_) | TxnBody::CreateV0(_)), "{txn:?}");
            assert!(txn.rest.is_empty(), "{}: {txn:?}", file.display());
            if let TxnBody::Multi(multi) = &txn.body {
                for part in &multi.txns {
                    let body = part.body().unwrap_or_else(|e| panic!("{}: {zxid}: {e}", file.display()));
                    if let Some(body) = body {
                        assert_eq!(SubTxn::new(part.kind, &body), *part, "{}: {zxid}", file.display());
                    }
                }
                failed += u32::from(multi.failed());
            }
            *count.entry(OpCode::of(txn.header.kind).expect("a known type").to_string()).or_default() += 1;
        }
    }
    // create, create2, createContainer, createTTL, delete, setData, setACL, multi, sessions, errors, reconfig.
    assert_eq!(count.len(), 12, "{count:?}");
    assert!(count.values().sum::<u32>() > 1000 && failed > 5, "{failed} failed of {count:?}");
}

fn bytes_of(kind: i32, body: &[u8]) -> Bytes {
    let header = TxnHeader { client_id: SessionId(1), cxid: 2, zxid: Zxid(3), time_ms: 4, kind };
    let mut out = BytesMut::new();
    header.write(&mut out);
    out.extend_from_slice(body);
    out.freeze()
}

fn decoded(kind: i32, body: &[u8]) -> Txn {
    let bytes = bytes_of(kind, body);
    let txn = Txn::decode(&bytes).expect("a transaction");
    assert_eq!(txn.to_bytes(), bytes);
    txn
}

const DIGEST: [u8; 12] = [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7];

/// | behind `ephemeral` | |
/// |---|---|
/// | nothing, or less than an int | the record of before 3.4 |
/// | an int | the record |
/// | an int and 12 bytes | the record and a digest |
#[test]
fn a_create_of_each_age() {
    let v0 = CreateTxnV0 {
        path: Bytes::from_static(b"/a"),
        data: None,
        acl: Some(vec![Acl::open()]),
        ephemeral: true,
    };
    let old = v0.to_bytes();
    let new = [&old[..], &[0, 0, 0, 9]].concat();
    let CreateTxnV0 { path, data, acl, ephemeral } = v0.clone();
    let v1 = CreateTxn { path, data, acl, ephemeral, parent_c_version: 9 };

    let txn = decoded(op::CREATE, &old);
    assert_eq!((txn.body, txn.rest.len()), (TxnBody::CreateV0(v0.clone()), 0));
    let txn = decoded(op::CREATE, &[&old[..], &[1, 2, 3]].concat());
    assert_eq!((txn.body, txn.rest.len()), (TxnBody::CreateV0(v0), 3));
    let txn = decoded(op::CREATE, &new);
    assert_eq!((txn.body, txn.digest), (TxnBody::Create(v1.clone()), None));
    let txn = decoded(op::CREATE2, &[&new[..], &DIGEST].concat());
    assert_eq!(txn.body, TxnBody::Create(v1));
    assert_eq!(txn.digest.expect("a digest").tree_digest, 0x1_0000_0007);
}

/// The rows of `read_close_session`.
#[test]
fn a_close_session_of_each_age() {
    let paths = |paths: &[&'static str]| {
        Some(CloseSessionTxn {
            paths2_delete: paths.iter().map(|path| Bytes::from_static(path.as_bytes())).collect(),
        })
    };
    let one = b"\0\0\0\x01\0\0\0\x02/e";
    for (body, expected, digest) in [
        (&b""[..], None, false),
        (&DIGEST, None, true),
        (&[0; 4], paths(&[]), false),
        (&[&[0; 4][..], &DIGEST].concat(), paths(&[]), true),
        (one, paths(&["/e"]), false),
        (&[&one[..], &DIGEST].concat(), paths(&["/e"]), true),
    ] {
        let txn = decoded(op::CLOSE_SESSION, body);
        assert_eq!(txn.body, TxnBody::CloseSession(expected), "{body:?}");
        assert_eq!(txn.digest.is_some(), digest, "{body:?}");
    }
}

/// Of a part that failed nothing but the type is looked at.
#[test]
fn a_failed_part_may_have_any_body() {
    let error = TxnBody::Error(ErrorTxn { err: -101 });
    for data in [Some(Bytes::new()), None, Some(Bytes::from_static(b"\0\0\0\x02/a"))] {
        assert_eq!(SubTxn { kind: op::ERROR, data }.body(), Ok(None));
    }
    let good = SubTxn { kind: op::DELETE, data: Some(Bytes::from_static(b"\0\0\0\x02/a")) };
    assert!(SubTxn { data: None, ..good.clone() }.body().is_err());
    assert!(!MultiTxn { txns: vec![good.clone()] }.failed());
    assert!(MultiTxn { txns: vec![good, SubTxn::new(op::ERROR, &error)] }.failed());
    assert!(!MultiTxn { txns: Vec::new() }.failed());
}
