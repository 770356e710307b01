//! What a member is told at start: who it is, who the others are, and its settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{Epoch, ServerId, Zxid};

use crate::config_text::config_text;
use crate::quorum_verifier::QuorumVerifier;
use crate::switches::Switches;
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnerType {
    Participant,
    Observer,
}

/// A configuration: the members of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub members: BTreeMap<ServerId, Member>,
    pub verifier: QuorumVerifier,
    /// The zxid of its reconfig, or of the NEWLEADER that agreed on it; 0 for one that is in a file only.
    #[serde(default = "unversioned")]
    pub version: Zxid,
}

fn unversioned() -> Zxid {
    Zxid::ZERO
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub learner_type: LearnerType,
    /// `host:quorumPort:electionPort`, for the configuration text.
    pub quorum_address: String,
    /// `host:electionPort`, for hellos.
    pub election_address: String,
    /// `host:port` for clients, where the member's own `server.N` line says it (behind `;`).
    pub client_address: Option<String>,
}

impl Member {
    /// `host:quorumPort`.
    pub fn quorum_address(&self) -> &str {
        self.quorum_address.rsplit_once(':').map_or("", |(address, _)| address)
    }
}

impl View {
    /// One of a file.
    pub fn unversioned(members: BTreeMap<ServerId, Member>, verifier: QuorumVerifier) -> View {
        View { members, verifier, version: Zxid::ZERO }
    }
    /// The configuration as text (NEWLEADER, notifications): see `config_text`.
    pub fn text(&self) -> bytes::Bytes {
        config_text(self)
    }
    pub fn is_voter(&self, sid: ServerId) -> bool {
        self.members.get(&sid).is_some_and(|m| m.learner_type == LearnerType::Participant)
    }
    pub fn observes(&self, sid: ServerId) -> bool {
        self.members.get(&sid).is_some_and(|m| m.learner_type == LearnerType::Observer)
    }
    pub fn voters(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.members.iter().filter(|(_, m)| m.learner_type == LearnerType::Participant).map(|(sid, _)| *sid)
    }
}

/// Which release's table decides how a learner is brought up to date (reference 5.1, 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncTable {
    /// 3.5 to 3.9.
    V35,
    /// 3.4.7 to 3.4.14.
    V34,
}

