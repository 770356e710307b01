//! `SyncRequestProcessor`: transactions to the log, many under one fsync. What follows it (Ack on a
//! leader, SendAck on a follower, nothing on an observer) learns which zxids became durable.

use wire::Zxid;

use crate::context::{Io, Leave};
use crate::disk::{DiskDone, DiskOp, OpId, TxnEntry};
use crate::event::Event;
use crate::io::Task;
use crate::switches::Switch;

#[derive(Clone, Debug, Default)]
pub struct SyncRequestProcessor {
    queued: Vec<TxnEntry>,
    scheduled: bool,
    syncing: Option<OpId>,
    /// Zxids under the fsync that is going on.
    batch: Vec<Zxid>,
    /// The append before that fsync.
    appending: Option<OpId>,
    /// Only with `dead-log-writer-ignored`: it has failed, and writes nothing any more.
    dead: bool,
    /// Transactions since the last snapshot of this role.
    logged: u64,
}

impl SyncRequestProcessor {
    pub fn new() -> SyncRequestProcessor {
        SyncRequestProcessor::default()
    }

    pub fn submit(&mut self, io: &mut Io<'_>, entry: TxnEntry) {
        let digest = io.txn_digest(&entry.txn);
        io.event(Event::Logged { zxid: entry.zxid, digest });
        self.queued.push(entry);
        self.logged += 1;
        self.schedule(io);
    }

    fn schedule(&mut self, io: &mut Io<'_>) {
        if !self.scheduled && self.syncing.is_none() && !self.queued.is_empty() {
            self.scheduled = true;
            io.schedule(Task::SyncProcessor);
        }
    }

    /// `Task::SyncProcessor`: one group commit.
    pub fn run(&mut self, io: &mut Io<'_>) {
        self.scheduled = false;
        if self.dead || self.syncing.is_some() || self.queued.is_empty() {
            return;
        }
        let n = self.queued.len().min(io.config.settings.max_batch_size);
        let rest = self.queued.split_off(n);
        let entries = std::mem::replace(&mut self.queued, rest);
        self.batch.clear();
        self.batch.extend(entries.iter().map(|entry| entry.zxid));
        self.appending = Some(io.disk(DiskOp::Append(entries)));
        self.syncing = Some(io.disk(DiskOp::Sync));
    }

    /// The zxids that `done` made durable, in order; `None` where it is not this processor's. A log
    /// that cannot be written ends the role (ZOOKEEPER-2247).
    pub fn on_disk(&mut self, io: &mut Io<'_>, done: &DiskDone) -> Result<Option<&[Zxid]>, Leave> {
        // Right: a log that cannot be written ends the role. Wrong: its task ends, and nobody looks.
        let own = self.syncing == Some(done.id) || self.appending == Some(done.id);
        if own && done.result.is_err() && io.config.switches.has(Switch::DeadLogWriterIgnored) {
            self.dead = true;
            return Ok(Some(&[]));
        }
        if self.syncing != Some(done.id) {
            return Ok(None);
        }
        self.syncing = None;
        if let Err(error) = &done.result {
            return Err(Leave::Disk(error.clone()));
        }
        self.schedule(io);
        Ok(Some(&self.batch))
    }

    /// True once so many transactions were logged that the log should roll and a snapshot begin.
    pub fn wants_snapshot(&mut self, io: &Io<'_>) -> bool {
        let count = io.config.settings.snap_count.max(2);
        // Half of snapCount and a part of the other half that differs from member to member.
        let at = count / 2 + io.config.seed % (count / 2);
        if self.logged <= at {
            return false;
        }
        self.logged = 0;
        true
    }
}
