//! What others can make a member keep: connections that owe their hello are bounded in number, in time and in
//! bytes, on both ports; so is what waits for a learner that reads nothing.

use bytes::{Bytes, BytesMut};
use peer::{
    ClientId, ClientInput, Config, ConnId, DiskDone, Event, Input, LearnerType, Member, Nanos, Now, Output,
    Peer, Port, QuorumVerifier, RegisterMap, Settings, Switches, View,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::txn::set_data_request;
use wire::{Packet, ServerId, Zxid, op};

const LIMIT: usize = 128;

/// The only voter beside an observer (2): it looks, and leads a finalize wait later.
struct Alone {
    peer: Peer<RegisterMap>,
    storage: Storage<MemFs>,
    now: Nanos,
    closed: Vec<(ConnId, String)>,
}

impl Alone {
    fn boot() -> Alone {
        let member = |id: i64, learner_type| {
            let (quorum, election) = (format!("h{id}:2888:3888"), format!("h{id}:3888"));
            let member = Member {
                learner_type,
                quorum_address: quorum,
                election_address: election,
                client_address: None,
            };
            (ServerId(id), member)
        };
        let members = [member(1, LearnerType::Participant), member(2, LearnerType::Observer)].into();
        let config = Config {
            sid: ServerId(1),
            view: View::unversioned(members, QuorumVerifier::Majority { voters: [ServerId(1)].into() }),
            seen_view: None,
            settings: Settings::default(),
            switches: Switches::NONE,
            seed: 0,
        };
        let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
        let mut alone = Alone {
            peer: Peer::new(config, RegisterMap::new()),
            storage: Storage::new(MemFs::default(), settings),
            now: Nanos::ZERO,
            closed: Vec::new(),
        };
        alone.input(Input::Boot);
        alone
    }

    fn input(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        let mut reason = String::new();
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.peer.handle(Now { mono: self.now, wall_ms: 0 }, input, &mut outputs);
            for output in outputs {
                match output {
                    Output::Disk { id, op } => {
                        let result = self.storage.execute(&op);
                        if op.answers() || result.is_err() {
                            inputs.push_back(Input::Disk(DiskDone { id, result }));
                        }
                    }
                    Output::Schedule(task) => inputs.push_back(Input::Run(task)),
                    Output::Event(Event::ConnectionDropped { reason: why, .. }) => reason = why,
                    Output::Close { conn } => self.closed.push((conn, reason.clone())),
                    _ => {}
                }
            }
        }
    }

    /// Let so much time pass.
    fn pass(&mut self, time: Nanos) {
        let until = self.now + time;
        while self.peer.next_deadline().at <= until {
            self.now = self.peer.next_deadline().at.max(self.now);
            self.input(Input::Deadline);
        }
        self.now = until;
    }

    fn accept(&mut self, conn: u64, port: Port) {
        self.input(Input::Accepted { conn: ConnId(ConnId::ACCEPTED | conn), port });
    }

    fn receive(&mut self, conn: u64, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.input(Input::Received { conn: ConnId(ConnId::ACCEPTED | conn), bytes });
    }

    fn was_closed(&self, conn: u64) -> Option<&str> {
        let conn = ConnId(ConnId::ACCEPTED | conn);
        self.closed.iter().find(|(closed, _)| *closed == conn).map(|(_, why)| why.as_str())
    }
}

fn looking() -> Alone {
    Alone::boot()
}

fn leading() -> Alone {
    let mut alone = Alone::boot();
    alone.pass(Nanos::from_millis(1000));
    assert!(alone.peer.status().serving, "alone, it is a quorum");
    alone
}

/// One more than may wait, and the one that waits longest is closed.
fn flood(mut alone: Alone, port: Port, limit: usize) {
    for conn in 1..=limit as u64 {
        alone.accept(conn, port);
        alone.pass(Nanos::from_millis(1));
    }
    assert_eq!(alone.closed.len(), 0, "{:?}", alone.closed);
    alone.accept(1000, port);
    let why = alone.was_closed(1).expect("the oldest gives way");
    assert!(why.contains("too many connections without a hello"), "{why}");
    assert_eq!(alone.closed.len(), 1);
    // The others have their time.
    alone.pass(Nanos::from_millis(19_000));
    alone.pass(Nanos::from_millis(2000));
    assert_eq!(alone.closed.len(), limit + 1);
}

#[test]
fn hellos_that_wait_are_bounded_on_the_election_port() {
    flood(looking(), Port::Election, LIMIT);
}

#[test]
fn hellos_that_wait_are_bounded_on_the_quorum_port() {
    flood(leading(), Port::Quorum, LIMIT + 2);
}

/// A byte now and then does not prolong the time of a hello.
fn trickle(mut alone: Alone, port: Port, hello: &[u8], time: Nanos) {
    alone.accept(1, port);
    for byte in hello {
        alone.pass(Nanos(time.0 / 10));
        alone.receive(1, &[*byte]);
    }
    let why = alone.was_closed(1).expect("its time is over").to_owned();
    assert!(why.contains("time"), "{why}");
}

#[test]
fn a_trickling_hello_has_one_time_out() {
    // FOLLOWERINFO with no end, tickTime * initLimit; a hello with no end, tickTime * syncLimit.
    let follower_info = [0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20];
    trickle(leading(), Port::Quorum, &follower_info, Nanos::from_millis(20_000));
    let hello = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    trickle(looking(), Port::Election, &hello, Nanos::from_millis(10_000));
}

/// What announces more than a hello needs is not waited for.
#[test]
fn a_hello_is_short() {
    let mut leading = leading();
    leading.accept(1, Port::Quorum);
    leading.receive(1, &[0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert!(leading.was_closed(1).is_some(), "64 KiB of LearnerInfo");
    let mut looking = looking();
    looking.accept(1, Port::Election);
    looking.receive(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0]);
    assert!(looking.was_closed(1).is_some(), "64 KiB of address");
}

#[test]
fn an_observer_that_reads_nothing_is_given_up() {
    let mut leading = leading();
    leading.accept(1, Port::Quorum);
    for said in [
        "OBSERVERINFO accepted=0x0 sid=2 protocol=0x10000 config=0",
        "ACKEPOCH last=0x0 current=0",
        "ACK 0x100000000",
        "ACK 0x100000000",
    ] {
        let mut bytes = BytesMut::new();
        said.parse::<Packet>().expect("a packet").encode(&mut bytes);
        leading.receive(1, &bytes);
    }
    assert_eq!(leading.peer.status().leader.map(|leader| leader.synced_observers), Some(1));
    let client = ClientId(1);
    let connect = ClientInput::Connect {
        client,
        resume: None,
        timeout_ms: 10_000,
        last_zxid: Zxid::ZERO,
        auth: Vec::new(),
    };
    leading.input(Input::Client(connect));
    // As large as a client's request may be.
    let body = set_data_request(b"/big", &vec![7; 1_000_000], -1);
    for cxid in 1..=140 {
        let body = body.clone();
        leading.input(Input::Client(ClientInput::Request { client, cxid, op: op::SET_DATA, body }));
    }
    assert_eq!(leading.was_closed(1), None);
    leading.pass(Nanos::from_millis(1000));
    let why = leading.was_closed(1).expect("its queue is too long");
    assert!(why.contains("reads too slowly"), "{why}");
    assert_eq!(leading.peer.status().leader.map(|leader| leader.learners), Some(0));
}
