//! The leader and its LearnerHandlers: each step of the handshake, broadcast, and what ends it.

use peer::{Config, Nanos};

use crate::script::converse;
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;

pub fn lead(name: &str, config: Config, log: &[i64], script: &str) {
    let epoch = log.last().map_or(0, |zxid| zxid >> 32);
    keep("leader", name, &converse(config, &disk(epoch, epoch, log), script));
}

/// Elected: server 3 of three, with nothing.
const ELECTED: &str = "boot
    1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
    time +200
    --- server 3 is elected";

/// Established with server 1.
const ESTABLISHED: &str = "boot
    1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
    time +200
    L1 connects
    L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
    L1 says ACKEPOCH last=0x0 current=0
    L1 says ACK 0x100000000
    L1 says ACK 0x100000000
    --- server 3 has established epoch 1 with server 1";

pub fn elected(name: &str, script: &str) {
    lead(name, member(3, 3, 0), &[], &format!("{ELECTED}\n{script}"));
}

pub fn established(name: &str, script: &str) {
    let mut config = member(3, 3, 1);
    // Half ticks are far away where they are not the matter.
    config.settings.tick_time = Nanos::from_millis(20_000);
    lead(name, config, &[], &format!("{ESTABLISHED}\n{script}"));
}

#[test]
fn the_handshake_step_by_step() {
    elected(
        "handshake",
        "disk holds its answers
         L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         # acceptedEpoch is durable first, LEADERINFO leaves afterwards.
         disk goes on
         L1 says ACKEPOCH last=0x0 current=0
         # currentEpoch is durable first, the sync and NEWLEADER leave afterwards.
         disk goes on
         L1 says ACK 0x100000000",
    );
}

#[test]
fn learners_before_and_after_the_quorum() {
    let config = member(3, 5, 1);
    lead(
        "handshake-of-five",
        config,
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         2 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         --- server 3 of five is elected; 6 is an observer
         L6 connects
         # An observer's accepted epoch raises the proposal, and counts for no quorum.
         L6 says OBSERVERINFO accepted=0x400000000 sid=6 protocol=0x10000 config=0
         L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L2 connects
         L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=0
         L6 says ACKEPOCH last=0x0 current=0
         L1 says ACKEPOCH last=0x0 current=0
         L2 says ACKEPOCH last=0x0 current=0
         L6 says ACK 0x500000000
         L1 says ACK 0x500000000
         L2 says ACK 0x500000000
         # Late, when the epoch is established.
         L4 connects
         L4 says FOLLOWERINFO accepted=0x0 sid=4 protocol=0x10000 config=0
         L4 says ACKEPOCH last=0x0 current=0
         L4 says ACK 0x500000000",
    );
}

#[test]
fn the_three_forms_of_learner_info() {
    let config = member(3, 5, 0);
    lead(
        "learner-info-forms",
        config,
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         2 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         --- server 3 of five is elected
         L1 connects
         # 20 bytes (3.5), 12 bytes (3.4); then 8 bytes and none, which are of before 1.0: refused.
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000
         L4 connects
         L4 says FOLLOWERINFO accepted=0x0 sid=4
         L5 connects
         L5 says FOLLOWERINFO accepted=0x0",
    );
}

#[test]
fn a_learner_of_before_1_0() {
    let mut config = member(3, 3, 0);
    config.settings.allow_pre_1_0 = true;
    lead(
        "learner-of-before-1-0",
        config,
        &[E1 | 1, E1 | 2],
        "boot
         1 votes LOOKING leader=3 zxid=0x100000002 round=1 epoch=1
         time +200
         --- server 3 is elected
         L1 connects
         # Its hello carries its last zxid and stands for ACKEPOCH too; NEWLEADER comes first.
         L1 says FOLLOWERINFO accepted=0x100000001 sid=1
         L1 says ACK 0x200000000
         L1 says ACK 0x200000000",
    );
}

#[test]
fn a_better_history_is_refused() {
    let log = [E1 | 1, E1 | 2];
    for (name, ack) in [
        ("learner-ahead-by-zxid", "last=0x100000003 current=1"),
        ("learner-ahead-by-epoch", "last=0x100000001 current=2"),
    ] {
        let script = format!(
            "boot
             1 votes LOOKING leader=3 zxid=0x100000002 round=1 epoch=1
             time +200
             --- server 3 is elected
             L1 connects
             L1 says FOLLOWERINFO accepted=0x200000000 sid=1 protocol=0x10000 config=0
             L1 says ACKEPOCH {ack}"
        );
        lead(name, member(3, 3, 0), &log, &script);
    }
}

