//! Data directories that real servers wrote: every file decodes to what they read from it and encodes
//! to the same bytes again, and recovery makes of each directory what its damage allows.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use storage::log_reader::{End, read_log, zxid_of_name};
use storage::snapshot::{self, Appendix, TreeDigest};
use storage::txn_log::{put_entry, put_header};
use storage::{FileSystem, MemFs, Storage, StorageSettings, compression, epoch};
use wire::txn::SubTxn;
use wire::{SnapshotParser, SnapshotRecord, SnapshotWriter, Txn, TxnBody, Zxid};
use zab::{DiskError, DiskOp, EpochFile};

struct DataDir {
    name: String,
    expected: Value,
    fs: MemFs,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/datadirs")
}

fn datadirs() -> Vec<DataDir> {
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the vectors") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let expected = std::fs::read(folder().join(format!("{name}.expected.json"))).expect("expected");
        let mut fs = MemFs::default();
        for file in std::fs::read_dir(&path).expect("a data directory") {
            let file = file.expect("an entry");
            let bytes = std::fs::read(file.path()).expect("a readable file");
            fs.files.insert(file.file_name().to_str().expect("UTF-8").into(), bytes);
        }
        let expected = serde_json::from_slice(&expected).expect("JSON");
        dirs.push(DataDir { name, expected, fs });
    }
    dirs.sort_by(|a, b| a.name.cmp(&b.name));
    dirs
}

/// Every file whose name begins with `prefix`, with what is expected of it.
fn each_file(prefix: &str, mut check: impl FnMut(&str, &str, Vec<u8>, &Value)) {
    for dir in datadirs() {
        let files = dir.expected["files"].as_object().expect("files");
        for (file, expected) in files.iter().filter(|(file, _)| file.starts_with(prefix)) {
            let bytes = dir.fs.read(file).expect("the file");
            assert_eq!(Some(bytes.len() as u64), expected["size"].as_u64());
            check(&format!("{}/{file}", dir.name), file, bytes, expected);
        }
    }
}

