//! What a Java leader proposed for its learners' requests, proposed again: from the same requests, at the same
//! zxids and times, Prep makes the same transactions, byte for byte, digests included.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use server::{Settings, ZooKeeperServer};
use wire::{
    Direction, ForwardedRequest, Inbound, Packet, QuorumStream, SessionId, Txn, TxnBody, Zxid, code, op,
};
use zab::{StateMachine, WriteRequest};

/// All packets of a recording, in their order, with their connection.
fn packets(name: &str) -> Vec<Packet> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/vectors/quorum").join(name);
    let text = std::fs::read_to_string(path).expect("a recording");
    let mut streams: BTreeMap<(u64, bool), QuorumStream> = BTreeMap::new();
    let mut packets = Vec::new();
    for line in text.lines() {
        let json: Value = serde_json::from_str(line).expect("JSON");
        let hex = json["hex"].as_str().expect("a string");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let bytes: Bytes = (0..hex.len()).step_by(2).map(byte).collect();
        let to_leader = json["dir"] == ">";
        let direction = if to_leader { Direction::ToLeader } else { Direction::ToLearner };
        let conn = (json["conn"].as_u64().expect("a number"), to_leader);
        let stream = streams.entry(conn).or_insert_with(|| QuorumStream::new(direction));
        stream.feed(bytes);
        while let Some(inbound) = stream.next().expect("a packet") {
            if let Inbound::Packet(packet) = inbound {
                packets.push(packet);
            }
        }
    }
    packets
}

/// Before 3.9 a create2 in a multi is a create.
fn plain_creates(txn: &mut Txn) {
    if let TxnBody::Multi(multi) = &mut txn.body {
        for part in multi.txns.iter_mut().filter(|part| part.kind == op::CREATE2) {
            part.kind = op::CREATE;
        }
    }
}

/// Proposals made from requests and found equal, by type; and those that came from the leader's own clients.
fn propose(version: &str) -> (BTreeMap<i32, u32>, u32) {
    let settings = Settings { extended_types: true, ..Settings::default() };
    let mut server = ZooKeeperServer::new(settings);
    let mut requests: BTreeMap<(SessionId, i32), Vec<ForwardedRequest>> = BTreeMap::new();
    let (mut equal, mut own, mut last) = (BTreeMap::new(), 0, Zxid::ZERO);
    for packet in packets(&format!("{version}/broadcast.jsonl")) {
        let (zxid, txn) = match packet {
            Packet::Request(request) => {
                requests.entry((request.session, request.cxid)).or_default().push(request);
                continue;
            }
            Packet::Proposal { zxid, txn } if zxid > last => (zxid, txn),
            _ => continue,
        };
        last = zxid;
        let theirs = Txn::decode(&txn).expect("a transaction");
        let header = theirs.header;
        let asked = requests.get_mut(&(header.client_id, header.cxid)).filter(|asked| !asked.is_empty());
        if let Some(asked) = asked {
            let request = asked.remove(0);
            // What a session's moving and end make of a request, the leader's tracker says.
            let session_error = match &theirs.body {
                TxnBody::Error(error) if matches!(error.err, code::SESSION_MOVED | code::SESSION_EXPIRED) => {
                    Some(error.err)
                }
                _ => None,
            };
            let write = WriteRequest {
                session: request.session,
                cxid: request.cxid,
                op: request.op,
                body: &request.body,
                auth: request.authinfo.as_deref().unwrap_or_default(),
                session_error,
                config: None,
            };
            let ours = server.prepare(zxid, header.time_ms, &write);
            let mut ours = Txn::decode(&ours).expect("a transaction");
            if version == "3.8.0" {
                plain_creates(&mut ours);
            }
            assert_eq!(ours, theirs, "{version} {zxid} {request:?}");
            assert_eq!(ours.to_bytes(), txn, "{version} {zxid}");
            *equal.entry(header.kind).or_default() += 1;
        } else {
            own += 1;
        }
        server.apply(zxid, &txn);
        assert_eq!(server.database().digest_mismatches(), 0, "{version} {zxid}");
    }
    (equal, own)
}

#[test]
fn as_java_proposes() {
    for version in ["3.9.5", "3.8.0"] {
        let (equal, own) = propose(version);
        assert!(equal.values().sum::<u32>() > 60 && own > 10, "{version}: {equal:?}, {own}");
        for kind in
            [op::CREATE, op::SET_DATA, op::SET_ACL, op::DELETE, op::MULTI, op::ERROR, op::CLOSE_SESSION]
        {
            assert!(equal.contains_key(&kind), "{version}: no {kind} in {equal:?}");
        }
    }
}
