//! What the fuzz targets do with some bytes. `tests/fuzz_bodies.rs` includes this file and runs it, bounded.
#![allow(dead_code)]

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use peer::{
    CloseReason, Config, ConnId, DiskDone, Input, LearnerType, Member, Nanos, Now, Output, Peer,
    QuorumVerifier, Settings, State, StateKind, Switches, View,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::client::{
    ClientStream, ConnectRequest, ConnectResponse, CreateRequest, FrameStream, MultiRequest, Reply, Request,
    RequestHeader, Response, WatcherEvent, put_frame,
};
use wire::{Acl, Direction, Jute, QuorumStream, ServerId, SessionId, SnapshotParser, Txn, Zxid, code};

/// Every decoder: any bytes give a value or an error.
pub fn decoders(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    _ = Txn::decode(&bytes);
    _ = ConnectRequest::parse(bytes.clone());
    _ = ConnectResponse::parse(bytes.clone());
    _ = WatcherEvent::parse(bytes.clone());
    _ = MultiRequest::parse(bytes.clone());
    for kind in (-11..=23).chain(100..=108) {
        _ = Request::decode(kind, bytes.clone());
        _ = Response::decode(kind, bytes.clone());
        _ = Reply::decode(kind, bytes.clone());
    }
    let mut clients = ClientStream::new(1000);
    clients.feed(bytes.clone());
    while let Ok(Some(_)) = clients.next() {}
    for direction in [Direction::ToLeader, Direction::ToLearner] {
        let mut quorum = QuorumStream::with_limit(direction, 1000);
        quorum.feed(bytes.clone());
        while let Ok(Some(_)) = quorum.next() {}
    }
    let mut snapshot = SnapshotParser::new();
    snapshot.feed(bytes);
    while let Ok(Some(_)) = snapshot.next_record() {}
}

/// A member that is its own ensemble, over the tree, with a disk in memory.
struct Server {
    peer: Peer<State>,
    storage: Storage<MemFs>,
    now: Nanos,
    sent: Vec<(ConnId, Bytes)>,
    closed: Vec<ConnId>,
}

const MAX_BUFFER: usize = 1000;

impl Server {
    fn new() -> Server {
        let member = Member {
            learner_type: LearnerType::Participant,
            quorum_address: "h:2888:3888".into(),
            election_address: "h:3888".into(),
            client_address: None,
        };
        let voters = [ServerId(1)].into();
        let view = View::unversioned([(ServerId(1), member)].into(), QuorumVerifier::Majority { voters });
        let settings = Settings { jute_maxbuffer: MAX_BUFFER, ..Settings::default() };
        let config =
            Config { sid: ServerId(1), view, seen_view: None, settings, switches: Switches::NONE, seed: 1 };
        let state = State::new(StateKind::Tree, server::Settings::default());
        let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
        let mut server = Server {
            peer: Peer::new(config, state),
            storage: Storage::new(MemFs::default(), settings),
            now: Nanos::ZERO,
            sent: Vec::new(),
            closed: Vec::new(),
        };
        server.input(Input::Boot);
        while !server.peer.status().serving {
            server.now = server.peer.next_deadline().at;
            server.input(Input::Deadline);
        }
        server
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Now { mono: self.now, wall_ms: 1_700_000_000_000 };
            let mut out = Vec::new();
            self.peer.handle(now, input, &mut out);
            for output in out {
                match output {
                    Output::Disk { id, op } => {
                        let result = self.storage.execute(&op);
                        if op.answers() {
                            inputs.push_back(Input::Disk(DiskDone { id, result }));
                        }
                    }
                    Output::Schedule(task) => inputs.push_back(Input::Run(task)),
                    Output::Send { conn, bytes, .. } => self.sent.push((conn, bytes)),
                    Output::Close { conn } => self.closed.push(conn),
                    Output::Halt { why } => panic!("the member gave up: {why}"),
                    _ => {}
                }
            }
        }
    }

    fn accept(&mut self, conn: ConnId) {
        self.input(Input::ClientAccepted { conn, from: "10.0.0.1".into() });
        let connect = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            time_out: 10_000,
            session_id: SessionId(0),
            passwd: None,
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| connect.write(out));
        self.input(Input::Received { conn, bytes: out.freeze() });
    }

    /// The last packet sent to a connection.
    fn last(&self, conn: ConnId) -> Bytes {
        let mut frames = FrameStream::new(1 << 20);
        self.sent.iter().filter(|(to, _)| *to == conn).for_each(|(_, bytes)| frames.feed(bytes.clone()));
        let mut last = Bytes::new();
        while let Some(packet) = frames.next().expect("what we send has its length") {
            last = packet;
        }
        last
    }
}

const HOSTILE: ConnId = ConnId(ConnId::ACCEPTED | 1);
const HONEST: ConnId = ConnId(ConnId::ACCEPTED | 2);

/// One client sends the bytes, from its very first or behind a session; another one is served all the same.
/// How often the first one was sent something.
pub fn client_bytes(data: &[u8]) -> usize {
    let (how, data) = data.split_first().map_or((0, data), |(how, rest)| (*how, rest));
    let mut server = Server::new();
    server.accept(HONEST);
    if how & 1 == 0 {
        server.accept(HOSTILE);
    } else {
        server.input(Input::ClientAccepted { conn: HOSTILE, from: "10.0.0.2".into() });
    }
    let size = 1 + usize::from(how >> 1);
    for chunk in data.chunks(size) {
        if server.closed.contains(&HOSTILE) {
            break;
        }
        server.input(Input::Received { conn: HOSTILE, bytes: Bytes::copy_from_slice(chunk) });
    }
    if !server.closed.contains(&HOSTILE) {
        server.input(Input::Closed { conn: HOSTILE, reason: CloseReason::Reset });
    }
    let acl = Some(vec![Acl::open()]);
    let create = CreateRequest { path: "/honest".into(), data: None, acl, flags: 1 };
    let mut out = BytesMut::new();
    let request = Request::Create(create);
    put_frame(&mut out, |out| {
        RequestHeader { xid: 77, kind: request.op() }.write(out);
        request.encode(out);
    });
    server.input(Input::Received { conn: HONEST, bytes: out.freeze() });
    assert!(!server.closed.contains(&HONEST), "an honest client is sent away");
    let reply = Reply::decode(request.op(), server.last(HONEST)).expect("a reply");
    assert_eq!(reply.header.xid, 77);
    assert!(matches!(reply.header.err, code::OK | code::NODE_EXISTS | code::NO_AUTH), "{reply:?}");
    let state = server.peer.state().tree().expect("a tree");
    assert_eq!(state.outstanding_changes(), 0, "what was prepared is applied");
    assert_eq!(state.database().digest_mismatches(), 0);
    server.sent.iter().filter(|(to, _)| *to == HOSTILE).count()
}

/// The bytes as bodies of requests, each in a frame that is right: `type, length, body` again and again.
pub fn requests(data: &[u8]) -> usize {
    let mut framed = BytesMut::new();
    framed.put_u8(0xfe);
    let mut rest = data;
    let mut xid = 0;
    while let [kind, length, more @ ..] = rest {
        let (body, behind) = more.split_at(usize::from(*length).min(more.len()));
        xid += 1;
        let kind = i32::from(*kind as i8);
        put_frame(&mut framed, |out| {
            RequestHeader { xid, kind }.write(out);
            out.extend_from_slice(body);
        });
        rest = behind;
    }
    client_bytes(&framed)
}
