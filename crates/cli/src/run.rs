//! `vivarium run`: scenario files, one after the other.

use std::process::ExitCode;

use serde_json::json;
use sim::faults::FaultKind;
use sim::run::{Options, Outcome, Verdict};
use sim::scenario::{Scenario, final_verdict};

use crate::RunArgs;
use crate::guarded::run_guarded;
use crate::story::print_story_lines;

pub fn run(args: &RunArgs) -> ExitCode {
    let mut code = 0;
    for file in &args.files {
        let name = file.display().to_string();
        let read = std::fs::read_to_string(file).map_err(|e| format!("{name}: {e}"));
        let parsed = read.and_then(|text| Scenario::parse(&text).map_err(|e| format!("{name}: {e}")));
        match parsed {
            Ok(scenario) => {
                if !replay(args, &name, &scenario) {
                    code = code.max(1);
                }
            }
            Err(why) => {
                eprintln!("vivarium: {why}");
                code = 2;
            }
        }
    }
    ExitCode::from(code)
}

fn replay(args: &RunArgs, name: &str, scenario: &Scenario) -> bool {
    let mut spec = scenario.run_spec(args.seed);
    if let Some(until) = args.until {
        let until = sim::plan::millis(until);
        spec.heal_at = spec.heal_at.min(until);
        spec.end_at = spec.end_at.min(until);
        // Nothing can be asked of a run that was cut off but safety.
        let codes = checker::INVARIANTS.iter().map(|(code, _)| (*code).to_owned());
        spec.world.waived.extend(codes.filter(|code| code.starts_with("LV-")));
    }
    let options = Options { trace: args.trace.is_some(), watch: true, stop_at_violation: false };
    let outcome = run_guarded(&spec, options);
    let invariants_only = args.seed.is_some() || args.until.is_some();
    let missed = if invariants_only { Vec::new() } else { scenario.judge(&outcome) };
    let verdict = final_verdict(&outcome, &missed);
    let ok = if invariants_only {
        !matches!(verdict, Verdict::Violation | Verdict::Stuck | Verdict::Crashed)
    } else {
        missed.is_empty()
    };
    print_trace(args, &outcome);
    if args.json {
        say!("{}", as_json(name, spec.world.seed, verdict, &outcome, &missed));
    } else {
        print_story(name, scenario, spec.world.seed, verdict, &outcome, &missed);
    }
    ok
}

fn print_trace(args: &RunArgs, outcome: &Outcome) {
    for line in &outcome.trace {
        if args.trace.as_deref() == Some("json") {
            say!("{}", serde_json::to_string(line).unwrap_or_default());
        } else {
            say!("{line}");
        }
    }
}

fn as_json(
    name: &str,
    seed: u64,
    verdict: Verdict,
    outcome: &Outcome,
    missed: &[String],
) -> serde_json::Value {
    let violations: Vec<serde_json::Value> = outcome
        .violations
        .iter()
        .map(|v| json!({ "invariant": v.invariant, "at_ns": v.at.0, "member": v.member.0, "detail": v.detail }))
        .collect();
    json!({
        "file": name,
        "seed": seed,
        "verdict": verdict,
        "trace_hash": outcome.trace_hash,
        "signature": outcome.signature(),
        "violations": violations,
        "missed": missed,
        "stats": outcome.stats,
    })
}

fn print_story(
    name: &str,
    scenario: &Scenario,
    seed: u64,
    verdict: Verdict,
    outcome: &Outcome,
    missed: &[String],
) {
    say!("{name}: {}", scenario.name);
    print_story_lines(&outcome.story.lines());
    let stats = &outcome.stats;
    say!(
        "  {} elections won, epochs {:?}, {} commits, {} acknowledged writes, syncs {:?}",
        stats.elections_won,
        stats.epochs_established,
        stats.committed,
        stats.acknowledged_writes,
        stats.syncs
    );
    for kind in FaultKind::ALL {
        let (injected, bit) =
            (outcome.faults.injected[kind as usize], outcome.faults.took_effect[kind as usize]);
        if injected > 0 {
            say!("  {}: injected {injected}, took effect {bit}", kind.name());
        }
    }
    for v in &outcome.violations {
        say!("  VIOLATION {} at {} of {}: {}", v.invariant, v.at, v.member, v.detail);
    }
    for what in missed {
        say!("  MISSED: expected {what}");
    }
    let verdict = serde_json::to_value(verdict).unwrap_or_default();
    say!("  seed {seed}  trace {}  verdict {}", outcome.trace_hash, verdict.as_str().unwrap_or("?"));
}
