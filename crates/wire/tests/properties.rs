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
