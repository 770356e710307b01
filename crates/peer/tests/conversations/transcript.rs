//! What stands in a transcript: a line for an event, an operation of the disk, an answer to a client.

use peer::{ClientOutput, DiskOp, Event, Task};
use wire::{SessionId, Zxid};

pub fn record_line(record: &wire::SnapshotRecord) -> String {
    match record {
        wire::SnapshotRecord::Session { id, timeout_ms } => format!("session {id} timeout={timeout_ms}"),
        wire::SnapshotRecord::AclEntry { .. } => "acl".into(),
        wire::SnapshotRecord::Node { path, data, .. } => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("node {:?}={}", text(path), data.as_deref().map_or(String::new(), text))
        }
    }
}

pub fn disk_line(op: &DiskOp) -> String {
    match op {
        DiskOp::Append(entries) => {
            let zxids: Vec<String> = entries.iter().map(|e| e.zxid.to_string()).collect();
            format!("Append {}", zxids.join(" "))
        }
        DiskOp::Truncate(zxid) => format!("Truncate {zxid}"),
        DiskOp::WriteEpoch(file, epoch) => format!("WriteEpoch {file:?} {epoch}"),
        DiskOp::WriteConfig { file, version, text } => {
            let text = String::from_utf8_lossy(text).replace('\n', " ");
            format!("WriteConfig {file:?} {version}: {text}")
        }
        DiskOp::SnapshotFinish { zxid } => format!("SnapshotFinish {zxid}"),
        DiskOp::Install { zxid, epoch, log } => {
            let behind: Vec<String> = log.iter().map(|e| e.zxid.to_string()).collect();
            let behind = if behind.is_empty() { "nothing".into() } else { behind.join(" ") };
            format!("Install {zxid} of epoch {epoch}, behind it {behind}")
        }
        DiskOp::SnapshotSlice { zxid, bytes } => format!("SnapshotSlice {zxid}, {} bytes", bytes.len()),
        DiskOp::ReadSnapshot { zxid, offset, length } => {
            format!("ReadSnapshot {zxid}, {length} bytes at {offset}")
        }
        DiskOp::ReadLogBehind { snapshot, through } => {
            format!("ReadLogBehind {snapshot} through {through}")
        }
        DiskOp::ReadLog { after, through, size_limit } => {
            format!("ReadLog after {after} through {through}, at most {size_limit} bytes")
        }
        other => other.name().into(),
    }
}

pub fn task_name(task: Task) -> &'static str {
    match task {
        Task::LearnerSender(_) => "LearnerSender",
        Task::SyncProcessor => "SyncProcessor",
        Task::CommitProcessor => "CommitProcessor",
        Task::Snapshot => "Snapshot",
        Task::SnapshotSender(_) => "SnapshotSender",
        Task::StartForwarding(_) => "StartForwarding",
    }
}

pub fn client_line(output: &ClientOutput) -> String {
    match output {
        ClientOutput::Connected { client, session, timeout_ms } => {
            format!("client {}: connected, session {session}, timeout {timeout_ms}", client.0)
        }
        ClientOutput::Expired { client } => format!("client {}: expired", client.0),
        ClientOutput::Disconnected { client } => format!("client {}: disconnected", client.0),
        ClientOutput::Reply { client, cxid, zxid, result } => match result {
            Ok(body) => format!("client {}: reply to {cxid} at {zxid}, {} bytes", client.0, body.len()),
            Err(code) => format!("client {}: reply to {cxid} at {zxid}, error {code}", client.0),
        },
        ClientOutput::Notification { client, zxid, event } => {
            format!("client {}: event at {zxid}, {} bytes", client.0, event.len())
        }
    }
}

/// An event in one line; digests are left out, a clean `RoleChanged` says the role alone.
pub fn event_line(event: &Event) -> Option<String> {
    let json = serde_json::to_value(event).ok()?;
    let fields = json.as_object()?;
    let mut line = format!("* {}", fields["event"].as_str()?);
    for (key, value) in fields {
        match (key.as_str(), value.as_i64()) {
            ("event" | "digest" | "tree", _) => {}
            (key, Some(n)) if is_zxid(key) => line += &format!(" {key}={}", Zxid(n)),
            (key, Some(n)) if key == "session" => line += &format!(" {key}={}", SessionId(n)),
            (key, _) => line += &format!(" {key}={}", value.to_string().trim_matches('"')),
        }
    }
    Some(line)
}

fn is_zxid(key: &str) -> bool {
    matches!(key, "zxid" | "version" | "lastZxid" | "snapshot" | "peerLastZxid" | "expected" | "got")
}
