//! Edits that leave something out or put it back to its default.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Edit, is_relief};
use crate::plan::{Action, Step, Who};
use crate::scenario::{ClockEntry, DiskEntry, MEMBERS_OF_ACTIONS, NetworkEntry, Scenario, SettingsEntry};
use crate::workload::WorkloadSpec;

/// Single actions of steps that hold several, from the last to the first.
pub(super) fn actions(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (step, entry) in scenario.timeline.iter().enumerate().rev() {
        for action in (0..entry.actions.len()).rev() {
            edits.push(Box::new(move |scenario| {
                let Some(step) = scenario.timeline.get_mut(step) else { return false };
                if step.actions.len() < 2 || action >= step.actions.len() {
                    return false;
                }
                step.actions.remove(action);
                true
            }));
        }
    }
    edits
}

/// Members, from the last to the first, with everything that names them; then what is special of each.
pub(super) fn members(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for id in scenario.members.iter().rev().map(|m| m.id) {
        edits.push(Box::new(move |scenario| {
            scenario.members.retain(|m| m.id != id);
            scenario.workload.through.retain(|sid| *sid != id);
            for step in &mut scenario.timeline {
                step.actions.retain_mut(|action| forget(action, id));
            }
            let names_it = |step: &Step| step.when.as_ref().is_some_and(|when| when.member == Some(id));
            scenario.timeline.retain(|step| !step.actions.is_empty() && !names_it(step));
            true
        }));
    }
    edits.push(Box::new(|scenario| {
        let hierarchical = scenario.members.iter().any(|m| m.group.is_some());
        for member in &mut scenario.members {
            (member.group, member.weight) = (None, None);
        }
        hierarchical
    }));
    for id in scenario.members.iter().map(|m| m.id) {
        let parts: [fn(&mut crate::scenario::MemberEntry) -> bool; 4] = [
            |m| !std::mem::take(&mut m.settings).is_empty(),
            |m| !std::mem::take(&mut m.switches).is_empty(),
            |m| m.protocol_version.take().is_some(),
            |m| std::mem::take(&mut m.start_later),
        ];
        for part in parts {
            edits.push(Box::new(move |scenario| {
                scenario.members.iter_mut().find(|m| m.id == id).is_some_and(part)
            }));
        }
    }
    edits
}

/// Takes the member out of the action; false where nothing is left of it.
fn forget(action: &mut Action, id: i64) -> bool {
    if let Action::Reconfig { voters, observers, leave, text, through, .. } = action {
        for list in [&mut *voters, &mut *observers, &mut *leave] {
            list.retain(|who| *who != Who::Id(id));
        }
        through.take_if(|who| *who == Who::Id(id));
        return !(voters.is_empty() && observers.is_empty() && leave.is_empty() && text.is_none());
    }
    let Ok(mut value) = serde_json::to_value(&*action) else { return true };
    let Some(fields) = value.as_object_mut() else { return true };
    for key in MEMBERS_OF_ACTIONS {
        match fields.get_mut(key) {
            Some(Value::Number(n)) if n.as_i64() == Some(id) => return false,
            Some(Value::Array(ids)) => {
                ids.retain(|named| named.as_i64() != Some(id));
                if ids.is_empty() {
                    return false;
                }
            }
            _ => {}
        }
    }
    if let Ok(changed) = serde_json::from_value(value) {
        *action = changed;
    }
    true
}

pub(super) fn workload() -> Vec<Edit> {
    let default = WorkloadSpec::default();
    let edits: [fn(&mut WorkloadSpec); 9] = [
        |w| w.clients = 1,
        |w| w.clients = 2,
        |w| w.in_flight = 1,
        |w| w.reads_milli = 0,
        |w| w.syncs_milli = 0,
        |w| w.closes_milli = 0,
        |w| w.registers = 1,
        |w| w.think_ms = 1000,
        |w| w.think_ms = 200,
    ];
    let mut all: Vec<Edit> = Vec::new();
    for edit in edits {
        all.push(Box::new(move |scenario| {
            let before = scenario.workload.clone();
            edit(&mut scenario.workload);
            let (old, new) = (&before, &scenario.workload);
            // Not more of anything than before.
            new != old && new.clients <= old.clients && new.think_ms >= old.think_ms
        }));
    }
    for key in ["thinkMs", "requestTimeoutMs", "sessionTimeoutMs", "startMs", "inFlight"] {
        let Some(value) = serde_json::to_value(&default).ok().and_then(|all| all.get(key).cloned()) else {
            continue;
        };
        all.push(Box::new(move |scenario| set(&mut scenario.workload, key, &value)));
    }
    all
}

