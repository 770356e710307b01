//! `World`: members, network, disks and clocks under one virtual time. Called by the runner, which
//! steps it and injects faults.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use checker::{Checkers, EnsembleSpec, Observation};
use peer::{
    ClientInput, ClientOutput, CloseReason, Config, ConnId, DiskAnswer, DiskDone, DiskError, DiskOp,
    EpochFile, Event, Input, Lane, Nanos, Now, OpId, Outbox, Output, Peer, Port, Role, Task,
};
use storage::{Storage, StorageSettings};
use wire::{Epoch, ServerId, Zxid};
use zab::register_map::RegisterMap;

use crate::draw::{Concern, Draws};
use crate::faults::{FaultCounters, FaultKind};
use crate::network::{Connection, Direction, End, Network, NetworkSpec, Segment};
use crate::queue::Queue;
use crate::sim_fs::{Loss, SimFs};
use crate::trace::TraceHash;

#[derive(Clone, Debug)]
pub struct DiskSpec {
    /// Mean of a sync, a load, the writing of an epoch file or a snapshot.
    pub mean_sync_ns: u64,
    pub prealloc: u64,
}

#[derive(Clone, Debug)]
pub struct WorldSpec {
    pub seed: u64,
    pub members: Vec<Config>,
    pub network: NetworkSpec,
    pub disk: DiskSpec,
    /// A task is delayed so often (of a thousand), by at most so long.
    pub task_delay_milli: u64,
    pub task_delay_max_ns: u64,
    /// Clock drift is drawn up to so many parts per million.
    pub drift_ppm: u64,
    pub allow_zxid_jumps: bool,
    pub waived: Vec<String>,
}

#[derive(Clone, Debug)]
enum What {
    Arrive {
        connection: usize,
        direction: usize,
        segment: Segment,
    },
    DiskDone {
        member: usize,
        incarnation: u32,
        lane: usize,
    },
    Deadline {
        member: usize,
        incarnation: u32,
    },
    RunTask {
        member: usize,
        incarnation: u32,
        task: Task,
    },
    Resume {
        member: usize,
    },
    Boot {
        member: usize,
    },
    DiskFast {
        member: usize,
    },
    LinkFast {
        from: usize,
        to: usize,
    },
    /// Of the runner or the workload.
    Timer(u64),
}

#[derive(Clone)]
struct Member {
    config: Config,
    sid: ServerId,
    peer: Option<Peer<RegisterMap>>,
    storage: Storage<SimFs>,
    incarnation: u32,
    listening: [bool; 2],
    lanes: [VecDeque<(OpId, DiskOp)>; 3],
    lane_busy: [bool; 3],
    conns: BTreeMap<ConnId, (usize, usize)>,
    next_accepted: u64,
    paused_until: Nanos,
    held: VecDeque<Input>,
    deadline_at: Nanos,
    disk_slow: u64,
    disk_draws: Draws,
    crash_draws: Draws,
    task_draws: Draws,
    seed_draws: Draws,
    /// Local time runs faster by so many parts per million (slower if below zero).
    drift_ppm: i64,
    wall_offset_ms: i64,
    installing: Option<(Zxid, Epoch)>,
}

/// What a step gave to the runner.
#[derive(Clone, Debug)]
pub enum Happened {
    Timer(u64),
    Client { member: ServerId, output: ClientOutput },
    Event { member: ServerId, event: Event },
}

#[derive(Clone)]
pub struct World {
    pub now: Nanos,
    queue: Queue<What>,
    members: Vec<Member>,
    network: Network,
    pub checkers: Checkers,
    pub check: bool,
    pub hash: TraceHash,
    pub faults: FaultCounters,
    /// Inputs handed to machines.
    pub events: u64,
    spec: WorldSpec,
    happened: VecDeque<Happened>,
    /// Events are handed to the runner (else only to the checkers).
    pub tell_events: bool,
    pub trace: Option<Vec<String>>,
    outbox: Outbox,
    ready: VecDeque<(usize, Input)>,
}

