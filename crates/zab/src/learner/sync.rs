//! Synchronisation, the learner's side: DIFF, TRUNC or SNAP, the transactions behind it, NEWLEADER,
//! UPTODATE (`Learner.syncWithLeader`).
//!
//! | packet | before NEWLEADER | between NEWLEADER and UPTODATE |
//! |---|---|---|
//! | PROPOSAL | queued; a gap inside an epoch is fatal (ZOOKEEPER-4925) | the same |
//! | COMMIT | must name the head of the queue | kept, applied after UPTODATE (ZOOKEEPER-4394) |
//! | INFORM | queued and committed | the same |
//! | NEWLEADER | everything committed durable, then currentEpoch, then its ACK | fatal |
//! | UPTODATE | fatal (but for a leader of before 1.0) | ACK, serve |
//! | PING and others | ignored, without an answer | the same |
//!
//! What is durable before the ACK of NEWLEADER (ZOOKEEPER-3911, 4643, 4646, 4785): after DIFF and
//! TRUNC the committed transactions, in the log; after SNAP the snapshot as it came, byte for byte, with
//! the committed transactions in a log behind it, installed as one. Then currentEpoch. Transactions of
//! the sync count as delivered at UPTODATE, not before: until then nobody knows that the leader is
//! established.
//!
//! The snapshot goes to the disk while it comes, and is never in memory whole. That the bytes are the
//! leader's and not the state written anew lets a member keep a history that its state machine does not
//! understand.

use std::collections::VecDeque;

use bytes::Bytes;
use wire::{Epoch, Packet, Zxid};

use super::reconfig::{agree, latest_config};
use super::{Learner, Phase};
use crate::config::View;
use crate::context::{Ctx, Io, Leave, RoleResult};
use crate::disk::{DiskAnswer, DiskDone, DiskError, DiskOp, EpochFile, OpId, TxnEntry};
use crate::event::{Event, SyncMode};
use crate::state_machine::StateMachine;
use crate::switches::Switch;

/// A synchronisation under way.
#[derive(Clone, Debug)]
pub(super) struct Syncing {
    epoch: Epoch,
    mode: SyncMode,
    /// Where the history ends that it begins with.
    base: Zxid,
    /// The zxid of SNAP.
    snapshot: Zxid,
    snapshot_is_whole: bool,
    last_queued: Option<Zxid>,
    /// Proposed and not committed.
    not_logged: VecDeque<TxnEntry>,
    /// Committed before NEWLEADER, in order.
    committed: Vec<TxnEntry>,
    /// That came with NEWLEADER.
    config: Option<View>,
    new_leader_acked: bool,
}

/// What NEWLEADER makes durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Durable {
    Config,
    History,
    CurrentEpoch,
}

impl Syncing {
    fn new(epoch: Epoch, mode: SyncMode, base: Zxid) -> Syncing {
        Syncing {
            epoch,
            mode,
            base,
            snapshot: Zxid::NONE,
            snapshot_is_whole: false,
            last_queued: None,
            not_logged: VecDeque::new(),
            committed: Vec::new(),
            config: None,
            new_leader_acked: false,
        }
    }

    pub fn mode(&self) -> SyncMode {
        self.mode
    }

    /// The last byte of the snapshot came.
    pub fn snapshot_is_whole(&mut self) {
        self.snapshot_is_whole = true;
    }

    pub fn is_whole(&self) -> bool {
        self.snapshot_is_whole
    }

    /// Right: nothing of a synchronisation is applied before UPTODATE.
    fn is_applied_at_once(&self, io: &Io<'_>) -> bool {
        self.mode == SyncMode::Trunc && io.config.switches.has(Switch::KeepPartialTrunc)
    }

    /// ZOOKEEPER-1264: the head of the queue is committed and goes to memory alone, behind what was committed
    /// before it.
    fn apply_unlogged<S: StateMachine>(&mut self, ctx: &mut Ctx<'_, S>) {
        if self.mode != SyncMode::Snap && !self.is_applied_at_once(&ctx.io) {
            self.committed.drain(..).for_each(|entry| deliver(ctx, &entry));
        }
        let head = self.not_logged.pop_front();
        head.iter().for_each(|entry| deliver(ctx, entry));
    }

    /// The role ends before NEWLEADER: what came of a snapshot is of no use.
    pub fn abandon_snapshot(&self, io: &mut Io<'_>) {
        if self.mode == SyncMode::Snap {
            io.disk(DiskOp::SnapshotAbandon { zxid: self.snapshot });
        }
    }

