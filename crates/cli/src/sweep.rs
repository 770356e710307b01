//! `vivarium sweep`: a run for each seed, on all cores.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use cpu_time::ThreadTime;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peer::{Switch, Switches};
use rayon::prelude::*;
use serde_json::json;
use sim::faults::{FaultCounters, FaultKind};
use sim::run::{Outcome, Verdict, run as run_plan};
use sim::swarm::plan;

use crate::SweepArgs;
use crate::story::print_story_lines;

#[derive(Default)]
struct Totals {
    runs: u64,
    empty: u64,
    events: u64,
    simulated_ms: u64,
    committed: u64,
    faults: FaultCounters,
    marks: BTreeMap<String, u64>,
    syncs: BTreeMap<String, u64>,
    failures: BTreeMap<u64, (String, String)>,
    hashes: BTreeMap<u64, String>,
}

pub fn sweep(args: &SweepArgs) -> ExitCode {
    let switches = match parse_switches(&args.switches) {
        Ok(switches) => switches,
        Err(why) => {
            eprintln!("vivarium: {why}");
            return ExitCode::from(2);
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.jobs.unwrap_or(0)).build();
    let Ok(pool) = pool else {
        eprintln!("vivarium: cannot start the threads");
        return ExitCode::from(2);
    };
    // A panic of a run is told as its failure, not as text in between.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let totals = Mutex::new(Totals::default());
    let cpu = Mutex::new(0.0f64);
    let bar = progress(args.seeds.end - args.seeds.start);
    pool.install(|| {
        args.seeds.clone().into_par_iter().for_each(|seed| {
            let begun = ThreadTime::now();
            let result =
                catch_unwind(AssertUnwindSafe(|| run_plan(&plan(seed, switches), args.trace, false)));
            if let Ok(mut cpu) = cpu.lock() {
                *cpu += begun.elapsed().as_secs_f64();
            }
            if let Ok(mut totals) = totals.lock() {
                totals.add(seed, result, args);
            }
            bar.inc(1);
        });
    });
    bar.finish_and_clear();
    let totals = totals.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let wall = started.elapsed().as_secs_f64();
    let cpu = cpu.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    totals.print(args, wall);
    if let Some(file) = &args.json {
        let text = totals.as_json(wall, cpu).to_string();
        if let Err(e) = std::fs::write(file, text) {
            eprintln!("vivarium: {}: {e}", file.display());
            return ExitCode::from(2);
        }
    }
    if totals.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn parse_switches(names: &[String]) -> Result<Switches, String> {
    names
        .iter()
        .map(|name| {
            let known: Vec<&str> = Switch::ALL.iter().map(|s| s.name()).collect();
            Switch::ALL
                .into_iter()
                .find(|switch| switch.name() == name)
                .ok_or(format!("no switch is called {name}; there are: {}", known.join(", ")))
        })
        .collect()
}

fn progress(runs: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds  {per_sec}  {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(runs).with_style(style)
}

impl Totals {
    fn add(&mut self, seed: u64, result: std::thread::Result<Outcome>, args: &SweepArgs) {
        self.runs += 1;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(panic) => {
                let why = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                    .unwrap_or_default();
                self.failures.insert(seed, ("crashed".into(), why));
                return;
            }
        };
        for line in &outcome.trace {
            say!("{line}");
        }
        self.events += outcome.stats.events;
        self.simulated_ms += outcome.stats.simulated_ms;
        self.committed += outcome.stats.committed;
        self.faults.add(&outcome.faults);
        for (mark, count) in &outcome.stats.marks {
            *self.marks.entry(mark.clone()).or_default() += count;
        }
        for (mode, count) in &outcome.stats.syncs {
            *self.syncs.entry(mode.clone()).or_default() += count;
        }
        if outcome.verdict == Verdict::Empty {
            self.empty += 1;
        }
        if let Some(v) = outcome.violations.first() {
            let detail = format!("at {} of {}: {}", v.at, v.member, v.detail);
            self.failures.insert(seed, (v.invariant.to_owned(), detail));
            if args.story {
                say!("seed {seed}:");
                print_story_lines(&outcome.story);
            }
        }
        if args.hashes {
            self.hashes.insert(seed, outcome.trace_hash);
        }
    }

    fn print(&self, args: &SweepArgs, wall: f64) {
        if args.hashes {
            for (seed, hash) in &self.hashes {
                say!("{seed} {hash}");
            }
        }
        say!(
            "{} runs ({} empty), {:.0} simulated seconds, {} inputs, {} commits, {:.1} s",
            self.runs,
            self.empty,
            self.simulated_ms as f64 / 1000.0,
            self.events,
            self.committed,
            wall
        );
        say!("{:<14} {:>10} {:>12}", "fault", "injected", "took effect");
        for kind in FaultKind::ALL {
            let i = kind as usize;
            say!("{:<14} {:>10} {:>12}", kind.name(), self.faults.injected[i], self.faults.took_effect[i]);
        }
        say!("syncs: {:?}", self.syncs);
        say!("marks:");
        for (mark, count) in &self.marks {
            say!("  {count:>8}  {mark}");
        }
        if self.failures.is_empty() {
            say!("no failures");
            return;
        }
        let mut by_kind: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (seed, (kind, _)) in &self.failures {
            by_kind.entry(kind).or_default().push(*seed);
        }
        say!("{} failures:", self.failures.len());
        for (kind, seeds) in by_kind {
            let seed = seeds[0];
            say!("  {kind}: {} seeds; {}", seeds.len(), self.failures[&seed].1);
            say!("    again: vivarium sweep --seeds {seed}..{} --story", seed + 1);
        }
    }

    fn as_json(&self, wall: f64, cpu: f64) -> serde_json::Value {
        let faults: serde_json::Map<String, serde_json::Value> = FaultKind::ALL
            .into_iter()
            .map(|kind| {
                let i = kind as usize;
                let counts = json!({
                    "injected": self.faults.injected[i],
                    "took_effect": self.faults.took_effect[i],
                });
                (kind.name().to_owned(), counts)
            })
            .collect();
        let violations: Vec<serde_json::Value> = self
            .failures
            .iter()
            .map(|(seed, (invariant, detail))| json!({ "seed": seed, "invariant": invariant, "detail": detail }))
            .collect();
        json!({
            "runs": self.runs,
            "empty": self.empty,
            "violations": violations,
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "events": self.events,
            "committed": self.committed,
            "faults": faults,
            "syncs": self.syncs,
            "marks": self.marks,
        })
    }
}
