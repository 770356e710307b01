//! Typed events: what a member tells about itself. One vocabulary for checkers, scenario triggers,
//! coverage marks, traces and reports.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Epoch, ServerId, SessionId, Zxid};

use crate::config::View;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    Looking,
    Following,
    Leading,
    Observing,
    /// No member of an ensemble.
    Standalone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// The learner is equal to the leader: DIFF and nothing else.
    EmptyDiff,
    Diff,
    /// DIFF whose transactions came from the log on disk.
    DiskDiff,
    Trunc,
    TruncDiff,
    Snap,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    // --- life of a member
    RoleChanged {
        role: Role,
    },
    /// A disk was read: memory is this history. `last_zxid` includes logged, uncommitted tail.
    Loaded {
        last_zxid: Zxid,
        snapshot: Zxid,
        accepted_epoch: Epoch,
        current_epoch: Epoch,
    },
    /// A role ended, and memory was that history but for so many transactions at its end: these were read.
    FastForwarded {
        last_zxid: Zxid,
        transactions: u32,
        accepted_epoch: Epoch,
        current_epoch: Epoch,
        tree: u64,
    },
    /// A role ended.
    RoleLeft {
        role: Role,
        reason: String,
    },

    // --- election
    ElectionStarted {
        round: i64,
    },
    ElectionDecided {
        leader: ServerId,
        zxid: Zxid,
        epoch: Epoch,
        round: i64,
    },

    // --- discovery (leader)
    /// A quorum of accepted epochs is known; acceptedEpoch = `epoch` is durable here.
    EpochProposed {
        epoch: Epoch,
    },
    LeaderInfoSent {
        epoch: Epoch,
        to: ServerId,
    },
    /// A quorum acknowledged the epoch: from here on this leader owns it (`lead(e)`).
    EpochAcked {
        epoch: Epoch,
    },
    /// A learner's history is better than the leader's: refused.
    LearnerAhead {
        learner: ServerId,
        epoch: Epoch,
        zxid: Zxid,
    },
    // --- synchronisation (leader)
    SyncChosen {
        learner: ServerId,
        mode: SyncMode,
        peer_last_zxid: Zxid,
        zxid: Zxid,
    },
    NewLeaderSent {
        epoch: Epoch,
        to: ServerId,
    },
    NewLeaderAcked {
        epoch: Epoch,
        by: ServerId,
    },
    /// A quorum acknowledged NEWLEADER: the epoch is established.
    Established {
        epoch: Epoch,
    },
    UpToDateSent {
        epoch: Epoch,
        to: ServerId,
    },
    // --- broadcast (leader)
    /// The leader of `epoch` broadcasts a transaction (digest: `txn_digest` of its bytes).
    Proposed {
        zxid: Zxid,
        digest: u64,
    },
    AckCounted {
        zxid: Zxid,
        by: ServerId,
    },
    /// The leader decided COMMIT.
    Committed {
        zxid: Zxid,
        digest: u64,
    },
    SyncedLearners {
        count: u32,
    },

    // --- learner
    ConnectedToLeader {
        leader: ServerId,
    },
    AckEpochSent {
        epoch: Epoch,
        last_zxid: Zxid,
    },
    SyncStarted {
        mode: SyncMode,
        zxid: Zxid,
    },
    NewLeaderReceived {
        epoch: Epoch,
    },
    /// A configuration was proposed, and decisions need its quorums, too; or NEWLEADER's takes the place of such a one.
    ConfigSeen {
        version: Zxid,
        /// For checkers.
        #[serde(skip)]
        view: Arc<View>,
    },
    /// It is committed, and the one to go by.
    ConfigActivated {
        version: Zxid,
        #[serde(skip)]
        view: Arc<View>,
    },
    /// History and currentEpoch are durable; the ACK of NEWLEADER leaves now.
    NewLeaderAckSent {
        epoch: Epoch,
    },
    UpToDate {
        epoch: Epoch,
    },
    AckSent {
        zxid: Zxid,
    },
    /// A COMMIT or PROPOSAL out of the expected order, tolerated.
    ZxidGap {
        expected: Zxid,
        got: Zxid,
    },

    // --- any member
    /// Handed to the disk, in order. Emitted before the Append.
    Logged {
        zxid: Zxid,
        digest: u64,
    },
    /// Applied as committed. `tree` is the digest of the whole state afterwards.
    Delivered {
        zxid: Zxid,
        digest: u64,
        tree: u64,
    },
    /// The state was replaced by a snapshot at `zxid` (SNAP), in memory.
    Restored {
        zxid: Zxid,
        tree: u64,
    },
    SnapshotTaken {
        zxid: Zxid,
    },
    /// A connection was ended by us, with the typed reason in words.
    ConnectionDropped {
        with: Option<ServerId>,
        reason: String,
    },
    SessionOpened {
        session: SessionId,
    },
    SessionClosed {
        session: SessionId,
    },
    SessionExpired {
        session: SessionId,
    },
    /// A state that the code does not foresee: here Java throws an unchecked exception. The role dies.
    Exception {
        what: String,
    },
    Warning {
        what: String,
    },
    /// A branch that matters was reached (see `marks`).
    Mark {
        mark: &'static str,
    },
}

