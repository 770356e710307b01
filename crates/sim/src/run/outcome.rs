//! What a run came to: verdict, violations, counts, and the story for people.

use std::collections::BTreeMap;

use checker::Violation;
use peer::{Nanos, Recovered, Role, SyncMode};
use serde::Serialize;
use wire::ServerId;

use super::story::Story;
use crate::faults::FaultCounters;
use crate::signature;
use crate::world::TraceLine;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Clean,
    Violation,
    Unexpected,
    Stuck,
    Crashed,
    Empty,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub simulated_ms: u64,
    pub events: u64,
    pub elections_won: u64,
    pub epochs_established: Vec<i64>,
    pub syncs: BTreeMap<String, u64>,
    pub committed: u64,
    pub acknowledged_writes: u64,
    pub unknown_outcomes: u64,
    /// Faults that took effect while a write was in flight.
    pub effects_amid_writes: u64,
    pub snapshots: u64,
    /// Answers to reconfigs by error code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reconfigs: BTreeMap<i32, u64>,
    pub warnings: u64,
    pub marks: BTreeMap<String, u64>,
    /// Of clients of the data tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeStats>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeStats {
    /// Replies by request type and error code.
    #[serde(skip)]
    pub answers: BTreeMap<(i32, i32), u64>,
    pub notifications: u64,
    /// Sessions that a client was told to be over.
    pub expirations: u64,
    /// Of them, so many of sessions that had been answered less than two thirds of their timeout before.
    pub unjust_expirations: u64,
    pub connections: u64,
    /// Connections that went on with a session.
    pub resumed: u64,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub violations: Vec<Violation>,
    pub stats: Stats,
    pub faults: FaultCounters,
    pub trace_hash: String,
    /// What happened, phase by phase, for people.
    pub story: Story,
    pub roles: BTreeMap<i64, Option<Role>>,
    /// Event names seen, with the member, for expectations.
    pub seen: BTreeMap<String, u64>,
    pub syncs_of: BTreeMap<i64, Vec<SyncMode>>,
    /// What each disk would be recovered to at the end, where disks were given at the beginning.
    pub disks: BTreeMap<i64, Recovered>,
    pub trace: Vec<TraceLine>,
}

impl Outcome {
    /// Of a run that panicked: where (without the line) and why.
    pub fn crashed(place: &str) -> Outcome {
        let detail = place.to_owned();
        let panic = Violation { invariant: "RUN-PANIC", at: Nanos::ZERO, member: ServerId::NONE, detail };
        Outcome {
            verdict: Verdict::Crashed,
            violations: vec![panic],
            stats: Stats::default(),
            faults: FaultCounters::default(),
            trace_hash: String::new(),
            story: Story::default(),
            roles: BTreeMap::new(),
            seen: BTreeMap::new(),
            disks: BTreeMap::new(),
            syncs_of: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// Of its first violation (see `signature`).
    pub fn signature(&self) -> Option<String> {
        signature::of_run(&self.violations)
    }

    /// Never an established leader, or never a write in flight while a fault took effect.
    pub fn tested_nothing(&self) -> bool {
        self.stats.epochs_established.is_empty() || self.stats.effects_amid_writes == 0
    }
}
