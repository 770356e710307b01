//! Any bytes give a value or an error, in bounded memory; values come back from their bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use wire::election::{ElectionStream, Notification};
use wire::{Direction, Epoch, LearnerInfo, Packet, QuorumStream, Reader, ServerId, SessionId, Txn, Zxid};

fn packets() -> impl Strategy<Value = (Packet, Direction)> {
    let zxid = any::<i64>().prop_map(Zxid);
    let txn = prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let learner = prop_oneof![
        (zxid.clone(), txn.clone()).prop_map(|(zxid, txn)| Packet::Proposal { zxid, txn }),
        (zxid.clone(), txn.clone()).prop_map(|(zxid, txn)| Packet::Inform { zxid, txn }),
        zxid.clone().prop_map(|zxid| Packet::Commit { zxid }),
        zxid.clone().prop_map(|zxid| Packet::Diff { zxid }),
        zxid.clone().prop_map(|zxid| Packet::Trunc { zxid }),
        (zxid.clone(), prop::option::of(txn.clone()))
            .prop_map(|(zxid, config)| Packet::NewLeader { zxid, config }),
        (zxid.clone(), any::<i32>()).prop_map(|(zxid, protocol)| Packet::LeaderInfo { zxid, protocol }),
        (any::<i64>(), any::<bool>())
            .prop_map(|(s, valid)| Packet::Revalidated { session: SessionId(s), valid }),
        Just(Packet::UpToDate),
    ]
    .prop_map(|packet| (packet, Direction::ToLearner));
    let leader = prop_oneof![
        zxid.clone().prop_map(|zxid| Packet::Ack { zxid }),
        (zxid.clone(), any::<i32>())
            .prop_map(|(last_zxid, e)| Packet::AckEpoch { last_zxid, current_epoch: Epoch(i64::from(e)) }),
        (zxid.clone(), any::<i64>(), any::<i32>()).prop_map(|(accepted, sid, protocol)| {
            Packet::FollowerInfo {
                accepted,
                info: LearnerInfo::V35 { sid: ServerId(sid), protocol, config_version: 7 },
            }
        }),
        (any::<i64>(), any::<i32>())
            .prop_map(|(s, timeout_ms)| Packet::Revalidate { session: SessionId(s), timeout_ms }),
    ]
    .prop_map(|packet| (packet, Direction::ToLeader));
    prop_oneof![learner, leader]
}

proptest! {
    #[test]
    fn a_packet_comes_back((packet, direction) in packets()) {
        let mut bytes = BytesMut::new();
        packet.encode(&mut bytes);
        let again = Packet::decode(&mut Reader::new(bytes.freeze()), direction).expect("our own bytes");
        prop_assert_eq!(again, packet);
    }

    #[test]
    fn any_bytes_on_any_stream(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
        for direction in [Direction::ToLeader, Direction::ToLearner] {
            let mut stream = QuorumStream::new(direction);
            'chunks: for chunk in &chunks {
                stream.feed(Bytes::from(chunk.clone()));
                loop {
                    match stream.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => break 'chunks,
                    }
                }
            }
        }
        let mut stream = ElectionStream::accepted();
        for chunk in &chunks {
            stream.feed(Bytes::from(chunk.clone()));
            while let Ok(Some(_)) = stream.next() {}
        }
        let all = Bytes::from(chunks.concat());
        let _ = Notification::decode(all.clone());
        if let Ok(txn) = Txn::decode(&all) {
            prop_assert_eq!(txn.to_bytes(), all);
        }
    }

    #[test]
    fn an_absurd_length_is_refused_before_its_bytes_come(length in 2_097_151i32..=i32::MAX) {
        let mut bytes = vec![0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(&length.to_be_bytes());
        let mut stream = QuorumStream::new(Direction::ToLearner);
        stream.feed(Bytes::from(bytes));
        prop_assert!(stream.next().is_err());
    }
}

/// A PING with a touch table of `data` bytes and `count` ids, of which `ids` are there.
fn with_ids(data: usize, count: i32, ids: &[(usize, usize)]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&5i32.to_be_bytes());
    bytes.extend_from_slice(&0i64.to_be_bytes());
    wire::jute::put_buffer(&mut bytes, Some(&vec![0; data]));
    bytes.extend_from_slice(&count.to_be_bytes());
    for (scheme, id) in ids {
        wire::jute::put_buffer(&mut bytes, Some(&vec![b's'; *scheme]));
        wire::jute::put_buffer(&mut bytes, Some(&vec![b'i'; *id]));
    }
    bytes.freeze()
}

/// With a limit of 120: what the ids take together is bounded as one buffer is, and refused as soon as the
/// lengths tell, not when the bytes have come.
#[test]
fn authinfo_is_bounded_as_a_whole() {
    let read = |bytes: Bytes| {
        let mut stream = QuorumStream::with_limit(Direction::ToLeader, 120);
        stream.feed(bytes);
        stream.next().map(|packet| packet.is_some())
    };
    let refused = |bytes: Bytes| read(bytes).is_err_and(|e| e.to_string().contains("authinfo"));
    assert_eq!(read(with_ids(120, 15, &[(0, 0); 15])), Ok(true), "fifteen empty ids are 120 bytes");
    assert!(refused(with_ids(0, 16, &[])), "sixteen are too many, whatever follows");
    assert_eq!(read(with_ids(120, 2, &[(20, 32), (20, 32)])), Ok(true));
    assert!(refused(with_ids(120, 2, &[(20, 32), (20, 33)])), "one byte more than 120");
    let cut = with_ids(0, 2, &[(20, 32), (20, 33)]);
    assert!(refused(cut.slice(..cut.len() - 33)), "told by its length");
    assert_eq!(read(with_ids(0, 1, &[(0, 0)]).slice(..20)), Ok(false), "not there yet");
}

/// The longest packet there is, in small pieces.
#[test]
fn a_packet_comes_in_pieces() {
    let bytes = with_ids(120, 4, &[(0, 22); 4]);
    for step in 1..40 {
        let mut stream = QuorumStream::with_limit(Direction::ToLeader, 120);
        let mut packets = 0;
        for chunk in [&bytes[..], &bytes[..]].concat().chunks(step) {
            stream.feed(Bytes::copy_from_slice(chunk));
            while let Some(_packet) = stream.next().expect("within the limit") {
                packets += 1;
            }
        }
        assert_eq!(packets, 2, "in pieces of {step}");
    }
}