    /// ZOOKEEPER-3911: what a DIFF brought as committed goes back into the queue, to be logged and delivered
    /// at UPTODATE. Gives its zxids.
    fn keep_in_memory(&mut self) -> Vec<Zxid> {
        let committed = std::mem::take(&mut self.committed);
        let zxids = committed.iter().map(|entry| entry.zxid).collect();
        self.not_logged = committed.into_iter().chain(self.not_logged.drain(..)).collect();
        zxids
    }

    fn queue(&mut self, io: &mut Io<'_>, zxid: Zxid, txn: Bytes) -> RoleResult {
        let entry = TxnEntry::received(zxid, txn).map_err(Leave::LostLeader)?;
        let last = self.last_queued.unwrap_or(self.base);
        // Behind a fuzzy snapshot the first may be one that it holds already; behind the beginning of an
        // epoch, which no transaction carries, the first may be any.
        let free = self.last_queued.is_none() && (entry.zxid <= last || last.counter() == 0);
        let gap = !free && !entry.zxid.follows(last);
        if gap && io.config.switches.learner_takes_gaps() {
            io.event(Event::ZxidGap { expected: Zxid(last.0 + 1), got: entry.zxid });
        } else if gap {
            return Err(Leave::LostLeader(format!(
                "gap in the synchronisation: {} after {last}",
                entry.zxid
            )));
        }
        self.last_queued = Some(entry.zxid);
        self.not_logged.push_back(entry);
        Ok(())
    }

    fn commit_head(&mut self, zxid: Zxid) -> RoleResult {
        match self.not_logged.pop_front_if(|head| head.zxid == zxid) {
            Some(entry) => {
                self.committed.push(entry);
                Ok(())
            }
            None => Err(Leave::LostLeader(format!("COMMIT {zxid} does not name the oldest proposal"))),
        }
    }
}

impl<S: StateMachine> Learner<S> {
    pub(super) fn on_sync_mode(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch, packet: &Packet) -> RoleResult {
        let (mode, zxid) = match *packet {
            Packet::Diff { zxid } => (SyncMode::Diff, zxid),
            Packet::Trunc { zxid } => (SyncMode::Trunc, zxid),
            Packet::Snap { zxid } => (SyncMode::Snap, zxid),
            Packet::Ping { .. } => return Ok(()),
            _ => return Err(Self::out_of_phase(packet, "DIFF, TRUNC or SNAP")),
        };
        if self.asks_for_snapshot && mode != SyncMode::Snap {
            return Err(Self::out_of_phase(packet, "SNAP, for the zxid -1"));
        }
        ctx.io.event(Event::SyncStarted { mode, zxid });
        self.phase = match mode {
            SyncMode::Trunc => {
                let op = ctx.io.disk(DiskOp::Truncate(zxid));
                Phase::Truncating { op, epoch, zxid }
            }
            SyncMode::Snap => {
                ctx.db.begin_snapshot(zxid);
                ctx.db.committed_log.clear();
                Phase::Syncing(Syncing { snapshot: zxid, ..Syncing::new(epoch, mode, zxid) })
            }
            mode => {
                let base = ctx.db.last_processed;
                // Right: the zxid inside DIFF moves nothing. Wrong (ZOOKEEPER-2355): it is the last
                // processed one from now on, and stays so if nothing comes behind it.
                if ctx.io.config.switches.has(Switch::DiffRaisesZxidAtOnce) {
                    ctx.db.last_processed = zxid;
                }
                Phase::Syncing(Syncing::new(epoch, mode, base))
            }
        };
        Ok(())
    }

    /// A piece of the snapshot's body.
    pub(super) fn keep_snapshot(&mut self, ctx: &mut Ctx<'_, S>, bytes: Bytes) {
        let Phase::Syncing(sync) = &self.phase else { unreachable!("a snapshot comes behind SNAP") };
        ctx.io.disk(DiskOp::SnapshotSlice { zxid: sync.snapshot, bytes });
    }

