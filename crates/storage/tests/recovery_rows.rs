//! One test for each row of the table in `recover`: what a member comes back with, what the disk holds
//! then, and that recovering again changes nothing.

mod common;

use common::{body, disk, entries, entry, log_file, settings, snapshot_file, storage, zxid, zxids};
use storage::{FileSystem, MemFs, Storage};
use wire::{Epoch, Zxid};
use zab::{DiskAnswer, DiskError, DiskOp, Recovered};

/// Load, check that loading again finds the same and leaves the disk alone, and give both.
fn load(fs: MemFs) -> (Recovered, MemFs) {
    let mut storage = storage(fs);
    let planned = storage.recover_readonly().expect("a plan");
    let Ok(DiskAnswer::Loaded(first)) = storage.execute(&DiskOp::Load) else { panic!("loads") };
    assert_eq!(*first, planned, "Load answers what was planned");
    let disk = storage.fs.clone();
    let Ok(DiskAnswer::Loaded(second)) = storage.execute(&DiskOp::Load) else { panic!("loads again") };
    assert_eq!(storage.fs.files, disk.files, "the second Load changes nothing");
    let repaired = Recovered { warnings: second.warnings.clone(), ..*first.clone() };
    assert_eq!(*second, repaired);
    (*first, disk)
}

/// The error of a Load, which must leave the disk as it was.
fn refused(fs: MemFs) -> DiskError {
    let before = fs.files.clone();
    let mut storage = storage(fs);
    let planned = storage.recover_readonly().expect_err("no plan");
    let error = storage.execute(&DiskOp::Load).expect_err("refused");
    assert_eq!(error, planned);
    assert_eq!(storage.fs.files, before);
    error
}

fn names(fs: &MemFs) -> Vec<String> {
    let epochs = ["acceptedEpoch", "currentEpoch"];
    fs.list().into_iter().filter(|name| !epochs.contains(&name.as_str())).collect()
}

fn epochs(recovered: &Recovered) -> (i64, i64) {
    (recovered.accepted_epoch.0, recovered.current_epoch.0)
}

#[test]
fn a_nothing_at_all() {
    let (recovered, fs) = load(MemFs::default());
    assert_eq!(recovered.snapshot, Some((Zxid::ZERO, storage::recover::empty_body())));
    assert_eq!((recovered.last_zxid(), epochs(&recovered)), (Zxid::ZERO, (0, 0)));
    assert!(!recovered.untrusted_empty);
    assert_eq!(fs.list(), ["acceptedEpoch", "currentEpoch", "snapshot.0"]);
    let java = include_bytes!("vectors/datadirs/3.4.6-follower/snapshot.0");
    assert_eq!(fs.files["snapshot.0"], java, "a Java server of 3.4 begins so");

    let settings = storage::StorageSettings { trust_empty: false, ..settings() };
    let mut storage = Storage::new(MemFs::default(), settings);
    for load in 0..3 {
        let Ok(DiskAnswer::Loaded(recovered)) = storage.execute(&DiskOp::Load) else { panic!("loads") };
        assert!(recovered.untrusted_empty, "load {load}: it is as empty as before");
    }
}

#[test]
fn b_an_install_that_had_taken_effect() {
    let installed = zxid(2, 7);
    for current in [2, 3] {
        let (recovered, fs) = load(disk(
            current,
            &[
                ("installing.200000007.2", snapshot_file(installed)),
                ("snapshot.0", snapshot_file(Zxid::ZERO)),
                ("snapshot.100000003", snapshot_file(zxid(1, 3))),
                ("log.100000001", log_file(&entries(1, 1..=9))),
                ("log.200000001", log_file(&entries(2, 1..=9))),
            ],
        ));
        assert_eq!(recovered.snapshot, Some((installed, body(installed))));
        assert_eq!(recovered.last_zxid(), installed);
        assert!(recovered.log.is_empty() && recovered.before_snapshot.is_empty());
        assert_eq!(recovered.snapshot_bytes, body(installed).len() as u64);
        assert_eq!(names(&fs), ["snapshot.200000007"]);
        assert_eq!(fs.files["snapshot.200000007"], snapshot_file(installed));
    }
}

