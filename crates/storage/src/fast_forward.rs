//! `FastForward`: the end of the log, for a member whose role ended and whose memory is its own history up to some
//! zxid. A database of a gigabyte is not read again because a leader died (`FileTxnSnapLog.fastForwardFromEdits`).
//!
//! Only the log that holds `after`, and what is newer, is read, and of one that is being written its end. It must prove
//! that memory is what recovery would give, or the whole is read:
//!
//! | # | found | answer |
//! |---|---|---|
//! | A | an operation has failed since the last `Load`, an install waits for its epoch, a file was not finished, or no epoch file | as `Load` |
//! | B | a snapshot above `after`: memory lacks what it stands for | as `Load` |
//! | C | neither a record nor a snapshot at `after`: memory is ahead of the disk, or of another history | as `Load` |
//! | D | in the logs from `after` on: damage, a gap, a record above currentEpoch | as `Load`, which cuts or refuses |
//! | E | else | what stands behind `after` |

use wire::{Epoch, Zxid};
use zab::{DiskError, EpochFile, LogTail, TxnEntry};

use crate::compression::snapshot_zxid;
use crate::epoch;
use crate::fs::FileSystem;
use crate::install;
use crate::log_lane::logs;
use crate::log_reader::{End, read_log, read_part};
use crate::txn_log::Written;

/// `None`: rows A (but for operations that failed, of which the lanes know) to D. `written`: where `after` is in the log
/// that is being written.
pub(crate) fn tail<F: FileSystem>(
    fs: &F,
    after: Zxid,
    written: Option<Written>,
) -> Result<Option<LogTail>, DiskError> {
    let names = fs.list();
    let (accepted, current) =
        (epoch::read(fs, EpochFile::AcceptedEpoch)?, epoch::read(fs, EpochFile::CurrentEpoch)?);
    let (Some(accepted_epoch), Some(current_epoch)) = (accepted, current) else { return Ok(None) };
    let unfinished = names.iter().any(|name| name.ends_with(".tmp") || install::is_part(name));
    let newest = names.iter().filter_map(|name| Some((snapshot_zxid(name)?, name))).max();
    let Some((snapshot, name)) = newest.filter(|(snapshot, _)| *snapshot <= after && !unfinished) else {
        return Ok(None);
    };
    let snapshot_bytes = fs.len(name).map_err(|e| e.in_file(name))?;
    let entries = match written {
        Some(part) => read_written(fs, &part)?,
        None => read_from(fs, after)?,
    };
    let log = entries.and_then(|entries| behind(entries, after, snapshot == after, current_epoch));
    Ok(log.map(|log| LogTail { log, snapshot, snapshot_bytes, accepted_epoch, current_epoch }))
}

fn read_written<F: FileSystem>(fs: &F, part: &Written) -> Result<Option<Vec<TxnEntry>>, DiskError> {
    let bytes = fs.read_at(&part.name, part.offset, part.length).map_err(|e| e.in_file(&part.name))?;
    Ok(if bytes.len() == part.length { read_part(bytes) } else { None })
}

/// All of the logs that may hold what stands behind `after`; `None` where there is damage.
fn read_from<F: FileSystem>(fs: &F, after: Zxid) -> Result<Option<Vec<TxnEntry>>, DiskError> {
    let logs = logs(fs);
    let start = logs.iter().rposition(|(first, _)| *first <= after).unwrap_or(0);
    let mut entries = Vec::new();
    for (_, name) in &logs[start..] {
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
        if !matches!(file.reason, End::Eof | End::Zeros) || file.torn {
            return Ok(None);
        }
        entries.extend(file.entries.into_iter().map(|(_, entry)| entry));
    }
    Ok(Some(entries))
}

/// Rows C to E.
fn behind(entries: Vec<TxnEntry>, after: Zxid, is_snapshot: bool, current: Epoch) -> Option<Vec<TxnEntry>> {
    let mut last = is_snapshot.then_some(after);
    let mut behind: Vec<TxnEntry> = Vec::new();
    for entry in entries {
        match last {
            _ if entry.zxid < after => {}
            None if entry.zxid == after => last = Some(after),
            Some(last) if entry.zxid <= last => {}
            Some(before) if entry.zxid.follows(before) && entry.zxid.epoch() <= current => {
                last = Some(entry.zxid);
                behind.push(entry);
            }
            _ => return None,
        }
    }
    last.map(|_| behind)
}
