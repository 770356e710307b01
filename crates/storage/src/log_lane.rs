//! The log lane: appends, syncs and reads of the transaction log. It needs no other lane.

use wire::Zxid;
use zab::{DiskAnswer, DiskError, DiskOp, Switch, Switches, TxnEntry};

use crate::config_file;
use crate::fs::{FileSystem, FsError};
use crate::installed::Snapshots;
use crate::log_reader::{read_log, zxid_of_name};
use crate::purge;
use crate::storage::{Answer, StorageSettings};
use crate::txn_log::{TxnLog, Written};

/// What the log lane keeps between operations: the file that is being written.
#[derive(Clone, Debug, Default)]
pub struct LogLane {
    log: TxnLog,
}

impl LogLane {
    /// Append, Sync, Roll, ReadLog, ReadLogBehind or WriteConfig; the other operations of this lane need all lanes.
    pub fn execute<F: FileSystem>(&mut self, fs: &mut F, settings: &StorageSettings, op: &DiskOp) -> Answer {
        match op {
            DiskOp::Append(entries) => self.log.append(fs, entries, settings.prealloc)?,
            DiskOp::Sync => self.log.sync(fs)?,
            DiskOp::Roll => {
                self.log.roll();
                if settings.snap_retain_count.is_some() {
                    purge::logs_below_snapshots(fs)?;
                }
            }
            DiskOp::ReadLog { after, through, size_limit } => {
                return read_txns(fs, settings.switches, *after, *through, *size_limit).map(DiskAnswer::Log);
            }
            DiskOp::ReadLogBehind { snapshot, through } => {
                return read_log_behind(fs, *snapshot, *through).map(DiskAnswer::Log);
            }
            DiskOp::WriteConfig { file, version, text } => {
                let kept = config_file::write(fs, *file, *version, text);
                // A reconfig is not logged before its configuration is kept.
                if kept.is_err() {
                    self.log.fail();
                }
                kept?;
            }
            op => unreachable!("{} is not of the log lane alone", op.name()),
        }
        Ok(DiskAnswer::Done)
    }

    pub fn written_since(&self, zxid: Zxid) -> Option<Written> {
        self.log.written_since(zxid)
    }

    /// A role begins: roles that end before they take a snapshot shall not go on with one file for ever.
    pub fn roll_if_long(&mut self) {
        const LONG: u64 = 64 << 20;
        if self.log.written() >= LONG {
            self.log.roll();
        }
    }

    /// What the files hold is not known (until they are recovered).
    pub fn has_failed(&self) -> bool {
        self.log.has_failed()
    }

    /// The files were recovered, truncated or replaced: the next append begins a new one.
    pub fn reset(&mut self) {
        self.log.reset();
    }
}

/// Names of the logs with the zxid of each, ascending.
pub(crate) fn logs<F: FileSystem>(fs: &F) -> Vec<(Zxid, String)> {
    let mut logs: Vec<(Zxid, String)> =
        fs.list().into_iter().filter_map(|name| Some((zxid_of_name(&name, "log")?, name))).collect();
    logs.sort();
    logs
}

/// For a DIFF from disk: `None` where the log does not reach back to `after`, has a gap, or is
/// larger than the limit (the file that holds `after` is not counted).
fn read_txns<F: FileSystem>(
    fs: &F,
    switches: Switches,
    after: Zxid,
    through: Zxid,
    size_limit: u64,
) -> Result<Option<Vec<TxnEntry>>, DiskError> {
    let logs = logs(fs);
    let start = logs.iter().rposition(|(first, _)| *first <= after);
    let Some(start) = start else { return Ok(None) };
    let mut later = 0;
    for (_, name) in &logs[start + 1..] {
        later += fs.len(name).map_err(|e: FsError| e.in_file(name))?;
    }
    if size_limit > 0 && later > size_limit {
        return Ok(None);
    }
    let mut entries: Vec<TxnEntry> = Vec::new();
    // Right: a gap is no history. Wrong: what comes behind it is read as if it were adjacent (ZOOKEEPER-2099),
    // or the log ends there and nobody looks (ZOOKEEPER-2418).
    let over_gap = switches.has(Switch::DiskDiffOverGap);
    let ends_short = switches.has(Switch::DiskDiffShort);
    let snapshots = Snapshots::among(&fs.list());
    'logs: for (_, name) in &logs[start..] {
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
        for (_, entry) in file.entries {
            if entry.zxid > through {
                break;
            }
            match entries.last() {
                Some(last) if entry.zxid <= last.zxid => {}
                Some(last)
                    if entry.zxid > after && !snapshots.adjacent(last.zxid, entry.zxid) && !over_gap =>
                {
                    if ends_short {
                        break 'logs;
                    }
                    return Ok(None);
                }
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
        && entries.last().is_some_and(|e| e.zxid >= through || ends_short);
    Ok(covers.then_some(entries))
}

/// What was replayed over the loaded snapshot, and what was appended since: `None` where it has a gap.
fn read_log_behind<F: FileSystem>(
    fs: &F,
    snapshot: Zxid,
    through: Zxid,
) -> Result<Option<Vec<TxnEntry>>, DiskError> {
    let logs = logs(fs);
    let start = logs.iter().rposition(|(first, _)| *first <= snapshot).unwrap_or(0);
    let mut entries: Vec<TxnEntry> = Vec::new();
    for (_, name) in &logs[start..] {
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
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
