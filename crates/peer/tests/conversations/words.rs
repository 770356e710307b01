//! What stands in the lines of a script: requests, bytes, snapshots.

use bytes::{Bytes, BytesMut};
use peer::{ClientId, ClientInput};
use wire::client::ReconfigRequest;
use wire::txn::{get_data_request, set_data_request, sync_request};
use wire::{
    Id, Jute, NullableString, SNAPSHOT_SIGNATURE, SessionId, SnapshotWriter, StatPersisted, Zxid, op,
};

pub fn connect(client: ClientId, resume: Option<SessionId>, last_zxid: Zxid, auth: Vec<Id>) -> ClientInput {
    ClientInput::Connect { client, resume, timeout_ms: 10_000, last_zxid, auth }
}

/// `scheme:id`
pub fn auth_id(text: &str) -> Result<Id, String> {
    let (scheme, id) = text.split_once(':').ok_or("scheme:id")?;
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Ok(Id { scheme: bytes(scheme), id: bytes(id) })
}

/// `session=1 cxid=2 sets /a=1`
pub fn request(text: &str) -> Result<(SessionId, i32, (i32, Bytes)), String> {
    let mut words = text.splitn(3, ' ');
    let mut number = |key: &str| {
        let word = words.next().and_then(|w| w.strip_prefix(key)?.strip_prefix('='));
        wire_long(word.ok_or(format!("expected {key}=NUMBER"))?)
    };
    let (session, cxid) = (number("session")?, number("cxid")? as i32);
    Ok((SessionId(session), cxid, operation(words.next().unwrap_or(""))?))
}

pub fn operation(text: &str) -> Result<(i32, Bytes), String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match verb {
        "sets" => {
            let (path, value) = rest.split_once('=').ok_or("sets /path=value")?;
            (op::SET_DATA, set_data_request(path.as_bytes(), value.as_bytes(), -1))
        }
        // So many bytes of a request.
        "sends" => (op::SET_DATA, Bytes::from(vec![0; wire_long(rest)? as usize])),
        "exists" => (op::EXISTS, get_data_request(rest.as_bytes())),
        "lists" => (op::GET_CHILDREN2, get_data_request(rest.as_bytes())),
        "type" => (wire_long(rest)? as i32, Bytes::new()),
        "gets" => (op::GET_DATA, get_data_request(rest.as_bytes())),
        "syncs" => (op::SYNC, sync_request(b"/")),
        "closes" => (op::CLOSE_SESSION, Bytes::new()),
        "opens" => (op::CREATE_SESSION, Bytes::copy_from_slice(&10_000i32.to_be_bytes())),
        "deletes" => (op::DELETE, Bytes::new()),
        "reconfigs" => (op::RECONFIG, reconfig_request(rest)?),
        other => return Err(format!("no operation is called {other}")),
    })
}

/// `joining=A,B leaving=1,2 members=A|B version=0x100000001`, each where it is asked for.
fn reconfig_request(text: &str) -> Result<Bytes, String> {
    let none = || NullableString(None);
    let mut asked = ReconfigRequest {
        joining_servers: none(),
        leaving_servers: none(),
        new_members: none(),
        cur_config_id: -1,
    };
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').ok_or("joining=, leaving=, members= or version=")?;
        let list = || NullableString(Some(value.replace('|', "\n").into()));
        match key {
            "joining" => asked.joining_servers = list(),
            "leaving" => asked.leaving_servers = list(),
            "members" => asked.new_members = list(),
            "version" => asked.cur_config_id = wire_long(value)?,
            other => return Err(format!("joining=, leaving=, members= or version=, not {other}")),
        }
    }
    let mut body = BytesMut::new();
    asked.write(&mut body);
    Ok(body.freeze())
}

pub fn wire_long(text: &str) -> Result<i64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).map(|n| n as i64).map_err(|e| e.to_string()),
        None => text.parse::<i64>().map_err(|e| e.to_string()),
    };
    parsed.map_err(|e| format!("{text}: {e}"))
}

pub fn hex(text: &str) -> Result<Bytes, String> {
    let byte = |word: &str| u8::from_str_radix(word, 16).map_err(|e| format!("{word}: {e}"));
    Ok(Bytes::from(text.split_whitespace().map(byte).collect::<Result<Vec<u8>, String>>()?))
}

pub fn snapshot_body(text: &str) -> Result<Bytes, String> {
    let mut out = BytesMut::new();
    SnapshotWriter::count(&mut out, 0);
    SnapshotWriter::count(&mut out, 0);
    let stat = StatPersisted::default();
    SnapshotWriter::node(&mut out, b"", Some(b""), -1, &stat);
    for word in text.split_whitespace() {
        let (path, value) = word.split_once('=').ok_or("/path=value")?;
        SnapshotWriter::node(&mut out, path.as_bytes(), Some(value.as_bytes()), -1, &stat);
    }
    SnapshotWriter::end(&mut out);
    wire::jute::put_buffer(&mut out, Some(SNAPSHOT_SIGNATURE));
    Ok(out.freeze())
}

/// The body behind SNAP 0x10000006e that a follower of 3.8.0 was sent.
pub fn java_snapshot() -> Bytes {
    let text = include_str!("../../../wire/tests/vectors/quorum/3.8.0/snap.jsonl");
    let frame = text.lines().find(|line| line.contains(r#""SNAPSHOT""#)).expect("the body");
    let frame: serde_json::Value = serde_json::from_str(frame).expect("JSON");
    let digits = frame["hex"].as_str().expect("hex").as_bytes();
    let digit = |at: usize| (digits[at] as char).to_digit(16).expect("a digit") as u8;
    let bytes: Vec<u8> = (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect();
    Bytes::from(bytes).slice(..digits.len() / 2 - 4 - SNAPSHOT_SIGNATURE.len())
}