    pub(super) fn on_sync_packet(&mut self, ctx: &mut Ctx<'_, S>, packet: Packet) -> RoleResult {
        let Phase::Syncing(sync) = &mut self.phase else { unreachable!("called while synchronising") };
        match packet {
            Packet::Proposal { zxid, txn } => sync.queue(&mut ctx.io, zxid, txn),
            Packet::Commit { zxid } | Packet::CommitAndActivate { zxid, .. } => {
                sync.commit_head(zxid)?;
                // Java applies behind TRUNC at once; durable is that with the next snapshot, at NEWLEADER.
                if sync.is_applied_at_once(&ctx.io)
                    && let Some(entry) = sync.committed.last()
                {
                    deliver(ctx, entry);
                }
                Ok(())
            }
            Packet::Inform { zxid, txn } | Packet::InformAndActivate { zxid, txn, .. } => {
                sync.queue(&mut ctx.io, zxid, txn)?;
                sync.commit_head(zxid)
            }
            Packet::NewLeader { zxid, ref config } => {
                if zxid != sync.epoch.first_zxid() {
                    return Err(Self::out_of_phase(&packet, "NEWLEADER of the accepted epoch"));
                }
                let committed = latest_config(&sync.committed)?;
                let config = self.config_of_new_leader(ctx, config.as_ref(), committed)?;
                self.on_new_leader(ctx, config)
            }
            Packet::UpToDate if self.pre_1_0 => self.on_new_leader(ctx, None),
            Packet::UpToDate => Err(Self::out_of_phase(&packet, "NEWLEADER before UPTODATE")),
            // The stream has turned to reading a snapshot: there is no way back to packets.
            Packet::Snap { .. } => Err(Self::out_of_phase(&packet, "one synchronisation")),
            _ => Ok(()),
        }
    }

    fn on_new_leader(&mut self, ctx: &mut Ctx<'_, S>, config: Option<View>) -> RoleResult {
        let Phase::Syncing(mut sync) = std::mem::replace(&mut self.phase, Phase::Registering) else {
            unreachable!("called while synchronising")
        };
        ctx.io.event(Event::NewLeaderReceived { epoch: sync.epoch });
        sync.config = config;
        let switches = ctx.io.config.switches;
        if sync.mode == SyncMode::Diff && switches.has(Switch::AckNewLeaderWithDiffInMemory) {
            self.early_commits.extend(sync.keep_in_memory());
        }
        // Right: the history is durable before currentEpoch says so, and both before the ACK. Wrong
        // (ZOOKEEPER-4643): a DIFF or what follows a TRUNC comes after currentEpoch; (ZOOKEEPER-4646) and
        // the ACK does not even wait for it. (A snapshot comes before it in all releases.)
        let epoch_first = sync.mode != SyncMode::Snap
            && (switches.has(Switch::EpochBeforeHistory) || switches.has(Switch::AckNewLeaderWithLogQueued));
        let mut steps = VecDeque::from(if epoch_first {
            [Durable::CurrentEpoch, Durable::History]
        } else {
            [Durable::History, Durable::CurrentEpoch]
        });
        // Wrong (ZOOKEEPER-1282): currentEpoch comes at UPTODATE only.
        if switches.has(Switch::EpochAtUpToDate) {
            steps.retain(|step| matches!(step, Durable::History));
        }
        // Whose reconfig is in the log, its configuration is seen: before it comes and until it is gone. And before
        // currentEpoch says that this leader's history is here, its configuration is.
        let earlier =
            sync.config.as_ref().is_some_and(|view| view.version < ctx.io.ensemble.latest().version);
        let history = steps.iter().position(|step| matches!(step, Durable::History)).filter(|_| earlier);
        steps.insert(history.map_or(0, |at| at + 1), Durable::Config);
        self.make_durable(ctx, sync, steps)
    }

    /// The next of the steps that asks anything of the disk; behind the last one the ACK of NEWLEADER, or
    /// what waits at UPTODATE.
    fn make_durable(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        mut sync: Syncing,
        mut steps: VecDeque<Durable>,
    ) -> RoleResult {
        while let Some(step) = steps.pop_front() {
            let op = match step {
                Durable::Config => sync.config.as_ref().and_then(|view| agree(ctx, view)),
                Durable::History => history(ctx, &mut sync),
                Durable::CurrentEpoch if ctx.epochs.current == sync.epoch => None,
                Durable::CurrentEpoch => {
                    Some(ctx.io.disk(DiskOp::WriteEpoch(EpochFile::CurrentEpoch, sync.epoch)))
                }
            };
            let waits = !matches!(step, Durable::History)
                || sync.mode == SyncMode::Snap
                || !ctx.io.config.switches.has(Switch::AckNewLeaderWithLogQueued);
            if let Some(op) = op
                && waits
            {
                self.phase = Phase::MakingDurable { sync, step, op, then: steps };
                return Ok(());
            }
        }
        if sync.new_leader_acked { self.on_up_to_date(ctx, sync) } else { self.ack_new_leader(ctx, sync) }
    }

