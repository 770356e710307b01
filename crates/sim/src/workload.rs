//! Clients: sessions that write, read and sync through any member, with time-outs, reconnects and
//! unique values. The runner hands them timers and outputs; they hand inputs to the world and
//! observations to the checkers.

use std::fmt::Write;

use bytes::Bytes;
use checker::{ClientObservation, Outcome};
use peer::{ClientId, ClientInput, ClientOutput, Nanos};
use serde::{Deserialize, Serialize};
use wire::txn::{get_data_request, set_data_request, sync_request};
use wire::{Reader, ServerId, SessionId, Zxid, code, op};

use crate::draw::{Concern, Draws};
use crate::world::World;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkloadSpec {
    /// Clients with a session each.
    pub clients: u32,
    /// Requests that a client has under way at once.
    pub in_flight: u32,
    /// Pause between an answer and the next request, at most.
    pub think_ms: u64,
    /// Reads and syncs among a thousand requests; the rest writes.
    pub reads_milli: u64,
    pub syncs_milli: u64,
    /// Sessions closed by their client, of a thousand requests.
    pub closes_milli: u64,
    pub registers: u64,
    pub request_timeout_ms: u64,
    pub session_timeout_ms: i32,
    /// Members that clients connect to; empty: all.
    pub through: Vec<i64>,
    /// Clients begin at this time.
    pub start_ms: u64,
    /// They go on for so long once everything is healed and everybody is back.
    pub busy_ms: u64,
}

impl Default for WorkloadSpec {
    fn default() -> Self {
        WorkloadSpec {
            clients: 3,
            in_flight: 1,
            think_ms: 20,
            reads_milli: 150,
            syncs_milli: 50,
            closes_milli: 2,
            registers: 5,
            request_timeout_ms: 4000,
            session_timeout_ms: 10_000,
            through: Vec::new(),
            start_ms: 0,
            busy_ms: 2000,
        }
    }
}

#[derive(Clone, Debug)]
struct Asked {
    cxid: i32,
    op: i32,
}

#[derive(Clone, Debug)]
enum State {
    Down,
    Connecting,
    Open,
    /// The session's close is asked for: nothing may follow it.
    Closing,
}

#[derive(Clone, Debug)]
struct Client {
    draws: Draws,
    /// Counts connections: an answer to an older one is not ours.
    attempt: u32,
    member: ServerId,
    state: State,
    session: Option<SessionId>,
    last_zxid: Zxid,
    next_cxid: i32,
    asked: Vec<Asked>,
    /// Nothing was heard for too long then.
    timeout_at: Nanos,
    /// A timer of this attempt is under way.
    armed: bool,
}

#[derive(Clone, Debug)]
pub struct Workload {
    spec: WorkloadSpec,
    clients: Vec<Client>,
    members: Vec<ServerId>,
    stopped: bool,
    pub acknowledged: u64,
    pub answered: u64,
    pub unknown: u64,
    values: u64,
    /// Scratch for the path and the value of a request.
    path: String,
    value: String,
    /// Connect again only to this member (scenarios move sessions so).
    pub only: Option<ServerId>,
}

const WAKE: u64 = 1;
const TIMEOUT: u64 = 2;

fn timer(kind: u64, client: usize, attempt: u32) -> u64 {
    kind << 56 | (client as u64) << 32 | u64::from(attempt)
}

impl Workload {
    pub fn new(seed: u64, spec: WorkloadSpec, members: &[ServerId]) -> Workload {
        let through: Vec<ServerId> = if spec.through.is_empty() {
            members.to_vec()
        } else {
            spec.through.iter().map(|sid| ServerId(*sid)).collect()
        };
        let clients = (0..spec.clients)
            .map(|i| Client {
                draws: Draws::new(seed, Concern::Workload, u64::from(i)),
                attempt: 0,
                member: through[0],
                state: State::Down,
                session: None,
                last_zxid: Zxid::ZERO,
                next_cxid: 1,
                asked: Vec::new(),
                timeout_at: Nanos::NEVER,
                armed: false,
            })
            .collect();
        Workload {
            spec,
            clients,
            members: through,
            stopped: false,
            acknowledged: 0,
            answered: 0,
            unknown: 0,
            values: 0,
            path: String::new(),
            value: String::new(),
            only: None,
        }
    }

    pub fn start(&mut self, world: &mut World) {
        for i in 0..self.clients.len() {
            let delay =
                Nanos::from_millis(self.spec.start_ms) + Nanos(self.clients[i].draws.below(50_000_000));
            world.timer(world.now + delay, timer(WAKE, i, 0));
        }
    }

