//! A member's memory goes on: each row of `storage::fast_forward`, and what the log is afterwards.

mod common;

use common::crash_fs::{CrashFs, Fate};
use common::{
    body, disk, entries, install_ops, loaded, log_file, settings, slices, snapshot_file, storage, zxid,
};
use storage::{FileSystem, FsError, MemFs, Storage, StorageSettings};
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, TxnEntry};

/// Records 1.1 to 1.6 in two logs, snapshots at 0 and 1.2.
fn two_logs() -> MemFs {
    disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000002", snapshot_file(zxid(1, 2))),
            ("log.100000001", log_file(&entries(1, 1..=3))),
            ("log.100000004", log_file(&entries(1, 4..=6))),
        ],
    )
}

/// What stands behind `after`; `None` where the whole is read.
fn tail(storage: &mut Storage<MemFs>, after: Zxid) -> Option<Vec<TxnEntry>> {
    match storage.execute(&DiskOp::FastForward { after }).expect("a good disk") {
        DiskAnswer::Tail(tail) => {
            let current = storage.recover_readonly().expect("a good disk");
            assert_eq!((tail.accepted_epoch, tail.current_epoch), (Epoch(1), Epoch(1)));
            assert_eq!(current.last_zxid(), tail.log.last().map_or(after, |entry| entry.zxid));
            Some(tail.log)
        }
        DiskAnswer::Loaded(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_stands_behind() {
    let mut storage = loaded(two_logs());
    for after in 2..=6 {
        assert_eq!(tail(&mut storage, zxid(1, after)), Some(entries(1, after + 1..=6)), "row E: {after}");
    }
}

#[test]
fn behind_a_snapshot_alone() {
    let at = zxid(1, 0);
    let files = [("snapshot.100000000", snapshot_file(at)), ("log.100000001", log_file(&entries(1, 1..=2)))];
    assert_eq!(tail(&mut loaded(disk(1, &files)), at), Some(entries(1, 1..=2)));
    assert_eq!(tail(&mut loaded(disk(1, &files[..1])), at), Some(Vec::new()));
}

#[test]
fn an_unfinished_synchronisation() {
    let mut storage = loaded(two_logs());
    for op in install_ops(zxid(2, 7), 2, &[]) {
        storage.execute(&op).expect("installed");
    }
    assert_eq!(tail(&mut storage, zxid(1, 6)), None, "row A");
    // Reading the whole has dropped it.
    assert_eq!(tail(&mut storage, zxid(1, 6)), Some(Vec::new()));
    let mut storage = loaded(two_logs());
    storage.fs.files.insert("snapshot.100000005.tmp".into(), b"ZKSN".to_vec());
    assert_eq!(tail(&mut storage, zxid(1, 6)), None, "row A");
    let mut storage = loaded(two_logs());
    storage.fs.files.remove("currentEpoch");
    assert_eq!(tail(&mut storage, zxid(1, 6)), None, "row A");
}

#[test]
fn a_snapshot_above() {
    let mut storage = loaded(two_logs());
    assert_eq!(tail(&mut storage, zxid(1, 1)), None, "row B");
}

#[test]
fn memory_that_the_disk_does_not_hold() {
    let mut storage = loaded(two_logs());
    assert_eq!(tail(&mut storage, zxid(1, 7)), None, "row C: ahead");
    assert_eq!(tail(&mut storage, zxid(2, 0)), None, "row C: the beginning of an epoch is no record");
}

#[test]
fn logs_that_are_not_in_order() {
    let mut gap = two_logs();
    gap.files.insert("log.100000005".into(), log_file(&entries(1, 5..=6)));
    gap.files.insert("log.100000004".into(), log_file(&entries(1, 4..=4)));
    let mut storage = loaded(gap);
    storage.fs.files.insert("log.100000005".into(), log_file(&entries(1, 6..=6)));
    let refused = storage.execute(&DiskOp::FastForward { after: zxid(1, 3) });
    assert!(matches!(refused, Err(DiskError::Corrupt { .. })), "row D: {refused:?}");

    let mut storage = loaded(two_logs());
    storage.fs.files.insert("log.200000001".into(), log_file(&entries(2, 1..=1)));
    assert_eq!(tail(&mut storage, zxid(1, 6)), None, "row D: above currentEpoch");
    assert!(!storage.fs.list().contains(&"log.200000001".into()), "and cut");

    let mut storage = loaded(two_logs());
    let log = storage.fs.files.get_mut("log.100000004").expect("a log");
    log[20] ^= 1;
    let refused = storage.execute(&DiskOp::FastForward { after: zxid(1, 6) });
    assert!(matches!(refused, Err(DiskError::Corrupt { .. })), "row D: {refused:?}");
}

/// The role ended because of it, or before its answer came.
#[test]
fn a_sync_that_failed() {
    let mut storage = storage(CrashFs::new(&two_logs()));
    let forward = DiskOp::FastForward { after: zxid(1, 6) };
    for op in [DiskOp::Load, DiskOp::Append(entries(1, 7..=9))] {
        storage.execute(&op).expect("done");
    }
    storage.fs.failure = FsError::Io;
    storage.fs.calls_left = 0;
    storage.execute(&DiskOp::Sync).expect_err("failed");
    storage.fs.calls_left = u32::MAX;
    let read = storage.execute(&forward);
    assert!(matches!(read, Ok(DiskAnswer::Loaded(_))), "row A: {read:?}");
    let read = storage.execute(&DiskOp::FastForward { after: zxid(1, 9) });
    assert!(matches!(read, Ok(DiskAnswer::Tail(_))), "{read:?}");
    // One that fails now is told.
    storage.execute(&DiskOp::Append(entries(1, 10..=10))).expect("done");
    storage.fs.calls_left = 0;
    storage.execute(&forward).expect_err("failed");
}

/// What the role that ended had appended is read, and the next role's goes behind it, into the same file.
#[test]
fn the_log_stays_open() {
    let mut storage = loaded(two_logs());
    storage.execute(&DiskOp::Append(entries(1, 7..=8))).expect("appended");
    assert_eq!(tail(&mut storage, zxid(1, 6)), Some(entries(1, 7..=8)));
    storage.execute(&DiskOp::Append(entries(1, 9..=9))).expect("appended");
    storage.execute(&DiskOp::Sync).expect("synced");
    assert!(!storage.fs.list().contains(&"log.100000009".into()));
    assert_eq!(tail(&mut storage, zxid(1, 8)), Some(entries(1, 9..=9)));
    // And is cut there.
    storage.execute(&DiskOp::Truncate(zxid(1, 7))).expect("a record");
    assert_eq!(tail(&mut storage, zxid(1, 7)), Some(Vec::new()));
    storage.execute(&DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2))).expect("written");
    storage.execute(&DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(2))).expect("written");
    storage.execute(&DiskOp::Append(entries(2, 1..=1))).expect("appended");
    assert_eq!(storage.recover_readonly().expect("a good disk").last_zxid(), zxid(2, 1));
}