const WALL_START_MS: i64 = 1_700_000_000_000;

impl World {
    pub fn new(spec: WorldSpec) -> World {
        let mut draws = Draws::new(spec.seed, Concern::Clock, 0);
        let members: Vec<Member> = spec
            .members
            .iter()
            .map(|config| {
                let entity = config.sid.0 as u64;
                let settings = StorageSettings {
                    prealloc: spec.disk.prealloc,
                    commit_log_count: config.settings.commit_log_count,
                    trust_empty: true,
                };
                let drift = draws.below(2 * spec.drift_ppm + 1) as i64 - spec.drift_ppm as i64;
                Member {
                    config: config.clone(),
                    sid: config.sid,
                    peer: None,
                    storage: Storage::new(SimFs::default(), settings),
                    incarnation: 0,
                    listening: [false; 2],
                    lanes: Default::default(),
                    lane_busy: [false; 3],
                    conns: BTreeMap::new(),
                    next_accepted: 0,
                    paused_until: Nanos::ZERO,
                    held: VecDeque::new(),
                    deadline_at: Nanos::NEVER,
                    disk_slow: 1,
                    disk_draws: Draws::new(spec.seed, Concern::Disk, entity),
                    crash_draws: Draws::new(spec.seed, Concern::Crash, entity),
                    task_draws: Draws::new(spec.seed, Concern::Tasks, entity),
                    seed_draws: Draws::new(spec.seed, Concern::Peer, entity),
                    drift_ppm: drift,
                    wall_offset_ms: draws.below(100) as i64,
                    installing: None,
                }
            })
            .collect();
        let mut ensemble = EnsembleSpec::of(&spec.members[0].view);
        ensemble.allow_zxid_jumps = spec.allow_zxid_jumps;
        ensemble.waived = spec.waived.clone();
        World {
            now: Nanos::ZERO,
            queue: Queue::new(),
            network: Network::new(spec.seed, members.len(), spec.network.clone()),
            members,
            checkers: Checkers::new(&ensemble),
            check: true,
            hash: TraceHash::default(),
            faults: FaultCounters::default(),
            events: 0,
            spec,
            happened: VecDeque::new(),
            tell_events: true,
            trace: None,
            outbox: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    pub fn member_ids(&self) -> Vec<ServerId> {
        self.members.iter().map(|m| m.sid).collect()
    }

    fn index(&self, sid: ServerId) -> usize {
        self.members.iter().position(|m| m.sid == sid).expect("a member of this world")
    }

    pub fn is_up(&self, sid: ServerId) -> bool {
        self.members[self.index(sid)].peer.is_some()
    }

    pub fn role(&self, sid: ServerId) -> Option<Role> {
        self.members[self.index(sid)].peer.as_ref().map(Peer::role)
    }

    pub fn timer(&mut self, at: Nanos, timer: u64) {
        self.queue.push(at.max(self.now), What::Timer(timer));
    }

    /// The next thing that happened, running the world up to `until` for it. `None`: nothing more
    /// happens up to then.
    pub fn next(&mut self, until: Nanos) -> Option<Happened> {
        loop {
            if let Some(happened) = self.happened.pop_front() {
                return Some(happened);
            }
            if self.queue.next_at().is_none_or(|at| at > until) {
                self.now = self.now.max(until);
                return None;
            }
            let (at, what) = self.queue.pop().expect("looked at above");
            debug_assert!(at >= self.now, "time does not go back");
            self.now = at;
            self.step(what);
        }
    }

    fn step(&mut self, what: What) {
        match what {
            What::Timer(timer) => self.happened.push_back(Happened::Timer(timer)),
            What::Arrive { connection, direction, segment } => self.arrive(connection, direction, segment),
            What::DiskDone { member, incarnation, lane } => {
                if self.members[member].incarnation == incarnation {
                    self.disk_done(member, lane);
                }
            }
            What::Deadline { member, incarnation } => {
                let now = self.now;
                let m = &mut self.members[member];
                if m.incarnation == incarnation && m.deadline_at <= now {
                    m.deadline_at = Nanos::NEVER;
                    self.input(member, Input::Deadline);
                }
            }
            What::RunTask { member, incarnation, task } => {
                if self.members[member].incarnation == incarnation {
                    self.input(member, Input::Run(task));
                }
            }
            What::Resume { member } => {
                let m = &mut self.members[member];
                if m.paused_until > Nanos::ZERO && m.paused_until <= self.now {
                    m.paused_until = Nanos::ZERO;
                    for input in std::mem::take(&mut m.held) {
                        self.input(member, input);
                    }
                    self.run_ready();
                    self.arm(member);
                }
            }
            What::Boot { member } => self.boot_now(member),
            What::DiskFast { member } => self.members[member].disk_slow = 1,
            What::LinkFast { from, to } => self.network.link(from, to).slow = 1,
        }
        self.run_ready();
    }

    fn run_ready(&mut self) {
        while let Some((member, input)) = self.ready.pop_front() {
            self.input(member, input);
        }
    }

    // --- members

    fn observe(&mut self, member: usize, observation: &Observation<'_>) {
        if self.check {
            self.checkers.observe(self.now, self.members[member].sid, observation);
        }
    }

    fn say(&mut self, member: usize, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>14} {} {}", self.now.to_string(), self.members[member].sid, line()));
        }
    }

