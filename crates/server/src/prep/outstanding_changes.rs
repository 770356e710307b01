//! `OutstandingChanges`: how nodes will be once everything that was prepared is applied. Prep checks against
//! this before it looks at the tree.
//!
//! A record is taken back by its transaction's being applied (from the front) or by the failure of the multi
//! that it belongs to (from the back); either way what a path's other records say stays right.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use wire::{Acl, StatPersisted, Zxid, code};

use crate::data_tree::{DataTree, EphemeralType, listed_len, node_digest};

/// A node as a prepared transaction will leave it.
#[derive(Clone, Debug)]
pub struct ChangeRecord {
    /// `None`: deleted.
    pub stat: Option<StatPersisted>,
    pub child_count: i64,
    /// `None`, here and below: what the tree has. That stays right as long as the record stands: who changes
    /// it before has a record of his own, from which this one was copied.
    pub acl: Option<Arc<Vec<Acl>>>,
    pub data: Option<Option<Bytes>>,
    /// The node's share of the tree's digest; until the record is added, that of before the change.
    digest: u32,
}

impl ChangeRecord {
    pub fn created(stat: StatPersisted, acl: Vec<Acl>, data: Option<Bytes>) -> ChangeRecord {
        let (stat, acl) = (Some(stat), Some(Arc::new(acl)));
        ChangeRecord { stat, child_count: 0, acl, data: Some(data), digest: 0 }
    }

    /// Of this node, when it is gone.
    pub fn deleted(&self) -> ChangeRecord {
        ChangeRecord { stat: None, child_count: 0, acl: None, data: None, digest: self.digest }
    }

    /// Of a node that is there, which is what `OutstandingChanges::get` gives.
    pub fn stat(&self) -> StatPersisted {
        self.stat.unwrap_or_default()
    }

    pub fn stat_mut(&mut self) -> &mut StatPersisted {
        self.stat.get_or_insert_default()
    }

    /// The session that the node will belong to.
    fn session(&self) -> Option<i64> {
        let owner = self.stat?.ephemeral_owner;
        EphemeralType::of(owner).is_session().then_some(owner)
    }
}

#[derive(Clone, Debug)]
struct Pending {
    zxid: Zxid,
    path: Bytes,
    /// Of the tree once this is applied.
    tree_digest: u64,
}

/// What pending records give to one session.
#[derive(Clone, Debug, Default)]
struct Owned {
    /// With how many records say so.
    paths: BTreeMap<Bytes, u32>,
    /// Of the paths in a closeSession.
    listed_len: usize,
}

#[derive(Clone, Debug, Default)]
pub struct OutstandingChanges {
    order: VecDeque<Pending>,
    by_path: BTreeMap<Bytes, VecDeque<ChangeRecord>>,
    by_session: BTreeMap<i64, Owned>,
}

/// The root has two names, and one record.
fn normal(path: &[u8]) -> &[u8] {
    if path == b"/" { b"" } else { path }
}

impl OutstandingChanges {
    /// `getRecordForPath`.
    pub fn get(&self, tree: &DataTree, path: &[u8]) -> Result<ChangeRecord, i32> {
        if let Some(record) = self.newest(path) {
            return if record.stat.is_some() { Ok(record.clone()) } else { Err(code::NO_NODE) };
        }
        let id = tree.find(path).ok_or(code::NO_NODE)?;
        let node = tree.node(id);
        Ok(ChangeRecord {
            stat: Some(node.stat()),
            child_count: node.num_children() as i64,
            acl: None,
            data: None,
            digest: node.digest,
        })
    }

    pub fn exists(&self, tree: &DataTree, path: &[u8]) -> bool {
        match self.newest(path) {
            Some(record) => record.stat.is_some(),
            None => tree.find(path).is_some(),
        }
    }

    fn newest(&self, path: &[u8]) -> Option<&ChangeRecord> {
        self.by_path.get(normal(path)).and_then(VecDeque::back)
    }

    pub fn acl<'a>(&self, tree: &'a DataTree, path: &[u8], record: &'a ChangeRecord) -> &'a [Acl] {
        match &record.acl {
            Some(acl) => acl,
            None => tree.find(path).map_or(&[], |id| tree.acl(id)),
        }
    }

