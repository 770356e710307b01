//! The first failing seed of the swarm, each of them over registers and over the data tree: `first_failure
//! SEEDS`. What `cargo xtask mutants` asks of each mutant; `vivarium sweep` says the same and much more, but
//! with it the node and the command line would have to be built for each of them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: arguments, output, panics

use std::panic::catch_unwind;
use std::process::ExitCode;

use peer::Switches;
use sim::run::{Options, RunSpec, run_with};
use sim::swarm::{plan_registers, plan_tree};

fn main() -> ExitCode {
    let seeds = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let Some(seeds) = seeds else {
        eprintln!("expected a number of seeds");
        return ExitCode::from(2);
    };
    let failed = (0..seeds).find_map(|seed| {
        let over = |state: &str, spec: &RunSpec| {
            failure(spec).map(|why| format!("{} seeds, over {state}: {why}", seed + 1))
        };
        let switches = Switches::NONE;
        over("registers", &plan_registers(seed, switches))
            .or_else(|| over("the tree", &plan_tree(seed, switches)))
    });
    match failed {
        Some(failed) => {
            println!("{failed}");
            ExitCode::from(1)
        }
        None => ExitCode::SUCCESS,
    }
}

fn failure(spec: &RunSpec) -> Option<String> {
    let options = Options { stop_at_violation: true, ..Options::default() };
    match catch_unwind(|| run_with(spec, options)) {
        Ok(outcome) => {
            let first = outcome.violations.first()?;
            Some(format!("{} at {} of {}: {}", first.invariant, first.at, first.member, first.detail))
        }
        Err(_) => Some("a panic".to_owned()),
    }
}