    fn local_now(&self, member: usize) -> Now {
        let m = &self.members[member];
        let drift = (i128::from(self.now.0) * i128::from(m.drift_ppm) / 1_000_000) as i64;
        let mono = Nanos(self.now.0.saturating_add_signed(drift));
        let wall_ms = WALL_START_MS + (mono.0 / 1_000_000) as i64 + m.wall_offset_ms;
        Now { mono, wall_ms }
    }

    /// The world's time at which the member's clock shows `local`.
    fn world_time(&self, member: usize, local: Nanos) -> Nanos {
        let ppm = i128::from(self.members[member].drift_ppm);
        let at = i128::from(local.0) * 1_000_000 / (1_000_000 + ppm);
        Nanos(at as u64 + u64::from(ppm != 0))
    }

    fn input(&mut self, member: usize, input: Input) {
        let now = self.now;
        let local = self.local_now(member);
        let m = &mut self.members[member];
        if m.peer.is_none() {
            return;
        }
        if m.paused_until > Nanos::ZERO {
            self.faults.effect(FaultKind::Pause);
            m.held.push_back(input);
            return;
        }
        self.events += 1;
        self.hash.input(now.0, m.sid.0 as u64, &input);
        if self.trace.is_some() {
            self.say(member, || describe_input(&input));
        }
        let mut outbox = std::mem::take(&mut self.outbox);
        let peer = self.members[member].peer.as_mut().expect("looked at above");
        peer.handle(local, input, &mut outbox);
        for output in outbox.drain(..) {
            self.output(member, output);
        }
        self.outbox = outbox;
        self.arm(member);
    }

    /// One deadline a member is in the queue; an earlier one is put in beside it.
    fn arm(&mut self, member: usize) {
        let m = &self.members[member];
        let Some(peer) = &m.peer else { return };
        let deadline = peer.next_deadline();
        if deadline.at == Nanos::NEVER {
            self.members[member].deadline_at = Nanos::NEVER;
            return;
        }
        let at = self.world_time(member, deadline.at).max(self.now);
        let incarnation = m.incarnation;
        if at < m.deadline_at || m.deadline_at < self.now {
            self.members[member].deadline_at = at;
            self.queue.push(at, What::Deadline { member, incarnation });
        } else if at > m.deadline_at {
            // The earlier entry fires, finds nothing due, and is armed anew.
        }
    }

