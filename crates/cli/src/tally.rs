//! What a sweep has counted: added run by run, joined from shards, written and read as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sim::faults::FaultKind;
use sim::run::{Outcome, Verdict};
use zab::marks::{MARKS, Reach};

/// A fault kind that never took effect fails a sweep of so many seeds, a mark never hit one of so many.
pub const FAULTS_FROM: u64 = 1000;
pub const MARKS_FROM: u64 = 5000;
/// Of a thousand runs so many may be empty.
pub const EMPTY_MILLI: u64 = 50;
/// A sweep of fewer seeds is not judged by that.
pub const EMPTY_FROM: u64 = 500;
/// Synchronisations, as marks.
const SYNCS: [&str; 6] = ["EmptyDiff", "Diff", "DiskDiff", "Trunc", "TruncDiff", "Snap"];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub injected: u64,
    pub took_effect: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    pub seed: u64,
    pub invariant: String,
    pub signature: String,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub signature: String,
    pub count: u64,
    /// One seed, and how to see it again.
    pub seed: u64,
    pub detail: String,
    pub command: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub runs: u64,
    /// Never an established leader, or never a write in flight while a fault took effect.
    pub empty: u64,
    pub violations: Vec<Violation>,
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    pub events: u64,
    pub simulated_ms: u64,
    /// The same in seconds.
    pub simulated_seconds: f64,
    pub committed: u64,
    pub faults: BTreeMap<String, Counts>,
    pub syncs: BTreeMap<String, u64>,
    pub marks: BTreeMap<String, u64>,
    pub failures: Vec<Group>,
    /// The default swarm on the correct core: it must reach everything.
    pub whole_swarm: bool,
    /// What a seed is replayed with, beside itself.
    pub arguments: String,
    /// Trace hashes, where they were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<u64, String>,
}

impl Tally {
    pub fn new(arguments: &str, whole_swarm: bool) -> Tally {
        let mut tally = Tally { arguments: arguments.into(), whole_swarm, ..Tally::default() };
        for kind in FaultKind::ALL {
            tally.faults.insert(kind.name().into(), Counts::default());
        }
        for (mark, reach) in MARKS {
            if *reach == Reach::Swarm {
                tally.marks.insert((*mark).into(), 0);
            }
        }
        for mode in SYNCS {
            tally.syncs.insert(mode.into(), 0);
        }
        tally
    }

    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.events += outcome.stats.events;
        self.simulated_ms += outcome.stats.simulated_ms;
        self.committed += outcome.stats.committed;
        for kind in FaultKind::ALL {
            let counts = self.faults.entry(kind.name().into()).or_default();
            counts.injected += outcome.faults.injected[kind as usize];
            counts.took_effect += outcome.faults.took_effect[kind as usize];
        }
        sum(&mut self.marks, &outcome.stats.marks);
        sum(&mut self.syncs, &outcome.stats.syncs);
        if outcome.verdict != Verdict::Crashed && outcome.tested_nothing() {
            self.empty += 1;
        }
        if let (Some(v), Some(signature)) = (outcome.violations.first(), outcome.signature()) {
            let detail = format!("at {} of {}: {}", v.at, v.member, v.detail);
            let invariant = v.invariant.to_owned();
            self.violations.push(Violation { seed, invariant, signature, detail });
        }
    }

    /// Another shard's, or another thread's.
    pub fn join(&mut self, other: &Tally) {
        self.runs += other.runs;
        self.empty += other.empty;
        self.violations.extend(other.violations.iter().cloned());
        self.wall_seconds = self.wall_seconds.max(other.wall_seconds);
        self.cpu_seconds += other.cpu_seconds;
        self.events += other.events;
        self.simulated_ms += other.simulated_ms;
        self.committed += other.committed;
        for (kind, counts) in &other.faults {
            let mine = self.faults.entry(kind.clone()).or_default();
            mine.injected += counts.injected;
            mine.took_effect += counts.took_effect;
        }
        sum(&mut self.marks, &other.marks);
        sum(&mut self.syncs, &other.syncs);
        self.hashes.extend(other.hashes.iter().map(|(seed, hash)| (*seed, hash.clone())));
    }

    /// Puts the failures in order and in groups, and sums up. Last, once everything was added.
    pub fn group_failures(&mut self) {
        self.simulated_seconds = self.simulated_ms as f64 / 1000.0;
        self.violations.sort_by_key(|v| v.seed);
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for v in &self.violations {
            let group = groups.entry(&v.signature).or_insert_with(|| Group {
                signature: v.signature.clone(),
                count: 0,
                seed: v.seed,
                detail: v.detail.clone(),
                command: format!(
                    "vivarium sweep --seeds {}..{}{} --story",
                    v.seed,
                    v.seed + 1,
                    self.arguments
                ),
            });
            group.count += 1;
        }
        self.failures = groups.into_values().collect();
    }

    /// What the swarm did not do that it must: a sweep that tested too little passes for nothing.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut short = Vec::new();
        if self.empty * 1000 > self.runs * EMPTY_MILLI && self.runs >= EMPTY_FROM {
            short.push(format!("{} of {} runs tested nothing", self.empty, self.runs));
        }
        if !self.whole_swarm {
            return short;
        }
        let idle = self.faults.iter().filter(|(_, counts)| counts.took_effect == 0);
        if self.runs >= FAULTS_FROM {
            short.extend(idle.map(|(kind, _)| format!("fault never took effect: {kind}")));
        }
        if self.runs >= MARKS_FROM {
            short.extend(self.never_hit().into_iter().map(|mark| format!("mark never hit: {mark}")));
        }
        short
    }

    pub fn never_hit(&self) -> Vec<String> {
        let syncs = self.syncs.iter().map(|(mode, count)| (format!("sync: {mode}"), count));
        let marks = self.marks.iter().map(|(mark, count)| (mark.clone(), count));
        marks.chain(syncs).filter(|(_, count)| **count == 0).map(|(mark, _)| mark).collect()
    }
}