    fn ack_new_leader(&mut self, ctx: &mut Ctx<'_, S>, mut sync: Syncing) -> RoleResult {
        let epoch = sync.epoch;
        sync.new_leader_acked = true;
        ctx.io.event(Event::NewLeaderAckSent { epoch });
        if !self.pre_1_0 {
            self.say(&Packet::Ack { zxid: epoch.first_zxid() });
        }
        self.read_timeout = ctx.io.config.settings.sync_time();
        self.read_deadline = ctx.io.now.mono + self.read_timeout;
        if self.pre_1_0 {
            return self.on_up_to_date(ctx, sync);
        }
        // Right: what is proposed and not committed waits for UPTODATE. Wrong (ZOOKEEPER-4394): a follower
        // empties the queue into its log now, and a COMMIT before UPTODATE finds it empty (see there).
        let proposed = if self.dies_of_early_commits(ctx) {
            std::mem::take(&mut sync.not_logged)
        } else {
            VecDeque::new()
        };
        self.phase = Phase::AwaitingUpToDate(sync);
        proposed.into_iter().try_for_each(|entry| self.log_and_ack(ctx, entry))
    }

    fn dies_of_early_commits(&self, ctx: &Ctx<'_, S>) -> bool {
        ctx.io.config.switches.has(Switch::EarlyCommitFatal) && !self.observer
    }

    pub(super) fn on_handshake_disk(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        let answer = match &done.result {
            Ok(answer) => answer,
            Err(e @ DiskError::CannotTruncate(_)) if self.pre_1_0 => {
                return Err(Leave::Because(e.to_string()));
            }
            // Wrong: the process ends, and comes to the same TRUNC when it is started again.
            Err(e @ DiskError::CannotTruncate(_))
                if ctx.io.config.switches.has(Switch::TruncAtEpochStart) =>
            {
                return Err(Leave::Disk(e.clone()));
            }
            Err(e @ DiskError::CannotTruncate(_)) => {
                self.register_again(ctx, e.to_string());
                return Ok(());
            }
            Err(e) => return Err(self.epoch_not_written(ctx, done.id, e)),
        };
        match &self.phase {
            Phase::AcceptingEpoch { .. } | Phase::AcceptingEpochPre1 { .. } => {
                self.on_epoch_accepted(ctx, done.id);
                Ok(())
            }
            Phase::Truncating { op, epoch, zxid } if *op == done.id => {
                let (epoch, zxid) = (*epoch, *zxid);
                let DiskAnswer::Loaded(recovered) = answer else {
                    unreachable!("Truncate is answered by what is left")
                };
                ctx.db.load(recovered).map_err(Leave::Because)?;
                ctx.init_config();
                if ctx.io.config.switches.trunc_is_believed() {
                    ctx.db.last_processed = zxid;
                }
                let last = ctx.db.last_processed;
                let begins_epoch = zxid.counter() == 0 && last < zxid;
                assert!(last == zxid || begins_epoch, "TRUNC {zxid} leaves {last} last");
                ctx.io.event(Event::Loaded {
                    last_zxid: last,
                    snapshot: recovered.snapshot.as_ref().map_or(Zxid::ZERO, |(z, _)| *z),
                    accepted_epoch: recovered.accepted_epoch,
                    current_epoch: recovered.current_epoch,
                });
                self.phase = Phase::Syncing(Syncing::new(epoch, SyncMode::Trunc, last));
                Ok(())
            }
            Phase::MakingDurable { .. } => self.on_durable_step(ctx, done.id),
            _ => Ok(()),
        }
    }

    /// Right: a disk that failed stops the member. Wrong, for acceptedEpoch: it is an exception of this role,
    /// and the epoch in memory, which was changed first, stays.
    fn epoch_not_written(&self, ctx: &Ctx<'_, S>, done: OpId, error: &DiskError) -> Leave {
        match self.phase {
            Phase::AcceptingEpoch { op, .. }
                if op == done && ctx.io.config.switches.has(Switch::EpochMemoryFirst) =>
            {
                Leave::Because(format!("acceptedEpoch is not written: {error}"))
            }
            _ => Leave::Disk(error.clone()),
        }
    }

