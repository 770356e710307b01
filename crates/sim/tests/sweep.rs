//! The first 500 seeds of the swarm, and a switch that the checkers must catch.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use peer::{Nanos, Switch, Switches};
use sim::faults::{FaultCounters, FaultKind};
use sim::run::run;
use sim::swarm::plan;
use sim::world::World;

fn sweep(seeds: std::ops::Range<u64>) -> (Vec<String>, FaultCounters, u64) {
    let mut failures = Vec::new();
    let mut faults = FaultCounters::default();
    let mut empty = 0;
    for seed in seeds {
        let outcome = run(&plan(seed, Switches::NONE), false, false);
        faults.add(&outcome.faults);
        empty += u64::from(outcome.tested_nothing());
        if let Some(v) = outcome.violations.first() {
            failures.push(format!("seed {seed}: {} at {} of {}: {}", v.invariant, v.at, v.member, v.detail));
        }
    }
    (failures, faults, empty)
}

#[test]
fn the_first_500_seeds_are_clean() {
    let halves: Vec<_> =
        [0..250, 250..500].into_iter().map(|seeds| std::thread::spawn(move || sweep(seeds))).collect();
    let mut faults = FaultCounters::default();
    for half in halves {
        let (failures, counted, empty) = half.join().expect("no run panics");
        assert!(failures.is_empty(), "{failures:#?}");
        assert!(empty <= 15, "{empty} runs tested nothing");
        faults.add(&counted);
    }
    for kind in FaultKind::ALL {
        assert!(faults.took_effect[kind as usize] > 0, "{} never took effect", kind.name());
    }
}

#[test]
fn a_wrong_order_is_found() {
    let switches = Switches::NONE.with(Switch::AckBeforeSync);
    let outcome = run(&plan(0, switches), false, false);
    assert!(outcome.violations.iter().any(|v| v.invariant == "AST-ACK"), "{:?}", outcome.violations);
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..5 {
        let spec = plan(seed, Switches::NONE);
        assert_eq!(run(&spec, false, false).trace_hash, run(&spec, false, true).trace_hash);
    }
}

/// The whole world is `Clone`: a fork goes the way that the original goes.
#[test]
fn a_fork_of_the_world_goes_the_same_way() {
    let spec = plan(3, Switches::NONE);
    let mut world = World::new(spec.world.clone());
    for sid in world.member_ids() {
        world.boot(sid, Nanos::ZERO);
    }
    let until = |world: &mut World, ms| while world.next(Nanos::from_millis(ms)).is_some() {};
    until(&mut world, 700);
    let mut fork = world.clone();
    until(&mut world, 5000);
    let early = fork.hash.to_string();
    until(&mut fork, 5000);
    assert_ne!(early, fork.hash.to_string(), "nothing happened after the fork");
    assert_eq!(world.hash.to_string(), fork.hash.to_string());
}
