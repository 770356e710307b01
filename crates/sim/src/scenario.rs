//! Scenario files: JSON, one exact run each, with what is expected of it. Parsed and checked here, with
//! the JSON path of every mistake.

use std::collections::BTreeMap;

use peer::{Config, LearnerType, Member, Nanos, QuorumVerifier, Settings, Switch, SyncMode, SyncTable, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::ServerId;

use crate::network::NetworkSpec;
use crate::plan::{Step, millis};
use crate::run::{Outcome, RunSpec, Verdict};
use crate::workload::WorkloadSpec;
use crate::world::{DiskSpec, WorldSpec};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario shows, in a line.
    pub name: String,
    #[serde(default)]
    pub description: Vec<String>,
    pub seed: u64,
    pub members: Vec<MemberEntry>,
    #[serde(default)]
    pub settings: SettingsEntry,
    /// Historical behaviours of all members.
    #[serde(default)]
    pub switches: Vec<String>,
    #[serde(default)]
    pub network: NetworkEntry,
    #[serde(default)]
    pub disk: DiskEntry,
    #[serde(default)]
    pub workload: WorkloadSpec,
    #[serde(default)]
    pub timeline: Vec<Step>,
    /// Everything heals then (ms), and the ensemble must converge ...
    pub heal_at: u64,
    /// ... by then (ms).
    pub end_at: u64,
    pub expect: Expect,
    /// Checks that this scenario gives up, each with its reason.
    #[serde(default)]
    pub waive: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberEntry {
    pub id: i64,
    #[serde(default)]
    pub observer: bool,
    /// Group of a hierarchical quorum.
    #[serde(default)]
    pub group: Option<i64>,
    #[serde(default)]
    pub weight: Option<i64>,
    /// Started by a step, not at the beginning.
    #[serde(default)]
    pub start_later: bool,
    /// Protocol version that it offers as a learner; below 65536 it speaks as before 1.0.
    #[serde(default)]
    pub protocol_version: Option<i32>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SettingsEntry {
    pub tick_time_ms: u64,
    pub init_limit: u32,
    pub sync_limit: u32,
    pub commit_log_count: usize,
    pub snap_count: u64,
    pub snapshot_size_factor_milli: i64,
    pub force_snapshot_sync: bool,
    /// "3.4" or "3.5".
    pub sync_table: String,
    pub connect_retry_delay_ms: u64,
    pub initial_zxid: Option<u32>,
    pub leader_serves: bool,
    /// Leaders take learners of before 1.0.
    #[serde(rename = "allowPre1.0")]
    pub allow_pre_1_0: bool,
}

impl Default for SettingsEntry {
    fn default() -> Self {
        SettingsEntry {
            tick_time_ms: 500,
            init_limit: 10,
            sync_limit: 5,
            commit_log_count: 500,
            snap_count: 100_000,
            snapshot_size_factor_milli: 330,
            force_snapshot_sync: false,
            sync_table: "3.5".into(),
            connect_retry_delay_ms: 100,
            initial_zxid: None,
            leader_serves: true,
            allow_pre_1_0: false,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkEntry {
    pub latency_us: u64,
    pub segmentation: bool,
    pub ns_per_byte: u64,
}

impl Default for NetworkEntry {
    fn default() -> Self {
        NetworkEntry { latency_us: 500, segmentation: true, ns_per_byte: 10 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DiskEntry {
    pub sync_us: u64,
    pub prealloc: u64,
    pub task_delay_milli: u64,
}

impl Default for DiskEntry {
    fn default() -> Self {
        DiskEntry { sync_us: 2000, prealloc: 65536, task_delay_milli: 0 }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// "clean" if nothing else is said; "violation" for a scenario that shows a bug.
    #[serde(default)]
    pub verdict: Option<String>,
    /// Invariants of which at least one must be violated.
    #[serde(default)]
    pub violates: Vec<String>,
    #[serde(default)]
    pub leader: Option<i64>,
    #[serde(default)]
    pub commits_at_least: u64,
    #[serde(default)]
    pub epochs_at_least: usize,
    /// Synchronisations that a member must have had, at least once each.
    #[serde(default)]
    pub syncs: BTreeMap<String, Vec<SyncName>>,
    /// Events ("newLeaderSent", "learnerAhead@3") that must occur at least so often.
    #[serde(default)]
    pub events: BTreeMap<String, u64>,
    /// Marks that must be reached.
    #[serde(default)]
    pub marks: Vec<String>,
    /// Reasons (parts of them) for which some member must have left its role.
    #[serde(default)]
    pub story: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SyncName {
    EmptyDiff,
    Diff,
    DiskDiff,
    Trunc,
    TruncDiff,
    Snap,
}

impl SyncName {
    fn mode(self) -> SyncMode {
        match self {
            SyncName::EmptyDiff => SyncMode::EmptyDiff,
            SyncName::Diff => SyncMode::Diff,
            SyncName::DiskDiff => SyncMode::DiskDiff,
            SyncName::Trunc => SyncMode::Trunc,
            SyncName::TruncDiff => SyncMode::TruncDiff,
            SyncName::Snap => SyncMode::Snap,
        }
    }
}

/// A file that is no scenario: where in it, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {what}")]
pub struct ScenarioError {
    pub path: String,
    pub what: String,
}

fn wrong<T>(path: impl Into<String>, what: impl Into<String>) -> Result<T, ScenarioError> {
    Err(ScenarioError { path: path.into(), what: what.into() })
}

impl Scenario {
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let de = &mut serde_json::Deserializer::from_str(text);
        let scenario: Scenario = serde_path_to_error::deserialize(de)
            .map_err(|e| ScenarioError { path: e.path().to_string(), what: e.inner().to_string() })?;
        scenario.validate()?;
        Ok(scenario)
    }

    fn validate(&self) -> Result<(), ScenarioError> {
        if self.members.is_empty() || self.members.iter().all(|m| m.observer) {
            return wrong("members", "expected at least one voter");
        }
        if self.members.len() > 9 {
            return wrong("members", "expected at most nine members");
        }
        for (i, member) in self.members.iter().enumerate() {
            if member.id < 1 || self.members[..i].iter().any(|m| m.id == member.id) {
                return wrong(format!("members[{i}].id"), "expected a positive id that no other member has");
            }
        }
        if self.settings.tick_time_ms == 0 || self.settings.init_limit == 0 || self.settings.sync_limit == 0 {
            return wrong("settings", "expected tickTimeMs, initLimit and syncLimit above 0");
        }
        if !["3.4", "3.5"].contains(&self.settings.sync_table.as_str()) {
            return wrong("settings.syncTable", "expected \"3.4\" or \"3.5\"");
        }
        if self.end_at <= self.heal_at {
            return wrong("endAt", "expected a time after healAt");
        }
        for (i, name) in self.switches.iter().enumerate() {
            if !Switch::ALL.iter().any(|switch| switch.name() == name) {
                let known: Vec<&str> = Switch::ALL.iter().map(|switch| switch.name()).collect();
                return wrong(format!("switches[{i}]"), format!("expected one of {}", known.join(", ")));
            }
        }
        for (i, sid) in self.workload.through.iter().enumerate() {
            if !self.members.iter().any(|m| m.id == *sid) {
                return wrong(format!("workload.through[{i}]"), "expected the id of a member");
            }
        }
        for (i, step) in self.timeline.iter().enumerate() {
            if step.at.is_some() == step.when.is_some() {
                return wrong(format!("timeline[{i}]"), "expected either `at` or `when`");
            }
            let text = serde_json::to_value(&step.actions).unwrap_or_default();
            self.check_members(&text, &format!("timeline[{i}].actions"))?;
        }
        Ok(())
    }

    /// Every number that names a member in an action names one of this ensemble.
    fn check_members(&self, value: &serde_json::Value, path: &str) -> Result<(), ScenarioError> {
        match value {
            serde_json::Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.check_members(item, &format!("{path}[{i}]"))?;
                }
                Ok(())
            }
            serde_json::Value::Object(fields) => {
                for key in ["member", "a", "b", "from", "to"] {
                    let named: Vec<i64> = match fields.get(key) {
                        Some(serde_json::Value::Number(n)) => n.as_i64().into_iter().collect(),
                        Some(serde_json::Value::Array(ids)) => {
                            ids.iter().filter_map(|n| n.as_i64()).collect()
                        }
                        _ => Vec::new(),
                    };
                    if named.iter().any(|id| !self.members.iter().any(|m| m.id == *id)) {
                        return wrong(format!("{path}.{key}"), "expected the id of a member");
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn view(&self) -> View {
        let members: BTreeMap<ServerId, Member> = self
            .members
            .iter()
            .map(|m| {
                let learner_type = if m.observer { LearnerType::Observer } else { LearnerType::Participant };
                let member = Member {
                    learner_type,
                    quorum_address: format!("10.0.0.{}:2888:3888", m.id),
                    client_address: None,
                    election_address: format!("10.0.0.{}:3888", m.id),
                };
                (ServerId(m.id), member)
            })
            .collect();
        let voters = self.members.iter().filter(|m| !m.observer);
        let verifier = if self.members.iter().any(|m| m.group.is_some()) {
            QuorumVerifier::Hierarchical {
                group_of: voters.clone().map(|m| (ServerId(m.id), m.group.unwrap_or(0))).collect(),
                weight_of: voters.map(|m| (ServerId(m.id), m.weight.unwrap_or(1))).collect(),
            }
        } else {
            QuorumVerifier::Majority { voters: voters.map(|m| ServerId(m.id)).collect() }
        };
        View { members, verifier }
    }

    pub fn run_spec(&self, seed: Option<u64>) -> RunSpec {
        let seed = seed.unwrap_or(self.seed);
        let s = &self.settings;
        let settings = Settings {
            tick_time: millis(s.tick_time_ms),
            init_limit: s.init_limit,
            sync_limit: s.sync_limit,
            commit_log_count: s.commit_log_count,
            snap_count: s.snap_count,
            snapshot_size_factor_milli: s.snapshot_size_factor_milli,
            force_snapshot_sync: s.force_snapshot_sync,
            sync_table: if s.sync_table == "3.4" { SyncTable::V34 } else { SyncTable::V35 },
            connect_retry_delay: millis(s.connect_retry_delay_ms),
            initial_zxid: s.initial_zxid,
            leader_serves: s.leader_serves,
            allow_pre_1_0: s.allow_pre_1_0,
            min_session_timeout_ms: 1000,
            ..Settings::default()
        };
        let switches =
            Switch::ALL.into_iter().filter(|sw| self.switches.iter().any(|name| name == sw.name())).collect();
        let view = self.view();
        let members = view
            .members
            .keys()
            .map(|sid| {
                let offered = self.members.iter().find(|m| m.id == sid.0).and_then(|m| m.protocol_version);
                let mut settings = settings.clone();
                settings.learner_protocol = offered.unwrap_or(settings.learner_protocol);
                Config { sid: *sid, view: view.clone(), settings, switches, seed: 0 }
            })
            .collect();
        RunSpec {
            world: WorldSpec {
                seed,
                members,
                network: NetworkSpec {
                    mean_latency_ns: self.network.latency_us * 1000,
                    segmentation: self.network.segmentation,
                    ns_per_byte: self.network.ns_per_byte,
                },
                disk: DiskSpec { mean_sync_ns: self.disk.sync_us * 1000, prealloc: self.disk.prealloc },
                task_delay_milli: self.disk.task_delay_milli,
                task_delay_max_ns: 20_000_000,
                drift_ppm: 0,
                allow_zxid_jumps: s.initial_zxid.is_some(),
                waived: self.waive.keys().cloned().collect(),
                disks: BTreeMap::new(),
            },
            workload: self.workload.clone(),
            timeline: self.timeline.clone(),
            start_later: self.members.iter().filter(|m| m.start_later).map(|m| m.id).collect(),
            heal_at: millis(self.heal_at),
            end_at: millis(self.end_at),
        }
    }

    /// What the run should have shown and did not. Empty: all is as expected.
    pub fn judge(&self, outcome: &Outcome) -> Vec<String> {
        let mut missed = Vec::new();
        let mut demand = |ok: bool, what: String| {
            if !ok {
                missed.push(what);
            }
        };
        let e = &self.expect;
        let verdict = serde_json::to_value(outcome.verdict).unwrap_or_default();
        let wanted = e.verdict.as_deref().unwrap_or("clean");
        demand(verdict == wanted, format!("verdict {wanted}, but it is {verdict}"));
        if !e.violates.is_empty() {
            let hit = outcome.violations.iter().any(|v| e.violates.iter().any(|code| code == v.invariant));
            demand(hit, format!("a violation of one of {:?}", e.violates));
        }
        if let Some(leader) = e.leader {
            let leads = outcome.roles.get(&leader) == Some(&Some(peer::Role::Leading));
            demand(leads, format!("member {leader} leads at the end"));
        }
        demand(
            outcome.stats.committed >= e.commits_at_least,
            format!("at least {} commits, but there are {}", e.commits_at_least, outcome.stats.committed),
        );
        demand(
            outcome.stats.epochs_established.len() >= e.epochs_at_least,
            format!("at least {} established epochs", e.epochs_at_least),
        );
        for (member, modes) in &e.syncs {
            let had = member.parse::<i64>().ok().and_then(|id| outcome.syncs_of.get(&id)).cloned();
            for mode in modes {
                let hit = had.as_ref().is_some_and(|had| had.contains(&mode.mode()));
                demand(hit, format!("a {mode:?} of member {member}, which had {had:?}"));
            }
        }
        for (event, count) in &e.events {
            let seen = outcome.seen.get(event).copied().unwrap_or(0);
            demand(seen >= *count, format!("event {event} at least {count} times, but {seen} times"));
        }
        for mark in &e.marks {
            demand(outcome.stats.marks.contains_key(mark), format!("mark `{mark}`"));
        }
        for words in &e.story {
            demand(outcome.story.iter().any(|line| line.contains(words)), format!("`{words}` in the story"));
        }
        missed
    }
}

/// Verdict of a scenario run: the run's own, or `unexpected`.
pub fn final_verdict(outcome: &Outcome, missed: &[String]) -> Verdict {
    if missed.is_empty() { outcome.verdict } else { Verdict::Unexpected }
}

/// Time of `end_at`.
pub fn end(scenario: &Scenario) -> Nanos {
    millis(scenario.end_at)
}
