//! The museum, synchronisation: what a member with one historical switch on does otherwise than the
//! conversations of the correct core.

use peer::{Config, Switch, Switches};

use crate::museum::bites;
use crate::{disk, member};

const E1: i64 = 1 << 32;
const LOG: [i64; 3] = [E1 | 1, E1 | 2, E1 | 3];

/// Server 1 of three has accepted epoch 2 of server 3.
fn synchronises(switch: Switch, script: &str) {
    let config = Config { switches: Switches::NONE.with(switch), ..member(1, 3, 0) };
    let script = format!(
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         leader says LEADERINFO epoch=2
         --- server 1 has accepted epoch 2; its log: 0x100000001 to 0x100000003
         disk holds its answers
         {script}"
    );
    bites(switch, config, &disk(1, 1, &LOG), &script);
}

const DIFF_OF_ONE: &str = "leader says DIFF 0x100000004; PROPOSAL 0x100000004 setData /a=1; \
                           COMMIT 0x100000004; NEWLEADER 0x200000000";

#[test]
fn the_diff_waits_in_memory() {
    synchronises(
        Switch::AckNewLeaderWithDiffInMemory,
        &format!(
            "{DIFF_OF_ONE}
             disk goes on
             # Acknowledged, and nothing of the DIFF is in the log.
             leader says UPTODATE
             disk goes on"
        ),
    );
}

#[test]
fn the_epoch_comes_before_the_history() {
    synchronises(
        Switch::EpochBeforeHistory,
        &format!(
            "{DIFF_OF_ONE}
             disk goes on
             # A crash here leaves currentEpoch 2 without its history.
             disk goes on"
        ),
    );
}

#[test]
fn the_ack_does_not_wait_for_the_log() {
    synchronises(
        Switch::AckNewLeaderWithLogQueued,
        &format!(
            "{DIFF_OF_ONE}
             disk goes on
             # Acknowledged while the log is queued.
             disk goes on"
        ),
    );
}

#[test]
fn the_ack_of_a_proposal_is_first() {
    synchronises(
        Switch::ProposalAckOvertakes,
        &format!(
            "{DIFF_OF_ONE}
             disk goes on
             disk goes on"
        ),
    );
}

#[test]
fn a_commit_before_uptodate_kills() {
    synchronises(
        Switch::EarlyCommitFatal,
        "leader says DIFF 0x100000003; PROPOSAL 0x200000001 setData /a=1; NEWLEADER 0x200000000
         disk goes on
         # Proposed before NEWLEADER, committed by the others now.
         leader says COMMIT 0x200000001",
    );
}
