//! Every scenario of `scenarios/` is replayed; its outcome is a snapshot under `snapshots/scenarios`,
//! and trace hashes of a few are pinned.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use sim::run::run;
use sim::scenario::{Scenario, final_verdict};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn scenarios() -> Vec<(String, Scenario)> {
    let mut all: Vec<(String, Scenario)> = std::fs::read_dir(root().join("scenarios"))
        .expect("scenarios/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let scenario = Scenario::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, scenario)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn every_scenario_ends_as_it_expects() {
    let all = scenarios();
    assert!(all.len() >= 25, "only {} scenarios", all.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/scenarios"));
    settings.set_prepend_module_to_snapshot(false);
    let mut unexpected = Vec::new();
    for (name, scenario) in all {
        let outcome = run(&scenario.run_spec(None), false, true);
        let missed = scenario.judge(&outcome);
        let invariants: Vec<&str> = outcome.violations.iter().map(|v| v.invariant).collect();
        let shown = json!({
            "name": scenario.name,
            "verdict": final_verdict(&outcome, &missed),
            "missed": missed,
            "violated": invariants,
            "epochs": outcome.stats.epochs_established,
            "syncs": outcome.stats.syncs,
            // The order of magnitude: the outcome, not the run.
            "committedAbout": outcome.stats.committed.checked_ilog10().map_or(0, |digits| 10u64.pow(digits)),
        });
        let text = serde_json::to_string_pretty(&shown).expect("JSON");
        settings.bind(|| insta::assert_snapshot!(name.clone(), text));
        if !missed.is_empty() {
            unexpected.push(format!("{name}: {missed:?} {:?}", outcome.violations.first()));
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

#[test]
fn pinned_trace_hashes() {
    let pinned = ["five-rolling-restarts", "quick-start", "sync-snap-other-epoch"];
    let hashes: BTreeMap<String, String> = scenarios()
        .into_iter()
        .filter(|(name, _)| pinned.contains(&name.as_str()))
        .map(|(name, scenario)| {
            let spec = scenario.run_spec(None);
            let hash = run(&spec, false, true).trace_hash;
            // Twice, with the trace on and events watched or not: the run is the same.
            assert_eq!(hash, run(&spec, true, true).trace_hash, "{name}: the trace level changed the run");
            (name, hash)
        })
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    let text = serde_json::to_string_pretty(&hashes).expect("JSON");
    settings.bind(|| insta::assert_snapshot!("trace-hashes", text));
}

#[test]
fn a_bad_file_is_told_where_and_what() {
    let good = std::fs::read_to_string(root().join("scenarios/quick-start.json")).expect("a file");
    for (from, to, path, what) in [
        ("\"seed\": 1", "\"seed\": \"x\"", "seed", "invalid type"),
        ("\"seed\": 1", "\"sead\": 1", "sead", "unknown field"),
        ("\"id\": 3", "\"id\": 1", "members[2].id", "no other member has"),
        ("\"member\": 3", "\"member\": 9", "timeline[1].actions[0].member", "the id of a member"),
        ("\"endAt\": 40000", "\"endAt\": 4", "endAt", "after healAt"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Scenario::parse(&good.replacen(from, to, 1)).expect_err("a bad file");
        assert!(error.path.contains(path), "{error}");
        assert!(error.what.contains(what), "{error}");
    }
}
