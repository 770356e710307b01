//! `vivarium bugs hunt`: each bug switched on in turn, swept for, and its first failure made small.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cpu_time::ThreadTime;
use peer::Switches;
use rayon::prelude::*;
use serde::Serialize;
use sim::run::{Options, Outcome};
use sim::scenario::Scenario;
use sim::shrink::Size;
use sim::swarm;
use zab::switches::catalogue::Bug;

use super::{HuntArgs, named, pool, write_json};
use crate::guarded::run_guarded;
use crate::interrupt;
use crate::shrink::shrink_scenario;

const QUICK: Options = Options { trace: false, watch: false, stop_at_violation: true };

/// Seeds that are run beside each other: the first that fails is told, whatever the number of threads.
const BATCH: u64 = 16;

/// A line of the table.
#[derive(Serialize)]
struct Row {
    id: &'static str,
    name: &'static str,
    issue: &'static str,
    found: bool,
    invariant: Option<String>,
    signature: Option<String>,
    /// Seeds run, the failing one included.
    seeds: u64,
    /// Up to the failure, without the shrinking.
    cpu_seconds: f64,
    /// Of the timeline of the shrunk scenario.
    steps: Option<usize>,
    seed: Option<u64>,
}

pub fn run(args: &HuntArgs) -> Result<ExitCode, String> {
    let bugs = named(&args.names)?;
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let pool = pool(args.jobs)?;
    interrupt::listen();
    say!(
        "{:<4} {:<35} {:<12} {:>7} {:>9} {:>6}  signature",
        "",
        "switch",
        "found by",
        "seeds",
        "CPU s",
        "steps"
    );
    let mut rows = Vec::new();
    for bug in bugs {
        if interrupt::was_asked() {
            break;
        }
        let row = pool.install(|| hunt_one(bug, args))?;
        print(&row);
        rows.push(row);
    }
    summary(&rows);
    write_json(args.json.as_ref(), &rows)?;
    Ok(if rows.iter().all(|row| row.found) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn hunt_one(bug: &'static Bug, args: &HuntArgs) -> Result<Row, String> {
    let hunt = first_failure(bug.switches(), args.from, args.budget);
    let mut row = Row {
        id: bug.id,
        name: bug.switch.name(),
        issue: bug.issues[0],
        found: false,
        invariant: None,
        signature: None,
        seeds: hunt.seeds,
        cpu_seconds: hunt.cpu_seconds,
        steps: None,
        seed: None,
    };
    let Some((seed, outcome)) = hunt.failure else { return Ok(row) };
    row.found = true;
    row.seed = Some(seed);
    row.invariant = outcome.violations.first().map(|v| v.invariant.to_owned());
    row.signature = outcome.signature();
    let spec = swarm::plan(seed, bug.switches());
    let name = format!("Bug {}, {}: {}", bug.id, bug.issues[0], bug.switch.name());
    let mut scenario = Scenario::of_failure(&spec, &name, &outcome);
    scenario.description = outcome.violations.iter().take(3).map(|v| v.detail.clone()).collect();
    if !args.no_shrink {
        scenario = shrink_scenario(&scenario, args.shrink_limit, &mut |_, _, _| {})?.scenario;
    }
    row.steps = Some(Size::of(&scenario).steps);
    if let Some(folder) = &args.out {
        let file = folder.join(format!("{}-{}.json", bug.id, bug.switch.name()));
        write(&file, &scenario)?;
    }
    Ok(row)
}

fn write(file: &Path, scenario: &Scenario) -> Result<(), String> {
    std::fs::write(file, scenario.to_text()).map_err(|e| format!("{}: {e}", file.display()))
}

/// How a search went.
pub struct Hunt {
    pub seeds: u64,
    pub cpu_seconds: f64,
    pub failure: Option<(u64, Outcome)>,
}

/// Runs seeds from `from` on until one fails or the CPU time is spent.
pub fn first_failure(switches: Switches, from: u64, budget: Duration) -> Hunt {
    let mut hunt = Hunt { seeds: 0, cpu_seconds: 0.0, failure: None };
    let mut next = from;
    while hunt.failure.is_none() && hunt.cpu_seconds < budget.as_secs_f64() && !interrupt::was_asked() {
        let batch: Vec<(u64, f64, Outcome)> =
            (next..next + BATCH).into_par_iter().map(|seed| timed(seed, switches)).collect();
        next += BATCH;
        // What the batch ran behind the failing seed, one thread would not have run.
        for (seed, cpu_seconds, outcome) in batch {
            hunt.seeds += 1;
            hunt.cpu_seconds += cpu_seconds;
            if !outcome.violations.is_empty() {
                hunt.failure = Some((seed, outcome));
                break;
            }
        }
    }
    hunt
}

fn timed(seed: u64, switches: Switches) -> (u64, f64, Outcome) {
    let begun = ThreadTime::now();
    let outcome = run_guarded(&swarm::plan(seed, switches), QUICK);
    (seed, begun.elapsed().as_secs_f64(), outcome)
}

fn print(row: &Row) {
    let steps = row.steps.map_or("-".into(), |steps| steps.to_string());
    say!(
        "{:<4} {:<35} {:<12} {:>7} {:>9.2} {steps:>6}  {}",
        row.id,
        row.name,
        row.invariant.as_deref().unwrap_or("NOT FOUND"),
        row.seeds,
        row.cpu_seconds,
        row.signature.as_deref().unwrap_or_default()
    );
}

fn summary(rows: &[Row]) {
    let found: Vec<&Row> = rows.iter().filter(|row| row.found).collect();
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let cpu = middle(found.iter().map(|row| row.cpu_seconds).collect());
    let worst = found.iter().map(|row| row.cpu_seconds).fold(0.0, f64::max);
    let steps = middle(found.iter().filter_map(|row| row.steps).map(|steps| steps as f64).collect());
    say!(
        "{} of {} found; CPU seconds a bug: median {cpu:.2}, worst {worst:.2}; steps: median {steps}",
        found.len(),
        rows.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use peer::Switch;

    #[test]
    fn the_first_failing_seed_whatever_the_threads() {
        let switches = Switches::NONE.with(Switch::AckBeforeSync);
        let on = |threads| {
            let pool = pool(Some(threads)).expect("threads");
            let hunt = pool.install(|| first_failure(switches, 0, Duration::from_secs(60)));
            (hunt.seeds, hunt.failure.expect("it is found").0)
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn the_correct_core_is_not_found_and_the_budget_ends_it() {
        let hunt = first_failure(Switches::NONE, 0, Duration::from_millis(200));
        assert!(hunt.failure.is_none() && hunt.seeds >= BATCH && hunt.cpu_seconds < 20.0);
    }
}
