//! `ZkDatabase`: the state machine, the committed log in memory and the last processed zxid of one
//! member. Owned by the peer, lent to the role that is being played.

use std::collections::VecDeque;

use wire::{SessionId, SnapshotParser, SnapshotRecord, TxnHeader, Zxid, op};

use crate::disk::{LogTail, Recovered, TxnEntry};
use crate::state_machine::{Applied, StateMachine};

/// The last transactions that were committed, ascending and without a gap inside an epoch:
/// what a learner that is a little behind is sent from memory.
#[derive(Clone, Debug, Default)]
pub struct CommittedLog {
    entries: VecDeque<TxnEntry>,
    capacity: usize,
    /// What stands from here on stays, above the capacity too.
    pinned: Option<Zxid>,
}

impl CommittedLog {
    pub fn new(capacity: usize) -> CommittedLog {
        CommittedLog { entries: VecDeque::new(), capacity, pinned: None }
    }
    pub fn min(&self) -> Option<Zxid> {
        self.entries.front().map(|e| e.zxid)
    }
    pub fn max(&self) -> Option<Zxid> {
        self.entries.back().map(|e| e.zxid)
    }
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TxnEntry> + '_ {
        self.entries.iter()
    }
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Add the next transaction. One that is not above the last is a replay and left out.
    pub fn add(&mut self, entry: TxnEntry) {
        if self.max().is_some_and(|max| entry.zxid <= max) {
            return;
        }
        self.entries.push_back(entry);
        self.trim();
    }
    /// Keep everything from this zxid on until told otherwise: a log that is being read for a DIFF must
    /// meet what is in memory when it has been read. (Java holds the log's lock while it reads.)
    pub fn pin(&mut self, from: Option<Zxid>) {
        self.pinned = from;
        self.trim();
    }
    fn trim(&mut self) {
        while self.entries.len() > self.capacity
            && let Some(min) = self.min()
            && self.pinned.is_none_or(|pinned| min < pinned)
        {
            self.entries.pop_front();
        }
    }
    /// Keep what the disk, or the state in memory, has.
    pub fn cut_behind(&mut self, last: Zxid) {
        while self.entries.pop_back_if(|entry| entry.zxid > last).is_some() {}
    }
    pub fn clear(&mut self) {
        self.entries.clear();
        self.pinned = None;
    }
}

#[derive(Clone, Debug)]
pub struct ZkDatabase<S> {
    pub state: S,
    pub committed_log: CommittedLog,
    /// Zxid of the last transaction applied (or of the snapshot, or `E<<32|0` on an established
    /// leader).
    pub last_processed: Zxid,
    /// Zxid of the last transaction applied, or of the snapshot that the state began with: what a disk can hold.
    applied: Zxid,
    /// The newest snapshot on disk, loaded or taken since: its zxid, and the size of its body in bytes,
    /// which bounds a DIFF from disk. A state that is not whole is sent to learners as this and the log
    /// behind it.
    pub snapshot_zxid: Zxid,
    pub snapshot_bytes: u64,
}

impl<S: StateMachine> ZkDatabase<S> {
    pub fn new(state: S, commit_log_count: usize) -> ZkDatabase<S> {
        ZkDatabase {
            state,
            committed_log: CommittedLog::new(commit_log_count),
            last_processed: Zxid::ZERO,
            applied: Zxid::ZERO,
            snapshot_zxid: Zxid::ZERO,
            snapshot_bytes: 0,
        }
    }

    /// Replace everything by what the disk holds. The logged tail is applied, committed or not:
    /// a member votes and synchronises with the whole history that it logged.
    pub fn load(&mut self, recovered: &Recovered) -> Result<(), String> {
        self.committed_log.clear();
        self.load_behind_committed_log(recovered)
    }

