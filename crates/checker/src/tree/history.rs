//! `TreeHistory`: the tree as committed transactions make it, at every zxid: a model of its own, kept as simple
//! as the rules are, against which replies and events are held. Each node has its states by the zxid from
//! which they stand.
//!
//! ACLs are known as far as they do not depend on who asks: entries for `world:anyone`.
//!
//! PREP, what a leader proposes can be carried out: a create of a node that is missing below one that is
//! there, a delete or setData of one that is there, at the next version.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::codes::perms;
use wire::txn::{MultiTxn, SubTxn, TxnBody};
use wire::{Acl, Id, Stat, Txn, TxnHeader, Zxid, code, op};

/// A node's state but for its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub pzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    /// Creations below it.
    pub cversion: i32,
    pub aversion: i32,
    /// The session, or 0.
    pub owner: i64,
    pub data: Option<Bytes>,
    pub acl: Rights,
}

/// What an ACL lets a client do of whom nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Everybody may do this.
    anyone: i32,
    /// Somebody may do this, and it is not known who.
    somebody: i32,
}

impl Rights {
    const ALL: Rights = Rights { anyone: perms::ALL, somebody: 0 };

    pub fn of(acl: Option<&Vec<Acl>>) -> Rights {
        let Some(acl) = acl.filter(|acl| !acl.is_empty()) else { return Rights::ALL };
        let mut rights = Rights { anyone: 0, somebody: 0 };
        for entry in acl {
            if entry.id == Id::anyone() {
                rights.anyone |= entry.perms;
            } else {
                rights.somebody |= entry.perms;
            }
        }
        rights
    }

    /// May a client do something that needs one of `perms`? `None`: that depends on who it is.
    pub fn allow(self, perms: i32) -> Option<bool> {
        match (self.anyone & perms != 0, self.somebody & perms != 0) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }
}

/// What became of a part of a multi: the node that it is about, as it was behind that part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub kind: i32,
    pub path: Bytes,
    pub stat: Option<Stat>,
}

/// A multi: its parts, or their error codes where it failed.
pub(crate) type Parts = Result<Vec<Part>, Vec<i32>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    Deleted,
    DataChanged,
}

/// What watches may fire at, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    pub zxid: Zxid,
    pub change: Change,
    pub path: Bytes,
    /// Those who watch the node may see it; and those who watch its parent, that.
    pub seen: bool,
    pub parent_seen: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TreeHistory {
    nodes: BTreeMap<Bytes, Vec<(Zxid, Option<NodeState>)>>,
    triggers: Vec<Trigger>,
    multis: BTreeMap<Zxid, Parts>,
    /// What no leader should have proposed.
    pub impossible: Option<String>,
}

/// Of the parts of a multi that failed: 0 before the one that did, -2 behind it.
fn errors_of(multi: &MultiTxn) -> Vec<i32> {
    let mut failed = false;
    let errors = multi.txns.iter().map(|part| {
        let told = part.data.as_deref().filter(|_| part.kind == op::ERROR).and_then(<[u8]>::first_chunk::<4>);
        let err = match told {
            Some(err) => i32::from_be_bytes(*err),
            None if failed => code::RUNTIME_INCONSISTENCY,
            None => code::OK,
        };
        failed |= err != code::OK;
        err
    });
    errors.collect()
}

pub(crate) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