#[test]
fn what_does_not_count_as_an_epoch_ack() {
    elected(
        "epoch-acks-that-do-not-count",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         # Accepted before: the promise was given to another attempt.
         L1 says ACKEPOCH last=0x0 current=-1
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         # An emptied disk.
         L2 says ACKEPOCH last=-1 current=0
         time +20000",
    );
}

#[test]
fn no_quorum_of_accepted_epochs() {
    elected("discovery-times-out", "time +19999\n time +1");
}

#[test]
fn no_quorum_of_epoch_acks() {
    elected(
        "epoch-acks-time-out",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         time +20000",
    );
}

#[test]
fn no_quorum_of_new_leader_acks() {
    elected(
        "new-leader-acks-time-out",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         time +19000
         L1 says PING 0x0 touched=0
         time +1000",
    );
}

#[test]
fn enough_followers_and_too_little_time() {
    elected(
        "enough-followers-present",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         time +15000
         # It is alive, and busy with its synchronisation.
         L1 says ACK 0x77
         time +5000",
    );
}

/// Releases with ZOOKEEPER-4685: the log acknowledges what it holds before currentEpoch is written.
#[test]
fn an_ack_that_overtakes_that_of_newleader() {
    elected(
        "ack-overtakes-that-of-newleader",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000001
         L1 says ACK 0x100000000",
    );
}

#[test]
fn a_member_with_a_later_accepted_epoch() {
    established(
        "accepted-epoch-above",
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=0",
    );
}

#[test]
fn a_learner_connects_again() {
    established(
        "connects-again",
        "L9 connects
         L9 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0",
    );
}

#[test]
fn packets_out_of_phase() {
    for (name, script) in [
        ("first-packet-is-no-hello", "L2 connects\n L2 says ACK 0x1"),
        (
            "hello-twice",
            "L2 connects\n L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0; FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0",
        ),
        (
            "ack-before-ackepoch",
            "L2 connects\n L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0\n L2 says ACK 0x100000000",
        ),
        ("proposal-from-a-learner", "L1 says PROPOSAL 0x100000001 setData /a=1"),
        ("garbage", "L2 connects\n L2 bytes 00 00 00 0b ff ff ff ff 00"),
        ("frame-too-long", "L2 connects\n L2 bytes 00 00 00 0b 00 00 00 00 00 00 00 00 7f ff ff ff"),
        ("own-sid", "L2 connects\n L2 says FOLLOWERINFO accepted=0x0 sid=3 protocol=0x10000 config=0"),
        ("closes-early", "L2 connects\n L2 closes"),
    ] {
        established(&format!("bad-{name}"), script);
    }
}

#[test]
fn broadcast() {
    established(
        "broadcast",
        "client 1 connects
         # createSession is a transaction like others: its own log and one follower are a quorum.
         L1 says ACK 0x100000001
         disk holds its answers
         client 1 sets /a=1
         client 1 sets /a=2
         # The follower alone is no quorum of three.
         L1 says ACK 0x100000002
         disk goes on
         L1 says ACK 0x100000003
         client 1 gets /a",
    );
}

/// An ACK as far from what is outstanding as can be.
#[test]
fn a_hostile_ack() {
    established(
        "bad-ack-of-the-least-zxid",
        "client 1 connects
         L1 bytes 00 00 00 03 80 00 00 00 00 00 00 01 ff ff ff ff ff ff ff ff
         L1 says ACK 0x100000001",
    );
}

/// A snapshot that takes longer than initLimit: the answer is waited for from its end on.
#[test]
fn a_long_snapshot() {
    elected(
        "snapshot-longer-than-init-limit",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         time +9000
         L1 says PING 0x100000000 touched=0
         tasks wait
         L2 says ACKEPOCH last=0x0 current=0
         --- server 2 is sent a snapshot, 9 s after its hello
         tasks go on
         time +9000
         L1 says PING 0x100000000 touched=0
         time +9000
         L2 says ACK 0x100000000",
    );
}