impl Event {
    pub fn config_seen(view: &View) -> Event {
        Event::ConfigSeen { version: view.version, view: Arc::new(view.clone()) }
    }

    pub fn config_activated(view: &View) -> Event {
        Event::ConfigActivated { version: view.version, view: Arc::new(view.clone()) }
    }

    /// As traces print it and triggers name it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::RoleChanged { .. } => "roleChanged",
            Event::Loaded { .. } => "loaded",
            Event::FastForwarded { .. } => "fastForwarded",
            Event::RoleLeft { .. } => "roleLeft",
            Event::ElectionStarted { .. } => "electionStarted",
            Event::ElectionDecided { .. } => "electionDecided",
            Event::EpochProposed { .. } => "epochProposed",
            Event::LeaderInfoSent { .. } => "leaderInfoSent",
            Event::EpochAcked { .. } => "epochAcked",
            Event::LearnerAhead { .. } => "learnerAhead",
            Event::SyncChosen { .. } => "syncChosen",
            Event::NewLeaderSent { .. } => "newLeaderSent",
            Event::NewLeaderAcked { .. } => "newLeaderAcked",
            Event::Established { .. } => "established",
            Event::UpToDateSent { .. } => "upToDateSent",
            Event::Proposed { .. } => "proposed",
            Event::AckCounted { .. } => "ackCounted",
            Event::Committed { .. } => "committed",
            Event::SyncedLearners { .. } => "syncedLearners",
            Event::ConnectedToLeader { .. } => "connectedToLeader",
            Event::AckEpochSent { .. } => "ackEpochSent",
            Event::SyncStarted { .. } => "syncStarted",
            Event::NewLeaderReceived { .. } => "newLeaderReceived",
            Event::ConfigSeen { .. } => "configSeen",
            Event::ConfigActivated { .. } => "configActivated",
            Event::NewLeaderAckSent { .. } => "newLeaderAckSent",
            Event::UpToDate { .. } => "upToDate",
            Event::AckSent { .. } => "ackSent",
            Event::ZxidGap { .. } => "zxidGap",
            Event::Logged { .. } => "logged",
            Event::Delivered { .. } => "delivered",
            Event::Restored { .. } => "restored",
            Event::SnapshotTaken { .. } => "snapshotTaken",
            Event::ConnectionDropped { .. } => "connectionDropped",
            Event::SessionOpened { .. } => "sessionOpened",
            Event::SessionClosed { .. } => "sessionClosed",
            Event::SessionExpired { .. } => "sessionExpired",
            Event::Exception { .. } => "exception",
            Event::Warning { .. } => "warning",
            Event::Mark { .. } => "mark",
        }
    }
}

/// Digest of a transaction's bytes: equal zxid with another digest is another transaction.
pub fn txn_digest(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = K ^ (bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        h = fold(h ^ word, K);
    }
    let mut tail = [0u8; 8];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(fold(h ^ u64::from_le_bytes(tail), K), 0xd6e8_feb8_6659_fd93)
}

/// Multiply to 128 bits and fold the halves.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}
