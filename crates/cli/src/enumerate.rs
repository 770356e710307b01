//! `vivarium enumerate`: a fault at every packet and every disk step of one scenario.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;
use sim::enumerate::{Case, Enumeration, Fault, pairs, with_steps};
use sim::plan::Step;
use sim::run::{Options, Outcome, Verdict, run_with};
use sim::scenario::Scenario;

use crate::EnumerateArgs;
use crate::guarded::{guard, run_guarded};
use crate::interrupt;
use crate::progress::Progress;

/// Outcomes of one row.
#[derive(Clone, Debug, Default, Serialize)]
struct Row {
    cases: u64,
    clean: u64,
    violations: u64,
    stuck: u64,
}

#[derive(Default)]
struct Table {
    /// By moment and fault.
    rows: BTreeMap<(String, &'static str), Row>,
    /// Signature: how often, and the first few as scenarios.
    failures: BTreeMap<String, (u64, Vec<Scenario>)>,
    /// Every fault so far, for pairs.
    steps: Vec<Vec<Step>>,
}

/// Cases that run beside each other, and exported failures of one signature.
const BATCH: usize = 256;
const EXPORTS: usize = 5;

pub fn run(args: &EnumerateArgs) -> ExitCode {
    match enumerate(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("vivarium: {why}");
            ExitCode::from(2)
        }
    }
}

fn enumerate(args: &EnumerateArgs) -> Result<bool, String> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|e| format!("{name}: {e}"))?;
    let scenario = Scenario::parse(&text).map_err(|e| format!("{name}: {e}"))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.jobs.unwrap_or(0))
        .build()
        .map_err(|e| format!("cannot start the threads: {e}"))?;
    let progress = Progress::new("cases", None);
    let alone = run_guarded(&scenario.run_spec(None), Options::default());
    if let Some(signature) = alone.signature() {
        return Err(format!("{name} fails already without a fault: {signature}"));
    }
    interrupt::listen();
    let mut table = Table::default();
    pool.install(|| {
        singles(args, &scenario, &mut table, &progress);
        in_pairs(args, &scenario, &mut table);
    });
    progress.end();
    report(args, &table, progress.seconds())?;
    let interrupted = interrupt::was_asked();
    if interrupted {
        say!("interrupted: of what comes later nothing is known");
    }
    Ok(table.failures.is_empty() && !interrupted)
}

fn singles(args: &EnumerateArgs, scenario: &Scenario, table: &mut Table, progress: &Progress) {
    let end_ms = scenario.run_spec(None).heal_at.0 / 1_000_000;
    let mut enumeration = Enumeration::new(&scenario.run_spec(None), &args.faults);
    let mut batch: Vec<Case> = Vec::new();
    loop {
        let cases = enumeration.next_cases();
        let over = cases.is_none();
        batch.extend(cases.into_iter().flatten());
        if over || batch.len() >= BATCH {
            let ran: Vec<(Case, Outcome)> = std::mem::take(&mut batch)
                .into_par_iter()
                .map(|case| {
                    let outcome = guard(|| case.clone().run());
                    (case, outcome)
                })
                .collect();
            for (case, outcome) in ran {
                table.add(scenario, &case.point.label, case.fault.name(), &case.steps, &outcome);
                table.steps.push(case.steps);
            }
            table.tell(progress, enumeration.reached().0 / 1_000_000, end_ms);
        }
        if over || interrupt::was_asked() {
            return;
        }
    }
}

fn in_pairs(args: &EnumerateArgs, scenario: &Scenario, table: &mut Table) {
    if interrupt::was_asked() {
        return;
    }
    let drawn = pairs(scenario.seed, table.steps.len() as u64, args.pairs);
    let both: Vec<Vec<Step>> = drawn
        .into_iter()
        .map(|(a, b)| [table.steps[a as usize].clone(), table.steps[b as usize].clone()].concat())
        .collect();
    let options = Options { stop_at_violation: true, ..Options::default() };
    let ran: Vec<Outcome> = both
        .par_iter()
        .map(|steps| {
            let spec = with_steps(scenario, steps).run_spec(None);
            guard(|| run_with(&spec, options))
        })
        .collect();
    for (steps, outcome) in both.iter().zip(ran) {
        table.add(scenario, "(pairs)", "two", steps, &outcome);
    }
}

