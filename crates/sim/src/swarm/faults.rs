//! The faults of a run: which kinds are on is drawn first; then when, to whom, how strong. A run with a
//! few kinds often finds what one with all of them buries.

use peer::Port;

use super::{aimed, one_of, pick};
use crate::draw::{Concern, Draws};
use crate::plan::{Action, Named, Step, Who};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    PowerLoss,
    RollingRestart,
    RestartStorm,
    Pause,
    SlowProcess,
    Partition,
    Isolate,
    ForeignTail,
    Reset,
    CutFrame,
    SlowLink,
    BlackHole,
    RefuseConnects,
    ConnectionStorm,
    SlowDisk,
    FailSync,
    FailWrite,
    ShortWrite,
    DiskFull,
    LostDisk,
    ClockJump,
    Aimed,
}

const KINDS: [Kind; 23] = [
    Kind::Kill,
    Kind::PowerLoss,
    Kind::RollingRestart,
    Kind::RestartStorm,
    Kind::Pause,
    Kind::SlowProcess,
    Kind::Partition,
    Kind::Isolate,
    Kind::ForeignTail,
    Kind::Reset,
    Kind::CutFrame,
    Kind::SlowLink,
    Kind::BlackHole,
    Kind::RefuseConnects,
    Kind::ConnectionStorm,
    Kind::SlowDisk,
    Kind::FailSync,
    Kind::FailWrite,
    Kind::ShortWrite,
    Kind::DiskFull,
    Kind::LostDisk,
    Kind::ClockJump,
    Kind::Aimed,
];

/// What the draws of a run's faults share.
pub(super) struct Plan {
    pub draws: Draws,
    pub members: u64,
    pub sync_ms: u64,
    aim_at_leader: u64,
    steps: Vec<Step>,
}

/// Faults from the first time up to the heal (ms), as steps; in a slow ensemble not too close together.
pub(super) fn timeline(
    seed: u64,
    members: u64,
    (start, heal): (u64, u64),
    pace_ms: u64,
    sync_ms: u64,
) -> Vec<Step> {
    let mut draws = Draws::new(seed, Concern::Faults, 0);
    let odds = one_of(&mut draws, &[100, 250, 500]);
    let mut on: Vec<Kind> = KINDS.into_iter().filter(|_| draws.chance(odds)).collect();
    if draws.chance(600) && !on.contains(&Kind::Aimed) {
        on.push(Kind::Aimed);
    }
    if on.is_empty() {
        on.push(one_of(&mut draws, &KINDS));
    }
    let mean_gap = [50, 150, 500, 1500][pick(&mut draws, &[200, 350, 300, 150])];
    let mean_gap = mean_gap + pace_ms / 2;
    let aim_at_leader = one_of(&mut draws, &[100, 500]);
    let mut plan = Plan { draws, members, sync_ms, aim_at_leader, steps: Vec::new() };
    if on.contains(&Kind::Aimed) {
        // Those of the beginning: the first handshake, the first writes.
        aimed::early(&mut plan);
        if plan.draws.chance(120) {
            aimed::failed_attempts(&mut plan);
        }
    }
    // A TRUNC comes in few runs; waiting for it costs the others nothing.
    if plan.draws.chance(700) {
        aimed::around_trunc(&mut plan);
    }
    for _ in 0..2 {
        if plan.draws.chance(800) {
            aimed::at_a_write(&mut plan);
        }
    }
    let mut at = start;
    while at < heal {
        let kind = one_of(&mut plan.draws, &on);
        plan.fault(kind, at);
        at += plan.draws.range(1, 2 * mean_gap);
        if plan.draws.chance(180) {
            at = plan.respite(at);
        }
    }
    plan.steps.retain(|step| step.at.is_none_or(|at| at < heal));
    plan.steps
}

impl Plan {
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn at(&mut self, at: u64, actions: Vec<Action>) {
        self.steps.push(Step::at(at, actions));
    }

