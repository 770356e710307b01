//! `vivarium bugs`: the museum of bugs that ZooKeeper had: what there is, whether the sweep finds it, and
//! which release had what.

mod hunt;
mod list;
mod matrix;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use zab::switches::catalogue::{BUGS, Bug};

use crate::sweep::parse_duration;

#[derive(Args)]
pub struct BugsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every bug: number, switch, phase, issue, releases, the invariants it breaks.
    List {
        /// A list of objects.
        #[arg(long)]
        json: bool,
    },
    /// Switch each bug on in turn and sweep the default swarm until a run fails; make the failure small.
    ///
    /// The swarm is that of `sweep`, the same for all bugs. Exit code 1: one was not found.
    Hunt(HuntArgs),
    /// Releases against bugs: which release had which, and whether the sweep finds it there.
    ///
    /// `x`: the release had it, and a hunt with all switches of the release on failed in one of the ways
    /// in which the bug alone fails; `o`: it had it, and the hunt found something else first; `-`: it had it, and
    /// nothing failed within the budget.
    Matrix(MatrixArgs),
}

#[derive(Args)]
pub struct HuntArgs {
    /// Only these: numbers (`07`) or names of switches; all if none is given.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// CPU time for each bug, at most.
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    budget: Duration,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Threads; all cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Write each shrunk failure to this folder, as NUMBER-NAME.json.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Candidates that are looked at, at most, while one failure is made small.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    shrink_limit: u64,
    /// Leave the failures as they are.
    #[arg(long)]
    no_shrink: bool,
    /// Write the table as a list of objects to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Args)]
pub struct MatrixArgs {
    /// CPU time for each bug and for each release, at most.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    budget: Duration,
    /// Only these releases, as 3.8.4.
    #[arg(value_name = "RELEASE")]
    releases: Vec<String>,
    /// Failures of each that are looked at.
    #[arg(long, value_name = "N", default_value_t = 20)]
    failures: u64,
    /// Threads; all cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Write the table as a list of objects to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: &BugsArgs) -> ExitCode {
    let done = match &args.what {
        What::List { json } => list::run(*json),
        What::Hunt(args) => hunt::run(args),
        What::Matrix(args) => matrix::run(args),
    };
    done.unwrap_or_else(|why| {
        eprintln!("vivarium: {why}");
        ExitCode::from(2)
    })
}

/// The bugs of these numbers or names, in the order of the catalogue; all for none.
fn named(names: &[String]) -> Result<Vec<&'static Bug>, String> {
    let is = |bug: &Bug, name: &String| bug.id == name || bug.switch.name() == name;
    if let Some(unknown) = names.iter().find(|name| !BUGS.iter().any(|bug| is(bug, name))) {
        return Err(format!("no bug is called {unknown}; `vivarium bugs list` prints all"));
    }
    Ok(BUGS.iter().filter(|bug| names.is_empty() || names.iter().any(|name| is(bug, name))).collect())
}

fn pool(jobs: Option<usize>) -> Result<rayon::ThreadPool, String> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.unwrap_or(0))
        .build()
        .map_err(|e| format!("cannot start the threads: {e}"))
}

/// `file` was asked for: writes `rows` there.
fn write_json(file: Option<&PathBuf>, rows: &impl serde::Serialize) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(rows).map_err(|e| e.to_string())?;
    std::fs::write(file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_by_number_and_name() {
        assert_eq!(named(&[]).expect("all").len(), BUGS.len());
        let two = named(&["observers-count".into(), "01".into()]).expect("two");
        assert_eq!(two.iter().map(|bug| bug.id).collect::<Vec<_>>(), ["01", "07"]);
        assert!(named(&["99".into()]).is_err());
    }
}
