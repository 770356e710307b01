//! The runner: one plan, driven through a world with its workload to a verdict.
//!
//! Phases: the plan's steps; then everything heals, everybody starts, and the ensemble must converge
//! and acknowledge a fresh write within a bound.

use std::collections::BTreeMap;

use checker::{FinalState, FreshWrite, Violation};
use peer::{ClientId, ClientInput, ClientOutput, Event, Nanos, Recovered, Role, SyncMode};
use serde::Serialize;
use wire::txn::set_data_request;
use wire::{ServerId, Zxid, code, op};

use crate::faults::FaultCounters;
use crate::plan::{Action, Named, Pending, Step, Who, event_json, millis};
use crate::workload::{Workload, WorkloadSpec};
use crate::world::{Happened, TraceLine, World, WorldSpec};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Clean,
    Violation,
    Unexpected,
    Stuck,
    Crashed,
    Empty,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub simulated_ms: u64,
    pub events: u64,
    pub elections_won: u64,
    pub epochs_established: Vec<i64>,
    pub syncs: BTreeMap<String, u64>,
    pub committed: u64,
    pub acknowledged_writes: u64,
    pub unknown_outcomes: u64,
    pub snapshots: u64,
    pub warnings: u64,
    pub marks: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub violations: Vec<Violation>,
    pub stats: Stats,
    pub faults: FaultCounters,
    pub trace_hash: String,
    /// What happened, phase by phase, for people.
    pub story: Vec<String>,
    pub roles: BTreeMap<i64, Option<Role>>,
    /// Event names seen, with the member, for expectations.
    pub seen: BTreeMap<String, u64>,
    pub syncs_of: BTreeMap<i64, Vec<SyncMode>>,
    /// What each disk would be recovered to at the end, where disks were given at the beginning.
    pub disks: BTreeMap<i64, Recovered>,
    pub trace: Vec<TraceLine>,
}

const FRESH: ClientId = ClientId(u64::MAX);
const FRESH_TIMER: u64 = 0xfe << 56;
const STEP_TIMER: u64 = 0xfd << 56;

struct Runner {
    world: World,
    workload: Workload,
    steps: Vec<Pending>,
    stats: Stats,
    story: Vec<String>,
    seen: BTreeMap<String, u64>,
    syncs_of: BTreeMap<i64, Vec<SyncMode>>,
    fresh: FreshWrite,
    fresh_asked: bool,
    fresh_attempt: usize,
    watch: bool,
}

pub fn run(spec: &RunSpec, trace: bool, watch: bool) -> Outcome {
    let mut world = World::new(spec.world.clone());
    world.trace = trace.then(Vec::new);
    let members = world.member_ids();
    let workload = Workload::new(spec.world.seed, spec.workload.clone(), &members);
    let steps: Vec<Pending> =
        spec.timeline.iter().map(|step| Pending { step: step.clone(), seen: 0, done: false }).collect();
    let mut runner = Runner {
        world,
        workload,
        steps,
        stats: Stats::default(),
        story: Vec::new(),
        seen: BTreeMap::new(),
        syncs_of: BTreeMap::new(),
        fresh: FreshWrite::NotTried,
        fresh_asked: false,
        fresh_attempt: 0,
        watch,
    };
    runner.begin(spec, &members);
    runner.drive(spec.heal_at);
    runner.heal(&members);
    runner.converge(spec.end_at, &members);
    let disks_matter = !spec.world.disks.is_empty();
    runner.finish(&members, disks_matter)
}

impl Runner {
    fn begin(&mut self, spec: &RunSpec, members: &[ServerId]) {
        for sid in members.iter().filter(|sid| !spec.start_later.contains(&sid.0)) {
            self.world.boot(*sid, Nanos::ZERO);
        }
        self.workload.start(&mut self.world);
        for index in 0..self.steps.len() {
            if let Some(at) = self.steps[index].step.at {
                self.world.timer(millis(at), STEP_TIMER | index as u64);
            }
        }
    }

    fn drive(&mut self, until: Nanos) {
        while let Some(happened) = self.world.next(until) {
            self.on(happened);
        }
    }