    /// No new requests; what is under way may end.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Clients leave their connections (and reconnect, with their sessions).
    pub fn reconnect_all(&mut self, world: &mut World) {
        for i in 0..self.clients.len() {
            let id = self.id(i);
            let member = self.clients[i].member;
            self.lose(world, i);
            world.client(member, ClientInput::Disconnect { client: id });
        }
    }

    pub fn busy(&self) -> Nanos {
        Nanos::from_millis(self.spec.busy_ms)
    }

    pub fn writes_in_flight(&self) -> usize {
        self.clients.iter().flat_map(|c| &c.asked).filter(|asked| asked.op == op::SET_DATA).count()
    }

    fn id(&self, i: usize) -> ClientId {
        ClientId((i as u64) << 32 | u64::from(self.clients[i].attempt))
    }

    pub fn on_timer(&mut self, world: &mut World, value: u64) {
        let (kind, i, attempt) = (value >> 56, (value >> 32 & 0xff_ffff) as usize, value as u32);
        if self.clients[i].attempt != attempt {
            return;
        }
        match (kind, &self.clients[i].state) {
            (WAKE, State::Down) if !self.stopped => self.connect(world, i),
            (WAKE, State::Open) => self.ask(world, i),
            (TIMEOUT, _) => self.on_timeout(world, i),
            _ => {}
        }
    }

    /// Only a connection on which nothing moves is given up.
    fn on_timeout(&mut self, world: &mut World, i: usize) {
        let client = &mut self.clients[i];
        client.armed = false;
        let waits = match client.state {
            State::Down => false,
            State::Connecting => true,
            State::Open | State::Closing => !client.asked.is_empty(),
        };
        if waits && world.now < client.timeout_at {
            self.arm(world, i);
        } else if waits {
            self.give_up(world, i);
        }
    }

    fn give_up(&mut self, world: &mut World, i: usize) {
        let (id, member) = (self.id(i), self.clients[i].member);
        self.lose(world, i);
        world.client(member, ClientInput::Disconnect { client: id });
    }

    fn connect(&mut self, world: &mut World, i: usize) {
        let n = self.members.len() as u64;
        let client = &mut self.clients[i];
        client.attempt += 1;
        let drawn = self.members[client.draws.below(n) as usize];
        client.member = self.only.unwrap_or(drawn);
        client.state = State::Connecting;
        let input = ClientInput::Connect {
            client: ClientId((i as u64) << 32 | u64::from(client.attempt)),
            resume: client.session,
            timeout_ms: self.spec.session_timeout_ms,
            last_zxid: client.last_zxid,
            auth: Vec::new(),
        };
        client.armed = false;
        let member = client.member;
        self.expect_answer(world, i);
        world.client(member, input);
    }

    /// The time-out begins anew; one timer serves them all.
    fn expect_answer(&mut self, world: &mut World, i: usize) {
        self.clients[i].timeout_at = world.now + Nanos::from_millis(self.spec.request_timeout_ms);
        if !self.clients[i].armed {
            self.arm(world, i);
        }
    }

    fn arm(&mut self, world: &mut World, i: usize) {
        let client = &mut self.clients[i];
        client.armed = true;
        world.timer(client.timeout_at, timer(TIMEOUT, i, client.attempt));
    }

    /// The connection is gone: what was asked may have happened or not.
    fn lose(&mut self, world: &mut World, i: usize) {
        let client = &mut self.clients[i];
        let session = client.session.unwrap_or(SessionId(0));
        for asked in std::mem::take(&mut client.asked) {
            self.unknown += 1;
            let observation = ClientObservation::Unknown { client: i as u64, session, cxid: asked.cxid };
            world.checkers.client(world.now, &observation);
        }
        client.state = State::Down;
        client.attempt += 1;
        client.armed = false;
        let delay = Nanos::from_millis(client.draws.range(20, 400));
        world.timer(world.now + delay, timer(WAKE, i, client.attempt));
    }

    fn ask(&mut self, world: &mut World, i: usize) {
        while !self.stopped
            && matches!(self.clients[i].state, State::Open)
            && self.clients[i].asked.len() < self.spec.in_flight as usize
        {
            self.ask_one(world, i);
        }
    }