    fn on_durable_step(&mut self, ctx: &mut Ctx<'_, S>, done: OpId) -> RoleResult {
        let (sync, step, then) = match std::mem::replace(&mut self.phase, Phase::Registering) {
            Phase::MakingDurable { sync, step, op, then } if op == done => (sync, step, then),
            phase => {
                self.phase = phase;
                return Ok(());
            }
        };
        match step {
            Durable::History => self.on_history_durable(ctx, &sync),
            Durable::CurrentEpoch => ctx.epochs.current = sync.epoch,
            Durable::Config => {}
        }
        self.make_durable(ctx, sync, then)
    }

    /// Right: nothing leaves before the ACK of NEWLEADER. Wrong (ZOOKEEPER-4685): the log acknowledges what
    /// it holds by itself, and that the ACK of NEWLEADER still waits for currentEpoch does not hold it up.
    fn on_history_durable(&mut self, ctx: &mut Ctx<'_, S>, sync: &Syncing) {
        if ctx.io.config.switches.has(Switch::ProposalAckOvertakes)
            && sync.mode != SyncMode::Snap
            && !self.observer
        {
            let durable: Vec<Zxid> = sync.committed.iter().map(|entry| entry.zxid).collect();
            self.send_ack.process(&mut ctx.io, &durable, &mut self.out);
        }
    }

    pub(super) fn on_packet_before_uptodate(&mut self, ctx: &mut Ctx<'_, S>, packet: Packet) -> RoleResult {
        let dies = self.dies_of_early_commits(ctx);
        let unlogged = ctx.io.config.switches.has(Switch::CommitBeforeUpToDateUnlogged);
        let Phase::AwaitingUpToDate(sync) = &mut self.phase else { unreachable!("called before UPTODATE") };
        match packet {
            Packet::Proposal { zxid, txn } => sync.queue(&mut ctx.io, zxid, txn),
            // Right: what commits waits for UPTODATE, to be logged before it is applied. Wrong: it is applied.
            Packet::Commit { zxid }
                if unlogged && sync.not_logged.front().is_some_and(|e| e.zxid == zxid) =>
            {
                sync.apply_unlogged(ctx);
                Ok(())
            }
            Packet::Commit { zxid } | Packet::CommitAndActivate { zxid, .. } => {
                if dies && sync.not_logged.is_empty() {
                    let what = format!("NullPointerException: COMMIT {zxid}, and the queue is empty");
                    ctx.io.event(Event::Exception { what: what.clone() });
                    return Err(Leave::LostLeader(what));
                }
                ctx.io.mark("learner: COMMIT between NEWLEADER and UPTODATE");
                self.early_commits.push_back(zxid);
                Ok(())
            }
            Packet::Inform { zxid, txn } | Packet::InformAndActivate { zxid, txn, .. } => {
                sync.queue(&mut ctx.io, zxid, txn)?;
                self.early_commits.push_back(zxid);
                Ok(())
            }
            Packet::UpToDate => {
                let Phase::AwaitingUpToDate(sync) = std::mem::replace(&mut self.phase, Phase::Registering)
                else {
                    unreachable!("matched above")
                };
                self.on_up_to_date(ctx, sync)
            }
            Packet::NewLeader { .. } => Err(Self::out_of_phase(&packet, "one NEWLEADER")),
            // The stream has turned to reading a snapshot: there is no way back to packets.
            Packet::Snap { .. } => Err(Self::out_of_phase(&packet, "one synchronisation")),
            _ => Ok(()),
        }
    }

    /// UPTODATE: the leader is established, what it committed is delivered, the rest is logged and
    /// acknowledged one by one.
    fn on_up_to_date(&mut self, ctx: &mut Ctx<'_, S>, sync: Syncing) -> RoleResult {
        let epoch = sync.epoch;
        if ctx.epochs.current != epoch {
            // Only where NEWLEADER was acknowledged without it.
            return self.make_durable(ctx, sync, [Durable::CurrentEpoch].into());
        }
        self.say(&Packet::Ack { zxid: epoch.first_zxid() });
        self.established = Some(epoch);
        if sync.mode != SyncMode::Snap && !sync.is_applied_at_once(&ctx.io) {
            for entry in &sync.committed {
                deliver(ctx, entry);
            }
        }
        ctx.io.event(Event::UpToDate { epoch });
        self.phase = Phase::Serving;
        self.last_queued = sync.last_queued.unwrap_or(Zxid::ZERO);
        let last = self.last_queued.max(ctx.db.last_processed);
        self.clients.serve(&ctx.io, last.max(epoch.first_zxid()));
        // What NEWLEADER brought is agreed on, unless this leader has proposed it and it is not known to be committed.
        // (An observer is not told of the proposal.)
        let last_processed = ctx.db.last_processed;
        let proposed = |view: &View| {
            let zxid = view.version;
            let by_this_leader = zxid.epoch() == epoch && zxid.counter() > 0;
            let not_logged = sync.not_logged.iter().any(|entry| entry.zxid == zxid);
            not_logged || by_this_leader && zxid > last_processed
        };
        if let Some(view) = sync.config.filter(|view| !proposed(view)) {
            self.activate(ctx, &view, None)?;
        }
        ctx.init_config();
        if self.observer {
            return self.serve_observer(ctx, sync.not_logged);
        }
        for entry in sync.not_logged {
            self.log_and_ack(ctx, entry)?;
        }
        while let Some(zxid) = self.early_commits.pop_front() {
            self.on_commit(ctx, zxid, None)?;
        }
        Ok(())
    }

