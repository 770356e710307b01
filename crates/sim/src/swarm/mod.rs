//! The swarm: a whole run out of a seed. First the world (ensemble, settings, network, disks, clocks)
//! and the workload; then which faults are on and how strong (`faults`), at random times and aimed at
//! moments of the protocol (`aimed`); then the heal and the bound for convergence.
//!
//! Most runs are short and sharp: what a fault breaks shows within seconds.

use std::collections::BTreeMap;

use peer::{
    Config, LearnerType, Member, Nanos, QuorumVerifier, Settings, StateKind, Switches, SyncTable, View,
};
use wire::ServerId;

use crate::draw::{Concern, Draws};
use crate::network::{GIVES_UP_AFTER, NetworkSpec};
use crate::run::RunSpec;
use crate::scenario::Scenario;
use crate::workload::WorkloadSpec;
use crate::world::{DISK_BYTES, DiskSpec, WorldSpec};

mod aimed;
mod faults;
mod reconfigs;

/// A view of voters `1..=voters` and observers behind them.
pub fn view(voters: u64, observers: u64, verifier: Option<QuorumVerifier>) -> View {
    let members: BTreeMap<ServerId, Member> = (1..=voters + observers)
        .map(|id| {
            let learner_type = if id <= voters { LearnerType::Participant } else { LearnerType::Observer };
            let member = Member {
                learner_type,
                quorum_address: format!("10.0.0.{id}:2888:3888"),
                client_address: None,
                election_address: format!("10.0.0.{id}:3888"),
            };
            (ServerId(id as i64), member)
        })
        .collect();
    let voters = (1..=voters as i64).map(ServerId).collect();
    View::unversioned(members, verifier.unwrap_or(QuorumVerifier::Majority { voters }))
}

/// Of registers or, one seed in five, of the data tree: drawn apart, so that all else is as it were with the other.
pub fn plan(seed: u64, switches: Switches) -> RunSpec {
    if Draws::new(seed, Concern::State, 0).chance(200) {
        plan_tree(seed, switches)
    } else {
        plan_registers(seed, switches)
    }
}

/// The same ensemble and faults, over the data tree.
pub fn plan_tree(seed: u64, switches: Switches) -> RunSpec {
    let mut spec = plan_registers(seed, switches);
    let mut draws = Draws::new(seed, Concern::State, 1);
    spec.world.state = StateKind::Tree;
    spec.workload.session_timeout_ms = one_of(&mut draws, &[2000, 4000, 10_000]);
    spec.workload.syncs_milli /= 2;
    // Its requests are of many kinds: more of them are worth their time.
    spec.workload.think_ms /= 2;
    spec
}

pub fn plan_registers(seed: u64, switches: Switches) -> RunSpec {
    let mut draws = Draws::new(seed, Concern::World, 0);
    let view = ensemble(&mut draws);
    let settings = late_settings(seed, settings(&mut draws));
    let mut members: Vec<Config> = view
        .members
        .keys()
        .map(|sid| Config {
            sid: *sid,
            view: view.clone(),
            seen_view: None,
            settings: settings.clone(),
            switches,
            seed: 0,
        })
        .collect();
    // At times one sends snapshots only: where it led, the logs of the others have gaps.
    if draws.chance(150) {
        let one = draws.below(members.len() as u64) as usize;
        members[one].settings.force_snapshot_sync = true;
    }
    let count = members.len() as u64;
    let (from, to) = [(1500, 3000), (3000, 7500), (6000, 22_000)][pick(&mut draws, &[500, 350, 150])];
    let faults_ms = draws.range(from, to);
    let start = draws.range(300, 2500);
    let world = world(&mut draws, seed, members);
    let answer_ms = (4 * world.network.mean_latency_ns + 2 * world.disk.mean_sync_ns) / 1_000_000;
    let workload = workload(&mut draws, answer_ms);
    let faults_ms = faults_ms.min(worth_ms(&workload, answer_ms, count));
    // A slow ensemble takes longer to its first leader, and between faults; and a silent death is
    // noticed after syncLimit only.
    let sync_ms = settings.sync_time().0 / 1_000_000;
    let pace_ms = (20 * world.network.mean_latency_ns + 10 * world.disk.mean_sync_ns) / 1_000_000;
    let (start, faults_ms) = (start + pace_ms, faults_ms + sync_ms + 3 * pace_ms);
    let heal = start + faults_ms;
    // A member that looks for a leader may have sent its last notification just before the heal, and the
    // next one into a connection that was lost without a word. An observer that asked just before the voters
    // elected asks again as long after that.
    let silence = settings.max_notification_interval.0 * 2 + GIVES_UP_AFTER.0;
    let bound = (silence + 6 * settings.init_time().0) / 1_000_000;
    let mut timeline = faults::timeline(seed, count, (start, heal), pace_ms, sync_ms);
    if settings.reconfig_enabled {
        timeline.extend(reconfigs::timeline(seed, &view, (start, heal)));
    }
    RunSpec {
        world,
        workload,
        timeline,
        start_later: Vec::new(),
        heal_at: Nanos::from_millis(heal),
        end_at: Nanos::from_millis(heal + bound),
    }
}

