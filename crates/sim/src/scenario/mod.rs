//! Scenario files: JSON, one exact run each, with what is expected of it. Parsed and checked here, with
//! the JSON path of every mistake.

use std::collections::BTreeMap;

use peer::{Config, LearnerType, Member, QuorumVerifier, StateKind, Switch, SyncMode, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::ServerId;

use crate::network::NetworkSpec;
use crate::plan::{Step, millis};
use crate::run::RunSpec;
use crate::workload::WorkloadSpec;
use crate::world::{DISK_BYTES, DiskSpec, WorldSpec};

mod export;
mod judge;
mod settings;
mod text;

pub use self::judge::final_verdict;
pub use self::settings::SettingsEntry;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario shows, in a line.
    pub name: String,
    #[serde(default)]
    pub description: Vec<String>,
    pub seed: u64,
    pub members: Vec<MemberEntry>,
    /// What the members replicate.
    #[serde(default, skip_serializing_if = "StateName::is_default")]
    pub state: StateName,
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
    pub clock: ClockEntry,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StateName {
    /// A flat map of registers: the fast workload.
    #[default]
    Registers,
    /// ZooKeeper's data tree, with clients that speak its protocol.
    Tree,
}

impl StateName {
    pub fn kind(self) -> StateKind {
        match self {
            StateName::Registers => StateKind::Registers,
            StateName::Tree => StateKind::Tree,
        }
    }
    fn is_default(&self) -> bool {
        *self == StateName::Registers
    }
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
    /// Settings of its own, over those of all.
    #[serde(default)]
    #[schemars(with = "SettingsEntry")]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Historical behaviours of its own, beside those of all.
    #[serde(default)]
    pub switches: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DiskEntry {
    pub sync_us: u64,
    pub prealloc: u64,
    /// Snapshots that stay when a new one is made, with the logs from the oldest one on; without: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snap_retain_count: Option<usize>,
    /// An internal task is late so often (of a thousand), by at most so long.
    pub task_delay_milli: u64,
    pub task_delay_max_us: u64,
}

impl Default for DiskEntry {
    fn default() -> Self {
        DiskEntry {
            sync_us: 2000,
            prealloc: 65536,
            snap_retain_count: None,
            task_delay_milli: 0,
            task_delay_max_us: 20_000,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClockEntry {
    /// Each member's clock runs faster or slower by up to so many parts per million, as drawn.
    pub drift_ppm: u64,
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
    /// Signature of the first violation: its code and where it was seen, without numbers.
    #[serde(default)]
    pub signature: Option<String>,
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

/// Fields of actions that name members.
pub(crate) const MEMBERS_OF_ACTIONS: [&str; 9] =
    ["member", "a", "b", "from", "to", "voters", "observers", "leave", "through"];

/// A file that is no scenario: where in it, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {what}")]
pub struct ScenarioError {
    pub path: String,
    pub what: String,
}

fn check_switches(names: &[String], path: &str) -> Result<(), ScenarioError> {
    for (i, name) in names.iter().enumerate() {
        if !Switch::ALL.iter().any(|switch| switch.name() == name) {
            let known: Vec<&str> = Switch::ALL.iter().map(|switch| switch.name()).collect();
            return wrong(format!("{path}[{i}]"), format!("expected one of {}", known.join(", ")));
        }
    }
    Ok(())
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
        self.check_settings()?;
        if self.end_at <= self.heal_at {
            return wrong("endAt", "expected a time after healAt");
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
            if step.at.is_some_and(|at| at >= self.heal_at) {
                return wrong(format!("timeline[{i}].at"), "expected a time before healAt");
            }
            let text = serde_json::to_value(&step.actions).unwrap_or_default();
            self.check_members(&text, &format!("timeline[{i}].actions"))?;
        }
        Ok(())
    }

    /// Settings and switches, of all and of each.
    fn check_settings(&self) -> Result<(), ScenarioError> {
        if let Some(fault) = self.settings.fault() {
            return wrong("settings", fault);
        }
        check_switches(&self.switches, "switches")?;
        for (i, member) in self.members.iter().enumerate() {
            check_switches(&member.switches, &format!("members[{i}].switches"))?;
            match self.settings.with(&member.settings) {
                Ok(own) => {
                    own.fault().map_or(Ok(()), |fault| wrong(format!("members[{i}].settings"), fault))?
                }
                Err(why) => return wrong(format!("members[{i}].settings"), why),
            }
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
                let asks = fields.get("do").is_some_and(|name| name == "reconfig");
                // The version of a configuration is no member.
                for key in MEMBERS_OF_ACTIONS.into_iter().filter(|key| !asks || *key != "from") {
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
        View::unversioned(members, verifier)
    }

    /// Settings and switches of one member.
    fn config(&self, sid: ServerId, view: &View) -> Config {
        let own = self.members.iter().find(|m| m.id == sid.0);
        let entry = own.and_then(|m| self.settings.with(&m.settings).ok());
        let mut settings = entry.as_ref().unwrap_or(&self.settings).settings();
        if let Some(offered) = own.and_then(|m| m.protocol_version) {
            settings.learner_protocol = offered;
        }
        let named = |name: &str| {
            self.switches.iter().chain(own.into_iter().flat_map(|m| &m.switches)).any(|known| known == name)
        };
        let switches = Switch::ALL.into_iter().filter(|switch| named(switch.name())).collect();
        Config { sid, view: view.clone(), seen_view: None, settings, switches, seed: 0 }
    }

    pub fn run_spec(&self, seed: Option<u64>) -> RunSpec {
        let seed = seed.unwrap_or(self.seed);
        let view = self.view();
        let members = view.members.keys().map(|sid| self.config(*sid, &view)).collect();
        RunSpec {
            world: WorldSpec {
                seed,
                members,
                state: self.state.kind(),
                network: NetworkSpec {
                    mean_latency_ns: self.network.latency_us * 1000,
                    segmentation: self.network.segmentation,
                    ns_per_byte: self.network.ns_per_byte,
                },
                disk: DiskSpec {
                    mean_sync_ns: self.disk.sync_us * 1000,
                    prealloc: self.disk.prealloc,
                    snap_retain_count: self.disk.snap_retain_count,
                    most_bytes: DISK_BYTES,
                },
                task_delay_milli: self.disk.task_delay_milli,
                task_delay_max_ns: self.disk.task_delay_max_us * 1000,
                drift_ppm: self.clock.drift_ppm,
                allow_zxid_jumps: self.settings.initial_zxid.is_some(),
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
}
