//! `World`: members, network, disks and clocks under one virtual time. Called by the runner, which
//! steps it and injects faults.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use checker::{Checkers, EnsembleSpec, Observation};
use peer::{
    ClientInput, ClientOutput, CloseReason, Config, ConnId, DiskAnswer, DiskDone, DiskError, DiskOp,
    EpochFile, Event, Input, Lane, Nanos, Now, OpId, Outbox, Output, Peer, Port, Recovered, Role, State,
    StateKind, Task,
};
use storage::{Storage, StorageSettings, config_file};
use wire::{Epoch, ServerId, Zxid};

mod client_links;
mod connections;
mod cut_frames;
mod describe;
mod disk;
mod disk_faults;
mod moments;
mod processes;
mod runaway;

pub use self::client_links::LinkId;
use self::client_links::{Carried, ClientLinks};
pub use self::describe::TraceLine;
use self::describe::{describe_input, describe_output};
use self::disk::lane_index;
pub use self::moments::Moment;
use self::runaway::Watchdog;
pub use self::runaway::{DISK_BYTES, Runaway};
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
    /// Snapshots that stay when a new one is sealed; `None`: all.
    pub snap_retain_count: Option<usize>,
    /// On all disks together. More, and the run is one without bound.
    pub most_bytes: u64,
}

impl DiskSpec {
    /// `trust_empty`: the disk may be a new member's.
    fn storage_settings(&self, config: &Config, trust_empty: bool) -> StorageSettings {
        StorageSettings {
            prealloc: self.prealloc,
            commit_log_count: config.settings.commit_log_count,
            trust_empty,
            snap_retain_count: self.snap_retain_count,
            switches: config.switches,
        }
    }
}

#[derive(Clone, Debug)]
pub struct WorldSpec {
    pub seed: u64,
    pub members: Vec<Config>,
    /// What the members replicate.
    pub state: StateKind,
    pub network: NetworkSpec,
    pub disk: DiskSpec,
    /// A task is delayed so often (of a thousand), by at most so long.
    pub task_delay_milli: u64,
    pub task_delay_max_ns: u64,
    /// Clock drift is drawn up to so many parts per million.
    pub drift_ppm: u64,
    pub allow_zxid_jumps: bool,
    pub waived: Vec<String>,
    /// Files that a member's disk holds at the beginning, by name; of the others it is empty.
    pub disks: BTreeMap<ServerId, BTreeMap<String, Vec<u8>>>,
}

