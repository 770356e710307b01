//! The museum's switches that storage reads: of each what the right one does and what the wrong one does,
//! with the same operations on the same disk.

mod common;

use common::crash_fs::{CrashFs, Fate};
use common::{disk, entries, history, install_ops, log_file, settings, snapshot_file, snapshot_ops, zxid};
use storage::{FileSystem, MemFs, Storage, StorageSettings};
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, Recovered, Switch, Switches};

fn storage<F: FileSystem>(fs: F, switches: Switches) -> Storage<F> {
    Storage::new(fs, StorageSettings { switches, ..settings() })
}

fn loaded<F: FileSystem>(fs: F, switches: Switches) -> Storage<F> {
    let mut storage = storage(fs, switches);
    storage.execute(&DiskOp::Load).expect("a good disk");
    storage
}

/// What `show` gives without the switch, and with it.
fn both<T>(switch: Switch, show: impl Fn(Switches) -> T) -> [T; 2] {
    [Switches::NONE, Switches::NONE.with(switch)].map(show)
}

fn epoch_1(counters: std::ops::RangeInclusive<u32>) -> Vec<Zxid> {
    counters.map(|counter| zxid(1, counter)).collect()
}

/// Records 1.1 to 1.9 in two logs, snapshots at 0 and 1.6.
fn nine() -> MemFs {
    disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000006", snapshot_file(zxid(1, 6))),
            ("log.100000001", log_file(&entries(1, 1..=5))),
            ("log.100000006", log_file(&entries(1, 6..=9))),
        ],
    )
}

fn truncated(switches: Switches, to: u32) -> Vec<Zxid> {
    let mut storage = loaded(nine(), switches);
    match storage.execute(&DiskOp::Truncate(zxid(1, to))) {
        Ok(DiskAnswer::Loaded(recovered)) => {
            history(&recovered).into_iter().filter(|zxid| *zxid != Zxid::ZERO).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn trunc_removes_too_much() {
    let [right, wrong] = both(Switch::TruncRemovesTooMuch, |switches| truncated(switches, 8));
    assert_eq!((right, wrong), (epoch_1(1..=8), epoch_1(1..=7)));
}

#[test]
fn trunc_keeps_newer_snapshot() {
    let [right, wrong] =
        both(Switch::TruncKeepsNewerSnapshot, |switches| truncated(switches, 4).last().copied());
    // The log ends at 1.4; the snapshot that it is loaded from has 1.5 and 1.6.
    assert_eq!((right, wrong), (Some(zxid(1, 4)), Some(zxid(1, 6))));
}

#[test]
fn snapshot_not_synced() {
    let [right, wrong] = both(Switch::SnapshotNotSynced, |switches| {
        let mut storage = loaded(CrashFs::new(&disk(1, &[])), switches);
        for op in snapshot_ops(zxid(1, 5)) {
            storage.execute(&op).expect("written");
        }
        let after = storage.fs.after(Fate::Lost);
        storage::recover(&after, 500).map(|recovered| recovered.last_zxid())
    });
    assert_eq!(right, Ok(zxid(1, 5)));
    assert_eq!(wrong, Ok(Zxid::ZERO), "the file has its name and nothing in it");
}

#[test]
fn missing_snapshots_mean_empty() {
    let fs = disk(1, &[("log.100000001", log_file(&entries(1, 1..=3)))]);
    let [right, wrong] =
        both(Switch::MissingSnapshotsMeanEmpty, |switches| storage(fs.clone(), switches).recover_readonly());
    assert!(matches!(right, Err(DiskError::Refused(_))));
    let wrong: Recovered = wrong.expect("opened");
    assert_eq!(wrong.snapshot, Some((Zxid::ZERO, storage::recover::empty_body())));
    assert_eq!(common::zxids(&wrong.log), epoch_1(1..=3));
}

#[test]
fn snapshot_then_epoch_unmarked() {
    let [right, wrong] = both(Switch::SnapshotThenEpochUnmarked, |switches| {
        let mut storage = loaded(nine(), switches);
        for op in install_ops(zxid(2, 3), 2, &[]) {
            storage.execute(&op).expect("written");
        }
        // The process dies here, before currentEpoch.
        storage.forget_memory();
        storage.recover_readonly().map(|recovered| recovered.last_zxid())
    });
    assert_eq!(right, Ok(zxid(1, 9)), "what nobody counted on is dropped");
    let refusal = "currentEpoch 1 is older than the last zxid 0x200000003";
    assert_eq!(wrong, Err(DiskError::Refused(refusal.into())));
}

/// 1.1 to 1.5, a snapshot from the leader at 1.7, then 1.8 and 1.9: the DIFF behind 1.4.
fn diff_over_an_installed_snapshot(switches: Switches) -> Option<Vec<Zxid>> {
    let log = log_file(&entries(1, 1..=5));
    let fs = disk(1, &[("snapshot.0", snapshot_file(Zxid::ZERO)), ("log.100000001", log)]);
    let mut storage = loaded(fs, switches);
    let mut ops = install_ops(zxid(1, 7), 2, &[]);
    for file in [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch] {
        ops.push(DiskOp::WriteEpoch(file, Epoch(2)));
    }
    ops.extend([DiskOp::Append(entries(1, 8..=9)), DiskOp::Sync, DiskOp::Load]);
    for op in ops {
        storage.execute(&op).expect("carried out");
    }
    let [after, through] = [zxid(1, 4), zxid(1, 9)];
    match storage.execute(&DiskOp::ReadLog { after, through, size_limit: 0 }) {
        Ok(DiskAnswer::Log(log)) => log.map(|log| common::zxids(&log)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn disk_diff_over_gap() {
    let [right, wrong] = both(Switch::DiskDiffOverGap, diff_over_an_installed_snapshot);
    assert_eq!(right, None);
    assert_eq!(wrong, Some([4, 5, 8, 9].map(|counter| zxid(1, counter)).to_vec()));
}

#[test]
fn disk_diff_short() {
    let [right, wrong] = both(Switch::DiskDiffShort, diff_over_an_installed_snapshot);
    assert_eq!(right, None);
    assert_eq!(wrong, Some(epoch_1(4..=5)));
}
