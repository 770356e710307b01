//! Three members in one process, with the server as their state: bytes arrive at once and in order, disks are
//! in memory, time passes when nothing else happens.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peer::{
    ClientId, ClientInput, ClientOutput, CloseReason, Config, ConnId, DiskDone, DiskOp, Event, Input,
    LearnerType, Member, Nanos, Now, Output, Peer, Port, QuorumVerifier, Role, Settings, StateMachine,
    Switches, TxnEntry, View,
};
use server::ZooKeeperServer;
use storage::{MemFs, Storage, StorageSettings};
use wire::client::{Request, Response};
use wire::{Id, ServerId, SessionId, Zxid};

struct Host {
    /// `None`: the process is down.
    peer: Option<Peer<ZooKeeperServer>>,
    storage: Storage<MemFs>,
    listening: [bool; 2],
}

pub struct Ensemble {
    hosts: BTreeMap<i64, Host>,
    /// The two ends of each connection, by one of them.
    other_end: BTreeMap<(i64, ConnId), (i64, ConnId)>,
    next_conn: u64,
    now: Nanos,
    ready: VecDeque<(i64, Input)>,
    replies: VecDeque<ClientOutput>,
    pub events: Vec<(i64, Event)>,
    jute_maxbuffer: usize,
}

fn config(sid: i64, jute_maxbuffer: usize) -> Config {
    let member = |id: i64| {
        let member = Member {
            learner_type: LearnerType::Participant,
            quorum_address: format!("h{id}:2888:3888"),
            election_address: format!("h{id}:3888"),
            client_address: None,
        };
        (ServerId(id), member)
    };
    let verifier = QuorumVerifier::Majority { voters: (1..=3).map(ServerId).collect() };
    let (snap_count, commit_log_count, snapshot_slice) = (60, 10, 300);
    let settings =
        Settings { snap_count, commit_log_count, snapshot_slice, jute_maxbuffer, ..Settings::default() };
    let view = View::unversioned((1..=3).map(member).collect(), verifier);
    Config { sid: ServerId(sid), view, seen_view: None, settings, switches: Switches::NONE, seed: 5 }
}

fn storage() -> Storage<MemFs> {
    Storage::new(MemFs::default(), StorageSettings { prealloc: 0, ..StorageSettings::default() })
}

impl Ensemble {
    pub fn new() -> Ensemble {
        Ensemble::with_limit(Settings::default().jute_maxbuffer)
    }

    pub fn with_limit(jute_maxbuffer: usize) -> Ensemble {
        let host = |sid| (sid, Host { peer: None, storage: storage(), listening: [false; 2] });
        let mut ensemble = Ensemble {
            hosts: (1..=3).map(host).collect(),
            other_end: BTreeMap::new(),
            next_conn: 0,
            now: Nanos::ZERO,
            ready: VecDeque::new(),
            replies: VecDeque::new(),
            events: Vec::new(),
            jute_maxbuffer,
        };
        (1..=3).for_each(|sid| ensemble.start(sid));
        ensemble
    }

    pub fn start(&mut self, sid: i64) {
        let host = self.hosts.get_mut(&sid).expect("a member");
        let config = config(sid, self.jute_maxbuffer);
        let tree = server::Settings { max_txn: config.settings.max_record(), ..server::Settings::default() };
        host.peer = Some(Peer::new(config, ZooKeeperServer::new(tree)));
        self.ready.push_back((sid, Input::Boot));
    }

    pub fn stop(&mut self, sid: i64) {
        let host = self.hosts.get_mut(&sid).expect("a member");
        (host.peer, host.listening) = (None, [false; 2]);
        host.storage.forget_memory();
        let mine: Vec<_> = self.other_end.keys().filter(|(of, _)| *of == sid).copied().collect();
        for end in mine {
            self.close(end, CloseReason::Reset);
        }
        self.ready.retain(|(of, _)| *of != sid);
    }

    /// What its log holds beyond what it wrote itself.
    pub fn append(&mut self, sid: i64, entries: Vec<TxnEntry>) {
        let storage = &mut self.hosts.get_mut(&sid).expect("a member").storage;
        for op in [DiskOp::Load, DiskOp::Append(entries), DiskOp::Sync] {
            storage.execute(&op).expect("done");
        }
        storage.forget_memory();
    }

    /// A member that comes back with nothing.
    pub fn lose_disk(&mut self, sid: i64) {
        self.hosts.get_mut(&sid).expect("a member").storage = storage();
    }

    fn close(&mut self, end: (i64, ConnId), reason: CloseReason) {
        if let Some(other) = self.other_end.remove(&end) {
            self.other_end.remove(&other);
            self.ready.push_back((other.0, Input::Closed { conn: other.1, reason }));
        }
    }

