//! Java's clients at nodes that serve them: every kind of request, and one tree whoever is asked.

use super::{Found, seconds};
use crate::interop::Given;
use crate::interop::driver::Driver;
use crate::interop::ensemble::{Ensemble, Kind};

/// The leader dies under load: the session, and what belongs to it, go on at another node.
pub fn of_nodes(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Serving; 3], &[1, 2, 3])?;
    let leader = ensemble.settle()?;
    let hosts: Vec<String> = (0..3).map(|n| ensemble.host(1 + (leader - 1 + n) % 3)).collect();
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 6000", hosts.join(",")))?;
    client.ask("ephemeral c /e/mine")?;
    client.ask("variety c /v")?;
    let before = client.ask("states c")?;
    client.ask("load c /load 200")?;
    std::thread::sleep(seconds(1));
    ensemble.kill(leader);
    std::thread::sleep(seconds(6));
    let numbers = client.numbers("unload c")?;
    let [written, failed, longest_ms] = numbers[..] else { return Err(format!("unload: {numbers:?}")) };
    let after = client.ask("states c")?;
    let session = |states: &str| states.split(' ').next().map(str::to_owned);
    if session(&before) != session(&after) || !after.ends_with("CONNECTED") {
        return Err(format!("the session was {before}, and is {after}"));
    }
    ensemble.start_member(leader)?;
    ensemble.settle()?;
    let nodes = same_tree(given, &ensemble)?;
    Ok(format!("{written} writes, {failed} lost with the leader, the longest {longest_ms} ms, {nodes} nodes"))
}

/// The same requests at a node, and the tree as each member has it.
pub fn of_both(given: &Given) -> Found {
    let ensemble = Ensemble::start(given, &[Kind::Serving, Kind::Serving, Kind::Java], &[1, 2, 3])?;
    let leader = ensemble.settle()?;
    let mut client = given.client()?;
    for sid in 1..=3 {
        client.ask(&format!("connect c{sid} {} 20000", ensemble.host(sid)))?;
        client.ask(&format!("create c{sid} /of{sid} v"))?;
        client.ask(&format!("variety c{sid} /of{sid}/v"))?;
        client.ask(&format!("ephemeral c{sid} /e{sid}/mine"))?;
    }
    let nodes = same_tree(given, &ensemble)?;
    Ok(format!("{nodes} nodes at all three, server {leader} leads"))
}

/// Each member is asked for the whole tree. How many nodes it has.
fn same_tree(given: &Given, ensemble: &Ensemble) -> Result<u64, String> {
    let mut client = given.client()?;
    // What was acknowledged last may be under way to one of them.
    std::thread::sleep(seconds(1));
    let walk = |client: &mut Driver, sid: usize| -> Result<(u64, String), String> {
        let file = ensemble.member(sid).dir.join("tree");
        client.ask(&format!("connect w{sid} {} 20000", ensemble.host(sid)))?;
        let nodes = client.numbers(&format!("walk w{sid} {}", file.display()))?[0];
        let tree = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok((nodes, tree))
    };
    let (nodes, first) = walk(&mut client, 1)?;
    for sid in 2..=3 {
        let (_, other) = walk(&mut client, sid)?;
        if other != first {
            return Err(format!(
                "the trees of 1 and {sid} differ, see {}",
                ensemble.member(sid).dir.display()
            ));
        }
    }
    Ok(nodes)
}