/// The log of an install is under the install's name, or has its own already.
#[test]
fn b_an_install_with_a_log_behind_it() {
    let installed = zxid(1, 7);
    let log = ("installing.100000007.2.100000008.log", log_file(&entries(1, 8..=9)));
    let old = [("snapshot.0", snapshot_file(Zxid::ZERO)), ("log.100000001", log_file(&entries(1, 1..=20)))];
    let snapshot = ("installing.100000007.2.100000008", snapshot_file(installed));
    let in_place = ("log.100000008", log_file(&entries(1, 8..=9)));
    let with_old = [&[snapshot.clone(), log.clone()][..], &old].concat();
    // A rename of which both names were left; and a crash behind it.
    let both_names = [snapshot.clone(), log.clone(), in_place.clone()];
    for files in [&with_old[..], &both_names, &[snapshot.clone(), in_place.clone()]] {
        let (recovered, fs) = load(disk(2, files));
        assert_eq!(recovered.snapshot, Some((installed, body(installed))));
        assert_eq!(recovered.log, entries(1, 8..=9));
        assert_eq!(names(&fs), ["log.100000008", "snapshot.100000007"]);
    }

    // Neither name: it is lost, and so it was not an empty one.
    let lost = [std::slice::from_ref(&snapshot), &old].concat();
    assert!(matches!(refused(disk(2, &lost)), DiskError::Refused(_)));
    let torn = (log.0, log.1[..log.1.len() - 3].to_vec());
    let error = refused(disk(2, &[snapshot, torn]));
    assert!(matches!(error, DiskError::Corrupt { file, .. } if file == log.0));
}

#[test]
fn b_an_install_that_took_effect_and_is_damaged() {
    let mut damaged = snapshot_file(zxid(2, 7));
    damaged[40] ^= 1;
    let files = [("installing.200000007.2", damaged), ("snapshot.0", snapshot_file(Zxid::ZERO))];
    let error = refused(disk(2, &files));
    assert!(matches!(error, DiskError::Corrupt { file, .. } if file == "installing.200000007.2"));
}

#[test]
fn c_an_install_nobody_counted_on() {
    let history =
        [("snapshot.0", snapshot_file(Zxid::ZERO)), ("log.100000001", log_file(&entries(1, 1..=3)))];
    let (without, _) = load(disk(1, &history));
    let whole = snapshot_file(zxid(2, 7));
    for install in [whole.clone(), whole[..50].to_vec(), Vec::new()] {
        let mut fs = disk(1, &history);
        fs.files.insert("installing.200000007.2".into(), install);
        let (recovered, fs) = load(fs);
        assert_eq!(recovered, without);
        assert_eq!(names(&fs), ["log.100000001", "snapshot.0"]);
    }
    // With a log behind it, or only that.
    let log = ("installing.200000007.2.200000008.log", log_file(&entries(2, 8..=9)));
    let snapshot = ("installing.200000007.2.200000008", whole);
    let both = [log, snapshot];
    for (current, install) in [(1, &both[..]), (1, &both[..1]), (2, &both[..1])] {
        let (without, _) = load(disk(current, &history));
        let (recovered, fs) = load(disk(current, &[&history, install].concat()));
        assert_eq!(recovered, without);
        assert_eq!(names(&fs), ["log.100000001", "snapshot.0"]);
    }
}

#[test]
fn d_log_entries_without_a_valid_snapshot() {
    let log = ("log.100000001", log_file(&entries(1, 1..=3)));
    assert!(matches!(refused(disk(1, std::slice::from_ref(&log))), DiskError::Refused(_)));

    let mut damaged = snapshot_file(Zxid::ZERO);
    damaged[20] ^= 1;
    let error = refused(disk(1, &[log, ("snapshot.0", damaged)]));
    assert!(matches!(error, DiskError::Refused(_)));
}

#[test]
fn e_what_is_above_current_epoch() {
    let both = [entries(1, 1..=3), entries(2, 1..=2)].concat();
    // Not even read.
    let mut damaged = log_file(&entries(2, 3..=5));
    damaged[60] ^= 1;
    let (recovered, fs) = load(disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000002", snapshot_file(zxid(1, 2))),
            ("snapshot.200000001", snapshot_file(zxid(2, 1))),
            ("log.100000001", log_file(&both)),
            ("log.200000003", damaged),
        ],
    ));
    assert_eq!(recovered.snapshot, Some((zxid(1, 2), body(zxid(1, 2)))));
    assert_eq!(recovered.log, entries(1, 3..=3));
    assert_eq!(recovered.before_snapshot, entries(1, 1..=2));
    assert_eq!(names(&fs), ["log.100000001", "snapshot.0", "snapshot.100000002"]);
    assert_eq!(fs.files["log.100000001"], log_file(&entries(1, 1..=3)));
}

#[test]
fn e_a_log_that_begins_above_current_epoch_goes() {
    let (recovered, fs) = load(disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("log.100000001", log_file(&entries(1, 1..=2))),
            ("log.200000001", log_file(&entries(2, 1..=2))),
        ],
    ));
    assert_eq!(recovered.log, entries(1, 1..=2));
    assert_eq!(names(&fs), ["log.100000001", "snapshot.0"]);
}

