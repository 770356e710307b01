//! A member beside Java servers, whose history is a data tree: what it is sent it keeps as it came, what
//! others need it sends as it lies on its disk, and it adds nothing but the sessions.

use peer::Nanos;
use storage::MemFs;

use crate::script::{converse, converse_on};
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;

/// Server 1 of three has accepted epoch 2 of server 3, whose history is that of a Java server.
fn learns(name: &str, script: &str) {
    let script = format!(
        "boot
         2 votes FOLLOWING leader=3 zxid=0x100000070 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000070 round=1 epoch=1
         leader accepts
         leader says LEADERINFO epoch=2
         --- server 1 has accepted epoch 2; its log: 0x100000001 to 0x100000003
         disk holds its answers
         leader says SNAP 0x10000006e
         leader sends what Java sent
         {script}"
    );
    let log = [E1 | 1, E1 | 2, E1 | 3];
    keep("java-tree", name, &converse(member(1, 3, 0), &disk(1, 1, &log), &script));
}

const COMMITTED: &str = "leader says PROPOSAL 0x10000006f createSession timeout=10000 session=0x77
    leader says COMMIT 0x10000006f
    leader says PROPOSAL 0x100000070 setData /a=2; COMMIT 0x100000070
    # Outstanding.
    leader says PROPOSAL 0x200000001 setData /a=3
    leader says NEWLEADER 0x200000000";

#[test]
fn a_snapshot_of_a_java_leader_is_kept_as_it_came() {
    learns(
        "snap",
        &format!(
            "{COMMITTED}
             # Durable beside the older history: the snapshot and, behind it, what was committed since.
             disk goes on
             disk shows its files
             disk goes on
             disk shows its files
             disk keeps in snapshot.10000006e what Java sent
             disk is free
             leader says UPTODATE
             leader says COMMIT 0x200000001
             disk shows its files
             crash
             boot"
        ),
    );
}

#[test]
fn crashes_between_the_steps() {
    let crash = "disk shows its files\n crash\n disk is free\n boot\n disk shows its files";
    // Slices of a snapshot that nobody finished.
    learns("crash-before-newleader", &format!("disk is free\n{crash}"));
    learns("crash-before-the-install", &format!("{COMMITTED}\n{crash}"));
    learns("crash-before-current-epoch", &format!("{COMMITTED}\n disk goes on\n{crash}"));
    learns("crash-after-current-epoch", &format!("{COMMITTED}\n disk goes on\n disk goes on\n{crash}"));
}

#[test]
fn a_leader_that_goes_away_amid_its_snapshot() {
    learns("leader-goes-amid-the-snapshot", "leader closes\n disk is free\n disk shows its files");
}

/// What is left in a directory of 3.8.0 when all but the newest snapshot and log is taken away: a
/// snapshot at 0x100000071 and five transactions behind it, of which two are in the log's last file.
fn java_directory() -> MemFs {
    macro_rules! file {
        ($name:literal) => {
            (
                $name,
                &include_bytes!(concat!("../../../storage/tests/vectors/datadirs/3.8.0-rolled/", $name))[..],
            )
        };
    }
    let mut fs = MemFs::default();
    for (name, bytes) in [
        ("acceptedEpoch", &b"1"[..]),
        ("currentEpoch", b"1"),
        file!("log.100000042"),
        file!("log.100000074"),
        file!("snapshot.100000071"),
    ] {
        fs.files.insert(name.into(), bytes.to_vec());
    }
    fs
}

/// Server 5 of five leads; servers 1, 2 and 4 have all that it has. Two transactions are in memory.
fn leads(name: &str, script: &str) {
    leads_with(name, 2, script);
}

fn leads_with(name: &str, commit_log_count: usize, script: &str) {
    let mut config = member(5, 5, 0);
    config.settings.tick_time = Nanos::from_millis(20_000);
    config.settings.commit_log_count = commit_log_count;
    config.settings.snapshot_slice = 6000;
    let mut before = String::from("boot\n");
    for sid in [1, 2, 4] {
        before += &format!("{sid} votes LOOKING leader=5 zxid=0x100000076 round=1 epoch=1\n");
    }
    before += "time +200\n";
    for say in [
        "connects",
        "says FOLLOWERINFO accepted=0x100000000 sid=SID protocol=0x10000 config=0",
        "says ACKEPOCH last=0x100000076 current=1",
        "says ACK 0x200000000",
        "says ACK 0x200000000",
    ] {
        for sid in [1, 2, 4] {
            before += &format!("L{sid} {}\n", say.replace("SID", &sid.to_string()));
        }
    }
    let script = format!(
        "{before}
         --- server 5 has established epoch 2 with servers 1, 2 and 4; its history is a Java server's
         {script}"
    );
    keep("java-tree", name, &converse_on(config, java_directory(), &script));
}

/// An empty disk joins, behind all that the committed log in memory has.
const JOINS: &str = "L3 connects
    L3 says FOLLOWERINFO accepted=0x0 sid=3 protocol=0x10000 config=0";

#[test]
fn the_stored_snapshot_and_the_log_behind_it() {
    leads(
        "stored-snapshot",
        &format!(
            "{JOINS}
             L3 says ACKEPOCH last=0x0 current=0
             L3 says ACK 0x200000000"
        ),
    );
}

/// Behind the snapshot come five: one is not in memory, or all are.
#[test]
fn where_memory_and_the_stored_snapshot_meet() {
    for (name, in_memory) in [("stored-snapshot-and-a-gap", 4), ("stored-snapshot-and-no-gap", 5)] {
        let joins = format!("{JOINS}\n L3 says ACKEPOCH last=0x0 current=0");
        leads_with(name, in_memory, &joins);
    }
}

#[test]
fn what_is_committed_and_proposed_while_the_disk_is_read() {
    leads(
        "stored-snapshot-under-load",
        &format!(
            "{JOINS}
             disk holds its answers
             L3 says ACKEPOCH last=0x0 current=0
             disk goes on
             # While the snapshot is read.
             client 1 connects
             L1 says ACK 0x200000001
             L2 says ACK 0x200000001
             L4 says ACK 0x200000001
             disk goes on
             disk goes on
             disk goes on
             # While the log is read: more than the committed log in memory holds, so it is read again.
             client 2 connects
             client 3 connects
             L1 says ACK 0x200000002; ACK 0x200000003
             L2 says ACK 0x200000002; ACK 0x200000003
             L4 says ACK 0x200000002; ACK 0x200000003
             # Outstanding at the end.
             client 4 connects
             disk is free
             L3 says ACK 0x200000000"
        ),
    );
}

#[test]
fn a_snapshot_that_rotted_is_not_sent_whole() {
    leads(
        "stored-snapshot-rotted",
        &format!("{JOINS}\n disk rots in snapshot.100000071\n L3 says ACKEPOCH last=0x0 current=0"),
    );
}

/// Sessions open and close; everything else is refused, by a transaction.
#[test]
fn what_it_proposes() {
    leads(
        "proposes",
        "client 1 connects
         L1 says ACK 0x200000001
         L2 says ACK 0x200000001
         client 1 sets /a=1
         L1 says ACK 0x200000002
         L2 says ACK 0x200000002
         client 1 gets /a
         client 1 deletes /a
         L1 says ACK 0x200000003
         L2 says ACK 0x200000003
         client 1 closes
         L1 says ACK 0x200000004
         L2 says ACK 0x200000004",
    );
}