#[test]
fn commits_are_in_order() {
    established(
        "commit-order",
        "client 1 connects
         L1 says ACK 0x100000001
         client 1 sets /a=1
         client 1 sets /a=2
         # The later one has its quorum first: it waits.
         L1 says ACK 0x100000003
         L1 says ACK 0x100000002",
    );
}

#[test]
fn acks_that_mean_nothing() {
    established(
        "acks-that-mean-nothing",
        "L1 says ACK 0x100000000
         L1 says ACK 0x100000005
         L1 says ACK 0x1
         L1 says ACK 0x100000005",
    );
}

#[test]
fn an_observer_gets_inform_and_never_counts() {
    established(
        "observer",
        "L4 connects
         L4 says OBSERVERINFO accepted=0x0 sid=4 protocol=0x10000 config=0
         L4 says ACKEPOCH last=0x0 current=0
         L4 says ACK 0x100000000
         client 1 connects
         # Its ACK counts for nothing.
         L4 says ACK 0x100000001
         L1 says ACK 0x100000001",
    );
}

/// It hears of what is committed, and of nothing before.
#[test]
fn what_is_outstanding_does_not_go_to_an_observer() {
    established(
        "outstanding-and-an-observer",
        "L1 asks session=0x10 cxid=0 opens
         L4 connects
         L4 says OBSERVERINFO accepted=0x0 sid=4 protocol=0x10000 config=0
         L4 says ACKEPOCH last=0x0 current=0
         L4 says ACK 0x100000000
         L1 says ACK 0x100000001",
    );
}

#[test]
fn what_is_outstanding_goes_to_a_learner_that_joins() {
    established(
        "outstanding-is-forwarded",
        "client 1 connects
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000000 current=1
         L2 says ACK 0x100000000
         L2 says ACK 0x100000001",
    );
}

#[test]
fn what_is_committed_and_not_applied_goes_to_a_learner_that_joins() {
    established(
        "to-be-applied-is-forwarded",
        "client 1 connects
         tasks wait
         L1 says ACK 0x100000001
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000000 current=1
         tasks go on",
    );
}

/// The committed log has it already: it must not be sent twice.
#[test]
fn what_the_synchronisation_sent_is_not_forwarded_again() {
    established(
        "nothing-is-forwarded-twice",
        "client 1 connects
         L1 says ACK 0x100000001
         client 1 sets /a=1
         L1 says ACK 0x100000002
         client 1 sets /a=2
         tasks wait
         L1 says ACK 0x100000003
         # Proposed, and not committed: forwarded.
         client 1 sets /a=3
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000001 current=1
         tasks go on",
    );
}

#[test]
fn acknowledgements_of_a_former_connection_are_forgotten() {
    established(
        "old-acks-are-forgotten",
        "disk holds its answers
         client 1 connects
         L1 says ACK 0x100000001
         L1 closes
         L9 connects
         L9 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
         L9 says ACKEPOCH last=0x100000000 current=1
         # The leader's own ACK comes: the other one was of a log that may be cut.
         disk goes on
         L9 says ACK 0x100000000
         L9 says ACK 0x100000001",
    );
}

#[test]
fn forwarded_requests_and_sync() {
    established(
        "requests-and-sync",
        "L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         L1 asks session=0x10 cxid=1 sets /a=1
         # SYNC is answered behind the COMMIT of what was proposed before it.
         L1 asks session=0x10 cxid=2 syncs
         L1 says ACK 0x100000002
         L1 asks session=0x10 cxid=3 syncs
         # Unknown operations become error transactions.
         L1 asks session=0x10 cxid=4 deletes
         L1 says ACK 0x100000003
         L1 asks session=0x10 cxid=5 closes
         L1 says ACK 0x100000004
         L1 asks session=0x10 cxid=6 sets /a=2
         L1 says ACK 0x100000005",
    );
}

#[test]
fn pings_every_half_tick() {
    elected(
        "pings",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         # PINGs begin with the synchronisation.
         time +1000
         L1 says ACK 0x100000000
         time +1000
         L1 says PING 0x100000000 touched=0
         time +1000
         L1 says PING 0x100000000 touched=1",
    );
}

#[test]
fn a_silent_learner_ends_the_quorum() {
    elected(
        "steps-down-without-a-quorum",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         # syncLimit is five ticks of two seconds.
         time +9000
         --- epoch 1 is established, server 1 is silent for 9 s
         time +1000
         time +1000
         time +2000",
    );
}

