//! Data directories that real servers left, and what real servers read from them.
#![allow(dead_code, clippy::disallowed_methods)]

pub mod alone;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use server::ZkDatabase;
use storage::{MemFs, Storage, StorageSettings};
use wire::{Jute, SnapshotParser, Txn};
use zab::{DiskError, Recovered};

pub struct DataDir {
    pub name: String,
    /// Of its files.
    pub expected: Value,
    /// Of its tree: null where no server loads it.
    pub tree: Value,
    pub fs: MemFs,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/tests/vectors/datadirs")
}

fn trees() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub fn datadirs() -> Vec<DataDir> {
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the vectors") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let expected = std::fs::read(folder().join(format!("{name}.expected.json"))).expect("expected");
        let mut fs = MemFs::default();
        for file in std::fs::read_dir(&path).expect("a data directory") {
            let file = file.expect("an entry");
            let bytes = std::fs::read(file.path()).expect("a readable file");
            fs.files.insert(file.file_name().to_str().expect("UTF-8").into(), bytes);
        }
        let expected = serde_json::from_slice(&expected).expect("JSON");
        let tree = std::fs::read(trees().join(format!("{name}.json")));
        let tree = tree.map_or(Value::Null, |tree| serde_json::from_slice(&tree).expect("JSON"));
        dirs.push(DataDir { name, expected, tree, fs });
    }
    dirs.sort_by(|a, b| a.name.cmp(&b.name));
    dirs
}

pub fn recover(fs: &MemFs) -> Result<Recovered, DiskError> {
    Storage::new(fs.clone(), StorageSettings::default()).recover_readonly()
}

pub fn restore(body: bytes::Bytes) -> ZkDatabase {
    let mut db = ZkDatabase::bare();
    let mut parser = SnapshotParser::new();
    parser.feed(body);
    while let Some(record) = parser.next_record().expect("a record") {
        db.restore(record).expect("a tree");
    }
    assert!(parser.is_complete());
    db
}

/// A recovered history as a database.
pub fn load(recovered: &Recovered) -> ZkDatabase {
    let (_, body) = recovered.snapshot.clone().expect("a snapshot");
    let mut db = restore(body);
    for entry in &recovered.log {
        db.process_txn(&Txn::decode(&entry.txn).expect("a transaction"), &mut ());
    }
    db
}

/// RFC 4648, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for n in 0..4 {
            out.push(if n <= group.len() {
                DIGITS[(bits >> (18 - 6 * n)) as usize & 63] as char
            } else {
                '='
            });
        }
    }
    out
}

/// As `nodes` of the expected files: without `/zookeeper` and below.
pub fn nodes(db: &ZkDatabase) -> Value {
    let mut nodes = serde_json::Map::new();
    let mut walk = server::data_tree::Walk::new(&db.tree);
    while let Some((id, path)) = walk.next_node() {
        if path == b"/zookeeper" || path.starts_with(b"/zookeeper/") {
            continue;
        }
        let path = if path.is_empty() { "/" } else { std::str::from_utf8(path).expect("UTF-8") };
        let stat = match db.tree.stat(id).value() {
            wire::Value::Record(_, fields) => fields.into_iter().map(|(name, value)| {
                let number = match value {
                    wire::Value::Int(n) => n,
                    wire::Value::Zxid(zxid) => zxid.0,
                    other => panic!("{other:?}"),
                };
                (name.to_owned(), json!(number))
            }),
            other => panic!("{other:?}"),
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let acl =
            db.tree.acl(id).iter().map(|acl| json!([acl.perms, text(&acl.id.scheme), text(&acl.id.id)]));
        let data = db.tree.node(id).data().map(base64);
        nodes.insert(
            path.into(),
            json!({
                "data": data,
                "stat": stat.collect::<serde_json::Map<_, _>>(),
                "acl": acl.collect::<Vec<_>>(),
            }),
        );
    }
    nodes.into()
}
