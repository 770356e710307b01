//! `DataTree`: the znodes of one server. Transactions change it (`process_txn`), the processors and the
//! snapshots read it. Times, zxids, versions all come from the transactions: two trees that applied the same
//! ones are equal, digests included.
//!
//! Paths are bytes and need not be valid to be looked up: an invalid one is a missing node. The root is `""`
//! or `"/"`.

mod acl_cache;
mod children;
mod digest;
mod ephemeral_type;
mod ephemerals;
mod node;
mod process_txn;
mod quota;
mod restore;
mod snapshot;
mod stats_track;
mod walk;

use std::collections::BTreeSet;

use bytes::Bytes;
use wire::codes::perms;
use wire::{Acl, Id, Stat, StatPersisted, Zxid, code};

pub use digest::{DIGEST_VERSION, counts, node_digest};
pub use ephemeral_type::{CONTAINER_OWNER, EphemeralType, MAX_TTL};
pub use ephemerals::listed_len;
pub use node::{Node, NodeId, ROOT};
pub use process_txn::ProcessTxnResult;
pub use quota::limit_path;
pub use snapshot::Cursor;
pub use stats_track::StatsTrack;
pub use walk::Walk;

use acl_cache::AclCache;
use ephemerals::Ephemerals;
use node::Nodes;
use quota::Quotas;

/// Who is told of changes, while the tree is as it is after them: the watches.
pub trait ChangeListener {
    /// `acl` is the node's, `parent_acl` that of `parent`, which is `/` for the root.
    fn created(&mut self, path: &[u8], acl: &[Acl], parent: &[u8], parent_acl: &[Acl]);
    fn deleted(&mut self, path: &[u8], acl: &[Acl], parent: &[u8], parent_acl: &[Acl]);
    fn data_changed(&mut self, path: &[u8], acl: &[Acl]);
}

/// Nobody listens.
impl ChangeListener for () {
    fn created(&mut self, _: &[u8], _: &[Acl], _: &[u8], _: &[Acl]) {}
    fn deleted(&mut self, _: &[u8], _: &[Acl], _: &[u8], _: &[Acl]) {}
    fn data_changed(&mut self, _: &[u8], _: &[Acl]) {}
}

#[derive(Clone, Debug)]
pub struct DataTree {
    nodes: Nodes,
    acls: AclCache,
    ephemerals: Ephemerals,
    containers: BTreeSet<Bytes>,
    ttls: BTreeSet<Bytes>,
    quotas: Quotas,
    /// Sum of the nodes' digests.
    digest: u64,
    /// The same of who has which ACL, which Java's digest leaves out.
    acl_digest: u64,
    /// The highest zxid of a transaction, and of what a snapshot held.
    last_zxid: Zxid,
    data_bytes: u64,
    /// A multi whose first part is done and the rest not yet: of releases that applied it in steps.
    begun: Option<(Zxid, ProcessTxnResult)>,
}

/// Path of the parent (`""` for the root's children) and name; `None` of what has no `/`.
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

pub const CONFIG_NODE: &[u8] = b"/zookeeper/config";

/// `READ_ACL_UNSAFE`
fn everybody_reads() -> Vec<Acl> {
    vec![Acl { perms: perms::READ, id: Id::anyone() }]
}

fn is_root(path: &[u8]) -> bool {
    matches!(path, b"" | b"/")
}

/// `isSpecialPath`: these cannot be deleted.
pub fn is_special(path: &[u8]) -> bool {
    matches!(path, b"/" | b"/zookeeper" | b"/zookeeper/quota" | b"/zookeeper/config")
}

impl Default for DataTree {
    /// As `new`.
    fn default() -> Self {
        DataTree::new()
    }
}

impl DataTree {
    /// A fresh tree: the root and what stands under `/zookeeper`.
    pub fn new() -> DataTree {
        let mut tree = DataTree::bare();
        for path in ["/zookeeper", "/zookeeper/quota"] {
            let parent = tree.parent(path.as_bytes()).expect("the one before");
            tree.put(parent, path.as_bytes(), Some(b""), acl_cache::OPEN, &StatPersisted::default());
        }
        tree.add_config_node();
        tree
    }

    /// `addConfigNode`; nothing where it is there, or its parent is not.
    pub fn add_config_node(&mut self) {
        if self.find(CONFIG_NODE).is_none()
            && let Some(parent) = self.parent(CONFIG_NODE)
        {
            let slot = self.acls.add(Some(&everybody_reads()));
            let stat = StatPersisted { aversion: -1, ..StatPersisted::default() };
            self.put(parent, CONFIG_NODE, Some(b""), slot, &stat);
        }
    }

