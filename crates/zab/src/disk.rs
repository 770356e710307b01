//! What a member asks of its disk, and the answers.
//!
//! The machines emit `DiskOp`s; the host hands them to the `storage` crate and feeds the
//! completions back. Order holds within a lane and nowhere else. Every operation but a
//! successful `Append`, `Roll` or snapshot slice is answered by exactly one `DiskDone`; a failed
//! one is always answered. Nothing is durable before its answer came.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::{Epoch, TxnHeader, Zxid};

use crate::ensemble::ConfigFile;

/// Names one disk operation: the generation of the role that asked, and its ordinal.
/// A completion of an older generation belongs to a role that was left (ZOOKEEPER-4712).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId {
    pub generation: u32,
    pub seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Load, FastForward, Append, Sync, Roll, Truncate, ReadLog, ReadLogBehind, WriteConfig.
    Log,
    /// WriteEpoch (with the completion of an Install that waits for it).
    Epoch,
    /// Snapshot, Install, ReadSnapshot.
    Snapshot,
}

/// One transaction as it stands in the log: `txn` is TxnHeader, body and (maybe) TxnDigest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnEntry {
    pub zxid: Zxid,
    #[serde(with = "crate::hex")]
    pub txn: Bytes,
}

impl TxnEntry {
    /// What a leader sent as the transaction at `zxid`: it must begin with a header that says so. Anything
    /// else must not reach the log, where recovery would take it for damage.
    pub fn received(zxid: Zxid, txn: Bytes) -> Result<TxnEntry, String> {
        match TxnHeader::peek(&txn) {
            Some(header) if header.zxid == zxid => Ok(TxnEntry { zxid, txn }),
            Some(header) => {
                Err(format!("expected the transaction of {zxid}, received that of {}", header.zxid))
            }
            None => Err(format!(
                "expected the transaction of {zxid}, received {} bytes without its header",
                txn.len()
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EpochFile {
    AcceptedEpoch,
    CurrentEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskOp {
    /// Recover: newest valid snapshot plus log, after cutting what stands above currentEpoch.
    Load,
    /// What stands in the log behind this zxid, for a member whose memory is its own history up to there, so
    /// that not all has to be read again. Durable before it is answered. Where the files do not prove that
    /// nothing else can have changed, it is answered as a `Load`.
    FastForward { after: Zxid },
    /// Append to the log, in order. Not durable before the next `Sync` completes.
    Append(Vec<TxnEntry>),
    /// Make all appended transactions durable.
    Sync,
    /// Begin a new log file with the next append.
    Roll,
    /// Cut the log (and snapshots) durably behind exactly this zxid, then load what is left.
    /// Fails, changing nothing, where no record or snapshot has this zxid.
    Truncate(Zxid),
    /// Write an epoch file atomically and durably. For `CurrentEpoch`, a pending `Install` of
    /// that epoch takes effect once the file is durable.
    WriteEpoch(EpochFile, Epoch),
    /// Keep a configuration (its text, with the version), atomically and durably. What is appended later is durable
    /// later, so the ACK of a reconfig says that its configuration is kept, too. A seen one goes once it is active.
    WriteConfig {
        file: ConfigFile,
        version: Zxid,
        #[serde(with = "crate::hex")]
        text: Bytes,
    },
    /// Write the next piece of a snapshot body (sessions, ACLs, nodes, end marker as on the wire): of a
    /// snapshot of the own state, or of the leader's as it comes.
    SnapshotSlice {
        zxid: Zxid,
        #[serde(with = "crate::hex")]
        bytes: Bytes,
    },
    /// Seal the snapshot at `zxid` made of the slices; fsync and rename, then answer.
    SnapshotFinish { zxid: Zxid },
    /// Drop the slices of an unfinished snapshot.
    SnapshotAbandon { zxid: Zxid },
    /// The slices are the snapshot at `zxid` that the leader of `epoch` sent, whole, and `log` is what
    /// it committed behind it. Make both durable under names that recovery uses only once
    /// currentEpoch >= `epoch`, both or neither; older history stays until then and goes after.
    Install { zxid: Zxid, epoch: Epoch, log: Vec<TxnEntry> },
    /// Read a piece of the body of the snapshot that was loaded. The last piece is given only if the
    /// checksum over all of them is right.
    ReadSnapshot { zxid: Zxid, offset: u64, length: u64 },
    /// Read the log behind the snapshot that was loaded, up to and with `through`, or as far as it goes.
    ReadLogBehind { snapshot: Zxid, through: Zxid },
    /// Read transactions from the log for a DIFF: all with `after <= zxid`, up to `max_bytes`
    /// (0: no limit), beginning with the last one at or before `after`.
    ReadLog { after: Zxid, through: Zxid, size_limit: u64 },
}

impl DiskOp {
    pub fn lane(&self) -> Lane {
        match self {
            DiskOp::Load
            | DiskOp::FastForward { .. }
            | DiskOp::Append(_)
            | DiskOp::Sync
            | DiskOp::Roll
            | DiskOp::Truncate(_)
            | DiskOp::ReadLog { .. }
            | DiskOp::ReadLogBehind { .. }
            | DiskOp::WriteConfig { .. } => Lane::Log,
            DiskOp::WriteEpoch(..) => Lane::Epoch,
            DiskOp::SnapshotSlice { .. }
            | DiskOp::SnapshotFinish { .. }
            | DiskOp::SnapshotAbandon { .. }
            | DiskOp::Install { .. }
            | DiskOp::ReadSnapshot { .. } => Lane::Snapshot,
        }
    }
    /// Memory is filled by it, before a member looks for a leader.
    pub fn recovers(&self) -> bool {
        matches!(self, DiskOp::Load | DiskOp::FastForward { .. })
    }
    /// It changes nothing. (`Load` may repair.)
    pub fn only_reads(&self) -> bool {
        matches!(self, DiskOp::ReadLog { .. } | DiskOp::ReadLogBehind { .. } | DiskOp::ReadSnapshot { .. })
    }
    /// False where success is silent.
    pub fn answers(&self) -> bool {
        !matches!(
            self,
            DiskOp::Append(_) | DiskOp::Roll | DiskOp::SnapshotSlice { .. } | DiskOp::SnapshotAbandon { .. }
        )
    }
    pub fn name(&self) -> &'static str {
        match self {
            DiskOp::Load => "Load",
            DiskOp::FastForward { .. } => "FastForward",
            DiskOp::Append(_) => "Append",
            DiskOp::Sync => "Sync",
            DiskOp::Roll => "Roll",
            DiskOp::Truncate(_) => "Truncate",
            DiskOp::WriteEpoch(..) => "WriteEpoch",
            DiskOp::WriteConfig { .. } => "WriteConfig",
            DiskOp::SnapshotSlice { .. } => "SnapshotSlice",
            DiskOp::SnapshotFinish { .. } => "SnapshotFinish",
            DiskOp::SnapshotAbandon { .. } => "SnapshotAbandon",
            DiskOp::Install { .. } => "Install",
            DiskOp::ReadSnapshot { .. } => "ReadSnapshot",
            DiskOp::ReadLog { .. } => "ReadLog",
            DiskOp::ReadLogBehind { .. } => "ReadLogBehind",
        }
    }
}

/// What a disk holds, after recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Newest valid snapshot: its zxid and its body as on the wire. `None`: an empty database.
    #[serde(with = "crate::hex::at_zxid")]
    pub snapshot: Option<(Zxid, Bytes)>,
    /// The log behind the snapshot (zxid above the snapshot's), ascending.
    pub log: Vec<TxnEntry>,
    /// The newest transactions at or below the snapshot's zxid that stand in the log without a
    /// gap up to it: they fill the committed log (at most 500), and recovery does not apply them.
    pub before_snapshot: Vec<TxnEntry>,
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
    /// Size in bytes of its body: the limit of a DIFF from disk counts from it.
    pub snapshot_bytes: u64,
    /// The database is empty and must not be trusted (votes with zxid -1).
    pub untrusted_empty: bool,
    /// What recovery repaired or left out, in words, with file and offset.
    pub warnings: Vec<String>,
}

impl Recovered {
    /// The last zxid of the recovered history; 0 for an empty one.
    pub fn last_zxid(&self) -> Zxid {
        match (self.log.last(), &self.snapshot) {
            (Some(entry), _) => entry.zxid,
            (None, Some((zxid, _))) => *zxid,
            (None, None) => Zxid::ZERO,
        }
    }
}

/// What a disk holds beyond a member's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// Ascending, without a gap.
    pub log: Vec<TxnEntry>,
    /// The newest snapshot, and the size of its file in bytes.
    pub snapshot: Zxid,
    pub snapshot_bytes: u64,
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskAnswer {
    Done,
    /// Of `Load` and `Truncate`; of a `FastForward` that has to be one.
    Loaded(Box<Recovered>),
    /// Of `FastForward`.
    Tail(LogTail),
    /// Of `ReadLog`: `None` where the log does not reach back to `after`, does not reach `through`, has a
    /// gap, or is larger than the limit. Of `ReadLogBehind`: `None` where it has a gap.
    Log(Option<Vec<TxnEntry>>),
    /// Of `ReadSnapshot`.
    SnapshotBytes(#[serde(with = "crate::hex")] Bytes),
}

/// Why a disk operation failed. After any failure but `CannotTruncate` the member leaves its role
/// and stops, or goes back to what its disk holds (ZOOKEEPER-4882).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DiskError {
    #[error("input/output error in {0}")]
    Io(String),
    #[error("no space left on the disk in {0}")]
    NoSpace(String),
    #[error("{file} is damaged at offset {offset}: {what}")]
    Corrupt { file: String, offset: u64, what: String },
    #[error("cannot truncate to {0}: no record has this zxid, or no snapshot is old enough")]
    CannotTruncate(Zxid),
    #[error("refusing to start: {0}")]
    Refused(String),
    #[error("the configuration cannot be kept: {0}")]
    ConfigNotKept(String),
    /// Only in simulation: the process died inside the operation.
    #[error("the process was killed inside the operation")]
    Killed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskDone {
    pub id: OpId,
    pub result: Result<DiskAnswer, DiskError>,
}
