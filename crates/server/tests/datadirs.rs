//! The data directories of real servers load to exactly the trees that real servers read from them.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::BytesMut;
use common::{DataDir, datadirs, load, nodes, recover, restore};
use serde_json::{Value, json};
use server::ZkDatabase;
use server::data_tree::{Cursor, DIGEST_VERSION};
use storage::snapshot::{self, Appendix, TreeDigest};
use storage::{FileSystem, compression};
use wire::{SnapshotParser, SnapshotRecord, Txn, Zxid, ZxidDigest};
use zab::DiskError;

/// With every session's paths sorted.
fn by_name(ephemerals: &Value) -> Value {
    let mut ephemerals = ephemerals.as_object().cloned().unwrap_or_default();
    for paths in ephemerals.values_mut() {
        paths.as_array_mut().expect("paths").sort_by_key(|path| path.as_str().map(str::to_owned));
    }
    ephemerals.into()
}

#[test]
fn every_directory() {
    let (mut exact, mut refused, mut owners, mut confirmed) = (0, 0, 0, 0);
    for DataDir { name, expected, tree, fs } in datadirs() {
        let recovered = match recover(&fs) {
            Ok(recovered) => recovered,
            Err(why) => {
                assert!(!expected["refused_by"].as_array().expect("a list").is_empty(), "{name}: {why}");
                assert!(matches!(why, DiskError::Corrupt { .. } | DiskError::Refused(_)), "{name}: {why}");
                refused += 1;
                continue;
            }
        };
        let db = load(&recovered);
        let last_zxid = format!("{:#x}", recovered.last_zxid().0);
        assert_eq!(json!(last_zxid), expected["last_zxid"], "{name}");
        let (found, wanted) = (nodes(&db), &tree["nodes"]);
        for (path, node) in wanted.as_object().unwrap_or_else(|| panic!("{name}: nodes")) {
            assert_eq!(&found[path], node, "{name}: {path}");
        }
        assert_eq!(&found, wanted, "{name}");
        let mut ephemerals = serde_json::Map::new();
        for (session, paths) in db.tree.sessions_with_ephemerals() {
            let paths = paths.iter().map(|path| String::from_utf8(path.to_vec()).expect("UTF-8"));
            ephemerals.insert(format!("{session:#x}"), json!(paths.collect::<Vec<_>>()));
        }
        assert_eq!(json!(ephemerals), by_name(&tree["ephemerals"]), "{name}");
        for (path, owner) in tree["stored_owner"].as_object().into_iter().flatten() {
            let id = db.tree.find(path.as_bytes()).expect("the node");
            assert_eq!(json!(format!("{:#x}", db.tree.node(id).owner())), *owner, "{name}: {path}");
            owners += 1;
        }
        assert_eq!(db.digest_mismatches(), 0, "{name}");
        // Error transactions have none, and 3.4 has none at all.
        let mut digests = recovered.log.iter().filter_map(|entry| Txn::decode(&entry.txn).ok()?.digest);
        assert_eq!(db.digest_confirmed(), digests.next().is_some(), "{name}");
        confirmed += usize::from(db.digest_confirmed());
        exact += 1;
    }
    assert!(confirmed > 10, "{confirmed}");
    assert!(exact >= 28 && refused >= 12 && owners > 50, "{exact} exact, {refused} refused, {owners}");
}

/// The digest in a snapshot's file is that of the tree once the log was replayed up to its zxid; and every
/// transaction's behind it is right, too.
#[test]
fn digests_of_snapshots() {
    let (mut at_once, mut later) = (0, 0);
    for DataDir { name, fs, .. } in datadirs() {
        let Ok(recovered) = recover(&fs) else { continue };
        let (zxid, body) = recovered.snapshot.clone().expect("a snapshot");
        let file = fs.list().into_iter().filter(|file| compression::snapshot_zxid(file) == Some(zxid));
        let file = file.min().expect("the snapshot's file");
        let plain = compression::plain(&file, fs.read(&file).expect("the file")).expect("a snapshot");
        let appendix = snapshot::read_appendix(&file, &plain, body.len()).expect("an appendix");
        let Some(TreeDigest { zxid: at, version, value }) = appendix.digest else { continue };
        // Of a tree to which nothing was applied it is 0.
        if at == Zxid::ZERO {
            continue;
        }
        assert_eq!(version, DIGEST_VERSION);
        let mut db = restore(body);
        for entry in recovered.log.iter().filter(|entry| entry.zxid <= at) {
            later += 1;
            db.process_txn(&Txn::decode(&entry.txn).expect("a transaction"), &mut ());
        }
        let digest = db.zxid_digest();
        // An error's or a session's zxid is in no node.
        assert!(digest.zxid <= at, "{name}");
        assert_eq!((digest.digest_version, digest.digest as u64), (version, value), "{name}");
        at_once += 1;
    }
    assert!(at_once > 5 && later > 0, "{at_once}, {later}");
}