    fn id(&mut self) -> i64 {
        self.draws.range(1, self.members) as i64
    }

    fn anybody(&mut self) -> Who {
        Who::Id(self.id())
    }

    fn target(&mut self) -> Who {
        let aimed = self.aim_at_leader;
        if self.draws.chance(aimed) { Who::Named(Named::Leader) } else { self.anybody() }
    }

    pub fn everybody_starts(&self) -> Vec<Action> {
        (1..=self.members as i64).map(|id| Action::Start { member: Who::Id(id) }).collect()
    }

    fn fault(&mut self, kind: Kind, at: u64) {
        match kind {
            Kind::Kill | Kind::PowerLoss => self.crash(kind == Kind::PowerLoss, at),
            Kind::RollingRestart => self.rolling_restart(at),
            Kind::RestartStorm => self.restart_storm(at),
            Kind::Partition | Kind::Isolate => self.cut(kind == Kind::Isolate, at),
            Kind::ForeignTail => self.foreign_tail(at),
            Kind::FailSync | Kind::FailWrite | Kind::ShortWrite | Kind::DiskFull => {
                let action = self.failing_disk(kind);
                self.at(at, vec![action]);
                let back = self.draws.range(300, 3000);
                self.at(at + back, self.everybody_starts());
            }
            Kind::LostDisk => self.lost_disk(at),
            Kind::Aimed => aimed::later(self),
            kind => {
                let action = self.simple(kind);
                self.at(at, vec![action]);
            }
        }
    }

    /// Everybody is back and reaches everybody for a while: what is hit next is at work again.
    fn respite(&mut self, at: u64) -> u64 {
        let mut actions = self.everybody_starts();
        actions.push(Action::Heal {});
        self.at(at, actions);
        at + self.draws.range(500, 1000 + self.sync_ms)
    }

    fn crash(&mut self, power: bool, at: u64) {
        let member = self.target();
        let amid_write = self.draws.chance(600);
        let action = if power {
            Action::PowerLoss { member, amid_write, calls: None }
        } else {
            Action::Kill { member, amid_write, calls: None }
        };
        self.at(at, vec![action]);
        let back = self.draws.range(1, 4000);
        self.at(at + back, self.everybody_starts());
    }

    /// One after another, or nearly all at once.
    fn rolling_restart(&mut self, at: u64) {
        let gap = one_of(&mut self.draws, &[0, 50, 500, 1500]);
        let power = self.draws.chance(400);
        for id in 1..=self.members as i64 {
            let member = Who::Id(id);
            let action = if power {
                Action::PowerLoss { member: member.clone(), amid_write: false, calls: None }
            } else {
                Action::Kill { member: member.clone(), amid_write: false, calls: None }
            };
            let begin = at + gap * id as u64;
            self.at(begin, vec![action]);
            let down = self.draws.range(1, 800);
            self.at(begin + down, vec![Action::Start { member }]);
        }
    }

    /// One member dies again and again soon after its start.
    fn restart_storm(&mut self, at: u64) {
        let id = self.id();
        let alive = one_of(&mut self.draws, &[20, 200, 700]);
        let mut begin = at;
        for _ in 0..self.draws.range(2, 5) {
            self.at(begin, vec![Action::Kill { member: Who::Id(id), amid_write: false, calls: None }]);
            begin += self.draws.range(1, 100);
            self.at(begin, vec![Action::Start { member: Who::Id(id) }]);
            begin += self.draws.range(1, 2 * alive);
        }
    }

    fn cut(&mut self, one: bool, at: u64) {
        if self.members < 2 {
            return;
        }
        let action = if one {
            Action::Isolate { member: self.target() }
        } else {
            let split = self.draws.range(1, self.members - 1) as i64;
            let mut ids: Vec<i64> = (1..=self.members as i64).collect();
            let turn = self.draws.below(self.members) as usize;
            ids.rotate_left(turn);
            let side = |ids: &[i64]| ids.iter().copied().map(Who::Id).collect();
            let (from, to) = ids.split_at(split as usize);
            Action::Partition { from: side(from), to: side(to), one_way: self.draws.chance(300) }
        };
        self.at(at, vec![action]);
        let healed = self.draws.range(10, 2 * self.sync_ms);
        self.at(at + healed, vec![Action::Heal {}]);
    }