    /// A root and nothing else, for a snapshot to fill.
    pub fn bare() -> DataTree {
        let stat = StatPersisted::default();
        let mut root = Node::new(ROOT, b"", Some(b""), acl_cache::OPEN, &stat);
        root.digest = node_digest(b"", Some(b""), &stat);
        let digest = u64::from(root.digest);
        let mut tree = DataTree {
            nodes: Nodes::new(root),
            acls: AclCache::default(),
            ephemerals: Ephemerals::default(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quotas: Quotas::default(),
            digest,
            acl_digest: 0,
            last_zxid: Zxid::ZERO,
            data_bytes: 0,
            begun: None,
        };
        tree.acl_digest = tree.acl_share(b"", acl_cache::OPEN);
        tree
    }

    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        if is_root(path) {
            return Some(ROOT);
        }
        let mut at = ROOT;
        for name in path.strip_prefix(b"/")?.split(|byte| *byte == b'/') {
            at = self.nodes.get(at).children()?.find(&self.nodes, name)?;
        }
        Some(at)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id)
    }

    /// Nodes with the root, which Java counts twice (`getNodeCount`).
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of all paths and data (`approximateDataSize`).
    pub fn approximate_data_size(&self) -> u64 {
        self.data_bytes
    }

    /// What a client is told.
    pub fn stat(&self, id: NodeId) -> Stat {
        let node = self.nodes.get(id);
        let num_children = node.num_children() as i32;
        let owner = node.owner();
        Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.cversion().wrapping_mul(2).wrapping_sub(num_children),
            aversion: node.aversion,
            ephemeral_owner: if EphemeralType::of(owner).is_session() { owner } else { 0 },
            data_length: node.data().map_or(0, <[u8]>::len) as i32,
            num_children,
            pzxid: node.pzxid(),
        }
    }

    pub fn acl(&self, id: NodeId) -> &[Acl] {
        self.acls.get(self.nodes.get(id).acl)
    }

    /// The key under which snapshots have the node's list.
    pub fn acl_key(&self, id: NodeId) -> i64 {
        self.acls.key(self.nodes.get(id).acl)
    }

    /// Every list in use, by key.
    pub fn acls(&self) -> impl Iterator<Item = (i64, &Vec<Acl>)> {
        self.acls.in_use()
    }

    /// Names, sorted.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = &[u8]> {
        let children = self.nodes.get(id).children();
        children.into_iter().flat_map(|children| children.iter()).map(|child| self.nodes.get(child).name())
    }

    /// All nodes below; for the root without itself.
    pub fn all_children_number(&self, id: NodeId) -> usize {
        if id == ROOT {
            return self.nodes.len() - 1;
        }
        let (mut open, mut count) = (vec![id], 0);
        while let Some(at) = open.pop() {
            if let Some(children) = self.nodes.get(at).children() {
                count += children.len();
                open.extend(children.iter());
            }
        }
        count
    }

    /// Paths of a session's nodes, sorted.
    pub fn ephemerals(&self, session: i64) -> impl Iterator<Item = &Bytes> {
        self.ephemerals.of(session).into_iter().flatten()
    }

    /// Bytes of their paths in a closeSession.
    pub fn ephemerals_listed_len(&self, session: i64) -> usize {
        self.ephemerals.listed_len(session)
    }

    /// Every session with nodes of its own.
    pub fn sessions_with_ephemerals(&self) -> impl Iterator<Item = (i64, &BTreeSet<Bytes>)> {
        self.ephemerals.sessions()
    }

    pub fn containers(&self) -> impl Iterator<Item = &Bytes> {
        self.containers.iter()
    }

    pub fn ttls(&self) -> impl Iterator<Item = &Bytes> {
        self.ttls.iter()
    }

    /// The digest of 3.6+, of version [`DIGEST_VERSION`].
    pub fn tree_digest(&self) -> u64 {
        self.digest
    }

    /// A digest that covers the ACLs too.
    pub fn full_digest(&self) -> u64 {
        self.digest ^ self.acl_digest.rotate_left(32)
    }

    /// Zxid of the last transaction applied, or the highest that a snapshot held.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    fn acl_share(&self, path: &[u8], slot: u32) -> u64 {
        if !counts(path) {
            return 0;
        }
        let of_path = crc32fast::hash(path);
        (u64::from(of_path) << 32 | u64::from(self.acls.hash(slot))).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// After a change of what the digest covers.
    fn redigest(&mut self, id: NodeId, path: &[u8]) {
        let node = self.nodes.get_mut(id);
        let new = node_digest(path, node.data(), &node.stat());
        let old = std::mem::replace(&mut node.digest, new);
        self.digest = self.digest.wrapping_sub(u64::from(old)).wrapping_add(u64::from(new));
    }

    fn set_acl_slot(&mut self, id: NodeId, path: &[u8], slot: u32) {
        let old = std::mem::replace(&mut self.nodes.get_mut(id).acl, slot);
        let (before, after) = (self.acl_share(path, old), self.acl_share(path, slot));
        self.acl_digest = self.acl_digest.wrapping_sub(before).wrapping_add(after);
        self.acls.remove(old);
    }

    /// How many bytes more the node has now. Every change of the data of a node that is in the tree comes
    /// through here, those of quota statistics too: what is added must be what its deletion takes away.
    fn replace_data(&mut self, id: NodeId, data: Option<&[u8]>) -> i64 {
        let node = self.nodes.get_mut(id);
        let (before, after) = (node.data().map_or(0, <[u8]>::len), data.map_or(0, <[u8]>::len));
        node.set_data(data);
        self.data_bytes = self.data_bytes + after as u64 - before as u64;
        after as i64 - before as i64
    }

    fn parent(&self, path: &[u8]) -> Option<NodeId> {
        self.find(split(path)?.0)
    }

    fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes.get(parent).children()?.find(&self.nodes, name)
    }

    /// A node into its parent and into the indexes; it is not there yet, and its name is not empty.
    fn put(
        &mut self,
        parent: NodeId,
        path: &[u8],
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> NodeId {
        let name = split(path).map_or(path, |(_, name)| name);
        let mut node = Node::new(parent, name, data, acl, stat);
        node.digest = node_digest(path, data, stat);
        self.digest = self.digest.wrapping_add(u64::from(node.digest));
        self.acl_digest = self.acl_digest.wrapping_add(self.acl_share(path, acl));
        self.data_bytes += (path.len() + data.map_or(0, <[u8]>::len)) as u64;
        let id = self.nodes.insert(node);
        let mut children = std::mem::take(&mut self.nodes.get_mut(parent).rare_mut().children);
        children.insert(&self.nodes, id);
        self.nodes.get_mut(parent).rare_mut().children = children;
        match EphemeralType::of(stat.ephemeral_owner) {
            EphemeralType::Persistent => {}
            EphemeralType::Container => _ = self.containers.insert(Bytes::copy_from_slice(path)),
            EphemeralType::Ttl(_) => _ = self.ttls.insert(Bytes::copy_from_slice(path)),
            EphemeralType::Session(session) => self.ephemerals.insert(session, path),
        }
        id
    }

    /// A node out of its parent and the indexes, with all that is below it. The protocol deletes no node with
    /// children; but a snapshot that was written while changes went on may hold children of a node that the
    /// log deletes and makes again, and makes them again behind that.
    fn take_out(&mut self, id: NodeId, path: &[u8]) {
        let mut all = vec![(id, path.to_vec())];
        let mut at = 0;
        while let Some((id, path)) = all.get(at) {
            let children = self.node(*id).children().into_iter().flat_map(|children| children.iter());
            let children = children.map(|child| (child, [path, &b"/"[..], self.node(child).name()].concat()));
            let children: Vec<_> = children.collect();
            all.extend(children);
            at += 1;
        }
        for (id, path) in all.into_iter().rev() {
            self.take_out_leaf(id, &path);
        }
    }

    fn take_out_leaf(&mut self, id: NodeId, path: &[u8]) {
        let parent = self.nodes.get(id).parent;
        let mut children = std::mem::take(&mut self.nodes.get_mut(parent).rare_mut().children);
        children.remove(&self.nodes, self.nodes.get(id).name());
        self.nodes.get_mut(parent).rare_mut().children = children;
        let node = self.nodes.remove(id);
        self.digest = self.digest.wrapping_sub(u64::from(node.digest));
        self.acl_digest = self.acl_digest.wrapping_sub(self.acl_share(path, node.acl));
        self.acls.remove(node.acl);
        let bytes = node.data().map_or(0, <[u8]>::len);
        self.data_bytes -= (path.len() + bytes) as u64;
        match EphemeralType::of(node.owner()) {
            EphemeralType::Persistent => {}
            EphemeralType::Container => _ = self.containers.remove(path),
            EphemeralType::Ttl(_) => _ = self.ttls.remove(path),
            EphemeralType::Session(session) => self.ephemerals.remove(session, path),
        }
        self.quota_deleted(path, bytes as i64);
    }

    /// What `set_config` or a reconfig has put there.
    pub fn config(&self) -> Option<Bytes> {
        let data = self.nodes.get(self.find(CONFIG_NODE)?).data()?;
        Some(Bytes::copy_from_slice(data))
    }

    /// The configuration, which is a server's own and not in the log (`initConfigInZKDatabase`). A snapshot of
    /// before 3.5 has no node for it. NoNode where not even `/zookeeper` is there.
    pub fn set_config(&mut self, text: &[u8], version: Zxid, wall_ms: i64) -> Result<(), i32> {
        self.add_config_node();
        let id = self.find(CONFIG_NODE).ok_or(code::NO_NODE)?;
        // It may have been made, without a transaction, while its snapshot was written.
        if self.acls.is_unknown(self.nodes.get(id).acl) {
            let slot = self.acls.add(Some(&everybody_reads()));
            self.set_acl_slot(id, CONFIG_NODE, slot);
        }
        self.replace_data(id, Some(text));
        let node = self.nodes.get_mut(id);
        (node.version, node.mzxid, node.mtime) = (-1, version, wall_ms);
        Ok(())
    }
}