/// The read time-out begins anew with every byte, the count of live learners with every packet.
#[test]
fn half_a_packet_is_no_sign_of_life() {
    elected(
        "half-a-packet",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         time +9000
         L1 bytes 00
         --- epoch 1 is established, server 1 sends half a packet in 9 s
         # syncLimit is five ticks of two seconds: the sixth is too late.
         time +1000
         time +1000
         time +1000",
    );
}

#[test]
fn a_learner_that_does_not_acknowledge() {
    elected(
        "no-ack-within-sync-limit",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         client 1 connects
         time +5000
         L1 says PING 0x100000000 touched=0
         time +4000
         L1 says PING 0x100000000 touched=0
         --- epoch 1 is established, server 1 answers PINGs and acknowledges nothing for 9 s
         time +1000",
    );
}

#[test]
fn the_counter_comes_to_its_end() {
    let mut config = member(3, 3, 0);
    config.settings.initial_zxid = Some(u32::MAX - 3);
    lead(
        "roll-over",
        config,
        &[],
        &format!(
            "{ESTABLISHED}
             client 1 connects
             L1 says ACK 0x1fffffffd
             client 1 sets /a=1
             L1 says ACK 0x1fffffffe
             client 1 sets /a=2"
        ),
    );
}

#[test]
fn a_leader_that_serves_no_clients() {
    let mut config = member(3, 3, 0);
    config.settings.leader_serves = false;
    lead("leader-serves-no", config, &[], &format!("{ESTABLISHED}\n client 1 connects"));
}

#[test]
fn a_client_that_has_seen_more() {
    established("client-ahead", "client 1 saw 0x100000007");
}

#[test]
fn the_disk_fails() {
    established(
        "disk-fails",
        "disk fails
         client 1 connects",
    );
}

#[test]
fn nothing_of_the_role_is_left() {
    established(
        "leaves-nothing-behind",
        "client 1 connects
         L1 says ACK 0x100000001
         disk holds its answers
         client 1 sets /a=1
         # The quorum is lost while an operation is with the disk.
         L2 connects
         L2 says FOLLOWERINFO accepted=0x300000000 sid=2 protocol=0x10000 config=0
         # Until its answer came, the member does not vote.
         1 votes LOOKING leader=1 zxid=0x0 round=2 epoch=0
         disk goes on
         disk goes on
         1 votes LOOKING leader=1 zxid=0x0 round=2 epoch=0",
    );
}

#[test]
fn a_snapshot_goes_out_in_slices_behind_it_the_queue() {
    let mut config = member(3, 3, 0);
    config.settings.tick_time = Nanos::from_millis(20_000);
    config.settings.snapshot_slice = 60;
    config.settings.commit_log_count = 1;
    lead(
        "snapshot-in-slices",
        config,
        &[],
        &format!(
            "{ESTABLISHED}
             client 1 connects
             L1 says ACK 0x100000001
             client 1 sets /a=1
             L1 says ACK 0x100000002
             client 1 sets /b=2
             L1 says ACK 0x100000003
             L2 connects
             L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
             tasks wait
             L2 says ACKEPOCH last=0x0 current=0
             # Proposed while the snapshot is on its way: behind it in the queue.
             client 1 sets /c=3
             L1 says ACK 0x100000004
             tasks go on
             L2 says ACK 0x100000000"
        ),
    );
}

#[test]
fn a_read_that_is_forwarded_is_ignored() {
    established(
        "forwarded-read-ignored",
        "L1 asks session=0x55 cxid=0 opens
         L1 says ACK 0x100000001
         L1 asks session=0x55 cxid=1 gets /a",
    );
}

/// A hello cannot lead the ensemble to its last epoch: it costs a step of 2^20, and others are led.
#[test]
fn epochs_are_not_burnt() {
    elected(
        "epochs-are-not-burnt",
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x7ffffffe00000000 sid=2 protocol=0x10000 config=0
         L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x10000000000000
         # Established: it does not yield to what the next election could not reach.
         L2 closes
         L2 connects
         L2 says FOLLOWERINFO accepted=0x7ffffffe00000000 sid=2 protocol=0x10000 config=0
         # But to what it could.
         L4 connects
         L4 says FOLLOWERINFO accepted=0x10000100000000 sid=2 protocol=0x10000 config=0",
    );
}
