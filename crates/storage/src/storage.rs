//! `Storage`: carries out the disk operations of one member. Hosts call `execute`, in order within a
//! lane, and send the answer back.

use bytes::Bytes;
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, Recovered, TxnEntry};

use crate::compression::snapshot_zxid;
use crate::epoch;
use crate::fs::{FileSystem, FsError, write_atomically};
use crate::install::{self, Install};
use crate::log_reader::{file_name, read_log, zxid_of_name};
use crate::recover::{Plan, plan};
use crate::snapshot;
use crate::snapshot_writer::SnapshotWriter;
use crate::stored_snapshot::StoredSnapshot;
use crate::txn_log::TxnLog;

#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// Bytes by which a log grows at once (`preAllocSize`); 0: none.
    pub prealloc: u64,
    pub commit_log_count: usize,
    /// An empty disk is a new member's (`zookeeper.db.autocreate`); else it votes with zxid -1.
    pub trust_empty: bool,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings { prealloc: 64 << 20, commit_log_count: 500, trust_empty: true }
    }
}

#[derive(Clone)]
pub struct Storage<F> {
    pub fs: F,
    settings: StorageSettings,
    log: TxnLog,
    /// The snapshot that is being written.
    writer: SnapshotWriter,
    /// The snapshot that was loaded.
    stored: Option<StoredSnapshot>,
    /// An install that waits for currentEpoch.
    installing: Option<Install>,
    current_epoch: Epoch,
}

type Answer = Result<DiskAnswer, DiskError>;

impl<F: FileSystem> Storage<F> {
    pub fn new(fs: F, settings: StorageSettings) -> Storage<F> {
        Storage {
            fs,
            settings,
            log: TxnLog::default(),
            writer: SnapshotWriter::default(),
            stored: None,
            installing: None,
            current_epoch: Epoch(0),
        }
    }

    /// What a process that starts now would load. Changes nothing.
    pub fn recover_readonly(&self) -> Result<Recovered, DiskError> {
        crate::recover::recover(&self.fs, self.settings.commit_log_count)
    }

    /// The process died; what it held in memory is gone.
    pub fn forget_memory(&mut self) {
        self.log.reset();
        self.writer.reset();
        self.stored = None;
        self.installing = None;
    }

    /// An installed snapshot waits for currentEpoch.
    pub fn install_pending(&self) -> bool {
        self.installing.is_some()
    }

    pub fn execute(&mut self, op: &DiskOp) -> Answer {
        match op {
            DiskOp::Load => self.load(),
            DiskOp::Append(entries) => {
                self.log.append(&mut self.fs, entries, self.settings.prealloc)?;
                Ok(DiskAnswer::Done)
            }
            DiskOp::Sync => {
                self.log.sync(&mut self.fs)?;
                Ok(DiskAnswer::Done)
            }
            DiskOp::Roll => {
                self.log.roll();
                Ok(DiskAnswer::Done)
            }
            DiskOp::Truncate(zxid) => self.truncate(*zxid),
            DiskOp::WriteEpoch(file, epoch) => self.write_epoch(*file, *epoch),
            DiskOp::SnapshotSlice { zxid, bytes } => {
                self.writer.append(&mut self.fs, *zxid, bytes)?;
                Ok(DiskAnswer::Done)
            }
            DiskOp::SnapshotFinish { zxid } => {
                self.writer.seal(&mut self.fs, *zxid, &file_name("snapshot", *zxid))?;
                Ok(DiskAnswer::Done)
            }
            DiskOp::SnapshotAbandon { .. } => {
                self.writer.abandon(&mut self.fs)?;
                Ok(DiskAnswer::Done)
            }
            DiskOp::Install { zxid, epoch, log } => self.install(*zxid, *epoch, log),
            DiskOp::ReadSnapshot { zxid, offset, length } => {
                let stored = self.stored.as_mut().filter(|stored| stored.zxid == *zxid);
                let stored =
                    stored.ok_or_else(|| DiskError::Io(format!("snapshot {zxid} is not the loaded one")))?;
                stored.read(&self.fs, *offset, *length).map(DiskAnswer::SnapshotBytes)
            }
            DiskOp::ReadLog { after, through, size_limit } => {
                self.read_log(*after, *through, *size_limit).map(DiskAnswer::Log)
            }
            DiskOp::ReadLogBehind { snapshot, through } => {
                self.read_log_behind(*snapshot, *through).map(DiskAnswer::Log)
            }
        }
    }

