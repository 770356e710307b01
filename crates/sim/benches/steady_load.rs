//! Speed of the simulator under a steady write load, all stepwise invariants on, no faults and one
//! segment for each flush. `cargo xtask bench` runs it; arguments: events a case (two million by default).

use std::alloc::System;

use cpu_time::ProcessTime;
use peer::{Config, Nanos, Settings, Switches};
use sim::network::NetworkSpec;
use sim::run::{RunSpec, Verdict, run};
use sim::swarm::view;
use sim::workload::WorkloadSpec;
use sim::world::{DiskSpec, WorldSpec};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATIONS: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn spec(voters: u64, in_flight: u32, simulated_ms: u64) -> RunSpec {
    let view = view(voters, 0, None);
    let members: Vec<Config> = view
        .members
        .keys()
        .map(|sid| Config {
            sid: *sid,
            view: view.clone(),
            seen_view: None,
            settings: Settings::default(),
            switches: Switches::default(),
            seed: 0,
        })
        .collect();
    RunSpec {
        world: WorldSpec {
            state: peer::StateKind::Registers,
            seed: 1,
            members,
            network: NetworkSpec { mean_latency_ns: 100_000, segmentation: false, ns_per_byte: 0 },
            disk: DiskSpec {
                mean_sync_ns: 100_000,
                prealloc: 64 << 20,
                snap_retain_count: None,
                most_bytes: 4 << 30,
            },
            task_delay_milli: 0,
            task_delay_max_ns: 1,
            drift_ppm: 0,
            allow_zxid_jumps: false,
            waived: Vec::new(),
            disks: Default::default(),
        },
        workload: WorkloadSpec {
            clients: 1,
            in_flight,
            think_ms: 0,
            reads_milli: 0,
            syncs_milli: 0,
            closes_milli: 0,
            registers: 1000,
            // The largest id wins the first election: requests go through the leader.
            through: vec![voters as i64],
            ..WorkloadSpec::default()
        },
        timeline: Vec::new(),
        start_later: Vec::new(),
        heal_at: Nanos::from_millis(simulated_ms),
        end_at: Nanos::from_millis(simulated_ms + 1),
    }
}

/// The simulated time in which a case meets about `events` events, found by two short runs.
fn long_enough(voters: u64, in_flight: u32, events: u64) -> u64 {
    let at = |ms| run(&spec(voters, in_flight, ms), false, false).stats.events;
    let (short, long) = (at(3000), at(4000));
    3000 + events.saturating_sub(short) * 1000 / (long - short).max(1)
}

fn main() {
    let events = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2_000_000);
    println!(
        "{:>8} {:>9} {:>10} {:>12} {:>12} {:>12} {:>12} {:>9}",
        "members", "in flight", "events", "events/s", "commits/s", "commits", "sim s/CPU s", "allocs/ev"
    );
    for voters in [3, 5] {
        for in_flight in [1, 64] {
            let spec = spec(voters, in_flight, long_enough(voters, in_flight, events));
            let region = Region::new(ALLOCATIONS);
            let begun = ProcessTime::now();
            let outcome = run(&spec, false, false);
            let cpu = begun.elapsed().as_secs_f64();
            let allocations = region.change().allocations;
            assert_eq!(outcome.verdict, Verdict::Clean, "{:?}", outcome.violations);
            let stats = &outcome.stats;
            println!(
                "{voters:>8} {in_flight:>9} {:>10} {:>12.0} {:>12.0} {:>12} {:>12.1} {:>9.2}",
                stats.events,
                stats.events as f64 / cpu,
                stats.committed as f64 / cpu,
                stats.committed,
                stats.simulated_ms as f64 / 1000.0 / cpu,
                allocations as f64 / stats.events as f64,
            );
        }
    }
}
