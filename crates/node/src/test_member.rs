//! For tests: a member that is its own quorum, on a disk in memory, with clients that have said a few things. Time
//! is the test's, so that every answer is the same each time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use peer::{ConnId, DiskDone, Input, Nanos, Now, Outbox, Output, Peer, State, StateKind, TreeSettings};
use storage::{MemFs, Storage, StorageSettings};
use wire::client::{ConnectRequest, RequestHeader, put_frame};
use wire::{Jute, op};

use crate::metrics::Metrics;
use crate::packet_trace::PacketTrace;
use crate::view::{Conf, View};
use crate::zoo_cfg::ZooCfg;

/// 2023-11-14 22:13:20 UTC.
const EPOCH_MS: i64 = 1_700_000_000_000;

pub struct TestMember {
    peer: Peer<State>,
    storage: Storage<MemFs>,
    conf: Arc<Conf>,
    remotes: BTreeMap<ConnId, SocketAddr>,
    metrics: Metrics,
    packets: PacketTrace,
    ms: u64,
}

impl TestMember {
    /// It has not begun.
    pub fn down() -> TestMember {
        let text = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/no/such\ndataLogDir=/no/log\nclientPort=2181\n\
                    server.0=[::1]:2888:3888\nserver.1=b:2888:3888:observer;127.0.0.1:2182\n\
                    standaloneEnabled=false\n";
        TestMember::of(text)
    }

    /// A server that is no member of an ensemble, with a client.
    pub fn alone() -> TestMember {
        let mut member = TestMember::of("dataDir=/no/such\nclientPort=2181\n");
        member.input(Input::Boot);
        let conn = member.client(1);
        member.request(conn, 1, op::CREATE, &create("/a", b"some bytes", 1));
        member
    }

    fn of(text: &str) -> TestMember {
        let cfg = ZooCfg::parse(Path::new("zoo.cfg"), text).expect("a good file");
        let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
        TestMember {
            peer: Peer::new(cfg.config(0), State::new(StateKind::Tree, TreeSettings::default())),
            storage: Storage::new(MemFs::default(), settings),
            conf: Conf::new(&cfg),
            remotes: BTreeMap::new(),
            metrics: Metrics::default(),
            packets: PacketTrace::default(),
            ms: 0,
        }
    }

    /// It leads, and has two clients: session, nodes, watches, an ephemeral; one request is on its way.
    pub fn serving() -> TestMember {
        let mut member = TestMember::down();
        member.input(Input::Boot);
        for _ in 0..100 {
            member.later(50);
            member.input(Input::Deadline);
        }
        assert!(member.peer.status().serving, "a quorum of one");
        let [a, b] = [1, 2].map(|n| member.client(n));
        member.request(a, 1, op::CREATE, &create("/a", b"some bytes", 0));
        member.request(a, 2, op::CREATE, &create("/a/of-a-session", b"", 1));
        member.request(b, 1, op::GET_DATA, &read("/a", true));
        member.request(b, 2, op::EXISTS, &read("/none", true));
        member.request(b, 3, op::GET_CHILDREN, &read("/a", true));
        member.request(b, 4, op::DELETE, &delete("/none"));
        member
    }

    pub fn view(&mut self) -> View<'_> {
        View {
            status: self.peer.status(),
            now: self.now(),
            peer: &mut self.peer,
            conf: Arc::clone(&self.conf),
            remotes: &self.remotes,
            metrics: &mut self.metrics,
            packets: &mut self.packets,
        }
    }

    pub fn later(&mut self, ms: u64) {
        self.ms += ms;
    }

    fn now(&self) -> Now {
        Now { mono: Nanos::from_millis(self.ms), wall_ms: EPOCH_MS + self.ms as i64 }
    }

    /// With all that comes of it at once; each disk operation takes a millisecond.
    pub fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outbox = Outbox::new();
            let now = self.now();
            self.peer.handle(now, input, &mut outbox);
            for output in outbox {
                self.metrics.output(now.mono, &output);
                match output {
                    Output::Disk { id, op } => {
                        let result = self.storage.execute(&op);
                        self.later(1);
                        self.metrics.disk.add(&op, std::time::Duration::from_millis(1));
                        if op.answers() || result.is_err() {
                            inputs.push_back(Input::Disk(DiskDone { id, result }));
                        }
                    }
                    Output::Schedule(task) => inputs.push_back(Input::Run(task)),
                    _ => {}
                }
            }
        }
    }

    /// A connection with a session.
    pub fn client(&mut self, n: u64) -> ConnId {
        let conn = ConnId(ConnId::ACCEPTED | n);
        self.remotes.insert(conn, SocketAddr::from(([127, 0, 0, 1], 40_000 + n as u16)));
        self.input(Input::ClientAccepted { conn, from: "127.0.0.1".into() });
        let connect = ConnectRequest::of_a_new_session(10_000);
        self.say(conn, |out| connect.write(out));
        conn
    }

    pub fn request(&mut self, conn: ConnId, xid: i32, kind: i32, body: &[u8]) {
        self.later(100);
        self.say(conn, |out| {
            RequestHeader { xid, kind }.write(out);
            out.extend_from_slice(body);
        });
    }

    fn say(&mut self, conn: ConnId, packet: impl FnOnce(&mut BytesMut)) {
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, packet);
        self.input(Input::Received { conn, bytes: bytes.freeze() });
    }
}

fn text(out: &mut BytesMut, bytes: &[u8]) {
    Bytes::copy_from_slice(bytes).write(out);
}

/// Everybody may do everything; `flags`: 1 for an ephemeral.
pub fn create(path: &str, data: &[u8], flags: i32) -> Bytes {
    let mut out = BytesMut::new();
    text(&mut out, path.as_bytes());
    text(&mut out, data);
    1_i32.write(&mut out);
    31_i32.write(&mut out);
    text(&mut out, b"world");
    text(&mut out, b"anyone");
    flags.write(&mut out);
    out.freeze()
}

pub fn read(path: &str, watch: bool) -> Bytes {
    let mut out = BytesMut::new();
    text(&mut out, path.as_bytes());
    watch.write(&mut out);
    out.freeze()
}

pub fn delete(path: &str) -> Bytes {
    let mut out = BytesMut::new();
    text(&mut out, path.as_bytes());
    (-1_i32).write(&mut out);
    out.freeze()
}
