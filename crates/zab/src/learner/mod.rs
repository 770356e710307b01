//! `Learner`: one member following (or observing) a leader: finds it, registers, synchronises, then
//! plays its role. Called by the peer; one `Learner` is one connection to one leader.
//!
//! ```text
//! Connecting ─▶ Registering ─▶ [AcceptingEpoch] ─▶ AwaitingSync ─▶ Syncing ─▶ MakingDurable
//!      ─▶ AwaitingUpToDate ─▶ Serving
//! ```
//!
//! While a phase waits for the disk, the stream is not read, as Java's one thread would not.

mod broadcast;
mod reconfig;
mod register;
mod sync;

use std::collections::VecDeque;

use bytes::BytesMut;
use wire::{Direction, Epoch, Inbound, Packet, QuorumStream, ServerId, Zxid};

use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskDone, OpId, TxnEntry};
use crate::event::{Event, SyncMode};
use crate::io::{ConnId, Input, Task};
use crate::processors::{
    ClientSessions, CommitProcessor, LearnerRequestProcessor, SendAckRequestProcessor, SnapshotTaker,
    SyncRequestProcessor,
};
use crate::state_machine::StateMachine;
use crate::switches::{Switch, Switches};
use crate::time::Nanos;
use sync::{Durable, Syncing};

pub(crate) use broadcast::refuse;
pub(crate) use register::PROTOCOL_VERSION;

#[derive(Clone, Debug)]
enum Phase {
    /// `conn`: a dial is under way; else the next try comes at `retry_at`.
    Connecting {
        conn: Option<ConnId>,
        tries: u32,
        retry_at: Nanos,
        give_up: Nanos,
    },
    /// FOLLOWERINFO or OBSERVERINFO is sent.
    Registering,
    /// acceptedEpoch is being written; then ACKEPOCH leaves with `reply`.
    AcceptingEpoch {
        op: OpId,
        epoch: Epoch,
        reply: Epoch,
    },
    /// A leader from before 1.0 sent NEWLEADER first: the same write, no ACKEPOCH.
    AcceptingEpochPre1 {
        op: OpId,
        epoch: Epoch,
    },
    /// ACKEPOCH is sent: DIFF, TRUNC or SNAP comes.
    AwaitingSync {
        epoch: Epoch,
    },
    Truncating {
        op: OpId,
        epoch: Epoch,
        zxid: Zxid,
    },
    Syncing(Syncing),
    /// NEWLEADER came: history durable, then currentEpoch durable, then its ACK.
    MakingDurable {
        sync: Syncing,
        step: Durable,
        op: OpId,
        then: VecDeque<Durable>,
    },
    AwaitingUpToDate(Syncing),
    Serving,
}

#[derive(Clone)]
pub struct Learner<S: StateMachine> {
    leader: ServerId,
    observer: bool,
    phase: Phase,
    conn: Option<ConnId>,
    stream: QuorumStream,
    /// What this input makes us say; one Send at its end.
    out: BytesMut,
    /// Last zxid as it was before the connection was opened (for ACKEPOCH).
    last_zxid: Zxid,
    read_deadline: Nanos,
    read_timeout: Nanos,
    established: Option<Epoch>,
    /// The leader speaks the protocol of before 1.0.
    pre_1_0: bool,
    /// The disk could not carry out a TRUNC (see `register`); this registration asks for a snapshot.
    cannot_truncate: bool,
    asks_for_snapshot: bool,
    // --- broadcast
    /// `lastQueued`: zxid of the last PROPOSAL.
    last_queued: Zxid,
    pending_txns: VecDeque<TxnEntry>,
    /// COMMITs that came between NEWLEADER and UPTODATE.
    early_commits: VecDeque<Zxid>,
    requests: LearnerRequestProcessor,
    sync: SyncRequestProcessor,
    send_ack: SendAckRequestProcessor,
    commit: CommitProcessor,
    snapshot: SnapshotTaker<S>,
    clients: ClientSessions,
}

