//! What the operations answer, where nothing crashes.

mod common;

use std::io::Write;

use bytes::Bytes;
use common::crash_fs::CrashFs;
use common::{
    body, disk, entries, history, install_ops, loaded, log_file, slices, snapshot_file, snapshot_ops,
    storage, zxid,
};
use storage::{FileSystem, FsError, MemFs, Storage};
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, TxnEntry};

/// Records 1.1 to 1.9 in three logs, snapshots at 0 and 1.4.
fn three_logs() -> MemFs {
    disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000004", snapshot_file(zxid(1, 4))),
            ("log.100000001", log_file(&entries(1, 1..=3))),
            ("log.100000004", log_file(&entries(1, 4..=6))),
            ("log.100000007", log_file(&entries(1, 7..=9))),
        ],
    )
}

#[test]
fn truncate_leaves_exactly_what_it_says() {
    for counter in 1..=9 {
        let mut storage = loaded(three_logs());
        let answer = storage.execute(&DiskOp::Truncate(zxid(1, counter))).expect("a record");
        let DiskAnswer::Loaded(recovered) = answer else { panic!("{answer:?}") };
        assert_eq!(recovered.last_zxid(), zxid(1, counter));
        let all: Vec<Zxid> = (1..=counter).map(|c| zxid(1, c)).collect();
        assert_eq!(history(&recovered).into_iter().filter(|z| *z != Zxid::ZERO).collect::<Vec<_>>(), all);
        // And a member goes on from there.
        storage.execute(&DiskOp::Append(entries(2, 1..=1))).expect("appended");
        storage.execute(&DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2))).expect("written");
        storage.execute(&DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(2))).expect("written");
        let recovered = storage.recover_readonly().expect("a good disk");
        assert_eq!(recovered.log.last(), entries(2, 1..=1).last());
    }
}

#[test]
fn truncate_to_a_snapshot() {
    let installed = zxid(1, 4);
    let files =
        [("snapshot.100000004", snapshot_file(installed)), ("log.100000005", log_file(&entries(1, 5..=6)))];
    let mut storage = loaded(disk(1, &files));
    let answer = storage.execute(&DiskOp::Truncate(installed)).expect("a snapshot");
    let DiskAnswer::Loaded(recovered) = answer else { panic!("{answer:?}") };
    assert_eq!(recovered.snapshot, Some((installed, body(installed))));
    assert!(recovered.log.is_empty());
}

#[test]
fn truncate_that_cannot_changes_nothing() {
    let without_old_snapshot = disk(
        1,
        &[("snapshot.100000004", snapshot_file(zxid(1, 4))), ("log.100000001", log_file(&entries(1, 1..=5)))],
    );
    let mut with_damaged = without_old_snapshot.clone();
    with_damaged.files.insert("snapshot.0".into(), b"ZKSN".to_vec());
    let mut only_damaged_has_it = three_logs();
    only_damaged_has_it.files.insert("snapshot.10000000a".into(), b"ZKSN".to_vec());
    for (fs, target) in [
        (three_logs(), zxid(1, 10)),
        (three_logs(), zxid(2, 1)),
        (without_old_snapshot, zxid(1, 2)),
        (with_damaged, zxid(1, 2)),
        (only_damaged_has_it, zxid(1, 10)),
    ] {
        let mut storage = loaded(fs);
        let before = storage.fs.files.clone();
        assert_eq!(storage.execute(&DiskOp::Truncate(target)), Err(DiskError::CannotTruncate(target)));
        assert_eq!(storage.fs.files, before);
    }
}

/// A leader whose history is a snapshot at the beginning of an epoch asks for that.
#[test]
fn truncate_to_the_beginning_of_an_epoch() {
    let logs = [("snapshot.0", snapshot_file(zxid(0, 0))), ("log.100000001", log_file(&entries(1, 1..=3)))];
    let mut storage = loaded(disk(1, &logs));
    let answer = storage.execute(&DiskOp::Truncate(zxid(1, 0))).expect("the epoch of the records");
    let DiskAnswer::Loaded(recovered) = answer else { panic!("{answer:?}") };
    assert_eq!(recovered.last_zxid(), zxid(0, 0));
    assert!(recovered.log.is_empty());
    let mut storage = loaded(disk(1, &logs));
    let stranger = zxid(2, 0);
    assert_eq!(storage.execute(&DiskOp::Truncate(stranger)), Err(DiskError::CannotTruncate(stranger)));
}

/// A power loss amid the first append after a TRUNC must not keep the member from starting.
#[test]
fn truncate_leaves_no_empty_log() {
    let mut storage = loaded(three_logs());
    storage.execute(&DiskOp::Truncate(zxid(1, 5))).expect("a record");
    let names: Vec<&String> = storage.fs.files.keys().filter(|name| name.starts_with("log.")).collect();
    assert_eq!(names, ["log.100000001", "log.100000004"]);
}

