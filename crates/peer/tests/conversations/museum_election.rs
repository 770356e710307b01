//! The museum, election and discovery: what a member with one historical switch on does otherwise than the
//! conversations of the correct core.

use peer::{Config, Switch, Switches};

use crate::museum::bites;
use crate::{disk, member};

const E1: i64 = 1 << 32;

/// Three voters and so many observers; we are `sid`, with this switch on.
fn plays(
    switch: Switch,
    (sid, observers): (i64, i64),
    (accepted, current): (i64, i64),
    log: &[i64],
    script: &str,
) {
    let config = Config { switches: Switches::NONE.with(switch), ..member(sid, 3, observers) };
    bites(switch, config, &disk(accepted, current, log), script);
}

#[test]
fn an_older_epoch_wins_by_its_sid() {
    plays(
        Switch::VoteOrderPrecedence,
        (2, 0),
        (2, 2),
        &[E1 | 1],
        "boot
         # Of epoch 1, ours is of epoch 2: the equal zxid and the larger sid win.
         3 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         # And ours would win back: a ring.
         1 votes LOOKING leader=2 zxid=0x100000001 round=1 epoch=2",
    );
}

#[test]
fn those_that_joined_late_speak_for_nobody() {
    plays(
        Switch::JoinStrictMatch,
        (1, 0),
        (1, 1),
        &[E1 | 1],
        "boot
         # They follow one leader of one epoch, from different elections.
         3 votes LEADING leader=3 zxid=0x100000001 round=4 epoch=2
         2 votes FOLLOWING leader=3 zxid=0x100000007 round=9 epoch=2
         time +1000",
    );
}

#[test]
fn everybody_was_heard_and_nobody_agreed() {
    plays(
        Switch::FinishWhenAllHeard,
        (3, 0),
        (0, 0),
        &[],
        "boot
         1 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +0",
    );
}

#[test]
fn a_short_notification_makes_deaf() {
    plays(
        Switch::BadNotificationKillsReceiver,
        (3, 0),
        (0, 0),
        &[],
        "boot
         # A frame of four bytes.
         1 bytes 00 00 00 04 00 00 00 00
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         2 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +400",
    );
}

const ELECTED: &str = "boot
    1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
    time +200
    --- server 3 was elected; its log: 0x100000001, epochs 1 and 1";

#[test]
fn leader_info_leaves_before_the_leader_accepted() {
    plays(
        Switch::LeaderAcceptsEpochLate,
        (3, 0),
        (1, 1),
        &[E1 | 1],
        &format!(
            "{ELECTED}
             disk holds its answers
             L1 connects
             L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
             # acceptedEpoch is under way, and the epoch is acknowledged by a quorum.
             L1 says ACKEPOCH last=0x100000001 current=1
             disk goes on
             disk goes on"
        ),
    );
}

#[test]
fn observers_make_a_quorum() {
    plays(
        Switch::ObserversCount,
        (3, 2),
        (1, 1),
        &[E1 | 1],
        &format!(
            "{ELECTED}
             L4 connects
             L4 says OBSERVERINFO accepted=0x100000000 sid=4 protocol=0x10000 config=0
             L4 says ACKEPOCH last=0x100000001 current=1
             L4 says ACK 0x200000000"
        ),
    );
}