impl<S: StateMachine> Learner<S> {
    pub fn start(ctx: &mut Ctx<'_, S>, leader: ServerId) -> Learner<S> {
        let settings = &ctx.io.config.settings;
        let observer = ctx.io.ensemble.learner_type() == crate::config::LearnerType::Observer;
        let mut learner = Learner {
            leader,
            observer,
            phase: Phase::Connecting {
                conn: None,
                tries: 0,
                retry_at: ctx.io.now.mono,
                give_up: ctx.io.now.mono + settings.init_time(),
            },
            conn: None,
            stream: QuorumStream::with_limit(Direction::ToLearner, settings.max_record()),
            out: BytesMut::new(),
            last_zxid: ctx.db.last_processed,
            read_deadline: Nanos::NEVER,
            read_timeout: settings.init_time(),
            established: None,
            pre_1_0: false,
            cannot_truncate: false,
            asks_for_snapshot: false,
            last_queued: Zxid::ZERO,
            pending_txns: VecDeque::new(),
            early_commits: VecDeque::new(),
            requests: LearnerRequestProcessor::default(),
            sync: SyncRequestProcessor::new(),
            send_ack: SendAckRequestProcessor,
            commit: CommitProcessor::new(),
            snapshot: SnapshotTaker::new(),
            clients: ClientSessions::default(),
        };
        learner.connect(ctx);
        learner
    }

    pub fn leader(&self) -> ServerId {
        self.leader
    }

    /// The epoch of the leader, once UPTODATE was processed.
    pub fn established(&self) -> Option<Epoch> {
        self.established
    }

    pub fn next_deadline(&self) -> (Nanos, &'static str) {
        match &self.phase {
            Phase::Connecting { conn: None, retry_at, .. } => (*retry_at, "connect to the leader again"),
            Phase::Connecting { give_up, .. } => (*give_up, "give up connecting to the leader"),
            _ if self.waits_for_disk() => (Nanos::NEVER, "waiting for the disk"),
            _ => (self.read_deadline, "read time-out"),
        }
    }

    pub fn handle(&mut self, ctx: &mut Ctx<'_, S>, input: Input) -> RoleResult {
        let result = self.dispatch(ctx, input);
        if let Some(conn) = self.conn
            && !self.out.is_empty()
        {
            ctx.io.send(conn, self.out.split().freeze());
        }
        result
    }

