//! The museum: what is left in memory when a role ends, and what a leader takes for its epoch.

use peer::{Config, Switch};

use crate::museum::bites;
use crate::script::converse;
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;
const LOG: [i64; 3] = [E1 | 1, E1 | 2, E1 | 3];

fn with(switches: &[Switch], sid: i64) -> Config {
    Config { switches: switches.iter().copied().collect(), ..member(sid, 3, 0) }
}

/// Server 1 of three has accepted epoch 2 of server 3.
fn learns(switch: Switch, script: &str) {
    let script = format!(
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         leader says LEADERINFO epoch=2
         --- server 1 has accepted epoch 2; its log: 0x100000001 to 0x100000003
         {script}"
    );
    bites(switch, with(&[switch], 1), &disk(1, 1, &LOG), &script);
}

#[test]
fn the_log_has_more_than_memory() {
    learns(
        Switch::ReuseDbWithoutLogTail,
        "leader says DIFF 0x100000003; NEWLEADER 0x200000000; UPTODATE
         leader says PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001
         leader says PROPOSAL 0x200000002 setData /a=2
         # Both are in the log; the vote is for the first.
         leader closes",
    );
}

#[test]
fn a_snapshot_that_nobody_stored() {
    learns(
        Switch::KeepPartialSnap,
        "leader says SNAP 0x200000007
         leader sends snapshot /a=1
         # The disk has neither the tree nor the zxid.
         leader closes",
    );
}

#[test]
fn a_snapshot_that_did_not_come_whole() {
    let script = "boot
        2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
        3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
        leader accepts
        leader says LEADERINFO epoch=2
        leader says SNAP 0x200000007
        # Read from the disk again.
        leader closes";
    let torn = |switches| converse(with(switches, 1), &disk(1, 1, &LOG), script);
    let on = torn(&[Switch::KeepPartialSnap]);
    assert_eq!(on, torn(&[]));
    keep("museum", "keep-partial-snap-torn", &on);
}

#[test]
fn the_zxid_of_a_diff_that_never_came() {
    learns(
        Switch::DiffRaisesZxidAtOnce,
        "leader says DIFF 0x100000009
         leader closes
         # And a role that ends before it synchronises changes nothing of that.
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         leader closes",
    );
}

const ELECTED: &str = "boot
    1 votes LOOKING leader=3 zxid=0x100000003 round=1 epoch=1
    time +200
    --- server 3 was elected; its log: 0x100000001 to 0x100000003";

#[test]
fn a_promise_that_is_forgotten() {
    bites(
        Switch::EpochFromLog,
        // It had accepted epoch 4.
        with(&[Switch::EpochFromLog], 3),
        &disk(4, 1, &LOG),
        &format!(
            "{ELECTED}
                 L1 connects
                 L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0"
        ),
    );
}

#[test]
fn one_that_nobody_followed_votes_with_the_epoch() {
    bites(
        Switch::ZxidRaisedBeforeEstablished,
        with(&[Switch::EpochFromLog, Switch::ZxidRaisedBeforeEstablished], 3),
        &disk(1, 1, &LOG),
        &format!(
            "{ELECTED}
                 L1 connects
                 L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
                 L1 closes
                 time +20000"
        ),
    );
}

#[test]
fn the_epoch_is_acknowledged_by_nobody() {
    bites(
        Switch::EpochAckWaitsOnWrongFlag,
        with(&[Switch::EpochAckWaitsOnWrongFlag], 3),
        &disk(1, 1, &LOG),
        &format!(
            "{ELECTED}
                 L1 connects
                 L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
                 # It is ahead, and nobody holds that against it.
                 L1 says ACKEPOCH last=0x100000009 current=1"
        ),
    );
}

#[test]
fn newleader_comes_before_the_tail_of_the_snapshot() {
    // A write while a snapshot is sent.
    let mut config = with(&[Switch::NewLeaderBeforeSnapshotTail], 3);
    config.settings.force_snapshot_sync = true;
    bites(
        Switch::NewLeaderBeforeSnapshotTail,
        config,
        &disk(1, 1, &LOG),
        "boot
             1 votes LOOKING leader=3 zxid=0x100000003 round=1 epoch=1
             time +200
             L1 connects
             L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
             L1 says ACKEPOCH last=0x100000003 current=1
             L1 says ACK 0x200000000
             --- server 3 leads epoch 2 with server 1
             L2 connects
             L2 says FOLLOWERINFO accepted=0x100000000 sid=2 protocol=0x10000 config=0
             tasks wait
             L2 says ACKEPOCH last=0x100000000 current=1
             client 1 connects
             L1 says ACK 0x200000001
             tasks go on",
    );
}
