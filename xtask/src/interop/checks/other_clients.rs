//! Clients that operators have beside kazoo, at three nodes: zkCli, the C client, the crate `zookeeper-client`.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};

use super::{Found, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::programs::Program;
use crate::interop::{Given, children};

/// The program tells what it wants to happen to a server by its client's port: `kill HOST:PORT`, `start HOST:PORT`;
/// and is answered by a line when that has happened.
pub fn program(given: &Given, program: Program) -> Found {
    let binary = program.build()?;
    let mut ensemble = start(given, Kind::Serving)?;
    let mut command = Command::new(binary);
    command.arg(hosts(&ensemble)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = children::spawn(&mut command)?;
    let mut stdin = process.stdin.take().ok_or("no standard input")?;
    let lines = BufReader::new(process.stdout.take().ok_or("no standard output")?).lines();
    let mut last = String::new();
    for line in lines.map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("kill", host)) => {
                ensemble.kill(at(&ensemble, host)?);
                answer(&mut stdin)?;
            }
            Some(("start", host)) => {
                let sid = at(&ensemble, host)?;
                ensemble.start_member(sid)?;
                ensemble.settle()?;
                answer(&mut stdin)?;
            }
            _ => last = line,
        }
    }
    let mut told = String::new();
    if let Some(mut stderr) = process.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut stderr, &mut told);
    }
    let ended = children::wait(&mut process, seconds(10))?;
    match last.strip_prefix("ok ") {
        Some(what) if ended.success() => Ok(what.into()),
        _ => Err(format!("{last} {}", told.trim())),
    }
}

/// Nodes with a TTL have to be asked for.
fn start(given: &Given, kind: Kind) -> Result<Ensemble, String> {
    let mut ensemble = Ensemble::prepare(given, &[kind; 3])?;
    for sid in 1..=3 {
        ensemble.configure(sid, "extendedTypesEnabled=true\n")?;
        ensemble.start_member(sid)?;
    }
    ensemble.settle()?;
    Ok(ensemble)
}

fn hosts(ensemble: &Ensemble) -> String {
    (1..=3).map(|sid| ensemble.host(sid)).collect::<Vec<_>>().join(",")
}

fn at(ensemble: &Ensemble, host: &str) -> Result<usize, String> {
    (1..=3).find(|sid| ensemble.host(*sid) == host).ok_or_else(|| format!("no server at {host}"))
}

fn answer(stdin: &mut ChildStdin) -> Result<(), String> {
    writeln!(stdin, "done").and_then(|()| stdin.flush()).map_err(|e| format!("the program: {e}"))
}

/// The same commands at three nodes and at three Java servers: the same words, and the same events.
pub fn zk_cli(given: &Given) -> Found {
    let nodes = transcript(given, Kind::Serving)?;
    let java = transcript(given, Kind::Java)?;
    if java.lines.len() < 100 || java.events.len() < 5 {
        return Err(format!("zkCli said too little to Java's servers: {java:?}"));
    }
    for (ours, theirs) in [(&nodes.lines, &java.lines), (&nodes.events, &java.events)] {
        if let Some(n) = (0..ours.len().max(theirs.len())).find(|n| ours.get(*n) != theirs.get(*n)) {
            return Err(format!("line {n}: {:?}, from Java's servers {:?}", ours.get(n), theirs.get(n)));
        }
    }
    Ok(format!("{} lines and {} events, as from Java's servers", java.lines.len(), java.events.len()))
}

#[derive(Debug, Default)]
struct Transcript {
    lines: Vec<String>,
    /// They are printed by a thread of their own, anywhere between the others.
    events: Vec<String>,
}

fn transcript(given: &Given, kind: Kind) -> Result<Transcript, String> {
    const COMMANDS: &str = include_str!("../programs/zkcli.txt");
    let ensemble = start(given, kind)?;
    let java = given.java.as_ref().ok_or("no Java ZooKeeper")?;
    let mut command = java.zk_cli(&ensemble.host(1));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = children::spawn(&mut command)?;
    let mut stdin = process.stdin.take().ok_or("no standard input")?;
    stdin.write_all(COMMANDS.as_bytes()).map_err(|e| format!("zkCli: {e}"))?;
    drop(stdin);
    let stderr = process.stderr.take().ok_or("no standard error")?;
    let errors = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
    let out = std::io::read_to_string(process.stdout.take().ok_or("no standard output")?);
    let out = out.map_err(|e| format!("zkCli: {e}"))?;
    children::wait(&mut process, seconds(20))?;
    let errors = errors.join().map_err(|_| "standard error is lost")?;
    let mut told = Transcript::default();
    for line in out.lines().filter(|line| !line.is_empty() && *line != "WATCHER::") {
        if line.starts_with("WatchedEvent ") {
            // Of the connection there may be more, and at the end there is no time for all.
            if !line.contains(" type:None ") {
                told.events.push(line.into());
            }
        } else if !line.starts_with("Connecting to ") {
            told.lines.push(without_chance(line));
        }
    }
    // What was refused stands there, among what is logged.
    let refused = |line: &&str| line.contains(" : ") || line.starts_with("Node ");
    // A set as well.
    if let Some(at) = told.lines.iter().position(|line| line == "Auth scheme: User") {
        let end = told.lines.len().min(at + 3);
        told.lines[at + 1..end].sort();
    }
    told.lines.extend(errors.lines().filter(|line| !line.contains('[')).filter(refused).map(without_chance));
    Ok(told)
}

/// Without ids, times and ports, which differ from run to run; of a list, which may be a set, the order.
fn without_chance(line: &str) -> String {
    if let Some(list) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        let mut list: Vec<&str> = list.split(", ").collect();
        list.sort_unstable();
        return list.join(", ");
    }
    if let Some((name @ ("ctime" | "mtime"), _)) = line.split_once(" = ") {
        return name.into();
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("0x") {
        let (before, number) = rest.split_at(at + 2);
        out += before;
        // Zero means something: no owner.
        let end = number.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(number.len());
        out += if number[..end] == *"0" { "0" } else { "#" };
        rest = &number[end..];
    }
    out += rest;
    let is_port = |part: &&str| part.len() > 3 && part.bytes().all(|b| b.is_ascii_digit());
    out.split(':').map(|part| if is_port(&part) { "#" } else { part }).collect::<Vec<_>>().join(":")
}
