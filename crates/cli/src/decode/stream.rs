//! A recording of connections: one JSON object a line, `{t_us, conn, dir, kind, type, hex}`, one frame
//! each, in the order in which they passed. `>` goes to the side that was dialled.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use wire::client::{BodyError, ConnectRequest, ConnectResponse, FrameStream, Reply, Request, RequestHeader};
use wire::codes::xid;
use wire::election::{ElectionInbound, ElectionStream};
use wire::jute::DEFAULT_MAX_BUFFER;
use wire::{Direction, Inbound, Jute, OpCode, Packet, QuorumStream, Reader, Txn, Value, op};

use super::{Damage, Place, value};

#[derive(Deserialize)]
struct Line {
    t_us: u64,
    conn: u64,
    dir: String,
    kind: String,
    #[serde(rename = "type")]
    name: String,
    #[serde(default)]
    hex: String,
    to: Option<String>,
}

/// What a frame says: in words, and the records in it.
struct Said {
    text: String,
    record: Value,
}

/// What was expected instead.
type Wrong = String;

pub fn print(bytes: &[u8], json: bool) -> Vec<Damage> {
    let mut connections = Connections::default();
    let mut damage = Vec::new();
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let mut wrong = |expected: Wrong| damage.push(Damage { at: Place::Line(n + 1), expected });
        let line: Line = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(why) => {
                wrong(format!("expected a frame as JSON: {why}"));
                continue;
            }
        };
        match said(&mut connections, &line) {
            Ok(all) => all
                .iter()
                .for_each(|said| say!("{}", if json { as_json(&line, said) } else { as_text(&line, said) })),
            Err(expected) => wrong(expected),
        }
    }
    damage
}

fn as_text(line: &Line, said: &Said) -> String {
    let Line { t_us, conn, dir, .. } = line;
    let (s, us) = (t_us / 1_000_000, t_us % 1_000_000);
    let record = if said.record == Value::Null { String::new() } else { value::text(&said.record) };
    let between = if said.text.is_empty() || record.is_empty() { "" } else { " " };
    format!("{s:>4}.{us:06} {conn:>3} {dir} {}{between}{record}", said.text)
}

fn as_json(line: &Line, said: &Said) -> String {
    let Line { t_us, conn, dir, kind, name, .. } = line;
    let record = value::json(&said.record);
    json!({"t_us": t_us, "conn": conn, "dir": dir, "kind": kind, "type": name, "text": said.text, "record": record})
        .to_string()
}

/// A frame that is none of its kind.
fn expected(why: impl std::fmt::Display) -> Wrong {
    format!("expected another frame: {why}")
}

fn words(text: impl Into<String>) -> Vec<Said> {
    vec![Said { text: text.into(), record: Value::Null }]
}

fn said(connections: &mut Connections, line: &Line) -> Result<Vec<Said>, Wrong> {
    let bytes = unhex(&line.hex)?;
    let to_dialled = match line.dir.as_str() {
        ">" => true,
        "<" => false,
        _ => return Err("expected a direction, > or <".into()),
    };
    match line.name.as_str() {
        "open" => {
            connections.opened(line.conn);
            return Ok(words(line.to.as_ref().map_or("open".into(), |to| format!("open {to}"))));
        }
        "close" => return Ok(words("close")),
        _ => {}
    }
    match line.kind.as_str() {
        "quorum" => connections.quorum(line.conn, to_dialled, bytes),
        "election" => connections.election(line.conn, to_dialled, line.name == "hello", bytes),
        "client" => connections.client(line.conn, to_dialled, bytes),
        _ => Err("expected a kind: quorum, election or client".into()),
    }
}

fn unhex(text: &str) -> Result<Bytes, Wrong> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    let bytes: Option<Bytes> = text.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or("expected pairs of hexadecimal digits".into())
}

/// What is known of the connections from their earlier frames.
#[derive(Default)]
struct Connections {
    quorum: BTreeMap<(u64, bool), QuorumStream>,
    election: BTreeMap<(u64, bool), ElectionStream>,
    clients: BTreeMap<u64, Client>,
}

#[derive(Default)]
struct Client {
    /// Of whom the first packet, which has no header, is to come: client, server.
    first: [bool; 2],
    /// The types of requests that are not answered yet, by their xids.
    asked: BTreeMap<i32, VecDeque<i32>>,
}

impl Connections {
    fn opened(&mut self, conn: u64) {
        self.clients.insert(conn, Client { first: [true, true], ..Client::default() });
    }

    fn quorum(&mut self, conn: u64, to_leader: bool, bytes: Bytes) -> Result<Vec<Said>, Wrong> {
        let direction = if to_leader { Direction::ToLeader } else { Direction::ToLearner };
        let stream = self.quorum.entry((conn, to_leader)).or_insert_with(|| QuorumStream::new(direction));
        stream.feed(bytes);
        let (mut all, mut records) = (Vec::new(), 0);
        while let Some(inbound) = stream.next().map_err(expected)? {
            match inbound {
                Inbound::Packet(packet) => all.push(packet_said(&packet)?),
                Inbound::Snapshot(_) => records += 1,
                Inbound::SnapshotBytes(_) => {}
                Inbound::SnapshotEnd => {
                    let text = format!("SNAPSHOT of {} records", std::mem::take(&mut records));
                    all.push(Said { text, record: Value::Null });
                }
            }
        }
        Ok(all)
    }

