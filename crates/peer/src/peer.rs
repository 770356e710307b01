//! The peer: which role is being played, and the way from one role to the next. Called by hosts.
//!
//! ```text
//!   Boot ─▶ Loading ─▶ Looking ─▶ Leading | Following | Observing ─▶ Leaving ─▶ Loading ─▶ Looking
//!              │ the disk refuses                                      │ all disk answers are in
//!              ▼
//!           Halted
//! ```
//!
//! Where a reconfiguration names the next leader, the way leads past Looking.
//!
//! A server that is no member of an ensemble (`Settings::standalone`) goes from Loading to Standalone, and stays.
//!
//! A role that ends leaves nothing behind: its connections are closed, its generation is over (late
//! completions are swallowed), and before the member votes again its memory becomes what its disk
//! holds, so that a partial SNAP or TRUNC, an unapplied log tail or a queued append of the old role
//! cannot reach the next one (ZOOKEEPER-2845, 3642, 4712, 5094). Where memory is the member's own history but for
//! its end, only that is read.

use server::ServerCnxnFactory;
use wire::{ServerId, Zxid};
use zab::election::{Decision, Election};
use zab::leader::{Leader, LeaderStatus};
use zab::learner::Learner;
use zab::standalone::Standalone;
use zab::{
    ClientInput, ClientOutput, Config, ConfigFile, Ctx, DiskAnswer, DiskDone, DiskError, DiskOp, Ensemble,
    Epochs, Event, Halt, Ids, Input, Io, Leave, LogTail, Nanos, Now, OpId, Outbox, Output, Port, Recovered,
    Role, StateMachine, Switch, Task, ZkDatabase,
};

use crate::old_writer::OldWriter;

/// When a member wants to be called next if nothing happens, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub at: Nanos,
    pub why: &'static str,
}

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub role: Role,
    /// Its epoch is established: it leads, follows or observes one that a quorum acknowledged.
    pub serving: bool,
    /// As durable.
    pub epoch: wire::Epoch,
    pub last_zxid: Zxid,
    /// Who leads, as far as this member's role says.
    pub leader_id: Option<wire::ServerId>,
    /// Of a leader.
    pub leader: Option<LeaderStatus>,
}

#[derive(Clone)]
enum Phase<S: StateMachine> {
    /// Not booted.
    Down,
    /// The disk is being read; then the member looks for a leader.
    Loading {
        op: OpId,
    },
    Looking,
    Leading(Box<Leader<S>>),
    /// Following or observing.
    Learning(Box<Learner<S>>),
    /// Alone, and no member of an ensemble.
    Standalone(Box<Standalone<S>>),
    /// A role has ended; operations of its are still with the disk.
    Leaving {
        memory: Memory,
    },
    /// Given up for good: the process ends.
    Halted,
}

/// What becomes of memory when a role has ended, before the next vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// The disk is read.
    Load,
    /// The end of the log is read.
    FastForward,
    /// Wrong: it stays what the role has made of it.
    Stays,
}

#[derive(Clone)]
pub struct Peer<S: StateMachine> {
    config: Config,
    ensemble: Ensemble,
    db: ZkDatabase<S>,
    epochs: Epochs,
    ids: Ids,
    election: Election,
    listening: bool,
    role: Role,
    phase: Phase<S>,
    /// The epoch that the own vote was raised to in this role.
    vote_epoch: Option<wire::Epoch>,
    /// Who leads from now on, as the reconfiguration said that ended a role.
    designated: Option<ServerId>,
    /// Memory is what a role that was left has made of it, not what the disk holds (see `leave_role`).
    memory_is_stale: bool,
    old_writer: OldWriter,
    /// Clients that come by the client port. (Hosts have clients of their own, by `Input::Client`.)
    cnxns: ServerCnxnFactory,
}