    fn dispatch(&mut self, ctx: &mut Ctx<'_, S>, input: Input) -> RoleResult {
        match input {
            Input::Connected { conn } => self.on_connected(ctx, conn),
            Input::Closed { conn, reason } => self.on_closed(ctx, conn, reason),
            Input::Received { conn, bytes } if Some(conn) == self.conn => {
                self.read_deadline = ctx.io.now.mono + self.read_timeout;
                self.stream.feed(bytes);
                self.read(ctx)
            }
            Input::Disk(done) => self.on_disk(ctx, &done),
            Input::Deadline => self.on_deadline(ctx),
            Input::Client(client) => self.on_client(ctx, client),
            Input::Run(Task::SyncProcessor) => {
                self.sync.run(&mut ctx.io);
                Ok(())
            }
            Input::Run(Task::CommitProcessor) => {
                self.commit.run(ctx, &mut self.clients);
                Ok(())
            }
            Input::Run(Task::Snapshot) => {
                self.snapshot.run(ctx);
                Ok(())
            }
            Input::Accepted { conn, .. } => {
                ctx.io.close(conn);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn waits_for_disk(&self) -> bool {
        matches!(
            self.phase,
            Phase::AcceptingEpoch { .. }
                | Phase::AcceptingEpochPre1 { .. }
                | Phase::Truncating { .. }
                | Phase::MakingDurable { .. }
        )
    }

    /// Process what the stream holds, until it is empty or a phase waits for the disk.
    fn read(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        while !self.waits_for_disk() {
            let inbound = self.stream.next().map_err(|e| Leave::LostLeader(e.to_string()))?;
            match inbound {
                None => return Ok(()),
                Some(Inbound::Packet(packet)) => self.on_packet(ctx, packet)?,
                Some(Inbound::Snapshot(record)) => {
                    ctx.db.state.restore(record).map_err(|e| Leave::LostLeader(format!("snapshot: {e}")))?;
                }
                Some(Inbound::SnapshotBytes(bytes)) => self.keep_snapshot(ctx, bytes),
                Some(Inbound::SnapshotEnd) => {
                    if let Phase::Syncing(sync) = &mut self.phase {
                        sync.snapshot_is_whole();
                        ctx.init_config();
                    }
                }
            }
        }
        Ok(())
    }

    fn on_packet(&mut self, ctx: &mut Ctx<'_, S>, packet: Packet) -> RoleResult {
        match &self.phase {
            Phase::Registering => self.on_leader_info(ctx, &packet),
            Phase::AwaitingSync { epoch } => {
                let epoch = *epoch;
                self.on_sync_mode(ctx, epoch, &packet)
            }
            Phase::Syncing(_) => self.on_sync_packet(ctx, packet),
            Phase::AwaitingUpToDate(_) => self.on_packet_before_uptodate(ctx, packet),
            Phase::Serving => self.on_broadcast(ctx, packet),
            phase => unreachable!("the stream is not read in {phase:?}"),
        }
    }

    fn on_disk(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        if self.on_synced(ctx, done)? || self.snapshot.on_disk(ctx, done)? {
            return Ok(());
        }
        self.on_handshake_disk(ctx, done)?;
        self.read_deadline = ctx.io.now.mono + self.read_timeout;
        self.read(ctx)
    }

    fn on_deadline(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        if let Phase::Connecting { .. } = self.phase {
            return self.on_connect_deadline(ctx);
        }
        if !self.waits_for_disk() && self.read_deadline <= ctx.io.now.mono {
            return Err(Leave::LostLeader("read time-out".into()));
        }
        Ok(())
    }

    fn say(&mut self, packet: &Packet) {
        packet.encode(&mut self.out);
    }

    /// A packet that its phase does not allow ends the connection.
    fn out_of_phase(packet: &Packet, expected: &str) -> Leave {
        Leave::LostLeader(format!("expected {expected}, received {packet}"))
    }

    /// Is memory kept as it is when the role ends now? Right: never, it becomes what the disk holds.
    ///
    /// | the role ends | wrong |
    /// |---|---|
    /// | amid a SNAP that came whole, before NEWLEADER | ZOOKEEPER-3642: the leader's tree and zxid are kept |
    /// | amid a DIFF, before NEWLEADER | ZOOKEEPER-2355: the zxid that DIFF raised is kept |
    /// | behind a TRUNC, before NEWLEADER | ZOOKEEPER-5094: what was applied behind it is kept, in no log |
    /// | amid any other SNAP or TRUNC | |
    /// | before a synchronisation | kept if it was kept before |
    /// | later | |
    /// | at any time but amid a SNAP or TRUNC | ZOOKEEPER-2845: kept, though the log holds more |
    pub fn keeps_memory(&self, switches: Switches, is_stale: bool) -> bool {
        let reuses = switches.has(Switch::ReuseDbWithoutLogTail);
        match &self.phase {
            Phase::Syncing(sync) => match sync.mode() {
                SyncMode::Snap => sync.is_whole() && switches.has(Switch::KeepPartialSnap),
                SyncMode::Diff => reuses || switches.has(Switch::DiffRaisesZxidAtOnce),
                SyncMode::Trunc => switches.has(Switch::KeepPartialTrunc),
                _ => false,
            },
            Phase::Truncating { .. } => false,
            Phase::MakingDurable { sync, .. } => reuses && sync.mode() == SyncMode::Diff,
            Phase::AwaitingUpToDate(_) | Phase::Serving => reuses,
            _ => reuses || is_stale,
        }
    }

    /// Is memory this member's own history, as far as it goes, when the role ends now?
    ///
    /// | the role ends | |
    /// |---|---|
    /// | before a synchronisation | as it was when the role began: yes |
    /// | amid one, until UPTODATE | no: its parts enter memory and disk at different times |
    /// | later | yes |
    pub fn remembers_its_history(&self) -> bool {
        match &self.phase {
            Phase::Connecting { .. }
            | Phase::Registering
            | Phase::AcceptingEpoch { .. }
            | Phase::AcceptingEpochPre1 { .. }
            | Phase::AwaitingSync { .. } => true,
            Phase::Truncating { .. }
            | Phase::Syncing(_)
            | Phase::MakingDurable { .. }
            | Phase::AwaitingUpToDate(_) => false,
            Phase::Serving => true,
        }
    }

    /// The role ends: the connection, the clients and a snapshot under way end with it.
    /// The log writer is given back, with what is queued for it.
    pub fn shut_down(mut self, ctx: &mut Ctx<'_, S>) -> SyncRequestProcessor {
        let dialled = match self.phase {
            Phase::Connecting { conn, .. } => conn,
            _ => None,
        };
        if let Some(conn) = self.conn.or(dialled) {
            ctx.io.close(conn);
        }
        if let Phase::Syncing(sync) = &self.phase {
            sync.abandon_snapshot(&mut ctx.io);
        }
        self.snapshot.abandon(&mut ctx.io);
        self.clients.disconnect_all(&mut ctx.io);
        self.clients.forget_gone(ctx.db);
        ctx.io.event(Event::ConnectionDropped { with: Some(self.leader), reason: "role left".into() });
        self.sync
    }
}
