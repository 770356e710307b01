//! `LearnerHandler`: the leader's side of one connection from a learner: where the handshake stands,
//! and the ordered queue of what goes out. Owned by `Leader`, which decides; a handler only keeps.

use bytes::BytesMut;
use wire::{Direction, Packet, QuorumStream, ServerId, Zxid};

use crate::context::Io;
use crate::io::{ConnId, Task};
use crate::time::Nanos;

/// Bytes in flight to the transport above which a handler waits for it.
const WINDOW: usize = 1 << 20;
/// Bytes queued for a learner that takes none, above which it is given up.
const QUEUE_LIMIT: usize = 128 << 20;
/// Longest hello: FOLLOWERINFO with the learner's LearnerInfo.
const HELLO_LIMIT: usize = 4096;

#[derive(Clone, Debug)]
pub(super) enum Phase<C> {
    /// FOLLOWERINFO or OBSERVERINFO comes first.
    Hello,
    /// Waits until the epoch is proposed; then LEADERINFO.
    AwaitingEpoch,
    /// LEADERINFO is sent.
    AwaitingAckEpoch,
    /// ACKEPOCH came: waits until a quorum acknowledged and the leader's currentEpoch is durable.
    AwaitingEpochQuorum {
        peer_last_zxid: Zxid,
    },
    /// The log on disk is being read for a DIFF.
    ReadingLog {
        peer_last_zxid: Zxid,
        /// Where the committed log in memory begins; it is pinned there.
        through: Zxid,
    },
    /// The snapshot is streamed from memory; what is queued waits behind it.
    SendingSnapshot {
        cursor: C,
    },
    /// The snapshot that was loaded is streamed from the disk, `length` bytes; nothing is queued yet.
    SendingStoredSnapshot {
        snapshot: Zxid,
        offset: u64,
        length: u64,
    },
    /// It was sent: the log behind it is being read.
    ReadingLogBehind {
        snapshot: Zxid,
    },
    /// Only with `sync-range-not-atomic`: what is committed is queued, and nothing after it yet.
    AwaitingForwarding {
        last_seen: Zxid,
    },
    /// NEWLEADER is queued.
    AwaitingNewLeaderAck,
    /// It acknowledged NEWLEADER: waits until a quorum did.
    AwaitingUpToDate,
    Synced,
}

#[derive(Clone, Debug)]
pub(super) struct LearnerHandler<C> {
    pub conn: ConnId,
    pub sid: ServerId,
    /// The learner said FOLLOWERINFO.
    pub participant: bool,
    /// Its protocol version is below 0x10000.
    pub pre_1_0: bool,
    pub phase: Phase<C>,
    pub stream: QuorumStream,
    pub new_leader_queued: bool,
    /// Proposals and commits go to it (`addForwardingFollower`, `addObserverLearnerHandler`).
    pub forwarding: bool,
    pub read_deadline: Nanos,
    pub tick_of_next_ack_deadline: u64,
    /// Oldest PROPOSAL that went out and was not acknowledged, and when (`SyncLimitCheck`).
    pub oldest_unacked: Option<(Zxid, Nanos)>,
    /// ACKs that came before the ACK of NEWLEADER (releases with ZOOKEEPER-4685).
    pub early_acks: Vec<Zxid>,
    queue: BytesMut,
    scheduled: bool,
    in_flight: usize,
    blocked: bool,
}

impl<C> LearnerHandler<C> {
    pub fn new(io: &Io<'_>, conn: ConnId) -> LearnerHandler<C> {
        LearnerHandler {
            conn,
            sid: ServerId::NONE,
            participant: false,
            pre_1_0: false,
            phase: Phase::Hello,
            stream: QuorumStream::with_limit(Direction::ToLeader, HELLO_LIMIT),
            new_leader_queued: false,
            forwarding: false,
            read_deadline: io.now.mono + io.config.settings.init_time(),
            tick_of_next_ack_deadline: 0,
            oldest_unacked: None,
            early_acks: Vec::new(),
            queue: BytesMut::new(),
            scheduled: false,
            in_flight: 0,
            blocked: false,
        }
    }

    /// Append to the ordered queue; the sender writes it out.
    pub fn queue(&mut self, io: &mut Io<'_>, packet: &Packet) {
        packet.encode(&mut self.queue);
        self.schedule(io);
    }

    pub fn schedule(&mut self, io: &mut Io<'_>) {
        if !self.is_sending_snapshot() && !self.scheduled && !self.blocked && !self.queue.is_empty() {
            self.scheduled = true;
            io.schedule(Task::LearnerSender(self.conn));
        }
    }

    /// `Task::LearnerSender`: everything queued in one flush.
    pub fn run_sender(&mut self, io: &mut Io<'_>) {
        self.scheduled = false;
        if self.blocked || self.queue.is_empty() || self.is_sending_snapshot() {
            return;
        }
        let bytes = self.queue.split().freeze();
        self.write(io, bytes);
    }

    /// Straight to the transport, ahead of the queue (the snapshot).
    pub fn write(&mut self, io: &mut Io<'_>, bytes: bytes::Bytes) {
        self.in_flight += bytes.len();
        self.blocked = self.in_flight > WINDOW;
        if self.blocked {
            io.send_notify(self.conn, bytes);
        } else {
            io.send(self.conn, bytes);
        }
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub fn on_drained(&mut self, io: &mut Io<'_>) {
        self.in_flight = 0;
        self.blocked = false;
        if self.is_sending_snapshot() {
            io.schedule(Task::SnapshotSender(self.conn));
        }
        self.schedule(io);
    }

    fn is_sending_snapshot(&self) -> bool {
        matches!(self.phase, Phase::SendingSnapshot { .. } | Phase::SendingStoredSnapshot { .. })
    }

    /// The sync decision was made for it: the sender runs, PINGs go out.
    pub fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::AwaitingNewLeaderAck | Phase::AwaitingUpToDate | Phase::Synced)
    }

    pub fn owes_hello(&self) -> bool {
        matches!(self.phase, Phase::Hello)
    }

    /// It reads too slowly for what is proposed.
    pub fn queue_is_too_long(&self) -> bool {
        self.queue.len() > QUEUE_LIMIT
    }

    pub fn is_synced(&self) -> bool {
        matches!(self.phase, Phase::Synced)
    }
}