    fn output(&mut self, member: usize, output: Output) {
        self.hash.output(&output);
        if self.members[member].peer.is_none() {
            return;
        }
        if self.trace.is_some() {
            self.say(member, || format!("  {}", describe_output(&output)));
        }
        match output {
            Output::Event(event) => {
                self.observe(member, &Observation::Event(&event));
                if self.tell_events {
                    let sid = self.members[member].sid;
                    self.happened.push_back(Happened::Event { member: sid, event });
                }
            }
            Output::Send { conn, bytes, notify } => self.send(member, conn, bytes, notify),
            Output::Disk { id, op } => {
                let lane = lane_index(op.lane());
                self.members[member].lanes[lane].push_back((id, op));
                self.start_lane(member, lane);
            }
            Output::Schedule(task) => self.schedule(member, task),
            Output::Client(output) => {
                let member = self.members[member].sid;
                self.happened.push_back(Happened::Client { member, output });
            }
            Output::Listen(port) => self.members[member].listening[port as usize] = true,
            Output::StopListening(port) => self.members[member].listening[port as usize] = false,
            Output::Connect { conn, to, port } => self.connect(member, conn, to, port),
            Output::Close { conn } => self.close(member, conn, CloseReason::Eof),
            Output::Halt { .. } => self.die(member, None),
        }
    }

    fn schedule(&mut self, member: usize, task: Task) {
        let (milli, max) = (self.spec.task_delay_milli, self.spec.task_delay_max_ns);
        let m = &mut self.members[member];
        if milli > 0 && m.task_draws.chance(milli) {
            let delay = m.task_draws.range(1, max.max(1));
            let incarnation = m.incarnation;
            self.faults.inject(FaultKind::DelayedTask);
            self.faults.effect(FaultKind::DelayedTask);
            self.queue.push(self.now + Nanos(delay), What::RunTask { member, incarnation, task });
        } else {
            self.ready.push_back((member, Input::Run(task)));
        }
    }

    // --- processes

    pub fn boot(&mut self, sid: ServerId, at: Nanos) {
        let member = self.index(sid);
        self.queue.push(at.max(self.now), What::Boot { member });
    }

    fn boot_now(&mut self, member: usize) {
        if self.members[member].peer.is_some() {
            return;
        }
        self.observe(member, &Observation::Booted);
        let m = &mut self.members[member];
        m.incarnation += 1;
        m.deadline_at = Nanos::NEVER;
        let mut config = m.config.clone();
        config.seed = m.seed_draws.any();
        m.peer = Some(Peer::new(config, RegisterMap::new()));
        self.ready.push_back((member, Input::Boot));
        self.run_ready();
    }

    pub fn crash(&mut self, sid: ServerId, power: bool) {
        let member = self.index(sid);
        if self.members[member].peer.is_none() {
            return;
        }
        let kind = if power { FaultKind::PowerLoss } else { FaultKind::Kill };
        self.faults.inject(kind);
        let m = &mut self.members[member];
        let loss = power.then(|| match m.crash_draws.below(3) {
            0 => Loss::All,
            1 => Loss::Some,
            _ => Loss::Torn,
        });
        self.die(member, Some((kind, loss)));
        self.run_ready();
    }

    /// The process ends: by a crash, or (no crash) because the member halted.
    fn die(&mut self, member: usize, crash: Option<(FaultKind, Option<Loss>)>) {
        self.say(member, || "dies".into());
        let power = matches!(crash, Some((_, Some(_))));
        let interrupted = self.interrupt_operations(member, crash.is_some());
        let m = &mut self.members[member];
        m.peer = None;
        m.incarnation += 1;
        m.listening = [false; 2];
        m.held.clear();
        m.paused_until = Nanos::ZERO;
        m.installing = None;
        m.storage.forget_memory();
        let mut lost = 0;
        if let Some((_, Some(loss))) = crash {
            lost = m.storage.fs.lose_power(loss, &mut m.crash_draws);
        }
        m.storage.fs.calls_left = None;
        if let Some((kind, _)) = crash
            && (interrupted || lost > 0 || (kind == FaultKind::Kill && !m.conns.is_empty()))
        {
            self.faults.effect(kind);
        }
        for (conn, (connection, end)) in std::mem::take(&mut self.members[member].conns) {
            let _ = conn;
            if power {
                // Nobody tells the other side: it is half open.
                self.faults.inject(FaultKind::HalfOpen);
                if let Some(c) = self.network.connections[connection].as_mut() {
                    c.ends[end].open = false;
                }
            } else {
                self.end_connection(connection, end, CloseReason::Reset);
            }
        }
        self.observe(member, &Observation::Crashed { power_loss: power });
        match self.members[member].storage.recover_readonly() {
            Ok(recovered) => self.observe(member, &Observation::Recovered(&recovered)),
            Err(why) => {
                self.say(member, || format!("the disk would refuse: {why}"));
                self.observe(member, &Observation::Unrecoverable);
            }
        }
    }

