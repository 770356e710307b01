//! `Leader`: one attempt to lead. Called by the peer when the election was won; ends by `Leave`.
//!
//! ```text
//! Discovery ─▶ AcceptingEpoch ─▶ AwaitingEpochAcks ─▶ WritingCurrentEpoch ─▶ AwaitingNewLeaderAcks
//!   quorum of     acceptedEpoch     quorum of             currentEpoch          quorum of ACKs of
//!   FOLLOWERINFO  durable           ACKEPOCH              durable               NEWLEADER ─▶ Established
//! ```
//!
//! Each gate has T * initLimit; then the attempt is given up.

mod broadcast;
mod discovery;
mod expiry_queue;
mod learner_handler;
pub(crate) mod liveness;
mod reconfig;
pub(crate) mod session_tracker;
mod stored_snapshot;
mod sync_decision;
mod synchronise;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{Epoch, Inbound, Packet, ServerId, SessionId, Zxid};

use crate::context::{Ctx, RoleResult};
use crate::disk::{DiskDone, OpId};
use crate::io::{ConnId, Input, Output, Port, Task};
use crate::processors::{
    AckRequestProcessor, ClientSessions, CommitProcessor, ProposalRequestProcessor, SnapshotTaker,
    SyncRequestProcessor, ToBeAppliedRequestProcessor,
};
use crate::state_machine::StateMachine;
use crate::switches::{Switch, Switches};
use crate::time::Nanos;
use learner_handler::LearnerHandler;
use reconfig::Retirement;
use session_tracker::SessionTracker;

pub use sync_decision::{SyncInputs, SyncOp, SyncPlan, decide, with_disk_log};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Discovery { deadline: Nanos },
    AcceptingEpoch { op: OpId, epoch: Epoch },
    AwaitingEpochAcks { epoch: Epoch, deadline: Nanos },
    WritingCurrentEpoch { op: Option<OpId>, epoch: Epoch },
    AwaitingNewLeaderAcks { epoch: Epoch, deadline: Nanos },
    Established { epoch: Epoch },
}

/// So many learners, beside the members, may be on their way to being synchronised.
const MAX_REGISTERING: usize = 128;

/// How a leader stands, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderStatus {
    /// Connections that said who they are.
    pub learners: usize,
    pub synced_followers: usize,
    pub synced_observers: usize,
    /// Proposals that are not committed.
    pub outstanding: usize,
    pub pending_syncs: usize,
}

/// `StateSummary`: what the leader stood for when it loaded its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StateSummary {
    current_epoch: Epoch,
    last_zxid: Zxid,
}

#[derive(Clone)]
pub struct Leader<S: StateMachine> {
    /// By a reconfiguration: nobody has voted for it.
    designated: bool,
    phase: Phase,
    summary: StateSummary,
    /// The epoch to propose: one above the largest accepted epoch heard of until it is fixed.
    next_epoch: Epoch,
    /// Members whose accepted epoch is known; that acknowledged the epoch; that acknowledged NEWLEADER.
    /// Voters alone make a quorum (`discovery::is_quorum`).
    connecting: BTreeSet<ServerId>,
    electing: BTreeSet<ServerId>,
    new_leader_acks: BTreeSet<ServerId>,
    /// acceptedEpoch is being written although the epoch is proposed already (ZOOKEEPER-1291).
    accepting_late: Option<OpId>,
    handlers: BTreeMap<ConnId, LearnerHandler<S::SnapshotCursor>>,
    /// What is being read from the disk, and for which learner.
    reading: BTreeMap<OpId, ConnId>,
    /// Ids for learners that send none: -1, -2, ...
    followers_without_id: i64,
    /// A configuration that the leader itself proposes with NEWLEADER is being kept.
    keeping_config: Option<OpId>,
    retires: Option<Retirement>,

    tick: u64,
    half_ticks: u64,
    half_tick_at: Nanos,

    last_committed: Zxid,
    proposals: ProposalRequestProcessor,
    sync: SyncRequestProcessor,
    ack: AckRequestProcessor,
    commit: CommitProcessor,
    to_be_applied: ToBeAppliedRequestProcessor,
    snapshot: SnapshotTaker<S>,
    clients: ClientSessions,
    tracker: SessionTracker,
    /// What the history held of sessions that it does not know: closed at the first half tick.
    orphans: Vec<SessionId>,
}

