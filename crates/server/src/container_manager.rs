//! `ContainerManager`: which containers and TTL nodes have had their time. The leader asks every
//! `znode.container.checkIntervalMs` and makes a deleteContainer request of each, with no session.

use bytes::Bytes;

use crate::data_tree::{DataTree, EphemeralType};

/// Nodes to delete at `wall_ms`, none of them with children; TTL nodes last.
///
/// | node | |
/// |---|---|
/// | container that had children | at once |
/// | container that never had any | where `max_never_used_ms` is not 0, that long after it was made or set |
/// | TTL node | where that is not 0, its TTL after it was made or set |
pub fn candidates(tree: &DataTree, wall_ms: i64, max_never_used_ms: i64) -> Vec<Bytes> {
    let due = |path: &&Bytes| {
        let Some(id) = tree.find(path) else { return false };
        let node = tree.node(id);
        let unchanged_for = wall_ms.saturating_sub(node.mtime);
        node.num_children() == 0
            && match EphemeralType::of(node.owner()) {
                EphemeralType::Container if node.cversion() > 0 => true,
                EphemeralType::Container => max_never_used_ms > 0 && unchanged_for > max_never_used_ms,
                EphemeralType::Ttl(ttl) => ttl != 0 && unchanged_for > ttl,
                EphemeralType::Persistent | EphemeralType::Session(_) => false,
            }
    };
    tree.containers().chain(tree.ttls()).filter(due).cloned().collect()
}
