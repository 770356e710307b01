//! The `vivarium` binary: words, colours and exit codes around the simulator.
//!
//! Exit code 0: all is as expected; 1: a violation or a missed expectation; 2: wrong usage or input.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: clocks, files, threads

/// `println!`, but a reader that has seen enough (a closed pipe) ends the program without a word.
macro_rules! say {
    ($($arg:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($arg)*))).is_err() {
            std::process::exit(0);
        }
    };
}

mod bugs;
mod decode;
mod diff;
mod enumerate;
mod guarded;
mod interrupt;
mod merge;
mod node_command;
mod progress;
mod replay;
mod run;
mod shrink;
mod story;
mod sweep;
mod tally;
mod tally_report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A deterministic simulation testbed for ZooKeeper's Zab protocol.
///
/// One seed is one run: an ensemble of real protocol machines on a virtual network, with virtual
/// disks and clocks, under faults, checked after every step.
#[derive(Parser)]
#[command(name = "vivarium", version = node::VERSION, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay scenario files and judge what they expect.
    Run(RunArgs),
    /// Draw a run from each seed: ensemble, faults, workload.
    ///
    /// It fails (exit code 1) where a run does, where more than 5 % of 500 runs or more tested nothing, where a
    /// fault kind never took effect in 1000 seeds or more of the default swarm, and where a mark that the
    /// swarm can reach was never hit in 5000 or more. Ctrl-C prints what there is so far.
    Sweep(SweepArgs),
    /// Join the JSON of several sweeps (shards).
    Merge(MergeArgs),
    /// Make a failing scenario small: fewer members, faults, requests, rounder numbers.
    ///
    /// The signature stays: the first violation's invariant, and its words without their numbers. The
    /// result does not depend on the number of jobs.
    Shrink(ShrinkArgs),
    /// Put a fault at every packet and every disk step of a scenario, one at a time.
    ///
    /// The table tells the outcomes by moment: the member's last event, and the packet that is handed to
    /// it or the operation that its disk carries out. `inside`: in each file-system call from there on.
    Enumerate(EnumerateArgs),
    /// The museum: bugs that ZooKeeper had, each behind a switch, and whether the sweep finds it.
    Bugs(bugs::BugsArgs),
    /// Run one scenario or seed in two behaviours, and name the first difference.
    ///
    /// With one --switch or --profile: against the correct core; with two: against each other. Exit code 1:
    /// they differ.
    Diff(DiffArgs),
    /// Print the JSON Schema of scenario files.
    Schema,
    /// Run a member on real sockets and real files.
    ///
    /// It elects, follows, leads and observes beside Java ZooKeeper servers, and serves clients of ZooKeeper.
    Node(NodeArgs),
    /// Feed a recording of `node --record` to the same machine: it must do the same.
    ///
    /// Exit code 1: it did something else; 2: the file is no recording.
    Replay(ReplayArgs),
    /// Print what a file or data directory of a ZooKeeper server says, or a recording of its connections.
    ///
    /// Logs, snapshots (plain, .gz, .snappy), epoch files, recordings (.jsonl, one frame a line). Exit code
    /// 1: something is damaged; file, place and what was expected there are told.
    Decode(DecodeArgs),
}

