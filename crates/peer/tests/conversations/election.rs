//! Every kind of notification in every state, and what it is answered with.

use peer::{Config, QuorumVerifier};
use wire::ServerId;

use crate::script::converse;
use crate::{disk, keep, member};

fn elect(name: &str, config: Config, history: &[i64], script: &str) {
    let epoch = history.last().map_or(0, |zxid| zxid >> 32);
    keep("election", name, &converse(config, &disk(epoch, epoch, history), script));
}

#[test]
fn a_quorum_agrees_and_the_finalize_wait_passes() {
    elect(
        "leads-after-finalize-wait",
        member(3, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +199
         time +1",
    );
}

#[test]
fn a_better_vote_is_adopted_and_told_to_all() {
    elect(
        "adopts-a-better-vote",
        member(1, 3, 0),
        &[],
        "boot
         # Epoch first, then zxid, then sid.
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         3 votes LOOKING leader=3 zxid=0x5 round=1 epoch=0
         2 votes LOOKING leader=2 zxid=0x100000001 round=1 epoch=1
         # Worse than ours now: kept, not adopted.
         3 votes LOOKING leader=3 zxid=0x9 round=1 epoch=0
         3 votes LOOKING leader=2 zxid=0x100000001 round=1 epoch=1
         time +200",
    );
}

#[test]
fn a_better_vote_in_the_finalize_wait_reopens_the_election() {
    elect(
        "better-vote-in-finalize-wait",
        member(2, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +150
         3 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +100
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200",
    );
}

#[test]
fn a_worse_message_in_the_finalize_wait_begins_it_anew() {
    elect(
        "worse-vote-in-finalize-wait",
        member(3, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +150
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +199
         time +1",
    );
}

#[test]
fn a_later_round_is_joined_with_what_was_heard_forgotten() {
    elect(
        "later-round",
        member(2, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=1 zxid=0x0 round=7 epoch=0
         # A vote of the old round does not count any more; its sender is told the new one.
         3 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         1 votes LOOKING leader=2 zxid=0x0 round=7 epoch=0
         time +200",
    );
}

#[test]
fn an_older_round_is_answered_and_not_counted() {
    elect(
        "older-round",
        member(2, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=1 zxid=0x0 round=3 epoch=0
         1 votes LOOKING leader=2 zxid=0x0 round=2 epoch=0
         time +500",
    );
}

#[test]
fn nobody_answers_and_the_interval_grows() {
    elect(
        "notification-backoff",
        member(1, 3, 0),
        &[],
        "boot
         time +199
         time +1
         time +400
         time +800",
    );
}

#[test]
fn a_lost_connection_brings_the_next_notification_forward() {
    elect(
        "lost-connection-while-looking",
        member(3, 3, 0),
        &[],
        "boot
         time +200
         time +400
         # The next would come 800 ms after the last; what 1 was sent may be lost with its connection.
         1 closes
         time +199
         time +1",
    );
}

#[test]
fn looking_joins_followers_and_leader_of_its_round() {
    elect(
        "joins-in-its-round",
        member(1, 3, 0),
        &[],
        "boot
         2 votes FOLLOWING leader=3 zxid=0x0 round=1 epoch=0
         # The leader must say so itself.
         time +50
         3 votes LEADING leader=3 zxid=0x0 round=1 epoch=0",
    );
}

#[test]
fn looking_joins_an_established_ensemble_of_another_round() {
    elect(
        "joins-an-established-ensemble",
        member(1, 3, 0),
        &[],
        "boot
         # Late joiners keep other zxids and rounds: leader and epoch must agree.
         2 votes FOLLOWING leader=3 zxid=0x100000005 round=4 epoch=2
         3 votes LEADING leader=3 zxid=0x100000009 round=9 epoch=2",
    );
}

#[test]
fn followers_alone_are_not_believed() {
    elect(
        "a-dead-leader-is-not-joined",
        member(1, 5, 0),
        &[],
        "boot
         2 votes FOLLOWING leader=5 zxid=0x0 round=4 epoch=1
         3 votes FOLLOWING leader=5 zxid=0x0 round=4 epoch=1
         4 votes FOLLOWING leader=5 zxid=0x0 round=4 epoch=1",
    );
}

/// Who led, fell and is back looks: its followers have not noticed yet.
#[test]
fn followers_of_a_former_round_make_no_leader() {
    elect(
        "led-in-a-former-round",
        member(3, 3, 0),
        &[],
        "boot
         1 votes FOLLOWING leader=3 zxid=0x0 round=4 epoch=1
         2 votes FOLLOWING leader=3 zxid=0x0 round=4 epoch=1
         time +200",
    );
}

#[test]
fn followers_of_another_epoch_do_not_agree() {
    elect(
        "another-epoch-does-not-agree",
        member(1, 3, 0),
        &[],
        "boot
         2 votes FOLLOWING leader=3 zxid=0x0 round=4 epoch=1
         3 votes LEADING leader=3 zxid=0x0 round=5 epoch=2",
    );
}

#[test]
fn old_layouts_agree_by_leader_alone() {
    elect(
        "old-layouts",
        member(1, 3, 0),
        &[],
        "boot
         # 28 bytes: the epoch is that of the zxid. 36 and 40: no configuration.
         2 votes FOLLOWING leader=3 zxid=0x100000005 round=4 epoch=2 layout=28
         3 votes LEADING leader=3 zxid=0x100000009 round=9 epoch=2",
    );
}

#[test]
fn an_old_looking_server_counts() {
    elect(
        "old-layout-looking",
        member(1, 3, 0),
        &[],
        "boot
         2 votes LOOKING leader=2 zxid=0x100000005 round=1 epoch=1 layout=28
         3 votes LOOKING leader=2 zxid=0x100000005 round=1 epoch=1 layout=36
         time +200",
    );
}

#[test]
fn a_follower_answers_those_who_look() {
    elect(
        "follower-answers",
        member(1, 3, 0),
        &[],
        "boot
         2 votes FOLLOWING leader=3 zxid=0x0 round=4 epoch=1
         3 votes LEADING leader=3 zxid=0x0 round=4 epoch=1
         2 votes LOOKING leader=2 zxid=0x0 round=9 epoch=0
         # Those who do not look need no answer.
         2 votes FOLLOWING leader=3 zxid=0x0 round=4 epoch=1",
    );
}

#[test]
fn a_leader_answers_with_its_round_and_vote() {
    elect(
        "leader-answers",
        member(3, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         2 votes LOOKING leader=2 zxid=0x0 round=8 epoch=5",
    );
}

/// Both lose their leader; the other one notices first, and repeats nothing for 200 ms.
#[test]
fn a_vote_that_came_before_we_looked_counts() {
    let until = |pause: &str| {
        format!(
            "boot
             3 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
             time +200
             leader accepts
             2 votes LOOKING leader=2 zxid=0x0 round=2 epoch=0
             time +{pause}
             leader closes
             time +200"
        )
    };
    elect("heard-before-we-looked", member(1, 3, 0), &[], &until("150"));
    // Of an election that is over, for all that we know.
    elect("heard-long-before-we-looked", member(1, 3, 0), &[], &until("250"));
}

#[test]
fn an_observer_that_looks_is_answered_in_every_state() {
    elect(
        "observer-is-answered",
        member(3, 3, 1),
        &[],
        "boot
         4 votes LOOKING leader=none round=1
         # Java's would answer our answer, for we are behind; and so on.
         4 votes LOOKING leader=none round=2
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         4 votes LOOKING leader=none round=1
         # This would be an answer to ours: Java answers again, and so on.
         4 votes OBSERVING leader=3 zxid=0x0 round=1 epoch=0",
    );
}

#[test]
fn an_observer_waits_looks_and_observes() {
    elect(
        "observer-looks",
        member(4, 3, 1),
        &[],
        "boot
         time +200
         1 votes FOLLOWING leader=3 zxid=0x0 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x0 round=1 epoch=1
         # No voter takes anything from an observer: Java's answers, and is answered in its turn.
         1 votes LOOKING leader=1 zxid=0x0 round=1 epoch=0",
    );
}

#[test]
fn votes_for_nobody_or_strangers_count_for_nothing() {
    elect(
        "invalid-votes",
        member(3, 3, 1),
        &[],
        "boot
         1 votes LOOKING leader=none round=1
         2 votes LOOKING leader=9 zxid=0x900000000 round=1 epoch=9
         1 votes LOOKING leader=4 zxid=0x900000000 round=1 epoch=9
         2 votes OBSERVING leader=3 zxid=0x0 round=1 epoch=0
         time +500",
    );
}

#[test]
fn an_emptied_disk_has_no_say() {
    elect(
        "zxid-minus-one",
        member(3, 3, 0),
        &[],
        "boot
         1 votes LOOKING leader=1 zxid=-1 round=1 epoch=0
         2 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200",
    );
}

/// Nothing is known of what it had: it has no say of its own, and may join.
#[test]
fn an_own_disk_that_is_empty() {
    elect(
        "own-disk-emptied",
        member(1, 3, 0),
        &[],
        "disk is an empty one
         boot
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +200
         2 votes FOLLOWING leader=3 zxid=0x0 round=2 epoch=1
         3 votes LEADING leader=3 zxid=0x0 round=2 epoch=1
         leader accepts
         # A zxid that counts for nothing.
         leader says LEADERINFO epoch=1",
    );
}

fn weight_zero(sid: i64) -> peer::Config {
    let mut config = member(sid, 3, 0);
    config.view.verifier = QuorumVerifier::Hierarchical {
        group_of: (1..=3).map(|id| (ServerId(id), 1)).collect(),
        weight_of: (1..=3).map(|id| (ServerId(id), if id == 3 { 0 } else { 1 })).collect(),
    };
    config
}

#[test]
fn a_server_of_weight_zero_never_wins() {
    elect(
        "weight-zero",
        weight_zero(1),
        &[],
        "boot
         3 votes LOOKING leader=3 zxid=0x900000000 round=1 epoch=9
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +200",
    );
    // It votes for itself all the same, as in Java: all hear of its round, and nobody takes that over.
    elect(
        "weight-zero-itself",
        weight_zero(3),
        &[],
        "boot
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0",
    );
}

#[test]
fn history_decides() {
    elect(
        "own-history-is-better",
        member(1, 3, 0),
        &[0x1_0000_0001, 0x1_0000_0002],
        "boot
         3 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         2 votes LOOKING leader=1 zxid=0x100000002 round=1 epoch=1
         time +200",
    );
}

#[test]
fn senseless_frames_and_hellos() {
    elect(
        "senseless-bytes",
        member(1, 3, 0),
        &[],
        "boot
         # A frame too short for a notification is ignored, the connection stays (ZOOKEEPER-3769).
         2 bytes 00 00 00 04 00 00 00 00
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         # A length that cannot be ends it.
         2 bytes ff ff ff ff
         2 votes LOOKING leader=2 zxid=0x0 round=1 epoch=0
         time +200",
    );
}

#[test]
fn a_new_connection_gets_the_last_message_again() {
    elect(
        "last-message-again",
        member(1, 3, 0),
        &[],
        "boot
         2 closes
         2 votes LOOKING leader=1 zxid=0x0 round=1 epoch=0",
    );
}
