//! Enumeration: forks go the way that the told steps replay, every point is visited, a bug is found.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use sim::enumerate::{Case, Enumeration, Fault, with_steps};
use sim::run::run;
use sim::scenario::Scenario;

fn scenario() -> Scenario {
    let text = std::fs::read_to_string("../../scenarios/enumerated-handshake.json").expect("a scenario");
    Scenario::parse(&text).expect("a scenario")
}

fn cases(scenario: &Scenario, faults: &[Fault]) -> Vec<Case> {
    let mut enumeration = Enumeration::new(&scenario.run_spec(None), faults);
    std::iter::from_fn(|| enumeration.next_cases()).flatten().collect()
}

#[test]
fn a_fork_is_what_its_steps_replay_to() {
    let scenario = scenario();
    let all = cases(&scenario, &Fault::ALL);
    assert!(all.len() > 1000, "only {} cases", all.len());
    for case in all.into_iter().step_by(97) {
        let text = with_steps(&scenario, &case.steps).to_text();
        let told = Scenario::parse(&text).expect("a scenario");
        let label = case.point.label.clone();
        assert_eq!(run(&told.run_spec(None), false, false).trace_hash, case.run().trace_hash, "{label}");
    }
}

#[test]
fn no_single_crash_hurts_and_each_took_place() {
    let scenario = scenario();
    let mut inside = 0;
    for case in cases(&scenario, &[Fault::Crash]) {
        let label = case.point.label.clone();
        inside += u64::from(label.ends_with("inside"));
        let outcome = case.run();
        assert_eq!(outcome.violations, [], "{label}");
        let crashes = outcome.faults.injected[0] + outcome.faults.injected[1];
        // The scenario's own kill, and this one (unless it befell the member just before).
        assert!(crashes >= 1, "{label}");
    }
    assert!(inside > 100, "only {inside} crashes inside file-system calls");
}

#[test]
fn a_wrong_order_is_found_at_its_moment() {
    let mut scenario = scenario();
    scenario.switches = vec!["ack-before-sync".into()];
    let alone = run(&scenario.run_spec(None), false, false);
    assert_eq!(alone.violations.first().map(|v| v.invariant), Some("AST-ACK"));
    // Its enumeration ends at the violation, with the cases before it.
    let before = cases(&scenario, &[Fault::Pause]).len();
    assert!(before > 0 && before < cases(&self::scenario(), &[Fault::Pause]).len());
}
