//! `FastForward`: the end of the log, for a member whose role ended and whose memory is its own history up to some
//! zxid. A database of a gigabyte is not read again because a leader died (`FileTxnSnapLog.fastForwardFromEdits`).
//!
//! Only the newest logs are read. They must prove that memory is what recovery would give, or the whole is read:
//!
//! | # | found | answer |
//! |---|---|---|
//! | A | an append or a sync failed, an install waits for its epoch, a file was not finished, or no epoch file | as `Load` |
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
use crate::log_reader::{End, read_log};

/// `None`: rows A (but for the log that failed, of which its lane knows) to D.
pub(crate) fn tail<F: FileSystem>(fs: &F, after: Zxid) -> Result<Option<LogTail>, DiskError> {
    let names = fs.list();
    let (accepted, current) =
        (epoch::read(fs, EpochFile::AcceptedEpoch)?, epoch::read(fs, EpochFile::CurrentEpoch)?);
    let (Some(accepted_epoch), Some(current_epoch)) = (accepted, current) else { return Ok(None) };
    let unfinished = names.iter().any(|name| name.ends_with(".tmp") || install::is_part(name));
    let newest = names.iter().filter_map(|name| snapshot_zxid(name)).max();
    if unfinished || newest.is_none_or(|newest| newest > after) {
        return Ok(None);
    }
    let log = entries_behind(fs, after, newest == Some(after), current_epoch)?;
    Ok(log.map(|log| LogTail { log, accepted_epoch, current_epoch }))
}

/// Rows C to E.
fn entries_behind<F: FileSystem>(
    fs: &F,
    after: Zxid,
    is_snapshot: bool,
    current: Epoch,
) -> Result<Option<Vec<TxnEntry>>, DiskError> {
    let logs = logs(fs);
    let start = logs.iter().rposition(|(first, _)| *first <= after).unwrap_or(0);
    let mut last = is_snapshot.then_some(after);
    let mut behind: Vec<TxnEntry> = Vec::new();
    for (_, name) in &logs[start..] {
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
        if !matches!(file.reason, End::Eof | End::Zeros) || file.torn {
            return Ok(None);
        }
        for (_, entry) in file.entries {
            match last {
                _ if entry.zxid < after => {}
                None if entry.zxid == after => last = Some(after),
                Some(last) if entry.zxid <= last => {}
                Some(before) if entry.zxid.follows(before) && entry.zxid.epoch() <= current => {
                    last = Some(entry.zxid);
                    behind.push(entry);
                }
                _ => return Ok(None),
            }
        }
    }
    Ok(last.map(|_| behind))
}