    /// A leader goes on alone for as long as it may, and comes back with what nobody else has when the others
    /// have written on: its log is cut, and something happens around that, or amid its synchronisation.
    fn foreign_tail(&mut self, at: u64) {
        // The first leader is, where all begin alike, the one with the largest id.
        let id = self.draws.chance(600).then_some(self.members as i64);
        let member = id.map_or(Who::Named(Named::Leader), Who::Id);
        self.at(at, vec![Action::Isolate { member }]);
        let healed = self.sync_ms + self.draws.range(500, 4000);
        self.at(at + healed, vec![Action::Heal {}]);
        match id {
            Some(_) => aimed::cut_sync(self, id, 2),
            None if self.draws.chance(500) => aimed::cut_sync(self, None, 8),
            None => aimed::around_trunc(self),
        }
    }

    fn failing_disk(&mut self, kind: Kind) -> Action {
        let member = self.target();
        match kind {
            Kind::FailSync => Action::FailSync { member, count: 1 },
            Kind::FailWrite => Action::FailWrite { member, count: one_of(&mut self.draws, &[1, 1, 3]) },
            Kind::ShortWrite => Action::ShortWrite { member, keep_milli: self.draws.below(1000) },
            _ => Action::DiskFull { member, ms: self.draws.range(50, 2000) },
        }
    }

    /// Down; then a bit of its disk rots, or the disk is replaced; then up again.
    fn lost_disk(&mut self, at: u64) {
        let member = self.id();
        self.at(at, vec![Action::Kill { member: Who::Id(member), amid_write: false, calls: None }]);
        let lost = self.draws.range(1, 300);
        let action =
            if self.draws.chance(500) { Action::BitRot { member } } else { Action::ReplaceDisk { member } };
        self.at(at + lost, vec![action]);
        let back = lost + self.draws.range(1, 1500);
        self.at(at + back, vec![Action::Start { member: Who::Id(member) }]);
    }

    fn simple(&mut self, kind: Kind) -> Action {
        let member = self.target();
        let ms = self.draws.range(100, 3000);
        match kind {
            Kind::Pause => Action::Pause { member, ms: self.draws.range(10, 2 * self.sync_ms) },
            Kind::SlowProcess => Action::SlowProcess {
                member,
                pause_ms: one_of(&mut self.draws, &[10, 50, 300]),
                run_ms: one_of(&mut self.draws, &[1, 10, 100]),
                times: self.draws.range(3, 15) as u32,
            },
            Kind::Reset => Action::Reset { a: member, b: self.anybody() },
            Kind::CutFrame => {
                let port =
                    [None, Some(Port::Election), Some(Port::Quorum)][pick(&mut self.draws, &[400, 300, 300])];
                Action::CutFrame { from: member, to: None, port, keep_milli: self.draws.below(1000) }
            }
            Kind::SlowLink => {
                let factor = self.draws.range(5, 100);
                Action::SlowLink { from: member, to: self.anybody(), factor, ms }
            }
            Kind::BlackHole => Action::BlackHole { a: member, b: self.anybody() },
            Kind::RefuseConnects => Action::RefuseConnects { member, ms },
            Kind::ConnectionStorm => {
                Action::ConnectionStorm { member, count: self.draws.range(2, 12) as u32, ms }
            }
            Kind::SlowDisk => Action::SlowDisk { member, factor: self.draws.range(5, 100), ms },
            _ => Action::ClockJump { member, ms: self.draws.range(0, 20_000) as i64 - 10_000 },
        }
    }
}