/// Settings with ZooKeeper 3.9's defaults. Times are nanoseconds, limits are in ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub tick_time: Nanos,
    pub init_limit: u32,
    pub sync_limit: u32,
    /// Transactions kept in memory for DIFF (`commitLogCount`).
    pub commit_log_count: usize,
    /// `snapshotSizeFactor` in thousandths (330); negative: no DIFF from disk.
    pub snapshot_size_factor_milli: i64,
    pub force_snapshot_sync: bool,
    pub sync_table: SyncTable,
    /// Transactions between snapshots (`snapCount`), randomised by the seed material.
    pub snap_count: u64,
    pub max_batch_size: usize,
    // election
    pub finalize_wait: Nanos,
    pub min_notification_interval: Nanos,
    pub max_notification_interval: Nanos,
    /// Time for a dial and its hello on the election port (`cnxTimeout`).
    pub cnx_timeout: Nanos,
    // learner
    pub connect_tries: u32,
    pub connect_retry_delay: Nanos,
    /// Before them the dial is tried again sooner: after this time, and each time after twice as much, until that
    /// would be `connect_retry_delay`. 0: not, as Java.
    pub connect_first_retry: Nanos,
    /// Accept learners and leaders of protocol version below 0x10000 (before 1.0). Off by default.
    pub allow_pre_1_0: bool,
    /// The protocol version that a learner offers. Below 0x10000 it speaks as those of before 1.0 did: a
    /// hello with its last zxid, no ACKEPOCH, one ACK behind UPTODATE.
    pub learner_protocol: i32,
    /// `testingonly.initialZxid`: the counter that a new leader starts from.
    pub initial_zxid: Option<u32>,
    /// `leaderServes`: false, and a leader takes no clients.
    pub leader_serves: bool,
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    /// Observers log to disk.
    pub sync_enabled: bool,
    /// Configurations that the ensemble agrees on take effect here (`reconfigEnabled`). Off, and the members are those
    /// that `Config::view` says.
    pub reconfig_enabled: bool,
    /// A server alone is no ensemble (`standaloneEnabled`): a reconfig leaves two voters at least.
    pub standalone_enabled: bool,
    /// No member of an ensemble: it elects nobody, and serves alone (`ZooKeeperServerMain`).
    pub standalone: bool,
    /// Clients' connections that one address may have (`maxClientCnxns`), and all together (`maxCnxns`). 0: any
    /// number.
    pub max_client_cnxns: usize,
    pub max_cnxns: usize,
    /// Clients' requests under way in the whole ensemble (`globalOutstandingLimit`): see `outstanding_limit`.
    pub global_outstanding_limit: usize,
    /// `user:hash` of who may do everything (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
    /// Longest request that a client may send; on quorum connections twice that (`max_record`).
    pub jute_maxbuffer: usize,
    /// Bytes of a snapshot written in one step of `Task::Snapshot`/`SnapshotSender`.
    pub snapshot_slice: usize,
    /// Events tell digests of transactions, which checkers compare. Off, and they say 0.
    pub event_digests: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tick_time: Nanos::from_millis(2000),
            init_limit: 10,
            sync_limit: 5,
            commit_log_count: 500,
            snapshot_size_factor_milli: 330,
            force_snapshot_sync: false,
            sync_table: SyncTable::V35,
            snap_count: 100_000,
            max_batch_size: 1000,
            finalize_wait: Nanos::from_millis(200),
            min_notification_interval: Nanos::from_millis(200),
            max_notification_interval: Nanos::from_millis(60_000),
            cnx_timeout: Nanos::from_millis(5000),
            connect_tries: 5,
            connect_retry_delay: Nanos::from_millis(100),
            connect_first_retry: Nanos::from_millis(10),
            allow_pre_1_0: false,
            learner_protocol: 0x10000,
            initial_zxid: None,
            leader_serves: true,
            min_session_timeout_ms: 4000,
            max_session_timeout_ms: 40_000,
            sync_enabled: true,
            reconfig_enabled: false,
            standalone_enabled: true,
            standalone: false,
            max_client_cnxns: 60,
            max_cnxns: 0,
            global_outstanding_limit: 1000,
            super_digest: None,
            jute_maxbuffer: 0xf_ffff,
            snapshot_slice: 64 * 1024,
            event_digests: true,
        }
    }
}

impl Settings {
    /// Longest buffer or string of a record: `jute.maxbuffer` and as much again for the fields around a
    /// request, 1024 at least (`jute.maxbuffer.extrasize`; `BinaryInputArchive.checkLength`).
    pub fn max_record(&self) -> usize {
        self.jute_maxbuffer.saturating_add(self.jute_maxbuffer.max(1024))
    }
    pub fn half_tick(&self) -> Nanos {
        Nanos(self.tick_time.0 / 2)
    }
    /// T * initLimit.
    pub fn init_time(&self) -> Nanos {
        Nanos(self.tick_time.0 * u64::from(self.init_limit))
    }
    /// T * syncLimit.
    pub fn sync_time(&self) -> Nanos {
        Nanos(self.tick_time.0 * u64::from(self.sync_limit))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    pub sid: ServerId,
    /// The active configuration, as it was when the process began: `Ensemble` goes on from there.
    pub view: View,
    /// One that was seen later, and not known to be committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_view: Option<View>,
    pub settings: Settings,
    pub switches: Switches,
    /// Seed material for what the protocol wants random (an observer's wait before it looks,
    /// the snapshot threshold). Drawn by the host.
    pub seed: u64,
}

/// acceptedEpoch and currentEpoch as they are durable. Changed only after the file is
/// (ZOOKEEPER-2307).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    pub accepted: Epoch,
    pub current: Epoch,
}
