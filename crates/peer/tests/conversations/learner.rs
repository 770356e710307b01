//! The learner: find the leader, register, synchronise, follow or observe; and what ends it.

use peer::{Config, Nanos};

use crate::script::converse;
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;
const LOG: [i64; 3] = [E1 | 1, E1 | 2, E1 | 3];

fn learn(name: &str, config: Config, epochs: (i64, i64), log: &[i64], script: &str) {
    keep("learner", name, &converse(config, &disk(epochs.0, epochs.1, log), script));
}

/// Server 1 of three follows server 3.
pub fn follows(name: &str, script: &str) {
    follows_as(name, member(1, 3, 0), script);
}

fn follows_as(name: &str, config: Config, script: &str) {
    let script = format!(
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         --- server 1 has elected server 3; its log: 0x100000001 to 0x100000003, epochs 1 and 1
         {script}"
    );
    learn(name, config, (1, 1), &LOG, &script);
}

/// Four of the dials, each a wait of 100 ms after the one before.
const DIALS_OF_JAVA: &str = "time +99
    time +1
    leader refuses
    time +100
    leader refuses
    time +100
    leader refuses
    time +100
    leader refuses";

const REGISTERED: &str = "leader accepts
    leader says LEADERINFO epoch=2
    --- server 1 has accepted epoch 2; its log: 0x100000001 to 0x100000003";

fn synchronises(name: &str, script: &str) {
    follows(name, &format!("{REGISTERED}\n{script}"));
}

const SERVING: &str = "leader accepts
    leader says LEADERINFO epoch=2
    leader says DIFF 0x100000003
    leader says NEWLEADER 0x200000000
    leader says UPTODATE
    --- server 1 follows server 3 in epoch 2; its log: 0x100000001 to 0x100000003";

pub fn serves(name: &str, script: &str) {
    follows(name, &format!("{SERVING}\n{script}"));
}

#[test]
fn the_handshake_step_by_step() {
    follows(
        "handshake",
        "disk holds its answers
         leader accepts
         leader says LEADERINFO epoch=2
         # acceptedEpoch is durable first, ACKEPOCH leaves afterwards.
         disk goes on
         leader says DIFF 0x100000005; PROPOSAL 0x100000004 setData /a=1; COMMIT 0x100000004; NEWLEADER 0x200000000
         # The history is durable, then currentEpoch, then the ACK of NEWLEADER leaves.
         disk goes on
         disk goes on
         leader says UPTODATE",
    );
}

#[test]
fn dials_that_fail() {
    let script = format!(
        "leader refuses
         time +9
         time +1
         leader refuses
         time +20
         leader refuses
         time +40
         leader refuses
         time +80
         leader refuses
         # From here on as Java.
         {DIALS_OF_JAVA}"
    );
    follows("dials-that-fail", &script);
}

/// A transaction of another state machine is logged when the role ends, and not applied. The state that it leaves is
/// not whole: learners will be sent the snapshot that was loaded, and so one is.
#[test]
fn a_foreign_tail_is_loaded() {
    serves(
        "foreign-tail",
        "leader bytes 00 00 00 02 00 00 00 02 00 00 00 01 00 00 00 20 00 00 00 00 00 00 00 77 00 00 00 01 00 00 00 02 \
         00 00 00 01 00 00 00 00 00 0f 42 40 00 00 00 01 ff ff ff ff
         leader closes",
    );
}

/// Java's: the same wait each time. So it is as well where releases are played.
#[test]
fn dials_that_fail_as_javas() {
    let mut javas = member(1, 3, 0);
    javas.settings.connect_first_retry = Nanos::ZERO;
    follows_as("five-tries", javas, &format!("leader refuses\n{DIALS_OF_JAVA}"));
}

#[test]
fn a_dial_that_is_never_answered() {
    follows("dial-never-answered", "time +19999\n time +1");
}

#[test]
fn a_leader_that_says_nothing() {
    follows("leader-says-nothing", "leader accepts\n time +19999\n time +1");
}

