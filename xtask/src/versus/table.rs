//! What was measured, as a table in Markdown and as JSON.

use super::{Latency, Measured, Throughput};

/// A line: what it tells, in which unit, of a side, and what issue the aim is in words.
struct Line {
    what: &'static str,
    aim: &'static str,
    of: fn(&Measured) -> Option<f64>,
    text: fn(&Measured) -> Option<String>,
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn thousands(throughput: Option<Throughput>) -> Option<String> {
    throughput.map(|t| format!("{:.1} k", t.a_second / 1000.0))
}

fn cpu(throughput: Option<Throughput>) -> Option<String> {
    let text =
        |t: Throughput| format!("{:.1} ({:.1}, {:.1}; {:.1})", t.servers, t.leader, t.follower, t.generator);
    throughput.map(text)
}

fn percentiles(latency: Option<Latency>) -> Option<String> {
    latency.map(|l| [l.p50, l.p99, l.p999].map(|us| format!("{:.2}", us / 1000.0)).join(", "))
}

fn range(values: &[f64]) -> Option<String> {
    let (least, most) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some(if most - least < 0.5 { format!("{most:.0}") } else { format!("{least:.0} to {most:.0}") })
}

fn median_and_worst(sorted: &[f64]) -> Option<String> {
    Some(format!("{:.2} ({:.2})", median(sorted)?, sorted.last()?))
}

const LINES: [Line; 10] = [
    Line {
        what: "writes a second, 1 KiB",
        aim: "3 times",
        of: |m| m.writes.map(|t| t.a_second),
        text: |m| thousands(m.writes),
    },
    Line {
        what: "µs of CPU a write: three servers (leader, each follower; load generator)",
        aim: "a quarter",
        of: |m| m.writes.map(|t| t.servers),
        text: |m| cpu(m.writes),
    },
    Line {
        what: "reads a second, 1 KiB",
        aim: "twice",
        of: |m| m.reads.map(|t| t.a_second),
        text: |m| thousands(m.reads),
    },
    Line {
        what: "µs of CPU a read: three servers (leader, each follower; load generator)",
        aim: "a quarter",
        of: |m| m.reads.map(|t| t.servers),
        text: |m| cpu(m.reads),
    },
    Line {
        what: "ms a write of one client: p50, p99, p99.9",
        aim: "half the p50, a quarter of the p99",
        of: |m| m.write_latency.map(|l| l.p50),
        text: |m| percentiles(m.write_latency),
    },
    Line {
        what: "ms a read of one client: p50, p99, p99.9",
        aim: "",
        of: |m| m.read_latency.map(|l| l.p50),
        text: |m| percentiles(m.read_latency),
    },
    Line { what: "MiB resident, idle", aim: "8 MiB", of: |m| mean(&m.idle), text: |m| range(&m.idle) },
    Line {
        what: "MiB resident, 100,000 znodes of 100 bytes",
        aim: "30 MiB",
        of: |m| mean(&m.with_znodes),
        text: |m| range(&m.with_znodes),
    },
    Line {
        what: "s from nothing to the first write: median (worst)",
        aim: "0.5 s",
        of: |m| median(&m.start),
        text: |m| median_and_worst(&m.start),
    },
    Line {
        what: "s from kill -9 of the leader to the next write: median (worst)",
        aim: "0.3 s",
        of: |m| median(&m.kill),
        text: |m| median_and_worst(&m.kill),
    },
];

pub fn print(measured: &[(String, Measured)]) {
    let names: Vec<&str> = measured.iter().map(|(name, _)| name.as_str()).collect();
    println!("| | {} | ratio | aim |", names.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(names.len()));
    for line in &LINES {
        let texts: Vec<String> = measured.iter().map(|(_, m)| (line.text)(m).unwrap_or("-".into())).collect();
        let ratio = match measured {
            [(_, java), (_, ours)] => ratio((line.of)(java), (line.of)(ours)),
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
