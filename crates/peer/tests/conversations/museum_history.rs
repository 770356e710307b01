//! The museum's synchronisations and broadcasts (19 to 36b): each conversation is played by the right
//! member and by the one with the switch, and what the latter said is kept.

use peer::{Config, DiskOp, Nanos, Switch};

use crate::script::converse;
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;
const E2: i64 = 2 << 32;

/// The transcript with the switch; without it the member answers otherwise.
fn wrong(switch: Switch, mut config: Config, disk: &[DiskOp], script: &str) {
    config.settings.tick_time = Nanos::from_millis(100_000);
    let right = converse(config.clone(), disk, script);
    config.switches = config.switches.with(switch);
    let wrong = converse(config, disk, script);
    assert_ne!(right, wrong, "{} changes nothing", switch.name());
    keep("museum", switch.name(), &wrong);
}

/// Server 3 of three leads epoch 3 with this log, established with server 1.
fn leads(switch: Switch, log: &[i64], script: &str) {
    let last = log.last().copied().unwrap_or(0);
    let epoch = last >> 32;
    let script = format!(
        "boot
         1 votes LOOKING leader=3 zxid={last:#x} round=1 epoch={epoch}
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted={accepted:#x} sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last={last:#x} current={epoch}
         L1 says ACK {first:#x}
         L1 says ACK {first:#x}
         --- server 3 has established epoch {next} with server 1; its log: {log}
         {script}",
        accepted = epoch << 32,
        first = (epoch + 1) << 32,
        next = epoch + 1,
        log = log.iter().map(|zxid| format!("{zxid:#x}")).collect::<Vec<_>>().join(" "),
    );
    wrong(switch, member(3, 3, 0), &disk(epoch, epoch, log), &script);
}

/// Server 1 of three has accepted epoch 2 of server 3; its log: three of epoch 1.
fn learns(switch: Switch, script: &str) {
    learns_as(switch, member(1, 3, 0), script);
}

fn learns_as(switch: Switch, config: Config, script: &str) {
    let script = format!(
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         leader says LEADERINFO epoch=2
         --- server 1 has accepted epoch 2; its log: 0x100000001 to 0x100000003
         {script}"
    );
    wrong(switch, config, &disk(1, 1, &[E1 | 1, E1 | 2, E1 | 3]), &script);
}

const L2: &str = "L2 connects
    L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=0";

#[test]
fn diff_without_trunc() {
    // Server 2 logged 0x100000003 in an epoch that ended without it.
    let log = [E1 | 1, E1 | 2, E2 | 1, E2 | 2];
    leads(Switch::DiffWithoutTrunc, &log, &format!("{L2}\n L2 says ACKEPOCH last=0x100000003 current=1"));
}

#[test]
fn trunc_at_epoch_start() {
    // Server 2 was synchronised by SNAP at the beginning of the epoch; nothing was written since.
    let log = [E2 | 1, E2 | 2];
    leads(
        Switch::TruncAtEpochStart,
        &log,
        &format!("{L2}\n L2 says ACKEPOCH last=0x300000000 current=3\n L2 says ACK 0x300000000"),
    );
}

#[test]
fn sync_range_not_atomic() {
    // What commits between the two steps is applied when the second one asks what is outstanding.
    leads(
        Switch::SyncRangeNotAtomic,
        &[E2 | 1, E2 | 2],
        &format!(
            "client 1 connects
             L1 says ACK 0x300000001
             client 1 sets /a=1
             client 1 sets /a=2
             {L2}
             tasks wait
             L1 says ACK 0x300000002
             L2 says ACKEPOCH last=0x200000001 current=2
             L1 says ACK 0x300000003
             tasks go on
             client 1 sets /a=3"
        ),
    );
}

#[test]
fn counter_rolls_into_epoch() {
    let mut config = member(3, 3, 0);
    config.settings.initial_zxid = Some(u32::MAX - 2);
    let script = "boot
        1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
        time +200
        L1 connects
        L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
        L1 says ACKEPOCH last=0x0 current=0
        L1 says ACK 0x100000000
        client 1 connects
        L1 says ACK 0x1fffffffe
        --- server 3 has established epoch 1 with server 1 and proposed 0x1fffffffe
        client 1 sets /a=1
        client 1 sets /a=2";
    wrong(Switch::CounterRollsIntoEpoch, config, &[], script);
}

#[test]
fn epoch_at_uptodate() {
    learns(
        Switch::EpochAtUpToDate,
        "leader says DIFF 0x100000003; NEWLEADER 0x200000000
         disk holds its answers
         leader says PROPOSAL 0x200000001 setData /a=1; UPTODATE
         disk goes on
         disk is free",
    );
}

#[test]
fn commit_before_uptodate_unlogged() {
    learns(
        Switch::CommitBeforeUpToDateUnlogged,
        "leader says DIFF 0x100000003; NEWLEADER 0x200000000
         leader says PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001
         leader says UPTODATE",
    );
}

#[test]
fn sync_bypasses_committed_log() {
    // The same member leads afterwards: its committed log goes from 0x100000003 to 0x200000002.
    learns(
        Switch::SyncBypassesCommittedLog,
        "leader says DIFF 0x200000001; PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001; NEWLEADER 0x200000000
         leader says UPTODATE
         leader says PROPOSAL 0x200000002 setData /a=2; COMMIT 0x200000002
         leader closes
         2 votes LOOKING leader=1 zxid=0x200000002 round=2 epoch=2
         time +200
         L2 connects
         L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000003 current=1",
    );
}

#[test]
fn observer_drops_sync_tail() {
    let script = "boot
        time +200
        1 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
        3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
        leader accepts
        leader says LEADERINFO epoch=2
        leader says DIFF 0x100000003; NEWLEADER 0x200000000
        --- observer 4 has acknowledged NEWLEADER of epoch 2
        leader says INFORM 0x200000001 setData /a=1
        leader says UPTODATE
        leader says INFORM 0x200000002 setData /a=2";
    let log = [E1 | 1, E1 | 2, E1 | 3];
    wrong(Switch::ObserverDropsSyncTail, member(4, 3, 1), &disk(1, 1, &log), script);
}

#[test]
fn trunc_keeps_newer_snapshot() {
    // Server 3 is elected with what no quorum may have, and writes it down as a snapshot at once.
    let script = "boot
        1 votes LOOKING leader=3 zxid=0x100000003 round=1 epoch=1
        --- server 3 has a better log than server 1
        time +200
        disk shows its files";
    wrong(Switch::TruncKeepsNewerSnapshot, member(3, 3, 0), &disk(1, 1, &[E1 | 1, E1 | 2, E1 | 3]), script);
}

#[test]
fn trunc_removes_too_much() {
    // What is left is 0x100000001; the learner believes that it ends at 0x100000002.
    learns(
        Switch::TruncRemovesTooMuch,
        "leader says TRUNC 0x100000002; NEWLEADER 0x200000000; UPTODATE
         crash
         boot",
    );
}

const SERVING: &str = "leader says DIFF 0x100000003; NEWLEADER 0x200000000; UPTODATE
    --- server 1 follows server 3 in epoch 2; its log: 0x100000001 to 0x100000003";

#[test]
fn half_shutdown() {
    // What waited behind a slow sync is appended after the disk was read and the vote was cast.
    learns(
        Switch::HalfShutdown,
        &format!(
            "{SERVING}
             disk holds its answers
             leader says PROPOSAL 0x200000001 setData /a=1
             leader says PROPOSAL 0x200000002 setData /a=2
             leader closes
             disk goes on
             disk is free
             crash
             boot"
        ),
    );
}

#[test]
fn dead_log_writer_ignored() {
    learns(
        Switch::DeadLogWriterIgnored,
        &format!(
            "{SERVING}
             disk fails
             leader says PROPOSAL 0x200000001 setData /a=1
             client 1 connects"
        ),
    );
}

#[test]
fn epoch_memory_first() {
    // The second time the epoch counts as accepted before; only currentEpoch is written.
    let script = "boot
        2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
        3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
        leader accepts
        --- server 1 has found server 3, which leads epoch 2
        disk fails at acceptedEpoch
        leader says LEADERINFO epoch=2
        2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
        3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1";
    let log = disk(1, 1, &[E1 | 1, E1 | 2, E1 | 3]);
    wrong(Switch::EpochMemoryFirst, member(1, 3, 0), &log, script);
}

#[test]
fn keep_partial_trunc() {
    // The log ends at 0x100000002, the vote and the next ACKEPOCH say 0x200000001.
    learns(
        Switch::KeepPartialTrunc,
        "leader says TRUNC 0x100000002; PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001
         leader closes
         disk shows its files
         crash
         boot",
    );
}

/// A learner comes between the two steps of a transaction: it is sent the state under the zxid of what the
/// state does not have, and not the rest of it.
fn snapshot_between(switch: Switch, then: &str) {
    let mut config = member(3, 3, 0);
    config.settings.force_snapshot_sync = true;
    let script = format!(
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         client 1 connects
         {then}"
    );
    wrong(switch, config, &[], &script);
}

#[test]
fn zxid_before_session() {
    snapshot_between(
        Switch::ZxidBeforeSession,
        "--- server 3 has proposed createSession 0x100000001
         tasks wait
         L1 says ACK 0x100000001
         task runs
         task runs
         L2 says ACKEPOCH last=0x0 current=0",
    );
}

#[test]
fn zxid_before_multi_done() {
    snapshot_between(
        Switch::ZxidBeforeMultiDone,
        "L1 says ACK 0x100000001
         client 1 sets /e/a=1
         L1 says ACK 0x100000002
         client 1 sets /e/b=1
         L1 says ACK 0x100000003
         client 1 closes
         --- server 3 has proposed closeSession 0x100000004, with /e/a and /e/b to delete
         tasks wait
         L1 says ACK 0x100000004
         task runs
         task runs
         L2 says ACKEPOCH last=0x0 current=0",
    );
}

#[test]
fn session_visible_before_commit() {
    // The session was proposed, and no quorum has it; the snapshot that server 2 is sent does.
    leads(
        Switch::SessionVisibleBeforeCommit,
        &[E2 | 1, E2 | 2],
        "client 1 connects
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x0 current=0",
    );
}

#[test]
fn create_after_close() {
    leads(
        Switch::CreateAfterClose,
        &[E2 | 1, E2 | 2],
        "client 1 connects
         L1 says ACK 0x300000001
         client 1 closes
         client 1 sets /e/a=1
         L1 says ACK 0x300000002
         L1 says ACK 0x300000003",
    );
}

#[test]
fn sync_skips_session_tracker() {
    // The snapshot that it takes then has what the session did, and not the session.
    let mut config = member(1, 3, 0);
    config.settings.snap_count = 1;
    learns_as(
        Switch::SyncSkipsSessionTracker,
        config,
        "leader says DIFF 0x200000001
         leader says PROPOSAL 0x200000001 createSession timeout=10000 session=0x100020000000142; COMMIT 0x200000001
         leader says NEWLEADER 0x200000000; UPTODATE
         leader says PROPOSAL 0x200000002 setData /a=1; COMMIT 0x200000002
         leader says PROPOSAL 0x200000003 setData /a=2; COMMIT 0x200000003",
    );
}
