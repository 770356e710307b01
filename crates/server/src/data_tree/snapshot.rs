//! A tree with its sessions as the body of a ZooKeeper snapshot, in slices while changes go on.
//!
//! Sessions and ACLs go out in the first slice, in one piece (their counts stand in front), then the nodes as
//! the tree has them when their turn comes. Replaying the log from the snapshot's zxid on gives the state.
//! Nodes that were made after it began are left out: the log has them.

use bytes::{Bytes, BytesMut};
use wire::{SessionId, SnapshotRecord, SnapshotWriter, Zxid};

use super::{DataTree, Walk};

/// Where a snapshot is.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The last transaction that it surely holds.
    began_at: Zxid,
    /// The last node written; `None` before the first slice.
    last: Option<Bytes>,
}

impl Cursor {
    pub fn new(tree: &DataTree) -> Cursor {
        Cursor { began_at: tree.last_zxid(), last: None }
    }

    /// Appends at least one record and up to about `max` bytes; true when the body is complete.
    pub fn write(
        &mut self,
        tree: &DataTree,
        sessions: impl ExactSizeIterator<Item = (SessionId, i32)>,
        max: usize,
        out: &mut BytesMut,
    ) -> bool {
        /// By which a slice may be longer than asked for, its last node being a usual one.
        const OVER: usize = 4096;
        let begin = out.len();
        // Of a small tree not more than all of it.
        let all = tree.approximate_data_size() as usize + tree.node_count() * SnapshotWriter::NODE_LEN;
        out.reserve(max.min(all) + OVER);
        let mut walk = match &self.last {
            None => {
                write_head(tree, sessions, out);
                Walk::new(tree)
            }
            Some(last) => Walk::behind(tree, last),
        };
        while let Some((id, path)) = walk.next_node() {
            let node = tree.node(id);
            if node.czxid > self.began_at {
                walk.skip_children();
                continue;
            }
            SnapshotWriter::node(out, path, node.data(), tree.acl_key(id), &node.stat());
            if out.len() - begin >= max {
                self.last = Some(Bytes::copy_from_slice(path));
                return false;
            }
        }
        SnapshotWriter::end(out);
        true
    }
}

fn write_head(
    tree: &DataTree,
    sessions: impl ExactSizeIterator<Item = (SessionId, i32)>,
    out: &mut BytesMut,
) {
    SnapshotWriter::count(out, sessions.len());
    for (id, timeout_ms) in sessions {
        SnapshotWriter::record(out, &SnapshotRecord::Session { id, timeout_ms });
    }
    SnapshotWriter::count(out, tree.acls().count());
    for (key, acl) in tree.acls() {
        SnapshotWriter::record(out, &SnapshotRecord::AclEntry { key, acl: acl.clone() });
    }
}
