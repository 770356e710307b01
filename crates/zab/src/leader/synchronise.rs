//! Bringing one learner up to date: the decision, what it puts on the wire, and from where on the
//! learner gets what is proposed (`syncFollower`, `startForwarding`).
//!
//! Decision and forwarding are one step (ZOOKEEPER-962), and in the same step the learner's earlier
//! acknowledgements of outstanding proposals are forgotten: TRUNC may cut what it acknowledged on a
//! former connection, and it is sent those proposals again.

use bytes::{Bytes, BytesMut};
use wire::{Packet, SNAPSHOT_SIGNATURE, Zxid};

use super::learner_handler::Phase as H;
use super::sync_decision::{SyncInputs, SyncOp, SyncPlan, decide, with_disk_log};
use super::{Leader, Phase};
use crate::context::Ctx;
use crate::disk::{DiskAnswer, DiskDone, DiskError, DiskOp, TxnEntry};
use crate::event::{Event, SyncMode};
use crate::io::{ConnId, Task};
use crate::state_machine::StateMachine;
use crate::switches::Switch;

impl<S: StateMachine> Leader<S> {
    pub(super) fn synchronise(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, peer_last_zxid: Zxid) {
        let plan = decide(&inputs(ctx, peer_last_zxid));
        if let SyncPlan::ReadLog { after, through, size_limit } = plan {
            self.ask_disk(ctx, conn, DiskOp::ReadLog { after, through, size_limit });
            if let Some(handler) = self.handlers.get_mut(&conn) {
                handler.phase = H::ReadingLog { peer_last_zxid, through };
            }
            self.pin_committed_log(ctx);
            return;
        }
        self.carry_out(ctx, conn, peer_last_zxid, plan);
    }

    /// Read for a learner; the answer comes to `on_read`.
    pub(super) fn ask_disk(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, op: DiskOp) {
        let id = ctx.io.disk(op);
        self.reading.insert(id, conn);
    }

    /// `done` answers what was read for a learner, which may be gone. What cannot be read is no reason
    /// to step down: the learner gets a snapshot instead of a log, and goes where there is none either.
    pub(super) fn on_read(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, done: &DiskDone) {
        let Some(handler) = self.handlers.get(&conn) else { return };
        match (&handler.phase, &done.result) {
            (H::ReadingLog { peer_last_zxid, .. }, result) => {
                let peer_last_zxid = *peer_last_zxid;
                let plan = with_disk_log(&inputs(ctx, peer_last_zxid), log_of(result));
                self.carry_out(ctx, conn, peer_last_zxid, plan);
                self.pin_committed_log(ctx);
            }
            (H::SendingStoredSnapshot { .. }, Ok(DiskAnswer::SnapshotBytes(bytes))) => {
                self.send_stored_piece(ctx, conn, bytes.clone());
            }
            (H::SendingStoredSnapshot { .. }, Err(error)) => {
                let why = format!("the stored snapshot cannot be read: {error}");
                self.drop_learner(ctx, conn, why);
            }
            (H::ReadingLogBehind { snapshot }, result) => {
                let snapshot = *snapshot;
                self.send_log_behind(ctx, conn, snapshot, log_of(result));
            }
            _ => {}
        }
    }

    /// The committed log reaches back to where a log that is being read will end, for each learner that
    /// waits for one.
    pub(super) fn pin_committed_log(&self, ctx: &mut Ctx<'_, S>) {
        let reading = self.handlers.values().filter_map(|h| match h.phase {
            H::ReadingLog { through, .. } => Some(through),
            _ => None,
        });
        ctx.db.committed_log.pin(reading.min());
    }