/// A disk with two logs, the last of which holds `last`; its intact entries end at `intact`.
fn with_last_log(last: Vec<u8>) -> MemFs {
    disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("log.100000001", log_file(&entries(1, 1..=2))),
            ("log.100000003", last),
        ],
    )
}

#[test]
fn f_a_torn_tail_of_the_last_log() {
    let intact = log_file(&entries(1, 3..=5));
    let whole = log_file(&entries(1, 3..=6));
    let mut zeros = whole.clone();
    zeros[intact.len() + 30..].fill(0);
    zeros.resize(8192, 0);
    // The sector in the middle of what an fsync would have made durable never arrived.
    let mut lost_sector = log_file(&entries(1, 3..=20));
    lost_sector[512..1024].fill(0);
    let upto = storage::log_reader::read_log("log", lost_sector.clone()).expect("a log");
    let before = zxids(&entries(1, 1..=2)).len() + upto.entries.len();
    for (torn, count, end) in [
        (whole[..intact.len() + 30].to_vec(), 5, intact.len()),
        (whole[..intact.len() + 5].to_vec(), 5, intact.len()),
        (zeros, 5, intact.len()),
        (lost_sector, before, upto.end as usize),
    ] {
        let (recovered, fs) = load(with_last_log(torn.clone()));
        assert_eq!(recovered.log, entries(1, 1..=count as u32));
        assert_eq!(recovered.warnings.len(), 1, "{:?}", recovered.warnings);
        assert!(recovered.warnings[0].contains(&format!("log.100000003: torn at offset {end}")));
        assert_eq!(fs.files["log.100000003"], torn[..end]);
    }
}

#[test]
fn f_a_last_log_whose_header_never_arrived() {
    for torn in [Vec::new(), vec![0; 16], vec![0; 8192], b"ZKLG\0\0\0".to_vec()] {
        let (recovered, fs) = load(with_last_log(torn));
        assert_eq!(recovered.log, entries(1, 1..=2));
        assert_eq!(names(&fs), ["log.100000001", "snapshot.0"]);
    }
}

#[test]
fn g_damage_that_may_have_been_acknowledged() {
    let first = log_file(&entries(1, 3..=3)).len();
    let whole = log_file(&entries(1, 3..=6));
    let mut flipped = whole.clone();
    flipped[first + 50] ^= 0x10;
    let mut last = whole.clone();
    let at = log_file(&entries(1, 3..=5)).len();
    last[at + 50] ^= 0x10;
    for (damaged, expected) in [(flipped, first), (last, at)] {
        let error = refused(with_last_log(damaged));
        let DiskError::Corrupt { file, offset, .. } = error else { panic!("{error}") };
        assert_eq!((file.as_str(), offset), ("log.100000003", expected as u64));
    }

    let mut magic = whole.clone();
    magic[0] = b'z';
    let error = refused(with_last_log(magic));
    assert!(matches!(error, DiskError::Corrupt { offset: 0, .. }), "{error}");
}

#[test]
fn g_damage_before_the_last_log() {
    let intact = log_file(&entries(1, 1..=1));
    let whole = log_file(&entries(1, 1..=2));
    for torn in [whole[..intact.len() + 30].to_vec(), Vec::new()] {
        let mut fs = with_last_log(log_file(&entries(1, 3..=4)));
        fs.files.insert("log.100000001".into(), torn.clone());
        let end = if torn.is_empty() { 0 } else { intact.len() as u64 };
        let error = refused(fs);
        let DiskError::Corrupt { file, offset, .. } = error else { panic!("{error}") };
        assert_eq!((file.as_str(), offset), ("log.100000001", end));
    }
}

/// Of what ends before the snapshot, only so much is read as the committed log takes.
#[test]
fn logs_far_below_the_snapshot_are_not_read() {
    let mut damaged = log_file(&entries(1, 1..=4));
    damaged[30] ^= 0x10;
    let fs = disk(
        1,
        &[
            ("snapshot.10000000a", snapshot_file(zxid(1, 10))),
            ("log.100000001", damaged.clone()),
            ("log.100000005", log_file(&entries(1, 5..=8))),
            ("log.100000009", log_file(&entries(1, 9..=12))),
        ],
    );
    for (count, before) in [(2, 9..=10), (3, 8..=10), (6, 5..=10), (500, 5..=10)] {
        let recovered = storage::recover(&fs, count).expect("what counts is intact");
        assert_eq!(recovered.before_snapshot, entries(1, before), "{count}");
        assert_eq!(recovered.log, entries(1, 11..=12));
    }
    let (_, after) = load(fs);
    assert_eq!(after.files["log.100000001"], damaged, "evidence stays");
}

