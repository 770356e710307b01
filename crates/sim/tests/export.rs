//! A run of the swarm, exported, is the same run: to the last byte, and to the same signature.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use peer::{Event, Switch, Switches};
use sim::plan::event_json;
use sim::run::run;
use sim::scenario::Scenario;
use sim::swarm::plan;

fn reparsed(scenario: &Scenario) -> Scenario {
    let text = scenario.to_text();
    Scenario::parse(&text).unwrap_or_else(|e| panic!("{e} in\n{text}"))
}

#[test]
fn every_plan_of_the_swarm_comes_back_from_its_text() {
    for seed in 0..2000 {
        let spec = plan(seed, Switches::NONE);
        let back = reparsed(&Scenario::of(&spec, "exported")).run_spec(None);
        assert_eq!(format!("{spec:?}"), format!("{back:?}"), "seed {seed}");
    }
}

#[test]
fn an_exported_run_has_the_same_trace() {
    for seed in 0..60 {
        let spec = plan(seed, Switches::NONE);
        let back = reparsed(&Scenario::of(&spec, "exported")).run_spec(None);
        assert_eq!(run(&spec, false, false).trace_hash, run(&back, false, true).trace_hash, "seed {seed}");
    }
}

#[test]
fn an_exported_failure_fails_again_as_it_says() {
    let switches = Switches::NONE.with(Switch::AckBeforeSync);
    let mut failures = 0;
    for seed in 0..20 {
        let spec = plan(seed, switches);
        let outcome = run(&spec, false, false);
        if outcome.violations.is_empty() {
            continue;
        }
        failures += 1;
        let scenario = reparsed(&Scenario::of_failure(&spec, "exported", &outcome));
        let again = run(&scenario.run_spec(None), false, true);
        assert_eq!(scenario.judge(&again), Vec::<String>::new(), "seed {seed}");
        assert_eq!(again.trace_hash, outcome.trace_hash);
        // With the switch off it is no failure, and the expectation is seen to be missed.
        let mended = Scenario { switches: Vec::new(), ..scenario };
        assert!(!mended.judge(&run(&mended.run_spec(None), false, true)).is_empty());
    }
    assert!(failures > 10, "only {failures} failures to export");
}

#[test]
fn what_members_have_of_their_own_is_exported() {
    let mut spec = plan(1, Switches::NONE);
    spec.world.members[1].settings.snap_count = 7;
    spec.world.members[1].settings.learner_protocol = 0;
    spec.world.members[2].switches = Switches::NONE.with(Switch::AckBeforeSync);
    let scenario = reparsed(&Scenario::of(&spec, "exported"));
    assert_eq!(scenario.members[1].settings.len(), 1);
    assert_eq!(format!("{spec:?}"), format!("{:?}", scenario.run_spec(None)));
}

#[test]
fn events_are_named_as_their_json_names_them() {
    let events = [
        Event::ElectionStarted { round: 1 },
        Event::UpToDate { epoch: wire::Epoch(1) },
        Event::Warning { what: String::new() },
        Event::SyncedLearners { count: 1 },
    ];
    for event in events {
        assert_eq!(event_json(&event)["event"], event.name());
    }
}

/// A step that waits for a moment of the host which never comes changes nothing: stopping before packets
/// and disk operations leaves the run as it is.
#[test]
fn stopping_at_moments_leaves_the_run_alone() {
    for seed in 0..60 {
        let spec = plan(seed, Switches::NONE);
        let mut stopping = spec.clone();
        let never = serde_json::json!({ "event": "diskOp", "nth": 4_000_000_000u32 });
        let when = serde_json::from_value(never).expect("a trigger");
        stopping.timeline.push(sim::plan::Step::when(when, Vec::new()));
        assert_eq!(
            run(&spec, false, false).trace_hash,
            run(&stopping, false, false).trace_hash,
            "seed {seed}"
        );
    }
}

/// Dying inside the k-th file-system call, for every k of a write: all are sound.
#[test]
fn a_crash_inside_each_call_of_a_disk_operation() {
    let text = std::fs::read_to_string("../../scenarios/quick-start.json").expect("a scenario");
    let mut scenario = Scenario::parse(&text).expect("a scenario");
    let mut hashes = std::collections::BTreeSet::new();
    for calls in 0..6 {
        let step = serde_json::json!({
            "when": { "event": "diskOp", "member": 2, "fields": { "op": "WriteEpoch" }, "nth": 2 },
            "actions": [{ "do": "powerLoss", "member": 2, "calls": calls }],
        });
        scenario.timeline.truncate(0);
        scenario.timeline.push(serde_json::from_value(step).expect("a step"));
        let outcome = run(&scenario.run_spec(None), false, false);
        assert_eq!(outcome.violations, []);
        assert_eq!(outcome.faults.injected[sim::faults::FaultKind::PowerLoss as usize], 1);
        hashes.insert(outcome.trace_hash);
    }
    // Before its commit point and behind it, at least.
    assert!(hashes.len() >= 2);
}
