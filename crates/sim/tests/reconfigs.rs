//! Reconfigurations as steps of a scenario: what a file may say, and how the shrinker makes them small. What they do is shown by
//! `scenarios/reconfig-*.json`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use sim::plan::{Action, Who};
use sim::scenario::Scenario;
use sim::shrink::shrink;

const TEXT: &str = r#"{
  "name": "reconfigurations", "seed": 1,
  "members": [{ "id": 1 }, { "id": 2 }, { "id": 3 }, { "id": 4 }],
  "settings": { "reconfigEnabled": true },
  "timeline": [
    { "at": 900, "actions": [{ "do": "reconfig", "voters": [4] }] },
    { "at": 1000, "actions": [
      { "do": "reconfig", "voters": [1, "leader"], "observers": [3], "leave": [4, 2], "from": 77, "text": "server.9=h:1:2;3", "through": 4 }
    ] }
  ],
  "healAt": 2000, "endAt": 30000,
  "expect": {}
}"#;

#[test]
fn a_file_names_members_and_any_version() {
    Scenario::parse(TEXT).expect("a scenario");
    for (from, to, path) in [
        ("[1, \"leader\"]", "[5]", "timeline[1].actions[0].voters"),
        ("\"observers\": [3]", "\"observers\": [5]", "observers"),
        ("[4, 2]", "[4, 5]", "leave"),
        ("\"through\": 4", "\"through\": 5", "through"),
    ] {
        let error = Scenario::parse(&TEXT.replacen(from, to, 1)).expect_err("5 is no member");
        assert!(error.path.contains(path) && error.what.contains("the id of a member"), "{error}");
    }
}

/// Members that are named by a reconfig can go, and each of its parts.
#[test]
fn a_reconfig_is_made_small() {
    let scenario = Scenario::parse(TEXT).expect("a scenario");
    let removes_two =
        |action: &Action| matches!(action, Action::Reconfig { leave, .. } if leave.contains(&Who::Id(2)));
    let fails = |s: &Scenario| s.timeline.iter().flat_map(|step| &step.actions).any(removes_two);
    let first = |candidates: &[Scenario]| candidates.iter().position(fails);
    let small = shrink(&scenario, 2000, &first, &mut |_, _| ());
    let actions: Vec<&Action> = small.timeline.iter().flat_map(|step| &step.actions).collect();
    let only = Action::Reconfig {
        voters: Vec::new(),
        observers: Vec::new(),
        leave: vec![Who::Id(2)],
        all: false,
        from: None,
        text: None,
        through: None,
    };
    assert_eq!(actions, [&only]);
    assert_eq!(small.members.iter().map(|m| m.id).collect::<Vec<_>>(), [2]);
}
