//! The first failing seed of the swarm: `first_failure SEEDS`. What `cargo xtask mutants` asks of each mutant;
//! `vivarium sweep` says the same and much more, but with it the server and the node would have to be built
//! for each of them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: arguments, output, panics

use std::panic::catch_unwind;
use std::process::ExitCode;

use peer::Switches;
use sim::run::{Options, run_with};
use sim::swarm::plan;

fn main() -> ExitCode {
    let seeds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let Some(seeds) = seeds else {
        eprintln!("expected a number of seeds");
        return ExitCode::from(2);
    };
    match (0..seeds).find_map(failure) {
        Some(failure) => {
            println!("{failure}");
            ExitCode::from(1)
        }
        None => ExitCode::SUCCESS,
    }
}

fn failure(seed: u64) -> Option<String> {
    let options = Options { stop_at_violation: true, ..Options::default() };
    let ran = catch_unwind(|| run_with(&plan(seed, Switches::NONE), options));
    let why = match ran {
        Ok(outcome) => {
            let first = outcome.violations.first()?;
            format!("{} at {} of {}: {}", first.invariant, first.at, first.member, first.detail)
        }
        Err(_) => "a panic".to_owned(),
    };
    Some(format!("{} seeds: {why}", seed + 1))
}
