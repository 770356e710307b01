//! Operations that need every lane to be quiet, because they change or read what all of them write: Load,
//! Truncate, Install, and the writing of currentEpoch, with which an Install takes effect.

use bytes::Bytes;
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, Lane, Switch, TxnEntry};

use crate::compression::snapshot_zxid;
use crate::epoch;
use crate::fast_forward;
use crate::fs::{FileSystem, write_atomically};
use crate::install::{self, Install};
use crate::log_lane::{LogLane, logs};
use crate::log_reader::{file_name, read_log};
use crate::recover::{Plan, plan};
use crate::snapshot;
use crate::snapshot_lane::SnapshotLane;
use crate::storage::{Answer, StorageSettings};
use crate::stored_snapshot::StoredSnapshot;

/// Does `op` need all lanes? Else its own is enough, and lanes may run beside each other. A member asks
/// for these only where nothing of another lane is under way, so that they hold up nothing.
pub fn needs_all_lanes(op: &DiskOp) -> bool {
    matches!(
        op,
        DiskOp::Load
            | DiskOp::FastForward { .. }
            | DiskOp::Truncate(_)
            | DiskOp::Install { .. }
            | DiskOp::WriteEpoch(EpochFile::CurrentEpoch, _)
    )
}

/// What the epoch lane keeps between operations.
#[derive(Clone, Debug)]
pub struct EpochLane {
    /// An install that waits for currentEpoch.
    pub(crate) installing: Option<Install>,
    current: Epoch,
    /// A write failed, of an epoch or of all lanes: what stands in the files is not known until the next Load.
    failed: bool,
}

impl Default for EpochLane {
    fn default() -> EpochLane {
        EpochLane { installing: None, current: Epoch(0), failed: false }
    }
}

impl EpochLane {
    /// The writing of acceptedEpoch; that of currentEpoch needs all lanes.
    pub fn execute<F: FileSystem>(&mut self, fs: &mut F, op: &DiskOp) -> Answer {
        match op {
            DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, epoch) => {
                let written = epoch::write(fs, EpochFile::AcceptedEpoch, *epoch);
                self.failed |= written.is_err();
                written.map(|()| DiskAnswer::Done)
            }
            op => unreachable!("{} is not of the epoch lane alone", op.name()),
        }
    }
}

/// Every lane at once.
pub struct AllLanes<'a, F> {
    pub fs: &'a mut F,
    pub settings: &'a StorageSettings,
    pub log: &'a mut LogLane,
    pub epochs: &'a mut EpochLane,
    pub snapshots: &'a mut SnapshotLane,
}

