//! `Node`: what is kept of a znode, compactly, and `Nodes`, all of them by number.
//!
//! A leaf that nothing was ever created below takes 80 bytes, its name and data, four bytes among its
//! parent's children, and what the allocator adds. Everything that only some nodes have (children, counters
//! of children, an owner) is in a box of its own.

use wire::StatPersisted;
use wire::Zxid;

use super::children::Children;

/// A node by its place in [`Nodes`]; free for another once the node is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub(super) u32);

pub const ROOT: NodeId = NodeId(0);

/// Bit of `name_len`: the data is null, which is not the same as empty.
const NULL_DATA: u32 = 1 << 31;

/// What most nodes do not have.
#[derive(Clone, Debug)]
pub struct Rare {
    pub owner: i64,
    pub pzxid: Zxid,
    pub cversion: i32,
    pub children: Children,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    rare: Option<Box<Rare>>,
    /// Name, then data.
    payload: Box<[u8]>,
    pub version: i32,
    pub aversion: i32,
    pub parent: NodeId,
    /// Its slot in the ACL cache.
    pub acl: u32,
    /// Its share of the tree's digest.
    pub digest: u32,
    name_len: u32,
}

impl Node {
    pub fn new(parent: NodeId, name: &[u8], data: Option<&[u8]>, acl: u32, stat: &StatPersisted) -> Node {
        let mut node = Node {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            rare: None,
            payload: Box::default(),
            version: stat.version,
            aversion: stat.aversion,
            parent,
            acl,
            digest: 0,
            name_len: 0,
        };
        if stat.ephemeral_owner != 0 || stat.pzxid != stat.czxid || stat.cversion != 0 {
            let rare = node.rare_mut();
            (rare.owner, rare.pzxid, rare.cversion) = (stat.ephemeral_owner, stat.pzxid, stat.cversion);
        }
        node.set_payload(name, data);
        node
    }

    fn set_payload(&mut self, name: &[u8], data: Option<&[u8]>) {
        let bytes = data.unwrap_or_default();
        let mut payload = Vec::with_capacity(name.len() + bytes.len());
        payload.extend_from_slice(name);
        payload.extend_from_slice(bytes);
        self.payload = payload.into_boxed_slice();
        // A name is part of a path, and that of a record below 2 MiB.
        self.name_len = u32::try_from(name.len()).expect("a short name");
        if data.is_none() {
            self.name_len |= NULL_DATA;
        }
    }

    pub fn name(&self) -> &[u8] {
        &self.payload[..(self.name_len & !NULL_DATA) as usize]
    }

    /// Something of each cache line of name and data; of much data the processor sees itself what comes next.
    pub fn touch_payload(&self) -> u8 {
        let lines = [0, 64, 128, 192].map(|at| self.payload.get(at).copied().unwrap_or_default());
        lines.into_iter().fold(0, |all, byte| all ^ byte)
    }

    pub fn data(&self) -> Option<&[u8]> {
        (self.name_len & NULL_DATA == 0).then(|| &self.payload[self.name_len as usize..])
    }

    pub fn set_data(&mut self, data: Option<&[u8]>) {
        let old = std::mem::take(&mut self.payload);
        let name_len = (self.name_len & !NULL_DATA) as usize;
        self.set_payload(&old[..name_len], data);
    }

    pub fn owner(&self) -> i64 {
        self.rare.as_ref().map_or(0, |rare| rare.owner)
    }

    /// What is not kept apart follows: a node without children ever has its own czxid as pzxid.
    pub fn pzxid(&self) -> Zxid {
        self.rare.as_ref().map_or(self.czxid, |rare| rare.pzxid)
    }

    pub fn cversion(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.cversion)
    }

    pub fn children(&self) -> Option<&Children> {
        self.rare.as_ref().map(|rare| &rare.children)
    }

    pub fn num_children(&self) -> usize {
        self.children().map_or(0, Children::len)
    }

    pub fn rare_mut(&mut self) -> &mut Rare {
        let pzxid = self.czxid;
        self.rare.get_or_insert_with(|| {
            Box::new(Rare { owner: 0, pzxid, cversion: 0, children: Children::default() })
        })
    }

    pub fn stat(&self) -> StatPersisted {
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion(),
            aversion: self.aversion,
            ephemeral_owner: self.owner(),
            pzxid: self.pzxid(),
        }
    }
}

const CHUNK: usize = 1 << 12;

/// Nodes in pieces, so that growing moves none.
#[derive(Clone, Debug)]
pub struct Nodes {
    chunks: Vec<Vec<Node>>,
    free: Vec<NodeId>,
    len: usize,
}

impl Nodes {
    /// With a root.
    pub fn new(root: Node) -> Nodes {
        let mut nodes = Nodes { chunks: Vec::new(), free: Vec::new(), len: 0 };
        nodes.insert(root);
        nodes
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, node: Node) -> NodeId {
        self.len += 1;
        if let Some(id) = self.free.pop() {
            *self.get_mut(id) = node;
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(if self.chunks.is_empty() { 4 } else { CHUNK }));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("pushed above");
        chunk.push(node);
        NodeId(u32::try_from(before + chunk.len() - 1).expect("fewer than 2^32 nodes"))
    }

    pub fn remove(&mut self, id: NodeId) -> Node {
        let vacant = Node::new(id, b"", None, 0, &StatPersisted::default());
        self.free.push(id);
        self.len -= 1;
        std::mem::replace(self.get_mut(id), vacant)
    }

    pub fn get(&self, id: NodeId) -> &Node {
        &self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }

    pub fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept apart is told by any of its fields alone.
    #[test]
    fn the_stat_that_it_was_made_with() {
        let plain = StatPersisted { czxid: Zxid(5), pzxid: Zxid(5), version: 3, ..StatPersisted::default() };
        for (stat, apart) in [
            (plain, false),
            (StatPersisted { pzxid: Zxid(9), ..plain }, true),
            (StatPersisted { cversion: 1, ..plain }, true),
            (StatPersisted { ephemeral_owner: 7, ..plain }, true),
        ] {
            let node = Node::new(ROOT, b"a", None, 0, &stat);
            assert_eq!((node.stat(), node.rare.is_some()), (stat, apart));
        }
    }
}