#[test]
fn h_an_epoch_file_is_missing() {
    for (missing, expected) in
        [("acceptedEpoch", (2, 2)), ("currentEpoch", (2, 2)), ("both", (2, 2)), ("neither", (2, 2))]
    {
        let mut fs = disk(
            2,
            &[("snapshot.0", snapshot_file(Zxid::ZERO)), ("log.200000001", log_file(&[entry(zxid(2, 1))]))],
        );
        fs.files.retain(|name, _| name != missing && !(missing == "both" && name.ends_with("Epoch")));
        let (recovered, fs) = load(fs);
        assert_eq!(epochs(&recovered), expected, "{missing}");
        assert_eq!(recovered.log, [entry(zxid(2, 1))], "{missing}");
        assert_eq!(fs.files["acceptedEpoch"], b"2", "{missing}");
        assert_eq!(fs.files["currentEpoch"], b"2", "{missing}");
    }

    // The file that is there is not forgotten: it is a promise.
    let mut fs = disk(5, &[("snapshot.0", snapshot_file(Zxid::ZERO))]);
    fs.files.remove("currentEpoch");
    let (recovered, fs) = load(fs);
    assert_eq!(epochs(&recovered), (5, 0));
    assert_eq!(fs.files["currentEpoch"], b"0");
}

#[test]
fn i_accepted_epoch_below_current_epoch() {
    let mut fs = disk(2, &[("snapshot.0", snapshot_file(Zxid::ZERO))]);
    fs.files.insert("acceptedEpoch".into(), b"1".to_vec());
    assert!(matches!(refused(fs), DiskError::Refused(_)));
}

#[test]
fn the_rest_of_an_interrupted_write_goes() {
    let (recovered, fs) = load(disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000001.tmp", b"ZKSN".to_vec()),
            ("currentEpoch.tmp", b"7".to_vec()),
        ],
    ));
    assert_eq!(recovered.current_epoch, Epoch(1));
    assert_eq!(names(&fs), ["snapshot.0"]);
}

#[test]
fn a_damaged_snapshot_gives_way_to_an_older_one() {
    let mut damaged = snapshot_file(zxid(1, 2));
    damaged[30] ^= 1;
    let (recovered, fs) = load(disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.100000002", damaged.clone()),
            ("log.100000001", log_file(&entries(1, 1..=3))),
        ],
    ));
    assert_eq!(recovered.snapshot, Some((Zxid::ZERO, body(Zxid::ZERO))));
    assert_eq!(recovered.log, entries(1, 1..=3));
    assert_eq!(recovered.warnings.len(), 1);
    assert_eq!(fs.files["snapshot.100000002"], damaged, "evidence stays");
}

#[test]
fn k_a_snapshot_of_another_database() {
    let whole = snapshot_file(zxid(1, 2));
    let mut of_another = whole[..whole.len() - 13].to_vec();
    of_another[15] = 7;
    let mut adler = storage::checksum::Adler32::new();
    adler.write_slice(&of_another);
    let rot = [&of_another, &whole[whole.len() - 13..]].concat();
    of_another.extend_from_slice(&u64::from(adler.checksum()).to_be_bytes());
    of_another.extend_from_slice(b"\0\0\0\x01/");
    let with = |snapshot: Vec<u8>| {
        let log = log_file(&entries(1, 1..=3));
        let older = snapshot_file(Zxid::ZERO);
        let fs = disk(1, &[("snapshot.0", older), ("snapshot.100000002", snapshot), ("log.100000001", log)]);
        storage::recover(&fs, 500)
    };
    let Err(DiskError::Refused(why)) = with(of_another) else { panic!("it is refused") };
    assert!(why.starts_with("snapshot.100000002 is of another database: its dbid is -249"), "{why}");
    // The same byte wrong by itself is damage, and an older snapshot takes its place.
    assert_eq!(with(rot).expect("the older one").snapshot.map(|(zxid, _)| zxid), Some(Zxid::ZERO));
}

#[test]
fn a_record_that_stands_twice_counts_once() {
    let (recovered, _) = load(disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("log.100000001", log_file(&[entries(1, 1..=3), entries(1, 2..=4)].concat())),
        ],
    ));
    assert_eq!(recovered.log, entries(1, 1..=4));
}