#[derive(clap::Args)]
pub struct RunArgs {
    /// Scenario files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Run with another seed; then only invariants are judged, not the file's expectations.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after so many milliseconds of simulated time (invariants only).
    #[arg(long, value_name = "MS")]
    until: Option<u64>,
    /// Print every input and output.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text", value_parser = ["text", "json"])]
    trace: Option<String>,
    /// One JSON object a file.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("how much").required(true).multiple(true).args(["seeds", "duration"])))]
pub struct SweepArgs {
    /// Seeds from A up to, not including, B.
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: Option<std::ops::Range<u64>>,
    /// For so long (90s, 10m, 2h), from seed 0 or that of --seeds on.
    #[arg(long = "for", value_name = "DURATION", value_parser = sweep::parse_duration)]
    duration: Option<std::time::Duration>,
    /// Threads; all cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Vary this scenario (its seed and the times of its steps) instead of drawing everything.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Behave as this switch says. May be given several times.
    #[arg(long = "switch", value_name = "NAME")]
    switches: Vec<String>,
    /// Behave as this release did, as zookeeper-3.8.4: with all the switches of the museum that it had.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What the members replicate; without, the seed draws it.
    #[arg(long, value_name = "STATE", conflicts_with = "scenario")]
    state: Option<sweep::StateArg>,
    /// Write failures as scenarios (at most five of a signature) to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the K-th of every N seeds, K from 1; `vivarium merge` joins the JSON of all.
    #[arg(long, value_name = "K/N", value_parser = sweep::parse_shard)]
    shard: Option<(u64, u64)>,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// Print the trace hash of each seed.
    #[arg(long)]
    hashes: bool,
    /// Tell the story of each failing seed.
    #[arg(long)]
    story: bool,
    /// Print every input and output of a (single) seed.
    #[arg(long)]
    trace: bool,
}

#[derive(clap::Args)]
pub struct MergeArgs {
    /// What `sweep --json` wrote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the whole as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct ShrinkArgs {
    /// A scenario that fails.
    file: PathBuf,
    /// One JSON object: sizes before and after, and the scenario.
    #[arg(long)]
    json: bool,
    /// Write the small scenario to this file; else it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads; all cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Print no progress.
    #[arg(long)]
    quiet: bool,
}

#[derive(clap::Args)]
pub struct EnumerateArgs {
    /// A scenario that is clean.
    file: PathBuf,
    /// Faults: crash (kill and power loss), pause, cut, fail-sync.
    #[arg(long = "fault", value_name = "FAULT", value_delimiter = ',', default_value = "crash,pause,cut,fail-sync", value_parser = enumerate::parse_fault)]
    faults: Vec<sim::enumerate::Fault>,
    /// Beside single faults so many pairs of them, drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pairs: u64,
    /// Threads; all cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Write the table as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write failures as scenarios (at most five of a signature) to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct DiffArgs {
    /// A scenario file, or a seed of the default swarm.
    #[arg(value_name = "FILE|SEED")]
    what: String,
    /// Behave as this switch says.
    #[arg(long = "switch", value_name = "NAME")]
    switches: Vec<String>,
    /// Behave as this release did, as zookeeper-3.9.1.
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct NodeArgs {
    /// The configuration, as ZooKeeper's; `myid` lies in its dataDir.
    #[arg(long, value_name = "ZOO.CFG")]
    config: PathBuf,
    /// Take requests from standard input (`set /path value`), print each acknowledgement. The member then
    /// replicates a flat map of registers and no data tree: all Vivarium members of the ensemble must be started so.
    #[arg(long)]
    submit: bool,
    /// Write what goes into the machine and what comes out to this new file, for `vivarium replay`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Log level or filter, as `info`, `node=debug` or `packets=trace`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// A line in words, or a JSON object a line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(clap::Args)]
pub struct ReplayArgs {
    /// A recording.
    file: PathBuf,
}

#[derive(clap::Args)]
pub struct DecodeArgs {
    /// A file, or a directory (`version-2` or the one above).
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// One JSON object a line; for a directory one object, the tree that a server makes of it.
    #[arg(long)]
    json: bool,
}

fn parse_range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("expected A..B, for instance 0..1000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("`{text}`: {e}"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("expected A below B".into()) } else { Ok(range) }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Bugs(args) => bugs::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Enumerate(args) => enumerate::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Node(args) => node_command::run(args),
        Command::Replay(args) => replay::run(&args),
        Command::Decode(args) => decode::decode(&args),
        Command::Schema => {
            let schema = schemars::schema_for!(sim::scenario::Scenario);
            say!("{}", serde_json::to_string_pretty(&schema).unwrap_or_default());
            ExitCode::SUCCESS
        }
    }
}
