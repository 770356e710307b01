//! `vivarium shrink`: a failing scenario made small.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use peer::Nanos;
use rayon::prelude::*;
use serde_json::json;
use sim::run::{Options, Outcome};
use sim::scenario::Scenario;
use sim::shrink::{Size, shrink};

use crate::ShrinkArgs;
use crate::guarded::run_guarded;

/// A violation that came so much later than before the shrinking is not looked for.
const AFTERMATH: Nanos = Nanos::from_millis(2000);

const QUICK: Options = Options { trace: false, watch: false, stop_at_violation: true };

pub fn run(args: &ShrinkArgs) -> ExitCode {
    match shrink_file(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("vivarium: {why}");
            ExitCode::from(2)
        }
    }
}

fn shrink_file(args: &ShrinkArgs) -> Result<(), String> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|e| format!("{name}: {e}"))?;
    let scenario = Scenario::parse(&text).map_err(|e| format!("{name}: {e}"))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.jobs.unwrap_or(0))
        .build()
        .map_err(|e| format!("cannot start the threads: {e}"))?;
    let started = Instant::now();
    let cpu = cpu_time::ProcessTime::now();
    let shrunk = pool.install(|| {
        shrink_scenario(&scenario, u64::MAX, &mut |what, runs, size| tell(args, what, runs, size))
    });
    let shrunk = shrunk.map_err(|why| format!("{name}: {why}"))?;
    let seconds = (started.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    if let Some(out) = &args.out {
        std::fs::write(out, shrunk.scenario.to_text()).map_err(|e| format!("{}: {e}", out.display()))?;
    }
    report(args, &Size::of(&scenario), &shrunk, seconds);
    Ok(())
}

pub struct Shrunk {
    pub scenario: Scenario,
    pub signature: String,
    pub runs: u64,
}

/// Shrinks on the threads of the caller's pool, until nothing more can be left out or so many candidates were
/// looked at. Progress: what was left out, runs so far, size now.
pub fn shrink_scenario(
    scenario: &Scenario,
    limit: u64,
    progress: &mut dyn FnMut(&str, u64, &Size),
) -> Result<Shrunk, String> {
    let outcome = run_guarded(&scenario.run_spec(None), QUICK);
    let Some(signature) = outcome.signature() else { return Err("it does not fail".into()) };
    if let Some(expected) = &scenario.expect.signature
        && *expected != signature
    {
        return Err(format!("it fails with `{signature}`, not as it expects with `{expected}`"));
    }
    let mut scenario = scenario.clone();
    scenario.expect_failure(&outcome);
    let runs = AtomicU64::new(1);
    let at_ms = violated_at_ms(&outcome);
    // Only what has to come in time is waited for; else a run that goes on so long after the violation's time
    // is another one.
    let waits = signature.starts_with("LV-") || at_ms == u64::MAX;
    let fails = |candidate: &Scenario| -> bool {
        runs.fetch_add(1, Ordering::Relaxed);
        let mut spec = candidate.run_spec(None);
        if !waits {
            let last = spec.heal_at.max(Nanos::from_millis(at_ms)) + AFTERMATH;
            spec.end_at = spec.end_at.min(last);
        }
        run_guarded(&spec, QUICK).signature().as_deref() == Some(&*signature)
    };
    let looked_at = AtomicU64::new(0);
    let oracle = |candidates: &[Scenario]| {
        let before = looked_at.fetch_add(candidates.len() as u64, Ordering::Relaxed);
        if before < limit { candidates.par_iter().position_first(fails) } else { None }
    };
    let mut smaller = shrink(&scenario, at_ms, &oracle, &mut |what, now| {
        progress(what, runs.load(Ordering::Relaxed), &Size::of(now));
    });
    // The whole run has the verdict that the file is to expect.
    let whole = run_guarded(&smaller.run_spec(None), Options::default());
    smaller.expect_failure(&whole);
    smaller.description = whole.violations.iter().take(3).map(|v| v.detail.clone()).collect();
    Ok(Shrunk { scenario: smaller, signature, runs: runs.into_inner() })
}

fn violated_at_ms(outcome: &Outcome) -> u64 {
    let crashed = outcome.verdict == sim::run::Verdict::Crashed;
    outcome.violations.first().filter(|_| !crashed).map_or(u64::MAX, |v| v.at.0 / 1_000_000)
}

fn tell(args: &ShrinkArgs, what: &str, runs: u64, size: &Size) {
    if !args.quiet {
        eprintln!(
            "{runs:>6} runs: {} steps, {} actions, {} members, {} clients, {} settings ({what})",
            size.steps, size.actions, size.members, size.clients, size.settings
        );
    }
}

fn report(args: &ShrinkArgs, before: &Size, shrunk: &Shrunk, (wall, cpu): (f64, f64)) {
    let after = Size::of(&shrunk.scenario);
    if args.json {
        let scenario: serde_json::Value =
            serde_json::from_str(&shrunk.scenario.to_text()).unwrap_or_default();
        say!(
            "{}",
            json!({ "file": args.file, "signature": shrunk.signature, "runs": shrunk.runs, "before": before,
                    "after": after, "wall_seconds": wall, "cpu_seconds": cpu, "scenario": scenario })
        );
        return;
    }
    if args.out.is_none() {
        say!("{}", shrunk.scenario.to_text().trim_end());
    }
    eprintln!("{}: {} runs, {wall:.1} s, {cpu:.1} CPU s", shrunk.signature, shrunk.runs);
    let rows = [
        ("steps", before.steps as u64, after.steps as u64),
        ("actions", before.actions as u64, after.actions as u64),
        ("members", before.members as u64, after.members as u64),
        ("clients", before.clients.into(), after.clients.into()),
        ("settings", before.settings as u64, after.settings as u64),
        ("ms before heal", before.heal_at_ms, after.heal_at_ms),
    ];
    for (what, before, after) in rows {
        eprintln!("  {what:<15} {before:>6} -> {after}");
    }
}

#[cfg(test)]
mod tests {
    use peer::{Switch, Switches};
    use sim::run::run;
    use sim::swarm::plan;

    use super::*;

    fn failure() -> Scenario {
        let switches = Switches::NONE.with(Switch::AckBeforeSync);
        let failing = (0..20u64).map(|seed| plan(seed, switches)).find_map(|spec| {
            let outcome = run(&spec, false, false);
            (!outcome.violations.is_empty()).then(|| Scenario::of_failure(&spec, "a failure", &outcome))
        });
        failing.expect("the switch is found")
    }

    #[test]
    fn it_becomes_small_and_fails_in_the_same_way_on_any_number_of_threads() {
        let scenario = failure();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| shrink_scenario(&scenario, u64::MAX, &mut |_, _, _| {}))
                .expect("it fails")
                .scenario
        };
        let one = on(1);
        assert_eq!(one.to_text(), on(3).to_text());
        let size = Size::of(&one);
        assert!(size.steps <= 1 && size.members <= 3 && size.clients == 1 && size.settings == 0, "{size:?}");
        let again = run(&one.run_spec(None), false, true);
        assert_eq!(one.judge(&again), Vec::<String>::new());
        assert_eq!(again.signature(), scenario.expect.signature);
        // What it shows is the switch: without it the scenario is clean.
        let mended = Scenario { switches: Vec::new(), ..one };
        assert_eq!(run(&mended.run_spec(None), false, false).violations, []);
    }

    #[test]
    fn what_does_not_fail_is_refused() {
        let mended = Scenario { switches: Vec::new(), ..failure() };
        assert!(shrink_scenario(&mended, u64::MAX, &mut |_, _, _| {}).is_err());
    }
}
