//! `Standalone`: a server that is no member of an ensemble, as `ZooKeeperServerMain` runs it. Called by the peer when
//! its disk is read; ends with the process, or with its disk.
//!
//! ```text
//! write, session  Prep ─▶ Sync ─▶ durable ─▶ Commit, Final
//! sync, read      behind its session's own requests ─▶ Final
//! ```
//!
//! There is no election and no epoch of its own: zxids go on behind the last one on the disk. Where the counter is at
//! its end the next epoch begins, once both epoch files have it (recovery cuts what is above currentEpoch); requests
//! wait meanwhile. In Java the counter carries into the epoch.

use std::collections::VecDeque;

use bytes::Bytes;
use wire::{Epoch, Id, SessionId, TxnHeader, Zxid, code, op};

use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskDone, DiskOp, EpochFile, OpId, TxnEntry};
use crate::event::Event;
use crate::io::{ClientInput, Input, Task};
use crate::leader::liveness::CONTAINER_CHECK;
use crate::leader::session_tracker::{Owner, SessionTracker};
use crate::processors::client_sessions::ClientAction;
use crate::processors::{ClientSessions, CommitProcessor, LocalRequest, SnapshotTaker, SyncRequestProcessor};
use crate::state_machine::{StateMachine, WriteRequest};
use crate::time::Nanos;

/// A write on its way to `Prep`.
#[derive(Clone)]
struct Request {
    session: SessionId,
    cxid: i32,
    op: i32,
    body: Bytes,
    auth: Vec<Id>,
}

/// The next epoch, on its way to both files.
#[derive(Clone)]
struct Raising {
    epoch: Epoch,
    ops: [OpId; 2],
    /// Which of them are done.
    done: [bool; 2],
    waiting: VecDeque<Request>,
}

#[derive(Clone)]
pub struct Standalone<S: StateMachine> {
    /// The last zxid given.
    last: Zxid,
    /// What is handed to the log and not durable.
    outstanding: VecDeque<TxnEntry>,
    /// Syncs of clients, each behind this zxid.
    syncs: VecDeque<(Zxid, SessionId, i32)>,
    raising: Option<Raising>,
    half_ticks: u64,
    half_tick_at: Nanos,
    sync: SyncRequestProcessor,
    commit: CommitProcessor,
    snapshot: SnapshotTaker<S>,
    clients: ClientSessions,
    tracker: SessionTracker,
    orphans: Vec<SessionId>,
}

impl<S: StateMachine> Standalone<S> {
    /// The database is loaded: clients are served from now on.
    pub fn start(ctx: &mut Ctx<'_, S>) -> Standalone<S> {
        let now = ctx.io.now.mono;
        let half_tick = ctx.io.config.settings.half_tick();
        let last = ctx.db.last_processed.max(Zxid::ZERO);
        ctx.db.last_processed = last;
        let mut standalone = Standalone {
            last,
            outstanding: VecDeque::new(),
            syncs: VecDeque::new(),
            raising: None,
            half_ticks: 0,
            half_tick_at: now + half_tick,
            sync: SyncRequestProcessor::new(),
            commit: CommitProcessor::new(),
            snapshot: SnapshotTaker::new(),
            clients: ClientSessions::default(),
            tracker: SessionTracker::new(half_tick),
            orphans: ctx.db.state.orphans(),
        };
        standalone.clients.serve(&ctx.io, last);
        for (session, timeout_ms) in ctx.db.state.sessions() {
            standalone.tracker.track(session, timeout_ms, None, now);
        }
        standalone
    }

    pub fn next_deadline(&self) -> (Nanos, &'static str) {
        (self.half_tick_at, "half tick")
    }

    /// When each session ends if nothing is heard of it.
    pub fn session_expiries(&self) -> Vec<(SessionId, Nanos)> {
        let mut expiries: Vec<_> = self.tracker.expiries().collect();
        expiries.sort_unstable();
        expiries
    }

