//! Purging: what no recovery needs any more goes (`PurgeTxnLog`, `autopurge.snapRetainCount`). Snapshots go
//! where a new one is sealed, by the snapshot lane; logs go where a new one begins, by the log lane, which alone
//! reads them, so that no reading finds a file gone.
//!
//! | file | stays |
//! |---|---|
//! | snapshot | the newest `snap_retain_count`, and the one that was loaded: a learner may be reading it |
//! | log | all that may hold a record behind the oldest snapshot: those that begin above it, and the last one that does not |
//!
//! A log is measured by the snapshots that are there when it is its turn: of two that are made at once, the
//! older one counts, and too much stays for a while.

use wire::Zxid;
use zab::DiskError;

use crate::compression::snapshot_zxid;
use crate::fs::FileSystem;
use crate::log_lane::logs;

/// `loaded`: the zxid of the snapshot that was loaded.
pub fn snapshots<F: FileSystem>(fs: &mut F, retain: usize, loaded: Option<Zxid>) -> Result<(), DiskError> {
    let snapshots = snapshots_by_zxid(fs);
    let surplus = snapshots.len().saturating_sub(retain.max(1));
    let old = snapshots.into_iter().take(surplus).filter(|(zxid, _)| Some(*zxid) != loaded);
    remove(fs, old.map(|(_, name)| name).collect())
}

/// Without a snapshot nothing goes.
pub fn logs_below_snapshots<F: FileSystem>(fs: &mut F) -> Result<(), DiskError> {
    let Some((oldest, _)) = snapshots_by_zxid(fs).into_iter().next() else { return Ok(()) };
    let logs = logs(fs);
    let needed = logs.iter().rposition(|(first, _)| *first <= oldest).unwrap_or(0);
    remove(fs, logs.into_iter().take(needed).map(|(_, name)| name).collect())
}

fn snapshots_by_zxid<F: FileSystem>(fs: &F) -> Vec<(Zxid, String)> {
    let mut snapshots: Vec<(Zxid, String)> =
        fs.list().into_iter().filter_map(|name| Some((snapshot_zxid(&name)?, name))).collect();
    snapshots.sort();
    snapshots
}

fn remove<F: FileSystem>(fs: &mut F, names: Vec<String>) -> Result<(), DiskError> {
    for name in &names {
        fs.remove(name).map_err(|e| e.in_file(name))?;
    }
    if names.is_empty() { Ok(()) } else { fs.sync_dir().map_err(|e| e.in_file("the data directory")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    fn disk(names: &str) -> MemFs {
        MemFs { files: names.split_whitespace().map(|name| (name.to_owned(), Vec::new())).collect() }
    }

    fn left(fs: &MemFs) -> String {
        fs.list().join(" ")
    }

    #[test]
    fn the_newest_snapshots_stay_and_the_loaded_one() {
        let all = "acceptedEpoch log.1 snapshot.0 snapshot.10 snapshot.100000001 snapshot.9 snapshot.a.gz";
        for (retain, loaded, expected) in [
            (1, None, "acceptedEpoch log.1 snapshot.100000001"),
            (0, None, "acceptedEpoch log.1 snapshot.100000001"),
            (2, None, "acceptedEpoch log.1 snapshot.10 snapshot.100000001"),
            (2, Some(Zxid(9)), "acceptedEpoch log.1 snapshot.10 snapshot.100000001 snapshot.9"),
            (3, Some(Zxid(16)), "acceptedEpoch log.1 snapshot.10 snapshot.100000001 snapshot.a.gz"),
            (5, None, all),
            (9, None, all),
        ] {
            let mut fs = disk(all);
            snapshots(&mut fs, retain, loaded).expect("nothing fails");
            assert_eq!(left(&fs), expected, "{retain} {loaded:?}");
        }
    }

    #[test]
    fn logs_stay_from_the_oldest_snapshot_on() {
        for (before, after) in [
            ("log.1 log.5 log.9 snapshot.9", "log.9 snapshot.9"),
            ("log.1 log.5 log.a snapshot.9", "log.5 log.a snapshot.9"),
            ("log.1 log.5 log.9 snapshot.4 snapshot.9", "log.1 log.5 log.9 snapshot.4 snapshot.9"),
            ("log.1 log.5 snapshot.5.snappy", "log.5 snapshot.5.snappy"),
            ("log.5 log.9 snapshot.0", "log.5 log.9 snapshot.0"),
            ("log.1 log.5 snapshot.9.tmp", "log.1 log.5 snapshot.9.tmp"),
            ("log.1 log.100000001 snapshot.1000000ff", "log.100000001 snapshot.1000000ff"),
        ] {
            let mut fs = disk(before);
            logs_below_snapshots(&mut fs).expect("nothing fails");
            assert_eq!(left(&fs), after);
        }
    }
}