impl TreeHistory {
    /// A fresh server's tree.
    pub fn new() -> TreeHistory {
        let bare = NodeState {
            czxid: Zxid::ZERO,
            mzxid: Zxid::ZERO,
            pzxid: Zxid::ZERO,
            ctime: 0,
            mtime: 0,
            version: 0,
            cversion: 0,
            aversion: 0,
            owner: 0,
            data: Some(Bytes::new()),
            acl: Rights::ALL,
        };
        let mut nodes = BTreeMap::new();
        for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            nodes.insert(Bytes::from_static(path.as_bytes()), vec![(Zxid::ZERO, Some(bare.clone()))]);
        }
        TreeHistory { nodes, triggers: Vec::new(), multis: BTreeMap::new(), impossible: None }
    }

    /// The node as it was once `zxid` was applied.
    pub fn at(&self, path: &[u8], zxid: Zxid) -> Option<&NodeState> {
        let states = self.nodes.get(path)?;
        let behind = states.partition_point(|(from, _)| *from <= zxid);
        states[..behind].last()?.1.as_ref()
    }

    pub fn now(&self, path: &[u8]) -> Option<&NodeState> {
        self.nodes.get(path)?.last()?.1.as_ref()
    }

    /// Names of the children, sorted.
    pub fn children(&self, path: &[u8], zxid: Zxid) -> Vec<Bytes> {
        let below = self.below(path);
        let direct = below.filter(|(name, _)| !name.contains(&b'/'));
        direct.filter(|(_, path)| self.at(path, zxid).is_some()).map(|(name, _)| name).collect()
    }

    /// All below a node, with the path from there.
    fn below(&self, path: &[u8]) -> impl Iterator<Item = (Bytes, &Bytes)> + '_ {
        let mut prefix = path.to_vec();
        if prefix != b"/" {
            prefix.push(b'/');
        }
        let from = Bytes::from(prefix);
        let cut = from.len();
        let begin = from.clone();
        self.nodes
            .range(begin..)
            .map(|(path, _)| path)
            .take_while(move |path| path.starts_with(&from))
            .filter(move |path| path.len() > cut)
            .map(move |path| (path.slice(cut..), path))
    }

    pub fn descendants(&self, path: &[u8], zxid: Zxid) -> usize {
        self.below(path).filter(|(_, path)| self.at(path, zxid).is_some()).count()
    }

    /// Paths of nodes that belong to a session.
    pub fn owned_by(&self, session: i64, zxid: Zxid) -> Vec<Bytes> {
        let owned = |path: &&Bytes| self.at(path, zxid).is_some_and(|node| node.owner == session);
        self.nodes.keys().filter(owned).cloned().collect()
    }

    /// What a client is told.
    pub fn stat(&self, path: &[u8], zxid: Zxid) -> Option<Stat> {
        let node = self.at(path, zxid)?;
        let num_children = self.children(path, zxid).len() as i32;
        Some(Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.cversion.wrapping_mul(2).wrapping_sub(num_children),
            aversion: node.aversion,
            ephemeral_owner: node.owner,
            data_length: node.data.as_ref().map_or(0, Bytes::len) as i32,
            num_children,
            pzxid: node.pzxid,
        })
    }

    /// Changes behind `after`, through `through`.
    pub fn triggers(&self, after: Zxid, through: Zxid) -> &[Trigger] {
        let from = self.triggers.partition_point(|trigger| trigger.zxid <= after);
        let to = self.triggers.partition_point(|trigger| trigger.zxid <= through);
        &self.triggers[from..to.max(from)]
    }

    /// The next committed transaction.
    pub fn apply(&mut self, txn: &Txn) {
        self.apply_part(&txn.header, txn.header.kind, &txn.body);
    }

    fn apply_part(&mut self, header: &TxnHeader, kind: i32, body: &TxnBody) {
        match body {
            TxnBody::Create(t) => {
                let owner = if t.ephemeral { header.client_id.0 } else { 0 };
                self.create(header, &t.path, t.data.clone(), t.acl.as_ref(), owner, t.parent_c_version);
            }
            TxnBody::CreateContainer(t) => {
                self.create(header, &t.path, t.data.clone(), t.acl.as_ref(), 0, t.parent_c_version)
            }
            TxnBody::CreateTTL(t) => {
                self.create(header, &t.path, t.data.clone(), t.acl.as_ref(), 0, t.parent_c_version)
            }
            TxnBody::Delete(t) => self.delete(header.zxid, &t.path),
            TxnBody::SetData(t) => {
                let (zxid, time) = (header.zxid, header.time_ms);
                // A configuration has a version of its own, in its data.
                let next = |version: i32| if kind == op::RECONFIG { -1 } else { version.wrapping_add(1) };
                if self.now(&t.path).is_some_and(|node| next(node.version) != t.version) {
                    self.is_impossible(zxid, "sets", &t.path, "at another version than the next");
                }
                let data = t.data.clone();
                let version = t.version;
                if self.change(zxid, "sets", &t.path, |node| {
                    (node.data, node.version, node.mzxid, node.mtime) = (data, version, zxid, time);
                }) {
                    self.trigger(zxid, Change::DataChanged, &t.path);
                }
            }
            TxnBody::SetACL(t) => {
                _ = self.change(header.zxid, "sets the ACL of", &t.path, |node| {
                    (node.aversion, node.acl) = (t.version, Rights::of(t.acl.as_ref()));
                });
            }
            TxnBody::CloseSession(list) => {
                let paths = match list {
                    Some(list) => list.paths2_delete.clone(),
                    None => self.owned_by(header.client_id.0, header.zxid),
                };
                for path in paths {
                    self.delete(header.zxid, &path);
                }
            }
            TxnBody::Multi(t) if kind == op::MULTI => self.multi(header, t),
            _ => {}
        }
    }

    fn multi(&mut self, header: &TxnHeader, multi: &MultiTxn) {
        let parts = if multi.failed() {
            Err(errors_of(multi))
        } else {
            Ok(multi.txns.iter().map(|part| self.part(header, part)).collect())
        };
        self.multis.insert(header.zxid, parts);
    }

    fn part(&mut self, header: &TxnHeader, part: &SubTxn) -> Part {
        let body = part.body().ok().flatten();
        if let Some(body) = &body {
            self.apply_part(header, part.kind, body);
        }
        let path = match body {
            Some(TxnBody::Create(t)) => t.path,
            Some(TxnBody::CreateContainer(t)) => t.path,
            Some(TxnBody::CreateTTL(t)) => t.path,
            Some(TxnBody::Delete(t)) => t.path,
            Some(TxnBody::SetData(t)) => t.path,
            Some(TxnBody::CheckVersion(t)) => t.path,
            _ => Bytes::new(),
        };
        let stat = self.stat(&path, header.zxid);
        Part { kind: part.kind, path, stat }
    }

    /// What the multi at `zxid` did, if that is one.
    pub fn multi_at(&self, zxid: Zxid) -> Option<&Parts> {
        self.multis.get(&zxid)
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &Bytes,
        data: Option<Bytes>,
        acl: Option<&Vec<Acl>>,
        owner: i64,
        cversion: i32,
    ) {
        let (zxid, time) = (header.zxid, header.time_ms);
        if self.now(path).is_some() {
            self.is_impossible(zxid, "creates", path, "which is there");
        }
        let above = Bytes::copy_from_slice(parent(path));
        self.change(zxid, "creates below", &above, |node| {
            let cversion = if cversion == -1 { node.cversion.wrapping_add(1) } else { cversion };
            if cversion > node.cversion {
                (node.cversion, node.pzxid) = (cversion, zxid);
            }
        });
        let state = NodeState {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            cversion: 0,
            aversion: 0,
            owner,
            data,
            acl: Rights::of(acl),
        };
        self.put(path, zxid, Some(state));
        self.trigger(zxid, Change::Created, path);
    }

    fn delete(&mut self, zxid: Zxid, path: &Bytes) {
        if self.now(path).is_none() {
            return self.is_impossible(zxid, "deletes", path, "which is missing");
        }
        self.trigger(zxid, Change::Deleted, path);
        self.put(path, zxid, None);
        let above = Bytes::copy_from_slice(parent(path));
        self.change(zxid, "deletes below", &above, |node| node.pzxid = node.pzxid.max(zxid));
    }

    fn trigger(&mut self, zxid: Zxid, change: Change, path: &Bytes) {
        let may_be_seen =
            |path: &[u8]| self.now(path).is_none_or(|n| n.acl.allow(perms::READ) != Some(false));
        let (seen, parent_seen) = (may_be_seen(path), may_be_seen(parent(path)));
        self.triggers.push(Trigger { zxid, change, path: path.clone(), seen, parent_seen });
    }

    fn change(&mut self, zxid: Zxid, what: &str, path: &Bytes, with: impl FnOnce(&mut NodeState)) -> bool {
        let Some(mut state) = self.now(path).cloned() else {
            self.is_impossible(zxid, what, path, "which is missing");
            return false;
        };
        with(&mut state);
        self.put(path, zxid, Some(state));
        true
    }

    fn put(&mut self, path: &Bytes, zxid: Zxid, state: Option<NodeState>) {
        let states = self.nodes.entry(path.clone()).or_default();
        match states.last_mut() {
            Some((at, last)) if *at == zxid => *last = state,
            _ => states.push((zxid, state)),
        }
    }

    fn is_impossible(&mut self, zxid: Zxid, what: &str, path: &[u8], why: &str) {
        let path = String::from_utf8_lossy(path);
        self.impossible.get_or_insert_with(|| format!("{zxid} {what} {path}, {why}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::testing::*;

    #[test]
    fn a_history_of_one_node() {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        let below = run.commit(A, 2, create("/a/b", false));
        let set_at = run.commit(A, 3, set("/a", "w", 1));
        let gone = run.commit(A, 4, delete("/a/b"));
        let stat = |zxid| run.stat("/a", zxid);
        assert_eq!((stat(made).num_children, stat(below).num_children, stat(gone).num_children), (0, 1, 0));
        assert_eq!((stat(below).cversion, stat(gone).cversion), (1, 2));
        assert_eq!((stat(below).pzxid, stat(gone).pzxid, stat(gone).mzxid), (below, gone, set_at));
        assert!(run.checkers.history.at(b"/a/b", set_at).is_some());
        assert!(run.checkers.history.at(b"/a/b", gone).is_none());
        run.sound();
    }

    #[test]
    fn what_cannot_be_carried_out() {
        for (what, twice) in [
            (create("/a", false), true),
            (create("/x/y", false), false),
            (delete("/x"), false),
            (set("/a", "w", 2), true),
            (set("/x", "w", 1), false),
        ] {
            let mut run = TreeRun::new();
            if twice {
                run.commit(A, 1, create("/a", false));
            }
            run.sound();
            run.commit(A, 2, what);
            run.first_is("PREP");
        }
    }
}
