//! `ZkDatabase`: the data tree and the sessions, which transactions change together (`ZKDatabase`). The
//! processors are in front of it; tools that read data directories use it alone.

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use wire::txn::CreateSessionTxn;
use wire::{SessionId, SnapshotRecord, Txn, TxnBody, Zxid, ZxidDigest, op};

use crate::data_tree::{ChangeListener, Cursor, DIGEST_VERSION, DataTree, ProcessTxnResult};

#[derive(Clone, Debug)]
pub struct ZkDatabase {
    pub tree: DataTree,
    sessions: BTreeMap<SessionId, i32>,
    sessions_digest: u64,
    /// The tree had the digest that a transaction said, or was new. A snapshot may hold effects of transactions
    /// that come again, and until then it need not have.
    digest_confirmed: bool,
    digest_mismatches: u64,
    digest_log: VecDeque<ZxidDigest>,
}

/// The digest log has one entry in so many zxids, and so many entries (`DataTree.DIGEST_LOG_INTERVAL`, `_LIMIT`).
const DIGEST_LOG_INTERVAL: i64 = 128;
const DIGEST_LOG_LIMIT: usize = 1024;

impl Default for ZkDatabase {
    fn default() -> Self {
        ZkDatabase::new()
    }
}

impl ZkDatabase {
    /// A fresh server's.
    pub fn new() -> ZkDatabase {
        ZkDatabase::of(DataTree::new())
    }

    /// To be filled by `restore`.
    pub fn bare() -> ZkDatabase {
        ZkDatabase::of(DataTree::bare())
    }

    fn of(tree: DataTree) -> ZkDatabase {
        ZkDatabase {
            tree,
            sessions: BTreeMap::new(),
            sessions_digest: 0,
            digest_confirmed: true,
            digest_mismatches: 0,
            digest_log: VecDeque::new(),
        }
    }

    pub fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// With timeouts in milliseconds, by id.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = (SessionId, i32)> {
        self.sessions.iter().map(|(session, timeout_ms)| (*session, *timeout_ms))
    }

    fn open_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.close_session(session);
        self.sessions.insert(session, timeout_ms);
        self.sessions_digest = self.sessions_digest.wrapping_add(session_digest(session, timeout_ms));
    }

    fn close_session(&mut self, session: SessionId) {
        if let Some(timeout_ms) = self.sessions.remove(&session) {
            self.sessions_digest = self.sessions_digest.wrapping_sub(session_digest(session, timeout_ms));
        }
    }

    /// Of tree, ACLs and sessions.
    pub fn digest(&self) -> u64 {
        self.tree.full_digest().wrapping_add(self.sessions_digest)
    }

    /// What a snapshot's file has behind its first seal (3.6+): taken when the last node is written, it is the
    /// tree's once the log was replayed up to its zxid. Of a tree to which nothing was applied it is zeros.
    pub fn zxid_digest(&self) -> ZxidDigest {
        let zxid = self.tree.last_zxid();
        let digest = if zxid == Zxid::ZERO { 0 } else { self.tree.tree_digest() as i64 };
        ZxidDigest { zxid, digest_version: DIGEST_VERSION, digest }
    }

    /// A committed or a logged transaction.
    pub fn process_txn(&mut self, txn: &Txn, listener: &mut impl ChangeListener) -> ProcessTxnResult {
        let session = txn.header.client_id;
        match (txn.header.kind, &txn.body) {
            (op::CREATE_SESSION, TxnBody::CreateSession(CreateSessionTxn { time_out })) => {
                self.open_session(session, *time_out);
            }
            (op::CLOSE_SESSION, _) => self.close_session(session),
            _ => {}
        }
        let result = self.tree.process_txn(txn, listener);
        self.compare_digest(txn);
        if txn.header.zxid.0 % DIGEST_LOG_INTERVAL == 0 {
            self.log_digest();
        }
        result
    }

    fn compare_digest(&mut self, txn: &Txn) {
        let Some(digest) = txn.digest.filter(|digest| digest.version == DIGEST_VERSION) else { return };
        let equal = digest.tree_digest as u64 == self.tree.tree_digest();
        self.digest_mismatches += u64::from(self.digest_confirmed && !equal);
        self.digest_confirmed |= equal;
    }

    fn log_digest(&mut self) {
        if self.digest_log.len() == DIGEST_LOG_LIMIT {
            self.digest_log.pop_front();
        }
        self.digest_log.push_back(self.zxid_digest());
    }

    /// The tree's digest at each 128th zxid, the last 1024 of them, to be compared between members
    /// (`DataTree.getDigestLog`).
    pub fn digest_log(&self) -> impl Iterator<Item = &ZxidDigest> {
        self.digest_log.iter()
    }

    /// Transactions after which the tree had another digest than their leader's. It goes on, as Java does.
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    /// False from the loading of a snapshot until a transaction's digest was the tree's.
    pub fn digest_confirmed(&self) -> bool {
        self.digest_confirmed
    }

    /// Sessions that own nodes and are in no session table, as old logs may leave them.
    pub fn orphans(&self) -> Vec<SessionId> {
        let owners = self.tree.sessions_with_ephemerals().map(|(session, _)| SessionId(session));
        owners.filter(|id| !self.sessions.contains_key(id)).collect()
    }

    pub fn restore(&mut self, record: SnapshotRecord) -> Result<(), String> {
        match record {
            SnapshotRecord::Session { id, timeout_ms } => {
                self.open_session(id, timeout_ms);
                Ok(())
            }
            SnapshotRecord::AclEntry { key, acl } => self.tree.restore_acl(key, &acl),
            SnapshotRecord::Node { path, data, acl_key, stat } => {
                self.digest_confirmed = false;
                self.tree.restore_node(&path, data.as_deref(), acl_key, &stat)
            }
        }
    }

    pub fn snapshot_slice(&self, cursor: &mut Cursor, max: usize, out: &mut BytesMut) -> bool {
        cursor.write(&self.tree, self.sessions(), max, out)
    }
}

fn session_digest(session: SessionId, timeout_ms: i32) -> u64 {
    (session.0 as u64 ^ (timeout_ms as u64) << 40).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
