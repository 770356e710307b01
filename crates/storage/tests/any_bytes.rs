//! Whatever stands in a file: a value or an error, never a panic; a cut log keeps its longest whole
//! prefix; a changed byte is found.

mod common;

use common::{body, disk, entries, entry, log_file, snapshot_file, storage, zxid};
use proptest::prelude::*;
use storage::log_reader::{End, HEADER_LEN, read_log};
use storage::{MemFs, epoch, snapshot};
use wire::Zxid;
use zab::{DiskAnswer, DiskError, DiskOp, EpochFile, TxnEntry};

/// Bytes that begin, and go on for a while, like a log or snapshot file.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let front = prop_oneof![
        Just(Vec::new()),
        Just(log_file(&[])),
        Just(log_file(&entries(1, 1..=3))),
        Just(snapshot_file(zxid(1, 3))),
        Just(snapshot::HEADER.to_vec()),
    ];
    let byte = prop_oneof![4 => Just(0u8), 1 => Just(b'B'), 5 => any::<u8>()];
    (front, prop::collection::vec(byte, 0..400), prop::collection::vec((any::<u16>(), any::<u8>()), 0..4))
        .prop_map(|(front, back, changes)| {
            let mut bytes = [front, back].concat();
            for (at, value) in changes {
                if !bytes.is_empty() {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] = value;
                }
            }
            bytes
        })
}

proptest! {
    #[test]
    fn as_a_log(bytes in plausible()) {
        let len = bytes.len() as u64;
        if let Ok(log) = read_log("log.1", bytes) {
            prop_assert!(log.end <= len);
            let sizes: u64 = log.entries.iter().map(|(_, entry)| entry.txn.len() as u64 + 13).sum();
            prop_assert!(log.reason == End::NoHeader || log.end == HEADER_LEN as u64 + sizes);
        }
    }

    #[test]
    fn as_a_snapshot(bytes in plausible()) {
        if let Ok(body) = snapshot::read("snapshot.1", bytes.clone()) {
            let sealed = snapshot::encode(&body, &snapshot::Appendix::default());
            prop_assert_eq!(&bytes[..sealed.len()], &sealed[..]);
            if let Ok(appendix) = snapshot::read_appendix("snapshot.1", &bytes, body.len()) {
                prop_assert_eq!(snapshot::encode(&body, &appendix), bytes);
            }
        }
    }

    #[test]
    fn as_an_appendix(bytes in plausible(), body_len in 0usize..600) {
        let _ = snapshot::read_appendix("snapshot.1", &bytes, body_len);
    }

    #[test]
    fn as_an_epoch_file(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30),
        "[ +-]?[0-9]{0,20}[\n\r x]?[0-9]{0,3}".prop_map(String::into_bytes),
    ]) {
        let mut fs = MemFs::default();
        fs.files.insert("currentEpoch".into(), bytes);
        match epoch::read(&fs, EpochFile::CurrentEpoch) {
            Ok(value) => {
                let value = value.expect("the file is there");
                epoch::write(&mut fs, EpochFile::CurrentEpoch, value).expect("written");
                prop_assert_eq!(epoch::read(&fs, EpochFile::CurrentEpoch), Ok(Some(value)));
            }
            Err(error) => {
                let DiskError::Corrupt { file, offset, .. } = error else { panic!("{error}") };
                prop_assert_eq!((file.as_str(), offset), ("currentEpoch", 0));
            }
        }
    }

    /// All at once, through Load: it answers or refuses, and what it answered it answers again.
    #[test]
    fn as_a_data_directory(
        files in prop::collection::btree_map(
            prop::sample::select(vec![
                "log.1", "log.100000001", "log.100000003", "log.200000001", "snapshot.0",
                "snapshot.100000002", "installing.100000002.1", "installing.200000001.2",
                "installing.200000001.2.200000002", "installing.200000001.2.200000002.log", "currentEpoch.tmp",
                "log.x", "myid",
            ]),
            plausible(),
            0..5,
        ),
        epochs in 0i64..3,
    ) {
        let files: Vec<(&str, Vec<u8>)> = files.into_iter().collect();
        let mut storage = storage(disk(epochs, &files));
        if let Ok(DiskAnswer::Loaded(first)) = storage.execute(&DiskOp::Load) {
            let again = storage.recover_readonly().expect("what loaded once loads again");
            prop_assert_eq!(again.last_zxid(), first.last_zxid());
            prop_assert_eq!((again.snapshot, again.log), (first.snapshot, first.log));
        }
    }
}

/// Entries of different sizes, one of them of several sectors.
fn mixed_entries() -> Vec<TxnEntry> {
    let mut all = entries(1, 1..=4);
    let mut long = entry(zxid(1, 5));
    long.txn = [long.txn.as_ref(), &[0x5a; 1300]].concat().into();
    all.push(long);
    all.extend(entries(1, 6..=8));
    all
}

fn recover(log: Vec<u8>) -> Result<(Vec<TxnEntry>, usize), DiskError> {
    let mut storage = storage(disk(1, &[("snapshot.0", snapshot_file(Zxid::ZERO)), ("log.100000001", log)]));
    match storage.execute(&DiskOp::Load)? {
        DiskAnswer::Loaded(recovered) => Ok((recovered.log, recovered.warnings.len())),
        other => panic!("{other:?}"),
    }
}