    fn election(
        &mut self,
        conn: u64,
        to_dialled: bool,
        hello: bool,
        bytes: Bytes,
    ) -> Result<Vec<Said>, Wrong> {
        let new = if hello { ElectionStream::accepted } else { ElectionStream::dialled };
        let stream = self.election.entry((conn, to_dialled)).or_insert_with(new);
        stream.feed(bytes);
        let mut all = Vec::new();
        while let Some(inbound) = stream.next().map_err(expected)? {
            let text = match inbound {
                ElectionInbound::Hello(hello) => format!("hello {hello:?}"),
                ElectionInbound::Notification(notification) => notification.map_err(expected)?.to_string(),
            };
            all.push(Said { text, record: Value::Null });
        }
        Ok(all)
    }

    fn client(&mut self, conn: u64, to_server: bool, bytes: Bytes) -> Result<Vec<Said>, Wrong> {
        let client = self.clients.entry(conn).or_default();
        let mut frames = FrameStream::new(DEFAULT_MAX_BUFFER);
        frames.feed(bytes);
        let mut all = Vec::new();
        while let Some(packet) = frames.next().map_err(expected)? {
            all.push(client.packet(to_server, packet)?);
        }
        match frames.buffered() {
            0 => Ok(all),
            left => Err(format!("expected whole packets, {left} bytes are left over")),
        }
    }
}

impl Client {
    fn packet(&mut self, to_server: bool, packet: Bytes) -> Result<Said, Wrong> {
        let first = std::mem::take(&mut self.first[usize::from(!to_server)]);
        let plain = |record: Result<Value, wire::Error>| {
            Ok(Said {
                text: String::new(),
                record: record.map_err(|why| format!("expected to connect: {why}"))?,
            })
        };
        match (first, to_server) {
            (true, true) => plain(ConnectRequest::parse(packet).map(|record| record.value())),
            (true, false) => plain(ConnectResponse::parse(packet).map(|record| record.value())),
            (false, true) => self.request(packet),
            (false, false) => self.reply(packet),
        }
    }

    fn request(&mut self, packet: Bytes) -> Result<Said, Wrong> {
        let mut r = Reader::new(packet);
        let header = RequestHeader::read(&mut r, "RequestHeader").map_err(expected)?;
        self.asked.entry(header.xid).or_default().push_back(header.kind);
        match Request::decode(header.kind, r.rest()) {
            Ok(request) => Ok(Said {
                text: format!("xid={} {}", header.xid, name(header.kind)),
                record: request.value(),
            }),
            // What clients may send, and what is answered with an error.
            Err(why @ BodyError::Unimplemented(_)) => {
                Ok(Said { text: format!("xid={} {why}", header.xid), record: Value::Null })
            }
            Err(BodyError::Malformed(why)) => {
                Err(format!("expected a request of type {}: {why}", name(header.kind)))
            }
        }
    }

    fn reply(&mut self, packet: Bytes) -> Result<Said, Wrong> {
        let header = Reply::decode(op::PING, packet.clone()).map_err(expected)?.header;
        let kind = match header.xid {
            xid::NOTIFICATION => Some(op::NOTIFICATION),
            xid => self.asked.get_mut(&xid).and_then(VecDeque::pop_front),
        };
        let name = kind.map_or("reply to a request before the recording".into(), name);
        let err = match wire::ErrorCode::of(header.err) {
            Some(wire::ErrorCode::Ok) => String::new(),
            Some(err) => format!(" {err}"),
            None => format!(" error {}", header.err),
        };
        let text = format!("xid={} zxid={} {name}{err}", header.xid, header.zxid);
        let record = match kind {
            None => Value::Null,
            Some(kind) => Reply::decode(kind, packet)
                .map_err(|why| format!("expected a reply to {name}: {why}"))?
                .response
                .value(),
        };
        Ok(Said { text, record })
    }
}

fn name(kind: i32) -> String {
    OpCode::of(kind).map_or(format!("type {kind}"), |op| op.name().to_owned())
}

/// A packet, with the transaction or the request that it carries.
fn packet_said(packet: &Packet) -> Result<Said, Wrong> {
    let record = match packet {
        Packet::Proposal { txn, .. } | Packet::Inform { txn, .. } | Packet::InformAndActivate { txn, .. } => {
            Txn::decode(txn).map_err(|why| format!("expected a transaction: {why}"))?.body.value()
        }
        Packet::Request(request) => match Request::decode(request.op, request.body.clone()) {
            Ok(request) => request.value(),
            Err(_) => Value::Buffer(request.body.clone()),
        },
        _ => Value::Null,
    };
    Ok(Said { text: packet.to_string(), record })
}
