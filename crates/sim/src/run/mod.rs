//! The runner: one plan, driven through a world with its workload to a verdict.
//!
//! Phases: the plan's steps; then everything heals, everybody starts, and the ensemble must converge
//! and acknowledge a fresh write within a bound.

use std::collections::BTreeMap;

use checker::{FinalState, FreshWrite, Violation};
use peer::{ClientId, ClientInput, ClientOutput, Event, Nanos, Role, StateKind, SyncMode};
use wire::txn::set_data_request;
use wire::{ServerId, Zxid, code, op};

use crate::operator::{self, Operator};
use crate::plan::{Action, Fields, Named, Pending, Step, Who, event_json, has_fields, millis};
use crate::tree_workload::{self, TreeWorkload};
use crate::workload::{Workload, WorkloadSpec};
use crate::world::{Happened, Moment, World, WorldSpec, is_of_a_write};

mod act;
mod outcome;
mod story;

pub use self::outcome::{Outcome, Stats, TreeStats, Verdict};
pub use self::story::Story;
use self::story::Told;

#[derive(Clone, Debug)]
pub struct RunSpec {
    pub world: WorldSpec,
    pub workload: WorkloadSpec,
    pub timeline: Vec<Step>,
    /// Members that are started by steps, not at the beginning.
    pub start_later: Vec<i64>,
    pub heal_at: Nanos,
    /// The ensemble must have converged by then.
    pub end_at: Nanos,
}

const FRESH: ClientId = ClientId(u64::MAX);
const FRESH_TIMER: u64 = 0xfe << 56;
const STEP_TIMER: u64 = 0xfd << 56;

/// What a run is asked for beside its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep every input and output.
    pub trace: bool,
    /// Count the events by name, for expectations. Slow.
    pub watch: bool,
    /// End at the first violation.
    pub stop_at_violation: bool,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The plan's steps.
    Plan,
    /// Healed, the workload goes on: until some time after everybody is back, at most until then.
    Busy {
        converged: bool,
        at_most: Nanos,
    },
    /// The workload has ended: a fresh client's write.
    Fresh,
    /// What was committed last reaches everybody.
    Settle,
    Over,
}

/// One run. `Clone`: a search forks it instead of running its beginning again.
#[derive(Clone)]
pub struct Runner {
    pub world: World,
    workload: Workload,
    /// The workload, where the state is a tree; the other one then has no clients.
    tree: Option<Box<TreeWorkload>>,
    operator: Operator,
    steps: Vec<Pending>,
    /// Those that wait for an event or a moment, in order.
    waiting: Vec<usize>,
    stats: Stats,
    story: Story,
    seen: BTreeMap<String, u64>,
    syncs_of: BTreeMap<i64, Vec<SyncMode>>,
    /// The last event of each member, without those of every write.
    last_event: BTreeMap<i64, &'static str>,
    fresh: FreshWrite,
    fresh_asked: bool,
    fresh_attempt: usize,
    options: Options,
    phase: Phase,
    until: Nanos,
    end_at: Nanos,
    effects: u64,
    /// Disks were given at the beginning: what becomes of them is told at the end.
    disks_matter: bool,
}

pub fn run(spec: &RunSpec, trace: bool, watch: bool) -> Outcome {
    run_with(spec, Options { trace, watch, stop_at_violation: false })
}

pub fn run_with(spec: &RunSpec, options: Options) -> Outcome {
    let mut runner = Runner::new(spec, options);
    while runner.advance().is_some() {}
    runner.finish()
}

/// Convergence is looked at so often; and so long after the last write everybody must have it.
const LOOK: Nanos = Nanos::from_millis(200);
const SETTLE: Nanos = Nanos::from_millis(3000);

