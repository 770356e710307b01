//! What a node wrote, in a directory that Java reads: the leader's transactions while it followed, and its own.

use std::path::Path;

use super::{Found, seconds};
use crate::interop::driver::Driver;
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::java::Version;
use crate::interop::{Given, disk};

/// A history that came by DIFF and then as it happened, some ephemerals live on; then the same with a new
/// disk, by SNAP.
pub fn log_and_tree(given: &Given, kind: Kind) -> Found {
    let mut ensemble = Ensemble::start(given, &[kind, Kind::Java, Kind::Java], &[3, 2, 1])?;
    let leader = ensemble.settle()?;
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 60000", ensemble.host(leader)))?;
    client.ask("variety c /before")?;
    let mut found = Vec::new();
    for mode in ["DIFF", "SNAP"] {
        ensemble.wait_for_zxid(1, leader, seconds(10))?;
        ensemble.stop(1)?;
        if mode == "SNAP" {
            ensemble.empty_data(1)?;
        }
        client.ask(&format!("variety c /missed-{mode}"))?;
        ensemble.start_member(1)?;
        ensemble.wait_for_followers(leader, seconds(30))?;
        client.ask(&format!("variety c /live-{mode}"))?;
        ensemble.wait_for_zxid(1, leader, seconds(10))?;
        if ensemble.syncs(1).last() != Some(&mode) {
            return Err(format!("synchronised by {:?}, expected {mode} at last", ensemble.syncs(1)));
        }
        let leaders = ensemble.member(leader).dir.join("tree");
        let counted = walk(&mut client, "c", &leaders)?;
        let same = disk::same_transactions(&ensemble.data(1), &ensemble.data(leader))?;
        let ours = standalone_tree(given, &mut client, &ensemble.data(1))?;
        let leaders = std::fs::read_to_string(&leaders).map_err(|e| e.to_string())?;
        same_lines(&ours, &leaders).map_err(|why| format!("after {mode}: {why}"))?;
        found.push(format!("{mode}: {same} transactions, {counted}"));
    }
    Ok(format!("byte for byte, and a Java server on a copy serves the same tree; {}", found.join("; ")))
}

/// A node alone wrote all of it: its snapshots (so many transactions apart that there are some), and the log behind.
/// A session lives on, so that its ephemerals are there.
pub fn alone(given: &Given) -> Found {
    let mut single = Ensemble::prepare(given, &[Kind::Serving])?;
    single.configure(1, "extendedTypesEnabled=true\nsnapCount=40\n")?;
    single.start_member(1)?;
    single.wait_for_mode(1, "standalone")?;
    let mut client = given.client()?;
    client.ask(&format!("connect c {} 60000", single.host(1)))?;
    client.ask("variety c /first")?;
    // 3.4 knows neither containers nor TTLs.
    if given.java_version() != Some(Version::V3_4) {
        client.ask(&format!("extended {} /first", single.host(1)))?;
    }
    client.ask("fill c /many 150 100")?;
    client.ask("variety c /last")?;
    let file = single.member(1).dir.join("tree");
    let counted = walk(&mut client, "c", &file)?;
    let ours = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    single.stop(1)?;
    let snapshots = disk::snapshots(&single.data(1))?;
    let (last, newest) = (disk::last_zxid(&single.data(1))?, snapshots.last().copied().unwrap_or_default());
    if newest <= wire::Zxid(40) || newest >= last {
        return Err(format!(
            "expected snapshots and a log behind them: {snapshots:?}, the log ends at {last}"
        ));
    }
    let java = standalone_tree(given, &mut client, &single.data(1))?;
    same_lines(&ours, &java)?;
    Ok(format!("{counted}, from the snapshot {newest} and the log up to {last}"))
}

/// `N nodes, N of them ephemeral`, and the tree in the file.
pub fn walk(client: &mut Driver, name: &str, file: &Path) -> Found {
    match client.numbers(&format!("walk {name} {}", file.display()))?[..] {
        [nodes, ephemerals] => Ok(format!("{nodes} nodes, {ephemerals} of them ephemeral")),
        _ => Err("walk: expected two numbers".into()),
    }
}

/// What a single Java server serves on a copy of this data directory.
pub fn standalone_tree(given: &Given, client: &mut Driver, data: &Path) -> Result<String, String> {
    let mut single = Ensemble::prepare(given, &[Kind::Java])?;
    single.java_flags.push("-Dzookeeper.extendedTypesEnabled=true".into());
    disk::copy_dir(data, &single.data(1))?;
    single.start_member(1)?;
    single.wait_for_mode(1, "standalone")?;
    let file = single.member(1).dir.join("tree");
    client.ask(&format!("connect single {} 10000", single.host(1)))?;
    walk(client, "single", &file)?;
    client.ask("close single")?;
    std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))
}

pub fn same_lines(ours: &str, other: &str) -> Result<(), String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), other.lines().collect());
    if let Some((x, y)) = a.iter().zip(&b).find(|(x, y)| x != y) {
        return Err(format!("trees differ:\n  {x}\n  {y}"));
    }
    if a.len() == b.len() && !a.is_empty() {
        Ok(())
    } else {
        Err(format!("trees of {} and {} nodes", a.len(), b.len()))
    }
}
