//! Who a client is reaches the state machine's `prepare`, whether it is the leader's own client or comes
//! as a learner's REQUEST with authinfo.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use peer::{
    ClientId, ClientInput, Config, ConnId, DiskDone, Input, LearnerType, Member, Now, Output, Peer, Port,
    QuorumVerifier, RegisterMap, Settings, StateMachine, Switches, View,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::txn::set_data_request;
use wire::{ForwardedRequest, Id, Packet, ServerId, SessionId, SnapshotRecord, Zxid, op};
use zab::{Applied, WriteRequest};

type Seen = Rc<RefCell<Vec<(i32, Vec<Id>)>>>;

/// A register map that writes down who asked.
#[derive(Clone)]
struct Witness {
    map: RegisterMap,
    seen: Seen,
}

impl StateMachine for Witness {
    type SnapshotCursor = <RegisterMap as StateMachine>::SnapshotCursor;

    fn prepare(&mut self, zxid: Zxid, wall_ms: i64, request: &WriteRequest<'_>) -> Bytes {
        self.seen.borrow_mut().push((request.op, request.auth.to_vec()));
        self.map.prepare(zxid, wall_ms, request)
    }
    fn role_ended(&mut self) {
        self.map.role_ended();
    }
    fn apply(&mut self, zxid: Zxid, txn: &Bytes) -> Applied {
        self.map.apply(zxid, txn)
    }
    fn read(&self, op: i32, body: &Bytes) -> Result<Bytes, i32> {
        self.map.read(op, body)
    }
    fn digest(&self) -> u64 {
        self.map.digest()
    }
    fn is_whole(&self) -> bool {
        self.map.is_whole()
    }
    fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.map.session_timeout(session)
    }
    fn sessions(&self) -> Vec<(SessionId, i32)> {
        self.map.sessions()
    }
    fn snapshot_begin(&self) -> Self::SnapshotCursor {
        self.map.snapshot_begin()
    }
    fn snapshot_slice(&self, cursor: &mut Self::SnapshotCursor, max: usize, out: &mut BytesMut) -> bool {
        self.map.snapshot_slice(cursor, max, out)
    }
    fn clear(&mut self) {
        self.map.clear();
    }
    fn restore(&mut self, record: SnapshotRecord) -> Result<(), String> {
        self.map.restore(record)
    }
}

/// Server 1 alone votes; 2 observes.
fn config() -> Config {
    let member = |learner_type| Member {
        learner_type,
        quorum_address: "h:1:2".into(),
        client_address: None,
        election_address: "h:2".into(),
    };
    let members =
        [(ServerId(1), member(LearnerType::Participant)), (ServerId(2), member(LearnerType::Observer))];
    let verifier = QuorumVerifier::Majority { voters: [ServerId(1)].into() };
    let view = View::unversioned(members.into(), verifier);
    Config {
        sid: ServerId(1),
        view,
        seen_view: None,
        settings: Settings::default(),
        switches: Switches::NONE,
        seed: 0,
    }
}

struct World {
    peer: Peer<Witness>,
    storage: Storage<MemFs>,
    now: Now,
}

impl World {
    /// The input and all that follows from it at once.
    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            self.peer.handle(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Disk { id, op } => {
                        let result = self.storage.execute(&op);
                        if op.answers() {
                            inputs.push_back(Input::Disk(DiskDone { id, result }));
                        }
                    }
                    Output::Schedule(task) => inputs.push_back(Input::Run(task)),
                    _ => {}
                }
            }
        }
    }

    fn packet(&mut self, conn: ConnId, packet: &str) {
        let mut bytes = BytesMut::new();
        packet.parse::<Packet>().expect("a packet").encode(&mut bytes);
        self.input(Input::Received { conn, bytes: bytes.freeze() });
    }
}

fn leader() -> (World, Seen) {
    let seen = Seen::default();
    let state = Witness { map: RegisterMap::new(), seen: seen.clone() };
    let storage = Storage::new(MemFs::default(), StorageSettings { prealloc: 0, ..Default::default() });
    let mut world = World { peer: Peer::new(config(), state), storage, now: Now::default() };
    world.input(Input::Boot);
    while world.peer.role() != peer::Role::Leading {
        world.now.mono = world.peer.next_deadline().at;
        world.input(Input::Deadline);
    }
    (world, seen)
}

fn id(scheme: &'static str, id: &'static str) -> Id {
    Id { scheme: Bytes::from_static(scheme.as_bytes()), id: Bytes::from_static(id.as_bytes()) }
}

#[test]
fn of_the_leaders_own_clients() {
    let (mut world, seen) = leader();
    let client = ClientId(1);
    let auth = vec![id("ip", "10.0.0.9")];
    let connect =
        ClientInput::Connect { client, resume: None, timeout_ms: 10_000, last_zxid: Zxid::ZERO, auth };
    world.input(Input::Client(connect));
    world.input(Input::Client(ClientInput::AddAuth { client, id: id("digest", "me") }));
    let body = set_data_request(b"/a", b"1", -1);
    world.input(Input::Client(ClientInput::Request { client, cxid: 1, op: op::SET_DATA, body }));
    let ip = id("ip", "10.0.0.9");
    assert_eq!(
        *seen.borrow(),
        [(op::CREATE_SESSION, vec![ip.clone()]), (op::SET_DATA, vec![ip, id("digest", "me")])]
    );
}

#[test]
fn of_a_learners_clients() {
    let (mut world, seen) = leader();
    let conn = ConnId(ConnId::ACCEPTED | 1);
    world.input(Input::Accepted { conn, port: Port::Quorum });
    world.packet(conn, "OBSERVERINFO accepted=0x0 sid=2 protocol=0x10000 config=0");
    world.packet(conn, "ACKEPOCH last=0x0 current=0");
    world.packet(conn, "ACK 0x100000000");
    let timeout = Bytes::copy_from_slice(&10_000i32.to_be_bytes());
    for (cxid, op, body, authinfo) in [
        (0, op::CREATE_SESSION, timeout, None),
        (1, op::SET_DATA, set_data_request(b"/a", b"1", -1), Some(vec![id("world", "anyone")])),
    ] {
        let request = ForwardedRequest { session: SessionId(0x55), cxid, op, body, authinfo };
        let mut bytes = BytesMut::new();
        Packet::Request(request).encode(&mut bytes);
        world.input(Input::Received { conn, bytes: bytes.freeze() });
    }
    assert_eq!(
        *seen.borrow(),
        [(op::CREATE_SESSION, Vec::new()), (op::SET_DATA, vec![id("world", "anyone")])]
    );
}
