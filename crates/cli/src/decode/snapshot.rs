//! A snapshot: sessions, ACLs and nodes as they are stored, then what stands behind the seals.

use bytes::Bytes;
use serde_json::json;
use storage::{compression, snapshot};
use wire::{Jute, SnapshotParser, SnapshotRecord};
use zab::DiskError;

use super::{Damage, value};

/// What a snapshot holds, for those who do not print it.
#[derive(Default)]
pub struct Summary {
    pub sessions: u64,
    pub acls: u64,
    pub nodes: u64,
    pub appendix: snapshot::Appendix,
}

pub fn print(name: &str, bytes: Vec<u8>, json: bool) -> Vec<Damage> {
    let (summary, damage) = read(name, bytes, |record| {
        if json {
            say!("{}", as_json(record));
        } else {
            say!("{}", as_text(record));
        }
    });
    if json {
        say!("{}", end_as_json(&summary));
    } else {
        say!("{}", end_as_text(&summary));
    }
    damage
}

/// Gives the records to `each` in their order, as far as they can be read; then checks the seals.
pub fn read(name: &str, bytes: Vec<u8>, mut each: impl FnMut(&SnapshotRecord)) -> (Summary, Vec<Damage>) {
    let mut summary = Summary::default();
    let plain = match compression::plain(name, bytes.clone()) {
        Ok(plain) => Bytes::from(plain),
        Err((offset, what)) => return (summary, vec![Damage::at_offset(offset, what)]),
    };
    let mut parser = SnapshotParser::new();
    parser.feed(plain.slice(plain.len().min(snapshot::HEADER.len())..));
    while let Ok(Some(record)) = parser.next_record() {
        match record {
            SnapshotRecord::Session { .. } => summary.sessions += 1,
            SnapshotRecord::AclEntry { .. } => summary.acls += 1,
            SnapshotRecord::Node { .. } => summary.nodes += 1,
        }
        each(&record);
    }
    let appendix =
        snapshot::read(name, bytes).and_then(|body| snapshot::read_appendix(name, &plain, body.len()));
    match appendix {
        Ok(appendix) => (Summary { appendix, ..summary }, Vec::new()),
        Err(DiskError::Corrupt { offset, what, .. }) => (summary, vec![Damage::at_offset(offset, what)]),
        Err(other) => (summary, vec![Damage::at_offset(0, other.to_string())]),
    }
}

fn as_text(record: &SnapshotRecord) -> String {
    match record {
        SnapshotRecord::Session { id, timeout_ms } => format!("session {id} timeout={timeout_ms}"),
        SnapshotRecord::AclEntry { key, acl } => format!("acl {key} {}", value::text(&acl.value())),
        SnapshotRecord::Node { path, data, acl_key, stat } => format!(
            "node {:?} data={} acl={acl_key} {}",
            String::from_utf8_lossy(path),
            value::text(&data.value()),
            value::text(&stat.value()),
        ),
    }
}

fn as_json(record: &SnapshotRecord) -> serde_json::Value {
    match record {
        SnapshotRecord::Session { id, timeout_ms } => {
            json!({"kind": "session", "id": id.to_string(), "timeout": timeout_ms})
        }
        SnapshotRecord::AclEntry { key, acl } => {
            json!({"kind": "acl", "key": key, "acl": value::json(&acl.value())})
        }
        SnapshotRecord::Node { path, data, acl_key, stat } => json!({
            "kind": "node",
            "path": String::from_utf8_lossy(path),
            "data": value::json(&data.value()),
            "acl": acl_key,
            "stat": value::json(&stat.value()),
        }),
    }
}

pub fn end_as_text(summary: &Summary) -> String {
    let Summary { sessions, acls, nodes, appendix } = summary;
    let digest = appendix.digest.map_or(String::new(), |d| format!(", digest {:#x} at {}", d.value, d.zxid));
    let last = appendix.last_zxid.map_or(String::new(), |zxid| format!(", last zxid {zxid}"));
    format!("{nodes} nodes, {sessions} sessions, {acls} ACLs{digest}{last}")
}

fn end_as_json(summary: &Summary) -> serde_json::Value {
    let Summary { sessions, acls, nodes, appendix } = summary;
    json!({
        "kind": "end",
        "nodes": nodes,
        "sessions": sessions,
        "acls": acls,
        "digest": appendix.digest.map(|digest| json!({
            "zxid": format!("{:#x}", digest.zxid.0),
            "version": digest.version,
            "digest": format!("{:#x}", digest.value),
        })),
        "last_zxid": appendix.last_zxid.map(|zxid| format!("{:#x}", zxid.0)),
    })
}