/// Everything as by default at once, then field by field; then one by one of what is special.
pub(super) fn settings(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![
        Box::new(|scenario| replace(&mut scenario.settings, SettingsEntry::default())),
        Box::new(|scenario| replace(&mut scenario.network, NetworkEntry::default())),
        Box::new(|scenario| replace(&mut scenario.disk, DiskEntry::default())),
        Box::new(|scenario| replace(&mut scenario.clock, ClockEntry::default())),
    ];
    let defaults = |value: serde_json::Result<Value>| -> Vec<(String, Value)> {
        let value = value.unwrap_or_default();
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    for (key, value) in defaults(serde_json::to_value(SettingsEntry::default())) {
        edits.push(Box::new(move |scenario| set(&mut scenario.settings, &key, &value)));
    }
    for (key, value) in defaults(serde_json::to_value(NetworkEntry::default())) {
        edits.push(Box::new(move |scenario| set(&mut scenario.network, &key, &value)));
    }
    for (key, value) in defaults(serde_json::to_value(DiskEntry::default())) {
        edits.push(Box::new(move |scenario| set(&mut scenario.disk, &key, &value)));
    }
    for name in scenario.switches.clone() {
        edits.push(Box::new(move |scenario| {
            let before = scenario.switches.len();
            scenario.switches.retain(|on| *on != name);
            scenario.switches.len() < before
        }));
    }
    edits
}

fn replace<T: PartialEq>(place: &mut T, value: T) -> bool {
    let other = *place != value;
    *place = value;
    other
}

/// Sets one field by its name in files; false where it is so already.
fn set<T: serde::Serialize + serde::de::DeserializeOwned>(place: &mut T, key: &str, value: &Value) -> bool {
    let Ok(mut all) = serde_json::to_value(&*place) else { return false };
    if all.get(key) == Some(value) {
        return false;
    }
    all[key] = value.clone();
    serde_json::from_value(all).map(|changed| *place = changed).is_ok()
}

/// Faults that say less in place of those that say more.
pub(super) fn simpler_faults(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, step) in scenario.timeline.iter().enumerate() {
        for (j, action) in step.actions.iter().enumerate() {
            if is_relief(action) || !seen.insert((i, j)) {
                continue;
            }
            for simpler in simpler(action) {
                edits.push(Box::new(move |scenario| {
                    let place = scenario.timeline.get_mut(i).and_then(|step| step.actions.get_mut(j));
                    place.is_some_and(|place| replace(place, simpler.clone()))
                }));
            }
        }
    }
    edits
}

fn simpler(action: &Action) -> Vec<Action> {
    match action.clone() {
        Action::PowerLoss { member, amid_write, calls } => vec![
            Action::Kill { member: member.clone(), amid_write: false, calls: None },
            Action::Kill { member: member.clone(), amid_write, calls },
            Action::PowerLoss { member, amid_write: false, calls: None },
        ],
        Action::Kill { member, amid_write: true, .. } | Action::Kill { member, calls: Some(_), .. } => {
            vec![Action::Kill { member, amid_write: false, calls: None }]
        }
        Action::Partition { from, to, one_way: true } => {
            vec![Action::Partition { from, to, one_way: false }]
        }
        Action::Partition { from, to, one_way: false } if from.len() == 1 && to.len() > 1 => {
            vec![Action::Isolate { member: from[0].clone() }]
        }
        Action::Reconfig { .. } => simpler_reconfigs(action),
        _ => Vec::new(),
    }
}

/// One server less in one of the lists; any version; through the leader; without the text.
fn simpler_reconfigs(action: &Action) -> Vec<Action> {
    let mut simpler = Vec::new();
    let mut with = |edit: &dyn Fn(&mut Lists<'_>)| {
        let mut changed = action.clone();
        let Action::Reconfig { voters, observers, leave, from, text, through, .. } = &mut changed else {
            return;
        };
        edit(&mut Lists { lists: [voters, observers, leave], from, text, through });
        if changed != *action {
            simpler.push(changed);
        }
    };
    for list in 0..3 {
        for at in 0..9 {
            with(&|all| {
                let list = &mut all.lists[list];
                if at < list.len() {
                    list.remove(at);
                }
            });
        }
    }
    with(&|all| *all.from = None);
    with(&|all| *all.text = None);
    with(&|all| *all.through = None);
    simpler
}

struct Lists<'a> {
    lists: [&'a mut Vec<Who>; 3],
    from: &'a mut Option<i64>,
    text: &'a mut Option<String>,
    through: &'a mut Option<Who>,
}

/// A small seed for what is left to chance.
pub(super) fn seeds() -> Vec<Edit> {
    (1..=16u64)
        .map(|seed| -> Edit {
            Box::new(move |scenario| {
                let larger = scenario.seed > seed;
                scenario.seed = seed;
                larger
            })
        })
        .collect()
}