fn read(storage: &mut Storage<MemFs>, after: Zxid, through: Zxid, size_limit: u64) -> Option<Vec<TxnEntry>> {
    match storage.execute(&DiskOp::ReadLog { after, through, size_limit }).expect("readable") {
        DiskAnswer::Log(entries) => entries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn read_log() {
    let mut storage = loaded(three_logs());
    assert_eq!(read(&mut storage, zxid(1, 2), zxid(1, 8), 0), Some(entries(1, 2..=8)));
    assert_eq!(read(&mut storage, zxid(1, 3), zxid(1, 3), 0), Some(entries(1, 3..=3)));
    // The log does not reach back, or not so far.
    assert_eq!(read(&mut storage, Zxid::ZERO, zxid(1, 3), 0), None);
    assert_eq!(read(&mut storage, zxid(1, 2), zxid(1, 10), 0), None);
    // The file that holds `after` is not counted.
    let one = log_file(&entries(1, 1..=3)).len() as u64;
    assert_eq!(read(&mut storage, zxid(1, 7), zxid(1, 9), 1), Some(entries(1, 7..=9)));
    assert_eq!(read(&mut storage, zxid(1, 2), zxid(1, 9), 2 * one), Some(entries(1, 2..=9)));
    assert_eq!(read(&mut storage, zxid(1, 2), zxid(1, 9), 2 * one - 1), None);
    // A gap.
    storage.fs.files.remove("log.100000004");
    assert_eq!(read(&mut storage, zxid(1, 2), zxid(1, 9), 0), None);
    assert_eq!(read(&mut storage, zxid(1, 7), zxid(1, 9), 0), Some(entries(1, 7..=9)));
}

fn behind(storage: &mut Storage<MemFs>, snapshot: Zxid, through: Zxid) -> Option<Vec<TxnEntry>> {
    match storage.execute(&DiskOp::ReadLogBehind { snapshot, through }).expect("readable") {
        DiskAnswer::Log(entries) => entries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn read_log_behind_the_snapshot() {
    let mut storage = loaded(three_logs());
    assert_eq!(behind(&mut storage, Zxid::ZERO, zxid(1, 5)), Some(entries(1, 1..=5)));
    assert_eq!(behind(&mut storage, zxid(1, 3), zxid(1, 5)), Some(entries(1, 4..=5)));
    // As far as it goes.
    assert_eq!(behind(&mut storage, zxid(1, 8), zxid(1, 20)), Some(entries(1, 9..=9)));
    assert_eq!(behind(&mut storage, zxid(1, 9), zxid(1, 20)), Some(Vec::new()));
    // A gap, amid it or not.
    storage.fs.files.remove("log.100000004");
    assert_eq!(behind(&mut storage, zxid(1, 2), zxid(1, 9)), None);
    assert_eq!(behind(&mut storage, zxid(1, 6), zxid(1, 9)), Some(entries(1, 7..=9)));
    // Behind an installation, whose log begins with it.
    for op in install_ops(zxid(1, 3), 1, &entries(1, 4..=6)) {
        storage.execute(&op).expect("installed");
    }
    storage.execute(&DiskOp::Load).expect("a good disk");
    storage.execute(&DiskOp::Append(entries(1, 7..=8))).expect("appended");
    assert_eq!(behind(&mut storage, zxid(1, 3), zxid(1, 8)), Some(entries(1, 4..=8)));
}

fn piece(storage: &mut Storage<MemFs>, zxid: Zxid, offset: u64, length: u64) -> Result<Bytes, DiskError> {
    storage.execute(&DiskOp::ReadSnapshot { zxid, offset, length }).map(|answer| match answer {
        DiskAnswer::SnapshotBytes(bytes) => bytes,
        other => panic!("{other:?}"),
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

/// Two readers, in pieces of any size.
#[test]
fn read_snapshot_in_pieces() {
    let snapshot = zxid(1, 4);
    let whole = body(snapshot);
    for (name, bytes) in [
        ("snapshot.100000004", snapshot_file(snapshot)),
        ("snapshot.100000004.gz", gzip(&snapshot_file(snapshot))),
    ] {
        for length in [1, 7, whole.len() as u64 - 1, whole.len() as u64, 1 << 20] {
            let mut storage = loaded(disk(1, &[(name, bytes.clone())]));
            let mut read = [Vec::new(), Vec::new()];
            while read[1].len() < whole.len() {
                for bytes in &mut read {
                    if bytes.len() < whole.len() {
                        let piece =
                            piece(&mut storage, snapshot, bytes.len() as u64, length).expect("a piece");
                        assert!(!piece.is_empty() && piece.len() as u64 <= length);
                        bytes.extend_from_slice(&piece);
                    }
                }
                // The second one comes later.
                let later = usize::from(read[0].len() < 20);
                read.swap(0, later);
            }
            assert_eq!(read, [&whole[..], &whole[..]], "{name} in pieces of {length}");
        }
    }
}

/// The last piece is given only where all were as recovery found them.
#[test]
fn a_snapshot_that_changed_is_not_given_whole() {
    let snapshot = zxid(1, 4);
    let name = "snapshot.100000004";
    let length = body(snapshot).len() as u64;
    let damages: [fn(&mut Vec<u8>); 3] =
        [|file| file[20] ^= 1, |file| *file.last_mut().expect("a seal") ^= 1, |file| file.truncate(60)];
    for damage in damages {
        let mut storage = loaded(disk(1, &[(name, snapshot_file(snapshot))]));
        damage(storage.fs.files.get_mut(name).expect("the file"));
        piece(&mut storage, snapshot, 0, 16).expect("not the last one");
        let last = piece(&mut storage, snapshot, 16, length);
        assert!(matches!(last, Err(DiskError::Corrupt { .. })), "{last:?}");
    }
    let mut storage = loaded(disk(1, &[(name, snapshot_file(snapshot))]));
    assert!(piece(&mut storage, zxid(1, 5), 0, 1).is_err(), "of another snapshot");
}

/// What failed in part is never sealed.
#[test]
fn a_snapshot_whose_slice_failed() {
    for seal in [DiskOp::SnapshotFinish { zxid: zxid(2, 4) }, install_ops(zxid(2, 4), 2, &[]).remove(2)] {
        let mut storage = storage(CrashFs::new(&three_logs()));
        storage.execute(&DiskOp::Load).expect("a good disk");
        let [first, second] = slices(zxid(2, 4));
        storage.execute(&first).expect("a slice");
        (storage.fs.calls_left, storage.fs.failure) = (0, FsError::NoSpace);
        assert!(matches!(storage.execute(&second), Err(DiskError::NoSpace(_))));
        storage.fs.calls_left = u32::MAX;
        assert!(storage.execute(&second).is_err(), "a hole would be before it");
        assert!(storage.execute(&seal).is_err());
        assert!(!storage.fs.list().iter().any(|name| name.contains("200000004") && !name.ends_with(".tmp")));
        storage.execute(&DiskOp::Load).expect("a good disk");
        assert!(storage.execute(&seal).is_err(), "its slices are gone");
    }
}

#[test]
fn an_abandoned_snapshot_leaves_nothing_to_the_next() {
    let mut storage = loaded(three_logs());
    let bytes = body(zxid(1, 5)).slice(..20);
    storage.execute(&DiskOp::SnapshotSlice { zxid: zxid(1, 5), bytes }).expect("a slice");
    storage.execute(&DiskOp::SnapshotAbandon { zxid: zxid(1, 5) }).expect("abandoned");
    for op in snapshot_ops(zxid(1, 6)) {
        storage.execute(&op).expect("a snapshot");
    }
    assert_eq!(storage.fs.files["snapshot.100000006"], snapshot_file(zxid(1, 6)));
    assert!(!storage.fs.files.contains_key("snapshot.100000005"));
}

/// After a failure nobody knows what the file holds: the log takes nothing until it was read again.
#[test]
fn a_log_that_failed_takes_no_more() {
    let mut storage = storage(CrashFs::new(&three_logs()));
    storage.execute(&DiskOp::Load).expect("a good disk");
    storage.execute(&DiskOp::Append(entries(1, 10..=10))).expect("appended");
    (storage.fs.calls_left, storage.fs.failure) = (0, FsError::Io);
    assert!(matches!(storage.execute(&DiskOp::Sync), Err(DiskError::Io(_))));
    storage.fs.calls_left = u32::MAX;
    assert!(matches!(storage.execute(&DiskOp::Sync), Err(DiskError::Io(_))), "it is not durable now");
    assert!(matches!(storage.execute(&DiskOp::Append(entries(1, 11..=11))), Err(DiskError::Io(_))));
    storage.execute(&DiskOp::Load).expect("a good disk");
    storage.execute(&DiskOp::Append(entries(1, 11..=11))).expect("appended");
    storage.execute(&DiskOp::Sync).expect("synced");
}

/// Only canonical names are ours.
#[test]
fn names() {
    use storage::log_reader::{file_name, zxid_of_name};
    for good in [Zxid::ZERO, Zxid(0xa), zxid(1, 0), zxid(0x7fff_ffff, u32::MAX)] {
        assert_eq!(zxid_of_name(&file_name("log", good), "log"), Some(good));
    }
    for bad in [
        "log",
        "log.",
        "log.01",
        "log.A",
        "log.+5",
        "log.x",
        "log.5.tmp",
        "snapshot.5",
        "log.10000000000000000",
    ] {
        assert_eq!(zxid_of_name(bad, "log"), None, "{bad}");
    }
}