/// How long (ms) a load is worth its CPU time: the denser it is and the more members it reaches, the shorter. A
/// twentieth of the seeds would else take a quarter of all inputs, and find no more than any other.
fn worth_ms(workload: &WorkloadSpec, answer_ms: u64, members: u64) -> u64 {
    const REQUESTS_AT_MEMBERS: u64 = 300;
    let cycle_ms = (answer_ms + workload.think_ms / 2).max(1);
    let a_second = u64::from(workload.clients * workload.in_flight) * 1000 / cycle_ms;
    (REQUESTS_AT_MEMBERS * 1000 / (a_second * members).max(1)).max(1000)
}

/// An index, each as often as its weight says.
fn pick(draws: &mut Draws, weights: &[u64]) -> usize {
    let mut left = draws.below(weights.iter().sum());
    for (i, weight) in weights.iter().enumerate() {
        if left < *weight {
            return i;
        }
        left -= weight;
    }
    weights.len() - 1
}

fn one_of<T: Copy>(draws: &mut Draws, all: &[T]) -> T {
    all[draws.below(all.len() as u64) as usize]
}

/// One to seven voters, at times in groups with weights, at times observers behind them.
fn ensemble(draws: &mut Draws) -> View {
    let voters = 1 + pick(draws, &[15, 45, 560, 110, 210, 30, 30]) as u64;
    let observers = pick(draws, &[800, 160, 40]) as u64;
    let hierarchical = voters >= 4 && draws.chance(250);
    let groups = draws.range(2, 3) as i64;
    let verifier = hierarchical.then(|| QuorumVerifier::Hierarchical {
        group_of: (1..=voters as i64).map(|id| (ServerId(id), id % groups + 1)).collect(),
        weight_of: (1..=voters as i64).map(|id| (ServerId(id), draws.range(1, 3) as i64)).collect(),
    });
    view(voters, observers, verifier)
}

fn settings(draws: &mut Draws) -> Settings {
    let mut settings = Settings {
        tick_time: Nanos::from_millis(one_of(draws, &[200, 300, 500, 1000])),
        init_limit: draws.range(5, 12) as u32,
        sync_limit: draws.range(3, 6) as u32,
        commit_log_count: one_of(draws, &[2, 5, 20, 500]),
        snap_count: one_of(draws, &[5, 20, 100, 100_000]),
        min_session_timeout_ms: 2000,
        snapshot_slice: one_of(draws, &[256, 64 * 1024]),
        ..Settings::default()
    };
    if draws.chance(350) {
        settings.sync_table = SyncTable::V34;
    }
    if draws.chance(50) {
        settings.snapshot_size_factor_milli = -1;
    }
    if draws.chance(70) {
        settings.initial_zxid = Some(u32::MAX - draws.range(5, 150) as u32);
    }
    settings
}

