//! Rounder and smaller numbers: times of steps, durations, factors, the heal.

use serde_json::Value;

use super::Edit;
use crate::scenario::Scenario;

/// Fields of actions that are amounts.
const AMOUNTS: [&str; 4] = ["ms", "factor", "count", "calls"];
const UNITS: [u64; 6] = [5000, 1000, 500, 100, 50, 10];

pub(super) fn edits(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(UNITS.map(|unit| -> Edit { Box::new(move |scenario| all_times(scenario, unit)) }));
    for (i, step) in scenario.timeline.iter().enumerate() {
        if step.at.is_some() {
            edits.extend(UNITS.map(|unit| -> Edit { Box::new(move |scenario| time(scenario, i, unit)) }));
        }
        if step.when.as_ref().is_some_and(|when| when.after_ms > 0) {
            edits.extend(
                [0, 1000, 100, 10].map(|unit| -> Edit { Box::new(move |scenario| after(scenario, i, unit)) }),
            );
        }
        for (j, action) in step.actions.iter().enumerate() {
            let value = serde_json::to_value(action).unwrap_or_default();
            for key in AMOUNTS {
                if let Some(now) = value.get(key).and_then(Value::as_i64) {
                    edits.extend(
                        rounder(now)
                            .into_iter()
                            .map(|to| -> Edit { Box::new(move |scenario| amount(scenario, i, j, key, to)) }),
                    );
                }
            }
        }
    }
    edits.extend(UNITS.map(|unit| -> Edit { Box::new(move |scenario| heal(scenario, unit)) }));
    edits.push(Box::new(|scenario| {
        let bound = 60_000;
        let shorter = scenario.heal_at + bound < scenario.end_at;
        scenario.end_at = scenario.heal_at + bound;
        shorter
    }));
    edits
}

fn round(value: u64, unit: u64) -> u64 {
    (value + unit / 2) / unit * unit
}

/// The rounder `to` is, the earlier it is tried; never as fine as `now` itself.
fn rounder(now: i64) -> Vec<i64> {
    let sign = now.signum();
    let size = now.unsigned_abs();
    let mut all: Vec<i64> = Vec::new();
    for power in [10_000u64, 1000, 100, 10] {
        for rounded in [size / power * power, round(size, power)] {
            let to = rounded as i64 * sign;
            if rounded > 0
                && rounded % power == 0
                && to != now
                && !all.contains(&to)
                && !size.is_multiple_of(power)
            {
                all.push(to);
            }
        }
    }
    // Shorter, too.
    for part in [size / 10, size / 2] {
        let to = part as i64 * sign;
        if part > 0 && !all.contains(&to) {
            all.push(to);
        }
    }
    all
}

fn all_times(scenario: &mut Scenario, unit: u64) -> bool {
    let before: Vec<Option<u64>> = scenario.timeline.iter().map(|step| step.at).collect();
    for step in &mut scenario.timeline {
        step.at = step.at.map(|at| round(at, unit));
    }
    let after: Vec<Option<u64>> = scenario.timeline.iter().map(|step| step.at).collect();
    before != after
}

fn time(scenario: &mut Scenario, step: usize, unit: u64) -> bool {
    let Some(at) = scenario.timeline.get_mut(step).and_then(|step| step.at.as_mut()) else { return false };
    let before = *at;
    *at = round(before, unit);
    // What is round already is not made less so.
    before % unit != 0
}

fn after(scenario: &mut Scenario, step: usize, unit: u64) -> bool {
    let Some(when) = scenario.timeline.get_mut(step).and_then(|step| step.when.as_mut()) else {
        return false;
    };
    let before = when.after_ms;
    when.after_ms = if unit == 0 { 0 } else { round(before, unit) };
    when.after_ms != before
}

fn amount(scenario: &mut Scenario, step: usize, action: usize, key: &str, to: i64) -> bool {
    let place = scenario.timeline.get_mut(step).and_then(|step| step.actions.get_mut(action));
    let Some(place) = place else { return false };
    let Ok(mut value) = serde_json::to_value(&*place) else { return false };
    let Some(now) = value.get(key).and_then(Value::as_i64) else { return false };
    let rounder = trailing_zeros(to) > trailing_zeros(now) || to.abs() < now.abs();
    if !rounder || now == to {
        return false;
    }
    value[key] = to.into();
    serde_json::from_value(value).map(|changed| *place = changed).is_ok()
}

fn trailing_zeros(mut value: i64) -> u32 {
    let mut zeros = 0;
    while value != 0 && value % 10 == 0 {
        value /= 10;
        zeros += 1;
    }
    zeros
}

fn heal(scenario: &mut Scenario, unit: u64) -> bool {
    let last = scenario.timeline.iter().filter_map(|step| step.at).max().unwrap_or(0);
    let earliest = (last / unit + 1) * unit;
    let bound = scenario.end_at - scenario.heal_at;
    let earlier = earliest < scenario.heal_at;
    if earlier {
        (scenario.heal_at, scenario.end_at) = (earliest, earliest + bound);
    }
    earlier
}