    fn on(&mut self, happened: Happened) {
        match happened {
            Happened::Timer(timer) if timer >> 56 == 0xfe => self.try_fresh(),
            Happened::Timer(timer) if timer >> 56 == 0xfd => {
                let actions = self.steps[(timer & 0xffff_ffff) as usize].step.actions.clone();
                self.act(&actions, None);
            }
            Happened::Timer(timer) => self.workload.on_timer(&mut self.world, timer),
            Happened::Client { output, .. } => self.on_client(&output),
            Happened::Event { member, event } => self.on_event(member, &event),
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
                // A member over a history that is no register map's refuses it, by a transaction.
                if result.is_ok() || *result == Err(code::UNIMPLEMENTED) {
                    self.fresh = FreshWrite::Acknowledged(*zxid);
                }
            }
            ClientOutput::Disconnected { client: FRESH } | ClientOutput::Expired { client: FRESH } => {
                self.fresh_asked = false;
            }
            output => self.workload.on_output(&mut self.world, output),
        }
    }

    fn tell(&mut self, line: String) {
        let at = self.world.now.0 / 1_000_000;
        self.story.push(format!("{:>6}.{:03}s  {line}", at / 1000, at % 1000));
    }

    fn on_event(&mut self, member: ServerId, event: &Event) {
        match event {
            Event::Committed { .. } => self.stats.committed += 1,
            Event::Proposed { .. }
            | Event::Logged { .. }
            | Event::Delivered { .. }
            | Event::AckSent { .. }
            | Event::AckCounted { .. } => {}
            event => self.on_rare_event(member, event),
        }
        if self.watch {
            self.trigger(member, event);
        }
    }

    fn on_rare_event(&mut self, member: ServerId, event: &Event) {
        match event {
            Event::ElectionDecided { leader, epoch, round, .. } if *leader == member => {
                self.stats.elections_won += 1;
                self.tell(format!("{member} is elected (round {round}, epoch {epoch} behind it)"));
            }
            Event::EpochAcked { epoch } => self.tell(format!("{member} owns epoch {epoch}")),
            Event::Established { epoch } => {
                self.stats.epochs_established.push(epoch.0);
                self.tell(format!("{member} has established epoch {epoch}"));
            }
            Event::SyncChosen { learner, mode, peer_last_zxid, zxid } => {
                *self.stats.syncs.entry(format!("{mode:?}")).or_default() += 1;
                self.syncs_of.entry(learner.0).or_default().push(*mode);
                self.tell(format!("{member} syncs {learner}: {mode:?} from {peer_last_zxid} to {zxid}"));
            }
            Event::UpToDate { epoch } => self.tell(format!("{member} is up to date in epoch {epoch}")),
            Event::RoleLeft { role, reason } => self.tell(format!("{member} leaves {role:?}: {reason}")),
            Event::LearnerAhead { learner, .. } => {
                self.tell(format!("{member} refuses {learner}: it is ahead"))
            }
            Event::SnapshotTaken { .. } => self.stats.snapshots += 1,
            Event::Warning { .. } => self.stats.warnings += 1,
            Event::Mark { mark } => *self.stats.marks.entry((*mark).to_owned()).or_default() += 1,
            _ => {}
        }
    }

    /// Steps that wait for an event.
    fn trigger(&mut self, member: ServerId, event: &Event) {
        let json = event_json(event);
        if let Some(name) = json["event"].as_str() {
            *self.seen.entry(name.to_owned()).or_default() += 1;
            *self.seen.entry(format!("{name}@{member}")).or_default() += 1;
        }
        for index in 0..self.steps.len() {
            let pending = &mut self.steps[index];
            let Some(when) = &pending.step.when else { continue };
            if pending.done || !when.matches(member, &json) {
                continue;
            }
            pending.seen += 1;
            if pending.seen < when.nth {
                continue;
            }
            pending.done = true;
            if when.after_ms > 0 {
                let at = self.world.now + millis(when.after_ms);
                self.world.timer(at, STEP_TIMER | index as u64);
            } else {
                let actions = pending.step.actions.clone();
                self.act(&actions, Some(member));
            }
        }
    }

    fn who(&self, who: &Who, it: Option<ServerId>) -> Option<ServerId> {
        let with =
            |role: Role| self.world.member_ids().into_iter().find(|sid| self.world.role(*sid) == Some(role));
        match who {
            Who::Id(id) => Some(ServerId(*id)),
            Who::Named(Named::It) => it,
            Who::Named(Named::Leader) => with(Role::Leading),
            Who::Named(Named::Follower) => with(Role::Following),
        }
    }

    fn act(&mut self, actions: &[Action], it: Option<ServerId>) {
        for action in actions {
            self.act_one(action, it);
        }
    }

    fn act_one(&mut self, action: &Action, it: Option<ServerId>) {
        self.tell(format!("-- {}", serde_json::to_string(action).unwrap_or_default()));
        let all = self.world.member_ids();
        let one = |runner: &Runner, who: &Who| runner.who(who, it);
        match action {
            Action::Kill { member, amid_write } | Action::PowerLoss { member, amid_write } => {
                let power = matches!(action, Action::PowerLoss { .. });
                match one(self, member) {
                    Some(sid) if *amid_write => self.world.crash_amid_write(sid, power),
                    Some(sid) => self.world.crash(sid, power),
                    None => {}
                }
            }
            Action::Start { member } => {
                if let Some(sid) = one(self, member) {
                    self.world.boot(sid, self.world.now);
                }
            }
            Action::Pause { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.pause(sid, millis(*ms));
                }
            }
            Action::Partition { from, to, one_way } => {
                for a in from.iter().filter_map(|who| one(self, who)).collect::<Vec<_>>() {
                    for b in to.iter().filter_map(|who| one(self, who)).collect::<Vec<_>>() {
                        if a != b {
                            self.world.cut_link(a, b);
                            if !one_way {
                                self.world.cut_link(b, a);
                            }
                        }
                    }
                }
            }
            Action::Isolate { member } => {
                if let Some(sid) = one(self, member) {
                    for other in all.into_iter().filter(|other| *other != sid) {
                        self.world.cut_link(sid, other);
                        self.world.cut_link(other, sid);
                    }
                }
            }
            Action::Heal {} => self.world.heal(),
            Action::Reset { a, b } => {
                if let (Some(a), Some(b)) = (one(self, a), one(self, b)) {
                    self.world.reset(a, b);
                }
            }
            Action::BlackHole { a, b } => {
                if let (Some(a), Some(b)) = (one(self, a), one(self, b)) {
                    self.world.black_hole(a, b);
                }
            }
            Action::RefuseConnects { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.refuse_connects(sid, millis(*ms));
                }
            }
            Action::SlowLink { from, to, factor, ms } => {
                if let (Some(from), Some(to)) = (one(self, from), one(self, to)) {
                    self.world.slow_link(from, to, *factor, millis(*ms));
                }
            }
            Action::SlowDisk { member, factor, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.slow_disk(sid, *factor, millis(*ms));
                }
            }
            Action::FailSync { member, count } => {
                if let Some(sid) = one(self, member) {
                    self.world.fail_syncs(sid, *count);
                }
            }
            Action::ClockJump { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.jump_clock(sid, *ms);
                }
            }
            Action::MoveClients { member } => {
                self.workload.only = one(self, member);
                self.workload.reconnect_all(&mut self.world);
            }
            Action::StopWorkload {} => self.workload.stop(),
        }
    }

    fn heal(&mut self, members: &[ServerId]) {
        self.tell("-- everything heals, everybody starts".into());
        self.workload.only = None;
        self.world.heal();
        for sid in members {
            self.world.calm(*sid);
            self.world.boot(*sid, self.world.now);
        }
    }

    /// Half of the time left with the workload, the rest without it: then a fresh write.
    fn converge(&mut self, end_at: Nanos, members: &[ServerId]) {
        let now = self.world.now;
        let quiet_at = now + Nanos((end_at.0 - now.0) / 3);
        self.drive(quiet_at);
        self.workload.stop();
        self.fresh = FreshWrite::Unanswered;
        self.try_fresh();
        loop {
            let step = (self.world.now + millis(500)).min(end_at);
            self.drive(step);
            if self.world.now >= end_at
                || (self.is_converged(members) && matches!(self.fresh, FreshWrite::Acknowledged(_)))
            {
                break;
            }
        }
        // What was committed last reaches everybody.
        let settle = self.world.now + millis(3000);
        self.drive(settle);
    }

    fn is_converged(&self, members: &[ServerId]) -> bool {
        let roles: Vec<Option<Role>> = members.iter().map(|sid| self.world.role(*sid)).collect();
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

    fn finish(mut self, members: &[ServerId], disks_matter: bool) -> Outcome {
        let now = self.world.now;
        let end = FinalState {
            converged: true,
            running: members.iter().copied().filter(|sid| self.world.is_up(*sid)).collect(),
            refused: members.iter().filter_map(|sid| Some((*sid, self.world.refusal(*sid)?))).collect(),
            fresh_write: self.fresh,
        };
        self.world.checkers.finish(now, &end);
        let violations = self.world.checkers.violations().to_vec();
        self.stats.simulated_ms = now.0 / 1_000_000;
        self.stats.events = self.world.events;
        self.stats.acknowledged_writes = self.workload.acknowledged;
        self.stats.unknown_outcomes = self.workload.unknown;
        let verdict = if violations.iter().any(|v| !v.invariant.starts_with("LV-")) {
            Verdict::Violation
        } else if !violations.is_empty() {
            Verdict::Stuck
        } else if self.stats.epochs_established.is_empty() || self.stats.acknowledged_writes == 0 {
            Verdict::Empty
        } else {
            Verdict::Clean
        };
        let disks = members.iter().filter(|_| disks_matter);
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
