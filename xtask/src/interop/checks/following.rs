//! How a Java leader brings a node up to date, as a follower and as an observer: from its log one sees which
//! way was taken, and afterwards both logs hold the same.

use super::{Found, seconds};
use crate::interop::driver::Driver;
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk};
use wire::Zxid;

/// A node (server 1) and two Java members, of which one leads and one is a client's.
struct Beside {
    ensemble: Ensemble,
    client: Driver,
    leader: usize,
}

impl Beside {
    fn start(given: &Given, kind: Kind, java_flags: &[&str]) -> Result<Beside, String> {
        let mut ensemble = Ensemble::prepare(given, &[kind, Kind::Java, Kind::Java])?;
        ensemble.java_flags = java_flags.iter().map(|flag| (*flag).to_owned()).collect();
        for sid in [3, 2, 1] {
            ensemble.start_member(sid)?;
        }
        let leader = settle_under_java(&ensemble)?;
        let mut client = given.client()?;
        client.ask(&format!("connect c {} 20000", ensemble.host(leader)))?;
        client.ask("create c /t v")?;
        ensemble.wait_for_zxid(1, leader, seconds(10))?;
        Ok(Beside { ensemble, client, leader })
    }

    /// All stopped, with equal logs; the client is gone before, so that no session expires later.
    fn stop_all(&mut self) -> Result<(), String> {
        self.client.ask("close c")?;
        for sid in [2, 3] {
            self.ensemble.wait_for_zxid(1, sid, seconds(10))?;
        }
        (1..=3).try_for_each(|sid| self.ensemble.stop(sid))
    }

    /// Start the Java members alone.
    fn start_java(&mut self) -> Result<(), String> {
        self.ensemble.start_member(3)?;
        self.ensemble.start_member(2)?;
        self.leader = settle_under_java(&self.ensemble)?;
        Ok(())
    }

    /// Start the node: it is synchronised in this way and in step; then it takes part in writes, and its log
    /// is the leader's.
    fn comes_back_by(&mut self, mode: &str) -> Found {
        let before = self.ensemble.syncs(1).len();
        self.ensemble.start_member(1)?;
        self.ensemble.wait_for_followers(self.leader, seconds(30))?;
        let used = self.ensemble.syncs(1).split_off(before);
        if used != [mode] {
            return Err(format!("synchronised by {used:?}, expected {mode}"));
        }
        self.ensemble.writes_are_answered(seconds(1))?;
        let zxid = self.ensemble.wait_for_zxid(1, self.leader, seconds(10))?;
        self.ensemble.stop(1)?;
        let leaders = self.ensemble.data(self.leader);
        let same = disk::same_transactions(&self.ensemble.data(1), &leaders)?;
        Ok(format!("in step at {zxid}, {same} transactions are the leader's"))
    }
}

fn settle_under_java(ensemble: &Ensemble) -> Result<usize, String> {
    match ensemble.settle()? {
        1 => Err("server 1 leads, expected a Java server".into()),
        leader => Ok(leader),
    }
}

pub fn diff(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &[])?;
    beside.ensemble.stop(1)?;
    beside.client.ask("variety c /missed")?;
    beside.comes_back_by("DIFF")
}

pub fn snap_emptied(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &[])?;
    beside.client.ask("variety c /before")?;
    beside.ensemble.stop(1)?;
    beside.ensemble.empty_data(1)?;
    beside.comes_back_by("SNAP")
}

/// More than the 500 transactions that a leader has at hand, and no reading of its log.
pub fn snap_behind(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &["-Dzookeeper.snapshotSizeFactor=-1"])?;
    beside.ensemble.stop(1)?;
    beside.client.ask("fill c /missed 700 20")?;
    beside.comes_back_by("SNAP")
}

/// The log on disk is read where it is smaller than a third of the snapshot: so there must be a large one.
pub fn diff_from_disk(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &[])?;
    beside.client.ask("fill c /large 4 500000")?;
    beside.stop_all()?;
    beside.start_java()?;
    let host = beside.ensemble.host(beside.leader);
    beside.client.ask(&format!("connect c {host} 20000"))?;
    beside.client.ask("create c /after v")?;
    beside.ensemble.start_member(1)?;
    beside.ensemble.wait_for_followers(beside.leader, seconds(30))?;
    beside.ensemble.wait_for_zxid(1, beside.leader, seconds(20))?;
    beside.ensemble.stop(1)?;
    beside.client.ask("fill c /missed 700 20")?;
    let found = beside.comes_back_by("DIFF")?;
    let log = beside.ensemble.log(beside.leader);
    if log.contains("Use txnlog and committedLog for peer sid: 1") {
        Ok(found)
    } else {
        Err("the leader did not read its log".into())
    }
}

/// The node has transactions that nobody else has, and nothing was written since.
pub fn trunc(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &[])?;
    beside.client.ask("variety c /before")?;
    beside.ensemble.wait_for_zxid(1, beside.leader, seconds(10))?;
    beside.ensemble.stop(1)?;
    let last = disk::last_zxid(&beside.ensemble.data(1))?;
    disk::append(&beside.ensemble.data(1), "/t", last.next(), 7)?;
    beside.comes_back_by("TRUNC")
}

/// Two histories of one epoch behind the common ones: on the node ten transactions from 1 on, on the others
/// five from 100 on.
pub fn trunc_and_diff(given: &Given, kind: Kind) -> Found {
    let mut beside = Beside::start(given, kind, &[])?;
    beside.client.ask("variety c /before")?;
    beside.stop_all()?;
    let common = disk::last_zxid(&beside.ensemble.data(1))?;
    let epoch = common.epoch().next();
    for (sid, first, count) in [(1, 1, 10), (2, 100, 5), (3, 100, 5)] {
        let dir = beside.ensemble.data(sid);
        disk::append(&dir, "/t", Zxid::new(epoch, first), count)?;
        disk::set_epoch(&dir, epoch)?;
    }
    let ahead = disk::last_zxid(&beside.ensemble.data(2))?;
    beside.start_java()?;
    let found = beside.comes_back_by("TRUNC")?;
    if !disk::transactions(&beside.ensemble.data(1))?.contains_key(&ahead) {
        return Err(format!("{ahead} is not in the node's log"));
    }
    Ok(format!("cut behind {common}, then sent up to {ahead}; {found}"))
}
