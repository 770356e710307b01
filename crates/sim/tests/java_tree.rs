//! Ensembles whose members come with the data directories of Java servers: a history that the register
//! map behind them does not understand. The disk keeps it, learners get it from the disk, and only
//! sessions are added to it. The swarm's plans, with all their faults, over such disks.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::Path;

use peer::{DiskAnswer, DiskOp, EpochFile, Recovered, Switches, SyncMode, TxnEntry};
use sim::run::{Outcome, RunSpec, Verdict, run};
use sim::swarm::{plan_registers, plan_tree};
use storage::{MemFs, Storage, StorageSettings};
use wire::{Epoch, ServerId, Zxid};

type Files = BTreeMap<String, Vec<u8>>;

/// The directory of a 3.8.0 server; both here end at 0x200000006.
fn directory(name: &str) -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/tests/vectors/datadirs").join(name);
    let files = std::fs::read_dir(folder).expect("the vectors").map(|file| {
        let file = file.expect("an entry");
        let bytes = std::fs::read(file.path()).expect("a readable file");
        (file.file_name().to_str().expect("UTF-8").to_owned(), bytes)
    });
    files.collect()
}

fn storage(files: Files) -> Storage<MemFs> {
    Storage::new(MemFs { files }, StorageSettings { prealloc: 0, ..StorageSettings::default() })
}

/// The same history up to `zxid`, of the end of epoch 1.
fn cut(files: Files, zxid: Zxid) -> Files {
    let mut storage = storage(files);
    assert!(matches!(storage.execute(&DiskOp::Load), Ok(DiskAnswer::Loaded(_))));
    assert!(matches!(storage.execute(&DiskOp::Truncate(zxid)), Ok(DiskAnswer::Loaded(_))));
    for file in [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch] {
        storage.execute(&DiskOp::WriteEpoch(file, Epoch(1))).expect("written");
    }
    storage.fs.files
}

/// The plan of `seed` over Java disks: a quorum has the whole history (one with a snapshot amid it, the others
/// from the beginning), the rest a part of it or nothing.
fn over_java_disks(mut spec: RunSpec, seed: u64) -> RunSpec {
    let config = &spec.world.members[0];
    let voters = config.view.voters().count() as i64;
    spec.world.disks.insert(ServerId(1), directory("3.8.0-leader"));
    for sid in 2..=voters / 2 + 1 {
        spec.world.disks.insert(ServerId(sid), directory("3.8.0-follower"));
    }
    // In a smaller ensemble the quorum would not have it any more.
    if voters > 2 && seed.is_multiple_of(2) {
        let part = cut(directory("3.8.0-follower"), Zxid(0x1_0000_0050));
        spec.world.disks.insert(ServerId(voters), part);
    }
    spec
}

fn check(seed: u64, outcome: &Outcome) {
    let told: Vec<String> = outcome
        .violations
        .iter()
        .map(|v| format!("{} at {} of {}: {}", v.invariant, v.at, v.member, v.detail))
        .collect();
    assert!(told.is_empty(), "seed {seed}: {told:#?}\n{}", outcome.story.lines().join("\n"));
    assert!(matches!(outcome.verdict, Verdict::Clean | Verdict::Empty), "seed {seed}: {:?}", outcome.verdict);
}

/// Nobody's disk holds another snapshot than Java's own, byte for byte, nor other transactions behind it
/// than Java's and those that everybody has.
fn check_disks(seed: u64, disks: &BTreeMap<i64, Recovered>) {
    let [leader, follower] = ["3.8.0-leader", "3.8.0-follower"]
        .map(|name| storage(directory(name)).recover_readonly().expect("a good disk"));
    let longest = disks.values().max_by_key(|disk| disk.last_zxid()).expect("some");
    let mut all: Vec<TxnEntry> = follower.log.clone();
    all.extend(longest.log.iter().filter(|entry| entry.zxid > follower.last_zxid()).cloned());
    for (sid, disk) in disks {
        let known = [&leader.snapshot, &follower.snapshot].contains(&&disk.snapshot);
        assert!(known, "seed {seed}: {sid} has another snapshot");
        let snapshot = disk.snapshot.as_ref().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        let behind: Vec<&TxnEntry> =
            all.iter().filter(|entry| entry.zxid > snapshot && entry.zxid <= disk.last_zxid()).collect();
        assert!(behind.into_iter().eq(&disk.log), "seed {seed}: {sid} has another log behind {snapshot}");
    }
}

#[test]
fn registers_over_a_data_tree_keep_it_as_it_came() {
    let (mut snaps, mut behind, mut committed) = (0, 0, 0);
    for seed in 0..60 {
        let outcome = run(&over_java_disks(plan_registers(seed, Switches::NONE), seed), false, false);
        check(seed, &outcome);
        check_disks(seed, &outcome.disks);
        snaps += outcome.syncs_of.values().flatten().filter(|mode| **mode == SyncMode::Snap).count();
        behind +=
            outcome.stats.marks.get("leader: log behind the stored snapshot read").copied().unwrap_or(0);
        committed += outcome.stats.committed;
    }
    assert!(snaps > 40, "{snaps} stored snapshots were sent");
    assert!(behind > 20, "{behind} logs behind them were read");
    assert!(committed > 1000, "{committed} transactions");
}

/// The server knows what those disks hold, and goes on with it.
#[test]
fn the_server_over_a_data_tree_is_clean() {
    let mut committed = 0;
    for seed in 0..30 {
        let outcome = run(&over_java_disks(plan_tree(seed, Switches::NONE), seed), false, false);
        check(seed, &outcome);
        committed += outcome.stats.committed;
    }
    assert!(committed > 500, "{committed} transactions");
}
