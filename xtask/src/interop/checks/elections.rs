//! Elections between Java and Vivarium peers: one leader, and the one that FastLeaderElection means: the
//! largest (currentEpoch, zxid, id) among the voters that look together.

use super::{Found, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk};

const ORDERS: [[usize; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

/// Six orders, with `nodes` nodes among three members: who is a node moves with the order. Histories are
/// equal: the larger id of the first two wins, and the third finds a leader and follows it.
pub fn start_orders(given: &Given, nodes: usize) -> Found {
    let mut leaders = Vec::new();
    for (index, order) in ORDERS.iter().enumerate() {
        let mut kinds = [Kind::Java; 3];
        for n in 0..nodes {
            kinds[(index + n) % 3] = Kind::Vivarium;
        }
        let mut ensemble = Ensemble::start(given, &kinds, &order[..2])?;
        let why = format!("{kinds:?} in the order {order:?}");
        let leader = order[0].max(order[1]);
        ensemble.settle_under(leader, &why)?;
        ensemble.start_member(order[2])?;
        ensemble.settle_under(leader, &why)?;
        leaders.push(leader.to_string());
    }
    Ok(format!("leaders {}", leaders.join(", ")))
}

/// Server 1 is the node. Server 3 misses writes, then meets 1 alone: 1 leads in spite of its id.
pub fn best_history(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium, Kind::Java, Kind::Java], &[3, 2, 1])?;
    ensemble.settle()?;
    write(given, &mut ensemble, 2, "/before")?;
    ensemble.kill(3);
    let leader = ensemble.settle()?;
    write(given, &mut ensemble, 2, "/missed-by-3")?;
    let best = ensemble.wait_for_zxid(1, 2, seconds(10))?;
    ensemble.kill(1);
    ensemble.kill(2);
    ensemble.start_member(1)?;
    ensemble.start_member(3)?;
    ensemble.settle_under(1, "it has the best history")?;
    ensemble.start_member(2)?;
    ensemble.settle_under(1, "it leads already")?;
    Ok(format!("with {best} node 1 leads 3; before, {leader} led"))
}

/// Server 3 is the node. It misses writes, then meets 1 alone: 1 leads. Then it comes with a zxid beyond
/// all, but of a currentEpoch that is over: 1 leads again.
pub fn worse_history(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Java, Kind::Java, Kind::Vivarium], &[1, 2, 3])?;
    ensemble.settle()?;
    ensemble.kill(3);
    ensemble.settle()?;
    write(given, &mut ensemble, 1, "/missed-by-3")?;
    ensemble.kill(2);
    ensemble.start_member(3)?;
    ensemble.settle_under(1, "node 3 misses transactions")?;
    write(given, &mut ensemble, 1, "/with-3")?;
    ensemble.wait_for_zxid(3, 1, seconds(10))?;
    ensemble.stop(3)?;
    // A new epoch, in which nothing is written.
    ensemble.kill(1);
    ensemble.start_member(1)?;
    ensemble.start_member(2)?;
    let leader = ensemble.settle()?;
    if leader != 1 {
        return Err(format!("server {leader} leads, expected 1: 2 misses transactions"));
    }
    ensemble.stop(2)?;
    let last = disk::last_zxid(&ensemble.data(3))?;
    disk::append(&ensemble.data(3), "/with-3", last.next(), 5)?;
    let tail = disk::last_zxid(&ensemble.data(3))?;
    ensemble.start_member(3)?;
    ensemble.settle_under(1, "node 3 comes from an epoch that is over")?;
    write(given, &mut ensemble, 1, "/at-the-end")?;
    let agreed = ensemble.wait_for_zxid(3, 1, seconds(10))?;
    Ok(format!(
        "1 leads a node that misses transactions, and one with {tail} of an older epoch: {agreed} on both"
    ))
}

/// A few transactions through a Java member.
fn write(given: &Given, ensemble: &mut Ensemble, through: usize, path: &str) -> Result<(), String> {
    let mut client = given.client()?;
    client.ask(&format!("connect writer {} 10000", ensemble.host(through)))?;
    for n in 0..5 {
        client.ask(&format!("create writer {path}/{n} v"))?;
    }
    client.ask("close writer").map(|_| ())
}