impl Runner {
    pub fn new(spec: &RunSpec, options: Options) -> Runner {
        let mut world = World::new(spec.world.clone());
        world.trace = options.trace.then(Vec::new);
        world.tell_moments = spec.timeline.iter().any(Step::waits_for_moment);
        let members = world.member_ids();
        let is_tree = spec.world.state == StateKind::Tree;
        let tree = is_tree.then(|| TreeWorkload::new(spec.world.seed, spec.workload.clone(), &members));
        let clients = if is_tree { 0 } else { spec.workload.clients };
        let registers = WorkloadSpec { clients, ..spec.workload.clone() };
        let workload = Workload::new(spec.world.seed, registers, &members);
        let steps: Vec<Pending> = spec.timeline.iter().map(|step| Pending::new(step.clone())).collect();
        let mut runner = Runner {
            world,
            workload,
            waiting: (0..steps.len()).filter(|index| steps[*index].step.when.is_some()).collect(),
            tree: tree.map(Box::new),
            operator: Operator::default(),
            steps,
            stats: Stats::default(),
            story: Story::default(),
            seen: BTreeMap::new(),
            syncs_of: BTreeMap::new(),
            last_event: BTreeMap::new(),
            fresh: FreshWrite::NotTried,
            fresh_asked: false,
            fresh_attempt: 0,
            options,
            phase: Phase::Plan,
            until: spec.heal_at,
            end_at: spec.end_at,
            effects: 0,
            disks_matter: !spec.world.disks.is_empty(),
        };
        runner.ask_for_writes();
        runner.begin(spec, &members);
        runner
    }

    fn begin(&mut self, spec: &RunSpec, members: &[ServerId]) {
        for sid in members.iter().filter(|sid| !spec.start_later.contains(&sid.0)) {
            self.world.boot(*sid, Nanos::ZERO);
        }
        self.workload.start(&mut self.world);
        self.tree_load(TreeWorkload::start);
        for index in 0..self.steps.len() {
            if let Some(at) = self.steps[index].step.at {
                self.world.timer(millis(at), STEP_TIMER | index as u64);
            }
        }
    }

    /// Runs up to the next moment of the host (where the world tells them) or to the end (`None`).
    pub fn advance(&mut self) -> Option<(ServerId, Moment)> {
        while self.phase != Phase::Over {
            match self.world.next(self.until) {
                Some(Happened::Moment { member, moment }) => {
                    self.trigger_moment(member, &moment);
                    return Some((member, moment));
                }
                Some(happened) => self.on(happened),
                None => self.end_of_phase(),
            }
            if self.options.stop_at_violation && !self.world.checkers.violations().is_empty() {
                self.phase = Phase::Over;
            }
        }
        None
    }

