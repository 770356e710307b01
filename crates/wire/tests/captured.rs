//! Bytes that real servers sent each other decode, and encode to the same bytes again.

mod common;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use common::{files, frames};
use wire::election::{ElectionInbound, ElectionStream, Hello, Notification};
use wire::{Direction, Inbound, Packet, QuorumStream, Reader, SnapshotRecord, SnapshotWriter};

fn direction(dir: &str) -> Direction {
    if dir == ">" { Direction::ToLeader } else { Direction::ToLearner }
}

#[test]
fn quorum_packets() {
    let mut count = BTreeMap::<String, u32>::new();
    for file in files("quorum") {
        for frame in frames(&file).into_iter().filter(|f| f.kind == "quorum" && f.name != "SNAPSHOT") {
            let mut reader = Reader::new(frame.bytes.clone());
            let packet = Packet::decode(&mut reader, direction(&frame.dir))
                .unwrap_or_else(|e| panic!("{}: {}: {e}", file.display(), frame.name));
            assert_eq!(reader.remaining(), 0, "{}: {} leaves bytes", file.display(), frame.name);
            assert!(!matches!(packet, Packet::Unknown(_)), "{}: {}", file.display(), frame.name);
            let mut again = BytesMut::new();
            packet.encode(&mut again);
            assert_eq!(again, frame.bytes, "{}: {packet}", file.display());
            *count.entry(frame.name).or_default() += 1;
        }
    }
    // Every packet type of the reference occurs in them.
    assert_eq!(count.len(), 19, "{count:?}");
    assert!(count.values().sum::<u32>() > 3000, "{count:?}");
}

/// Each stream, cut at places that change from chunk to chunk, gives its packets and snapshots back.
#[test]
fn quorum_streams_cut_anywhere() {
    let mut snapshots = 0;
    for file in files("quorum") {
        let mut streams: BTreeMap<(u64, String), Vec<u8>> = BTreeMap::new();
        for frame in frames(&file).into_iter().filter(|f| f.kind == "quorum") {
            streams.entry((frame.conn, frame.dir)).or_default().extend_from_slice(&frame.bytes);
        }
        for ((conn, dir), bytes) in streams {
            let mut stream = QuorumStream::new(direction(&dir));
            let mut again = BytesMut::new();
            let mut step = conn as usize % 5;
            let mut at = 0;
            let mut snapshot = Snapshot::default();
            let mut as_it_came = BytesMut::new();
            while at < bytes.len() {
                step = step * 7 % 61 + 1;
                let to = (at + step).min(bytes.len());
                stream.feed(Bytes::copy_from_slice(&bytes[at..to]));
                at = to;
                while let Some(inbound) = stream.next().unwrap_or_else(|e| panic!("{}: {e}", file.display()))
                {
                    match inbound {
                        Inbound::Packet(packet) => packet.encode(&mut again),
                        Inbound::Snapshot(record) => snapshot.records.push(record),
                        Inbound::SnapshotBytes(bytes) => as_it_came.extend_from_slice(&bytes),
                        Inbound::SnapshotEnd => {
                            snapshots += 1;
                            let begin = again.len();
                            std::mem::take(&mut snapshot).write(&mut again);
                            let body = std::mem::take(&mut as_it_came);
                            assert!(again[begin..].starts_with(&body), "the body as it came");
                            assert_eq!(again.len(), begin + body.len() + SIGNATURE, "all of it");
                        }
                    }
                }
            }
            assert_eq!(again, bytes, "{} conn {conn} {dir}", file.display());
        }
    }
    assert!(snapshots >= 10, "only {snapshots} snapshots");
}

/// Length and text of what ends a snapshot on the wire.
const SIGNATURE: usize = 4 + wire::SNAPSHOT_SIGNATURE.len();

#[derive(Default)]
struct Snapshot {
    records: Vec<SnapshotRecord>,
}

impl Snapshot {
    fn write(self, out: &mut BytesMut) {
        let sessions = |r: &&SnapshotRecord| matches!(r, SnapshotRecord::Session { .. });
        let acls = |r: &&SnapshotRecord| matches!(r, SnapshotRecord::AclEntry { .. });
        SnapshotWriter::count(out, self.records.iter().filter(sessions).count());
        self.records.iter().filter(sessions).for_each(|r| SnapshotWriter::record(out, r));
        SnapshotWriter::count(out, self.records.iter().filter(acls).count());
        self.records.iter().filter(acls).for_each(|r| SnapshotWriter::record(out, r));
        let nodes = self.records.iter().filter(|r| !sessions(r) && !acls(r));
        nodes.for_each(|r| SnapshotWriter::record(out, r));
        SnapshotWriter::end(out);
        wire::jute::put_buffer(out, Some(wire::SNAPSHOT_SIGNATURE));
    }
}

#[test]
fn election_frames() {
    let mut count = BTreeMap::<String, u32>::new();
    for file in files("election") {
        let mut streams: BTreeMap<(u64, String), ElectionStream> = BTreeMap::new();
        for frame in frames(&file) {
            let mut again = BytesMut::new();
            match frame.name.as_str() {
                "hello" => {
                    let hello = Hello::decode(&mut Reader::new(frame.bytes.clone())).expect("a hello");
                    hello.encode(&mut again);
                    streams.insert((frame.conn, frame.dir.clone()), ElectionStream::accepted());
                }
                "notification" => {
                    Notification::decode(frame.bytes.slice(4..))
                        .expect("a notification")
                        .encode_framed(&mut again);
                }
                other => panic!("{}: unknown type {other}", file.display()),
            }
            assert_eq!(again, frame.bytes, "{}", file.display());
            let stream = streams.entry((frame.conn, frame.dir)).or_insert_with(ElectionStream::dialled);
            for byte in frame.bytes.chunks(3) {
                stream.feed(Bytes::copy_from_slice(byte));
            }
            let inbound = stream.next().expect("a frame").expect("a whole frame");
            assert!(!matches!(inbound, ElectionInbound::Notification(Err(_))), "{}", file.display());
            *count.entry(frame.name).or_default() += 1;
        }
    }
    assert!(count["hello"] > 20 && count["notification"] > 300, "{count:?}");
}
