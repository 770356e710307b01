//! Sessions: the order of what they ask, who may ask it, and how they end.

use peer::Config;

use crate::leader::{elected, established, lead};
use crate::learner::serves;
use crate::member;

/// A follower with the sessions 0x55 and 0x66 of clients 2 and 3.
fn with_two(name: &str, script: &str) {
    let two = "client 2 resumes 0x55
        leader says REVALIDATE session=0x55 valid=true
        client 3 resumes 0x66
        leader says REVALIDATE session=0x66 valid=true
        --- server 1 follows in epoch 2; client 2 has session 0x55, client 3 has session 0x66";
    serves(name, &format!("{two}\n{script}"));
}

#[test]
fn a_sync_comes_behind_what_is_committed_and_not_applied() {
    with_two(
        "sync-behind-commits",
        "client 2 syncs
         client 2 gets /a
         tasks wait
         leader says PROPOSAL 0x200000001 setData /a=1; COMMIT 0x200000001; SYNC 0x0
         tasks go on",
    );
}

#[test]
fn syncs_are_answered_in_their_order() {
    with_two(
        "syncs-in-order",
        "client 2 syncs
         client 3 syncs
         # It names nobody.
         leader says SYNC 0x0
         leader says SYNC 0x0",
    );
}

#[test]
fn all_reads_behind_a_write_go_with_it() {
    with_two(
        "reads-behind-a-write",
        "client 2 sets /a=1
         client 2 gets /a
         client 2 gets /b
         client 2 sets /b=2
         client 2 gets /b
         leader says PROPOSAL 0x200000001 setData /a=1 session=0x55 cxid=1; COMMIT 0x200000001
         leader says PROPOSAL 0x200000002 setData /b=2 session=0x55 cxid=4; COMMIT 0x200000002",
    );
}

/// What a lost connection had asked may commit; nobody waits for it, and it answers nothing else.
#[test]
fn requests_of_a_lost_connection() {
    with_two(
        "lost-connection",
        "client 2 sets /a=1
         client 2 leaves
         client 4 resumes 0x55
         leader says REVALIDATE session=0x55 valid=true
         client 4 gets /a
         client 4 sets /b=2
         leader says PROPOSAL 0x200000001 setData /a=1 session=0x55 cxid=1; COMMIT 0x200000001
         leader says PROPOSAL 0x200000002 setData /b=2 session=0x55 cxid=2; COMMIT 0x200000002",
    );
}

#[test]
fn a_client_that_has_seen_more_than_a_follower() {
    with_two("follower-behind-the-client", "client 4 saw 0x100000003\n client 5 saw 0x100000004");
}

#[test]
fn each_ping_tells_of_a_touch_once() {
    with_two(
        "touched-once",
        "leader says PING 0x200000000\n client 2 pings\n leader says PING 0x200000000\n leader says PING 0x200000000",
    );
}

#[test]
fn time_outs_have_bounds() {
    serves(
        "time-outs-have-bounds",
        "client 1 connects for 1
         leader says PROPOSAL 0x200000001 createSession timeout=1 session=0x100020000000142 cxid=0; COMMIT 0x200000001
         client 2 connects for 10000
         leader says PROPOSAL 0x200000002 createSession timeout=1 session=0x100020000000242 cxid=0; COMMIT 0x200000002
         client 3 connects for 100000000
         leader says PROPOSAL 0x200000003 createSession timeout=1 session=0x100020000000342 cxid=0; COMMIT 0x200000003",
    );
}

/// From the end that is proposed on, not from its commit on (ZOOKEEPER-1208).
#[test]
fn a_session_that_is_closing() {
    established(
        "closing-session",
        "L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         L1 asks session=0x10 cxid=1 closes
         # It writes no more (-112), and nobody takes it up.
         L1 asks session=0x10 cxid=2 sets /a=1
         L1 says REVALIDATE session=0x10 timeout=10000
         L1 says ACK 0x100000002
         L1 says ACK 0x100000003",
    );
}