impl<F: FileSystem> AllLanes<'_, F> {
    pub fn execute(&mut self, op: &DiskOp) -> Answer {
        let answer = self.carry(op);
        let failed = matches!(&answer, Err(why) if !matches!(why, DiskError::CannotTruncate(_)));
        self.epochs.failed |= failed && needs_all_lanes(op);
        answer
    }

    fn carry(&mut self, op: &DiskOp) -> Answer {
        match op {
            DiskOp::Load => self.load(),
            DiskOp::FastForward { after } => self.fast_forward(*after),
            DiskOp::Truncate(zxid) => self.truncate(*zxid),
            DiskOp::Install { zxid, epoch, log } => self.install(*zxid, *epoch, log),
            DiskOp::WriteEpoch(EpochFile::CurrentEpoch, epoch) => self.write_current_epoch(*epoch),
            op => match op.lane() {
                Lane::Log => self.log.execute(self.fs, self.settings, op),
                Lane::Epoch => self.epochs.execute(self.fs, op),
                Lane::Snapshot => self.snapshots.execute(self.fs, self.settings, op),
            },
        }
    }

    fn load(&mut self) -> Answer {
        *self.log = LogLane::default();
        *self.snapshots = SnapshotLane::default();
        (self.epochs.installing, self.epochs.failed) = (None, false);
        let plan = plan(self.fs, self.settings)?;
        self.carry_out(&plan)?;
        self.snapshots.stored =
            plan.recovered.snapshot.as_ref().map(|(zxid, body)| {
                StoredSnapshot::new(*zxid, plan.snapshot_name.clone(), body.len() as u64)
            });
        let mut recovered = plan.recovered;
        recovered.untrusted_empty = plan.first_start && !self.settings.trust_empty;
        self.epochs.current = recovered.current_epoch;
        Ok(DiskAnswer::Loaded(Box::new(recovered)))
    }

    /// The log stays open: what comes next is appended to it, unless it is long already. The snapshot that was loaded
    /// is not wanted any more: only a state that is not whole is sent to learners from it, and is loaded anew.
    fn fast_forward(&mut self, after: Zxid) -> Answer {
        if self.log.has_failed() || self.snapshots.has_failed() || self.epochs.failed {
            return self.load();
        }
        self.log.execute(self.fs, self.settings, &DiskOp::Sync)?;
        let Some(tail) = fast_forward::tail(self.fs, after, self.log.written_since(after))? else {
            return self.load();
        };
        self.log.roll_if_long();
        self.snapshots.stored = None;
        Ok(DiskAnswer::Tail(tail))
    }

    /// Bring the disk into the state that the plan read it as, durably: a process kill leaves bytes
    /// in the page cache that a later power loss would take, and the member votes with them.
    fn carry_out(&mut self, plan: &Plan) -> Result<(), DiskError> {
        for name in &plan.remove {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
        }
        self.sync_dir()?;
        install::rename(self.fs, &plan.roll_forward)?;
        for (name, len) in &plan.cut {
            if self.fs.len(name).is_ok_and(|size| size > *len) {
                self.fs.set_len(name, *len).map_err(|e| e.in_file(name))?;
            }
        }
        // An empty disk that must not be trusted stays empty, or the next start would trust it.
        if plan.first_start
            && self.settings.trust_empty
            && let Some((zxid, body)) = &plan.recovered.snapshot
        {
            self.write_snapshot(&file_name("snapshot", *zxid), &body.clone())?;
        }
        for name in self.fs.list() {
            self.fs.sync(&name).map_err(|e| e.in_file(&name))?;
        }
        self.sync_dir()?;
        for (file, epoch) in [
            (EpochFile::AcceptedEpoch, plan.recovered.accepted_epoch),
            (EpochFile::CurrentEpoch, plan.recovered.current_epoch),
        ] {
            if epoch::read(&*self.fs, file)? != Some(epoch) {
                epoch::write(self.fs, file, epoch)?;
            }
        }
        Ok(())
    }

    fn sync_dir(&mut self) -> Result<(), DiskError> {
        self.fs.sync_dir().map_err(|e| e.in_file("the data directory"))
    }

    fn write_snapshot(&mut self, name: &str, body: &Bytes) -> Result<(), DiskError> {
        write_atomically(self.fs, name, &[snapshot::HEADER, body, &snapshot::seal(body)])
    }

    fn write_current_epoch(&mut self, epoch: Epoch) -> Answer {
        epoch::write(self.fs, EpochFile::CurrentEpoch, epoch)?;
        self.epochs.current = epoch;
        self.finish_install()?;
        Ok(DiskAnswer::Done)
    }

    fn install(&mut self, zxid: Zxid, epoch: Epoch, log: &[TxnEntry]) -> Answer {
        self.drop_older_installs()?;
        let install = Install::new(zxid, epoch, log);
        install.write_log(self.fs, log)?;
        self.snapshots.writer.seal(self.fs, self.settings, zxid, &install.snapshot_name())?;
        self.epochs.installing = Some(install);
        self.finish_install()?;
        Ok(DiskAnswer::Done)
    }

    /// An install that currentEpoch never reached must not take effect with the next one's epoch.
    fn drop_older_installs(&mut self) -> Result<(), DiskError> {
        let old = install::waiting(&self.fs.list(), self.epochs.current);
        for name in &old {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
        }
        if old.is_empty() { Ok(()) } else { self.sync_dir() }
    }

    /// The snapshot replaces the older history once currentEpoch is durable. Each step leaves a disk
    /// that recovery rolls forward: the old history goes, durably, before the snapshot takes its
    /// place, so that no old record can be replayed behind it.
    fn finish_install(&mut self) -> Result<(), DiskError> {
        let Some(install) = self.epochs.installing else { return Ok(()) };
        // Right: not before currentEpoch. Wrong (ZOOKEEPER-1653): at once, and a crash before currentEpoch
        // leaves a history above it.
        let at_once = self.settings.switches.has(Switch::SnapshotThenEpochUnmarked);
        if self.epochs.current < install.epoch && !at_once {
            return Ok(());
        }
        install.finish(self.fs, self.settings.switches.install_keeps_logs())?;
        self.snapshots.stored = None;
        self.log.reset();
        self.epochs.installing = None;
        Ok(())
    }

    /// TRUNC: keep the record `zxid` and nothing behind it (ZOOKEEPER-1156), in snapshots too
    /// (ZOOKEEPER-1549). Whole files go first, durably one by one, the newest before the older; then the
    /// end of the log that holds `zxid`: a crash between leaves a history that is cut less, never one
    /// with a gap.
    fn truncate(&mut self, zxid: Zxid) -> Answer {
        plan(self.fs, self.settings)?;
        let names = self.fs.list();
        let (newer, older): (Vec<_>, Vec<_>) = names
            .iter()
            .filter_map(|name| Some((snapshot_zxid(name)?, name)))
            .partition(|(snapshot, _)| *snapshot > zxid);
        let valid = |name: &str| self.fs.read(name).is_ok_and(|bytes| snapshot::read(name, bytes).is_ok());
        let base = older.iter().filter(|(_, name)| valid(name)).map(|(snapshot, _)| *snapshot).max();
        if base != Some(zxid) && (base.is_none() || !reaches(self.fs, zxid)?) {
            return Err(DiskError::CannotTruncate(zxid));
        }
        self.log.reset();
        // Not even an empty log stays: its name would sort behind the next one's.
        let (newer_logs, older_logs): (Vec<_>, Vec<_>) =
            logs(self.fs).into_iter().partition(|(first, _)| *first > zxid);
        let newer_logs = newer_logs.iter().rev().map(|(_, name)| name);
        // Wrong (ZOOKEEPER-1549): snapshots stay, and the newest is what is loaded.
        let keeps_snapshots = self.settings.switches.has(Switch::TruncKeepsNewerSnapshot);
        let newer = newer.iter().map(|(_, name)| *name).filter(|_| !keeps_snapshots);
        for name in newer.chain(newer_logs) {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
            self.sync_dir()?;
        }
        if let Some((_, name)) = older_logs.last() {
            let file = read_log(name, self.fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
            // Right: behind the record of `zxid`. Wrong (ZOOKEEPER-1156): before it.
            let too_much = self.settings.switches.has(Switch::TruncRemovesTooMuch);
            let goes = |entry: &TxnEntry| entry.zxid > zxid || too_much && entry.zxid == zxid;
            if let Some((offset, _)) = file.entries.iter().find(|(_, entry)| goes(entry)) {
                self.fs.set_len(name, *offset).map_err(|e| e.in_file(name))?;
                self.fs.sync(name).map_err(|e| e.in_file(name))?;
            }
        }
        let answer = self.load()?;
        if let DiskAnswer::Loaded(recovered) = &answer
            && !self.settings.switches.trunc_is_believed()
            && recovered.last_zxid() != zxid
            && (zxid.counter() != 0 || recovered.last_zxid() > zxid)
        {
            return Err(DiskError::Refused(format!(
                "after truncation to {zxid} the last zxid is {}",
                recovered.last_zxid()
            )));
        }
        Ok(answer)
    }
}

/// The log knows where the history up to `zxid` ends: a record has this zxid, or it is the beginning of
/// an epoch of which there are records. (A leader whose history came as a snapshot of that moment asks
/// for it; what stands before the epoch's first record is the same everywhere.)
fn reaches<F: FileSystem>(fs: &F, zxid: Zxid) -> Result<bool, DiskError> {
    for (_, name) in logs(fs) {
        let file = read_log(&name, fs.read_padded(&name).map_err(|e| e.in_file(&name))?)?;
        let begins = |entry: Zxid| zxid.counter() == 0 && entry.epoch() == zxid.epoch();
        if file.entries.iter().any(|(_, entry)| entry.zxid == zxid || begins(entry.zxid)) {
            return Ok(true);
        }
    }
    Ok(false)
}
