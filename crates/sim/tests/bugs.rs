//! `scenarios/bugs`: for each bug of the museum a small scenario that shows it, as `vivarium bugs hunt` made it.
//! It ends as it expects, by the invariant and signature that it names; and without the switch the same run
//! is clean.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::path::Path;

use sim::run::{Options, Outcome, run_with};
use sim::scenario::Scenario;
use zab::switches::catalogue::BUGS;

fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/bugs");
    let mut all: Vec<(String, Scenario)> = std::fs::read_dir(folder)
        .expect("scenarios/bugs")
        .map(|entry| entry.expect("an entry").path())
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

fn outcome(scenario: &Scenario) -> Outcome {
    run_with(&scenario.run_spec(None), Options { trace: false, watch: false, stop_at_violation: true })
}

#[test]
fn each_fails_as_it_says_and_is_clean_without_its_switch() {
    let mut wrong = Vec::new();
    for (name, mut scenario) in scenarios() {
        let failed = outcome(&scenario);
        let invariant = failed.violations.first().map(|violation| violation.invariant.to_owned());
        if failed.signature() != scenario.expect.signature
            || invariant.as_ref() != scenario.expect.violates.first()
        {
            wrong.push(format!("{name}: {:?}, not {:?}", failed.signature(), scenario.expect.signature));
        }
        scenario.switches.clear();
        let without = outcome(&scenario);
        if !without.violations.is_empty() {
            wrong.push(format!("{name} fails without its switch: {:?}", without.signature()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_bug_has_one_with_its_switch() {
    let bugs: BTreeSet<String> = BUGS.iter().map(|bug| format!("{}-{}", bug.id, bug.switch.name())).collect();
    let all = scenarios();
    assert_eq!(all.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<String>>(), bugs);
    for (name, scenario) in all {
        assert_eq!(scenario.switches, [name.split_once('-').expect("NUMBER-NAME").1], "{name}");
    }
}
