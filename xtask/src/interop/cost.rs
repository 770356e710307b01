//! `cargo xtask interop --cost`: a node and a Java follower of one Java leader, under the same writes.

use std::time::Duration;

use super::ensemble::{Ensemble, Kind};
use super::{Given, process};

const RATE: u64 = 1000;
/// ZooKeeper's own default for a server (`ZK_SERVER_HEAP`).
const HEAP_MB: u32 = 1000;

struct Cost {
    who: String,
    resident_kb: u64,
    peak_kb: u64,
    user_seconds: f64,
    system_seconds: f64,
}

impl Cost {
    fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// The table, and what came of the aims: a twentieth of the memory and a quarter of the CPU.
pub fn measure(given: &Given, time: Duration) -> Result<(), String> {
    let mut ensemble = Ensemble::prepare(given, &[Kind::Vivarium, Kind::Java, Kind::Java])?;
    ensemble.java_heap_mb = HEAP_MB;
    for sid in [3, 2, 1] {
        ensemble.start_member(sid)?;
    }
    let leader = ensemble.settle()?;
    let follower = 5 - leader;
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 20000", ensemble.host(leader)))?;
    // The compiler of Java's machine has had its time.
    client.ask(&format!("load c /load {RATE}"))?;
    std::thread::sleep(Duration::from_secs(10));
    client.ask("unload c")?;
    let members = [(1, "Vivarium, following"), (follower, "Java, following"), (leader, "Java, leading")];
    let mut before = Vec::new();
    for (sid, _) in members {
        before.push(process::cpu_seconds(ensemble.pid(sid)?)?);
    }
    client.ask(&format!("load c /load {RATE}"))?;
    std::thread::sleep(time);
    let numbers = client.numbers("unload c")?;
    ensemble.wait_for_zxid(1, leader, Duration::from_secs(10))?;
    let mut costs = Vec::new();
    for ((sid, who), before) in members.into_iter().zip(before) {
        let pid = ensemble.pid(sid)?;
        let after = process::cpu_seconds(pid)?;
        costs.push(Cost {
            who: who.into(),
            resident_kb: process::resident_kb(pid)?,
            peak_kb: process::peak_kb(pid)?,
            user_seconds: after[0] - before[0],
            system_seconds: after[1] - before[1],
        });
    }
    print_table(&costs, numbers[0], time);
    if numbers[1] > 0 || numbers[0] < RATE * time.as_secs() * 9 / 10 {
        return Err(format!(
            "{} writes acknowledged, {} failed: not {RATE} a second",
            numbers[0], numbers[1]
        ));
    }
    Ok(())
}

fn print_table(costs: &[Cost], written: u64, time: Duration) {
    println!("{written} setData in {} s through the leader; Java with -Xmx{HEAP_MB}m\n", time.as_secs());
    println!("| member | resident MB | peak MB | CPU s | user s | system s |");
    println!("|---|---|---|---|---|---|");
    let mb = |kb: u64| kb as f64 / 1024.0;
    for cost in costs {
        println!(
            "| {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
            cost.who,
            mb(cost.resident_kb),
            mb(cost.peak_kb),
            cost.cpu_seconds(),
            cost.user_seconds,
            cost.system_seconds
        );
    }
    let [ours, java, ..] = costs else { return };
    println!(
        "\nBeside Java's follower: 1/{:.1} of the memory, 1/{:.1} of the CPU",
        java.resident_kb as f64 / ours.resident_kb as f64,
        java.cpu_seconds() / ours.cpu_seconds()
    );
}