    /// What is with the disk is done in part: the first operation of each lane up to a drawn call.
    fn interrupt_operations(&mut self, member: usize, crash: bool) -> bool {
        let mut interrupted = false;
        for lane in 0..3 {
            let m = &mut self.members[member];
            m.lane_busy[lane] = false;
            let Some((_, op)) = m.lanes[lane].pop_front() else { continue };
            m.lanes[lane].clear();
            if crash && op.answers() && !matches!(op, DiskOp::Load | DiskOp::ReadLog { .. }) {
                interrupted = true;
                let calls = m.crash_draws.below(8) as u32;
                m.storage.fs.calls_left = Some(calls);
                let _ = m.storage.execute(&op);
                m.storage.fs.calls_left = None;
            }
        }
        interrupted
    }

    // --- disk

    fn start_lane(&mut self, member: usize, lane: usize) {
        let mean = self.spec.disk.mean_sync_ns;
        loop {
            let m = &mut self.members[member];
            if m.lane_busy[lane] {
                return;
            }
            let Some((_, op)) = m.lanes[lane].front() else { return };
            if op.answers() {
                let latency = m.disk_draws.latency(mean) * m.disk_slow;
                if m.disk_slow > 1 {
                    self.faults.effect(FaultKind::SlowDisk);
                }
                m.lane_busy[lane] = true;
                let incarnation = m.incarnation;
                let at = self.now + Nanos(latency.max(1));
                self.queue.push(at, What::DiskDone { member, incarnation, lane });
                return;
            }
            let (id, op) = m.lanes[lane].pop_front().expect("looked at above");
            self.execute(member, id, &op);
        }
    }

    fn disk_done(&mut self, member: usize, lane: usize) {
        let m = &mut self.members[member];
        m.lane_busy[lane] = false;
        let Some((id, op)) = m.lanes[lane].pop_front() else { return };
        self.execute(member, id, &op);
        self.start_lane(member, lane);
    }

    fn execute(&mut self, member: usize, id: OpId, op: &DiskOp) {
        let failed_before = self.members[member].storage.fs.syncs_failed;
        let result = self.members[member].storage.execute(op);
        if self.members[member].storage.fs.syncs_failed > failed_before {
            self.faults.effect(FaultKind::FailedSync);
        }
        if self.check {
            self.observe_disk(member, op, &result);
        }
        if op.answers() || result.is_err() {
            self.ready.push_back((member, Input::Disk(DiskDone { id, result })));
        }
    }

