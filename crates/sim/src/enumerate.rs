//! Enumeration: one scenario, and a fault put at every packet delivered and every disk step of every
//! member. The scenario runs once and stops before each of them; each fault goes on in a fork of the
//! world, and can be told as steps of the scenario that replay to the same trace.

use std::collections::BTreeMap;

use peer::Nanos;
use wire::ServerId;

use crate::draw::{Concern, Draws};
use crate::plan::{Action, Step, When, Who};
use crate::run::{Options, Outcome, RunSpec, Runner};
use crate::scenario::Scenario;

/// The faults that can be put somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A kill and a power loss: at a packet, and inside every file-system call that changes something.
    Crash,
    /// Longer than the others wait.
    Pause,
    /// From everybody, for longer than they wait.
    Cut,
    /// The next sync fails.
    FailSync,
}

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::Crash, Fault::Pause, Fault::Cut, Fault::FailSync];

    pub fn name(self) -> &'static str {
        match self {
            Fault::Crash => "crash",
            Fault::Pause => "pause",
            Fault::Cut => "cut",
            Fault::FailSync => "fail-sync",
        }
    }
}

/// Where a fault was put: before the `nth` such moment of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub member: ServerId,
    event: &'static str,
    nth: u32,
    /// The member's last event, and the packet or disk operation that comes: the row of the table.
    pub label: String,
}

/// One fault at one point: the steps that tell it, and the world to go on with.
#[derive(Clone)]
pub struct Case {
    pub point: Point,
    pub fault: Fault,
    pub steps: Vec<Step>,
    fork: Runner,
}

impl Case {
    pub fn run(self) -> Outcome {
        let Case { point, steps, mut fork, .. } = self;
        fork.world.tell_moments = false;
        fork.inject(&steps, point.member);
        while fork.advance().is_some() {}
        fork.finish()
    }
}

/// Changing file-system calls of each member so far.
type Calls = Vec<(ServerId, u64)>;

/// Time until a member that crashed is back.
const BACK_MS: u64 = 700;

pub struct Enumeration {
    base: Runner,
    faults: Vec<Fault>,
    beyond_sync_ms: u64,
    counts: BTreeMap<(ServerId, &'static str), u32>,
    /// The last point, the world there, and the file-system calls before it.
    last: Option<(Point, Runner, Calls)>,
}

impl Enumeration {
    pub fn new(spec: &RunSpec, faults: &[Fault]) -> Enumeration {
        let options = Options { stop_at_violation: true, ..Options::default() };
        let mut base = Runner::new(spec, options);
        base.world.tell_moments = true;
        let sync = spec.world.members[0].settings.sync_time().0 / 1_000_000;
        Enumeration {
            base,
            faults: faults.to_vec(),
            beyond_sync_ms: 2 * sync,
            counts: BTreeMap::new(),
            last: None,
        }
    }

    /// Simulated time that the scenario has come to.
    pub fn reached(&self) -> Nanos {
        self.base.world.now
    }

    /// The cases of the next point; `None` once everything heals.
    pub fn next_cases(&mut self) -> Option<Vec<Case>> {
        let next = self.base.advance().filter(|_| !self.base.is_healed());
        let calls = self.base.world.disk_calls();
        let mut cases = self.last.take().map_or(Vec::new(), |last| self.disk_steps(&last, &calls));
        let Some((member, moment)) = next else {
            return (!cases.is_empty()).then_some(cases);
        };
        let event = moment.name();
        let nth = self.counts.entry((member, event)).or_default();
        *nth += 1;
        let label = format!("{}, then {}", self.base.last_event(member), moment.label());
        let point = Point { member, event, nth: *nth, label };
        for fault in self.faults.clone() {
            for steps in self.steps_at(&point, fault) {
                cases.push(Case { point: point.clone(), fault, steps, fork: self.base.clone() });
            }
        }
        self.last = Some((point, self.base.clone(), calls));
        Some(cases)
    }

    /// Crashes inside the file-system calls that were made between the last point and now.
    fn disk_steps(
        &self,
        (point, world, before): &(Point, Runner, Calls),
        now: &[(ServerId, u64)],
    ) -> Vec<Case> {
        let mut cases = Vec::new();
        if !self.faults.contains(&Fault::Crash) {
            return cases;
        }
        for ((member, before), (_, now)) in before.iter().zip(now) {
            for calls in 0..(now - before) as u32 {
                for power in [false, true] {
                    let who = Who::Id(member.0);
                    let action = if power {
                        Action::PowerLoss { member: who, amid_write: false, calls: Some(calls) }
                    } else {
                        Action::Kill { member: who, amid_write: false, calls: Some(calls) }
                    };
                    let steps = vec![step(point, 0, action), back(point, *member)];
                    let point = Point { label: format!("{}, inside", point.label), ..point.clone() };
                    cases.push(Case { point, fault: Fault::Crash, steps, fork: world.clone() });
                }
            }
        }
        cases
    }

    /// Each way of putting the fault at the point.
    fn steps_at(&self, point: &Point, fault: Fault) -> Vec<Vec<Step>> {
        let member = Who::Id(point.member.0);
        match fault {
            Fault::Crash => [false, true]
                .map(|power| {
                    let member = member.clone();
                    let action = if power {
                        Action::PowerLoss { member, amid_write: false, calls: None }
                    } else {
                        Action::Kill { member, amid_write: false, calls: None }
                    };
                    vec![step(point, 0, action), back(point, point.member)]
                })
                .to_vec(),
            Fault::Pause => vec![vec![step(point, 0, Action::Pause { member, ms: self.beyond_sync_ms })]],
            Fault::Cut => vec![vec![
                step(point, 0, Action::Isolate { member }),
                step(point, self.beyond_sync_ms, Action::Heal {}),
            ]],
            Fault::FailSync => {
                vec![vec![step(point, 0, Action::FailSync { member, count: 1 }), back(point, point.member)]]
            }
        }
    }
}

fn step(point: &Point, after_ms: u64, action: Action) -> Step {
    let when = When {
        event: point.event.into(),
        member: Some(point.member.0),
        fields: serde_json::Map::new(),
        nth: point.nth,
        after_ms,
    };
    Step::when(when, vec![action])
}

fn back(point: &Point, member: ServerId) -> Step {
    step(point, BACK_MS, Action::Start { member: Who::Id(member.0) })
}

/// The scenario with the fault in it.
pub fn with_steps(scenario: &Scenario, steps: &[Step]) -> Scenario {
    let mut with = scenario.clone();
    with.timeline.extend_from_slice(steps);
    with
}

/// Pairs of faults out of all, drawn by the seed: indices, the earlier first.
pub fn pairs(seed: u64, cases: u64, count: u64) -> Vec<(u64, u64)> {
    let mut draws = Draws::new(seed, Concern::Faults, 2);
    let drawn = (0..count).map(|_| (draws.below(cases), draws.below(cases)));
    drawn.filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect()
}