impl Table {
    fn cases(&self) -> u64 {
        self.rows.values().map(|row| row.cases).sum()
    }

    fn tell(&self, progress: &Progress, reached_ms: u64, end_ms: u64) {
        let failures: u64 = self.failures.values().map(|(count, _)| count).sum();
        let message = || format!("at {reached_ms} of {end_ms} ms, {failures} failures");
        progress.tell(self.cases(), message, |_| format!("{} cases, {}", self.cases(), message()));
    }

    fn add(
        &mut self,
        scenario: &Scenario,
        label: &str,
        fault: &'static str,
        steps: &[Step],
        outcome: &Outcome,
    ) {
        let row = self.rows.entry((label.to_owned(), fault)).or_default();
        row.cases += 1;
        let Some(signature) = outcome.signature() else {
            row.clean += 1;
            return;
        };
        if outcome.verdict == Verdict::Stuck {
            row.stuck += 1;
        } else {
            row.violations += 1;
        }
        let (count, exported) = self.failures.entry(signature).or_default();
        *count += 1;
        if exported.len() < EXPORTS {
            let mut failing = with_steps(scenario, steps);
            failing.name = format!("{}: {fault} at {label}", scenario.name);
            failing.expect_failure(outcome);
            exported.push(failing);
        }
    }
}

fn report(args: &EnumerateArgs, table: &Table, seconds: f64) -> Result<(), String> {
    say!("{:<58} {:<10} {:>6} {:>6} {:>6} {:>6}", "moment", "fault", "cases", "clean", "viol.", "stuck");
    for ((label, fault), row) in &table.rows {
        say!(
            "{label:<58} {fault:<10} {:>6} {:>6} {:>6} {:>6}",
            row.cases,
            row.clean,
            row.violations,
            row.stuck
        );
    }
    let cases = table.cases();
    say!("{cases} cases, {seconds:.1} s");
    let mut files = BTreeMap::new();
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    for (number, (signature, (count, scenarios))) in table.failures.iter().enumerate() {
        say!("FAILURE {signature} ({count} cases)");
        for (i, scenario) in scenarios.iter().enumerate() {
            let Some(folder) = &args.out else { break };
            let file = folder.join(format!("enumerated-{}-{}.json", number + 1, i + 1));
            std::fs::write(&file, scenario.to_text()).map_err(|e| format!("{}: {e}", file.display()))?;
            say!("    vivarium run {}", file.display());
            files.entry(signature).or_insert(file);
        }
    }
    let Some(file) = &args.json else { return Ok(()) };
    let rows: Vec<serde_json::Value> = table
        .rows
        .iter()
        .map(|((label, fault), row)| json!({ "moment": label, "fault": fault, "outcomes": row }))
        .collect();
    let failures: Vec<serde_json::Value> = table
        .failures
        .iter()
        .map(|(signature, (count, _))| {
            json!({ "signature": signature, "count": count, "file": files.get(signature) })
        })
        .collect();
    let all = json!({ "cases": cases, "wall_seconds": seconds, "moments": rows, "failures": failures });
    std::fs::write(file, all.to_string()).map_err(|e| format!("{}: {e}", file.display()))
}

/// "crash", "pause", "cut", "fail-sync".
pub fn parse_fault(text: &str) -> Result<Fault, String> {
    let known = || Fault::ALL.map(Fault::name).join(", ");
    Fault::ALL
        .into_iter()
        .find(|fault| fault.name() == text)
        .ok_or_else(|| format!("expected one of {}", known()))
}