    fn ask_one(&mut self, world: &mut World, i: usize) {
        self.values += 1;
        self.path.clear();
        self.value.clear();
        let _ = write!(self.value, "v{}", self.values);
        let spec = &self.spec;
        let client = &mut self.clients[i];
        let Some(session) = client.session else { return };
        let register = client.draws.below(spec.registers.max(1));
        let owned = client.draws.chance(50);
        let _ =
            if owned { write!(self.path, "/e/{:x}", session.0) } else { write!(self.path, "/r{register}") };
        let (path, value) = (&self.path, &self.value);
        let pick = client.draws.below(1000);
        let (op, body) = if pick < spec.reads_milli {
            (op::GET_DATA, get_data_request(path.as_bytes()))
        } else if pick < spec.reads_milli + spec.syncs_milli {
            (op::SYNC, sync_request(path.as_bytes()))
        } else if pick < spec.reads_milli + spec.syncs_milli + spec.closes_milli {
            (op::CLOSE_SESSION, Bytes::new())
        } else {
            (op::SET_DATA, set_data_request(path.as_bytes(), value.as_bytes(), -1))
        };
        let cxid = client.next_cxid;
        client.next_cxid += 1;
        client.asked.push(Asked { cxid, op });
        if op == op::CLOSE_SESSION {
            client.state = State::Closing;
        }
        let value: &[u8] = if op == op::SET_DATA { self.value.as_bytes() } else { b"" };
        let (member, attempt) = (client.member, client.attempt);
        let id = ClientId((i as u64) << 32 | u64::from(attempt));
        let observation =
            ClientObservation::Invoked { client: i as u64, session, cxid, op, path: &self.path, value };
        world.checkers.client(world.now, &observation);
        self.expect_answer(world, i);
        world.client(member, ClientInput::Request { client: id, cxid, op, body });
    }

    pub fn on_output(&mut self, world: &mut World, output: &ClientOutput) {
        let client = output.client();
        let (i, attempt) = ((client.0 >> 32) as usize, client.0 as u32);
        if i >= self.clients.len() || self.clients[i].attempt != attempt {
            return;
        }
        match output {
            ClientOutput::Connected { session, .. } => {
                let c = &mut self.clients[i];
                if c.session != Some(*session) {
                    c.next_cxid = 1;
                }
                c.session = Some(*session);
                c.state = State::Open;
                self.ask(world, i);
            }
            ClientOutput::Expired { .. } => {
                self.lose(world, i);
                self.clients[i].session = None;
            }
            ClientOutput::Disconnected { .. } => self.lose(world, i),
            ClientOutput::Reply { cxid, zxid, result, .. } => self.on_reply(world, i, *cxid, *zxid, result),
            // Registers are not watched.
            ClientOutput::Notification { .. } => {}
        }
    }

    fn on_reply(&mut self, world: &mut World, i: usize, cxid: i32, zxid: Zxid, result: &Result<Bytes, i32>) {
        let client = &mut self.clients[i];
        let Some(at) = client.asked.iter().position(|asked| asked.cxid == cxid) else { return };
        let asked = client.asked.remove(at);
        client.last_zxid = client.last_zxid.max(zxid);
        let session = client.session.unwrap_or(SessionId(0));
        let outcome = outcome(asked.op, result);
        self.answered += 1;
        if outcome == Outcome::Written {
            self.acknowledged += 1;
        }
        let observation = ClientObservation::Replied { client: i as u64, session, cxid, zxid, outcome };
        world.checkers.client(world.now, &observation);
        if asked.op == op::CLOSE_SESSION {
            return;
        }
        // An answer is a sign of life.
        self.expect_answer(world, i);
        if self.spec.think_ms == 0 {
            self.ask(world, i);
        } else {
            let client = &mut self.clients[i];
            let think = Nanos(client.draws.below(self.spec.think_ms * 1_000_000 + 1));
            world.timer(world.now + think, timer(WAKE, i, client.attempt));
        }
    }
}

fn outcome(kind: i32, result: &Result<Bytes, i32>) -> Outcome {
    match (kind, result) {
        (op::GET_DATA, Ok(bytes)) => {
            let mut r = Reader::new(bytes.clone());
            let read = r.buffer("data").and_then(|_| Ok((r.i32("version")?, r.i64("mzxid")?)));
            match read {
                Ok((version, mzxid)) => Outcome::Read { version, mzxid: Zxid(mzxid) },
                Err(_) => Outcome::Failed(code::UNIMPLEMENTED),
            }
        }
        (op::GET_DATA, Err(code::NO_NODE)) => Outcome::Absent,
        (op::SET_DATA, Ok(_)) => Outcome::Written,
        (_, Ok(_)) => Outcome::Done,
        (_, Err(code)) => Outcome::Failed(*code),
    }
}
