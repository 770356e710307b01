//! The swarm: a whole run out of a seed. First which faults are on and how strong, the ensemble and
//! the workload; then a plan of faults, the heal and the bound for convergence.

use std::collections::BTreeMap;

use peer::{Config, LearnerType, Member, Nanos, QuorumVerifier, Settings, Switches, SyncTable, View};
use wire::ServerId;

use crate::draw::{Concern, Draws};
use crate::network::NetworkSpec;
use crate::plan::{Action, Named, Step, Who};
use crate::run::RunSpec;
use crate::workload::WorkloadSpec;
use crate::world::{DiskSpec, WorldSpec};

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
    View { members, verifier: verifier.unwrap_or(QuorumVerifier::Majority { voters }) }
}

pub fn plan(seed: u64, switches: Switches) -> RunSpec {
    let mut draws = Draws::new(seed, Concern::World, 0);
    let voters = if draws.chance(650) { 3 } else { draws.range(4, 5) };
    let observers = u64::from(draws.chance(200));
    let hierarchical = voters == 5 && draws.chance(200);
    let verifier = hierarchical.then(|| QuorumVerifier::Hierarchical {
        group_of: (1..=5).map(|id| (ServerId(id), if id <= 3 { 1 } else { 2 })).collect(),
        weight_of: (1..=5).map(|id| (ServerId(id), if id == 5 { 2 } else { 1 })).collect(),
    });
    let view = view(voters, observers, verifier);
    let mut settings = Settings {
        tick_time: Nanos::from_millis(draws.range(2, 10) * 100),
        init_limit: draws.range(5, 12) as u32,
        sync_limit: draws.range(3, 6) as u32,
        commit_log_count: [5, 20, 500][draws.below(3) as usize],
        snap_count: [20, 100, 100_000][draws.below(3) as usize],
        min_session_timeout_ms: 2000,
        snapshot_slice: [256, 64 * 1024][draws.below(2) as usize],
        ..Settings::default()
    };
    if draws.chance(100) {
        settings.sync_table = SyncTable::V34;
    }
    if draws.chance(50) {
        settings.snapshot_size_factor_milli = -1;
    }
    let rolls_over = draws.chance(50);
    if rolls_over {
        settings.initial_zxid = Some(u32::MAX - draws.range(20, 200) as u32);
    }
    let members: Vec<Config> = view
        .members
        .keys()
        .map(|sid| Config { sid: *sid, view: view.clone(), settings: settings.clone(), switches, seed: 0 })
        .collect();
    let count = members.len() as u64;
    let faults_ms = draws.range(8, 30) * 1000;
    let start = draws.range(500, 4000);
    let world = WorldSpec {
        seed,
        members,
        network: NetworkSpec {
            mean_latency_ns: [200_000, 2_000_000, 10_000_000][draws.below(3) as usize],
            segmentation: draws.chance(700),
            ns_per_byte: [0, 10, 200][draws.below(3) as usize],
        },
        disk: DiskSpec {
            mean_sync_ns: [100_000, 2_000_000, 15_000_000][draws.below(3) as usize],
            prealloc: [0, 8192, 65536][draws.below(3) as usize],
        },
        task_delay_milli: [0, 20, 200][draws.below(3) as usize],
        task_delay_max_ns: [2_000_000, 50_000_000][draws.below(2) as usize],
        drift_ppm: [0, 200, 20_000][draws.below(3) as usize],
        allow_zxid_jumps: rolls_over,
        waived: Vec::new(),
        disks: BTreeMap::new(),
    };
    let workload = WorkloadSpec {
        clients: draws.range(1, 5) as u32,
        in_flight: [1, 1, 4][draws.below(3) as usize],
        think_ms: [5, 30, 120][draws.below(3) as usize],
        reads_milli: draws.below(400),
        syncs_milli: draws.below(150),
        closes_milli: draws.below(20),
        ..WorkloadSpec::default()
    };
    let heal = start + faults_ms;
    let timeline = faults(seed, count, start, heal, settings.sync_time().0 / 1_000_000);
    let bound = 60_000 + 6 * settings.init_time().0 / 1_000_000;
    RunSpec {
        world,
        workload,
        timeline,
        start_later: Vec::new(),
        heal_at: Nanos::from_millis(heal),
        end_at: Nanos::from_millis(heal + bound),
    }
}