    /// How far a member has come: its last event but for those of writes.
    pub fn last_event(&self, member: ServerId) -> &'static str {
        self.last_event.get(&member.0).copied().unwrap_or("nothing yet")
    }

    /// Carries out steps as if their triggers had come just now, at `it`.
    pub fn inject(&mut self, steps: &[Step], it: ServerId) {
        for step in steps {
            let index = self.steps.len();
            self.steps.push(Pending { step: step.clone(), seen: 1, done: true, it: Some(it) });
            match step.when.as_ref().map_or(0, |when| when.after_ms) {
                0 => self.act_step(index),
                after_ms => self.world.timer(self.world.now + millis(after_ms), STEP_TIMER | index as u64),
            }
        }
    }

    /// The plan's faults are over: everything heals.
    pub fn is_healed(&self) -> bool {
        self.phase != Phase::Plan
    }

    fn on(&mut self, happened: Happened) {
        self.count_effects();
        match happened {
            Happened::Timer(timer) if timer >> 56 == 0xfe => self.try_fresh(),
            Happened::Timer(timer) if timer >> 56 == 0xfd => self.act_step((timer & 0xffff_ffff) as usize),
            Happened::Timer(timer) if timer >> 56 == operator::TIMER => {
                self.operator.on_timer(&mut self.world, timer);
            }
            Happened::Timer(timer) if timer >> 56 == tree_workload::TICK => {
                self.tree_load(|load, world| load.on_timer(world, timer));
            }
            Happened::Timer(timer) => self.workload.on_timer(&mut self.world, timer),
            Happened::Client { output, .. } => self.on_client(&output),
            Happened::Event { member, event } => self.on_event(member, &event),
            Happened::ClientBytes { client, link, bytes } => {
                self.tree_load(|load, world| load.on_bytes(world, client, link, bytes));
            }
            Happened::ClientClosed { client, link } => {
                self.tree_load(|load, world| load.on_closed(world, client, link));
            }
            Happened::Moment { .. } => {}
        }
    }

    fn tree_load(&mut self, act: impl FnOnce(&mut TreeWorkload, &mut World)) {
        if let Some(tree) = &mut self.tree {
            act(tree, &mut self.world);
        }
    }

    fn writes_in_flight(&self) -> usize {
        self.workload.writes_in_flight() + self.tree.as_ref().map_or(0, |tree| tree.writes_in_flight())
    }

    /// Faults that took effect while a write was in flight: without any, the run tests little.
    fn count_effects(&mut self) {
        let effects = self.world.faults.effects;
        if effects != self.effects {
            if self.writes_in_flight() > 0 {
                self.stats.effects_amid_writes += effects - self.effects;
            }
            self.effects = effects;
        }
    }

    fn end_of_phase(&mut self) {
        if self.world.runaway().is_some() {
            self.phase = Phase::Over;
            return;
        }
        let now = self.world.now;
        match self.phase {
            Phase::Plan => {
                self.heal();
                let at_most = now + Nanos(self.end_at.saturating_sub(now).0 / 3);
                self.phase = Phase::Busy { converged: false, at_most };
                self.until = (now + LOOK).min(at_most);
            }
            Phase::Busy { converged: false, at_most } if now < at_most => {
                if self.is_converged() {
                    self.phase = Phase::Busy { converged: true, at_most };
                    self.until = (now + self.workload.busy()).min(at_most);
                } else {
                    self.until = (now + LOOK).min(at_most);
                }
            }
            Phase::Busy { converged: true, at_most } if now < at_most && !self.is_converged() => {
                self.phase = Phase::Busy { converged: false, at_most };
                self.until = (now + LOOK).min(at_most);
            }
            Phase::Busy { .. } => {
                self.workload.stop();
                self.tree_load(|load, _| load.stop());
                self.fresh = FreshWrite::Unanswered;
                self.phase = Phase::Fresh;
                self.until = (now + LOOK).min(self.end_at);
                self.try_fresh();
            }
            Phase::Fresh => {
                let written = matches!(self.fresh, FreshWrite::Acknowledged(_));
                if now >= self.end_at || (written && self.is_converged()) {
                    self.phase = Phase::Settle;
                    self.until = now + SETTLE;
                } else {
                    self.until = (now + LOOK).min(self.end_at);
                }
            }
            // Who was back for a moment only is given the rest of the time.
            Phase::Settle if now < self.end_at && !self.would_pass() => {
                self.phase = Phase::Fresh;
                self.until = (now + LOOK).min(self.end_at);
            }
            Phase::Settle | Phase::Over => self.phase = Phase::Over,
        }
    }

    fn on_client(&mut self, output: &ClientOutput) {
        match output {
            ClientOutput::Connected { client: FRESH, .. } if !self.fresh_asked => {
                self.fresh_asked = true;
                let body = set_data_request(b"/fresh", b"fresh", -1);
                let member = self.fresh_member();
                self.world
                    .client(member, ClientInput::Request { client: FRESH, cxid: 1, op: op::SET_DATA, body });
            }
            ClientOutput::Reply { client: FRESH, zxid, result, .. } => {
                // A member over a history that is no register map's refuses it, by a transaction; so does a tree,
                // where the node is missing.
                if matches!(result, Ok(_) | Err(code::UNIMPLEMENTED | code::NO_NODE)) {
                    self.fresh = FreshWrite::Acknowledged(*zxid);
                }
            }
            ClientOutput::Disconnected { client: FRESH } | ClientOutput::Expired { client: FRESH } => {
                self.fresh_asked = false;
            }
            output if self.operator.is(output.client()) => {
                if let Some(answer) = self.operator.on_output(&mut self.world, output) {
                    self.tell(Told::Reconfig(answer));
                }
            }
            output => self.workload.on_output(&mut self.world, output),
        }
    }

    fn tell(&mut self, told: Told) {
        self.story.tell(self.world.now, told);
    }

    fn on_event(&mut self, member: ServerId, event: &Event) {
        match event {
            event if is_of_a_write(event) => {}
            event => {
                if !matches!(event, Event::Mark { .. } | Event::Warning { .. }) {
                    self.last_event.insert(member.0, event.name());
                }
                self.on_rare_event(member, event);
            }
        }
        if self.options.watch {
            *self.seen.entry(event.name().to_owned()).or_default() += 1;
            *self.seen.entry(format!("{}@{member}", event.name())).or_default() += 1;
        }
        self.trigger(member, event.name(), |fields| has_fields(&event_json(event), fields));
    }

    fn on_rare_event(&mut self, member: ServerId, event: &Event) {
        match event {
            Event::ElectionDecided { leader, .. } if *leader == member => self.stats.elections_won += 1,
            Event::Established { epoch } => self.stats.epochs_established.push(epoch.0),
            Event::SyncChosen { learner, mode, .. } => {
                *self.stats.syncs.entry(format!("{mode:?}")).or_default() += 1;
                self.syncs_of.entry(learner.0).or_default().push(*mode);
            }
            Event::EpochAcked { .. }
            | Event::ConfigActivated { .. }
            | Event::UpToDate { .. }
            | Event::RoleLeft { .. }
            | Event::LearnerAhead { .. } => {}
            Event::SnapshotTaken { .. } => return self.stats.snapshots += 1,
            Event::Warning { .. } => return self.stats.warnings += 1,
            Event::Mark { mark } => return *self.stats.marks.entry((*mark).to_owned()).or_default() += 1,
            _ => return,
        }
        self.tell(Told::Event(member, event.clone()));
    }

    fn trigger_moment(&mut self, member: ServerId, moment: &Moment) {
        self.trigger(member, moment.name(), |fields| moment.has(fields));
    }

    /// Steps that wait for this event; `has` tells whether it has the fields that one asks for.
    fn trigger(&mut self, member: ServerId, name: &str, has: impl Fn(&Fields) -> bool) {
        let mut at = 0;
        while let Some(&index) = self.waiting.get(at) {
            let pending = &mut self.steps[index];
            let Some(when) = &pending.step.when else { unreachable!("it waits") };
            if when.event != name || !when.matches(member, &has) {
                at += 1;
                continue;
            }
            pending.seen += 1;
            if pending.seen < when.nth {
                at += 1;
                continue;
            }
            pending.done = true;
            pending.it = Some(member);
            let after_ms = when.after_ms;
            self.waiting.remove(at);
            self.ask_for_writes();
            if after_ms > 0 {
                self.world.timer(self.world.now + millis(after_ms), STEP_TIMER | index as u64);
            } else {
                self.act_step(index);
            }
        }
    }

    /// The events of every write are told where somebody waits for them.
    fn ask_for_writes(&mut self) {
        const WRITE: [&str; 6] = ["proposed", "logged", "ackSent", "ackCounted", "committed", "delivered"];
        let waits = |index: &usize| {
            self.steps[*index].step.when.as_ref().is_some_and(|when| WRITE.contains(&when.event.as_str()))
        };
        self.world.tell_writes =
            self.options.watch || self.options.stop_at_violation || self.waiting.iter().any(waits);
    }

    fn act_step(&mut self, index: usize) {
        let Pending { step, it, .. } = self.steps[index].clone();
        // A trigger's delay may end after the heal: the time of faults is over.
        if self.phase == Phase::Plan {
            self.act(&step.actions, it);
        }
    }

    fn heal(&mut self) {
        self.tell(Told::Heal);
        self.workload.only = None;
        self.tree_load(|load, _| load.only = None);
        self.operator.stop();
        self.world.heal();
        for sid in self.world.member_ids() {
            self.world.calm(sid);
            // Whose disk has rotted gets a new one, where the budget has it.
            if self.world.is_rotten(sid) {
                self.world.replace_disk(sid);
            }
            self.world.boot(sid, self.world.now);
        }
    }

    fn is_converged(&self) -> bool {
        let roles: Vec<Option<Role>> = self
            .world
            .member_ids()
            .into_iter()
            .filter(|sid| !self.world.is_rotten(*sid))
            .map(|sid| self.world.role(sid))
            .collect();
        roles.iter().filter(|role| **role == Some(Role::Leading)).count() == 1
            && roles
                .iter()
                .all(|role| matches!(role, Some(Role::Leading | Role::Following | Role::Observing)))
    }

    fn fresh_member(&self) -> ServerId {
        let members = self.world.member_ids();
        members[self.fresh_attempt % members.len()]
    }

    fn try_fresh(&mut self) {
        if matches!(self.fresh, FreshWrite::Acknowledged(_)) {
            return;
        }
        let member = self.fresh_member();
        self.world.client(member, ClientInput::Disconnect { client: FRESH });
        self.fresh_attempt += 1;
        self.fresh_asked = false;
        let member = self.fresh_member();
        self.world.client(
            member,
            ClientInput::Connect {
                client: FRESH,
                resume: None,
                timeout_ms: 10_000,
                last_zxid: Zxid::ZERO,
                auth: Vec::new(),
            },
        );
        self.world.timer(self.world.now + millis(1500), FRESH_TIMER);
    }

    /// What convergence asks for is there.
    fn would_pass(&self) -> bool {
        let mut checkers = self.world.checkers.clone();
        let before = checkers.violations().len();
        checkers.finish(self.world.now, &self.final_state());
        checkers.violations().len() == before
    }

    fn final_state(&self) -> FinalState {
        let members = self.world.member_ids();
        // A run that was stopped has not converged, and is not asked to.
        let stopped = self.world.runaway().is_some()
            || (self.options.stop_at_violation && !self.world.checkers.violations().is_empty());
        FinalState {
            converged: !stopped,
            running: members.iter().copied().filter(|sid| self.world.is_up(*sid)).collect(),
            voteless: members.iter().copied().filter(|sid| self.world.has_lost_disk(*sid)).collect(),
            refused: members
                .iter()
                .filter(|sid| !self.world.is_rotten(**sid))
                .filter_map(|sid| Some((*sid, self.world.refusal(*sid)?)))
                .collect(),
            configs: members
                .iter()
                .filter_map(|sid| Some((*sid, self.world.config_version(*sid)?)))
                .collect(),
            fresh_write: self.fresh,
        }
    }

    pub fn finish(mut self) -> Outcome {
        let members = self.world.member_ids();
        let now = self.world.now;
        let end = self.final_state();
        self.world.checkers.finish(now, &end);
        let mut violations = self.world.checkers.violations().to_vec();
        if let Some(runaway) = self.world.runaway() {
            let (invariant, detail) = (runaway.code(), runaway.detail().to_owned());
            violations.push(Violation { invariant, at: now, member: members[0], detail });
        }
        self.stats.simulated_ms = now.0 / 1_000_000;
        self.stats.events = self.world.events;
        self.stats.committed = self.world.committed;
        self.stats.acknowledged_writes = self.workload.acknowledged;
        self.stats.unknown_outcomes = self.workload.unknown;
        self.stats.reconfigs = std::mem::take(&mut self.operator.answers);
        if let Some(tree) = &self.tree {
            self.stats.acknowledged_writes += tree.acknowledged;
            self.stats.unknown_outcomes += tree.unknown;
            self.stats.tree = Some(tree.stats());
        }
        let verdict = if violations.iter().any(|v| !v.invariant.starts_with("LV-")) {
            Verdict::Violation
        } else if !violations.is_empty() {
            Verdict::Stuck
        } else if self.stats.epochs_established.is_empty() || self.stats.acknowledged_writes == 0 {
            Verdict::Empty
        } else {
            Verdict::Clean
        };
        let disks = members.iter().filter(|_| self.disks_matter);
        Outcome {
            verdict,
            disks: disks.filter_map(|sid| Some((sid.0, self.world.recover(*sid)?))).collect(),
            violations,
            stats: self.stats,
            faults: self.world.faults.clone(),
            trace_hash: self.world.hash.to_string(),
            story: self.story,
            roles: members.iter().map(|sid| (sid.0, self.world.role(*sid))).collect(),
            seen: self.seen,
            syncs_of: self.syncs_of,
            trace: self.world.trace.take().unwrap_or_default(),
        }
    }
}