    /// The same, but what is in the committed log stays (releases that kept their memory from role to role).
    pub fn load_behind_committed_log(&mut self, recovered: &Recovered) -> Result<(), String> {
        self.committed_log.cut_behind(recovered.last_zxid());
        self.begin_snapshot(Zxid::ZERO);
        self.snapshot_bytes = recovered.snapshot_bytes;
        self.snapshot_zxid = Zxid::ZERO;
        if let Some((zxid, body)) = &recovered.snapshot {
            self.snapshot_zxid = *zxid;
            let mut parser = SnapshotParser::of(body.clone());
            while let Some(record) = parser.next_record().map_err(|e| e.to_string())? {
                self.state.restore(record)?;
            }
            if !parser.is_complete() {
                return Err(format!("snapshot {zxid} ends before its end marker"));
            }
            (self.last_processed, self.applied) = (*zxid, *zxid);
        }
        // A snapshot need not have a place for what a reconfig of the log says.
        self.state.init_config(None, 0);
        for entry in &recovered.before_snapshot {
            self.committed_log.add(entry.clone());
        }
        for entry in &recovered.log {
            self.apply(entry);
            self.committed_log.add(entry.clone());
        }
        Ok(())
    }

    /// Apply one transaction to the state. Its place in the committed log is the caller's matter:
    /// a leader adds it when it decides COMMIT, a learner when it applies.
    pub fn apply(&mut self, entry: &TxnEntry) -> Applied {
        let applied = self.state.apply(entry.zxid, &entry.txn);
        self.last_processed = self.last_processed.max(entry.zxid);
        self.applied = self.applied.max(entry.zxid);
        applied
    }

    /// A committed transaction enters the committed log, before or after it is applied. Not one that memory has
    /// beside later ones: a leader may send behind a snapshot what the snapshot holds.
    pub fn remember(&mut self, entry: TxnEntry) {
        if entry.zxid >= self.applied {
            self.committed_log.add(entry);
        }
    }

    /// Where a `FastForward` begins.
    pub fn applied(&self) -> Zxid {
        self.applied
    }

    /// Memory was this member's history up to `applied`; now it is that of its disk (`ZKDatabase.fastForwardDataBase`),
    /// and its end is the last zxid: not one that no transaction has, as the beginning of an epoch that was led.
    pub fn fast_forward(&mut self, tail: &LogTail) {
        self.committed_log.pin(None);
        // What was committed and not applied yet is in the tail, or was still on its way to the own disk.
        self.committed_log.cut_behind(self.applied);
        let last = self.committed_log.max();
        assert!(last.is_none_or(|last| last == self.applied), "{last:?}, {} applied", self.applied);
        self.last_processed = self.applied;
        // One that was sealed when its role was over, or that a leader sent.
        if tail.snapshot != self.snapshot_zxid {
            (self.snapshot_zxid, self.snapshot_bytes) = (tail.snapshot, tail.snapshot_bytes);
        }
        for entry in &tail.log {
            assert!(entry.zxid > self.applied, "{} was applied already", entry.zxid);
            self.apply(entry);
            self.committed_log.add(entry.clone());
        }
    }

    /// An empty state, to be filled from a snapshot at `zxid`.
    pub fn begin_snapshot(&mut self, zxid: Zxid) {
        self.state.clear();
        (self.last_processed, self.applied) = (zxid, zxid);
    }

    /// Only with `sync-skips-session-tracker`: the table of sessions stays as it is.
    pub fn apply_past_sessions(&mut self, entry: &TxnEntry) {
        let header = TxnHeader::peek(&entry.txn);
        let session = header.as_ref().map(|header| header.client_id);
        let opens = header.is_some_and(|header| header.kind == op::CREATE_SESSION);
        if opens {
            self.last_processed = self.last_processed.max(entry.zxid);
            return;
        }
        let had = session.and_then(|id| Some((id, self.state.session_timeout(id)?)));
        self.apply(entry);
        if let Some((id, timeout_ms)) = had
            && self.state.session_timeout(id).is_none()
        {
            self.remember_session(id, timeout_ms);
        }
    }

    /// A session that no transaction has opened (yet): what historical releases had in their table.
    pub fn remember_session(&mut self, id: SessionId, timeout_ms: i32) {
        self.state.restore(SnapshotRecord::Session { id, timeout_ms }).expect("sessions are always restored");
    }
}