/// Where each entry ends.
fn borders(all: &[TxnEntry]) -> Vec<usize> {
    (0..=all.len()).map(|n| log_file(&all[..n]).len()).collect()
}

#[test]
fn a_log_cut_at_any_byte() {
    let all = mixed_entries();
    let whole = log_file(&all);
    let borders = borders(&all);
    for cut in 0..=whole.len() {
        let kept = borders.iter().filter(|border| **border <= cut).count().saturating_sub(1);
        let mut preallocated = whole[..cut].to_vec();
        preallocated.resize(8192, 0);
        for (log, padded) in [(whole[..cut].to_vec(), false), (preallocated, true)] {
            let (found, warnings) = recover(log).unwrap_or_else(|e| panic!("cut at {cut}, {padded}: {e}"));
            assert_eq!(found, all[..kept], "cut at {cut}, padded {padded}");
            // An entry of which only zeros arrived is not told from padding.
            let upto = borders[kept];
            let traces = if padded { whole[upto.min(cut)..cut].iter().any(|b| *b != 0) } else { cut > upto };
            let header = cut < HEADER_LEN;
            assert_eq!(warnings, usize::from(traces && !header), "cut at {cut}, padded {padded}");
        }
    }
}

#[test]
fn a_changed_byte_before_the_last_entry() {
    let all = mixed_entries();
    let whole = log_file(&all);
    let borders = borders(&all);
    let last = borders[borders.len() - 2];
    for padding in [0, 5000] {
        for at in HEADER_LEN..last {
            for mask in [0x01, 0x10, 0x80, 0xff, whole[at]] {
                let mut log = whole.clone();
                log[at] ^= mask;
                log.resize(log.len() + padding, 0);
                if log[at] == whole[at] {
                    continue;
                }
                let start = borders.iter().rev().find(|border| **border <= at).expect("behind the header");
                let error = recover(log).expect_err("damage");
                let DiskError::Corrupt { file, offset, .. } = &error else { panic!("at {at}: {error}") };
                assert_eq!(
                    (file.as_str(), *offset),
                    ("log.100000001", *start as u64),
                    "byte {at} ^ {mask:#x}"
                );
            }
        }
    }
}

#[test]
fn a_changed_byte_in_the_last_entry() {
    // Checksum, payload and end byte. A changed length cannot be told from a torn write.
    let all = mixed_entries();
    let whole = log_file(&all);
    let start = borders(&all)[all.len() - 1];
    for at in (start..start + 8).chain(start + 12..whole.len()) {
        for padding in [0, 5000] {
            let mut log = whole.clone();
            log[at] ^= 0x10;
            log.resize(log.len() + padding, 0);
            let error = recover(log).expect_err("damage");
            assert!(
                matches!(error, DiskError::Corrupt { offset, .. } if offset == start as u64),
                "byte {at}"
            );
        }
    }
}

#[test]
fn a_changed_byte_in_a_snapshot() {
    let digest = snapshot::TreeDigest { zxid: zxid(1, 3), version: 2, value: 0x1234 };
    let appendix = snapshot::Appendix { digest: Some(digest), last_zxid: Some(zxid(1, 3)) };
    let body = body(zxid(1, 3));
    let whole = snapshot::encode(&body, &appendix);
    let sealed = snapshot_file(zxid(1, 3)).len();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x04;
        let read = snapshot::read("snapshot.1", changed.clone());
        if at < sealed {
            let error = read.expect_err("damage");
            let DiskError::Corrupt { file, offset, .. } = error else { panic!("at {at}: {error}") };
            assert!(file == "snapshot.1" && offset <= whole.len() as u64, "at {at}: {offset}");
        } else {
            assert_eq!(read.as_ref(), Ok(&body), "at {at}: the body does not depend on what follows");
            snapshot::read_appendix("snapshot.1", &changed, body.len()).expect_err("damage");
        }
    }
    for cut in 0..sealed {
        assert!(snapshot::read("snapshot.1", whole[..cut].to_vec()).is_err(), "cut at {cut}");
    }
}

/// Of a file's padding `FileSystem::read_padded` may leave out all but 512 bytes: that tells the same.
#[test]
fn little_padding_tells_what_much_does() {
    // The last is longer than the padding that is left.
    let long = TxnEntry { zxid: zxid(1, 4), txn: [&entry(zxid(1, 4)).txn[..], &[7; 2000]].concat().into() };
    let log = log_file(&[entries(1, 1..=3), vec![long]].concat());
    let told = |mut bytes: Vec<u8>, padding: usize| {
        let data = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.resize(data, 0);
        bytes.resize(data + padding, 0);
        let log = read_log("log.1", bytes);
        log.map(|log| (log.entries, log.end, log.reason, log.torn)).map_err(|why| why.to_string())
    };
    for at in 0..log.len() {
        for value in [0, 1, 0xff] {
            let mut damaged = log.clone();
            damaged[at] = value;
            assert_eq!(told(damaged.clone(), 512), told(damaged, 1 << 16), "byte {at} is {value}");
        }
        let torn = log[..at].to_vec();
        assert_eq!(told(torn.clone(), 512), told(torn, 1 << 16), "torn at {at}");
    }
}