    fn dial(&mut self, from: (i64, ConnId), to: i64, port: Port) {
        if !self.hosts[&to].listening[port as usize] {
            let reason = CloseReason::Refused;
            return self.ready.push_back((from.0, Input::Closed { conn: from.1, reason }));
        }
        self.next_conn += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.next_conn);
        self.other_end.insert(from, (to, conn));
        self.other_end.insert((to, conn), from);
        self.ready.push_back((to, Input::Accepted { conn, port }));
        self.ready.push_back((from.0, Input::Connected { conn: from.1 }));
    }

    fn output(&mut self, sid: i64, output: Output) {
        match output {
            Output::Listen(port) => self.hosts.get_mut(&sid).expect("it").listening[port as usize] = true,
            Output::StopListening(port) => {
                self.hosts.get_mut(&sid).expect("it").listening[port as usize] = false;
            }
            Output::Connect { conn, to, port } => self.dial((sid, conn), to.0, port),
            Output::Send { conn, bytes, notify } => {
                if let Some((to, other)) = self.other_end.get(&(sid, conn)).copied() {
                    self.ready.push_back((to, Input::Received { conn: other, bytes }));
                }
                if notify {
                    self.ready.push_back((sid, Input::Drained { conn }));
                }
            }
            Output::Close { conn } => self.close((sid, conn), CloseReason::Eof),
            Output::Disk { id, op } => {
                let result = self.hosts.get_mut(&sid).expect("it").storage.execute(&op);
                if op.answers() || result.is_err() {
                    self.ready.push_back((sid, Input::Disk(DiskDone { id, result })));
                }
            }
            Output::Client(output) => self.replies.push_back(output),
            Output::Schedule(task) => self.ready.push_back((sid, Input::Run(task))),
            Output::Event(event) => self.events.push((sid, event)),
            Output::Reading { .. } => unreachable!("these clients are the host's"),
            Output::Halt { why } => panic!("{sid} gave up: {why}"),
        }
    }

    /// Everything that follows at once.
    fn settle(&mut self) {
        while let Some((sid, input)) = self.ready.pop_front() {
            let now = Now { mono: self.now, wall_ms: 1_700_000_000_000 + self.now.0 as i64 / 1_000_000 };
            let Some(peer) = &mut self.hosts.get_mut(&sid).expect("a member").peer else { continue };
            let mut outputs = Vec::new();
            peer.handle(now, input, &mut outputs);
            for output in outputs {
                self.output(sid, output);
            }
        }
    }

    pub fn pass(&mut self, millis: u64) {
        let until = self.now + Nanos::from_millis(millis);
        loop {
            self.settle();
            let next = self
                .hosts
                .iter()
                .filter_map(|(sid, host)| Some((host.peer.as_ref()?.next_deadline().at, *sid)));
            let Some((at, sid)) = next.min().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            self.ready.push_back((sid, Input::Deadline));
        }
        self.now = until;
    }

    /// Until all that run serve.
    pub fn serve(&mut self) {
        for _ in 0..100 {
            self.pass(200);
            let mut running = self.hosts.values().filter_map(|host| host.peer.as_ref());
            if running.all(|peer| peer.status().serving) {
                return;
            }
        }
        panic!("they do not come to serve");
    }

    pub fn leader(&self) -> i64 {
        let leads = |host: &Host| host.peer.as_ref().is_some_and(|peer| peer.role() == Role::Leading);
        *self.hosts.iter().find(|(_, host)| leads(host)).expect("a leader").0
    }

    pub fn last_zxid(&self) -> Zxid {
        let running = self.hosts.values().filter_map(|host| host.peer.as_ref());
        running.map(|peer| peer.status().last_zxid).max().expect("one runs")
    }

    pub fn state(&self, sid: i64) -> &ZooKeeperServer {
        self.hosts[&sid].peer.as_ref().expect("it runs").state()
    }

    pub fn connect(&mut self, sid: i64, client: u64, resume: Option<SessionId>) -> SessionId {
        let auth = vec![Id::of("ip", "127.0.0.1")];
        let connect = ClientInput::Connect {
            client: ClientId(client),
            resume,
            timeout_ms: 30_000,
            last_zxid: Zxid::ZERO,
            auth,
        };
        self.ready.push_back((sid, Input::Client(connect)));
        self.settle();
        match self.replies.pop_front() {
            Some(ClientOutput::Connected { session, .. }) => session,
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, sid: i64, client: u64, cxid: i32, request: &Request) {
        let mut body = BytesMut::new();
        request.encode(&mut body);
        let (client, op, body) = (ClientId(client), request.op(), body.freeze());
        self.ready.push_back((sid, Input::Client(ClientInput::Request { client, cxid, op, body })));
    }

    /// The reply to a request, once it is there.
    pub fn ask(&mut self, sid: i64, client: u64, request: &Request) -> Result<Response, i32> {
        self.send(sid, client, 9, request);
        self.settle();
        self.reply(request)
    }

    pub fn reply(&mut self, request: &Request) -> Result<Response, i32> {
        self.settle();
        // The end of a session is told to every connection that had it.
        let told = |output: &ClientOutput| !matches!(output, ClientOutput::Expired { .. });
        self.replies.retain(told);
        match self.replies.pop_front() {
            Some(ClientOutput::Reply { result, .. }) => {
                result.map(|body: Bytes| Response::decode(request.op(), body).expect("a reply"))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Events such as the end of a session, of all clients.
    pub fn forget_replies(&mut self) {
        self.replies.clear();
    }

    pub fn assert_equal(&self) {
        let states: Vec<&ZooKeeperServer> =
            self.hosts.values().filter_map(|host| Some(host.peer.as_ref()?.state())).collect();
        for state in &states {
            assert_eq!(state.digest(), states[0].digest());
            assert_eq!(state.database().tree.node_count(), states[0].database().tree.node_count());
            assert_eq!(state.database().digest_mismatches(), 0);
        }
    }
}