impl<S: StateMachine> Leader<S> {
    /// The database is loaded: learners are accepted from now on (`LearnerCnxAcceptor`). `designated`: by a reconfiguration,
    /// and nobody has voted. Who knows of it comes at once, and who does not may be needed for an election.
    pub fn start(ctx: &mut Ctx<'_, S>, designated: bool) -> Leader<S> {
        let now = ctx.io.now.mono;
        let settings = &ctx.io.config.settings;
        let patience = if designated { settings.tick_time } else { settings.init_time() };
        ctx.io.out.push(Output::Listen(Port::Quorum));
        let mut leader = Leader {
            designated,
            phase: Phase::Discovery { deadline: now + patience },
            summary: StateSummary { current_epoch: ctx.epochs.current, last_zxid: ctx.db.last_processed },
            next_epoch: ctx.epochs.accepted.next(),
            connecting: BTreeSet::new(),
            electing: BTreeSet::new(),
            new_leader_acks: BTreeSet::new(),
            accepting_late: None,
            keeping_config: None,
            retires: None,
            handlers: BTreeMap::new(),
            reading: BTreeMap::new(),
            followers_without_id: 0,
            tick: 0,
            half_ticks: 0,
            half_tick_at: now + settings.half_tick(),
            last_committed: ctx.db.last_processed,
            proposals: ProposalRequestProcessor::new(ctx.io.ensemble.voters(), ctx.db.last_processed),
            sync: SyncRequestProcessor::new(),
            ack: AckRequestProcessor,
            commit: CommitProcessor::new(),
            to_be_applied: ToBeAppliedRequestProcessor::default(),
            snapshot: SnapshotTaker::new(),
            clients: ClientSessions::default(),
            tracker: SessionTracker::new(settings.half_tick()),
            orphans: Vec::new(),
        };
        // Wrong: a snapshot of what was loaded, with a tail that no quorum knows of (ZOOKEEPER-1549).
        if ctx.io.config.switches.has(Switch::TruncKeepsNewerSnapshot) {
            leader.snapshot.begin(ctx);
        }
        leader.count_accepted_epoch(ctx, ctx.io.config.sid, ctx.epochs.accepted);
        leader
    }

    /// The epoch that a quorum established with this leader.
    pub fn established(&self) -> Option<Epoch> {
        match self.phase {
            Phase::Established { epoch } => Some(epoch),
            _ => None,
        }
    }

    pub fn next_deadline(&self) -> (Nanos, &'static str) {
        let (at, why) = match self.phase {
            Phase::Discovery { deadline } => (deadline, "epoch proposal within initLimit"),
            Phase::AwaitingEpochAcks { deadline, .. } => (deadline, "epoch ACKs within initLimit"),
            Phase::AwaitingNewLeaderAcks { deadline, .. } => (deadline, "NEWLEADER ACKs within initLimit"),
            _ => (Nanos::NEVER, "none"),
        };
        if self.half_tick_at < at { (self.half_tick_at, "half tick") } else { (at, why) }
    }

    pub fn handle(&mut self, ctx: &mut Ctx<'_, S>, input: Input) -> RoleResult {
        match input {
            Input::Received { conn, bytes } => self.on_received(ctx, conn, bytes),
            Input::Disk(done) => self.on_disk(ctx, &done),
            Input::Client(client) => self.on_client(ctx, client),
            Input::Accepted { conn, .. } => {
                self.accept(ctx, conn);
                Ok(())
            }
            Input::Closed { conn, .. } => {
                self.handlers.remove(&conn);
                self.pin_committed_log(ctx);
                self.check_retired(ctx)
            }
            Input::Drained { conn } => {
                if let Some(handler) = self.handlers.get_mut(&conn) {
                    handler.on_drained(&mut ctx.io);
                }
                Ok(())
            }
            Input::Deadline => self.on_deadline(ctx),
            Input::Run(task) => {
                self.run(ctx, task);
                Ok(())
            }
            Input::Boot | Input::Connected { .. } | Input::ClientAccepted { .. } => Ok(()),
        }
    }

    /// Of too many learners that are not synchronised the one goes that owes its hello longest; where none
    /// does, the new one.
    fn accept(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let limit = MAX_REGISTERING + ctx.io.ensemble.len();
        self.handlers.insert(conn, LearnerHandler::new(&ctx.io, conn));
        if self.handlers.values().filter(|h| !h.is_sending()).count() > limit {
            let waiting = self.handlers.values().filter(|h| h.owes_hello());
            let oldest = waiting.min_by_key(|h| (h.read_deadline, h.conn)).map_or(conn, |h| h.conn);
            self.drop_learner(ctx, oldest, "too many connections without a hello".into());
        }
    }

    /// What an operator asks for.
    pub fn status(&self) -> LeaderStatus {
        let synced = self.handlers.values().filter(|h| h.is_synced());
        LeaderStatus {
            learners: self.handlers.values().filter(|h| !h.owes_hello()).count(),
            synced_followers: synced.clone().filter(|h| h.participant).count(),
            synced_observers: synced.filter(|h| !h.participant).count(),
            outstanding: self.proposals.outstanding_len(),
            pending_syncs: self.proposals.pending_syncs_len(),
        }
    }