    /// What an observer got between NEWLEADER and UPTODATE: committed proposals are logged and applied
    /// (ZOOKEEPER-1551), others (of an old leader) are skipped.
    fn serve_observer(&mut self, ctx: &mut Ctx<'_, S>, not_logged: VecDeque<TxnEntry>) -> RoleResult {
        // Wrong: only a follower looks at what came behind NEWLEADER.
        if ctx.io.config.switches.has(Switch::ObserverDropsSyncTail) {
            self.early_commits.clear();
            return Ok(());
        }
        // Where proposals were skipped, the next INFORM follows what came before them.
        if !not_logged.is_empty() {
            self.last_queued = Zxid::ZERO;
        }
        for entry in not_logged {
            if self.early_commits.front() == Some(&entry.zxid) {
                self.early_commits.pop_front();
                self.on_inform(ctx, entry, None)?;
            } else {
                ctx.io.warn(format!("observer: proposal {} was never committed", entry.zxid));
            }
        }
        self.early_commits.clear();
        Ok(())
    }
}

/// To the disk: what was committed before NEWLEADER, behind the snapshot if one came.
fn history<S: StateMachine>(ctx: &mut Ctx<'_, S>, sync: &mut Syncing) -> Option<OpId> {
    if sync.mode == SyncMode::Snap {
        return Some(install(ctx, sync));
    }
    if sync.committed.is_empty() {
        return None;
    }
    for entry in &sync.committed {
        let digest = ctx.io.txn_digest(&entry.txn);
        ctx.io.event(Event::Logged { zxid: entry.zxid, digest });
    }
    ctx.io.disk(DiskOp::Append(sync.committed.clone()));
    Some(ctx.io.disk(DiskOp::Sync))
}

fn deliver<S: StateMachine>(ctx: &mut Ctx<'_, S>, entry: &TxnEntry) {
    apply(ctx, entry);
    remember(ctx, entry);
    let tree = ctx.db.state.digest();
    ctx.io.event(Event::Delivered { zxid: entry.zxid, digest: ctx.io.txn_digest(&entry.txn), tree });
}

/// Right: to the data and to the table of sessions. Wrong: to the data alone.
fn apply<S: StateMachine>(ctx: &mut Ctx<'_, S>, entry: &TxnEntry) {
    if ctx.io.config.switches.has(Switch::SyncSkipsSessionTracker) {
        ctx.db.apply_past_sessions(entry);
    } else {
        ctx.db.apply(entry);
    }
}

/// Right: what a synchronisation applies enters the committed log. Wrong: what is broadcast later does only.
fn remember<S: StateMachine>(ctx: &mut Ctx<'_, S>, entry: &TxnEntry) {
    if !ctx.io.config.switches.has(Switch::SyncBypassesCommittedLog) {
        ctx.db.remember(entry.clone());
    }
}

/// Apply what was committed behind the snapshot, and install both.
fn install<S: StateMachine>(ctx: &mut Ctx<'_, S>, sync: &mut Syncing) -> OpId {
    ctx.io.event(Event::Restored { zxid: ctx.db.last_processed, tree: ctx.db.state.digest() });
    for entry in &sync.committed {
        // The snapshot is fuzzy: it may hold this effect already, and replaying it is harmless.
        apply(ctx, entry);
        remember(ctx, entry);
        let (digest, tree) = (ctx.io.txn_digest(&entry.txn), ctx.db.state.digest());
        ctx.io.event(Event::Logged { zxid: entry.zxid, digest });
        ctx.io.event(Event::Delivered { zxid: entry.zxid, digest, tree });
    }
    let log = std::mem::take(&mut sync.committed);
    ctx.io.disk(DiskOp::Install { zxid: sync.snapshot, epoch: sync.epoch, log })
}