#[test]
fn before_the_snapshot_only_so_many_without_a_gap() {
    let gap = [entries(1, 1..=2), entries(1, 4..=8)].concat();
    let fs = disk(1, &[("snapshot.100000007", snapshot_file(zxid(1, 7))), ("log.100000001", log_file(&gap))]);
    let before = |count| storage::recover(&fs, count).expect("a good disk").before_snapshot;
    assert_eq!(before(2), entries(1, 6..=7));
    assert_eq!(before(500), entries(1, 4..=7));
    // A log that ends before the snapshot does not lead up to it.
    let short = disk(
        1,
        &[("snapshot.100000007", snapshot_file(zxid(1, 7))), ("log.100000001", log_file(&entries(1, 1..=6)))],
    );
    assert!(storage::recover(&short, 500).expect("a good disk").before_snapshot.is_empty());
}

/// A directory as Java leaves it: a member with 1.1 to 1.5 got a snapshot at 2.0, which held 1.6 and 1.7 as well.
#[test]
fn logs_below_an_installed_snapshot_do_not_lead_up_to_it() {
    let fs = disk(
        2,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("snapshot.200000000", snapshot_file(zxid(2, 0))),
            ("log.100000001", log_file(&entries(1, 1..=5))),
            ("log.200000001", log_file(&entries(2, 1..=3))),
        ],
    );
    let recovered = storage::recover(&fs, 500).expect("a good disk");
    assert!(recovered.before_snapshot.is_empty());
    assert_eq!(recovered.log, entries(2, 1..=3));
    // Nor does a later snapshot make them adjacent.
    let mut later = fs.clone();
    later.files.insert("snapshot.200000002".into(), snapshot_file(zxid(2, 2)));
    let recovered = storage::recover(&later, 500).expect("a good disk");
    assert_eq!(recovered.before_snapshot, entries(2, 1..=2));
    // And no DIFF is read across.
    let mut storage = storage(later);
    storage.execute(&DiskOp::Load).expect("loaded");
    let mut read =
        |after| match storage.execute(&DiskOp::ReadLog { after, through: zxid(2, 3), size_limit: 0 }) {
            Ok(DiskAnswer::Log(log)) => log.map(|log| common::zxids(&log)),
            other => panic!("{other:?}"),
        };
    assert_eq!(read(zxid(1, 4)), None);
    assert_eq!(read(zxid(2, 1)), Some([1, 2, 3].map(|counter| zxid(2, counter)).to_vec()));
}

#[test]
fn j_zxids_missing_behind_the_snapshot() {
    let log = |ranges: &[Vec<zab::TxnEntry>]| ("log.100000001", log_file(&ranges.concat()));
    let at = |zxid: Zxid| (file_name(zxid), snapshot_file(zxid));
    fn file_name(zxid: Zxid) -> &'static str {
        match zxid.counter() {
            0 => "snapshot.0",
            4 => "snapshot.100000004",
            _ => "snapshot.100000005",
        }
    }
    let with_hole = log(&[entries(1, 1..=3), entries(1, 6..=8)]);
    // 4 and 5 are nowhere.
    for snapshot in [Zxid::ZERO, zxid(1, 4)] {
        let error = refused(disk(1, &[at(snapshot), with_hole.clone()]));
        let DiskError::Corrupt { file, offset, what } = error else { panic!("{error}") };
        assert_eq!((file.as_str(), offset as usize), ("log.100000001", log_file(&entries(1, 1..=3)).len()));
        assert!(what.ends_with("found 0x100000006"), "{what}");
    }
    // They are in the snapshot.
    let (recovered, _) = load(disk(1, &[at(Zxid::ZERO), at(zxid(1, 5)), with_hole.clone()]));
    assert_eq!(recovered.log, entries(1, 6..=8));
    // The snapshot that held them is damaged, an older one is not enough.
    let mut damaged = at(zxid(1, 5));
    damaged.1[40] ^= 1;
    refused(disk(1, &[at(Zxid::ZERO), damaged, with_hole]));
    // A file is gone: the first record does not follow the snapshot.
    refused(disk(1, &[at(zxid(1, 5)), ("log.100000008", log_file(&entries(1, 8..=9)))]));
    // The next epoch, and an epoch that begins high: no hole.
    let (recovered, _) = load(disk(2, &[at(Zxid::ZERO), log(&[entries(1, 7..=8), entries(2, 3..=4)])]));
    assert_eq!(recovered.log.len(), 4);
}

/// The beginning of an epoch is a snapshot's place too: the first counter behind it may be any.
#[test]
fn j_behind_an_epochs_beginning() {
    let files =
        [("snapshot.100000000", snapshot_file(zxid(1, 0))), ("log.100000009", log_file(&entries(1, 9..=10)))];
    let (recovered, _) = load(disk(1, &files));
    assert_eq!(recovered.log, entries(1, 9..=10));
}
