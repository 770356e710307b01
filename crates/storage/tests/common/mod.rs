//! A data directory for tests: transactions, snapshots and what a disk holds.
#![allow(dead_code)] // each test file uses its part

pub mod crash_fs;

use bytes::{Bytes, BytesMut};
use storage::txn_log::{put_entry, put_header};
use storage::{MemFs, Storage, StorageSettings, snapshot};
use wire::txn::SetDataTxn;
use wire::{Epoch, SnapshotWriter, StatPersisted, Txn, TxnBody, TxnHeader, Zxid, op};
use zab::{DiskOp, EpochFile, Recovered, TxnEntry};

pub fn zxid(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// A setData of 100 bytes or so that is like no other.
pub fn entry(zxid: Zxid) -> TxnEntry {
    let session = wire::SessionId(0x0100_0000_0000_0001);
    let txn = Txn {
        header: TxnHeader {
            client_id: session,
            cxid: 1,
            zxid,
            time_ms: 1_700_000_000_000,
            kind: op::SET_DATA,
        },
        body: TxnBody::SetData(SetDataTxn {
            path: Bytes::from_static(b"/r1"),
            data: Some(Bytes::from(format!("{zxid} is the value at {zxid} and is written here"))),
            version: zxid.counter() as i32,
        }),
        digest: None,
        rest: Bytes::new(),
    };
    TxnEntry { zxid, txn: txn.to_bytes() }
}

/// Entries `counters` of `epoch`.
pub fn entries(epoch: i64, counters: std::ops::RangeInclusive<u32>) -> Vec<TxnEntry> {
    counters.map(|counter| entry(zxid(epoch, counter))).collect()
}

pub fn log_file(entries: &[TxnEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    put_header(&mut out);
    entries.iter().for_each(|entry| put_entry(&mut out, &entry.txn));
    out
}

/// The body of a tree that tells its zxid.
pub fn body(zxid: Zxid) -> Bytes {
    let mut out = BytesMut::new();
    SnapshotWriter::count(&mut out, 0);
    SnapshotWriter::count(&mut out, 0);
    let stat = StatPersisted { mzxid: zxid, ..StatPersisted::default() };
    SnapshotWriter::node(&mut out, b"", Some(zxid.to_string().as_bytes()), -1, &stat);
    SnapshotWriter::end(&mut out);
    out.freeze()
}

pub fn snapshot_file(zxid: Zxid) -> Vec<u8> {
    snapshot::encode(&body(zxid), &snapshot::Appendix::default())
}

/// A disk with these files besides both epochs.
pub fn disk(epochs: i64, files: &[(&str, Vec<u8>)]) -> MemFs {
    let mut fs = MemFs::default();
    for file in [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch] {
        fs.files.insert(storage::epoch::file_name(file).into(), epochs.to_string().into_bytes());
    }
    fs.files.extend(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())));
    fs
}

/// Small steps of preallocation, so that a test reaches several.
pub fn settings() -> StorageSettings {
    StorageSettings { prealloc: 1024, ..StorageSettings::default() }
}

pub fn storage<F: storage::FileSystem>(fs: F) -> Storage<F> {
    Storage::new(fs, settings())
}

/// The same, of a process that has loaded it.
pub fn loaded<F: storage::FileSystem>(fs: F) -> Storage<F> {
    let mut storage = storage(fs);
    storage.execute(&DiskOp::Load).expect("a good disk");
    storage
}

/// A snapshot body as members write it: in slices.
pub fn slices(zxid: Zxid) -> [DiskOp; 2] {
    let body = body(zxid);
    [body.slice(..10), body.slice(10..)].map(|bytes| DiskOp::SnapshotSlice { zxid, bytes })
}

/// Write a snapshot as a member does: in slices, then sealed.
pub fn snapshot_ops(zxid: Zxid) -> Vec<DiskOp> {
    let mut ops = slices(zxid).to_vec();
    ops.push(DiskOp::SnapshotFinish { zxid });
    ops
}

/// A snapshot from the leader of `epoch`, and what it committed behind it.
pub fn install_ops(zxid: Zxid, epoch: i64, log: &[TxnEntry]) -> Vec<DiskOp> {
    let mut ops = slices(zxid).to_vec();
    ops.push(DiskOp::Install { zxid, epoch: Epoch(epoch), log: log.to_vec() });
    ops
}

pub fn zxids(entries: &[TxnEntry]) -> Vec<Zxid> {
    entries.iter().map(|entry| entry.zxid).collect()
}

/// The whole history as far as the disk tells it: from the log before the snapshot on.
pub fn history(recovered: &Recovered) -> Vec<Zxid> {
    let snapshot = recovered.snapshot.as_ref().map(|(zxid, _)| *zxid);
    let mut all = zxids(&recovered.before_snapshot);
    all.extend(snapshot.filter(|zxid| all.last() != Some(zxid)));
    all.extend(zxids(&recovered.log));
    all
}
