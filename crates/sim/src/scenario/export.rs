//! A run, of the swarm or any other, as an explicit scenario: the same world, plan, workload and seed,
//! so that replaying the file is the same run to the last byte.

use std::collections::BTreeMap;

use peer::{Config, LearnerType, QuorumVerifier, Settings, StateKind, Switch, Switches};

use super::{ClockEntry, DiskEntry, Expect, MemberEntry, NetworkEntry, Scenario, SettingsEntry, StateName};
use crate::run::{Outcome, RunSpec, Verdict};

impl Scenario {
    /// The scenario of `spec`. Exact where the spec's times are whole milliseconds (microseconds for
    /// latencies), as the swarm's and scenarios' are. Expects nothing yet.
    pub fn of(spec: &RunSpec, name: &str) -> Scenario {
        let world = &spec.world;
        let base = SettingsEntry::of(&world.members[0].settings);
        let common = common_switches(&world.members);
        Scenario {
            name: name.into(),
            description: Vec::new(),
            seed: world.seed,
            members: world.members.iter().map(|config| member(config, spec, &base, common)).collect(),
            state: match world.state {
                StateKind::Registers => StateName::Registers,
                StateKind::Tree => StateName::Tree,
            },
            settings: base,
            switches: names(common),
            network: NetworkEntry {
                latency_us: world.network.mean_latency_ns / 1000,
                segmentation: world.network.segmentation,
                ns_per_byte: world.network.ns_per_byte,
            },
            disk: DiskEntry {
                sync_us: world.disk.mean_sync_ns / 1000,
                prealloc: world.disk.prealloc,
                snap_retain_count: world.disk.snap_retain_count,
                task_delay_milli: world.task_delay_milli,
                task_delay_max_us: world.task_delay_max_ns / 1000,
            },
            clock: ClockEntry { drift_ppm: world.drift_ppm },
            workload: spec.workload.clone(),
            timeline: spec.timeline.clone(),
            heal_at: spec.heal_at.0 / 1_000_000,
            end_at: spec.end_at.0 / 1_000_000,
            expect: Expect::default(),
            waive: world.waived.iter().map(|code| (code.clone(), "as the run did".into())).collect(),
        }
    }

    /// The scenario of a run that failed, expecting the failure's verdict, invariant and signature.
    pub fn of_failure(spec: &RunSpec, name: &str, outcome: &Outcome) -> Scenario {
        let mut scenario = Scenario::of(spec, name);
        scenario.expect_failure(outcome);
        scenario
    }

    pub fn expect_failure(&mut self, outcome: &Outcome) {
        let verdict = match outcome.verdict {
            Verdict::Stuck => "stuck",
            Verdict::Crashed => "crashed",
            _ => "violation",
        };
        self.expect = Expect {
            verdict: Some(verdict.into()),
            violates: outcome.violations.first().map(|v| v.invariant.to_owned()).into_iter().collect(),
            signature: outcome.signature(),
            ..Expect::default()
        };
    }
}

fn member(config: &Config, spec: &RunSpec, base: &SettingsEntry, common: Switches) -> MemberEntry {
    let sid = config.sid;
    let view = &config.view;
    let (group, weight) = match &view.verifier {
        QuorumVerifier::Majority { .. } => (None, None),
        QuorumVerifier::Hierarchical { group_of, weight_of } => {
            (group_of.get(&sid).copied(), weight_of.get(&sid).copied())
        }
    };
    let own: Switches = Switch::ALL
        .into_iter()
        .filter(|switch| config.switches.has(*switch) && !common.has(*switch))
        .collect();
    let protocol = config.settings.learner_protocol;
    MemberEntry {
        id: sid.0,
        observer: view.members.get(&sid).is_some_and(|m| m.learner_type == LearnerType::Observer),
        group,
        weight,
        start_later: spec.start_later.contains(&sid.0),
        protocol_version: (protocol != Settings::default().learner_protocol).then_some(protocol),
        settings: difference(base, &SettingsEntry::of(&config.settings)),
        switches: names(own),
    }
}

/// The fields in which `own` differs from `base`.
fn difference(base: &SettingsEntry, own: &SettingsEntry) -> serde_json::Map<String, serde_json::Value> {
    let fields = |entry: &SettingsEntry| -> BTreeMap<String, serde_json::Value> {
        let value = serde_json::to_value(entry).unwrap_or_default();
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let base = fields(base);
    fields(own).into_iter().filter(|(key, value)| base.get(key) != Some(value)).collect()
}

fn common_switches(members: &[Config]) -> Switches {
    Switch::ALL.into_iter().filter(|switch| members.iter().all(|m| m.switches.has(*switch))).collect()
}

fn names(switches: Switches) -> Vec<String> {
    let on = Switch::ALL.into_iter().filter(|switch| switches.has(*switch));
    on.map(|switch| switch.name().to_owned()).collect()
}