/// What the page cache holds is durable before anybody votes with it.
#[test]
fn is_durable() {
    let mut storage = storage(CrashFs::new(&two_logs()));
    for op in [DiskOp::Load, DiskOp::Append(entries(1, 7..=9)), DiskOp::FastForward { after: zxid(1, 7) }] {
        storage.execute(&op).expect("done");
    }
    let left = loaded(storage.fs.after(Fate::Lost));
    assert_eq!(left.recover_readonly().expect("a good disk").last_zxid(), zxid(1, 9));
}

/// Of a long log little is read: a damaged beginning is not noticed. (The next start refuses it.)
#[test]
fn only_the_end_is_read() {
    let mut storage = loaded(two_logs());
    for counter in 7..=6000 {
        storage.execute(&DiskOp::Append(entries(1, counter..=counter))).expect("appended");
    }
    let log = storage.fs.files.get_mut("log.100000007").expect("a log");
    assert!(log.len() > 600_000, "several marks");
    log[20] ^= 1;
    for after in [5900, 5999, 6000] {
        let DiskAnswer::Tail(read) =
            storage.execute(&DiskOp::FastForward { after: zxid(1, after) }).expect("the end is good")
        else {
            panic!("the end is good")
        };
        assert_eq!(read.log, entries(1, after + 1..=6000));
    }
    let refused = storage.execute(&DiskOp::FastForward { after: zxid(1, 7) });
    assert!(matches!(refused, Err(DiskError::Corrupt { .. })), "{refused:?}");
}