/// Which faults are on is drawn first; then when, to whom, how strong.
fn faults(seed: u64, members: u64, start: u64, heal: u64, sync_ms: u64) -> Vec<Step> {
    let mut draws = Draws::new(seed, Concern::Faults, 0);
    let on: Vec<u64> = (0..12).filter(|_| draws.chance(500)).collect();
    let mut timeline = Vec::new();
    if on.is_empty() {
        return timeline;
    }
    let mean_gap = [150, 500, 2000][draws.below(3) as usize];
    let aim_at_leader = [100, 500][draws.below(2) as usize];
    let mut at = start;
    while at < heal {
        let who = |draws: &mut Draws| {
            if draws.chance(aim_at_leader) {
                Who::Named(Named::Leader)
            } else {
                Who::Id(draws.range(1, members) as i64)
            }
        };
        let id = |draws: &mut Draws| Who::Id(draws.range(1, members) as i64);
        let kind = on[draws.below(on.len() as u64) as usize];
        let mut later = |ms: u64, actions: Vec<Action>| {
            timeline.push(Step { at: Some(at + ms), when: None, actions });
        };
        match kind {
            0 | 1 => {
                let member = Who::Id(draws.range(1, members) as i64);
                let power = kind == 1;
                let target = if draws.chance(aim_at_leader) { Who::Named(Named::Leader) } else { member };
                let amid_write = draws.chance(700);
                let action = if power {
                    Action::PowerLoss { member: target, amid_write }
                } else {
                    Action::Kill { member: target, amid_write }
                };
                later(0, vec![action]);
                let back = draws.range(1, 4000);
                let everybody = (1..=members as i64).map(|m| Action::Start { member: Who::Id(m) }).collect();
                later(back, everybody);
            }
            2 => {
                let ms = draws.range(10, 3 * sync_ms);
                later(0, vec![Action::Pause { member: who(&mut draws), ms }]);
            }
            3 => {
                let split = draws.range(1, members - 1) as i64;
                let side: Vec<Who> = (1..=split).map(Who::Id).collect();
                let other: Vec<Who> = (split + 1..=members as i64).map(Who::Id).collect();
                let one_way = draws.chance(300);
                later(0, vec![Action::Partition { from: side, to: other, one_way }]);
                later(draws.range(10, 3 * sync_ms), vec![Action::Heal {}]);
            }
            4 => {
                later(0, vec![Action::Isolate { member: who(&mut draws) }]);
                later(draws.range(10, 3 * sync_ms), vec![Action::Heal {}]);
            }
            5 => later(0, vec![Action::Reset { a: who(&mut draws), b: id(&mut draws) }]),
            6 => {
                let (factor, ms) = (draws.range(5, 100), draws.range(100, 3000));
                later(0, vec![Action::SlowLink { from: who(&mut draws), to: id(&mut draws), factor, ms }]);
            }
            7 => {
                let (factor, ms) = (draws.range(5, 100), draws.range(100, 3000));
                later(0, vec![Action::SlowDisk { member: who(&mut draws), factor, ms }]);
            }
            8 => {
                let jump = draws.range(0, 20_000) as i64 - 10_000;
                later(0, vec![Action::ClockJump { member: who(&mut draws), ms: jump }]);
            }
            9 => later(0, vec![Action::BlackHole { a: who(&mut draws), b: id(&mut draws) }]),
            10 => {
                let ms = draws.range(100, 5000);
                later(0, vec![Action::RefuseConnects { member: who(&mut draws), ms }]);
            }
            _ => {
                later(0, vec![Action::FailSync { member: who(&mut draws), count: 1 }]);
                let everybody = (1..=members as i64).map(|m| Action::Start { member: Who::Id(m) }).collect();
                later(draws.range(500, 4000), everybody);
            }
        }
        at += draws.range(1, 2 * mean_gap);
    }
    timeline.retain(|step| step.at.is_none_or(|at| at < heal));
    timeline
}