    /// Writes that are not durable.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub fn handle(&mut self, ctx: &mut Ctx<'_, S>, input: Input) -> RoleResult {
        match input {
            Input::Disk(done) => self.on_disk(ctx, &done),
            Input::Client(client) => {
                self.on_client(ctx, client);
                Ok(())
            }
            Input::Deadline => {
                self.on_deadline(ctx);
                Ok(())
            }
            Input::Run(task) => {
                self.run(ctx, task);
                Ok(())
            }
            Input::Accepted { conn, .. } => {
                ctx.io.close(conn);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, ctx: &mut Ctx<'_, S>, task: Task) {
        match task {
            Task::SyncProcessor => self.sync.run(&mut ctx.io),
            Task::CommitProcessor => _ = self.commit.run(ctx, &mut self.clients),
            Task::Snapshot => self.snapshot.run(ctx),
            Task::LearnerSender(_) | Task::SnapshotSender(_) | Task::StartForwarding(_) => {}
        }
    }

    fn on_client(&mut self, ctx: &mut Ctx<'_, S>, input: ClientInput) {
        match self.clients.on_input(ctx, input) {
            None => {}
            Some(ClientAction::Gone { session }) => self.commit.forget(session),
            Some(ClientAction::Revalidate { session, timeout_ms }) => {
                let valid = self.tracker.touch(session, timeout_ms, ctx.io.now.mono);
                if valid {
                    self.tracker.set_owner(session, Owner::Local);
                }
                self.clients.revalidated(&mut ctx.io, session, valid);
            }
            Some(ClientAction::Submit(request)) => self.submit_local(ctx, request),
        }
    }

    fn submit_local(&mut self, ctx: &mut Ctx<'_, S>, request: LocalRequest) {
        self.commit.submit_local(&mut ctx.io, ctx.db, request.clone());
        let LocalRequest { session, cxid, op, body, auth, .. } = request.clone();
        if op == op::SYNC {
            self.sync_behind_outstanding(ctx, session, cxid);
        } else if request.needs_leader() {
            self.submit(ctx, Request { session, cxid, op, body, auth });
        }
    }

    fn sync_behind_outstanding(&mut self, ctx: &mut Ctx<'_, S>, session: SessionId, cxid: i32) {
        if self.outstanding.is_empty() {
            self.commit.release_sync(&mut ctx.io, session, cxid);
        } else {
            self.syncs.push_back((self.last, session, cxid));
        }
    }

    /// Prep and Sync: the next zxid, the transaction, the log.
    fn submit(&mut self, ctx: &mut Ctx<'_, S>, request: Request) {
        if let Some(raising) = &mut self.raising {
            return raising.waiting.push_back(request);
        }
        // As a leader has it: the last counter is never given (ZOOKEEPER-1277).
        if self.last.counter() >= Zxid::ROLL_OVER - 1 {
            return self.raise_epoch(ctx, request);
        }
        let zxid = self.last.next();
        let session_error = self.check_session(ctx, &request).err();
        let write = WriteRequest {
            session: request.session,
            cxid: request.cxid,
            op: request.op,
            body: &request.body,
            auth: &request.auth,
            session_error,
            // Java's order: whether it is enabled comes first.
            config: ctx.io.config.settings.reconfig_enabled.then_some(Err(code::UNIMPLEMENTED)),
        };
        let txn = ctx.db.state.prepare(zxid, ctx.io.now.wall_ms, &write);
        ctx.io.event(Event::Proposed { zxid, digest: ctx.io.txn_digest(&txn) });
        self.last = zxid;
        let entry = TxnEntry { zxid, txn };
        self.outstanding.push_back(entry.clone());
        self.sync.submit(&mut ctx.io, entry);
    }

    fn raise_epoch(&mut self, ctx: &mut Ctx<'_, S>, first: Request) {
        let epoch = self.last.epoch().max(ctx.epochs.accepted).max(ctx.epochs.current).next();
        let ops = [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch]
            .map(|file| ctx.io.disk(DiskOp::WriteEpoch(file, epoch)));
        self.raising = Some(Raising { epoch, ops, done: [false; 2], waiting: [first].into() });
    }

    fn check_session(&mut self, ctx: &mut Ctx<'_, S>, request: &Request) -> Result<(), i32> {
        match request.op {
            op::CREATE_SESSION => {
                let timeout = request.body.first_chunk::<4>().ok_or(code::UNIMPLEMENTED)?;
                let timeout_ms = i32::from_be_bytes(*timeout);
                self.tracker.track(request.session, timeout_ms, Some(Owner::Local), ctx.io.now.mono);
                Ok(())
            }
            op::CLOSE_SESSION => {
                self.tracker.closing(request.session);
                Ok(())
            }
            op::DELETE_CONTAINER if request.session == SessionId(0) => Ok(()),
            _ => self.tracker.check(request.session, Owner::Local),
        }
    }

    fn on_disk(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        if self.on_synced(ctx, done)? || self.snapshot.on_disk(ctx, done)? {
            return Ok(());
        }
        self.on_epoch_written(ctx, done)
    }

    /// The log is durable through there: apply, answer.
    fn on_synced(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> Result<bool, Leave> {
        let Some(durable) = self.sync.on_disk(&mut ctx.io, done)? else { return Ok(false) };
        let through = durable.last().copied().unwrap_or(Zxid::ZERO);
        while let Some(entry) = self.outstanding.pop_front_if(|entry| entry.zxid <= through) {
            let digest = ctx.io.txn_digest(&entry.txn);
            ctx.io.event(Event::Committed { zxid: entry.zxid, digest });
            if let Some(header) = TxnHeader::peek(&entry.txn)
                && header.kind == op::CLOSE_SESSION
            {
                self.tracker.remove(header.client_id);
            }
            let zxid = entry.zxid;
            self.commit.commit(&mut ctx.io, entry);
            while let Some((_, session, cxid)) = self.syncs.pop_front_if(|(behind, ..)| *behind <= zxid) {
                self.commit.release_sync(&mut ctx.io, session, cxid);
            }
        }
        if self.sync.wants_snapshot(&ctx.io) {
            self.snapshot.begin(ctx);
        }
        Ok(true)
    }

    fn on_epoch_written(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        if let Err(error) = &done.result {
            return Err(Leave::Disk(error.clone()));
        }
        let Some(raising) = &mut self.raising else { return Ok(()) };
        for (op, is_done) in raising.ops.iter().zip(&mut raising.done) {
            *is_done |= *op == done.id;
        }
        if raising.done != [true; 2] {
            return Ok(());
        }
        let epoch = raising.epoch;
        let waiting = std::mem::take(&mut raising.waiting);
        self.raising = None;
        (ctx.epochs.accepted, ctx.epochs.current) = (epoch, epoch);
        self.last = epoch.first_zxid();
        for request in waiting {
            self.submit(ctx, request);
        }
        Ok(())
    }

    fn on_deadline(&mut self, ctx: &mut Ctx<'_, S>) {
        let now = ctx.io.now.mono;
        if self.half_tick_at > now {
            return;
        }
        self.half_tick_at = now + ctx.io.config.settings.half_tick();
        self.half_ticks += 1;
        for session in std::mem::take(&mut self.orphans) {
            self.close_session(ctx, session);
        }
        for (session, timeout_ms) in self.clients.drain_touched() {
            self.tracker.touch(session, timeout_ms, now);
        }
        for session in self.tracker.expired(now) {
            ctx.io.event(Event::SessionExpired { session });
            self.close_session(ctx, session);
        }
        if self.half_ticks.is_multiple_of(CONTAINER_CHECK) {
            for body in ctx.db.state.due_containers(ctx.io.now.wall_ms) {
                self.submit_own(ctx, SessionId(0), op::DELETE_CONTAINER, body);
            }
        }
    }

    fn close_session(&mut self, ctx: &mut Ctx<'_, S>, session: SessionId) {
        self.submit_own(ctx, session, op::CLOSE_SESSION, Bytes::new());
    }

    fn submit_own(&mut self, ctx: &mut Ctx<'_, S>, session: SessionId, op: i32, body: Bytes) {
        self.submit(ctx, Request { session, cxid: 0, op, body, auth: Vec::new() });
    }

    /// Its disk has failed. The log writer is given back, with what is queued for it.
    pub fn shut_down(mut self, ctx: &mut Ctx<'_, S>) -> SyncRequestProcessor {
        self.snapshot.abandon(&mut ctx.io);
        self.clients.disconnect_all(&mut ctx.io);
        self.clients.forget_gone(ctx.db);
        self.sync
    }
}