    fn observe_disk(&mut self, member: usize, op: &DiskOp, result: &Result<DiskAnswer, DiskError>) {
        let Ok(answer) = result else { return };
        match op {
            DiskOp::Append(entries) => self.observe(member, &Observation::Appended(entries)),
            DiskOp::Sync => self.observe(member, &Observation::Synced),
            DiskOp::Truncate(zxid) => self.observe(member, &Observation::Truncated(*zxid)),
            DiskOp::WriteEpoch(file, epoch) => {
                self.observe(member, &Observation::EpochWritten(*file, *epoch));
                if *file == EpochFile::CurrentEpoch
                    && let Some((zxid, of)) = self.members[member].installing
                    && *epoch >= of
                {
                    self.members[member].installing = None;
                    self.observe(member, &Observation::Installed { zxid, epoch: of, effective: true });
                }
            }
            DiskOp::SnapshotFinish { zxid } => self.observe(member, &Observation::SnapshotDurable(*zxid)),
            DiskOp::Install { zxid, epoch, .. } => {
                let effective = !self.members[member].storage.install_pending();
                if !effective {
                    self.members[member].installing = Some((*zxid, *epoch));
                }
                let (zxid, epoch) = (*zxid, *epoch);
                self.observe(member, &Observation::Installed { zxid, epoch, effective });
            }
            DiskOp::Load => {
                if let DiskAnswer::Loaded(recovered) = answer {
                    self.observe(member, &Observation::Recovered(recovered));
                }
            }
            _ => {}
        }
    }

