//! Recorded runs: `vivarium replay` feeds what a node saw to the same machine, which must do the same.

use std::process::Command;

use super::{Found, millis, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, python};

/// Leaders are killed, and one node runs to its orderly end.
pub fn three_nodes(given: &Given) -> Found {
    let mut ensemble = Ensemble::prepare(given, &[Kind::Vivarium; 3])?;
    ensemble.record = true;
    for sid in 1..=3 {
        ensemble.start_member(sid)?;
    }
    for _ in 0..2 {
        let leader = ensemble.wait_for_leader(seconds(20))?;
        ensemble.write_for(seconds(1));
        ensemble.kill(leader);
        ensemble.write_for(millis(500));
        ensemble.start_member(leader)?;
    }
    ensemble.settle()?;
    ensemble.writes_are_answered(seconds(1))?;
    for sid in 1..=3 {
        ensemble.stop(sid)?;
    }
    replay_all(given, &ensemble, 5)
}

/// As a follower of Java leaders that die.
pub fn beside_java(given: &Given) -> Found {
    let mut ensemble = Ensemble::prepare(given, &[Kind::Vivarium, Kind::Java, Kind::Java])?;
    ensemble.record = true;
    for sid in [3, 2, 1] {
        ensemble.start_member(sid)?;
    }
    let mut client = given.client()?;
    for round in 0..2 {
        let leader = ensemble.settle_under_java()?;
        client.ask(&format!("connect c{round} {} 10000", ensemble.host(leader)))?;
        client.ask(&format!("variety c{round} /round{round}"))?;
        ensemble.write_for(seconds(1));
        ensemble.kill(leader);
        ensemble.settle()?;
        ensemble.start_member(leader)?;
    }
    let leader = ensemble.settle_under_java()?;
    ensemble.signal(1, "-STOP")?;
    std::thread::sleep(seconds(5));
    ensemble.signal(1, "-CONT")?;
    std::thread::sleep(seconds(1));
    ensemble.wait_for_followers(leader, seconds(30))?;
    ensemble.stop(1)?;
    ensemble.empty_data(1)?;
    ensemble.start_member(1)?;
    ensemble.wait_for_followers(leader, seconds(30))?;
    ensemble.wait_for_zxid(1, leader, seconds(10))?;
    ensemble.stop(1)?;
    replay_all(given, &ensemble, 2)
}

fn replay_all(given: &Given, ensemble: &Ensemble, at_least: usize) -> Found {
    let mut recordings = Vec::new();
    for member in &ensemble.members {
        let entries = std::fs::read_dir(&member.dir).map_err(|e| e.to_string())?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        recordings.extend(names.filter(|path| path.file_stem().is_some_and(|name| name == "recording")));
    }
    recordings.sort();
    if recordings.len() < at_least {
        return Err(format!("{} recordings, expected {at_least}", recordings.len()));
    }
    let mut inputs = 0;
    for recording in &recordings {
        let out = Command::new(&given.binary).arg("replay").arg(recording).output();
        let out = out.map_err(|e| format!("{}: {e}", given.binary.display()))?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        if !out.status.success() {
            let errors = String::from_utf8_lossy(&out.stderr);
            return Err(format!("{}: {} {said} {errors}", recording.display(), out.status));
        }
        let counted = said.lines().find_map(|line| line.strip_suffix(" inputs, the same outputs"));
        inputs += counted
            .and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .ok_or(format!("{}: {said}", recording.display()))?;
    }
    if inputs < 100 {
        return Err(format!("only {inputs} inputs were recorded"));
    }
    damaged_is_seen(given, &recordings[0])?;
    Ok(format!("{} recordings, {inputs} inputs, the same outputs", recordings.len()))
}

/// A recording that lacks a line in its middle must not replay.
fn damaged_is_seen(given: &Given, recording: &std::path::Path) -> Result<(), String> {
    let text = std::fs::read_to_string(recording).map_err(|e| e.to_string())?;
    let lines: Vec<&str> = text.lines().collect();
    let middle = lines.len() / 2;
    let without: Vec<&str> = lines[..middle].iter().chain(&lines[middle + 1..]).copied().collect();
    let damaged = recording.with_extension("damaged");
    std::fs::write(&damaged, without.join("\n") + "\n").map_err(|e| e.to_string())?;
    match python::succeed(Command::new(&given.binary).arg("replay").arg(&damaged)) {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{} replays without its line {}", recording.display(), middle + 1)),
    }
}