#[test]
fn a_session_that_moved_is_its_new_members() {
    established(
        "moved-session",
        "L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000001 current=1
         L2 says ACK 0x100000000
         L2 says REVALIDATE session=0x10 timeout=10000
         L2 asks session=0x10 cxid=1 sets /a=1
         client 1 resumes 0x10
         # A client goes on counting its requests.
         client 1 gets /a
         client 1 gets /a
         L2 asks session=0x10 cxid=2 sets /a=2
         client 1 sets /a=3
         L1 says ACK 0x100000002
         L1 says ACK 0x100000003
         L1 says ACK 0x100000004",
    );
}

/// The time of a session begins anew with each touch, and is the whole of it.
#[test]
fn a_touched_session_lives_its_time() {
    elected(
        "touched-session",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         time +6000
         # PING, session 0x10 was touched.
         L1 bytes 00 00 00 05 00 00 00 01 00 00 00 01 00 00 00 0c 00 00 00 00 00 00 00 10 00 00 27 10 ff ff ff ff
         time +6000
         L1 says PING 0x100000001 touched=0
         time +3000
         --- server 1 opened session 0x10 of 10 s, and touched it 9 s ago
         time +2000",
    );
}

/// What the history knows of sessions a new leader knows, too: their owners may go on, and they expire.
#[test]
fn a_new_leader_knows_the_sessions() {
    let config: Config = member(3, 3, 0);
    lead(
        "sessions-of-a-new-leader",
        config,
        &[],
        "boot
         1 votes LOOKING leader=3 zxid=0x0 round=1 epoch=0
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         crash
         boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         L2 connects
         L2 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000001 current=1
         L2 says ACK 0x200000000
         --- server 3 leads anew; its history has session 0x10
         L2 says REVALIDATE session=0x10 timeout=10000
         L2 asks session=0x10 cxid=1 sets /a=1
         L2 says ACK 0x200000001",
    );
}

#[test]
fn revalidation_and_moved_sessions() {
    established(
        "revalidate",
        "L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         L1 says REVALIDATE session=0x10 timeout=10000
         L1 says REVALIDATE session=0x99 timeout=10000
         # The session moves to server 2: server 1 may not write for it any more (-118).
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x100000001 current=1
         L2 says ACK 0x100000000
         L2 says REVALIDATE session=0x10 timeout=10000
         L1 asks session=0x10 cxid=1 sets /a=1
         L1 says ACK 0x100000002",
    );
}

#[test]
fn sessions_expire_by_the_leaders_word() {
    elected(
        "session-expires",
        "L1 connects
         L1 says FOLLOWERINFO accepted=0x0 sid=1 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x0 current=0
         L1 says ACK 0x100000000
         L1 asks session=0x10 cxid=0 opens
         L1 says ACK 0x100000001
         time +5000
         L1 says PING 0x100000001 touched=0
         time +4500
         L1 says PING 0x100000001 touched=0
         --- server 1 opened session 0x10 of 10 s, 9.5 s ago
         time +1500
         L1 says ACK 0x100000002",
    );
}

/// Java does not ask who speaks: the session ends, wherever it is.
#[test]
fn closing_asks_for_no_owner() {
    established(
        "closing-asks-for-no-owner",
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         L2 says ACKEPOCH last=0x0 current=0
         L2 says ACK 0x100000000
         L1 asks session=0x55 cxid=0 opens
         L1 says ACK 0x100000001
         # The session moves to server 2.
         L2 says REVALIDATE session=0x55 timeout=10000
         L1 asks session=0x55 cxid=1 sets /a=1
         L1 asks session=0x55 cxid=2 closes
         L1 says ACK 0x100000002
         L1 says ACK 0x100000003",
    );
}

#[test]
fn a_session_is_opened_once() {
    established(
        "session-opened-once",
        "L1 asks session=0x55 cxid=0 opens
         L1 asks session=0x55 cxid=0 opens",
    );
}

/// A wall clock that is set back across a restart to the very moment at which ids were given before.
#[test]
fn session_ids_do_not_come_twice() {
    lead(
        "session-ids-after-a-clock-set-back",
        member(1, 1, 0),
        &[],
        "boot
         time +200
         --- server 1 leads alone
         client 1 connects
         client 2 connects
         client 2 closes
         time +500
         crash
         clock -700
         boot
         time +200
         client 3 connects",
    );
}