fn sum(mine: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (key, count) in other {
        *mine.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use peer::Switches;
    use sim::run::run;
    use sim::swarm::plan;

    use super::*;

    fn of(seeds: std::ops::Range<u64>) -> Tally {
        let mut tally = Tally::new("", true);
        for seed in seeds {
            tally.add(seed, &run(&plan(seed, Switches::NONE), false, false));
        }
        tally.group_failures();
        tally
    }

    #[test]
    fn shards_join_to_the_whole_through_json() {
        let whole = of(0..6);
        let text = serde_json::to_string(&of(0..3)).expect("JSON");
        let mut joined: Tally = serde_json::from_str(&text).expect("the same back");
        joined.join(&of(3..6));
        joined.group_failures();
        assert_eq!(joined, whole);
        assert!(whole.runs == 6 && whole.events > 0);
    }

    #[test]
    fn what_was_not_reached_is_a_failure_of_a_large_sweep_only() {
        let mut tally = Tally::new("", true);
        assert_eq!(tally.shortcomings(), Vec::<String>::new());
        tally.runs = FAULTS_FROM;
        assert_eq!(tally.shortcomings().len(), FaultKind::ALL.len());
        for counts in tally.faults.values_mut() {
            counts.took_effect = 1;
        }
        assert_eq!(tally.shortcomings(), Vec::<String>::new());
        tally.runs = MARKS_FROM;
        assert!(tally.shortcomings().contains(&"mark never hit: sync: TruncDiff".to_owned()));
        tally.empty = tally.runs / 10;
        assert!(tally.shortcomings()[0].contains("tested nothing"));
        tally.whole_swarm = false;
        assert_eq!(tally.shortcomings().len(), 1);
    }

    #[test]
    fn failures_are_grouped_by_signature() {
        let mut tally = Tally::new(" --switch x", false);
        for (seed, detail) in [(7, "acknowledges 5"), (3, "acknowledges 4"), (4, "commits 9")] {
            let signature = sim::signature::signature("AST-ACK", detail);
            let (invariant, detail) = ("AST-ACK".into(), detail.into());
            tally.violations.push(Violation { seed, invariant, signature, detail });
        }
        tally.group_failures();
        let shown: Vec<(u64, u64)> = tally.failures.iter().map(|group| (group.seed, group.count)).collect();
        assert_eq!(shown, [(3, 2), (4, 1)]);
        assert_eq!(tally.failures[0].command, "vivarium sweep --seeds 3..4 --switch x --story");
    }
}
