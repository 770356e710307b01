//! The project's own tasks: `cargo xtask` lists them. `.ci/run` calls `cargo xtask ci`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: files, processes, sockets

mod chaos;
mod ci;
mod house_rules;
mod interop;
mod kazoo;
mod mutants;
mod versus;

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

/// Vivarium's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that guards main: format, lints, tests, the README's run command, equal traces in
    /// debug and release, node processes beside Java's, sweeps over known and fresh seeds, bugs of the
    /// museum, faults at every step of short scenarios, and a sample of the mutants.
    Ci {
        /// Seeds of the sweep.
        #[arg(long, default_value_t = 5000)]
        seeds: u64,
    },
    /// Format, lint and house rules only.
    Lint,
    /// Speed of the simulator under a steady write load, three and five members.
    Bench,
    /// The same scenarios and seeds in debug and release, on one thread and many: equal hashes.
    Determinism,
    /// Node processes on loopback, alone and beside Java ZooKeeper (installed where missing).
    Interop(interop::Options),
    /// Faults in real processes and the network between them; what clients saw goes to the simulator's checkers.
    Chaos(chaos::Options),
    /// kazoo's own test suite against three nodes, and beside it against three Java servers.
    Kazoo(kazoo::Options),
    /// Plants deliberate faults, one at a time, and tells which checker or test caught each.
    Mutants(mutants::Options),
    /// Three Java servers and three nodes under the same load: throughput, CPU, latency, memory, start and fail-over.
    Versus(versus::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Ci { seeds } => ci::run(seeds),
        Task::Lint => lint(),
        Task::Bench => cargo(&["bench", "--package", "vivarium-sim", "--bench", "steady_load"]),
        Task::Determinism => determinism(),
        Task::Interop(options) => interop::run(&options, true),
        Task::Chaos(options) => chaos::run(&options),
        Task::Kazoo(options) => kazoo::run(&options, true),
        Task::Mutants(options) => mutants::run(&options),
        Task::Versus(options) => versus::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), String>;

fn lint() -> Done {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    house_rules::check()?;
    mutants::check()
}

/// Debug and release, one job and many, must print the same trace hashes.
fn determinism() -> Done {
    let scenarios: Vec<String> = std::fs::read_dir("scenarios")
        .map_err(|e| format!("scenarios/: {e}"))?
        .filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()))
        .filter(|path| path.ends_with(".json"))
        .collect();
    let mut run: Vec<&str> = vec!["run", "--json"];
    let mut sorted: Vec<&str> = scenarios.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    run.extend(sorted);
    let debug = hashes(&[], &run)?;
    let release = hashes(&["--release"], &run)?;
    equal("scenarios in debug and release", &debug, &release)?;
    let one = hashes(&["--release"], &["sweep", "--seeds", "0..60", "--jobs", "1", "--hashes"])?;
    let many = hashes(&["--release"], &["sweep", "--seeds", "0..60", "--jobs", "4", "--hashes"])?;
    equal("sweeps on one thread and on four", &one, &many)?;
    let debug = hashes(&[], &["sweep", "--seeds", "0..60", "--jobs", "2", "--hashes"])?;
    equal("sweeps in debug and release", &debug, &many)
}

fn equal(what: &str, a: &[String], b: &[String]) -> Done {
    if a.is_empty() {
        return Err(format!("{what}: no trace hash was printed"));
    }
    if a != b {
        return Err(format!("{what}: trace hashes differ\n{a:?}\n{b:?}"));
    }
    println!("{what}: {} equal trace hashes", a.len());
    Ok(())
}

/// The trace hashes that `vivarium ARGS` prints, in order: every run of 32 hex digits.
fn hashes(profile: &[&str], args: &[&str]) -> Result<Vec<String>, String> {
    let out = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "vivarium"])
        .args(profile)
        .arg("--")
        .args(args)
        .output()
        .map_err(|e| format!("cargo run: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 32)
        .map(str::to_owned)
        .collect())
}

fn cargo(args: &[&str]) -> Done {
    println!("+ cargo {}", args.join(" "));
    let status = Command::new(env!("CARGO"))
        .args(args)
        .status()
        .map_err(|e| format!("cargo {}: {e}", args.join(" ")))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", args.join(" "))) }
}
