//! `vivarium sweep`: a run for each seed, on all cores.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use peer::{Switch, Switches};
use sim::run::{Options, Outcome, RunSpec};
use sim::scenario::Scenario;
use sim::swarm;
use zab::switches::catalogue::profile;
use zab::switches::releases::Release;

use crate::SweepArgs;
use crate::guarded::run_guarded;
use crate::interrupt;
use crate::progress::Progress;
use crate::story::print_story_lines;
use crate::tally::Tally;
use crate::tally_report;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StateArg {
    /// A flat map of registers: the fast workload, for the protocol.
    Registers,
    /// The data tree, with clients of ZooKeeper's protocol.
    Tree,
}

impl StateArg {
    fn name(self) -> &'static str {
        match self {
            StateArg::Registers => "registers",
            StateArg::Tree => "tree",
        }
    }
}

/// What seeds are drawn from.
enum Source {
    Swarm(Switches, Option<StateArg>),
    Scenario(Box<Scenario>),
}

impl Source {
    fn spec(&self, seed: u64) -> RunSpec {
        match self {
            Source::Swarm(switches, None) => swarm::plan(seed, *switches),
            Source::Swarm(switches, Some(StateArg::Registers)) => swarm::plan_registers(seed, *switches),
            Source::Swarm(switches, Some(StateArg::Tree)) => swarm::plan_tree(seed, *switches),
            Source::Scenario(scenario) => swarm::vary(scenario, seed),
        }
    }
}

pub fn sweep(args: &SweepArgs) -> ExitCode {
    let source = match source(args) {
        Ok(source) => source,
        Err(why) => {
            eprintln!("vivarium: {why}");
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = &args.out
        && let Err(e) = std::fs::create_dir_all(folder)
    {
        eprintln!("vivarium: {}: {e}", folder.display());
        return ExitCode::from(2);
    }
    interrupt::listen();
    let sweep = Sweep::new(args, &source);
    let tally = sweep.run();
    tally_report::print(&tally);
    end(&tally, args.json.as_deref())
}

/// Writes the JSON; the exit code.
pub fn end(tally: &Tally, json: Option<&Path>) -> ExitCode {
    if let Some(file) = json {
        let text = serde_json::to_string(tally).unwrap_or_default();
        if let Err(e) = std::fs::write(file, text) {
            eprintln!("vivarium: {}: {e}", file.display());
            return ExitCode::from(2);
        }
    }
    let passed = tally.violations.is_empty() && tally.shortcomings().is_empty();
    if passed { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn source(args: &SweepArgs) -> Result<Source, String> {
    let mut switches = parse_switches(&args.switches)?;
    if let Some(name) = &args.profile {
        switches = parse_profile(name)?.iter().fold(switches, Switches::with);
    }
    let Some(file) = &args.scenario else { return Ok(Source::Swarm(switches, args.state)) };
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut scenario = Scenario::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    scenario.switches.extend(switches.iter().map(|switch| switch.name().to_owned()));
    Ok(Source::Scenario(Box::new(scenario)))
}

pub fn parse_switches(names: &[String]) -> Result<Switches, String> {
    let known = || Switch::ALL.map(Switch::name).join(", ");
    let parse = |name: &String| {
        Switch::named(name).ok_or_else(|| format!("no switch is called {name}; there are: {}", known()))
    };
    names.iter().map(parse).collect()
}

/// What a release had: `zookeeper-3.8.4`, or the bare number.
pub fn parse_profile(name: &str) -> Result<Switches, String> {
    let number = name.strip_prefix("zookeeper-").unwrap_or(name);
    let release: Release = number.parse().map_err(|e| format!("profile {name}: {e}"))?;
    Ok(profile(release))
}

/// What the threads share.
struct Sweep<'a> {
    args: &'a SweepArgs,
    source: &'a Source,
    /// The ordinal of the next seed.
    next: AtomicU64,
    stop: AtomicBool,
    tally: Mutex<Tally>,
    exported: Mutex<std::collections::BTreeMap<String, u32>>,
    started: Instant,
    progress: Progress,
}

/// Exported failures of one signature, at most.
const EXPORTS: u32 = 5;

impl<'a> Sweep<'a> {
    fn new(args: &'a SweepArgs, source: &'a Source) -> Sweep<'a> {
        let mut arguments = String::new();
        for name in &args.switches {
            arguments.push_str(&format!(" --switch {name}"));
        }
        if let Some(file) = &args.scenario {
            arguments.push_str(&format!(" --scenario {}", file.display()));
        }
        if let Some(name) = &args.profile {
            arguments.push_str(&format!(" --profile {name}"));
        }
        if let Some(state) = args.state {
            arguments.push_str(&format!(" --state {}", state.name()));
        }
        let whole_swarm = arguments.is_empty();
        Sweep {
            args,
            source,
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            tally: Mutex::new(Tally::new(&arguments, whole_swarm)),
            exported: Mutex::default(),
            started: Instant::now(),
            progress: progress(args),
        }
    }

    fn run(self) -> Tally {
        let jobs = self.args.jobs.filter(|jobs| *jobs > 0);
        let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| while self.one_more() {});
            }
        });
        self.progress.end();
        let mut tally = self.tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        tally.wall_seconds = self.started.elapsed().as_secs_f64();
        tally.group_failures();
        tally
    }

    /// The next seed of this shard; `None`: enough.
    fn draw(&self) -> Option<u64> {
        let over = self.args.duration.is_some_and(|limit| self.started.elapsed() >= limit);
        if over || self.stop.load(Ordering::Relaxed) || interrupt::was_asked() {
            return None;
        }
        let (shard, shards) = self.args.shard.unwrap_or((1, 1));
        let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
        let range = self.args.seeds.clone().unwrap_or(0..u64::MAX);
        let seed = range.start.checked_add(ordinal.checked_mul(shards)?)?.checked_add(shard - 1)?;
        range.contains(&seed).then_some(seed)
    }

    fn one_more(&self) -> bool {
        let Some(seed) = self.draw() else { return false };
        let begun = ThreadTime::now();
        let spec = self.source.spec(seed);
        let options = Options { trace: self.args.trace, ..Options::default() };
        let outcome = run_guarded(&spec, options);
        let cpu = begun.elapsed().as_secs_f64();
        if let Ok(mut tally) = self.tally.lock() {
            tally.cpu_seconds += cpu;
            tally.add(seed, &outcome);
            if self.args.hashes {
                tally.hashes.insert(seed, outcome.trace_hash.clone());
            }
            self.tell_progress(&tally);
        }
        for line in &outcome.trace {
            say!("{line}");
        }
        if !outcome.violations.is_empty() {
            self.failed(seed, &spec, &outcome);
        }
        true
    }

    fn failed(&self, seed: u64, spec: &RunSpec, outcome: &Outcome) {
        if !self.args.keep_going {
            self.stop.store(true, Ordering::Relaxed);
        }
        if self.args.story {
            say!("seed {seed}:");
            print_story_lines(&outcome.story.lines());
        }
        let Some(folder) = &self.args.out else { return };
        let signature = outcome.signature().unwrap_or_default();
        if let Ok(mut exported) = self.exported.lock() {
            let count = exported.entry(signature.clone()).or_default();
            *count += 1;
            if *count > EXPORTS {
                return;
            }
        }
        let mut scenario = Scenario::of_failure(spec, &format!("Seed {seed} fails: {signature}"), outcome);
        scenario.description = outcome.violations.iter().take(3).map(|v| v.detail.clone()).collect();
        let file = folder.join(format!("seed-{seed}.json"));
        if let Err(e) = std::fs::write(&file, scenario.to_text()) {
            eprintln!("vivarium: {}: {e}", file.display());
        }
    }

    fn tell_progress(&self, tally: &Tally) {
        let message = || {
            let faults: u64 = tally.faults.values().map(|counts| counts.injected).sum();
            format!("{faults} faults, {} failures", tally.violations.len())
        };
        self.progress.tell(tally.runs, message, |seconds| {
            let rate = tally.runs as f64 / seconds as f64;
            format!("{} seeds, {rate:.0} seeds/s, {}", tally.runs, message())
        });
    }
}

