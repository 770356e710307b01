//! The data tree in the simulator: the swarm over it, and what its clients meet there.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use peer::Switches;
use sim::run::{TreeStats, Verdict, run};
use sim::scenario::Scenario;
use sim::swarm::plan_tree;
use wire::{code, op};

const QUIET: &str = r#"{
  "name": "the data tree, and nothing happens",
  "seed": 7,
  "state": "tree",
  "members": [{ "id": 1 }, { "id": 2 }, { "id": 3 }],
  "workload": { "clients": 4, "inFlight": 2, "thinkMs": 5, "sessionTimeoutMs": 2000, "closesMilli": 5 },
  "healAt": 60000,
  "endAt": 90000,
  "expect": {}
}"#;

#[test]
fn clients_of_a_quiet_ensemble() {
    let outcome = run(&Scenario::parse(QUIET).expect("a scenario").run_spec(None), false, false);
    assert_eq!(outcome.verdict, Verdict::Clean, "{:#?}", outcome.violations);
    let tree = outcome.stats.tree.expect("the state is a tree");
    println!("{tree:#?} {}", outcome.stats.events);
    assert!(tree.notifications > 50 && tree.resumed > 20 && tree.expirations > 0, "{tree:?}");
    assert_eq!(tree.unjust_expirations, 0, "a session that is used does not expire");
    // Requests that wedge or stop a Java 3.9.5 (traps 21 to 23 of the reference) are refused.
    let of = |kind, err| tree.answers.get(&(kind, err)).copied().unwrap_or(0);
    for (kind, err) in [
        (op::CREATE_TTL, code::BAD_ARGUMENTS),
        (op::CREATE, code::BAD_ARGUMENTS),
        (op::DELETE_CONTAINER, code::UNIMPLEMENTED),
        (op::CREATE_SESSION, code::UNIMPLEMENTED),
        (op::CREATE, code::MARSHALLING_ERROR),
        (op::SET_DATA, code::MARSHALLING_ERROR),
        (99, code::UNIMPLEMENTED),
        (op::RECONFIG, code::RECONFIG_DISABLED),
    ] {
        assert!(of(kind, err) > 0, "type {kind} was never answered with {err}");
    }
    for kind in [op::DELETE_CONTAINER, op::CREATE_SESSION, 99] {
        let answers = tree.answers.keys().filter(|(of, _)| *of == kind);
        assert_eq!(answers.count(), 1, "type {kind} has one answer");
    }
}

/// Clients that ask ten things at a time of members that work on one: all are answered, in order, and rightly.
#[test]
fn clients_that_wait_for_their_turn() {
    let throttled = QUIET
        .replace(r#""inFlight": 2"#, r#""inFlight": 10"#)
        .replace(r#""workload""#, r#""settings": { "globalOutstandingLimit": 1 }, "workload""#);
    let run_it = |text: &str| run(&Scenario::parse(text).expect("a scenario").run_spec(None), false, false);
    let outcome = run_it(&throttled);
    assert_eq!(outcome.verdict, Verdict::Clean, "{:#?}", outcome.violations);
    assert_ne!(
        outcome.trace_hash,
        run_it(&throttled.replace("Limit\": 1", "Limit\": 1000")).trace_hash,
        "nobody waited"
    );
}

#[test]
fn the_first_seeds_of_the_tree_are_clean() {
    let mut failures = Vec::new();
    let mut all = TreeStats::default();
    let mut syncs: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..seeds() {
        let outcome = run(&plan_tree(seed, Switches::NONE), false, false);
        if let Some(v) = outcome.violations.first() {
            failures.push(format!("seed {seed}: {} at {} of {}: {}", v.invariant, v.at, v.member, v.detail));
        }
        let tree = outcome.stats.tree.unwrap_or_default();
        all.notifications += tree.notifications;
        all.expirations += tree.expirations;
        all.resumed += tree.resumed;
        for (mode, count) in outcome.stats.syncs {
            *syncs.entry(mode).or_default() += count;
        }
    }
    println!("{all:?} {syncs:?}");
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), seeds());
    assert!(all.notifications > 0 && all.expirations > 0 && all.resumed > 0, "{all:?}");
    for mode in ["Diff", "Snap", "Trunc", "TruncDiff", "EmptyDiff"] {
        assert!(syncs.contains_key(mode), "never {mode}");
    }
}

fn seeds() -> u64 {
    std::env::var("TREE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

#[test]
fn a_seed_of_the_tree_is_one_run() {
    for seed in 0..3 {
        let spec = plan_tree(seed, Switches::NONE);
        assert_eq!(run(&spec, false, false).trace_hash, run(&spec, true, true).trace_hash);
    }
}
