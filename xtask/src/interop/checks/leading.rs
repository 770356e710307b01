//! A node is elected over Java members: it brings them up to date, opens and closes their clients' sessions,
//! and answers every other request with an error transaction (-6, unimplemented).

use super::trees::{same_lines, walk};
use super::{Found, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk};

/// With one Java member stopped, the other one's ACK and the node's own commit.
pub fn empty_history(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Java, Kind::Java, Kind::Vivarium], &[3, 2, 1])?;
    ensemble.settle_under(3, "equal histories, the largest id")?;
    ensemble.kill(1);
    let answered = ensemble.writes_are_answered(seconds(2))?;
    let zxid = ensemble.wait_for_zxid(2, 3, seconds(5))?;
    // Now transactions that nobody else has, and the next epoch without it.
    ensemble.signal(2, "-STOP")?;
    ensemble.write_for(seconds(1));
    ensemble.kill(2);
    ensemble.kill(3);
    let tail = disk::last_zxid(&ensemble.data(3))?;
    ensemble.start_member(2)?;
    ensemble.start_member(1)?;
    ensemble.settle_under(2, "server 1 misses transactions")?;
    ensemble.start_member(3)?;
    ensemble.wait_for_followers(2, seconds(30))?;
    ensemble.writes_are_answered(seconds(1))?;
    let agreed = ensemble.wait_for_zxid(3, 2, seconds(10))?;
    ensemble.stop(3)?;
    let same = disk::same_transactions(&ensemble.data(3), &ensemble.data(2))?;
    let how = ensemble.syncs(3).join(", ");
    Ok(format!(
        "{answered} requests answered, zxid {zxid} on both; back with {tail}, by {how} to {agreed}, {same} equal transactions"
    ))
}

/// Server 1 is the node; its history begins with a Java snapshot. Server 3 missed writes and server 2's disk
/// is new: 1 leads both, by what it holds. Then a Java member leads again.
pub fn java_history(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let leader = ensemble.settle()?;
    let mut client = given.client()?;
    client.ask(&format!("connect a {} 60000", ensemble.host(leader)))?;
    client.ask("variety a /in-the-snapshot")?;
    ensemble.stop(1)?;
    ensemble.empty_data(1)?;
    ensemble.start_member(1)?;
    ensemble.wait_for_followers(leader, seconds(30))?;
    client.ask("variety a /behind-the-snapshot")?;
    ensemble.wait_for_zxid(1, leader, seconds(10))?;
    client.ask("close a")?;
    ensemble.kill(3);
    ensemble.settle()?;
    client.ask(&format!("connect b {} 60000", ensemble.host(2)))?;
    client.ask("variety b /missed-by-3")?;
    let best = ensemble.wait_for_zxid(1, 2, seconds(10))?;
    let before = ensemble.member(1).dir.join("tree-before");
    let counted = walk(&mut client, "b", &before)?;
    ensemble.kill(2);
    ensemble.kill(1);

    ensemble.empty_data(2)?;
    ensemble.start_member(3)?;
    ensemble.start_member(1)?;
    ensemble.settle_under(1, "it has the best history")?;
    ensemble.start_member(2)?;
    ensemble.wait_for_followers(1, seconds(30))?;
    let sent_snap = |line: &str| {
        line.contains("SyncChosen { learner: ServerId(2), mode: Snap")
            || line.contains("learner 2 at ") && line.contains(" by SNAP")
    };
    if !ensemble.log(1).lines().any(sent_snap) {
        return Err("the node did not send server 2 its snapshot".into());
    }
    for (sid, name) in [(2, "two"), (3, "three")] {
        client.ask(&format!("connect {name} {} 20000", ensemble.host(sid)))?;
        let file = ensemble.member(sid).dir.join("tree");
        walk(&mut client, name, &file)?;
        same_trees(&file, &before).map_err(|why| format!("server {sid} under the node: {why}"))?;
    }
    match client.ask("create two /refused v") {
        Err(why) if why.contains("Unimplemented") => {}
        other => return Err(format!("a create was answered {other:?}, expected Unimplemented")),
    }
    client.ask("close two")?;
    client.ask("close three")?;
    for sid in [2, 3] {
        ensemble.wait_for_zxid(sid, 1, seconds(10))?;
    }

    ensemble.kill(1);
    ensemble.settle()?;
    ensemble.start_member(1)?;
    let last = ensemble.settle()?;
    if last == 1 {
        return Err("server 1 leads at the end, expected a Java server".into());
    }
    client.ask(&format!("connect end {} 20000", ensemble.host(last)))?;
    client.ask("variety end /at-the-end")?;
    let zxid = ensemble.wait_for_zxid(1, last, seconds(10))?;
    let file = ensemble.member(last).dir.join("tree");
    walk(&mut client, "end", &file)?;
    ensemble.stop(1)?;
    let same = disk::same_transactions(&ensemble.data(1), &ensemble.data(last))?;
    let ours = super::trees::standalone_tree(given, &mut client, &ensemble.data(1))?;
    let leaders = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
    same_lines(&ours, &leaders)?;
    Ok(format!(
        "with {best} it led both: {counted}; then {last} led: zxid {zxid}, {same} equal transactions, equal trees"
    ))
}

fn same_trees(a: &std::path::Path, b: &std::path::Path) -> Result<(), String> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
    };
    same_lines(&read(a)?, &read(b)?)
}