    fn load(&mut self) -> Answer {
        self.forget_memory();
        let plan = plan(&self.fs, self.settings.commit_log_count)?;
        self.carry_out(&plan)?;
        self.stored =
            plan.recovered.snapshot.as_ref().map(|(zxid, body)| {
                StoredSnapshot::new(*zxid, plan.snapshot_name.clone(), body.len() as u64)
            });
        let mut recovered = plan.recovered;
        recovered.untrusted_empty = plan.first_start && !self.settings.trust_empty;
        self.current_epoch = recovered.current_epoch;
        Ok(DiskAnswer::Loaded(Box::new(recovered)))
    }

    /// Bring the disk into the state that the plan read it as, durably: a process kill leaves bytes
    /// in the page cache that a later power loss would take, and the member votes with them.
    fn carry_out(&mut self, plan: &Plan) -> Result<(), DiskError> {
        for name in &plan.remove {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
        }
        self.sync_dir()?;
        install::rename(&mut self.fs, &plan.roll_forward)?;
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
            if epoch::read(&self.fs, file)? != Some(epoch) {
                epoch::write(&mut self.fs, file, epoch)?;
            }
        }
        Ok(())
    }

    fn sync_dir(&mut self) -> Result<(), DiskError> {
        self.fs.sync_dir().map_err(|e| e.in_file("the data directory"))
    }

    fn write_snapshot(&mut self, name: &str, body: &Bytes) -> Result<(), DiskError> {
        write_atomically(&mut self.fs, name, &[snapshot::HEADER, body, &snapshot::seal(body)])
    }

    fn write_epoch(&mut self, file: EpochFile, epoch: Epoch) -> Answer {
        epoch::write(&mut self.fs, file, epoch)?;
        if file == EpochFile::CurrentEpoch {
            self.current_epoch = epoch;
            self.finish_install()?;
        }
        Ok(DiskAnswer::Done)
    }

    fn install(&mut self, zxid: Zxid, epoch: Epoch, log: &[TxnEntry]) -> Answer {
        self.drop_older_installs()?;
        let install = Install::new(zxid, epoch, log);
        install.write_log(&mut self.fs, log)?;
        self.writer.seal(&mut self.fs, zxid, &install.snapshot_name())?;
        self.installing = Some(install);
        self.finish_install()?;
        Ok(DiskAnswer::Done)
    }

    /// An install that currentEpoch never reached must not take effect with the next one's epoch.
    fn drop_older_installs(&mut self) -> Result<(), DiskError> {
        let old = install::waiting(&self.fs.list(), self.current_epoch);
        for name in &old {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
        }
        if old.is_empty() { Ok(()) } else { self.sync_dir() }
    }

    /// The snapshot replaces the older history once currentEpoch is durable. Each step leaves a disk
    /// that recovery rolls forward: the old history goes, durably, before the snapshot takes its
    /// place, so that no old record can be replayed behind it.
    fn finish_install(&mut self) -> Result<(), DiskError> {
        let Some(install) = self.installing else { return Ok(()) };
        if self.current_epoch < install.epoch {
            return Ok(());
        }
        install.finish(&mut self.fs)?;
        self.stored = None;
        self.log.reset();
        self.installing = None;
        Ok(())
    }

    /// Names of the logs with the zxid of each, ascending.
    fn logs(&self) -> Vec<(Zxid, String)> {
        let mut logs: Vec<(Zxid, String)> =
            self.fs.list().into_iter().filter_map(|name| Some((zxid_of_name(&name, "log")?, name))).collect();
        logs.sort();
        logs
    }

    /// TRUNC: keep the record `zxid` and nothing behind it (ZOOKEEPER-1156), in snapshots too
    /// (ZOOKEEPER-1549). Whole files go first, durably one by one, the newest before the older; then the
    /// end of the log that holds `zxid`: a crash between leaves a history that is cut less, never one
    /// with a gap.
    fn truncate(&mut self, zxid: Zxid) -> Answer {
        plan(&self.fs, self.settings.commit_log_count)?;
        let names = self.fs.list();
        let (newer, older): (Vec<_>, Vec<_>) = names
            .iter()
            .filter_map(|name| Some((snapshot_zxid(name)?, name)))
            .partition(|(snapshot, _)| *snapshot > zxid);
        let valid = |name: &str| self.fs.read(name).is_ok_and(|bytes| snapshot::read(name, bytes).is_ok());
        let base = older.iter().filter(|(_, name)| valid(name)).map(|(snapshot, _)| *snapshot).max();
        if base != Some(zxid) && (base.is_none() || !self.reaches(zxid)?) {
            return Err(DiskError::CannotTruncate(zxid));
        }
        self.log.reset();
        // Not even an empty log stays: its name would sort behind the next one's.
        let (newer_logs, older_logs): (Vec<_>, Vec<_>) =
            self.logs().into_iter().partition(|(first, _)| *first > zxid);
        let newer_logs = newer_logs.iter().rev().map(|(_, name)| name);
        for name in newer.iter().map(|(_, name)| *name).chain(newer_logs) {
            self.fs.remove(name).map_err(|e| e.in_file(name))?;
            self.sync_dir()?;
        }
        if let Some((_, name)) = older_logs.last() {
            let file = read_log(name, self.fs.read(name).map_err(|e| e.in_file(name))?)?;
            if let Some((offset, _)) = file.entries.iter().find(|(_, entry)| entry.zxid > zxid) {
                self.fs.set_len(name, *offset).map_err(|e| e.in_file(name))?;
                self.fs.sync(name).map_err(|e| e.in_file(name))?;
            }
        }
        let answer = self.load()?;
        if let DiskAnswer::Loaded(recovered) = &answer
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

    /// The log knows where the history up to `zxid` ends: a record has this zxid, or it is the beginning of
    /// an epoch of which there are records. (A leader whose history came as a snapshot of that moment asks
    /// for it; what stands before the epoch's first record is the same everywhere.)
    fn reaches(&self, zxid: Zxid) -> Result<bool, DiskError> {
        for (_, name) in self.logs() {
            let file = read_log(&name, self.fs.read(&name).map_err(|e| e.in_file(&name))?)?;
            let begins = |entry: Zxid| zxid.counter() == 0 && entry.epoch() == zxid.epoch();
            if file.entries.iter().any(|(_, entry)| entry.zxid == zxid || begins(entry.zxid)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For a DIFF from disk: `None` where the log does not reach back to `after`, has a gap, or is
    /// larger than the limit (the file that holds `after` is not counted).
    fn read_log(
        &self,
        after: Zxid,
        through: Zxid,
        size_limit: u64,
    ) -> Result<Option<Vec<TxnEntry>>, DiskError> {
        let logs = self.logs();
        let start = logs.iter().rposition(|(first, _)| *first <= after);
        let Some(start) = start else { return Ok(None) };
        let mut later = 0;
        for (_, name) in &logs[start + 1..] {
            later += self.fs.len(name).map_err(|e: FsError| e.in_file(name))?;
        }
        if size_limit > 0 && later > size_limit {
            return Ok(None);
        }
        let mut entries: Vec<TxnEntry> = Vec::new();
        for (_, name) in &logs[start..] {
            let file = read_log(name, self.fs.read(name).map_err(|e| e.in_file(name))?)?;
            for (_, entry) in file.entries {
                if entry.zxid > through {
                    break;
                }
                match entries.last() {
                    Some(last) if entry.zxid <= last.zxid => {}
                    Some(last) if entry.zxid > after && !entry.zxid.follows(last.zxid) => return Ok(None),
                    _ => {
                        if entry.zxid <= after {
                            entries.clear();
                        }
                        entries.push(entry);
                    }
                }
            }
        }
        let covers = entries.first().is_some_and(|e| e.zxid <= after)
            && entries.last().is_some_and(|e| e.zxid >= through);
        Ok(covers.then_some(entries))
    }

    /// What was replayed over the loaded snapshot, and what was appended since: `None` where it has a gap.
    fn read_log_behind(&self, snapshot: Zxid, through: Zxid) -> Result<Option<Vec<TxnEntry>>, DiskError> {
        let logs = self.logs();
        let start = logs.iter().rposition(|(first, _)| *first <= snapshot).unwrap_or(0);
        let mut entries: Vec<TxnEntry> = Vec::new();
        for (_, name) in &logs[start..] {
            let file = read_log(name, self.fs.read(name).map_err(|e| e.in_file(name))?)?;
            for (_, entry) in file.entries.into_iter().filter(|(_, entry)| entry.zxid > snapshot) {
                match entries.last() {
                    _ if entry.zxid > through => break,
                    Some(last) if entry.zxid <= last.zxid => {}
                    Some(last) if !entry.zxid.follows(last.zxid) => return Ok(None),
                    _ => entries.push(entry),
                }
            }
        }
        Ok(Some(entries))
    }
}
