//! Each row of the two tables by which a leader decides how a learner is brought up to date (reference
//! of the rows: `leader::sync_decision`).

use peer::{Config, DiskOp, EpochFile, Nanos, Settings, Switches, SyncMode, SyncTable};
use wire::{Epoch, Zxid};
use zab::CommittedLog;
use zab::leader::{SyncInputs, SyncOp, SyncPlan, decide, with_disk_log};

use crate::script::converse;
use crate::{disk, entry, keep, member};

/// Server 3 leads epoch 2 with this log, established with server 1; then server 2 comes with `P`.
fn joins(name: &str, change: impl Fn(&mut Config), log: &[i64], p: &str) {
    let mut config = member(3, 3, 0);
    config.settings.tick_time = Nanos::from_millis(100_000);
    change(&mut config);
    let last = log.last().copied().unwrap_or(0);
    let epoch = last >> 32;
    let next = epoch + 1;
    let script = format!(
        "boot
         1 votes LOOKING leader=3 zxid={last:#x} round=1 epoch={epoch}
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted={accepted:#x} sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last={last:#x} current={epoch}
         L1 says ACK {first:#x}
         --- server 3 leads epoch {next}; its log: {log}
         L2 connects
         L2 says FOLLOWERINFO accepted={accepted:#x} sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last={p} current={epoch}
         L2 says ACK {first:#x}",
        accepted = epoch << 32,
        first = next << 32,
        log = log.iter().map(|zxid| format!("{zxid:#x}")).collect::<Vec<_>>().join(" "),
    );
    keep("sync", name, &converse(config, &disk(epoch, epoch, log), &script));
}

const E1: i64 = 1 << 32;
const E2: i64 = 2 << 32;
/// Five transactions of epoch 1.
const FIVE: [i64; 5] = [E1 | 1, E1 | 2, E1 | 3, E1 | 4, E1 | 5];

fn v34(config: &mut Config) {
    config.settings.sync_table = SyncTable::V34;
}

fn window_of_two(config: &mut Config) {
    config.settings.commit_log_count = 2;
}

#[test]
fn row_1_snapshots_are_forced() {
    joins("row-1-force-snapshot-sync", |c| c.settings.force_snapshot_sync = true, &FIVE, "0x100000005");
}

#[test]
fn row_2_equal() {
    joins("row-2-equal", |_| {}, &FIVE, "0x200000000");
}

#[test]
fn row_2_equal_with_nothing_in_memory() {
    joins("row-2-empty-committed-log-in-sync", |_| {}, &[], "0x100000000");
}

#[test]
fn row_3_learner_ahead_of_what_is_committed() {
    joins("row-3-learner-ahead-trunc", |_| {}, &FIVE, "0x100000009");
}

/// The history of server 3 came as a snapshot at the beginning of epoch 1 and goes no further: there is no
/// record that server 1, which has one transaction more, could keep.
#[test]
fn row_3_not_to_the_beginning_of_an_epoch() {
    let ops = [
        DiskOp::Load,
        DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2)),
        DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(2)),
        DiskOp::SnapshotSlice { zxid: Zxid(E1), bytes: storage::recover::empty_body() },
        DiskOp::Install { zxid: Zxid(E1), epoch: Epoch(1), log: Vec::new() },
    ];
    let script = "boot
        1 votes LOOKING leader=3 zxid=0x100000000 round=1 epoch=2
        time +200
        --- server 3 is elected; its history is a snapshot at 0x100000000
        L1 connects
        L1 says FOLLOWERINFO accepted=0x200000000 sid=1 protocol=0x10000 config=0
        L1 says ACKEPOCH last=0x100000001 current=1";
    keep("sync", "row-3-not-to-an-epochs-beginning", &converse(member(3, 3, 0), &ops, script));
}

#[test]
fn row_4_in_the_window() {
    joins("row-4-diff", |_| {}, &FIVE, "0x100000003");
}

#[test]
fn row_4_last_committed() {
    joins("row-4-diff-of-nothing", |_| {}, &FIVE, "0x100000005");
}

/// A history with a hole, which recovery refuses: the table still answers for it as Java's does.
fn trunc_then_diff(settings: &Settings) {
    let mut log = CommittedLog::new(500);
    for zxid in [E1 | 1, E1 | 2, E1 | 5, E1 | 6] {
        log.add(entry(zxid));
    }
    let inputs = SyncInputs {
        peer_last_zxid: Zxid(E1 | 3),
        last_processed: Zxid(E2),
        log: &log,
        snapshot_bytes: 0,
        settings,
        switches: Switches::NONE,
    };
    let plan = SyncPlan::Stream {
        mode: SyncMode::TruncDiff,
        op: SyncOp::Trunc(Zxid(E1 | 2)),
        txns: vec![entry(E1 | 5), entry(E1 | 6)],
        forward_from: Zxid(E1 | 6),
    };
    assert_eq!(decide(&inputs), plan);
}

#[test]
fn row_4_between_two_transactions() {
    trunc_then_diff(&Settings::default());
}

#[test]
fn row_4_an_epoch_without_its_tail() {
    joins("row-4-trunc-must-not-cross-epochs", |_| {}, &[E1 | 1, E1 | 2, E2 | 1, E2 | 2], "0x100000003");
}

/// A leader may be told to begin an epoch above 1.
#[test]
fn row_4_before_the_first_of_its_epoch() {
    joins("row-4-nothing-of-its-epoch-before", |_| {}, &[E1 | 1, E1 | 2, E2 | 5, E2 | 6], "0x200000003");
}

#[test]
fn row_4_the_beginning_of_an_epoch() {
    joins("row-4-counter-zero", |_| {}, &[E1 | 1, E1 | 2, E2 | 1, E2 | 2], "0x200000000");
}

#[test]
fn row_5_from_the_log_on_disk() {
    joins("row-5-diff-from-disk", window_of_two, &FIVE, "0x100000002");
}

/// Server 3 of five leads; 1, 4 and 5 are a quorum without its disk.
/// The log on disk must meet what is in memory, whoever read it.
#[test]
fn row_5_disk_and_memory_must_meet() {
    let mut log = CommittedLog::new(500);
    (4..=5).for_each(|counter| log.add(entry(E1 | counter)));
    let settings = Settings::default();
    let inputs = SyncInputs {
        peer_last_zxid: Zxid(E1 | 1),
        last_processed: Zxid(E1 | 5),
        log: &log,
        snapshot_bytes: 0,
        settings: &settings,
        switches: Switches::NONE,
    };
    let from_disk = |last: i64| Some((1..=last).map(|counter| entry(E1 | counter)).collect());
    let snap = SyncPlan::Snap { forward_from: Zxid(E1 | 5) };
    assert_eq!(with_disk_log(&inputs, from_disk(2)), snap);
    assert_eq!(with_disk_log(&inputs, None), snap);
    let diff = SyncPlan::Stream {
        mode: SyncMode::DiskDiff,
        op: SyncOp::Diff(Zxid(E1 | 5)),
        txns: (2..=5).map(|counter| entry(E1 | counter)).collect(),
        forward_from: Zxid(E1 | 5),
    };
    assert_eq!(with_disk_log(&inputs, from_disk(4)), diff);
}

fn with_a_slow_disk(name: &str, change: impl Fn(&mut Config), script: &str) {
    let mut config = member(3, 5, 0);
    config.settings.tick_time = Nanos::from_millis(100_000);
    change(&mut config);
    let each = |line: &str| [1, 4, 5].map(|sid| line.replace('#', &sid.to_string())).join("\n");
    let script = format!(
        "boot
         {}
         time +200
         {}
         {}
         {}
         --- server 3 of five leads epoch 2, 1, 4 and 5 follow; it keeps two of 0x100000001 to 0x100000005
         {script}",
        each("# votes LOOKING leader=3 zxid=0x100000005 round=1 epoch=1"),
        each("L# connects\nL# says FOLLOWERINFO accepted=0x100000000 sid=# protocol=0x10000 config=0"),
        each("L# says ACKEPOCH last=0x100000005 current=1"),
        each("L# says ACK 0x200000000"),
    );
    keep("sync", name, &converse(config, &disk(1, 1, &FIVE), &script));
}

/// The window in memory moves on while the log is read; what the log ends with stays in it.
#[test]
fn row_5_commits_while_the_log_is_read() {
    let commit = |zxid: &str| format!("L1 says ACK {zxid}\n L4 says ACK {zxid}\n L5 says ACK {zxid}\n");
    let script = format!(
        "L1 asks session=0x55 cxid=0 opens
         {first}
         disk holds its answers
         L2 connects
         L2 says FOLLOWERINFO accepted=0x100000000 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000002 current=1
         L1 asks session=0x55 cxid=1 sets /a=1
         {second}
         L1 asks session=0x55 cxid=2 sets /a=2
         {third}
         L1 asks session=0x55 cxid=3 sets /a=3
         {fourth}
         disk goes on",
        first = commit("0x200000001"),
        second = commit("0x200000002"),
        third = commit("0x200000003"),
        fourth = commit("0x200000004"),
    );
    let no_limit = |c: &mut Config| {
        window_of_two(c);
        c.settings.snapshot_size_factor_milli = 0;
    };
    with_a_slow_disk("row-5-commits-while-the-log-is-read", no_limit, &script);
}

/// The limit of a DIFF from disk is a part of the newest snapshot, of one taken in this role too.
#[test]
fn row_5_the_limit_follows_the_snapshots() {
    let small = |c: &mut Config| {
        window_of_two(c);
        c.settings.snap_count = 4;
    };
    let commit = |zxid: &str| format!("L1 says ACK {zxid}\n L4 says ACK {zxid}\n L5 says ACK {zxid}\n");
    let value = "x".repeat(2000);
    let script = format!(
        "L1 asks session=0x55 cxid=0 opens
         {}
         L1 asks session=0x55 cxid=1 sets /a={value}
         {}
         L1 asks session=0x55 cxid=2 sets /b=1
         {}
         L2 connects
         L2 says FOLLOWERINFO accepted=0x100000000 sid=2 protocol=0x10000 config=0
         # A third of the 2 KB, not of the empty snapshot.
         L2 says ACKEPOCH last=0x100000002 current=1",
        commit("0x200000001"),
        commit("0x200000002"),
        commit("0x200000003"),
    );
    with_a_slow_disk("row-5-limit-follows-the-snapshots", small, &script);
}

#[test]
fn row_5_the_log_does_not_reach_back() {
    joins("row-5-log-does-not-reach-back", window_of_two, &FIVE, "0x0");
}

#[test]
fn row_6_disk_is_not_asked() {
    let negative = |c: &mut Config| {
        window_of_two(c);
        c.settings.snapshot_size_factor_milli = -1;
    };
    joins("row-6-behind-the-window", negative, &FIVE, "0x100000002");
}

#[test]
fn row_6_an_epoch_that_nobody_knows() {
    joins("row-6-beginning-of-another-epoch", |_| {}, &FIVE, "0x700000000");
}

#[test]
fn row_6_an_emptied_disk() {
    joins("row-6-zxid-minus-one", |_| {}, &FIVE, "-1");
}

#[test]
fn row_6_a_new_member() {
    joins("row-6-new-member", |_| {}, &[], "0x0");
}

#[test]
fn v34_row_a() {
    joins("v34-row-a-equal", v34, &FIVE, "0x200000000");
}

#[test]
fn v34_row_b_diff() {
    joins("v34-row-b-diff", v34, &FIVE, "0x100000003");
}

#[test]
fn v34_row_b_trunc() {
    trunc_then_diff(&Settings { sync_table: SyncTable::V34, ..Settings::default() });
}

#[test]
fn v34_row_b_trunc_over_epochs() {
    joins("v34-row-b-trunc-crosses-epochs", v34, &[E1 | 1, E1 | 2, E2 | 1, E2 | 2], "0x100000003");
}

#[test]
fn v34_row_c() {
    joins("v34-row-c-learner-ahead", v34, &FIVE, "0x100000009");
}

#[test]
fn v34_row_d_behind() {
    let both = |c: &mut Config| {
        v34(c);
        window_of_two(c);
    };
    joins("v34-row-d-behind-the-window", both, &FIVE, "0x100000002");
}

#[test]
fn v34_row_d_nothing_in_memory() {
    joins("v34-row-d-nothing-in-memory", v34, &[], "0x0");
}
