//! A member beside Java servers, whose history is a data tree: what it is sent it keeps as it came, what
//! others need it sends as it lies on its disk, and it adds nothing but the sessions.

use peer::{Config, Nanos};
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

/// The directory of a follower of 3.8.0: `snapshot.0`, and 110 transactions behind it.
fn java_directory() -> MemFs {
    let mut fs = MemFs::default();
    for (name, bytes) in [
        ("acceptedEpoch", &b"2"[..]),
        ("currentEpoch", b"2"),
        (
            "log.100000001",
            include_bytes!("../../../storage/tests/vectors/datadirs/3.8.0-follower/log.100000001"),
        ),
        ("snapshot.0", include_bytes!("../../../storage/tests/vectors/datadirs/3.8.0-follower/snapshot.0")),
    ] {
        fs.files.insert(name.into(), bytes.to_vec());
    }
    fs
}

fn leads(name: &str, change: impl FnOnce(&mut Config), fs: MemFs, script: &str) {
    let mut config = member(3, 3, 1);
    config.settings.tick_time = Nanos::from_millis(20_000);
    change(&mut config);
    let script = format!(
        "boot
         1 votes LOOKING leader=3 zxid=0x200000006 round=1 epoch=2
         time +200
         --- server 3 is elected; its history is a Java server's, 0x200000006 its end
         {script}"
    );
    keep("java-tree", name, &converse_on(config, fs, &script));
}

const ESTABLISHED: &str = "L1 connects
    L1 says FOLLOWERINFO accepted=0x200000000 sid=1 protocol=0x10000 config=0
    L1 says ACKEPOCH last=0x200000006 current=2
    L1 says ACK 0x300000000
    --- server 3 has established epoch 3 with server 1, which had everything";

/// An empty disk joins, behind all that the committed log in memory has.
#[test]
fn the_stored_snapshot_and_the_log_behind_it() {
    let few_in_memory = |config: &mut Config| {
        config.settings.commit_log_count = 4;
        config.settings.snapshot_slice = 400;
    };
    leads(
        "stored-snapshot",
        few_in_memory,
        java_directory(),
        &format!(
            "{ESTABLISHED}
             client 1 connects
             L1 says ACK 0x300000001
             L2 connects
             L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
             disk holds its answers
             L2 says ACKEPOCH last=0x0 current=0
             # Committed while the snapshot is read: behind the log that is read.
             client 2 connects
             disk goes on
             L1 says ACK 0x300000002
             disk goes on
             # Outstanding when the log was read.
             client 3 connects
             disk is free
             L2 says ACK 0x300000000
             L2 says ACK 0x300000003"
        ),
    );
}

#[test]
fn a_snapshot_that_rotted_is_not_sent_whole() {
    let script = format!(
        "{ESTABLISHED}
         L2 connects
         L2 says FOLLOWERINFO accepted=0x0 sid=2 protocol=0x10000 config=0
         disk rots in snapshot.0
         L2 says ACKEPOCH last=0x0 current=0"
    );
    let few_in_memory = |config: &mut Config| config.settings.commit_log_count = 4;
    leads("stored-snapshot-rotted", few_in_memory, java_directory(), &script);
}

/// Sessions open and close; everything else is refused, by a transaction.
#[test]
fn what_it_proposes() {
    leads(
        "proposes",
        |_| {},
        java_directory(),
        &format!(
            "{ESTABLISHED}
             client 1 connects
             L1 says ACK 0x300000001
             client 1 sets /a=1
             L1 says ACK 0x300000002
             client 1 gets /a
             client 1 deletes /a
             L1 says ACK 0x300000003
             client 1 closes
             L1 says ACK 0x300000004"
        ),
    );
}
