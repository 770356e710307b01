//! What was measured, as a table in Markdown and as JSON.

use super::{Latency, Measured, Throughput};

struct Line {
    /// With its unit.
    what: &'static str,
    aim: &'static str,
    of: Of,
}

/// Where a line's number stands, which decides how it is told.
enum Of {
    PerSecond(fn(&Measured) -> Option<Throughput>),
    Cpu(fn(&Measured) -> Option<Throughput>),
    Latency(fn(&Measured) -> Option<Latency>),
    /// Of each server.
    Resident(fn(&Measured) -> &[f64]),
    /// Of several times, sorted.
    Seconds(fn(&Measured) -> &[f64]),
}

impl Of {
    /// What sides are compared by.
    fn number(&self, measured: &Measured) -> Option<f64> {
        match self {
            Of::PerSecond(of) => of(measured).map(|t| t.a_second),
            Of::Cpu(of) => of(measured).map(|t| t.servers),
            Of::Latency(of) => of(measured).map(|l| l.p50),
            Of::Resident(of) => mean(of(measured)),
            Of::Seconds(of) => median(of(measured)),
        }
    }

    fn text(&self, measured: &Measured) -> Option<String> {
        match self {
            Of::PerSecond(of) => of(measured).map(|t| format!("{:.1} k", t.a_second / 1000.0)),
            Of::Cpu(of) => of(measured).map(cpu),
            Of::Latency(of) => of(measured).map(percentiles),
            Of::Resident(of) => range(of(measured)),
            Of::Seconds(of) => median_and_worst(of(measured)),
        }
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn cpu(t: Throughput) -> String {
    format!("{:.1} ({:.1}, {:.1}; {:.1})", t.servers, t.leader, t.follower, t.generator)
}

fn percentiles(l: Latency) -> String {
    [l.p50, l.p99, l.p999].map(|us| format!("{:.2}", us / 1000.0)).join(", ")
}

fn range(values: &[f64]) -> Option<String> {
    let (least, most) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some(if most - least < 0.5 { format!("{most:.0}") } else { format!("{least:.0} to {most:.0}") })
}

fn median_and_worst(sorted: &[f64]) -> Option<String> {
    Some(format!("{:.2} ({:.2})", median(sorted)?, sorted.last()?))
}

const fn line(what: &'static str, aim: &'static str, of: Of) -> Line {
    Line { what, aim, of }
}

const LINES: [Line; 10] = [
    line("writes a second, 1 KiB", "3 times", Of::PerSecond(|m| m.writes)),
    line(
        "µs of CPU a write: three servers (leader, each follower; load generator)",
        "a quarter",
        Of::Cpu(|m| m.writes),
    ),
    line("reads a second, 1 KiB", "twice", Of::PerSecond(|m| m.reads)),
    line(
        "µs of CPU a read: three servers (leader, each follower; load generator)",
        "a quarter",
        Of::Cpu(|m| m.reads),
    ),
    line(
        "ms a write of one client: p50, p99, p99.9",
        "half the p50, a quarter of the p99",
        Of::Latency(|m| m.write_latency),
    ),
    line("ms a read of one client: p50, p99, p99.9", "", Of::Latency(|m| m.read_latency)),
    line("MiB resident, idle", "8 MiB", Of::Resident(|m| &m.idle)),
    line("MiB resident, 100,000 znodes of 100 bytes", "30 MiB", Of::Resident(|m| &m.with_znodes)),
    line("s from nothing to the first write: median (worst)", "0.5 s", Of::Seconds(|m| &m.start)),
    line("s from kill -9 of the leader to the next write: median (worst)", "0.3 s", Of::Seconds(|m| &m.kill)),
];

pub fn print(measured: &[(String, Measured)]) {
    let names: Vec<&str> = measured.iter().map(|(name, _)| name.as_str()).collect();
    println!("| | {} | ratio | aim |", names.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(names.len()));
    for line in &LINES {
        let texts: Vec<String> =
            measured.iter().map(|(_, m)| line.of.text(m).unwrap_or("-".into())).collect();
        let ratio = match measured {
            [(_, java), (_, ours)] => ratio(line.of.number(java), line.of.number(ours)),
            _ => String::new(),
        };
        println!("| {} | {} | {ratio} | {} |", line.what, texts.join(" | "), line.aim);
    }
}

fn ratio(java: Option<f64>, ours: Option<f64>) -> String {
    match (java, ours) {
        (Some(java), Some(ours)) if java > 0.0 => format!("{:.2}", ours / java),
        _ => String::new(),
    }
}

pub fn json(measured: &[(String, Measured)]) -> serde_json::Value {
    let throughput = |t: Throughput| {
        serde_json::json!({
            "perSecond": t.a_second,
            "cpuMicros": { "servers": t.servers, "leader": t.leader, "follower": t.follower,
                           "generator": t.generator },
        })
    };
    let latency = |l: Latency| serde_json::json!({ "p50Us": l.p50, "p99Us": l.p99, "p999Us": l.p999 });
    let side = |m: &Measured| {
        serde_json::json!({
            "startSeconds": m.start,
            "idleMib": m.idle,
            "withZnodesMib": m.with_znodes,
            "writes": m.writes.map(throughput),
            "reads": m.reads.map(throughput),
            "writeLatency": m.write_latency.map(latency),
            "readLatency": m.read_latency.map(latency),
            "leaderKillSeconds": m.kill,
        })
    };
    measured.iter().map(|(name, m)| (name.clone(), side(m))).collect::<serde_json::Map<_, _>>().into()
}
