//! Times become moments: a step at 3821 ms that came just behind "NEWLEADER sent" is tied to that
//! event, where the run goes on failing so. It says more, and holds when delays change.

use std::collections::BTreeMap;

use peer::Event;
use wire::ServerId;

use super::{Edit, is_relief};
use crate::plan::When;
use crate::run::{Options, run_with};
use crate::scenario::Scenario;

/// Events tried for a step.
const TRIED: usize = 6;

pub(super) fn edits(scenario: &Scenario) -> Vec<Edit> {
    let crashes = scenario.expect.violates.iter().any(|code| code.starts_with("RUN-"));
    let timed = |step: &crate::plan::Step| step.at.is_some() && !step.actions.iter().all(is_relief);
    if crashes || !scenario.timeline.iter().any(timed) {
        return Vec::new();
    }
    let told = told(scenario);
    let mut edits: Vec<Edit> = Vec::new();
    for (i, step) in scenario.timeline.iter().enumerate() {
        let Some(at) = step.at.filter(|_| timed(step)) else { continue };
        for when in moments_before(&told, at * 1_000_000) {
            edits.push(Box::new(move |scenario| {
                let Some(step) = scenario.timeline.get_mut(i).filter(|step| step.at == Some(at)) else {
                    return false;
                };
                (step.at, step.when) = (None, Some(when.clone()));
                true
            }));
        }
    }
    edits
}

struct Told {
    at_ns: u64,
    member: ServerId,
    name: &'static str,
}

/// What the run tells, without what comes with every write.
fn told(scenario: &Scenario) -> Vec<Told> {
    let options = Options { trace: true, watch: false, stop_at_violation: true };
    let outcome = run_with(&scenario.run_spec(None), options);
    let lines = outcome.trace.iter().filter_map(|line| Some((line.at.0, line.member, line.event.as_ref()?)));
    lines
        .filter(|(_, _, event)| is_a_moment(event))
        .map(|(at_ns, member, event)| Told { at_ns, member, name: event.name() })
        .collect()
}

fn is_a_moment(event: &Event) -> bool {
    !matches!(
        event,
        Event::Proposed { .. }
            | Event::Logged { .. }
            | Event::Delivered { .. }
            | Event::AckSent { .. }
            | Event::AckCounted { .. }
            | Event::Committed { .. }
            | Event::Mark { .. }
            | Event::Exception { .. }
            | Event::Warning { .. }
            | Event::SessionOpened { .. }
            | Event::SessionClosed { .. }
            | Event::ConnectionDropped { .. }
    )
}

/// The last moments before that time, the nearest first.
fn moments_before(told: &[Told], at_ns: u64) -> Vec<When> {
    let mut counts: BTreeMap<(ServerId, &str), u32> = BTreeMap::new();
    let mut all: Vec<When> = Vec::new();
    for moment in told.iter().take_while(|moment| moment.at_ns <= at_ns) {
        let nth = counts.entry((moment.member, moment.name)).or_default();
        *nth += 1;
        all.push(When {
            event: moment.name.into(),
            member: Some(moment.member.0),
            fields: serde_json::Map::new(),
            nth: *nth,
            after_ms: 0,
        });
    }
    all.reverse();
    all.truncate(TRIED);
    // Steps of the protocol say more than changes of role.
    all.sort_by_key(|when| ["roleChanged", "roleLeft", "electionStarted"].contains(&when.event.as_str()));
    all
}
