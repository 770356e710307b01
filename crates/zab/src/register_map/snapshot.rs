//! The register map as a ZooKeeper snapshot, in slices while changes go on.

use std::ops::Bound;

use bytes::{Bytes, BytesMut};
use wire::{SessionId, SnapshotRecord, SnapshotWriter, StatPersisted};

use super::RegisterMap;

#[derive(Clone, Debug)]
enum Place {
    /// Nothing written. Sessions and ACLs go out in one piece: their counts stand in front.
    Start,
    /// Registers above this path are still to be written.
    Registers(Bytes),
}

/// Where a snapshot is, by key: it stays valid while registers come and go.
#[derive(Clone, Debug)]
pub struct Cursor {
    place: Place,
}

impl Cursor {
    pub(super) fn new() -> Cursor {
        Cursor { place: Place::Start }
    }

    pub(super) fn write(&mut self, map: &RegisterMap, max: usize, out: &mut BytesMut) -> bool {
        let begin = out.len();
        if matches!(self.place, Place::Start) {
            write_head(map, out);
            self.place = Place::Registers(Bytes::new());
        }
        let Place::Registers(after) = &mut self.place else { unreachable!("the head is written") };
        let from = (Bound::Excluded(after.clone()), Bound::Unbounded);
        for (path, register) in map.registers.range::<Bytes, _>(from) {
            let stat = StatPersisted {
                czxid: register.czxid,
                mzxid: register.mzxid,
                ctime: register.ctime,
                mtime: register.mtime,
                version: register.version,
                cversion: 0,
                aversion: 0,
                ephemeral_owner: register.owner.0,
                pzxid: register.czxid,
            };
            SnapshotWriter::node(out, path, Some(&register.data), -1, &stat);
            *after = path.clone();
            if out.len() - begin >= max {
                return false;
            }
        }
        SnapshotWriter::end(out);
        true
    }
}

/// Sessions, an empty ACL map, and the nodes that stand above registers.
fn write_head(map: &RegisterMap, out: &mut BytesMut) {
    SnapshotWriter::count(out, map.sessions.len());
    for (session, timeout_ms) in &map.sessions {
        let record = SnapshotRecord::Session { id: SessionId(session.0), timeout_ms: *timeout_ms };
        SnapshotWriter::record(out, &record);
    }
    SnapshotWriter::count(out, 0);
    let nothing = StatPersisted::default();
    for path in ["", "/zookeeper", "/e"] {
        SnapshotWriter::node(out, path.as_bytes(), Some(b""), -1, &nothing);
    }
}
