//! What a client and a Java server said to each other, said again: every request of a recording goes through
//! Prep, the tree, Final and the watches, and every reply and notification must be the recorded one, zxids
//! and codes included, in its order on its connection. Left out of the comparison are times (a create's
//! reply does not tell when it was) and the order of children (Java's is a hash table's).
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use server::{ReadRequest, Settings, ZooKeeperServer, is_client_request};
use wire::client::{AuthPacket, ConnectRequest, ConnectResponse, CreateResponse, OpResult, Reply, Response};
use wire::codes::xid;
use wire::{Id, Jute, SessionId, Stat, Zxid, code, op};
use zab::{ClientId, StateMachine, WriteRequest};

struct Frame {
    conn: u64,
    from_client: bool,
    name: String,
    /// Without its length.
    packet: Bytes,
}

fn frames(name: &str) -> Vec<Frame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/vectors/client").join(name);
    let text = std::fs::read_to_string(path).expect("a recording");
    let frame = |line: &str| {
        let json: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| json[field].as_str().expect("a string").to_owned();
        let hex = text("hex");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let bytes: Bytes = (0..hex.len()).step_by(2).map(byte).collect();
        Frame {
            conn: json["conn"].as_u64().expect("a number"),
            from_client: text("dir") == ">",
            name: text("type"),
            packet: if bytes.is_empty() { bytes } else { bytes.slice(4..) },
        }
    };
    text.lines().map(frame).collect()
}

struct Connection {
    session: SessionId,
    auth: Vec<Id>,
    /// Types of the requests that are answered, with the answer.
    sent: VecDeque<(i32, Bytes)>,
}

struct Replay {
    server: ZooKeeperServer,
    last: Zxid,
    connections: BTreeMap<u64, Connection>,
}

impl Replay {
    fn write(&mut self, conn: u64, cxid: i32, kind: i32, body: &Bytes) -> Result<Bytes, i32> {
        self.last = self.last.next();
        let Connection { session, auth, .. } = &self.connections[&conn];
        let write =
            WriteRequest { session: *session, cxid, op: kind, body, auth, session_error: None, config: None };
        let txn = self.server.prepare(self.last, 1_700_000_000_000 + self.last.0, &write);
        let result = self.server.apply(self.last, &txn).result;
        for notification in self.server.take_notifications() {
            self.notify(notification);
        }
        result
    }

    fn notify(&mut self, server::Notification { client, zxid, event }: server::Notification) {
        let header = wire::client::ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 };
        self.send(client.0, op::NOTIFICATION, &header, &event.to_bytes());
    }

    fn send(&mut self, conn: u64, kind: i32, header: &wire::client::ReplyHeader, body: &[u8]) {
        let mut packet = BytesMut::new();
        header.write(&mut packet);
        packet.extend_from_slice(body);
        let connection = self.connections.get_mut(&conn).expect("an open connection");
        connection.sent.push_back((kind, packet.freeze()));
    }

    fn reply(&mut self, conn: u64, xid: i32, kind: i32, zxid: Zxid, result: Result<Bytes, i32>) {
        let header =
            wire::client::ReplyHeader { xid, zxid, err: result.as_ref().err().copied().unwrap_or(0) };
        self.send(conn, kind, &header, &result.unwrap_or_default());
    }

    fn connect(&mut self, conn: u64, request: &ConnectRequest, response: &ConnectResponse) {
        let session = response.session_id;
        self.connections.insert(
            conn,
            Connection { session, auth: vec![Id::of("ip", "127.0.0.1")], sent: VecDeque::new() },
        );
        if request.session_id == SessionId(0) {
            self.write(conn, 0, op::CREATE_SESSION, &response.time_out.to_bytes()).expect("a session");
        }
    }

    fn request(&mut self, conn: u64, mut packet: Bytes) {
        let (xid, kind) = (packet.get_i32(), packet.get_i32());
        let body = packet;
        if kind == op::AUTH {
            let packet = AuthPacket::parse(body).expect("an AuthPacket");
            let known = packet.scheme == "digest";
            if known {
                // The digest of ann:secret.
                let id = Id::of("digest", "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=");
                self.connections.get_mut(&conn).expect("open").auth.insert(0, id);
            }
            let result = if known { Ok(Bytes::new()) } else { Err(code::AUTH_FAILED) };
            return self.reply(conn, xid, kind, Zxid::ZERO, result);
        }
        if !is_client_request(kind) && kind != op::CLOSE_SESSION {
            return self.reply(conn, xid, kind, Zxid::NONE, Err(code::UNIMPLEMENTED));
        }
        let result = if op::is_write(kind) {
            self.write(conn, xid, kind, &body)
        } else {
            let Connection { session, auth, .. } = &self.connections[&conn];
            let client = Some(ClientId(conn));
            let read = ReadRequest { client, session: *session, op: kind, body: &body, auth };
            let result = self.server.read_request(&read);
            for notification in self.server.take_notifications() {
                self.notify(notification);
            }
            result
        };
        self.reply(conn, xid, kind, self.last, result);
    }
}

