//! Leaders die, members sleep; the node finds back.

use super::{Found, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk};

/// Three times the Java leader dies under writes and comes back; the node follows whoever leads.
pub fn leaders_die(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let mut client = given.client()?;
    let mut leaders = Vec::new();
    for round in 0..3 {
        let leader = ensemble.settle_under_java()?;
        leaders.push(leader.to_string());
        client.ask(&format!("connect c{round} {} 10000", ensemble.host(leader)))?;
        client.ask(&format!("load c{round} /load 200"))?;
        std::thread::sleep(seconds(1));
        ensemble.kill(leader);
        let next = ensemble.settle_under_java()?;
        client.ask(&format!("connect d{round} {} 10000", ensemble.host(next)))?;
        client.ask(&format!("variety d{round} /round{round}"))?;
        if !ensemble.lives(leader) {
            ensemble.start_member(leader)?;
        }
    }
    let leader = ensemble.settle_under_java()?;
    ensemble.writes_are_answered(seconds(1))?;
    let zxid = ensemble.wait_for_zxid(1, leader, seconds(10))?;
    ensemble.stop(1)?;
    let same = disk::same_transactions(&ensemble.data(1), &ensemble.data(leader))?;
    Ok(format!("leaders {} died, zxid {zxid} and {same} equal transactions at the end", leaders.join(", ")))
}

/// The leader gives a paused node up after syncLimit, two and a half seconds.
pub fn paused(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let leader = ensemble.settle()?;
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 10000", ensemble.host(leader)))?;
    client.ask("load c /load 100")?;
    std::thread::sleep(seconds(1));
    let before = ensemble.syncs(1).len();
    ensemble.signal(1, "-STOP")?;
    std::thread::sleep(seconds(5));
    ensemble.signal(1, "-CONT")?;
    ensemble.poll(seconds(30), "it was not synchronised again", || {
        (ensemble.syncs(1).len() > before).then_some(())
    })?;
    ensemble.wait_for_followers(leader, seconds(30))?;
    let numbers = client.numbers("unload c")?;
    if numbers[1] > 0 || numbers[0] < 100 {
        return Err(format!("{} writes acknowledged, {} failed", numbers[0], numbers[1]));
    }
    ensemble.writes_are_answered(seconds(1))?;
    let zxid = ensemble.wait_for_zxid(1, leader, seconds(10))?;
    ensemble.stop(1)?;
    let same = disk::same_transactions(&ensemble.data(1), &ensemble.data(leader))?;
    Ok(format!("zxid {zxid} on both, {same} equal transactions"))
}