/// Borrows the parts of a peer that a role may touch, beside the role itself.
macro_rules! ctx {
    ($peer:expr, $now:expr, $out:expr) => {
        Ctx {
            io: Io {
                now: $now,
                out: $out,
                ids: &mut $peer.ids,
                config: &$peer.config,
                ensemble: &mut $peer.ensemble,
            },
            db: &mut $peer.db,
            epochs: &mut $peer.epochs,
        }
    };
}

impl<S: StateMachine> Peer<S> {
    pub fn new(config: Config, state: S) -> Peer<S> {
        let db = ZkDatabase::new(state, config.settings.commit_log_count);
        let election = Election::new(config.seed);
        let old_writer = OldWriter::new(config.switches);
        Peer {
            ensemble: Ensemble::new(&config),
            config,
            db,
            epochs: Epochs::default(),
            ids: Ids::default(),
            election,
            listening: false,
            role: Role::Looking,
            phase: Phase::Down,
            vote_epoch: None,
            designated: None,
            memory_is_stale: false,
            old_writer,
            cnxns: ServerCnxnFactory::default(),
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// What an operator asks for.
    pub fn status(&self) -> Status {
        let (serving, leader_id, leader) = match &self.phase {
            Phase::Leading(leader) => {
                (leader.established().is_some(), Some(self.config.sid), Some(leader.status()))
            }
            Phase::Learning(learner) => (learner.established().is_some(), Some(learner.leader()), None),
            Phase::Standalone(_) => (true, None, None),
            _ => (false, None, None),
        };
        let last_zxid = self.db.last_processed;
        Status { role: self.role, serving, epoch: self.epochs.current, last_zxid, leader_id, leader }
    }

    pub fn state(&self) -> &S {
        &self.db.state
    }

    /// Clients' connections, as operators see them.
    pub fn clients(&self) -> &server::Stats {
        &self.cnxns.stats
    }

    /// To reset what was counted.
    pub fn clients_mut(&mut self) -> &mut server::Stats {
        &mut self.cnxns.stats
    }

    /// Of a leader: when each session ends if nothing is heard of it.
    pub fn session_expiries(&self) -> Option<Vec<(wire::SessionId, Nanos)>> {
        match &self.phase {
            Phase::Leading(leader) => Some(leader.session_expiries()),
            Phase::Standalone(standalone) => Some(standalone.session_expiries()),
            _ => None,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The members, as they are now.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// The only door. Effects are appended to `out`, to be carried out in order.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let begin = out.len();
        self.dispatch(now, input, out);
        if !self.cnxns.is_unused() {
            self.serve_cnxns(now, begin, out);
        }
    }

    /// Answers go to the connections, and what these ask goes to the role, until nobody has a word more.
    fn serve_cnxns(&mut self, now: Now, mut begin: usize, out: &mut Outbox) {
        loop {
            self.carry_answers(now, begin, out);
            let mut io =
                Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
            let Some(input) = self.cnxns.next_input(&mut io) else { return };
            begin = out.len();
            self.on_client(now, input, out);
        }
    }

    /// What the role told clients of connections, in its place among the other outputs.
    fn carry_answers(&mut self, now: Now, begin: usize, out: &mut Outbox) {
        let is_ours = |output: &Output| match output {
            Output::Client(output) => self.cnxns.is_client(output.client()),
            _ => false,
        };
        let Some(first) = out[begin..].iter().position(is_ours) else { return };
        for output in out.split_off(begin + first) {
            match output {
                Output::Client(output) if self.cnxns.is_client(output.client()) => {
                    let mut io = Io {
                        now,
                        out,
                        ids: &mut self.ids,
                        config: &self.config,
                        ensemble: &mut self.ensemble,
                    };
                    self.cnxns.on_output(&mut io, output);
                }
                output => out.push(output),
            }
        }
    }

    fn dispatch(&mut self, now: Now, input: Input, out: &mut Outbox) {
        match input {
            Input::ClientAccepted { conn, from } => {
                let mut io =
                    Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
                self.cnxns.accepted(&mut io, conn, from);
            }
            Input::Received { conn, bytes } if self.cnxns.owns(conn) => {
                self.cnxns.received(now.mono, conn, bytes);
            }
            Input::Closed { conn, .. } if self.cnxns.owns(conn) => self.cnxns.closed(conn),
            Input::Boot => self.boot(now, out),
            Input::Disk(done) => self.on_disk(now, done, out),
            Input::Deadline => self.on_deadline(now, out),
            Input::Client(client) => self.on_client(now, client, out),
            Input::Accepted { port: Port::Election, .. } => self.hand_to_election(now, input, out),
            Input::Accepted { port: Port::Quorum, .. } | Input::Run(_) => {
                if let Input::Run(Task::SyncProcessor) = input {
                    let mut io = Io {
                        now,
                        out,
                        ids: &mut self.ids,
                        config: &self.config,
                        ensemble: &mut self.ensemble,
                    };
                    self.old_writer.run(&mut io);
                }
                self.hand_to_role(now, input, out);
            }
            Input::Connected { conn }
            | Input::Closed { conn, .. }
            | Input::Received { conn, .. }
            | Input::Drained { conn } => {
                if self.election.owns(conn) {
                    self.hand_to_election(now, input, out);
                } else {
                    self.hand_to_role(now, input, out);
                }
            }
        }
    }

    pub fn next_deadline(&self) -> Deadline {
        if matches!(self.phase, Phase::Down | Phase::Halted) {
            return Deadline { at: Nanos::NEVER, why: "not running" };
        }
        let (at, why) = self.election.next_deadline();
        let (role_at, role_why) = self.role_deadline();
        let (at, why) = if role_at < at { (role_at, role_why) } else { (at, why) };
        let (idle_at, idle_why) = self.cnxns.next_deadline();
        if idle_at < at { Deadline { at: idle_at, why: idle_why } } else { Deadline { at, why } }
    }

    fn role_deadline(&self) -> (Nanos, &'static str) {
        match &self.phase {
            Phase::Leading(leader) => leader.next_deadline(),
            Phase::Learning(learner) => learner.next_deadline(),
            Phase::Standalone(standalone) => standalone.next_deadline(),
            _ => (Nanos::NEVER, "no role"),
        }
    }

    fn boot(&mut self, now: Now, out: &mut Outbox) {
        assert!(matches!(self.phase, Phase::Down), "a process boots once");
        self.read_disk(DiskOp::Load, now, out);
    }

    fn io<'a>(&'a mut self, now: Now, out: &'a mut Outbox) -> Io<'a> {
        Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble }
    }

    fn read_disk(&mut self, how: DiskOp, now: Now, out: &mut Outbox) {
        self.ids.generation += 1;
        let op = self.io(now, out).disk(how);
        self.phase = Phase::Loading { op };
    }

    fn on_disk(&mut self, now: Now, done: DiskDone, out: &mut Outbox) {
        let mut io = Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
        self.old_writer.on_disk(&mut io, &done);
        if let Err(error @ DiskError::ConfigNotKept(_)) = &done.result {
            // Whatever role asked for it: the next start would go by another one.
            return self.halt(Halt::Config(error.to_string()), out);
        }
        let silent_failure = self.ids.ops_in_flight == 0;
        self.ids.ops_in_flight = self.ids.ops_in_flight.saturating_sub(1);
        match &self.phase {
            Phase::Loading { op } if *op == done.id => self.on_loaded(now, done, out),
            Phase::Leading(_) | Phase::Learning(_) | Phase::Standalone(_)
                if done.id.generation == self.ids.generation =>
            {
                self.hand_to_role(now, Input::Disk(done), out);
            }
            Phase::Leaving { memory } if self.ids.ops_in_flight == 0 && !silent_failure => {
                let memory = *memory;
                self.look_again(memory, now, out);
            }
            // The completion of a role that was left, or a late failure of it: the disk was read
            // after it.
            _ => {}
        }
    }

    fn on_loaded(&mut self, now: Now, done: DiskDone, out: &mut Outbox) {
        match done.result {
            Ok(DiskAnswer::Loaded(recovered)) => match self.fill_database(&recovered) {
                Ok(()) => self.loaded(now, &recovered, out),
                Err(why) => self.halt(Halt::Disk(format!("the snapshot does not load: {why}")), out),
            },
            Ok(DiskAnswer::Tail(tail)) => self.fast_forwarded(now, &tail, out),
            Ok(answer) => unreachable!("memory is filled by what the disk holds, not {answer:?}"),
            Err(DiskError::Killed) => self.phase = Phase::Halted,
            Err(error) => self.halt(Halt::Disk(error.to_string()), out),
        }
    }

    fn fill_database(&mut self, recovered: &Recovered) -> Result<(), String> {
        // Where transactions of a synchronisation never reach the committed log, that must be the one that
        // Java keeps from role to role: one filled anew from the disk has no hole.
        if self.config.switches.has(Switch::SyncBypassesCommittedLog) {
            return self.db.load_behind_committed_log(recovered);
        }
        self.db.load(recovered)
    }

    fn halt(&mut self, why: Halt, out: &mut Outbox) {
        self.phase = Phase::Halted;
        out.push(Output::Halt { why });
    }

    fn loaded(&mut self, now: Now, recovered: &Recovered, out: &mut Outbox) {
        if recovered.untrusted_empty {
            self.db.last_processed = Zxid::NONE;
        }
        self.memory_is_stale = false;
        let last_zxid = self.db.last_processed;
        let mut io = self.io(now, out);
        for warning in &recovered.warnings {
            io.warn(warning.clone());
        }
        io.event(Event::Loaded {
            last_zxid,
            snapshot: recovered.snapshot.as_ref().map_or(Zxid::ZERO, |(zxid, _)| *zxid),
            accepted_epoch: recovered.accepted_epoch,
            current_epoch: recovered.current_epoch,
        });
        let epochs = Epochs { accepted: recovered.accepted_epoch, current: recovered.current_epoch };
        self.start_looking(epochs, now, out);
    }

    fn fast_forwarded(&mut self, now: Now, tail: &LogTail, out: &mut Outbox) {
        ctx!(self, now, out).fast_forward(tail);
        // By a record of the tail. Learners will want the snapshot that was loaded.
        if !self.db.state.is_whole() {
            return self.read_disk(DiskOp::Load, now, out);
        }
        let epochs = Epochs { accepted: tail.accepted_epoch, current: tail.current_epoch };
        self.start_looking(epochs, now, out);
    }

    /// `epochs`: as on the disk.
    fn start_looking(&mut self, epochs: Epochs, now: Now, out: &mut Outbox) {
        if !self.config.settings.standalone
            && let Some(why) = ctx!(self, now, out).learn_config_of_history()
        {
            return self.halt(Halt::Config(why), out);
        }
        ctx!(self, now, out).init_config();
        let in_memory = std::mem::replace(&mut self.epochs, epochs).accepted;
        // Where memory changes first, it also stays: Java reads its epoch files once.
        if self.config.switches.has(Switch::EpochMemoryFirst) && in_memory > self.epochs.accepted {
            self.epochs.accepted = in_memory;
        }
        if self.config.settings.standalone {
            return self.stand_alone(now, out);
        }
        if !std::mem::replace(&mut self.listening, true) {
            self.election.start_listening(&mut Io {
                now,
                out,
                ids: &mut self.ids,
                config: &self.config,
                ensemble: &mut self.ensemble,
            });
        }
        self.look(now, out);
    }

    fn stand_alone(&mut self, now: Now, out: &mut Outbox) {
        self.role = Role::Standalone;
        out.push(Output::Event(Event::RoleChanged { role: Role::Standalone }));
        self.phase = Phase::Standalone(Box::new(Standalone::start(&mut ctx!(self, now, out))));
    }

    fn look(&mut self, now: Now, out: &mut Outbox) {
        self.phase = Phase::Looking;
        self.role = Role::Looking;
        // Right: the epochs are those of the files. Wrong (ZOOKEEPER-335): there are no files; the epoch is
        // that of the last zxid, and what was promised beyond it is forgotten.
        if self.config.switches.has(Switch::EpochFromLog) {
            let epoch = self.db.last_processed.epoch();
            self.epochs = Epochs { accepted: epoch, current: epoch };
        }
        let (last_zxid, current) = (self.db.last_processed, self.epochs.current);
        if self.ensemble.forget_unlogged(last_zxid, current) {
            let (version, text) = (self.ensemble.active().version, self.ensemble.active_text());
            self.io(now, out).disk(DiskOp::WriteConfig { file: ConfigFile::Seen, version, text });
        }
        let mut io = Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
        if let Some(leader) = self.designated.take()
            && let Some(decision) = self.election.designate(&mut io, leader, last_zxid, current)
        {
            return self.enter_role(now, &decision, true, out);
        }
        io.event(Event::RoleChanged { role: Role::Looking });
        self.election.look(&mut io, last_zxid, current);
        if let Some(why) = self.election.take_refusal() {
            self.halt(Halt::Config(why), out);
        }
    }

    /// Right: memory becomes what the disk holds. Wrong: the next vote is cast with what a role left.
    fn look_again(&mut self, memory: Memory, now: Now, out: &mut Outbox) {
        match memory {
            Memory::Load => self.read_disk(DiskOp::Load, now, out),
            Memory::FastForward => {
                self.read_disk(DiskOp::FastForward { after: self.db.applied() }, now, out);
            }
            Memory::Stays => {
                self.memory_is_stale = true;
                self.db.committed_log.cut_behind(self.db.last_processed);
                self.look(now, out);
            }
        }
    }

    /// | switches | the role left | the state | memory |
    /// |---|---|---|---|
    /// | some keep it | | | stays (`keeps_memory`) |
    /// | any | | | is loaded: what releases did wrong is measured with that |
    /// | none | memory and disk at different points of a synchronisation | | is loaded |
    /// | none | else | is not whole | is loaded: learners are sent the snapshot that was |
    /// | none | else | is whole | is fast-forwarded; and is loaded if that ends it (`fast_forwarded`) |
    fn memory_after_role(&self) -> Memory {
        let switches = self.config.switches;
        let (stays, remembers) = match &self.phase {
            Phase::Leading(leader) => (leader.keeps_memory(switches), true),
            Phase::Learning(learner) => {
                (learner.keeps_memory(switches, self.memory_is_stale), learner.remembers_its_history())
            }
            _ => (false, false),
        };
        if stays {
            Memory::Stays
        } else if !switches.slow_as_released() && remembers && self.db.state.is_whole() {
            Memory::FastForward
        } else {
            Memory::Load
        }
    }

    fn hand_to_election(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let mut io = Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
        let decision = self.election.handle(&mut io, input);
        if let Some(why) = self.election.take_refusal() {
            return self.halt(Halt::Config(why), out);
        }
        if let Some(decision) = decision {
            assert!(matches!(self.phase, Phase::Looking), "an election ends in LOOKING only");
            self.enter_role(now, &decision, false, out);
        }
    }

    /// `designated`: by a reconfiguration, without an election.
    fn enter_role(&mut self, now: Now, decision: &Decision, designated: bool, out: &mut Outbox) {
        self.ids.generation += 1;
        self.vote_epoch = None;
        self.role = decision.role;
        out.push(Output::Event(Event::RoleChanged { role: decision.role }));
        let mut ctx = ctx!(self, now, out);
        self.phase = match decision.role {
            Role::Leading => Phase::Leading(Box::new(Leader::start(&mut ctx, designated))),
            Role::Following | Role::Observing => {
                Phase::Learning(Box::new(Learner::start(&mut ctx, decision.vote.leader)))
            }
            Role::Looking | Role::Standalone => unreachable!("an election decides for a role"),
        };
    }

    fn hand_to_role(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let mut ctx = ctx!(self, now, out);
        let (result, established) = match &mut self.phase {
            Phase::Leading(leader) => (leader.handle(&mut ctx, input), leader.established()),
            Phase::Learning(learner) => (learner.handle(&mut ctx, input), learner.established()),
            Phase::Standalone(standalone) => (standalone.handle(&mut ctx, input), None),
            _ => {
                // A connection to a role that was left, or dialled to a role we do not play.
                if let Input::Accepted { conn, .. } = input {
                    ctx.io.close(conn);
                }
                return;
            }
        };
        if established != self.vote_epoch
            && let Some(epoch) = established
        {
            self.vote_epoch = established;
            self.election.raise_vote_epoch(epoch);
        }
        if let Err(leave) = result {
            self.leave_role(now, &leave, out);
        }
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox) {
        if self.election.next_deadline().0 <= now.mono {
            self.hand_to_election(now, Input::Deadline, out);
        }
        if self.role_deadline().0 <= now.mono {
            self.hand_to_role(now, Input::Deadline, out);
        }
        if self.cnxns.next_deadline().0 <= now.mono {
            let mut io =
                Io { now, out, ids: &mut self.ids, config: &self.config, ensemble: &mut self.ensemble };
            self.cnxns.on_deadline(&mut io);
        }
    }

    fn on_client(&mut self, now: Now, client: ClientInput, out: &mut Outbox) {
        if matches!(self.phase, Phase::Leading(_) | Phase::Learning(_) | Phase::Standalone(_)) {
            return self.hand_to_role(now, Input::Client(client), out);
        }
        let client = match client {
            ClientInput::Connect { client, .. }
            | ClientInput::Request { client, .. }
            | ClientInput::Ping { client } => client,
            ClientInput::AddAuth { .. } | ClientInput::Disconnect { .. } => return,
        };
        out.push(Output::Client(ClientOutput::Disconnected { client }));
    }

    fn leave_role(&mut self, now: Now, leave: &Leave, out: &mut Outbox) {
        let role = self.role;
        let memory = self.memory_after_role();
        let mut ctx = ctx!(self, now, out);
        match std::mem::replace(&mut self.phase, Phase::Leaving { memory }) {
            Phase::Leading(leader) => self.old_writer.take_over(leader.shut_down(&mut ctx)),
            Phase::Learning(learner) => self.old_writer.take_over(learner.shut_down(&mut ctx)),
            Phase::Standalone(standalone) => self.old_writer.take_over(standalone.shut_down(&mut ctx)),
            _ => unreachable!("only a role is left"),
        }
        self.election.leave();
        self.designated = match leave {
            Leave::Reconfigured { leader, .. } => *leader,
            _ => None,
        };
        let mut ctx = ctx!(self, now, out);
        ctx.io.event(Event::RoleLeft { role, reason: leave.to_string() });
        ctx.db.state.role_ended();
        // What the old role still had with the disk answers a generation that is over.
        self.ids.generation += 1;
        if let Leave::Disk(error) = leave {
            // Memory may be ahead of a disk that failed (ZOOKEEPER-4882): the member stops.
            return self.halt(Halt::Disk(format!("the disk failed: {error}")), out);
        }
        if let Leave::RefusedConfig(why) = leave {
            return self.halt(Halt::Config(why.clone()), out);
        }
        if self.ids.ops_in_flight == 0 {
            self.look_again(memory, now, out);
        }
    }
}