    fn carry_out(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, peer_last_zxid: Zxid, plan: SyncPlan) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        let learner = handler.sid;
        self.proposals.forget_acks(learner);
        if handler.pre_1_0 {
            // A learner of before 1.0 wants NEWLEADER first.
            self.queue_new_leader(ctx, conn);
        }
        match plan {
            SyncPlan::Stream { mode, op, txns, forward_from } => {
                let (packet, zxid) = match op {
                    SyncOp::Diff(zxid) => (Packet::Diff { zxid }, zxid),
                    SyncOp::Trunc(zxid) => (Packet::Trunc { zxid }, zxid),
                };
                ctx.io.event(Event::SyncChosen { learner, mode, peer_last_zxid, zxid });
                let Some(handler) = self.handlers.get_mut(&conn) else { return };
                handler.queue(&mut ctx.io, &packet);
                self.send_committed(ctx, conn, &txns);
                // Right: in this step. Wrong: in another one, and what is committed and applied in between
                // is neither in `txns` nor outstanding then.
                if ctx.io.config.switches.has(Switch::SyncRangeNotAtomic) {
                    let Some(handler) = self.handlers.get_mut(&conn) else { return };
                    handler.phase = H::AwaitingForwarding { last_seen: forward_from };
                    return ctx.io.schedule(Task::StartForwarding(conn));
                }
                self.start_forwarding(ctx, conn, forward_from);
                self.finish_sync(ctx, conn);
            }
            SyncPlan::Snap { .. } if !ctx.db.state.is_whole() => {
                let zxid = ctx.db.snapshot_zxid;
                ctx.io.event(Event::SyncChosen { learner, mode: SyncMode::Snap, peer_last_zxid, zxid });
                self.send_stored_snapshot(ctx, conn);
            }
            SyncPlan::Snap { forward_from } => {
                let zxid = ctx.db.last_processed;
                ctx.io.event(Event::SyncChosen { learner, mode: SyncMode::Snap, peer_last_zxid, zxid });
                self.begin_snapshot(
                    ctx,
                    conn,
                    zxid,
                    H::SendingSnapshot { cursor: ctx.db.state.snapshot_begin() },
                );
                // Right: NEWLEADER comes behind what is proposed while the snapshot is sent. Wrong
                // (ZOOKEEPER-3104): before it.
                if ctx.io.config.switches.has(Switch::NewLeaderBeforeSnapshotTail) {
                    self.queue_new_leader(ctx, conn);
                }
                self.start_forwarding(ctx, conn, forward_from);
            }
            SyncPlan::ReadLog { .. } => unreachable!("the log was read before"),
        }
    }

    pub(super) fn begin_snapshot(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        conn: ConnId,
        zxid: Zxid,
        phase: H<S::SnapshotCursor>,
    ) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        handler.run_sender(&mut ctx.io);
        handler.phase = phase;
        let mut snap = BytesMut::with_capacity(20);
        Packet::Snap { zxid }.encode(&mut snap);
        handler.write(&mut ctx.io, snap.freeze());
        if !handler.is_blocked() {
            ctx.io.schedule(Task::SnapshotSender(conn));
        }
    }

    /// What is committed, as PROPOSAL and COMMIT.
    pub(super) fn send_committed(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, txns: &[TxnEntry]) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        for entry in txns {
            handler.queue(&mut ctx.io, &Packet::Proposal { zxid: entry.zxid, txn: entry.txn.clone() });
            handler.queue(&mut ctx.io, &Packet::Commit { zxid: entry.zxid });
        }
    }

    /// From here on the learner gets every PROPOSAL and COMMIT (or INFORM).
    pub(super) fn start_forwarding(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, last_seen: Zxid) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        for entry in self.to_be_applied.behind(last_seen) {
            handler.queue(&mut ctx.io, &Packet::Proposal { zxid: entry.zxid, txn: entry.txn.clone() });
            handler.queue(&mut ctx.io, &Packet::Commit { zxid: entry.zxid });
        }
        if handler.participant {
            for proposal in self.proposals.outstanding_behind(last_seen) {
                let (zxid, txn) = (proposal.entry.zxid, proposal.entry.txn.clone());
                handler.queue(&mut ctx.io, &Packet::Proposal { zxid, txn });
            }
        }
        handler.forwarding = true;
    }

    /// `Task::StartForwarding`.
    pub(super) fn forward_late(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let Some(handler) = self.handlers.get(&conn) else { return };
        if let H::AwaitingForwarding { last_seen } = handler.phase {
            self.start_forwarding(ctx, conn, last_seen);
            self.finish_sync(ctx, conn);
        }
    }

    /// `Task::SnapshotSender`: one slice; what is proposed meanwhile waits in the queue, and NEWLEADER
    /// comes behind it (ZOOKEEPER-3104).
    pub(super) fn send_snapshot_slice(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        if handler.is_blocked() {
            return;
        }
        let H::SendingSnapshot { cursor } = &mut handler.phase else {
            return self.read_stored_piece(ctx, conn);
        };
        let mut slice = BytesMut::new();
        let complete = ctx.db.state.snapshot_slice(cursor, ctx.io.config.settings.snapshot_slice, &mut slice);
        if complete {
            wire::jute::put_buffer(&mut slice, Some(SNAPSHOT_SIGNATURE));
        }
        handler.write(&mut ctx.io, slice.freeze());
        // Its answer is waited for from the end of the snapshot on, however long that takes.
        handler.read_deadline = ctx.io.now.mono + ctx.io.config.settings.init_time();
        if complete {
            self.finish_sync(ctx, conn);
        } else if !handler.is_blocked() {
            ctx.io.schedule(Task::SnapshotSender(conn));
        }
    }

    pub(super) fn finish_sync(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        handler.phase = H::AwaitingNewLeaderAck;
        handler.read_deadline = ctx.io.now.mono + ctx.io.config.settings.init_time();
        handler.schedule(&mut ctx.io);
        if !handler.new_leader_queued {
            self.queue_new_leader(ctx, conn);
        }
    }

    fn queue_new_leader(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let (Phase::AwaitingNewLeaderAcks { epoch, .. } | Phase::Established { epoch }) = self.phase else {
            unreachable!("NEWLEADER leaves only when currentEpoch is durable")
        };
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        handler.new_leader_queued = true;
        // Until the epoch is established it agrees on the latest one. Later, one that is seen is proposed.
        let ensemble = &ctx.io.ensemble;
        let agreed = matches!(self.phase, Phase::Established { .. });
        let view = if agreed { ensemble.active() } else { ensemble.latest() };
        let config: Option<Bytes> = (!handler.pre_1_0).then(|| view.text());
        handler.queue(&mut ctx.io, &Packet::NewLeader { zxid: epoch.first_zxid(), config });
        ctx.io.event(Event::NewLeaderSent { epoch, to: handler.sid });
    }
}

fn log_of(result: &Result<DiskAnswer, DiskError>) -> Option<Vec<TxnEntry>> {
    match result {
        Ok(DiskAnswer::Log(entries)) => entries.clone(),
        _ => None,
    }
}

fn inputs<'a, S>(ctx: &'a Ctx<'_, S>, peer_last_zxid: Zxid) -> SyncInputs<'a> {
    SyncInputs {
        peer_last_zxid,
        last_processed: ctx.db.last_processed,
        log: &ctx.db.committed_log,
        snapshot_bytes: ctx.db.snapshot_bytes,
        settings: &ctx.io.config.settings,
        switches: ctx.io.config.switches,
    }
}
