//! Java's clients, while a node stands behind their writes.

use super::{Found, seconds};
use crate::interop::Given;
use crate::interop::ensemble::{Ensemble, Kind};

/// With the other Java member dead, the node's ACK is what commits. A client of the leader keeps its session
/// and its pace.
pub fn its_acks_commit(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let leader = ensemble.settle()?;
    if leader == 1 {
        return Err("server 1 leads, expected a Java server".into());
    }
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 4000", ensemble.host(leader)))?;
    client.ask("ephemeral c /e/mine")?;
    client.ask("load c /load 100")?;
    std::thread::sleep(seconds(1));
    ensemble.kill(5 - leader);
    std::thread::sleep(seconds(5));
    let numbers = client.numbers("unload c")?;
    let [written, failed, longest_ms] = numbers[..] else { return Err(format!("unload: {numbers:?}")) };
    let states = client.ask("states c")?;
    if failed > 0 || written < 500 || longest_ms > 1500 {
        return Err(format!(
            "{written} writes acknowledged, {failed} failed, the longest took {longest_ms} ms"
        ));
    }
    if !states.ends_with(" CONNECTED") {
        return Err(format!("the client noticed: session {states}"));
    }
    let zxid = ensemble.wait_for_zxid(1, leader, seconds(5))?;
    Ok(format!("{written} writes, the longest {longest_ms} ms, zxid {zxid} on both"))
}

/// Through both Java members; a third of the sessions expires.
pub fn come_and_go(given: &Given, kind: Kind) -> Found {
    let ensemble = Ensemble::start(given, &[kind, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let leader = ensemble.settle()?;
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 20000", ensemble.host(leader)))?;
    client.ask("create c /churn v")?;
    let hosts = format!("{},{}", ensemble.host(2), ensemble.host(3));
    let opened = client.numbers(&format!("churn {hosts} /churn {}", given.sessions))?;
    let file = ensemble.member(1).dir.join("tree");
    let walk = format!("walk c {}", file.display());
    ensemble.poll(seconds(20), "ephemerals are left over", || {
        matches!(client.numbers(&walk).as_deref(), Ok([_, 0])).then_some(())
    })?;
    let zxid = ensemble.wait_for_zxid(1, leader, seconds(10))?;
    if ensemble.syncs(1).len() != 1 {
        return Err(format!("the node lost its leader: {:?}", ensemble.syncs(1)));
    }
    Ok(format!("{} sessions, zxid {zxid} on both, no ephemeral left", opened[0]))
}