/// A packet without what may differ.
fn comparable(kind: i32, packet: &Bytes) -> Reply {
    let mut reply = Reply::decode(kind, packet.clone()).expect("a reply");
    let timeless = |stat: &mut Stat| (stat.ctime, stat.mtime) = (0, 0);
    match &mut reply.response {
        Response::Create2(r) => timeless(&mut r.stat),
        Response::Exists(r) => timeless(&mut r.stat),
        Response::GetData(r) => timeless(&mut r.stat),
        Response::SetData(r) => timeless(&mut r.stat),
        Response::GetACL(r) => timeless(&mut r.stat),
        Response::SetACL(r) => timeless(&mut r.stat),
        Response::GetChildren(r) => r.children.sort(),
        Response::GetChildren2(r) => {
            timeless(&mut r.stat);
            r.children.sort();
        }
        Response::GetEphemerals(r) => r.ephemerals.sort(),
        Response::Multi(multi) => {
            for result in &mut multi.results {
                match result {
                    OpResult::Create2(r) => timeless(&mut r.stat),
                    OpResult::SetData(r) => timeless(&mut r.stat),
                    OpResult::GetData(r) => timeless(&mut r.stat),
                    OpResult::GetChildren(r) => r.children.sort(),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    reply
}

/// What 3.9 answers as 3.8 does: without the zxid of a notification, and without the stat of a create2 in a
/// multi. (3.4 has fewer operations, and answers getACL to everybody.)
fn as_3_8(mut reply: Reply) -> Reply {
    match &mut reply.response {
        Response::Event(_) => reply.header.zxid = Zxid::NONE,
        Response::Multi(multi) => {
            for result in &mut multi.results {
                if let OpResult::Create2(created) = result {
                    *result = OpResult::Create(CreateResponse { path: created.path.clone() });
                }
            }
        }
        _ => {}
    }
    reply
}

/// Replies compared, by the type of the request.
fn replay(name: &str, base: Zxid, same: fn(Reply) -> Reply) -> BTreeMap<i32, u32> {
    let settings = Settings { extended_types: true, ..Settings::default() };
    let server = ZooKeeperServer::new(settings);
    let mut replay = Replay { server, last: base, connections: BTreeMap::new() };
    let mut compared = BTreeMap::new();
    let frames = frames(name);
    for (at, frame) in frames.iter().enumerate() {
        let Frame { conn, from_client, name: kind, packet } = frame;
        match (*from_client, kind.as_str()) {
            (_, "open") | (false, "close" | "connectResponse") => {}
            (true, "close") => replay.server.client_gone(ClientId(*conn)),
            (true, "connectRequest") => {
                let request = ConnectRequest::parse(packet.clone()).expect("a ConnectRequest");
                let mut later =
                    frames[at..].iter().filter(|f| f.conn == *conn && f.name == "connectResponse");
                let response = later.next().expect("an answer").packet.clone();
                replay.connect(
                    *conn,
                    &request,
                    &ConnectResponse::parse(response).expect("a ConnectResponse"),
                );
            }
            (true, _) => replay.request(*conn, packet.clone()),
            (false, _) => {
                let sent = replay.connections.get_mut(conn).and_then(|open| open.sent.pop_front());
                let (op, sent) = sent.unwrap_or_else(|| panic!("{name}, frame {at}: nothing but a {kind}"));
                let (ours, theirs) = (same(comparable(op, &sent)), same(comparable(op, packet)));
                assert_eq!(ours, theirs, "{name}, frame {at}: {kind}");
                *compared.entry(op).or_default() += 1;
            }
        }
    }
    let left = replay.connections.values().map(|open| open.sent.len()).sum::<usize>();
    assert_eq!((left, replay.server.database().digest_mismatches()), (0, 0), "{name}");
    compared
}

#[test]
fn a_client_of_3_9() {
    for (name, base) in [("3.9.5-standalone.jsonl", Zxid(0)), ("3.9.5-follower.jsonl", Zxid(1 << 32))] {
        let compared = replay(name, base, std::convert::identity);
        assert!(compared.len() >= 26 && compared[&op::NOTIFICATION] > 15, "{name}: {compared:?}");
    }
}

#[test]
fn a_client_of_3_8() {
    for (name, base) in [("3.8.0-standalone.jsonl", Zxid(0)), ("3.8.0-follower.jsonl", Zxid(1 << 32))] {
        let compared = replay(name, base, as_3_8);
        assert!(compared.len() >= 26, "{name}: {compared:?}");
    }
}
