//! A server alone, over the tree, with a disk in memory: its client port, and what comes back.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peer::{
    Config, ConnId, DiskDone, DiskOp, Input, LearnerType, Member, Nanos, Now, Output, Peer, QuorumVerifier,
    Settings, State, StateKind, Switches, TreeSettings, View,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::client::{
    AuthPacket, ConnectRequest, ConnectResponse, CreateRequest, ExistsRequest, FrameStream, ReplyHeader,
    Request, RequestHeader, put_frame,
};
use wire::{Acl, Jute, Reader, ServerId, SessionId, op};

pub struct Server {
    pub peer: Peer<State>,
    pub storage: Storage<MemFs>,
    pub now: Nanos,
    /// Answers of the disk to fsyncs, while it is slow.
    pub slow: Option<Vec<Input>>,
    pub sent: BTreeMap<ConnId, FrameStream>,
    pub closed: Vec<ConnId>,
    pub reading: Vec<(ConnId, bool)>,
    pub halted: Option<String>,
    /// What it wanted of other members.
    pub network: Vec<Output>,
}

fn config(settings: Settings, voters: i64) -> Config {
    let member = |id| Member {
        learner_type: LearnerType::Participant,
        quorum_address: format!("h{id}:2888:3888"),
        election_address: format!("h{id}:3888"),
        client_address: None,
    };
    let verifier = QuorumVerifier::Majority { voters: (1..=voters).map(ServerId).collect() };
    let view = View::unversioned((1..=voters).map(|id| (ServerId(id), member(id))).collect(), verifier);
    Config { sid: ServerId(1), view, seen_view: None, settings, switches: Switches::NONE, seed: 1 }
}

pub fn conn(number: u64) -> ConnId {
    ConnId(ConnId::ACCEPTED | number)
}

impl Server {
    pub fn new(settings: Settings) -> Server {
        let storage = StorageSettings { prealloc: 0, ..StorageSettings::default() };
        Server::with_disk(settings, Storage::new(MemFs::default(), storage))
    }

    /// A process over this disk.
    pub fn with_disk(settings: Settings, storage: Storage<MemFs>) -> Server {
        let mut server = Server::booted(config(settings, 1), storage);
        while !server.peer.status().serving && server.halted.is_none() {
            server.now = server.peer.next_deadline().at;
            server.input(Input::Deadline);
        }
        server
    }

    /// One of three, of which the others are not there.
    pub fn without_a_quorum(settings: Settings) -> Server {
        let storage = StorageSettings { prealloc: 0, ..StorageSettings::default() };
        let mut server = Server::booted(config(settings, 3), Storage::new(MemFs::default(), storage));
        for _ in 0..5 {
            server.now = server.peer.next_deadline().at;
            server.input(Input::Deadline);
        }
        assert!(!server.peer.status().serving);
        server
    }

    fn booted(config: Config, storage: Storage<MemFs>) -> Server {
        let mut server = Server {
            peer: Peer::new(config, State::new(StateKind::Tree, TreeSettings::default())),
            storage,
            now: Nanos::ZERO,
            slow: None,
            sent: BTreeMap::new(),
            closed: Vec::new(),
            reading: Vec::new(),
            halted: None,
            network: Vec::new(),
        };
        server.input(Input::Boot);
        server
    }

    pub fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Now { mono: self.now, wall_ms: 1_700_000_000_000 };
            let mut out = Vec::new();
            self.peer.handle(now, input, &mut out);
            for output in out {
                match output {
                    Output::Disk { id, op } => {
                        let done = Input::Disk(DiskDone { id, result: self.storage.execute(&op) });
                        match &mut self.slow {
                            Some(slow) if op == DiskOp::Sync => slow.push(done),
                            _ if op.answers() => inputs.push_back(done),
                            _ => {}
                        }
                    }
                    Output::Schedule(task) => inputs.push_back(Input::Run(task)),
                    Output::Send { conn, bytes, .. } => {
                        self.sent.entry(conn).or_insert_with(|| FrameStream::new(1 << 22)).feed(bytes);
                    }
                    Output::Close { conn } => self.closed.push(conn),
                    Output::Reading { conn, on } => self.reading.push((conn, on)),
                    Output::Halt { why } => self.halted = Some(why.to_string()),
                    Output::Listen(_) | Output::Connect { .. } => self.network.push(output),
                    _ => {}
                }
            }
        }
    }

    /// The disk is fast again, and answers what it owes.
    pub fn is_fast(&mut self) {
        for done in self.slow.take().unwrap_or_default() {
            self.input(done);
        }
    }

    pub fn accept(&mut self, number: u64, from: &str) {
        self.input(Input::ClientAccepted { conn: conn(number), from: from.into() });
    }

    pub fn say(&mut self, number: u64, bytes: BytesMut) {
        self.input(Input::Received { conn: conn(number), bytes: bytes.freeze() });
    }

    /// A client with a session.
    pub fn connect(&mut self, number: u64, from: &str) {
        self.resume(number, from, SessionId(0), None);
    }

    /// A client with this session, or a new one (0): the session's id and password, 0 where it is refused.
    pub fn resume(
        &mut self,
        number: u64,
        from: &str,
        session_id: SessionId,
        passwd: Option<Bytes>,
    ) -> (SessionId, Option<Bytes>) {
        self.accept(number, from);
        let connect = ConnectRequest { session_id, passwd, ..ConnectRequest::of_a_new_session(30_000) };
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, |out| connect.write(out));
        self.say(number, bytes);
        let packet = self.packet(number).expect("a ConnectResponse");
        let response =
            ConnectResponse::read(&mut Reader::new(packet), "response").expect("a ConnectResponse");
        (response.session_id, response.passwd)
    }

    pub fn pass(&mut self, millis: u64) {
        let until = self.now + Nanos::from_millis(millis);
        while self.peer.next_deadline().at <= until {
            self.now = self.now.max(self.peer.next_deadline().at);
            self.input(Input::Deadline);
        }
        self.now = until;
    }

    pub fn packet(&mut self, number: u64) -> Option<Bytes> {
        self.sent.get_mut(&conn(number))?.next().expect("whole packets")
    }

    /// Headers of the replies that came.
    pub fn replies(&mut self, number: u64) -> Vec<ReplyHeader> {
        let mut replies = Vec::new();
        while let Some(packet) = self.packet(number) {
            replies.push(ReplyHeader::read(&mut Reader::new(packet), "reply").expect("a header"));
        }
        replies
    }

    pub fn ask(&mut self, number: u64, request: &Request) -> ReplyHeader {
        self.say(number, framed(1, request));
        *self.replies(number).last().expect("a reply")
    }
}

pub fn framed(xid: i32, request: &Request) -> BytesMut {
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, |out| {
        RequestHeader { xid, kind: request.op() }.write(out);
        request.encode(out);
    });
    bytes
}

pub fn auth(xid: i32, scheme: &'static str, auth: &'static str) -> BytesMut {
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, |out| {
        RequestHeader { xid, kind: op::AUTH }.write(out);
        AuthPacket { kind: 0, scheme: scheme.into(), auth: Some(auth.into()) }.write(out);
    });
    bytes
}

pub fn create(path: &str, size: usize) -> Request {
    let (data, acl) = (Some(Bytes::from(vec![7; size])), Some(vec![Acl::open()]));
    Request::Create(CreateRequest { path: path.to_owned().into(), data, acl, flags: 0 })
}

pub fn exists(path: &str, watch: bool) -> Request {
    Request::Exists(ExistsRequest { path: path.to_owned().into(), watch })
}
