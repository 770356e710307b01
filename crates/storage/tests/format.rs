//! The worked examples of the file formats, byte by byte: a log of two entries and the snapshot of a
//! fresh tree, both with digests as 3.9 writes them.

use bytes::{Bytes, BytesMut};
use storage::log_reader::{End, read_log};
use storage::snapshot::{self, Appendix, TreeDigest};
use storage::txn_log::{put_entry, put_header};
use storage::{FileSystem, MemFs, Storage, StorageSettings};
use wire::txn::{CreateSessionTxn, CreateTxn};
use wire::{
    Acl, Id, SessionId, SnapshotRecord, SnapshotWriter, StatPersisted, Txn, TxnBody, TxnDigest, TxnHeader,
    Zxid, op,
};
use zab::{DiskOp, TxnEntry};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const LOG: &str = "
    5a4b4c47 00000002 0000000000000000
    00000000cd080aaa 00000030
      0100002ea7790000 00000000 0000000100000001 0000018bcfe56800 fffffff6 00004e20 00000002 0000000051c6d660
    42
    00000000239a0cb7 0000005b
      0100002ea7790000 00000001 0000000100000002 0000018bcfe56800 00000001
      00000002 2f61 00000005 68656c6c6f 00000001 0000001f
      00000005 776f726c64 00000006 616e796f6e65 00 00000001
      00000002 0000000213ac2648
    42";

fn log_txns() -> [Txn; 2] {
    let header = |cxid, zxid, kind| TxnHeader {
        client_id: SessionId(0x0100_002e_a779_0000),
        cxid,
        zxid: Zxid(zxid),
        time_ms: 1_700_000_000_000,
        kind,
    };
    let digest = |tree_digest| Some(TxnDigest { version: 2, tree_digest });
    let create = CreateTxn {
        path: Bytes::from_static(b"/a"),
        data: Some(Bytes::from_static(b"hello")),
        acl: Some(vec![Acl::open()]),
        ephemeral: false,
        parent_c_version: 1,
    };
    [
        Txn::new(
            header(0, 0x1_0000_0001, op::CREATE_SESSION),
            TxnBody::CreateSession(CreateSessionTxn { time_out: 20_000 }),
            digest(0x51c6_d660),
        ),
        Txn::new(header(1, 0x1_0000_0002, op::CREATE), TxnBody::Create(create), digest(0x2_13ac_2648)),
    ]
}

#[test]
fn a_log_of_two_entries() {
    let expected = hex(LOG);
    let mut out = Vec::new();
    put_header(&mut out);
    log_txns().iter().for_each(|txn| put_entry(&mut out, &txn.to_bytes()));
    assert_eq!(out, expected);

    let entries: Vec<TxnEntry> =
        log_txns().iter().map(|txn| TxnEntry { zxid: txn.header.zxid, txn: txn.to_bytes() }).collect();
    let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
    let mut storage = Storage::new(MemFs::default(), settings);
    storage.execute(&DiskOp::Append(entries)).expect("appended");
    assert_eq!(storage.fs.read("log.100000001").expect("the log"), expected);

    let log = read_log("log.100000001", expected).expect("a log");
    assert_eq!((log.reason, log.end), (End::Eof, 16 + 61 + 104));
    let read: Vec<Txn> = log.entries.iter().map(|(_, e)| Txn::decode(&e.txn).expect("a txn")).collect();
    assert_eq!(read, log_txns());
}

#[test]
fn a_snapshot_of_a_fresh_tree() {
    let zeros = "00".repeat(60);
    let aversion = format!("{}ffffffff{}", "00".repeat(40), "00".repeat(16));
    let expected = hex(&format!(
        "5a4b534e 00000002 ffffffffffffffff
         00000000
         00000001 0000000000000001 00000001 00000001 00000005 776f726c64 00000006 616e796f6e65
         00000000 00000000 ffffffffffffffff {zeros}
         0000000a 2f7a6f6f6b6565706572 00000000 ffffffffffffffff {zeros}
         00000011 2f7a6f6f6b65657065722f636f6e666967 00000000 0000000000000001 {aversion}
         00000010 2f7a6f6f6b65657065722f71756f7461 00000000 ffffffffffffffff {zeros}
         00000001 2f
         00000000b8a23b49 00000001 2f
         0000000000000000 00000002 0000000000000000 0000000095b93d59 00000001 2f
         0000000000000000 00000000bde83f6d 00000001 2f"
    ));
    assert_eq!(expected.len(), 478);

    let mut body = BytesMut::new();
    SnapshotWriter::count(&mut body, 0);
    SnapshotWriter::count(&mut body, 1);
    let anyone = Id { scheme: Bytes::from_static(b"world"), id: Bytes::from_static(b"anyone") };
    let acl = vec![Acl { perms: 1, id: anyone }];
    SnapshotWriter::record(&mut body, &SnapshotRecord::AclEntry { key: 1, acl });
    for (path, acl_key, aversion) in
        [("", -1, 0), ("/zookeeper", -1, 0), ("/zookeeper/config", 1, -1), ("/zookeeper/quota", -1, 0)]
    {
        let stat = StatPersisted { aversion, ..StatPersisted::default() };
        SnapshotWriter::node(&mut body, path.as_bytes(), Some(b""), acl_key, &stat);
    }
    SnapshotWriter::end(&mut body);
    let digest = TreeDigest { zxid: Zxid::ZERO, version: 2, value: 0 };
    let appendix = Appendix { digest: Some(digest), last_zxid: Some(Zxid::ZERO) };
    assert_eq!(snapshot::encode(&body, &appendix), expected);

    let read = snapshot::read("snapshot.0", expected.clone()).expect("a snapshot");
    assert_eq!(read, body);
    let read = snapshot::read_appendix("snapshot.0", &expected, body.len()).expect("an appendix");
    assert_eq!(read, appendix);
}