fn progress(args: &SweepArgs) -> Progress {
    let shards = args.shard.map_or(1, |(_, shards)| shards);
    let length = args.seeds.as_ref().filter(|_| args.duration.is_none());
    Progress::new("seeds", length.map(|seeds| (seeds.end - seeds.start) / shards))
}

/// "90s", "10m", "2h", "500ms"; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().map_err(|_| "expected a duration, for instance 90s or 10m".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        unit => Err(format!("`{unit}`: expected ms, s, m or h")),
    }
}

/// "K/N", K from 1.
pub fn parse_shard(text: &str) -> Result<(u64, u64), String> {
    let expected = || "expected K/N with K from 1 to N, for instance 2/8".to_owned();
    let (k, n) = text.split_once('/').ok_or_else(expected)?;
    let (k, n) = (k.parse().map_err(|_| expected())?, n.parse().map_err(|_| expected())?);
    if (1..=n).contains(&k) { Ok((k, n)) } else { Err(expected()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_shards() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        assert!(parse_duration("soon").is_err() && parse_duration("3 weeks").is_err());
        assert_eq!(parse_shard("2/8"), Ok((2, 8)));
        assert_eq!(parse_profile("zookeeper-3.9.1"), parse_profile("3.9.1"));
        assert!(parse_profile("3.9.1").is_ok_and(|had| had.has(Switch::EpochBeforeHistory)));
        assert!(parse_profile("zookeeper-2").is_err() && parse_switches(&["none".into()]).is_err());
        assert!(parse_shard("0/8").is_err() && parse_shard("9/8").is_err() && parse_shard("2").is_err());
    }
}
