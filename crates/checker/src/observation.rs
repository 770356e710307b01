//! What a host feeds to the checkers: observations of members, observations of clients, and at the
//! end the state that the run was left in. Hosts (the simulator, the node's recorder) build them.
//!
//! For one member observations come in the order in which things happened there: an event before
//! the disk operation that was asked for after it, a disk operation when it was *carried out*, not
//! when its answer was handed in. Between members the order is that of one global clock.

use wire::client::{Request, Response, WatcherEvent};
use wire::{Epoch, ServerId, SessionId, Zxid};
use zab::{EpochFile, Event, LearnerType, QuorumVerifier, Recovered, TxnEntry, View};

/// One thing that happened at one member.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// The member told about itself.
    Event(&'a Event),
    /// Its process started.
    Booted,
    /// Its process died. Without power loss the page cache survives, still unsynced.
    Crashed { power_loss: bool },
    /// What `recover(disk)` gives now: after a crash (before the next `Booted`), and as the answer of
    /// every `Load`, which makes durable what it read before it answers.
    Recovered(&'a Recovered),
    /// `recover(disk)` refuses: this disk stands for nothing until it is mended.
    Unrecoverable,
    /// A fault took, damaged or rolled back files. What the disk promised before holds no longer;
    /// follow it with `Recovered` or `Unrecoverable`.
    DiskDamaged,
    /// Storage carried out an append: it is in the page cache.
    Appended(&'a [TxnEntry]),
    /// A log sync was done: everything appended is durable.
    Synced,
    /// Storage cut the log durably behind this zxid.
    Truncated(Zxid),
    /// A snapshot from the leader of `epoch` is durable, with `log` behind it; `effective` once recovery
    /// would use them (it is fed again with `effective`, and no log, when the currentEpoch file commits
    /// it).
    Installed { zxid: Zxid, epoch: Epoch, log: &'a [TxnEntry], effective: bool },
    /// An epoch file is durable.
    EpochWritten(EpochFile, Epoch),
    /// A snapshot of its own is sealed and durable.
    SnapshotDurable(Zxid),
    /// Optional: digest of the state that folding `recover(disk)` gives, at its last zxid.
    RecoveredTree { zxid: Zxid, tree: u64 },
}

/// One thing that happened at one client. `client` is the host's number for it.
#[derive(Clone, Copy, Debug)]
pub enum ClientObservation<'a> {
    /// A request left. `value` is empty where the operation has none.
    Invoked { client: u64, session: SessionId, cxid: i32, op: i32, path: &'a str, value: &'a [u8] },
    /// Its reply came, with the zxid of the reply header.
    Replied { client: u64, session: SessionId, cxid: i32, zxid: Zxid, outcome: Outcome },
    /// No reply will come (timeout, disconnect): it may have happened, may yet happen, or never.
    Unknown { client: u64, session: SessionId, cxid: i32 },
}

/// One thing that happened at a client of the data tree, which speaks ZooKeeper's protocol. `attempt` counts
/// its connections.
#[derive(Clone, Copy, Debug)]
pub enum TreeObservation<'a> {
    /// It asks for a session (0), or for its session again.
    Connecting {
        client: u64,
        attempt: u32,
        session: SessionId,
        last_zxid: Zxid,
    },
    /// It was taken in.
    Connected {
        client: u64,
        attempt: u32,
        session: SessionId,
        timeout_ms: i32,
    },
    /// It was told that its session is over.
    Expired {
        client: u64,
        attempt: u32,
        session: SessionId,
    },
    /// The connection ended; no reply to what was asked will come.
    Disconnected {
        client: u64,
        attempt: u32,
        session: SessionId,
    },
    /// A request left. Of those with an xid of their own, and setWatches.
    Asked {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
        request: &'a Request,
    },
    Answered {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
        zxid: Zxid,
        request: &'a Request,
        result: Result<&'a Response, i32>,
    },
    Notified {
        client: u64,
        attempt: u32,
        session: SessionId,
        zxid: Zxid,
        event: &'a WatcherEvent,
    },
    /// A reply that answers nothing, or not what is next.
    Nonsense {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
    },
}

/// What a reply said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A write was done, at the zxid of the reply.
    Written,
    /// A read found the register so.
    Read { version: i32, mzxid: Zxid },
    /// A read found nothing there.
    Absent,
    /// Something without an effect of its own was done (sync, ping).
    Done,
    /// ZooKeeper's error code.
    Failed(i32),
}

/// The ensemble that is watched.
#[derive(Clone, Debug)]
pub struct EnsembleSpec {
    /// At most 64 members.
    pub members: Vec<MemberSpec>,
    pub verifier: QuorumVerifier,
    /// Codes of `INVARIANTS` that a scenario beyond the fault budget gives up.
    pub waived: Vec<String>,
    /// A leader may start its counter anywhere (`testingonly.initialZxid`).
    pub allow_zxid_jumps: bool,
    /// The state is ZooKeeper's tree, empty at the beginning.
    pub tree: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSpec {
    pub sid: ServerId,
    pub learner_type: LearnerType,
}

impl EnsembleSpec {
    /// The ensemble of a configuration, nothing waived.
    pub fn of(view: &View) -> EnsembleSpec {
        let members = view
            .members
            .iter()
            .map(|(sid, member)| MemberSpec { sid: *sid, learner_type: member.learner_type })
            .collect();
        EnsembleSpec {
            members,
            verifier: view.verifier.clone(),
            waived: Vec::new(),
            allow_zxid_jumps: false,
            tree: false,
        }
    }
}

/// How the run was left.
#[derive(Clone, Debug, Default)]
pub struct FinalState {
    /// Faults were healed long enough ago: convergence is demanded.
    pub converged: bool,
    /// Members that run and reach each other. The others are asked for nothing.
    pub running: Vec<ServerId>,
    /// Members that lost their disk, and that no leader has brought up to date since: they vote for nobody.
    pub voteless: Vec<ServerId>,
    /// Members that had crashes only and refuse to start, with the reason.
    pub refused: Vec<(ServerId, String)>,
    /// The versions of the configurations that they go by.
    pub configs: Vec<(ServerId, Zxid)>,
    /// The write of a fresh client after the heal.
    pub fresh_write: FreshWrite,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreshWrite {
    #[default]
    NotTried,
    Acknowledged(Zxid),
    Unanswered,
}