#[test]
fn epochs_of_leader_info() {
    follows("epoch-above", "leader accepts\n leader says LEADERINFO epoch=7");
    // Accepted before: the promise must not count twice.
    follows("epoch-equal", "leader accepts\n leader says LEADERINFO epoch=1");
    follows("epoch-below", "leader accepts\n leader says LEADERINFO epoch=0");
}

#[test]
fn diff() {
    synchronises(
        "diff",
        "leader says DIFF 0x100000005
         leader says PROPOSAL 0x100000004 setData /a=1; COMMIT 0x100000004
         leader says PROPOSAL 0x100000005 setData /a=2; COMMIT 0x100000005
         # PINGs are not answered while synchronising.
         leader says PING 0x100000005
         # Outstanding at the leader: queued, acknowledged after UPTODATE.
         leader says PROPOSAL 0x200000001 setData /a=3
         leader says NEWLEADER 0x200000000
         leader says UPTODATE
         leader says COMMIT 0x200000001
         client 1 connects",
    );
}

#[test]
fn trunc() {
    synchronises(
        "trunc",
        "disk holds its answers
         leader says TRUNC 0x100000002; NEWLEADER 0x200000000
         # Nothing else is read until the log is cut.
         disk goes on
         disk goes on
         leader says UPTODATE",
    );
}

#[test]
fn trunc_then_diff() {
    synchronises(
        "trunc-then-diff",
        "leader says TRUNC 0x100000002; PROPOSAL 0x100000003 setData /a=1; COMMIT 0x100000003; NEWLEADER 0x200000000
         leader says UPTODATE",
    );
}

#[test]
fn trunc_to_the_beginning_of_an_epoch() {
    synchronises("trunc-to-an-epochs-beginning", "leader says TRUNC 0x100000000; NEWLEADER 0x200000000");
}

#[test]
fn trunc_to_what_is_not_there() {
    // The same leader again, with the zxid that no history holds: it answers with a snapshot.
    synchronises(
        "trunc-fails",
        "leader says TRUNC 0x77
         leader accepts
         leader says LEADERINFO epoch=2
         leader says SNAP 0x77
         leader sends snapshot /a=1
         leader says NEWLEADER 0x200000000
         leader says UPTODATE
         client 1 resumes 0x55
         disk shows its files",
    );
    // A leader that began anew counts what is stated: the true zxid.
    synchronises(
        "trunc-fails-then-another-epoch",
        "leader says TRUNC 0x77
         leader refuses
         time +100
         leader accepts
         leader says LEADERINFO epoch=3
         leader says TRUNC 0x77
         leader accepts
         leader says LEADERINFO epoch=3
         leader says SNAP 0x77",
    );
    // Told to truncate what is not there, again: nothing will help.
    synchronises(
        "trunc-fails-twice",
        "leader says TRUNC 0x77
         leader accepts
         leader says LEADERINFO epoch=2
         leader says TRUNC 0x77",
    );
}

#[test]
fn snap() {
    synchronises(
        "snap",
        "disk holds its answers
         leader says SNAP 0x100000008
         leader sends snapshot /a=1 /b=2
         leader says PROPOSAL 0x100000009 setData /a=2; COMMIT 0x100000009; NEWLEADER 0x200000000
         # The snapshot is durable beside the old history, then currentEpoch, then the ACK.
         disk goes on
         disk goes on
         leader says UPTODATE
         client 1 connects",
    );
}

#[test]
fn a_snap_that_breaks_off() {
    synchronises(
        "snap-breaks-off",
        "leader says SNAP 0x100000008
         leader closes
         # What came of it is forgotten: memory is what the disk holds.
         time +200",
    );
}

#[test]
fn a_snap_that_is_no_snapshot() {
    synchronises(
        "snap-is-garbage",
        "leader says SNAP 0x100000008
         leader bytes ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff",
    );
}

#[test]
fn commits_between_newleader_and_uptodate() {
    synchronises(
        "commit-before-uptodate",
        "leader says DIFF 0x100000003; PROPOSAL 0x200000001 setData /a=1; NEWLEADER 0x200000000
         leader says COMMIT 0x200000001
         leader says PROPOSAL 0x200000002 setData /a=2
         leader says UPTODATE
         leader says COMMIT 0x200000002",
    );
}

