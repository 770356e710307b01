//! The register map as a ZooKeeper snapshot, in slices while changes go on.

use bytes::{Bytes, BytesMut};
use wire::{SessionId, SnapshotRecord, SnapshotWriter, StatPersisted};

use super::{CONFIG_NODE, RegisterMap};

/// The nodes that stand above registers.
pub(super) const SCAFFOLDING: [&[u8]; 4] = [b"", b"/zookeeper", b"/zookeeper/quota", b"/e"];

/// Where a snapshot is. Registers made after it began are left out: the log has them behind the
/// snapshot's zxid.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Sessions and ACLs go out in one piece: their counts stand in front.
    head_written: bool,
    /// Still to be written, the next at the end.
    paths: Vec<Bytes>,
}

impl Cursor {
    pub(super) fn new(map: &RegisterMap) -> Cursor {
        let mut paths: Vec<Bytes> = map.registers.keys().cloned().collect();
        paths.sort_unstable_by(|a, b| b.cmp(a));
        Cursor { head_written: false, paths }
    }

    pub(super) fn write(&mut self, map: &RegisterMap, max: usize, out: &mut BytesMut) -> bool {
        let begin = out.len();
        if !self.head_written {
            write_head(map, out);
            self.head_written = true;
        }
        while let Some(path) = self.paths.pop() {
            let Some(register) = map.registers.get(&path) else { continue };
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
            SnapshotWriter::node(out, &path, Some(&register.data), -1, &stat);
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
    for path in SCAFFOLDING {
        SnapshotWriter::node(out, path, Some(b""), -1, &nothing);
    }
    if let Some((text, mzxid)) = &map.config {
        let stat = StatPersisted { mzxid: *mzxid, ..nothing };
        SnapshotWriter::node(out, CONFIG_NODE, Some(text), -1, &stat);
    }
}