    pub fn slow_disk(&mut self, sid: ServerId, factor: u64, duration: Nanos) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::SlowDisk);
        self.members[member].disk_slow = factor;
        self.queue.push(self.now + duration, What::DiskFast { member });
    }

    pub fn fail_syncs(&mut self, sid: ServerId, count: u32) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::FailedSync);
        self.members[member].storage.fs.failing_syncs = count;
    }

    pub fn pause(&mut self, sid: ServerId, duration: Nanos) {
        let member = self.index(sid);
        if self.members[member].peer.is_none() {
            return;
        }
        self.faults.inject(FaultKind::Pause);
        let until = self.now + duration;
        self.members[member].paused_until = until;
        self.queue.push(until, What::Resume { member });
    }

    /// No fault goes on at this member.
    pub fn calm(&mut self, sid: ServerId) {
        let member = self.index(sid);
        let m = &mut self.members[member];
        m.disk_slow = 1;
        m.storage.fs.failing_syncs = 0;
        if m.paused_until > Nanos::ZERO {
            m.paused_until = self.now;
            self.queue.push(self.now, What::Resume { member });
        }
    }

    /// Why a member that is down would not start.
    pub fn refusal(&self, sid: ServerId) -> Option<String> {
        let m = &self.members[self.index(sid)];
        if m.peer.is_some() {
            return None;
        }
        Some(match m.storage.recover_readonly() {
            Err(why) => why.to_string(),
            Ok(_) => "it halted".into(),
        })
    }

    pub fn jump_clock(&mut self, sid: ServerId, by_ms: i64) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::ClockJump);
        self.faults.effect(FaultKind::ClockJump);
        self.members[member].wall_offset_ms += by_ms;
    }

    // --- network

    fn connect(&mut self, member: usize, conn: ConnId, to: ServerId, port: Port) {
        let to = self.index(to);
        let connection = self.network.open(Connection {
            ends: [End { member, conn, open: true }, End { member: to, conn: ConnId(0), open: false }],
            directions: [Direction::default(), Direction::default()],
        });
        self.members[member].conns.insert(conn, (connection, 0));
        self.transmit(connection, 0, Segment::Syn { port }, 0);
    }

    fn transmit(&mut self, connection: usize, direction: usize, segment: Segment, len: usize) {
        if let Some(at) = self.network.arrival(self.now, connection, direction, len) {
            self.queue.push(at, What::Arrive { connection, direction, segment });
        }
    }

    fn send(&mut self, member: usize, conn: ConnId, bytes: Bytes, notify: bool) {
        let Some(&(connection, end)) = self.members[member].conns.get(&conn) else { return };
        if self.network.spec.segmentation {
            let Some(c) = &self.network.connections[connection] else { return };
            let to = c.ends[1 - end].member;
            let pieces = self.network.cut(member, to, &bytes);
            let last = pieces.len() - 1;
            for (i, piece) in pieces.into_iter().enumerate() {
                let len = piece.len();
                let segment = Segment::Data { bytes: piece, notify: notify && i == last };
                self.transmit(connection, end, segment, len);
            }
        } else {
            let len = bytes.len();
            self.transmit(connection, end, Segment::Data { bytes, notify }, len);
        }
    }

    fn close(&mut self, member: usize, conn: ConnId, reason: CloseReason) {
        if let Some((connection, end)) = self.members[member].conns.remove(&conn) {
            self.end_connection(connection, end, reason);
        }
    }

    /// One end lets go; the other hears of it behind what was sent.
    fn end_connection(&mut self, connection: usize, end: usize, reason: CloseReason) {
        if let Some(c) = self.network.connections[connection].as_mut() {
            c.ends[end].open = false;
            self.transmit(connection, end, Segment::End(reason), 0);
        }
    }

    fn arrive(&mut self, connection: usize, direction: usize, segment: Segment) {
        let Some(c) = &self.network.connections[connection] else { return };
        let (from, to) = (c.ends[direction], c.ends[1 - direction]);
        let link = self.network.link(from.member, to.member);
        if link.cut {
            link.held_segments += 1;
            if link.held_segments == 1 {
                self.faults.effect(FaultKind::Partition);
            }
            let c = self.network.connections[connection].as_mut().expect("looked at above");
            c.directions[direction].held.push_back(segment);
            return;
        }
        if link.slow > 1 {
            self.faults.effect(FaultKind::SlowLink);
        }
        match segment {
            Segment::Syn { port } => self.arrive_syn(connection, to.member, from, port),
            Segment::SynAck => {
                if to.open {
                    self.ready.push_back((to.member, Input::Connected { conn: to.conn }));
                }
            }
            Segment::Data { bytes, notify } => {
                if to.open {
                    if notify && from.open {
                        self.ready.push_back((from.member, Input::Drained { conn: from.conn }));
                    }
                    self.ready.push_back((to.member, Input::Received { conn: to.conn, bytes }));
                } else if from.open && self.members[to.member].peer.is_some() {
                    self.faults.effect(FaultKind::HalfOpen);
                    // The process that held this end is gone: its host answers with a reset.
                    self.transmit(connection, 1 - direction, Segment::End(CloseReason::Reset), 0);
                } else if from.open {
                    // The host is down: TCP sends it again until the host answers.
                    let segment = Segment::Data { bytes, notify };
                    let at = self.now + Nanos::from_millis(1000);
                    self.queue.push(at, What::Arrive { connection, direction, segment });
                }
            }
            Segment::End(reason) => self.arrive_end(connection, to, reason),
        }
    }

    fn arrive_syn(&mut self, connection: usize, member: usize, from: End, port: Port) {
        let m = &mut self.members[member];
        if m.peer.is_none() || !m.listening[port as usize] {
            self.transmit(connection, 1, Segment::End(CloseReason::Refused), 0);
            return;
        }
        if !from.open {
            return;
        }
        m.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | m.next_accepted);
        m.conns.insert(conn, (connection, 1));
        let c = self.network.connections[connection].as_mut().expect("a connection that arrives");
        c.ends[1] = End { member, conn, open: true };
        self.transmit(connection, 1, Segment::SynAck, 0);
        self.ready.push_back((member, Input::Accepted { conn, port }));
    }

    fn arrive_end(&mut self, connection: usize, to: End, reason: CloseReason) {
        if to.open {
            self.members[to.member].conns.remove(&to.conn);
            let c = self.network.connections[connection].as_mut().expect("a connection that arrives");
            for end in &mut c.ends {
                if end.member == to.member && end.conn == to.conn {
                    end.open = false;
                }
            }
            self.ready.push_back((to.member, Input::Closed { conn: to.conn, reason }));
        }
        let c = self.network.connections[connection].as_ref().expect("a connection that arrives");
        if !c.ends[0].open && !c.ends[1].open {
            self.network.connections[connection] = None;
        }
    }

    /// Nothing passes from `from` to `to` until `heal`.
    pub fn cut_link(&mut self, from: ServerId, to: ServerId) {
        let (from, to) = (self.index(from), self.index(to));
        self.faults.inject(FaultKind::Partition);
        self.network.link(from, to).cut = true;
    }

    /// All links pass again; what was held arrives late, in order.
    pub fn heal(&mut self) {
        let n = self.members.len();
        for from in 0..n {
            for to in 0..n {
                let link = self.network.link(from, to);
                link.cut = false;
                link.held_segments = 0;
                link.slow = 1;
            }
        }
        for connection in 0..self.network.connections.len() {
            for direction in 0..2 {
                let Some(c) = self.network.connections[connection].as_mut() else { continue };
                // Ahead of what is still under way: the stream keeps its order.
                let held = std::mem::take(&mut c.directions[direction].held);
                for segment in held {
                    self.arrive(connection, direction, segment);
                }
            }
        }
        self.run_ready();
    }

    pub fn slow_link(&mut self, from: ServerId, to: ServerId, factor: u64, duration: Nanos) {
        let (from, to) = (self.index(from), self.index(to));
        self.faults.inject(FaultKind::SlowLink);
        self.network.link(from, to).slow = factor;
        self.queue.push(self.now + duration, What::LinkFast { from, to });
    }

    /// Every connection between two members is reset.
    pub fn reset(&mut self, a: ServerId, b: ServerId) {
        let (a, b) = (self.index(a), self.index(b));
        self.faults.inject(FaultKind::Reset);
        let mut any = false;
        for connection in 0..self.network.connections.len() {
            let Some(c) = &self.network.connections[connection] else { continue };
            let ends = c.ends;
            let between = [ends[0].member, ends[1].member];
            if between != [a, b] && between != [b, a] {
                continue;
            }
            any = true;
            for end in ends.into_iter().filter(|end| end.open) {
                self.members[end.member].conns.remove(&end.conn);
                self.ready
                    .push_back((end.member, Input::Closed { conn: end.conn, reason: CloseReason::Reset }));
            }
            self.network.connections[connection] = None;
        }
        if any {
            self.faults.effect(FaultKind::Reset);
        }
        self.run_ready();
    }

    // --- clients

    pub fn client(&mut self, sid: ServerId, input: ClientInput) {
        let member = self.index(sid);
        if self.members[member].peer.is_none() {
            let client = match input {
                ClientInput::Connect { client, .. }
                | ClientInput::Request { client, .. }
                | ClientInput::Ping { client }
                | ClientInput::Disconnect { client } => client,
            };
            self.happened
                .push_back(Happened::Client { member: sid, output: ClientOutput::Disconnected { client } });
            return;
        }
        self.input(member, Input::Client(input));
        self.run_ready();
    }
}

fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Log => 0,
        Lane::Epoch => 1,
        Lane::Snapshot => 2,
    }
}

fn describe_input(input: &Input) -> String {
    match input {
        Input::Received { conn, bytes } => format!("received {} bytes on {:#x}", bytes.len(), conn.0),
        Input::Disk(done) => match &done.result {
            Ok(_) => format!("disk done {}", done.id.seq),
            Err(e) => format!("disk failed {}: {e}", done.id.seq),
        },
        input => format!("{input:?}"),
    }
}

fn describe_output(output: &Output) -> String {
    match output {
        Output::Send { conn, bytes, .. } => {
            for direction in [wire::Direction::ToLearner, wire::Direction::ToLeader] {
                let mut stream = wire::QuorumStream::new(direction);
                stream.feed(bytes.clone());
                let mut packets = Vec::new();
                while let Ok(Some(wire::Inbound::Packet(packet))) = stream.next() {
                    if matches!(packet, wire::Packet::Unknown(_)) {
                        packets.clear();
                        break;
                    }
                    packets.push(packet.to_string());
                }
                if !packets.is_empty() {
                    return format!("send on {:#x}: {}", conn.0, packets.join(" | "));
                }
            }
            format!("send {} bytes on {:#x}", bytes.len(), conn.0)
        }
        Output::Disk { id, op } => format!("disk {} {}", id.seq, op.name()),
        output => format!("{output:?}"),
    }
}