#[test]
fn what_is_refused_while_synchronising() {
    for (name, script) in [
        (
            "gap",
            "leader says DIFF 0x100000003; PROPOSAL 0x200000001 setData /a=1; PROPOSAL 0x200000003 setData /a=1",
        ),
        ("gap-behind-the-own-history", "leader says DIFF 0x100000005; PROPOSAL 0x100000005 setData /a=1"),
        ("commit-of-nothing", "leader says DIFF 0x100000003; COMMIT 0x100000004"),
        (
            "commit-out-of-order",
            "leader says DIFF 0x100000003; PROPOSAL 0x200000001 setData /a=1; PROPOSAL 0x200000002 setData /a=1; COMMIT 0x200000002",
        ),
        ("uptodate-before-newleader", "leader says DIFF 0x100000003; UPTODATE"),
        ("newleader-of-another-epoch", "leader says DIFF 0x100000003; NEWLEADER 0x300000000"),
        ("newleader-twice", "leader says DIFF 0x100000003; NEWLEADER 0x200000000; NEWLEADER 0x200000000"),
        ("newleader-before-a-mode", "leader says NEWLEADER 0x200000000"),
        ("proposal-before-a-mode", "leader says PROPOSAL 0x200000001 setData /a=1"),
    ] {
        synchronises(&format!("bad-{name}"), script);
    }
    follows("bad-diff-before-leaderinfo", "leader accepts\n leader says DIFF 0x100000003");
    follows("bad-protocol", "leader accepts\n leader says LEADERINFO epoch=2 protocol=1");
    follows("bad-leader-of-before-1-0", "leader accepts\n leader says NEWLEADER 0x200000000");
    follows("bad-garbage", "leader accepts\n leader bytes 00 00 00 11 00 00 00 02 00 00 00 00 7f ff ff ff");
}

#[test]
fn a_leader_of_before_1_0() {
    let mut config = member(1, 3, 0);
    config.settings.allow_pre_1_0 = true;
    learn(
        "leader-of-before-1-0",
        config,
        (1, 1),
        &LOG,
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         --- server 1 has elected server 3; its log: 0x100000001 to 0x100000003, epochs 1 and 1
         # No LEADERINFO: its first packet is NEWLEADER, there is no ACKEPOCH.
         leader says NEWLEADER 0x200000000
         leader says DIFF 0x100000004; PROPOSAL 0x100000004 setData /a=1; COMMIT 0x100000004
         leader says UPTODATE
         leader says PROPOSAL 0x200000001 setData /a=2",
    );
}

/// It knows no LEADERINFO, so NEWLEADER is where its epoch is looked at.
#[test]
fn a_leader_of_before_1_0_with_a_lower_epoch() {
    let mut config = member(1, 3, 0);
    config.settings.allow_pre_1_0 = true;
    learn(
        "leader-of-before-1-0-below",
        config,
        (5, 1),
        &LOG,
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         leader accepts
         --- server 1 has elected server 3; it accepted epoch 5
         leader says NEWLEADER 0x200000000",
    );
}

#[test]
fn broadcast() {
    serves(
        "broadcast",
        "disk holds its answers
         leader says PROPOSAL 0x200000001 setData /a=1
         # Durable first, the ACK leaves afterwards.
         disk goes on
         # COMMIT may come before the own log is durable.
         leader says PROPOSAL 0x200000002 setData /a=2
         leader says COMMIT 0x200000001; COMMIT 0x200000002
         disk goes on",
    );
}

#[test]
fn group_commit() {
    serves(
        "group-commit",
        "disk holds its answers
         leader says PROPOSAL 0x200000001 setData /a=1
         leader says PROPOSAL 0x200000002 setData /a=2; PROPOSAL 0x200000003 setData /a=3
         disk goes on
         disk goes on",
    );
}