fn hex(value: &Value) -> Option<u64> {
    let text = value.as_str()?;
    Some(u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hex"))
}

fn zxid(value: &Value) -> Option<Zxid> {
    hex(value).map(|z| Zxid(z as i64))
}

#[test]
fn logs() {
    let mut ends = BTreeMap::<String, u32>::new();
    each_file("log.", |path, name, bytes, expected| {
        let log = read_log(name, bytes.clone()).expect("a log");
        let end = match log.reason {
            End::Zeros => "zeros",
            End::Eof => "eof",
            End::Partial => "partial",
            End::Crc => "crc",
            End::NoHeader => "no header",
        };
        *ends.entry(end.into()).or_default() += 1;
        assert_eq!(Some(end), expected["end"].as_str(), "{path}");
        assert_eq!(Some(log.end), expected["end_offset"].as_u64(), "{path}");
        assert_eq!(Some(log.entries.len() as u64), expected["txns"].as_u64(), "{path}");
        assert_eq!(log.entries.first().map(|(_, e)| e.zxid), zxid(&expected["first_zxid"]), "{path}");
        assert_eq!(log.entries.last().map(|(_, e)| e.zxid), zxid(&expected["last_zxid"]), "{path}");
        if log.reason == End::NoHeader {
            return;
        }
        assert_eq!(log.entries.first().map(|(_, e)| e.zxid), zxid_of_name(name, "log"), "{path}");

        let mut again = Vec::new();
        put_header(&mut again);
        for (offset, entry) in &log.entries {
            assert_eq!(again.len() as u64, *offset, "{path}");
            let txn = Txn::decode(&entry.txn).expect("a transaction");
            assert_eq!(txn.header.zxid, entry.zxid, "{path}");
            assert_typed(path, &txn);
            put_entry(&mut again, &txn.to_bytes());
        }
        assert_eq!(again, bytes[..log.end as usize], "{path}");
        if log.reason == End::Zeros {
            again.resize(bytes.len(), 0);
            assert!(again == bytes, "{path}: padding");
        }

        // And as a member would write them: in two appends, with zeros behind.
        let entries: Vec<_> = log.entries.iter().map(|(_, entry)| entry.clone()).collect();
        let (front, back) = entries.split_at(entries.len() / 2);
        let settings = StorageSettings { prealloc: 8192, ..StorageSettings::default() };
        let mut storage = Storage::new(MemFs::default(), settings);
        for batch in [front, back] {
            storage.execute(&DiskOp::Append(batch.to_vec())).expect("appended");
        }
        let written = storage.fs.read(name).expect("named after the first entry");
        let (intact, padding) = written.split_at(log.end as usize);
        assert_eq!(intact, &bytes[..log.end as usize], "{path}");
        assert!(padding.len() >= 4096 && padding.iter().all(|b| *b == 0), "{path}");
    });
    for end in ["zeros", "partial", "crc", "no header"] {
        assert!(ends.contains_key(end), "no log ends by {end}: {ends:?}");
    }
}

/// Nothing of the transaction stayed bytes: the record, those of its parts, the digest of 3.6 and above.
fn assert_typed(path: &str, txn: &Txn) {
    assert!(!matches!(txn.body, TxnBody::Other(_) | TxnBody::CreateV0(_)), "{path}: {txn:?}");
    assert!(txn.rest.is_empty(), "{path}: {txn:?}");
    // What failed may carry none.
    let failed = match &txn.body {
        TxnBody::Error(_) => true,
        TxnBody::Multi(multi) => multi.failed(),
        _ => false,
    };
    assert!(txn.digest.is_some() != path.starts_with("3.4") || failed, "{path}: {txn:?}");
    let TxnBody::Multi(multi) = &txn.body else { return };
    for part in &multi.txns {
        let body = part.body().unwrap_or_else(|why| panic!("{path}: {why}: {txn:?}"));
        assert!(body.is_none_or(|body| SubTxn::new(part.kind, &body) == *part), "{path}: {txn:?}");
    }
}

/// The body written again, and how many nodes and which sessions it has.
fn rewrite(body: &Bytes) -> (Bytes, u64, BTreeMap<String, i64>) {
    let (mut sessions, mut acls, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let mut parser = SnapshotParser::new();
    parser.feed(body.clone());
    while let Some(record) = parser.next_record().expect("a record") {
        match record {
            SnapshotRecord::Session { .. } => sessions.push(record),
            SnapshotRecord::AclEntry { .. } => acls.push(record),
            SnapshotRecord::Node { .. } => nodes.push(record),
        }
    }
    assert!(parser.is_complete() && parser.into_rest().is_empty());
    let mut out = BytesMut::new();
    for records in [&sessions, &acls] {
        SnapshotWriter::count(&mut out, records.len());
        records.iter().for_each(|record| SnapshotWriter::record(&mut out, record));
    }
    nodes.iter().for_each(|record| SnapshotWriter::record(&mut out, record));
    SnapshotWriter::end(&mut out);
    let sessions = sessions.iter().map(|record| match record {
        SnapshotRecord::Session { id, timeout_ms } => (id.to_string(), i64::from(*timeout_ms)),
        _ => unreachable!("only sessions are there"),
    });
    (out.freeze(), nodes.len() as u64, sessions.collect())
}

#[test]
fn snapshots() {
    let (mut whole, mut damaged, mut compressed, mut appendices) = (0, 0, 0, [0; 3]);
    each_file("snapshot.", |path, name, bytes, expected| {
        let plain = compression::plain(name, bytes.clone()).expect("a stream as Java compressed it");
        compressed += u32::from(plain != bytes);
        let read = snapshot::read(name, bytes.clone());
        if expected["damaged"].is_string() {
            let Err(DiskError::Corrupt { file, .. }) = read else { panic!("{path}: {read:?}") };
            assert_eq!(file, name);
            damaged += 1;
            return;
        }
        let body = read.expect("a snapshot");
        let (again, nodes, sessions) = rewrite(&body);
        assert_eq!(again, body, "{path}");
        // Of the snappy files nothing is told but their size.
        if !expected["nodes"].is_u64() {
            let appendix = snapshot::read_appendix(name, &plain, body.len()).expect("an appendix");
            assert!(snapshot::encode(&again, &appendix) == plain, "{path}: other bytes");
            return;
        }
        assert_eq!(Some(nodes), expected["nodes"].as_u64(), "{path}");
        let expected_sessions: BTreeMap<String, i64> =
            serde_json::from_value(expected["sessions"].clone()).expect("sessions");
        assert_eq!(sessions, expected_sessions, "{path}");
        let adler = u64::from_be_bytes(snapshot::seal(&body)[..8].try_into().expect("eight bytes"));
        assert_eq!(Some(adler), hex(&expected["adler32"]), "{path}");

        let appendix = snapshot::read_appendix(name, &plain, body.len()).expect("an appendix");
        let digest = &expected["digest"];
        let digest = digest.is_object().then(|| TreeDigest {
            zxid: zxid(&digest["zxid"]).expect("a zxid"),
            version: digest["version"].as_i64().expect("a version") as i32,
            value: hex(&digest["value"]).expect("a digest"),
        });
        assert_eq!(appendix, Appendix { digest, last_zxid: zxid(&expected["last_zxid"]) }, "{path}");
        assert!(snapshot::encode(&again, &appendix) == plain, "{path}: other bytes");
        appendices[usize::from(digest.is_some()) + usize::from(appendix.last_zxid.is_some())] += 1;
        whole += 1;
    });
    assert!(whole > 20 && damaged > 5, "{whole} whole, {damaged} damaged");
    assert!(compressed >= 9, "{compressed} compressed");
    assert!(appendices.iter().all(|n| *n > 0), "none, digest, digest and last zxid: {appendices:?}");
}

#[test]
fn epoch_files() {
    for file in [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch] {
        let mut count = 0;
        each_file(epoch::file_name(file), |path, name, bytes, expected| {
            let mut fs = MemFs::default();
            fs.files.insert(name.into(), bytes.clone());
            let value = epoch::read(&fs, file).expect("a number").expect("the file is there");
            assert_eq!(Some(value.0), expected["value"].as_i64(), "{path}");
            fs.files.clear();
            epoch::write(&mut fs, file, value).expect("written");
            assert_eq!(fs.files, BTreeMap::from([(name.into(), bytes)]), "{path}");
            count += 1;
        });
        assert!(count > 30, "{count} of {file:?}");
    }
}

/// Where nothing is damaged we come to the zxid that the servers came to. Damage we judge as the rows
/// of `recover` say; servers of some versions lose entries silently instead.
#[test]
fn recovery() {
    for DataDir { name, expected, fs } in datadirs() {
        let (_, kind) = name.split_once('-').expect("VERSION-KIND");
        let mut storage = Storage::new(fs, StorageSettings::default());
        let result = storage.recover_readonly();
        let outcome = result.as_ref().map(|r| (r.last_zxid(), r.warnings.clone()));
        let no_snapshot = !storage.fs.list().iter().any(|file| compression::snapshot_zxid(file).is_some());
        match kind {
            "bit-flip" | "torn-crc" | "torn-middle-log" => {
                let files = expected["files"].as_object().expect("files");
                let (damaged, info) = files
                    .iter()
                    .find(|(_, info)| matches!(info["end"].as_str(), Some("crc" | "partial")))
                    .expect("a damaged log");
                let Err(DiskError::Corrupt { file, offset, .. }) = result else {
                    panic!("{name}: {outcome:?}")
                };
                assert_eq!((&file, Some(offset)), (damaged, info["end_offset"].as_u64()), "{name}");
                continue;
            }
            // Also 3.4.6-old-leader.
            _ if no_snapshot => {
                assert!(matches!(result, Err(DiskError::Refused(_))), "{name}: {outcome:?}");
                continue;
            }
            _ => {}
        }
        let recovered = result.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Some(recovered.last_zxid()), zxid(&expected["last_zxid"]), "{name}");
        let warned = matches!(kind, "torn-tail" | "torn-zeros" | "snap-cut" | "snap-flip");
        assert_eq!(recovered.warnings.len(), usize::from(warned), "{name}: {:?}", recovered.warnings);
        storage.execute(&DiskOp::Load).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut again = storage.recover_readonly().expect("recovered once already");
        again.warnings.clone_from(&recovered.warnings);
        assert_eq!(again, recovered, "{name}");
        assert!(!storage.fs.list().iter().any(|file| file.ends_with(".tmp")), "{name}");
    }
}
