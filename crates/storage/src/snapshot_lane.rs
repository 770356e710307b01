//! The snapshot lane: a snapshot comes in slices and becomes a file, and the one that was loaded is read
//! again. It needs no other lane.

use zab::{DiskAnswer, DiskError, DiskOp};

use crate::fs::FileSystem;
use crate::log_reader::file_name;
use crate::purge;
use crate::snapshot_writer::SnapshotWriter;
use crate::storage::{Answer, StorageSettings};
use crate::stored_snapshot::StoredSnapshot;

/// What the snapshot lane keeps between operations.
#[derive(Clone, Default)]
pub struct SnapshotLane {
    /// The snapshot that is being written.
    pub(crate) writer: SnapshotWriter,
    /// The snapshot that was loaded.
    pub(crate) stored: Option<StoredSnapshot>,
    failed: bool,
}

impl SnapshotLane {
    /// SnapshotSlice, SnapshotFinish, SnapshotAbandon or ReadSnapshot; Install needs all lanes.
    pub fn execute<F: FileSystem>(&mut self, fs: &mut F, settings: &StorageSettings, op: &DiskOp) -> Answer {
        let answer = self.carry_out(fs, settings, op);
        self.failed |= answer.is_err();
        answer
    }

    /// Something has failed since the last Load.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    fn carry_out<F: FileSystem>(&mut self, fs: &mut F, settings: &StorageSettings, op: &DiskOp) -> Answer {
        match op {
            DiskOp::SnapshotSlice { zxid, bytes } => self.writer.append(fs, *zxid, bytes)?,
            DiskOp::SnapshotFinish { zxid } => {
                self.writer.seal(fs, settings, *zxid, &file_name("snapshot", *zxid))?;
                if let Some(retain) = settings.snap_retain_count {
                    purge::snapshots(fs, retain, self.stored.as_ref().map(|stored| stored.zxid))?;
                }
            }
            DiskOp::SnapshotAbandon { .. } => self.writer.abandon(fs)?,
            DiskOp::ReadSnapshot { zxid, offset, length } => {
                let stored = self.stored.as_mut().filter(|stored| stored.zxid == *zxid);
                let not_loaded = || DiskError::Io(format!("snapshot {zxid} is not the loaded one"));
                let stored = stored.ok_or_else(not_loaded)?;
                return stored.read(fs, *offset, *length).map(DiskAnswer::SnapshotBytes);
            }
            op => unreachable!("{} is not of the snapshot lane alone", op.name()),
        }
        Ok(DiskAnswer::Done)
    }
}