/// Drawn apart: settings that came later leave the worlds of all seeds otherwise as they were.
fn late_settings(seed: u64, settings: Settings) -> Settings {
    let mut draws = Draws::new(seed, Concern::World, 2);
    Settings {
        connect_first_retry: one_of(&mut draws, &[settings.connect_first_retry, Nanos::ZERO]),
        // Of a whole ensemble, so that no member is left with nothing.
        global_outstanding_limit: one_of(&mut draws, &[1000, 1000, 1000, 20, 7]),
        // The configuration gets versions, which are told, kept and compared; in most of these runs members come and go
        // (`reconfigs`).
        reconfig_enabled: draws.chance(250),
        ..settings
    }
}

fn world(draws: &mut Draws, seed: u64, members: Vec<Config>) -> WorldSpec {
    let allow_zxid_jumps = members[0].settings.initial_zxid.is_some();
    WorldSpec {
        seed,
        members,
        state: StateKind::Registers,
        network: NetworkSpec {
            mean_latency_ns: one_of(draws, &[200_000, 2_000_000, 10_000_000, 40_000_000]),
            segmentation: draws.chance(250),
            ns_per_byte: one_of(draws, &[0, 10, 200, 5000]),
        },
        disk: DiskSpec {
            mean_sync_ns: one_of(draws, &[100_000, 2_000_000, 15_000_000, 60_000_000]),
            prealloc: one_of(draws, &[0, 8192, 65536]),
            snap_retain_count: one_of(&mut Draws::new(seed, Concern::World, 1), &[None, Some(3), Some(1)]),
            most_bytes: DISK_BYTES,
        },
        task_delay_milli: one_of(draws, &[0, 20, 200]),
        task_delay_max_ns: one_of(draws, &[2_000_000, 50_000_000]),
        drift_ppm: one_of(draws, &[0, 200, 20_000]),
        allow_zxid_jumps,
        waived: Vec::new(),
        disks: BTreeMap::new(),
    }
}

/// Requests of all clients together are mostly few (`rate`): a fault finds a write in flight as well among
/// 12 a second as among 2000, and CPU time goes into more seeds. Answers take about `answer_ms`.
fn workload(draws: &mut Draws, answer_ms: u64) -> WorkloadSpec {
    let mut workload = WorkloadSpec {
        clients: draws.range(2, 5) as u32,
        in_flight: one_of(draws, &[1, 1, 1, 4]),
        think_ms: one_of(draws, &[5, 30, 100, 300]),
        reads_milli: draws.below(400),
        syncs_milli: draws.below(150),
        closes_milli: draws.below(20),
        request_timeout_ms: one_of(draws, &[700, 1500, 4000]),
        ..WorkloadSpec::default()
    };
    workload.busy_ms = [120, 320, 800][pick(draws, &[550, 350, 100])];
    if let Some(rate) = [Some(12), Some(60), None][pick(draws, &[800, 170, 30])] {
        let cycle_ms = u64::from(workload.clients * workload.in_flight) * 1000 / rate;
        // Pauses are drawn up to `think_ms`: half of it on the average.
        workload.think_ms = workload.think_ms.max(2 * cycle_ms.saturating_sub(answer_ms));
    }
    workload
}

/// One scenario with another seed, its steps at times a little earlier or later, in their order.
pub fn vary(scenario: &Scenario, seed: u64) -> RunSpec {
    const AROUND_MS: u64 = 250;
    let mut spec = scenario.run_spec(Some(seed));
    let mut draws = Draws::new(seed, Concern::Faults, 1);
    let mut before = (0, 0);
    let last = scenario.heal_at.saturating_sub(1);
    let shifted = draws.chance(700);
    for step in &mut spec.timeline {
        let Some(at) = &mut step.at else { continue };
        let (planned, around) = (*at, draws.below(2 * AROUND_MS + 1));
        let earliest = if planned >= before.0 { before.1 } else { 0 };
        if shifted {
            *at = (planned + around).saturating_sub(AROUND_MS).max(earliest).min(last);
        }
        before = (planned, *at);
    }
    spec
}