    /// When each session ends if nothing is heard of it, by session.
    pub fn session_expiries(&self) -> Vec<(SessionId, Nanos)> {
        let mut expiries: Vec<_> = self.tracker.expiries().collect();
        expiries.sort_unstable();
        expiries
    }

    fn run(&mut self, ctx: &mut Ctx<'_, S>, task: Task) {
        match task {
            Task::LearnerSender(conn) => {
                if let Some(handler) = self.handlers.get_mut(&conn) {
                    handler.run_sender(&mut ctx.io);
                }
            }
            Task::SnapshotSender(conn) => self.send_snapshot_slice(ctx, conn),
            Task::StartForwarding(conn) => self.forward_late(ctx, conn),
            Task::SyncProcessor => self.sync.run(&mut ctx.io),
            Task::CommitProcessor => self.run_commit_processor(ctx),
            Task::Snapshot => self.snapshot.run(ctx),
        }
    }

    fn on_received(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, bytes: Bytes) -> RoleResult {
        let Some(handler) = self.handlers.get_mut(&conn) else { return Ok(()) };
        let settings = &ctx.io.config.settings;
        let timeout = if handler.is_synced() { settings.sync_time() } else { settings.init_time() };
        if !handler.owes_hello() {
            // A hello has one time-out, however its bytes trickle in.
            handler.read_deadline = ctx.io.now.mono + timeout;
        }
        handler.stream.feed(bytes);
        while let Some(handler) = self.handlers.get_mut(&conn) {
            match handler.stream.next() {
                Ok(None) => break,
                Ok(Some(Inbound::Packet(packet))) => self.on_packet(ctx, conn, packet)?,
                Ok(Some(Inbound::Snapshot(_) | Inbound::SnapshotBytes(_) | Inbound::SnapshotEnd)) => {
                    unreachable!("a stream to the leader carries packets only")
                }
                Err(e) => self.drop_learner(ctx, conn, e.to_string()),
            }
        }
        Ok(())
    }

    /// Which packet is taken in which phase of a handler; every other one ends its connection.
    fn on_packet(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, packet: Packet) -> RoleResult {
        use learner_handler::Phase as H;
        let Some(handler) = self.handlers.get_mut(&conn) else { return Ok(()) };
        match (&handler.phase, packet) {
            (H::Hello, Packet::FollowerInfo { accepted, info }) => {
                self.on_hello(ctx, conn, true, accepted, &info)?;
            }
            (H::Hello, Packet::ObserverInfo { accepted, info }) => {
                self.on_hello(ctx, conn, false, accepted, &info)?;
            }
            (H::AwaitingAckEpoch, Packet::AckEpoch { last_zxid, current_epoch }) => {
                self.on_ack_epoch(ctx, conn, last_zxid, current_epoch);
            }
            (H::AwaitingNewLeaderAck, Packet::Ack { zxid }) => self.on_new_leader_ack(ctx, conn, zxid)?,
            (H::AwaitingUpToDate, Packet::Ack { zxid }) => handler.early_acks.push(zxid),
            (H::Synced, packet) => return self.on_broadcast(ctx, conn, packet),
            (_, packet) => self.drop_learner(ctx, conn, format!("out of phase: {packet}")),
        }
        Ok(())
    }

    fn drop_learner(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, reason: String) {
        if let Some(handler) = self.handlers.remove(&conn) {
            let with = (handler.sid != ServerId::NONE).then_some(handler.sid);
            ctx.io.drop_connection(conn, with, reason);
            self.pin_committed_log(ctx);
        }
    }

    fn on_disk(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        if self.on_synced(ctx, done)? || self.snapshot.on_disk(ctx, done)? {
            return Ok(());
        }
        if let Some(conn) = self.reading.remove(&done.id) {
            self.on_read(ctx, conn, done);
            return Ok(());
        }
        self.on_epoch_written(ctx, done)
    }

    /// Is memory kept as it is when the role ends now? Right: never, it becomes what the disk holds. Wrong (ZOOKEEPER-2845): always;
    /// (ZOOKEEPER-790) with the zxid of an epoch that nobody followed.
    pub fn keeps_memory(&self, switches: Switches) -> bool {
        switches.has(Switch::ReuseDbWithoutLogTail)
            || self.established().is_none() && switches.has(Switch::ZxidRaisedBeforeEstablished)
    }

    /// Everything of this attempt ends: connections, clients, a snapshot under way.
    /// The log writer is given back, with what is queued for it.
    pub fn shut_down(mut self, ctx: &mut Ctx<'_, S>) -> SyncRequestProcessor {
        ctx.io.out.push(Output::StopListening(Port::Quorum));
        for conn in self.handlers.into_keys() {
            ctx.io.close(conn);
        }
        self.snapshot.abandon(&mut ctx.io);
        self.clients.disconnect_all(&mut ctx.io);
        self.clients.forget_gone(ctx.db);
        self.sync
    }
}