#[derive(Clone, Debug)]
enum What {
    Arrive {
        connection: usize,
        direction: usize,
        segment: Segment,
    },
    ClientArrive {
        link: LinkId,
        to_member: bool,
        carried: Carried,
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
    /// A server that is not there refuses.
    Nobody {
        member: usize,
        incarnation: u32,
        conn: ConnId,
    },
    Resume {
        member: usize,
    },
    /// A crash that waited for the disk to work.
    Crash {
        member: usize,
        incarnation: u32,
    },
    /// TCP gives up: what this end sent was never acknowledged.
    GiveUp {
        connection: usize,
        end: usize,
    },
    Boot {
        member: usize,
    },
    DiskFast {
        member: usize,
    },
    DiskFreed {
        member: usize,
    },
    /// A slow process stands still again.
    StandStill {
        member: usize,
        incarnation: u32,
    },
    /// A connection of nobody ends.
    StormEnds {
        connection: usize,
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
    peer: Option<Peer<State>>,
    storage: Storage<SimFs>,
    incarnation: u32,
    listening: [bool; 2],
    lanes: [VecDeque<(OpId, DiskOp)>; 3],
    lane_busy: [bool; 3],
    conns: BTreeMap<ConnId, (usize, usize)>,
    /// Dialled to servers that are not in this world, and not refused yet.
    dials_nobody: BTreeSet<ConnId>,
    /// Connections of clients that speak ZooKeeper's protocol.
    client_conns: BTreeMap<ConnId, LinkId>,
    next_accepted: u64,
    paused_until: Nanos,
    held: VecDeque<Input>,
    deadline_at: Nanos,
    disk_slow: u64,
    disk_slow_unfelt: bool,
    pause_unfelt: bool,
    refuses_unfelt: bool,
    frame_cut: Option<cut_frames::FrameCut>,
    /// It crashes when its disk next works on something; true: by power loss.
    crash_amid_write: Option<bool>,
    /// It crashes inside the file-system call that its disk was told not to carry out any more.
    crash_at_call: Option<bool>,
    disk_full_until: Nanos,
    /// A bit of its disk has flipped.
    rotten: bool,
    /// Its disk was damaged or lost, and no leader has brought it up to date since.
    lost_disk: bool,
    /// It stands still so long, runs so long, and so many times more.
    slow_process: Option<(Nanos, Nanos, u32)>,
    refuses_until: Nanos,
    disk_draws: Draws,
    crash_draws: Draws,
    task_draws: Draws,
    seed_draws: Draws,
    /// Local time runs faster by so many parts per million (slower if below zero).
    drift_ppm: i64,
    wall_offset_ms: i64,
    installing: Option<(Zxid, Epoch)>,
}

/// The events that every write brings, at every member.
pub fn is_of_a_write(event: &Event) -> bool {
    matches!(
        event,
        Event::Proposed { .. }
            | Event::Logged { .. }
            | Event::AckSent { .. }
            | Event::AckCounted { .. }
            | Event::Committed { .. }
            | Event::Delivered { .. }
    )
}

/// What a step gave to the runner.
#[derive(Clone, Debug)]
pub enum Happened {
    Timer(u64),
    Client {
        member: ServerId,
        output: ClientOutput,
    },
    /// Bytes reached a client.
    ClientBytes {
        client: u64,
        link: LinkId,
        bytes: Bytes,
    },
    /// A client's connection was refused, closed or reset.
    ClientClosed {
        client: u64,
        link: LinkId,
    },
    Event {
        member: ServerId,
        event: Event,
    },
    /// Something is about to happen to a member; the world goes on with the next call.
    Moment {
        member: ServerId,
        moment: Moment,
    },
}

#[derive(Clone)]
pub struct World {
    pub now: Nanos,
    queue: Queue<What>,
    members: Vec<Member>,
    network: Network,
    client_links: ClientLinks,
    pub checkers: Checkers,
    pub check: bool,
    pub hash: TraceHash,
    pub faults: FaultCounters,
    /// Inputs handed to machines.
    pub events: u64,
    spec: WorldSpec,
    happened: VecDeque<Happened>,
    /// Events are handed to the runner (else only to the checkers) ...
    pub tell_events: bool,
    /// ... and so are those of every write (`is_of_a_write`), which are most of all.
    pub tell_writes: bool,
    /// COMMITs decided.
    pub committed: u64,
    pub trace: Option<Vec<TraceLine>>,
    /// The world stops before each packet that is delivered and each disk operation that is carried out.
    pub tell_moments: bool,
    /// What was stopped before, to be done by the next call.
    stopped_before: Option<What>,
    moment_told: bool,
    /// About to happen, and not yet told.
    moment: Option<(ServerId, Moment)>,
    /// A member that was paused takes what was held for it.
    resumed: Option<usize>,
    watchdog: Watchdog,
    outbox: Outbox,
    ready: VecDeque<(usize, Input)>,
}

const WALL_START_MS: i64 = 1_700_000_000_000;

/// `time * by / of`, in 64 bits where they hold it: for the first hours of a run.
fn scaled(time: Nanos, by: i64, of: i64) -> i64 {
    match i64::try_from(time.0).ok().and_then(|time| time.checked_mul(by)) {
        Some(product) => product / of,
        None => (i128::from(time.0) * i128::from(by) / i128::from(of)) as i64,
    }
}

impl World {
    pub fn new(spec: WorldSpec) -> World {
        let members: Vec<Member> = spec
            .members
            .iter()
            .map(|config| {
                let entity = config.sid.0 as u64;
                let mut draws = Draws::new(spec.seed, Concern::Clock, entity);
                let settings = spec.disk.storage_settings(config, true);
                let drift = draws.below(2 * spec.drift_ppm + 1) as i64 - spec.drift_ppm as i64;
                Member {
                    config: config.clone(),
                    sid: config.sid,
                    peer: None,
                    storage: Storage::new(SimFs::new(spec.disks.get(&config.sid)), settings),
                    incarnation: 0,
                    listening: [false; 2],
                    lanes: Default::default(),
                    lane_busy: [false; 3],
                    conns: BTreeMap::new(),
                    dials_nobody: BTreeSet::new(),
                    client_conns: BTreeMap::new(),
                    next_accepted: 0,
                    paused_until: Nanos::ZERO,
                    held: VecDeque::new(),
                    deadline_at: Nanos::NEVER,
                    disk_slow: 1,
                    disk_slow_unfelt: false,
                    pause_unfelt: false,
                    refuses_unfelt: false,
                    frame_cut: None,
                    crash_amid_write: None,
                    crash_at_call: None,
                    disk_full_until: Nanos::ZERO,
                    rotten: false,
                    lost_disk: false,
                    slow_process: None,
                    refuses_until: Nanos::ZERO,
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
        let sids: Vec<ServerId> = members.iter().map(|m| m.sid).collect();
        let mut ensemble = EnsembleSpec::of(&spec.members[0].view);
        ensemble.allow_zxid_jumps = spec.allow_zxid_jumps;
        ensemble.waived = spec.waived.clone();
        ensemble.tree = spec.state == StateKind::Tree && spec.disks.is_empty();
        World {
            now: Nanos::ZERO,
            queue: Queue::new(),
            network: Network::new(spec.seed, &sids, spec.network.clone()),
            members,
            client_links: ClientLinks::default(),
            checkers: Checkers::new(&ensemble),
            check: true,
            hash: TraceHash::default(),
            faults: FaultCounters::default(),
            events: 0,
            spec,
            happened: VecDeque::new(),
            tell_events: true,
            tell_writes: true,
            committed: 0,
            trace: None,
            tell_moments: false,
            stopped_before: None,
            moment_told: false,
            moment: None,
            resumed: None,
            watchdog: Watchdog::default(),
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

    /// Of the configuration that it goes by.
    pub fn config_version(&self, sid: ServerId) -> Option<Zxid> {
        self.members[self.index(sid)].peer.as_ref().map(|peer| peer.ensemble().active().version)
    }

    pub fn timer(&mut self, at: Nanos, timer: u64) {
        self.queue.push(at.max(self.now), What::Timer(timer));
    }

    /// The next thing that happened, running the world up to `until` for it. `None`: nothing more
    /// happens up to then.
    pub fn next(&mut self, until: Nanos) -> Option<Happened> {
        loop {
            if let Some((member, moment)) = self.moment.take() {
                return Some(Happened::Moment { member, moment });
            }
            // Inputs that were ready together go on where a moment stopped them, before anybody hears what
            // came of the first: as if it had not been told.
            if self.moment_told && self.runaway().is_none() {
                self.run_ready();
                self.go_on_resumed();
                continue;
            }
            if let Some(happened) = self.happened.pop_front() {
                return Some(happened);
            }
            if self.runaway().is_some() {
                return None;
            }
            if let Some(what) = self.stopped_before.take() {
                self.step(what);
                continue;
            }
            if !self.ready.is_empty() {
                self.run_ready();
                self.go_on_resumed();
                continue;
            }
            if self.queue.next_at().is_none_or(|at| at > until) {
                self.now = self.now.max(until);
                return None;
            }
            let (at, what) = self.queue.pop().expect("looked at above");
            debug_assert!(at >= self.now, "time does not go back");
            self.now = at;
            if self.stops_before_disk(&what) {
                self.stopped_before = Some(what);
                continue;
            }
            self.step(what);
        }
    }

    fn step(&mut self, what: What) {
        match what {
            What::Timer(timer) => self.happened.push_back(Happened::Timer(timer)),
            What::Arrive { connection, direction, segment } => self.arrive(connection, direction, segment),
            What::ClientArrive { link, to_member, carried } => self.client_arrive(link, to_member, carried),
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
                    let held = std::mem::take(&mut m.held);
                    self.ready.extend(held.into_iter().map(|input| (member, input)));
                    self.resumed = Some(member);
                    self.run_ready();
                    self.go_on_resumed();
                }
            }
            What::Crash { member, incarnation } => {
                let m = &self.members[member];
                if m.incarnation == incarnation
                    && let Some(power) = m.crash_amid_write
                {
                    self.crash(self.members[member].sid, power);
                }
            }
            What::Nobody { member, incarnation, conn } => self.refused_by_nobody(member, incarnation, conn),
            What::GiveUp { connection, end } => self.give_up(connection, end),
            What::Boot { member } => self.boot_now(member),
            What::DiskFreed { member } => self.disk_freed(member),
            What::StandStill { member, incarnation } => self.stand_still(member, incarnation),
            What::StormEnds { connection } => self.end_connection(connection, 0, CloseReason::Reset),
            What::DiskFast { member } => self.members[member].disk_slow = 1,
            What::LinkFast { from, to } => self.network.link(from, to).slow = 1,
        }
        self.run_ready();
    }

    fn run_ready(&mut self) {
        while self.runaway().is_none() && !self.stops_before_packet() {
            let Some((member, input)) = self.ready.pop_front() else { return };
            self.input(member, input);
        }
    }

    /// A member that was paused is armed when it has taken all that was held for it: before, its deadlines
    /// may be over.
    fn go_on_resumed(&mut self) {
        if self.ready.is_empty()
            && let Some(member) = self.resumed.take()
        {
            self.arm(member);
            self.run_slowly(member);
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
            let (at, member) = (self.now, self.members[member].sid);
            trace.push(TraceLine { at, member, line: line(), event: None });
        }
    }

    fn say_output(&mut self, member: usize, output: &Output) {
        if let Some(trace) = &mut self.trace {
            let (at, member) = (self.now, self.members[member].sid);
            let event = match output {
                Output::Event(event) => Some(event.clone()),
                _ => None,
            };
            trace.push(TraceLine { at, member, line: describe_output(output), event });
        }
    }

    fn local_now(&self, member: usize) -> Now {
        let m = &self.members[member];
        if m.drift_ppm == 0 {
            let wall_ms = WALL_START_MS + (self.now.0 / 1_000_000) as i64 + m.wall_offset_ms;
            return Now { mono: self.now, wall_ms };
        }
        let drift = scaled(self.now, m.drift_ppm, 1_000_000);
        let mono = Nanos(self.now.0.saturating_add_signed(drift));
        let wall_ms = WALL_START_MS + (mono.0 / 1_000_000) as i64 + m.wall_offset_ms;
        Now { mono, wall_ms }
    }

    /// The world's time at which the member's clock shows `local`.
    fn world_time(&self, member: usize, local: Nanos) -> Nanos {
        let ppm = self.members[member].drift_ppm;
        if ppm == 0 {
            return local;
        }
        Nanos(scaled(local, 1_000_000, 1_000_000 + ppm) as u64 + 1)
    }

    fn input(&mut self, member: usize, input: Input) {
        let now = self.now;
        let local = self.local_now(member);
        let m = &mut self.members[member];
        if m.peer.is_none() {
            return;
        }
        if m.paused_until > Nanos::ZERO {
            self.faults.first_effect(FaultKind::Pause, &mut m.pause_unfelt);
            m.held.push_back(input);
            return;
        }
        let sid = m.sid;
        self.events += 1;
        self.watch_for_runaways();
        self.hash.input(now.0, sid.0 as u64, &input);
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
            self.say_output(member, &output);
        }
        match output {
            Output::Event(event) => {
                self.observe(member, &Observation::Event(&event));
                match event {
                    Event::UpToDate { .. } | Event::Established { .. } => {
                        self.members[member].lost_disk = false;
                    }
                    Event::Committed { .. } => self.committed += 1,
                    _ => {}
                }
                if self.tell_events && (self.tell_writes || !is_of_a_write(&event)) {
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
            Output::Reading { conn, on } => self.read_client(member, conn, on),
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

    pub fn client(&mut self, sid: ServerId, input: ClientInput) {
        let member = self.index(sid);
        if self.members[member].peer.is_none() {
            let client = match input {
                ClientInput::Connect { client, .. }
                | ClientInput::Request { client, .. }
                | ClientInput::AddAuth { client, .. }
                | ClientInput::Ping { client }
                | ClientInput::Disconnect { client } => client,
            };
            self.happened
                .push_back(Happened::Client { member: sid, output: ClientOutput::Disconnected { client } });
            return;
        }
        // Behind what is under way at this instant: what clients ask together, a member finds together.
        self.ready.push_back((member, Input::Client(input)));
    }
}