    pub fn data<'a>(&self, tree: &'a DataTree, path: &[u8], record: &'a ChangeRecord) -> Option<&'a [u8]> {
        match &record.data {
            Some(data) => data.as_deref(),
            None => tree.find(path).and_then(|id| tree.node(id).data()),
        }
    }

    /// `path` will be as `record` says once `zxid` is applied. The record is what `get` gave for the path,
    /// changed or deleted, or that of a node which is not there.
    pub fn add(&mut self, tree: &DataTree, zxid: Zxid, path: &[u8], mut record: ChangeRecord) {
        let before = record.digest;
        debug_assert_eq!(before, self.get(tree, path).map_or(0, |record| record.digest));
        record.digest = match &record.stat {
            Some(stat) => node_digest(path, self.data(tree, path, &record), stat),
            None => 0,
        };
        let tree_digest =
            self.tree_digest(tree).wrapping_sub(u64::from(before)).wrapping_add(u64::from(record.digest));
        let path = Bytes::copy_from_slice(normal(path));
        if let Some(session) = record.session() {
            self.owned(session, &path);
        }
        self.by_path.entry(path.clone()).or_default().push_back(record);
        self.order.push_back(Pending { zxid, path, tree_digest });
    }

    /// The tree's digest once everything is applied.
    pub fn tree_digest(&self, tree: &DataTree) -> u64 {
        self.order.back().map_or_else(|| tree.tree_digest(), |last| last.tree_digest)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// A multi failed: nothing of it will come.
    pub fn roll_back(&mut self, zxid: Zxid) {
        while let Some(pending) = self.order.pop_back_if(|pending| pending.zxid == zxid) {
            self.take(&pending.path, VecDeque::pop_back);
        }
    }

    /// Transactions up to `zxid` are in the tree now.
    pub fn applied(&mut self, zxid: Zxid) {
        while let Some(pending) = self.order.pop_front_if(|pending| pending.zxid <= zxid) {
            self.take(&pending.path, VecDeque::pop_front);
        }
    }

    fn take(&mut self, path: &Bytes, pop: fn(&mut VecDeque<ChangeRecord>) -> Option<ChangeRecord>) {
        let Some(records) = self.by_path.get_mut(path) else { return };
        let session = pop(records).and_then(|record| record.session());
        if records.is_empty() {
            self.by_path.remove(path);
        }
        if let Some(session) = session {
            self.owned_less(session, path);
        }
    }

    fn owned(&mut self, session: i64, path: &Bytes) {
        let owned = self.by_session.entry(session).or_default();
        let records = owned.paths.entry(path.clone()).or_default();
        *records += 1;
        if *records == 1 {
            owned.listed_len += listed_len(path);
        }
    }

    fn owned_less(&mut self, session: i64, path: &Bytes) {
        let Some(owned) = self.by_session.get_mut(&session) else { return };
        let Some(records) = owned.paths.get_mut(path) else { return };
        *records -= 1;
        if *records == 0 {
            owned.paths.remove(path);
            owned.listed_len -= listed_len(path);
        }
        if owned.paths.is_empty() {
            self.by_session.remove(&session);
        }
    }

    /// Nodes that will be the session's once everything is applied.
    pub fn ephemerals(&self, tree: &DataTree, session: i64) -> BTreeSet<Bytes> {
        let own = |record: &ChangeRecord| record.session() == Some(session);
        let stay = tree.ephemerals(session).filter(|path| self.newest(path).is_none_or(own));
        let pending = self.by_session.get(&session).into_iter().flat_map(|owned| owned.paths.keys());
        let come = pending.filter(|path| self.newest(path).is_some_and(own));
        stay.chain(come).cloned().collect()
    }

    /// Bytes of their paths in a closeSession, at most: what is deleted counts until that is applied, and what
    /// changes counts twice.
    pub fn ephemerals_listed_len(&self, tree: &DataTree, session: i64) -> usize {
        let pending = self.by_session.get(&session).map_or(0, |owned| owned.listed_len);
        tree.ephemerals_listed_len(session) + pending
    }
}