/// Any lane's: what stands in the files is not known.
#[test]
fn other_operations_that_failed() {
    let failing = [
        DiskOp::SnapshotSlice { zxid: zxid(1, 6), bytes: body(zxid(1, 6)) },
        DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2)),
        DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(1)),
        DiskOp::Truncate(zxid(1, 5)),
    ];
    for op in failing {
        let mut storage = storage(CrashFs::new(&two_logs()));
        storage.execute(&DiskOp::Load).expect("a good disk");
        storage.fs.failure = FsError::Io;
        storage.fs.calls_left = 0;
        storage.execute(&op).expect_err("failed");
        storage.fs.calls_left = u32::MAX;
        for answered_as_load in [true, false] {
            let read = storage.execute(&DiskOp::FastForward { after: zxid(1, 6) });
            assert_eq!(
                matches!(read, Ok(DiskAnswer::Loaded(_))),
                answered_as_load,
                "{}: {read:?}",
                op.name()
            );
        }
    }
    // Changing nothing is no failure.
    let mut storage = loaded(two_logs());
    storage.execute(&DiskOp::Truncate(zxid(1, 9))).expect_err("no such record");
    assert_eq!(tail(&mut storage, zxid(1, 6)), Some(Vec::new()));
}

#[test]
fn the_newest_snapshot_is_told() {
    let mut storage = loaded(two_logs());
    let file = storage.fs.len("snapshot.100000002").expect("a file");
    let answer = storage.execute(&DiskOp::FastForward { after: zxid(1, 6) });
    let Ok(DiskAnswer::Tail(tail)) = answer else { panic!("{answer:?}") };
    assert_eq!((tail.snapshot, tail.snapshot_bytes), (zxid(1, 2), file));
}

/// Roles that end before they take a snapshot do not go on with one file for ever.
#[test]
fn a_long_log_is_rolled() {
    let mut storage = loaded(two_logs());
    let long = |counter| TxnEntry {
        zxid: zxid(1, counter),
        txn: [&entries(1, counter..=counter)[0].txn[..], &[0; 1 << 20]].concat().into(),
    };
    for counter in 7..7 + 64 {
        storage.execute(&DiskOp::Append(vec![long(counter)])).expect("appended");
    }
    assert_eq!(tail(&mut storage, zxid(1, 70)), Some(Vec::new()));
    storage.execute(&DiskOp::Append(entries(1, 71..=71))).expect("appended");
    assert!(storage.fs.list().contains(&"log.100000047".into()));
    assert_eq!(tail(&mut storage, zxid(1, 70)), Some(entries(1, 71..=71)));
}

/// The snapshot that was loaded is wanted for as long as its role: then it is purged as any other.
#[test]
fn the_loaded_snapshot_is_let_go() {
    for (role_ended, left) in [(false, 2), (true, 1)] {
        let mut storage =
            Storage::new(two_logs(), StorageSettings { snap_retain_count: Some(1), ..settings() });
        storage.execute(&DiskOp::Load).expect("a good disk");
        if role_ended {
            storage.execute(&DiskOp::FastForward { after: zxid(1, 6) }).expect("a good disk");
        }
        for op in slices(zxid(1, 6)).into_iter().chain([DiskOp::SnapshotFinish { zxid: zxid(1, 6) }]) {
            storage.execute(&op).expect("written");
        }
        let snapshots = storage.fs.list().iter().filter(|name| name.starts_with("snapshot.")).count();
        assert_eq!(snapshots, left, "{role_ended}");
    }
}
