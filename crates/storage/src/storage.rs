//! `Storage`: carries out the disk operations of one member, one at a time. A host that runs the lanes on
//! threads of their own composes them itself, of the same parts.

use zab::{DiskAnswer, DiskError, DiskOp, Recovered, Switches};

use crate::all_lanes::{AllLanes, EpochLane};
use crate::fs::FileSystem;
use crate::log_lane::LogLane;
use crate::snapshot_lane::SnapshotLane;

#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// Bytes by which a log grows at once (`preAllocSize`); 0: none.
    pub prealloc: u64,
    pub commit_log_count: usize,
    /// An empty disk is a new member's (`zookeeper.db.autocreate`); else it votes with zxid -1.
    pub trust_empty: bool,
    /// Snapshots that stay when a new one is sealed, and with them the logs from the oldest one on
    /// (`autopurge.snapRetainCount`); `None`: nothing goes.
    pub snap_retain_count: Option<usize>,
    pub switches: Switches,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            prealloc: 64 << 20,
            commit_log_count: 500,
            trust_empty: true,
            snap_retain_count: None,
            switches: Switches::NONE,
        }
    }
}

#[derive(Clone)]
pub struct Storage<F> {
    pub fs: F,
    settings: StorageSettings,
    log: LogLane,
    epochs: EpochLane,
    snapshots: SnapshotLane,
}

pub type Answer = Result<DiskAnswer, DiskError>;

impl<F: FileSystem> Storage<F> {
    pub fn new(fs: F, settings: StorageSettings) -> Storage<F> {
        Storage {
            fs,
            settings,
            log: LogLane::default(),
            epochs: EpochLane::default(),
            snapshots: SnapshotLane::default(),
        }
    }

    /// What a process that starts now would load. Changes nothing.
    pub fn recover_readonly(&self) -> Result<Recovered, DiskError> {
        crate::recover::plan(&self.fs, &self.settings).map(|plan| plan.recovered)
    }

    /// The process died; what it held in memory is gone.
    pub fn forget_memory(&mut self) {
        self.log = LogLane::default();
        self.epochs = EpochLane::default();
        self.snapshots = SnapshotLane::default();
    }

    /// An installed snapshot waits for currentEpoch.
    pub fn install_pending(&self) -> bool {
        self.epochs.installing.is_some()
    }

    pub fn execute(&mut self, op: &DiskOp) -> Answer {
        AllLanes {
            fs: &mut self.fs,
            settings: &self.settings,
            log: &mut self.log,
            epochs: &mut self.epochs,
            snapshots: &mut self.snapshots,
        }
        .execute(op)
    }
}