/// `maxBatchSize`: what does not fit waits for the next fsync.
#[test]
fn a_group_commit_has_a_size() {
    let mut config = member(1, 3, 0);
    config.settings.max_batch_size = 2;
    learn(
        "group-commits-of-two",
        config,
        (1, 1),
        &LOG,
        &format!(
            "boot
             2 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
             3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
             {SERVING}
             disk holds its answers
             tasks wait
             leader says PROPOSAL 0x200000001 setData /a=1; PROPOSAL 0x200000002 setData /a=2
             leader says PROPOSAL 0x200000003 setData /a=3; PROPOSAL 0x200000004 setData /a=4
             leader says PROPOSAL 0x200000005 setData /a=5
             tasks go on
             disk goes on
             disk goes on
             disk goes on"
        ),
    );
}

#[test]
fn out_of_the_expected_order() {
    serves(
        "gaps-in-broadcast",
        "leader says PROPOSAL 0x200000001 setData /a=1
         # A hole must not reach the log.
         leader says PROPOSAL 0x200000003 setData /a=1",
    );
    serves(
        "commits-out-of-order",
        "# A COMMIT of nothing is ignored; of another than the head it is fatal.
         leader says COMMIT 0x200000009
         leader says PROPOSAL 0x200000004 setData /a=1; PROPOSAL 0x200000005 setData /a=1
         leader says COMMIT 0x200000005",
    );
}

#[test]
fn pings() {
    serves(
        "pings",
        "leader says PING 0x200000000
         client 1 connects
         leader says PROPOSAL 0x200000001 createSession timeout=10000 session=0x100020000000142; COMMIT 0x200000001
         client 1 pings
         leader says PING 0x200000001",
    );
}

/// Late joiners hear the epoch that is established, not that of the vote (ZOOKEEPER-1732).
#[test]
fn who_looks_is_told_the_established_epoch() {
    serves("answers-with-its-epoch", "2 votes LOOKING leader=2 zxid=0x0 round=9 epoch=0");
}

#[test]
fn clients_of_a_follower() {
    serves(
        "clients",
        "client 1 connects
         leader says PROPOSAL 0x200000001 createSession timeout=10000 session=0x100020000000142 cxid=0; COMMIT 0x200000001
         client 2 resumes 0x55
         leader says REVALIDATE session=0x55 valid=true
         client 3 resumes 0x66
         leader says REVALIDATE session=0x66 valid=false
         # Writes are forwarded; reads of the session wait for them.
         client 2 sets /a=1
         client 2 gets /a
         leader says PROPOSAL 0x200000002 setData /a=1 session=0x55 cxid=1
         leader says COMMIT 0x200000002
         client 2 syncs
         client 2 gets /a
         leader says SYNC 0x0
         client 2 leaves",
    );
}

#[test]
fn what_ends_it() {
    serves(
        "leader-is-gone",
        "client 2 resumes 0x55\n leader says REVALIDATE session=0x55 valid=true\n leader closes\n time +200",
    );
    serves("read-time-out", "time +9999\n time +1");
    serves("disk-fails", "disk fails\n leader says PROPOSAL 0x200000001 setData /a=1");
    // A PROPOSAL without its transaction must not reach the log, nor be acknowledged.
    serves(
        "bad-proposal-without-header",
        "leader bytes 00 00 00 02 00 00 00 02 00 00 00 01 00 00 00 00 ff ff ff ff",
    );
    serves("bad-diff-in-broadcast", "leader says DIFF 0x200000000");
    serves("bad-snap-in-broadcast", "leader says SNAP 0x200000000");
    serves("bad-newleader-in-broadcast", "leader says NEWLEADER 0x200000000");
    serves("bad-uptodate-in-broadcast", "leader says UPTODATE");
}

#[test]
fn a_completion_of_the_old_role_is_swallowed() {
    serves(
        "leaves-nothing-behind",
        "disk holds its answers
         leader says PROPOSAL 0x200000001 setData /a=1
         leader closes
         # The log lane is waited for; then the disk is read, and the member votes with what it holds.
         disk goes on
         disk goes on",
    );
}

