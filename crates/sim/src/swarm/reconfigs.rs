//! Reconfigurations of a run whose members have `reconfigEnabled`: who votes, observes and leaves when, and crashes at the
//! moments when a configuration is proposed or becomes active. Drawn apart from the faults.

use peer::{QuorumVerifier, View};

use super::{one_of, pick};
use crate::draw::{Concern, Draws};
use crate::plan::{Action, Fields, Named, Step, When, Who};

/// No server; servers that are not there: one among the voters, three of them, one that observes; an address that
/// another has.
const TEXTS: [&str; 5] = [
    "server.x=10.0.0.1:2888:3888:participant;2181",
    "server.101=10.0.0.101:2888:3888:participant;2181",
    "server.101=10.0.0.101:2888:3888:participant;2181,server.102=10.0.0.102:2888:3888:participant;2181,\
     server.103=10.0.0.103:2888:3888:participant;2181",
    "server.101=10.0.0.101:2888:3888:observer;2181",
    "server.101=10.0.0.1:2888:3888:participant;2181",
];

/// None in four of ten runs. `(start, heal)`: ms.
pub(super) fn timeline(seed: u64, view: &View, (start, heal): (u64, u64)) -> Vec<Step> {
    let mut draws = Draws::new(seed, Concern::Reconfigs, 0);
    if view.members.len() < 2 || draws.chance(400) {
        return Vec::new();
    }
    let grouped = matches!(view.verifier, QuorumVerifier::Hierarchical { .. });
    let mut plan =
        Plan { draws, members: view.members.len() as u64, all_milli: if grouped { 500 } else { 120 } };
    let mut steps = Vec::new();
    for _ in 0..plan.draws.range(1, 6) {
        let at = plan.draws.range(start, heal.max(start + 1) - 1);
        // Several at once: all but the first are refused, or come behind it.
        let together = if plan.draws.chance(150) { 2 } else { 1 };
        steps.push(Step::at(at, (0..together).map(|_| plan.reconfig()).collect()));
    }
    if plan.draws.chance(450) {
        steps.extend(plan.crash());
    }
    steps
}

struct Plan {
    draws: Draws,
    members: u64,
    all_milli: u64,
}

impl Plan {
    fn anybody(&mut self) -> Who {
        match self.draws.below(10) {
            0..=2 => Who::Named(Named::Leader),
            3 => Who::Named(Named::Follower),
            _ => Who::Id(self.draws.range(1, self.members) as i64),
        }
    }

    fn some(&mut self) -> Vec<Who> {
        (1..=self.members as i64).filter(|_| self.draws.chance(600)).map(Who::Id).collect()
    }

    fn reconfig(&mut self) -> Action {
        let (mut voters, mut observers, mut leave) = (Vec::new(), Vec::new(), Vec::new());
        let all = self.draws.chance(self.all_milli);
        if all {
            voters = self.some();
            observers = self.some().into_iter().filter(|who| !voters.contains(who)).collect();
        } else {
            // Often more than one change at once.
            for _ in 0..=pick(&mut self.draws, &[600, 300, 100]) {
                let who = self.anybody();
                match pick(&mut self.draws, &[350, 450, 200]) {
                    0 => leave.push(who),
                    1 => voters.push(who),
                    _ => observers.push(who),
                }
            }
        }
        // Of a version that there never was.
        let from = self.draws.chance(40).then_some(7);
        let text = match self.draws.below(100) {
            0..=5 => Some(one_of(&mut self.draws, &TEXTS).to_owned()),
            // A voter at another address: if it leads, it does not lead on.
            6..=9 => {
                let (id, port) = (self.draws.range(1, self.members), self.draws.range(2889, 2890));
                Some(format!("server.{id}=10.0.0.{id}:{port}:3888:participant;2181"))
            }
            _ => None,
        };
        let through = self.draws.chance(250).then(|| self.anybody());
        Action::Reconfig { voters, observers, leave, all, from, text, through }
    }

    /// Whoever comes to the moment so many-th dies there, and comes back.
    fn crash(&mut self) -> [Step; 2] {
        let event = one_of(&mut self.draws, &["configSeen", "configActivated"]);
        let nth = self.draws.range(1, 12) as u32;
        let when =
            |after_ms| When { event: event.into(), member: None, fields: Fields::new(), nth, after_ms };
        let member = || Who::Named(Named::It);
        let calls = self.draws.chance(500).then(|| self.draws.below(6) as u32);
        let dies = match self.draws.below(2) {
            0 => Action::Kill { member: member(), amid_write: false, calls },
            _ => Action::PowerLoss { member: member(), amid_write: false, calls },
        };
        let back = self.draws.range(200, 3000);
        [Step::when(when(0), vec![dies]), Step::when(when(back), vec![Action::Start { member: member() }])]
    }
}
