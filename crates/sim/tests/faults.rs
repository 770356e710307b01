//! Each fault of disks, processes and connections does what it says, the member lives through it or stops, and
//! comes back.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::json;
use sim::faults::FaultKind;
use sim::run::{Outcome, run};
use sim::scenario::Scenario;

/// Member 2 is hit at 2000 ms and started again later; writes go on all the time.
fn hit(seed: u64, steps: serde_json::Value) -> Outcome {
    let scenario = json!({
        "name": "a disk fault", "seed": seed,
        "members": [{ "id": 1 }, { "id": 2 }, { "id": 3 }],
        "settings": { "snapCount": 20 },
        "timeline": steps, "healAt": 5000, "endAt": 60000, "expect": {}
    });
    let scenario = Scenario::parse(&scenario.to_string()).unwrap_or_else(|e| panic!("{e}"));
    let outcome = run(&scenario.run_spec(None), false, true);
    assert_eq!(outcome.violations, [], "seed {seed}");
    outcome
}

fn effects(outcome: &Outcome, kind: FaultKind) -> u64 {
    outcome.faults.took_effect[kind as usize]
}

fn started_at(ms: u64) -> serde_json::Value {
    json!({ "at": ms, "actions": [{ "do": "start", "member": 2 }] })
}

#[test]
fn writes_fail_fall_short_or_find_no_space_and_the_member_stops() {
    for (action, kind, why) in [
        (json!({ "do": "failWrite", "member": 2, "count": 1 }), FaultKind::FailedWrite, "input/output error"),
        (json!({ "do": "shortWrite", "member": 2, "keepMilli": 400 }), FaultKind::ShortWrite, "no space"),
        (json!({ "do": "diskFull", "member": 2, "ms": 800 }), FaultKind::DiskFull, "no space"),
        (json!({ "do": "failSync", "member": 2, "count": 1 }), FaultKind::FailedSync, "input/output error"),
    ] {
        let outcome = hit(1, json!([{ "at": 2000, "actions": [action] }, started_at(3500)]));
        assert!(effects(&outcome, kind) > 0, "{} never took effect", kind.name());
        let told = outcome.story.lines().iter().any(|line| line.contains("2 leaves") && line.contains(why));
        assert!(told, "{}: {:#?}", kind.name(), outcome.story.lines());
        assert!(outcome.seen.get("upToDate@2").is_some_and(|times| *times >= 2), "{:?}", outcome.seen);
    }
}

#[test]
fn a_replaced_disk_is_not_trusted_and_is_filled_by_a_snapshot() {
    let steps = json!([
        { "at": 2000, "actions": [{ "do": "kill", "member": 2 }] },
        { "at": 2500, "actions": [{ "do": "replaceDisk", "member": 2 }] },
        started_at(3000)
    ]);
    let outcome = hit(1, steps);
    assert_eq!(effects(&outcome, FaultKind::ReplacedDisk), 1);
    assert!(outcome.stats.syncs.contains_key("Snap"), "{:?}", outcome.stats.syncs);
}

#[test]
fn rot_is_survived_wherever_it_is() {
    let mut rotted = 0;
    let mut replaced = 0;
    for seed in 0..25 {
        let steps = json!([
            { "at": 2000, "actions": [{ "do": "kill", "member": 2 }] },
            { "at": 2500, "actions": [{ "do": "bitRot", "member": 2 }] },
            started_at(3000)
        ]);
        let outcome = hit(seed, steps);
        rotted += effects(&outcome, FaultKind::BitRot);
        replaced += effects(&outcome, FaultKind::ReplacedDisk);
    }
    assert!(rotted > 15, "{rotted}");
    assert!(replaced > 0 && replaced < rotted, "{replaced} of {rotted} refused to start");
}

#[test]
fn the_budget_protects_the_last_quorum() {
    // Both followers down at once: whoever is hit first may go, the second may not.
    let outcome = hit(
        3,
        json!([
            { "at": 2000, "actions": [{ "do": "kill", "member": 1 }, { "do": "kill", "member": 2 }] },
            { "at": 2500, "actions": [{ "do": "replaceDisk", "member": 1 }, { "do": "replaceDisk", "member": 2 }] }
        ]),
    );
    assert!(effects(&outcome, FaultKind::ReplacedDisk) <= 1);
}

#[test]
fn storms_and_slow_processes_pass() {
    let steps = json!([
        { "at": 2000, "actions": [{ "do": "connectionStorm", "member": "leader", "count": 30, "ms": 1000 }] },
        { "at": 2500, "actions": [{ "do": "slowProcess", "member": 2, "pauseMs": 50, "runMs": 5, "times": 20 }] }
    ]);
    let outcome = hit(1, steps);
    assert_eq!(effects(&outcome, FaultKind::ConnectionStorm), 1);
    assert_eq!(effects(&outcome, FaultKind::SlowProcess), 20);
}

#[test]
fn a_frame_that_is_cut_ends_its_connection_and_nothing_else() {
    for (port, keep) in [("election", 500), ("quorum", 500), ("quorum", 0), ("quorum", 1000)] {
        // Down and up again: what is sent on both ports is sent then.
        let cut = json!({ "do": "cutFrame", "from": 2, "port": port, "keepMilli": keep });
        let steps = json!([
            { "at": 1900, "actions": [{ "do": "kill", "member": "leader" }] },
            { "at": 2000, "actions": [cut, { "do": "start", "member": 1 }, { "do": "start", "member": 3 }] },
            started_at(2000)
        ]);
        let outcome = hit(1, steps);
        assert_eq!(effects(&outcome, FaultKind::CutFrame), 1, "{port} {keep}");
    }
}