fn slices(db: &ZkDatabase, max: usize) -> BytesMut {
    let (mut cursor, mut body) = (Cursor::new(&db.tree), BytesMut::new());
    while !db.snapshot_slice(&mut cursor, max, &mut body) {}
    body
}

fn sorted(body: bytes::Bytes) -> Vec<String> {
    let mut parser = SnapshotParser::new();
    parser.feed(body);
    let mut records = Vec::new();
    while let Some(record) = parser.next_record().expect("a record") {
        records.push(format!("{record:?}"));
    }
    assert!(parser.is_complete() && parser.into_rest().is_empty());
    records.sort();
    records
}

/// What was loaded, written again, has the same records; Java's order among siblings is its hash tables'.
/// Loaded once more it is the same tree.
#[test]
fn snapshots_written_again() {
    let mut written = 0;
    for DataDir { name, fs, .. } in datadirs() {
        let Ok(recovered) = recover(&fs) else { continue };
        let (_, body) = recovered.snapshot.clone().expect("a snapshot");
        let db = restore(body.clone());
        for max in [1, 700, usize::MAX] {
            assert_eq!(sorted(slices(&db, max).freeze()), sorted(body.clone()), "{name}, slices of {max}");
        }
        let db = load(&recovered);
        let again = restore(slices(&db, 100).freeze());
        assert_eq!(nodes(&again), nodes(&db), "{name}");
        assert_eq!(
            (again.digest(), again.tree.approximate_data_size()),
            (db.digest(), db.tree.approximate_data_size()),
            "{name}"
        );
        assert!(again.sessions().eq(db.sessions()), "{name}");
        written += 1;
    }
    assert!(written > 28);
}

/// The file that a Java 3.9 writes at its first start, byte for byte.
#[test]
fn a_fresh_tree() {
    let body = slices(&ZkDatabase::new(), 1 << 20);
    let ZxidDigest { zxid, digest_version: version, digest } = ZkDatabase::new().zxid_digest();
    let digest = TreeDigest { zxid, version, value: digest as u64 };
    let file = snapshot::encode(&body, &Appendix { digest: Some(digest), last_zxid: Some(Zxid::ZERO) });
    assert_eq!(file.len(), 478);
    let seals = [0xb8a2_3b49_u64, 0x95b9_3d59, 0xbde8_3f6d].map(|seal| seal.to_be_bytes());
    for seal in seals {
        assert!(file.windows(8).any(|bytes| bytes == seal), "{seal:x?}");
    }
    assert_eq!(ZkDatabase::new().tree.tree_digest(), 0x51c6_d660);
    let records = sorted(body.freeze());
    assert_eq!(records.len(), 5);
}

/// | a snapshot's records | |
/// |---|---|
/// | a node before its parent | refused |
/// | a node twice, the root behind others, an empty name, no slash | refused |
/// | an ACL key twice | refused |
/// | a node with an ACL key that has no list | nobody may do anything, until the log sets one |
#[test]
fn what_is_no_tree() {
    let node = |path: &str, acl_key| SnapshotRecord::Node {
        path: bytes::Bytes::copy_from_slice(path.as_bytes()),
        data: None,
        acl_key,
        stat: Default::default(),
    };
    for (records, expected) in [
        (vec![node("/a/b", -1)], "behind its parent"),
        (vec![node("/a", -1), node("/a", -1)], "once"),
        (vec![node("/a", -1), node("", -1)], "the root to come first"),
        (vec![node("/a", -1), node("/a/", -1)], "a path"),
        (vec![node("a", -1)], "a path"),
    ] {
        let mut db = ZkDatabase::bare();
        let result = records.into_iter().try_for_each(|record| db.restore(record));
        assert!(result.as_ref().is_err_and(|why| why.contains(expected)), "{result:?}");
    }
    let list = |key| SnapshotRecord::AclEntry { key, acl: vec![wire::Acl::open()] };
    let mut db = ZkDatabase::bare();
    db.restore(list(7)).expect("a list");
    assert!(db.restore(list(7)).is_err() && db.restore(list(-1)).is_err());
    db.restore(node("/a", 8)).expect("a node");
    let id = db.tree.find(b"/a").expect("restored");
    assert_eq!(db.tree.acl(id).iter().map(|acl| acl.perms).collect::<Vec<_>>(), [0]);
}
