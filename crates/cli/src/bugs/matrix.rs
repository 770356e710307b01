//! `vivarium bugs matrix`: releases against bugs, as found by the sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use peer::Switches;
use serde::Serialize;
use zab::switches::catalogue::{BUGS, Bug, profile};
use zab::switches::releases::{Release, releases};

use super::hunt::first_failure;
use super::{MatrixArgs, pool, write_json};
use crate::interrupt;

type Signatures = BTreeSet<String>;

#[derive(Serialize)]
struct Row {
    release: String,
    /// By the bug's number.
    bugs: BTreeMap<&'static str, &'static str>,
    /// Of the release as a whole: seeds and CPU seconds to its first failure.
    seeds: u64,
    cpu_seconds: f64,
    signatures: Signatures,
}

pub fn run(args: &MatrixArgs) -> Result<ExitCode, String> {
    let chosen = chosen(&args.releases)?;
    let pool = pool(args.jobs)?;
    interrupt::listen();
    let bugs: Vec<&Bug> = BUGS.iter().filter(|bug| chosen.iter().any(|r| bug.in_release(*r))).collect();
    let alone: BTreeMap<&str, Signatures> =
        pool.install(|| bugs.iter().map(|bug| (bug.id, failures(bug.switches(), args).signatures)).collect());
    say!(
        "{:<8} {}  seeds  CPU s",
        "release",
        bugs.iter().map(|bug| format!("{:<3}", bug.id)).collect::<String>()
    );
    let mut rows = Vec::new();
    for release in chosen {
        if interrupt::was_asked() {
            break;
        }
        let together = pool.install(|| failures(profile(release), args));
        let cell = |bug: &&Bug| match () {
            () if !bug.in_release(release) => ".",
            () if together.signatures.is_empty() => "-",
            () if together.signatures.intersection(&alone[bug.id]).next().is_some() => "x",
            () => "o",
        };
        let row = Row {
            release: release.to_string(),
            bugs: bugs.iter().map(|bug| (bug.id, cell(bug))).collect(),
            seeds: together.seeds,
            cpu_seconds: together.cpu_seconds,
            signatures: together.signatures.clone(),
        };
        let cells: String = bugs.iter().map(|bug| format!("{:<3}", row.bugs[bug.id])).collect();
        say!("{:<8} {cells}  {:>5} {:>6.2}", row.release, row.seeds, row.cpu_seconds);
        rows.push(row);
    }
    write_json(args.json.as_ref(), &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn chosen(names: &[String]) -> Result<Vec<Release>, String> {
    if names.is_empty() {
        return Ok(releases().collect());
    }
    names.iter().map(|name| name.parse::<Release>().map_err(|e| e.to_string())).collect()
}

struct Failures {
    /// To the first.
    seeds: u64,
    cpu_seconds: f64,
    signatures: Signatures,
}

/// The signatures of the first few failures within the budget.
fn failures(switches: Switches, args: &MatrixArgs) -> Failures {
    let mut failures = Failures { seeds: 0, cpu_seconds: 0.0, signatures: Signatures::new() };
    let (mut from, mut left) = (0, args.budget.as_secs_f64());
    for nth in 0..args.failures {
        let hunt = first_failure(switches, from, Duration::from_secs_f64(left.max(0.0)));
        if nth == 0 {
            (failures.seeds, failures.cpu_seconds) = (hunt.seeds, hunt.cpu_seconds);
        }
        let Some((seed, outcome)) = hunt.failure else { break };
        failures.signatures.extend(outcome.signature());
        (from, left) = (seed + 1, left - hunt.cpu_seconds);
    }
    failures
}
