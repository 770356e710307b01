//! `vivarium diff`: one run in two behaviours, side by side to the first difference.

use std::process::ExitCode;

use peer::Switches;
use serde_json::json;
use sim::run::{Options, RunSpec};
use sim::scenario::Scenario;
use sim::swarm;
use sim::world::TraceLine;

use crate::DiffArgs;
use crate::guarded::run_guarded;
use crate::sweep::{parse_profile, parse_switches};

/// Lines that are printed before the difference, and from it on.
const BEFORE: usize = 6;
const AFTER: usize = 4;

pub fn run(args: &DiffArgs) -> ExitCode {
    match diff(args) {
        Ok(same) => ExitCode::from(u8::from(!same)),
        Err(why) => {
            eprintln!("vivarium: {why}");
            ExitCode::from(2)
        }
    }
}

/// One side: its name, and what it switches on.
struct Side {
    name: String,
    switches: Switches,
}

fn diff(args: &DiffArgs) -> Result<bool, String> {
    let (one, other) = sides(args)?;
    let run = |side: &Side| -> Result<Vec<TraceLine>, String> {
        let spec = spec(&args.what, side.switches)?;
        Ok(run_guarded(&spec, Options { trace: true, ..Options::default() }).trace)
    };
    let (lines, others) = (run(&one)?, run(&other)?);
    let at = lines.iter().zip(&others).take_while(|(a, b)| is_same(a, b)).count();
    let same = at == lines.len() && at == others.len();
    if args.json {
        say!("{}", as_json(&one, &lines, &other, &others, at, same));
        return Ok(same);
    }
    if same {
        say!("{} and {} do the same: {at} inputs and outputs", one.name, other.name);
        return Ok(true);
    }
    for line in &lines[at.saturating_sub(BEFORE)..at] {
        say!("  {line}");
    }
    for (side, lines) in [(&one, &lines), (&other, &others)] {
        say!("{}:", side.name);
        for line in lines.iter().skip(at).take(AFTER) {
            say!("  {line}");
        }
        if at >= lines.len() {
            say!("  (ends)");
        }
    }
    Ok(false)
}

fn is_same(a: &TraceLine, b: &TraceLine) -> bool {
    (a.at, a.member, &a.line) == (b.at, b.member, &b.line)
}

fn sides(args: &DiffArgs) -> Result<(Side, Side), String> {
    let switched = |name: &String| -> Result<Side, String> {
        Ok(Side { name: name.clone(), switches: parse_switches(std::slice::from_ref(name))? })
    };
    let profiled = |name: &String| -> Result<Side, String> {
        Ok(Side { name: name.clone(), switches: parse_profile(name)? })
    };
    let mut sides: Vec<Side> = args.switches.iter().map(switched).collect::<Result<_, _>>()?;
    for name in &args.profiles {
        sides.push(profiled(name)?);
    }
    if sides.len() == 1 {
        sides.insert(0, Side { name: "the correct core".into(), switches: Switches::NONE });
    }
    let count = sides.len();
    let two: [Side; 2] = sides
        .try_into()
        .map_err(|_| format!("expected one or two of --switch and --profile, got {count}"))?;
    let [one, other] = two;
    Ok((one, other))
}

/// A seed of the swarm, or a scenario file; the switches come on top of the scenario's own.
fn spec(what: &str, switches: Switches) -> Result<RunSpec, String> {
    if let Ok(seed) = what.parse::<u64>() {
        return Ok(swarm::plan(seed, switches));
    }
    let text = std::fs::read_to_string(what).map_err(|e| format!("{what}: {e}"))?;
    let mut scenario = Scenario::parse(&text).map_err(|e| format!("{what}: {e}"))?;
    scenario.switches.extend(switches.iter().map(|switch| switch.name().to_owned()));
    Ok(scenario.run_spec(None))
}

fn as_json(
    one: &Side,
    lines: &[TraceLine],
    other: &Side,
    others: &[TraceLine],
    at: usize,
    same: bool,
) -> serde_json::Value {
    let side = |side: &Side, lines: &[TraceLine]| json!({ "name": side.name, "line": lines.get(at) });
    json!({ "same": same, "equal_lines": at, "one": side(one, lines), "other": side(other, others) })
}
