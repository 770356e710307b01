//! Three nodes elect and replicate; their leader dies by kill -9 and comes back; they end in order.

use crate::ensemble::Ensemble;

fn files(dir: &std::path::Path, prefix: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(Result::ok).filter(|e| e.file_name().to_string_lossy().starts_with(prefix)).count()
}

#[test]
fn three_nodes_replicate_and_survive_a_kill() {
    let mut ensemble = Ensemble::start(true);
    let leader = ensemble.leader();
    let follower = leader % 3 + 1;
    ensemble.write(leader, 50);
    ensemble.write(follower, 50);
    assert_eq!(ensemble.field(leader, "mntr", "zk_learners").as_deref(), Some("2"));
    assert_eq!(ensemble.field(leader, "mntr", "zk_synced_observers").as_deref(), Some("0"));
    assert_eq!(ensemble.field(leader, "mntr", "zk_outstanding_requests").as_deref(), Some("0"));
    assert_eq!(ensemble.field(leader, "mntr", "zk_current_epoch").as_deref(), Some("1"));

    ensemble.kill(leader);
    let next = ensemble.leader();
    assert_ne!(next, leader);
    ensemble.write(next, 50);
    ensemble.start_member(leader);
    assert_eq!(ensemble.leader(), next);
    ensemble.wait_for_equal_zxids();
    assert_eq!(ensemble.field(leader, "srvr", "Node count:"), ensemble.field(next, "srvr", "Node count:"));

    let log = |sid: usize| std::fs::read_to_string(ensemble.members[sid - 1].dir.join("log")).expect("a log");
    for words in ["election: ", "epoch 1 is established", "is brought to", "leading"] {
        assert!(log(leader).contains(words), "{words}: {}", log(leader));
    }
    for words in ["to the quorum port of", "sent FOLLOWERINFO", "received PROPOSAL"] {
        assert!(log(leader).contains(words), "{words}: {}", log(leader));
    }
    // Who dials whom is chance, but not that somebody does.
    assert!((1..=3).any(|sid| log(sid).contains("received hello of")));
    for member in &ensemble.members {
        let (snaps, logs) = (member.dir.join("version-2"), member.dir.join("logs/version-2"));
        assert!(files(&logs, "log.") > 0 && files(&snaps, "snapshot.") > 0);
        assert_eq!(files(&snaps, "log.") + files(&logs, "snapshot."), 0);
        assert!(snaps.join("acceptedEpoch").exists() && snaps.join("currentEpoch").exists());
    }
    for (sid, signal) in [(1, "-TERM"), (2, "-INT"), (3, "-TERM")] {
        assert_eq!(ensemble.signal(sid, signal).code(), Some(0), "server {sid}");
    }
}
