//! The shrinker: makes a failing scenario small while its signature stays. First the timeline (delta
//! debugging), then members, moments, workload, settings and numbers; again from the beginning until a
//! round changes nothing.
//!
//! The caller runs the candidates, as many at a time as it likes, and names the *first* that fails in
//! the same way: the result does not depend on how many ran beside each other.

use crate::plan::Action;
use crate::scenario::{Scenario, SettingsEntry};

mod edits;
mod moments;
mod numbers;

/// Which of the candidates is the first to fail with the signature that is kept.
pub type Oracle<'a> = dyn Fn(&[Scenario]) -> Option<usize> + 'a;

/// How large a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Size {
    /// Steps of the timeline, and actions in them.
    pub steps: usize,
    pub actions: usize,
    pub members: usize,
    pub clients: u32,
    /// Settings that are not as by default, of all and of members.
    pub settings: usize,
    pub heal_at_ms: u64,
}

impl Size {
    pub fn of(scenario: &Scenario) -> Size {
        let own: usize = scenario.members.iter().map(|m| m.settings.len()).sum();
        Size {
            steps: scenario.timeline.len(),
            actions: scenario.timeline.iter().map(|step| step.actions.len()).sum(),
            members: scenario.members.len(),
            clients: scenario.workload.clients,
            settings: own + changed(&scenario.settings),
            heal_at_ms: scenario.heal_at,
        }
    }
}

fn changed(settings: &SettingsEntry) -> usize {
    let fields = |entry: &SettingsEntry| serde_json::to_value(entry).unwrap_or_default();
    let (own, default) = (fields(settings), fields(&SettingsEntry::default()));
    own.as_object()
        .map_or(0, |own| own.iter().filter(|(key, value)| default.get(*key) != Some(value)).count())
}

/// Candidates that are tried beside each other.
const BATCH: usize = 16;
const ROUNDS: usize = 6;

/// An edit of a scenario; false where it does not apply.
type Edit = Box<dyn Fn(&mut Scenario) -> bool>;

pub struct Shrinker<'a> {
    best: Scenario,
    oracle: &'a Oracle<'a>,
    /// Told after every candidate that was kept: what was done, and the scenario now.
    progress: &'a mut dyn FnMut(&str, &Scenario),
    violated_at_ms: u64,
}

/// `scenario` fails; its violation comes at `violated_at_ms`.
pub fn shrink(
    scenario: &Scenario,
    violated_at_ms: u64,
    oracle: &Oracle<'_>,
    progress: &mut dyn FnMut(&str, &Scenario),
) -> Scenario {
    let mut shrinker = Shrinker { best: scenario.clone(), oracle, progress, violated_at_ms };
    shrinker.cut_the_end();
    for _ in 0..ROUNDS {
        let before = shrinker.best.to_text();
        shrinker.drop_steps();
        shrinker.apply("timeline", edits::actions(&shrinker.best));
        shrinker.apply("members", edits::members(&shrinker.best));
        shrinker.apply("workload", edits::workload());
        shrinker.apply("settings", edits::settings(&shrinker.best));
        shrinker.apply("simpler faults", edits::simpler_faults(&shrinker.best));
        shrinker.apply("moments", moments::edits(&shrinker.best));
        shrinker.apply("numbers", numbers::edits(&shrinker.best));
        shrinker.apply("seed", edits::seeds());
        if shrinker.best.to_text() == before {
            break;
        }
    }
    shrinker.best
}

impl Shrinker<'_> {
    /// Nothing behind the violation matters to it.
    fn cut_the_end(&mut self) {
        let at = self.violated_at_ms;
        if at >= self.best.heal_at {
            return;
        }
        let bound = self.best.end_at - self.best.heal_at;
        let heal_at = (at / 1000 + 1) * 1000;
        self.apply(
            "end",
            vec![Box::new(move |scenario: &mut Scenario| {
                if heal_at >= scenario.heal_at {
                    return false;
                }
                (scenario.heal_at, scenario.end_at) = (heal_at, heal_at + bound);
                scenario.timeline.retain(|step| step.at.is_none_or(|t| t < heal_at));
                true
            })],
        );
    }

    /// Delta debugging: chunks of the timeline, from half of it down to single steps.
    fn drop_steps(&mut self) {
        let mut size = self.best.timeline.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < self.best.timeline.len() {
                let candidates: Vec<Scenario> = (0..BATCH)
                    .map(|i| from + i * size)
                    .take_while(|start| *start < self.best.timeline.len())
                    .map(|start| without_steps(&self.best, start, size))
                    .collect();
                match self.first(&candidates) {
                    Some(i) => {
                        self.keep("timeline", candidates.into_iter().nth(i));
                        from += i * size;
                    }
                    None => from += BATCH * size,
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    /// Tries the edits one by one, each on top of those that were kept before it.
    fn apply(&mut self, what: &str, edits: Vec<Edit>) {
        let mut from = 0;
        while from < edits.len() {
            let mut candidates = Vec::new();
            let mut indices = Vec::new();
            let mut index = from;
            while index < edits.len() && candidates.len() < BATCH {
                let mut candidate = self.best.clone();
                if edits[index](&mut candidate) && is_sound(&candidate) {
                    candidates.push(candidate);
                    indices.push(index);
                }
                index += 1;
            }
            match self.first(&candidates) {
                Some(i) => {
                    self.keep(what, candidates.into_iter().nth(i));
                    from = indices[i] + 1;
                }
                None => from = index,
            }
        }
    }

    fn first(&self, candidates: &[Scenario]) -> Option<usize> {
        if candidates.is_empty() { None } else { (self.oracle)(candidates) }
    }

    fn keep(&mut self, what: &str, candidate: Option<Scenario>) {
        if let Some(candidate) = candidate {
            self.best = candidate;
            (self.progress)(what, &self.best);
        }
    }
}

/// A file could hold it.
fn is_sound(scenario: &Scenario) -> bool {
    Scenario::parse(&scenario.to_text()).is_ok()
}

fn without_steps(scenario: &Scenario, from: usize, count: usize) -> Scenario {
    let mut shorter = scenario.clone();
    let to = (from + count).min(shorter.timeline.len());
    shorter.timeline.drain(from..to);
    shorter
}

/// Actions that only end another fault, or bring somebody back.
fn is_relief(action: &Action) -> bool {
    matches!(action, Action::Start { .. } | Action::Heal {} | Action::StopWorkload {})
}