#[test]
fn crashes_between_the_steps_of_the_synchronisation() {
    // Recovery cuts what stands above currentEpoch: it was never acknowledged.
    synchronises(
        "crash-before-current-epoch",
        "disk holds its answers
         leader says DIFF 0x200000001; PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001; NEWLEADER 0x200000000
         disk goes on
         crash
         disk is free
         boot",
    );
    synchronises(
        "crash-after-current-epoch",
        "disk holds its answers
         leader says DIFF 0x200000001; PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001; NEWLEADER 0x200000000
         disk goes on
         disk goes on
         crash
         disk is free
         boot",
    );
    synchronises(
        "crash-with-an-install-pending",
        "disk holds its answers
         leader says SNAP 0x200000008
         leader sends snapshot /a=1
         leader says NEWLEADER 0x200000000
         disk goes on
         crash
         disk is free
         boot",
    );
    synchronises(
        "crash-after-an-install",
        "disk holds its answers
         leader says SNAP 0x200000008
         leader sends snapshot /a=1
         leader says NEWLEADER 0x200000000
         disk goes on
         disk goes on
         crash
         disk is free
         boot",
    );
}

/// Server 4, an observer of three voters.
fn observes(name: &str, script: &str) {
    let script = format!(
        "boot
         time +200
         1 votes FOLLOWING leader=3 zxid=0x100000003 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000003 round=1 epoch=1
         --- observer 4 has found server 3; its log: 0x100000001 to 0x100000003
         {script}"
    );
    learn(name, member(4, 3, 1), (1, 1), &LOG, &script);
}

#[test]
fn an_observer() {
    observes(
        "observer",
        "leader accepts
         leader says LEADERINFO epoch=2
         leader says DIFF 0x100000004; PROPOSAL 0x100000004 setData /a=1; COMMIT 0x100000004
         leader says NEWLEADER 0x200000000
         # What is informed between NEWLEADER and UPTODATE is applied after it.
         leader says INFORM 0x200000001 setData /a=2
         leader says UPTODATE
         leader says INFORM 0x200000002 setData /a=3
         leader says PING 0x200000002
         client 2 resumes 0x55",
    );
}

#[test]
fn an_observer_and_what_was_never_committed() {
    observes(
        "observer-old-proposal",
        "leader accepts
         leader says LEADERINFO epoch=2
         leader says DIFF 0x100000003; NEWLEADER 0x200000000
         leader says PROPOSAL 0x200000001 setData /a=2
         leader says UPTODATE
         leader says COMMIT 0x200000001",
    );
}

/// Who a client is goes with everything that it asks of the leader; empty, not null, where nobody knows.
#[test]
fn requests_carry_who_the_client_is() {
    serves(
        "requests-carry-auth-ids",
        "client 1 connects as ip:10.0.0.9
         leader says PROPOSAL 0x200000001 createSession timeout=10000 session=0x100020000000142; COMMIT 0x200000001
         client 1 is digest:me
         client 1 is digest:me
         client 1 sets /a=1
         client 1 syncs
         client 2 resumes 0x55
         leader says REVALIDATE session=0x55 valid=true
         client 2 sets /b=1",
    );
}

/// What is no write is answered here, known or not; all writes go to the leader.
#[test]
fn reads_are_answered_here() {
    serves(
        "reads-are-answered-here",
        "client 1 resumes 0x55
         leader says REVALIDATE session=0x55 valid=true
         client 1 exists /a
         client 1 lists /
         client 1 type 6
         client 1 type 104
         client 1 type 999
         client 1 type -11
         client 2 resumes 0x56
         leader says REVALIDATE session=0x56 valid=true
         client 2 type 1
         client 2 type 15
         client 2 type 21
         client 2 type 19
         client 2 type 2
         client 2 type 20
         client 2 type 5
         client 2 type 16
         client 2 type 7
         client 2 type 14
         client 2 type 13
         # Behind the session's writes, as every read.
         client 2 exists /a",
    );
}

/// The leader would close the learner's connection over it.
#[test]
fn a_request_above_jute_maxbuffer() {
    serves(
        "request-above-jute-maxbuffer",
        "client 1 resumes 0x55
         leader says REVALIDATE session=0x55 valid=true
         client 1 sends 1048567
         client 1 sends 1048568
         # Its connection is over.
         client 1 gets /a",
    );
}
