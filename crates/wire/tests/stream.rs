//! The quorum stream where a snapshot ends.

use bytes::{BufMut, Bytes, BytesMut};
use wire::{
    Direction, Inbound, Packet, QuorumStream, SNAPSHOT_SIGNATURE, SnapshotWriter, StatPersisted, Zxid,
};

/// SNAP, an empty snapshot and, behind it, `signature`; what the stream gives, and whether it broke.
fn read(signature: &[u8]) -> (Vec<Inbound>, bool) {
    let mut bytes = BytesMut::new();
    Packet::Snap { zxid: Zxid(7) }.encode(&mut bytes);
    SnapshotWriter::count(&mut bytes, 0);
    SnapshotWriter::count(&mut bytes, 0);
    SnapshotWriter::node(&mut bytes, b"", Some(b""), -1, &StatPersisted::default());
    SnapshotWriter::end(&mut bytes);
    bytes.put_slice(signature);
    Packet::UpToDate.encode(&mut bytes);
    let mut stream = QuorumStream::new(Direction::ToLearner);
    stream.feed(bytes.freeze());
    let mut all = Vec::new();
    loop {
        match stream.next() {
            Ok(Some(inbound)) => all.push(inbound),
            Ok(None) => return (all, false),
            Err(_) => return (all, true),
        }
    }
}

fn signature(text: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    wire::jute::put_buffer(&mut out, Some(text));
    out.freeze()
}

#[test]
fn behind_the_signature_come_packets() {
    let (all, broke) = read(&signature(SNAPSHOT_SIGNATURE));
    assert!(!broke);
    assert_eq!(all[all.len() - 2..], [Inbound::SnapshotEnd, Inbound::Packet(Packet::UpToDate)]);
}

/// A snapshot is whole only with its signature: whatever else stands there, the two sides are not at one.
#[test]
fn anything_else_breaks_the_stream() {
    for at in 0..SNAPSHOT_SIGNATURE.len() {
        let mut other = SNAPSHOT_SIGNATURE.to_vec();
        other[at] ^= 1;
        let (all, broke) = read(&signature(&other));
        assert!(broke && !all.contains(&Inbound::SnapshotEnd), "{other:?}");
    }
    for other in [&b""[..], b"BenWasHer", b"BenWasHere!"] {
        assert!(read(&signature(other)).1, "{other:?}");
    }
}
