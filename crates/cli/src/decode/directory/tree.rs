//! What a server that starts with a data directory shows to its clients, as one JSON object:
//!
//! ```text
//! {"last_zxid": "0x200000006",
//!  "nodes": {"/": {"data": base64 or null, "stat": {"czxid": .., ..}, "acl": [[31, "world", "anyone"]]}, ..}}
//! ```
//!
//! `stat` has the eleven fields by ZooKeeper's names, as clients see them. `/zookeeper` and what is below it is
//! each server's own and left out. A directory with which a server would not start gives an object of kind
//! `damage`, with the file and the offset.

use std::path::Path;

use serde_json::{Map, Value, json};
use server::ZkDatabase;
use server::data_tree::{NodeId, Walk};
use storage::log_reader::{HEADER_LEN, zxid_of_name};
use storage::{FileSystem, MemFs, Storage, StorageSettings, compression};
use wire::{Jute, SnapshotParser, Txn};
use zab::{DiskError, Recovered};

use super::super::{Damage, value};

/// `Ok(true)` if a server would start with it.
pub fn print(path: &Path) -> Result<bool, String> {
    let fs = read(path)?;
    let storage = Storage::new(fs, StorageSettings::default());
    let loaded = storage.recover_readonly().map_err(|why| damage(&storage.fs, why)).and_then(|recovered| {
        recovered.warnings.iter().for_each(|warning| eprintln!("vivarium: {warning}"));
        load(&storage.fs, &recovered).map(|db| (recovered.last_zxid(), db))
    });
    match loaded {
        Ok((last_zxid, db)) => {
            say!("{}", json!({"last_zxid": format!("{:#x}", last_zxid.0), "nodes": nodes(&db)}));
            Ok(true)
        }
        Err((file, damage)) => {
            damage.report(&file, true);
            Ok(false)
        }
    }
}

/// The files of a directory that a server would look at.
fn read(path: &Path) -> Result<MemFs, String> {
    let mut fs = MemFs::default();
    for entry in std::fs::read_dir(path).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).map_err(|e| format!("{name}: {e}"))?;
            fs.files.insert(name, bytes);
        }
    }
    let known = |name: &String| {
        zxid_of_name(name, "log").is_some()
            || compression::snapshot_zxid(name).is_some()
            || matches!(name.as_str(), "currentEpoch" | "acceptedEpoch")
    };
    if fs.files.keys().any(known) {
        Ok(fs)
    } else {
        Err("expected logs, snapshots or epoch files in it".into())
    }
}

type Refused = (String, Damage);

fn damage(fs: &MemFs, why: DiskError) -> Refused {
    match why {
        DiskError::Corrupt { file, offset, what } => (file, Damage::at_offset(offset, what)),
        // What is refused as a whole begins with the first record that cannot be used.
        other => {
            let mut logs: Vec<_> =
                fs.list().into_iter().filter_map(|n| Some((zxid_of_name(&n, "log")?, n))).collect();
            logs.sort();
            let file = logs.into_iter().next().map_or_else(|| "currentEpoch".into(), |(_, name)| name);
            let offset = if file.starts_with("log.") { HEADER_LEN as u64 } else { 0 };
            (file, Damage::at_offset(offset, other.to_string()))
        }
    }
}

fn load(fs: &MemFs, recovered: &Recovered) -> Result<ZkDatabase, Refused> {
    let mut db = ZkDatabase::bare();
    if let Some((zxid, body)) = &recovered.snapshot {
        let names = fs.list().into_iter().filter(|name| compression::snapshot_zxid(name) == Some(*zxid));
        let name = names.min().unwrap_or_else(|| format!("snapshot.{:x}", zxid.0));
        let at = |offset: u64, what: String| {
            (name.clone(), Damage::at_offset(storage::snapshot::HEADER.len() as u64 + offset, what))
        };
        let mut parser = SnapshotParser::new();
        parser.feed(body.clone());
        loop {
            let offset = parser.consumed();
            match parser.next_record() {
                Ok(None) => break,
                Ok(Some(record)) => db.restore(record).map_err(|why| at(offset, why))?,
                Err(why) => return Err(at(offset, why.to_string())),
            }
        }
    }
    for entry in &recovered.log {
        let txn = Txn::decode(&entry.txn).map_err(|why| {
            let what = format!("expected a transaction at {}: {why}", entry.zxid);
            damage(fs, DiskError::Refused(what))
        })?;
        db.process_txn(&txn, &mut ());
    }
    Ok(db)
}

fn nodes(db: &ZkDatabase) -> Value {
    let mut nodes = Map::new();
    let mut walk = Walk::new(&db.tree);
    while let Some((id, path)) = walk.next_node() {
        match path {
            b"" => _ = nodes.insert("/".into(), node(db, id)),
            b"/zookeeper" => walk.skip_children(),
            path => _ = nodes.insert(String::from_utf8_lossy(path).into_owned(), node(db, id)),
        }
    }
    nodes.into()
}

fn node(db: &ZkDatabase, id: NodeId) -> Value {
    let mut stat = Map::new();
    if let wire::Value::Record(_, fields) = db.tree.stat(id).value() {
        for (name, field) in fields {
            // Here zxids are numbers, as the rest of a stat.
            let number = match field {
                wire::Value::Zxid(zxid) => json!(zxid.0),
                other => value::json(&other),
            };
            stat.insert(name.into(), number);
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let acl = db.tree.acl(id).iter().map(|acl| json!([acl.perms, text(&acl.id.scheme), text(&acl.id.id)]));
    json!({
        "data": db.tree.node(id).data().map(value::base64),
        "stat": stat,
        "acl": acl.collect::<Vec<_>>(),
    })
}
