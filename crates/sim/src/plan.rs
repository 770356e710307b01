//! What a run does and when: actions, at a time or when an event was seen. Scenario files and the
//! swarm make the same plans.

use peer::{Event, Nanos, Port};
use serde::{Deserialize, Serialize};
use wire::ServerId;

use crate::world::Moment;

/// A member by its id, or the leader of the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Who {
    Id(i64),
    /// "leader", "follower" (the one with the smallest id), or "it": the member of the trigger.
    Named(Named),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Named {
    Leader,
    Follower,
    It,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// The process dies; the page cache survives.
    Kill {
        member: Who,
        /// Not at once, but while its disk next works on something.
        #[serde(default)]
        amid_write: bool,
        /// Not at once, but inside the call of its file system that comes after so many others (calls
        /// that change something).
        #[serde(default)]
        calls: Option<u32>,
    },
    /// The machine dies: what was not synced may be lost.
    PowerLoss {
        member: Who,
        #[serde(default)]
        amid_write: bool,
        #[serde(default)]
        calls: Option<u32>,
    },
    Start {
        member: Who,
    },
    Pause {
        member: Who,
        ms: u64,
    },
    /// Nothing passes from any of `from` to any of `to`; both ways unless `oneWay`.
    Partition {
        from: Vec<Who>,
        to: Vec<Who>,
        #[serde(default)]
        one_way: bool,
    },
    /// Cut off from everybody.
    Isolate {
        member: Who,
    },
    Heal {},
    Reset {
        a: Who,
        b: Who,
    },
    /// Of what `from` sends next a part arrives, at least a byte and not all; then the connection is reset at
    /// both ends.
    CutFrame {
        from: Who,
        /// To this member; to anybody if not given.
        #[serde(default)]
        to: Option<Who>,
        /// On a connection to this port; on any if not given.
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        port: Option<Port>,
        /// The part, of a thousand.
        keep_milli: u64,
    },
    /// The connections of the moment between two members swallow what they are given, without a word.
    BlackHole {
        a: Who,
        b: Who,
    },
    /// The member's host refuses connections, though it listens.
    RefuseConnects {
        member: Who,
        ms: u64,
    },
    SlowLink {
        from: Who,
        to: Who,
        factor: u64,
        ms: u64,
    },
    SlowDisk {
        member: Who,
        factor: u64,
        ms: u64,
    },
    /// The next so many syncs fail.
    FailSync {
        member: Who,
        count: u32,
    },
    /// Nothing that takes space succeeds for a while.
    DiskFull {
        member: Who,
        ms: u64,
    },
    /// The next so many calls of its file system that change something, syncs aside, fail.
    FailWrite {
        member: Who,
        count: u32,
    },
    /// The next write stops after this part of it (of a thousand): no space.
    ShortWrite {
        member: Who,
        keep_milli: u64,
    },
    /// A bit of a log or snapshot flips, of a member that is down. Not where that would take the last
    /// quorum of something committed.
    BitRot {
        member: i64,
    },
    /// A member that is down gets an empty disk. Not where that would take the last quorum of something
    /// committed.
    ReplaceDisk {
        member: i64,
    },
    /// Connections from nobody to its ports, which say nothing and are reset after a while.
    ConnectionStorm {
        member: Who,
        count: u32,
        ms: u64,
    },
    /// The process runs and stands still in turns.
    SlowProcess {
        member: Who,
        pause_ms: u64,
        run_ms: u64,
        times: u32,
    },
    ClockJump {
        member: Who,
        ms: i64,
    },
    /// Clients connect (again) to this member only.
    MoveClients {
        member: Who,
    },
    /// A client that may reconfigure asks for it (`reconfigEnabled`): these servers vote from now on, these observe, these
    /// leave, and the others stay as they are. With `all` there are no others (`newMembers`). It is asked for again as long as
    /// nobody answers; refusals end it. Who left goes on and follows without a vote.
    Reconfig {
        #[serde(default)]
        voters: Vec<Who>,
        #[serde(default)]
        observers: Vec<Who>,
        #[serde(default)]
        leave: Vec<Who>,
        #[serde(default)]
        all: bool,
        /// Only if the configuration has this version.
        #[serde(default)]
        from: Option<i64>,
        /// Behind those that join, as it stands here: to be refused, or a server that is not there.
        #[serde(default)]
        text: Option<String>,
        /// The client is connected to this member; to the leader if not given.
        #[serde(default)]
        through: Option<Who>,
    },
    StopWorkload {},
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct When {
    /// Name of the event, as traces print it ("newLeaderSent"), or a moment of the host: "received"
    /// (just before bytes reach the member) or "diskOp" (just before its disk carries something out).
    pub event: String,
    /// The member that tells it.
    #[serde(default)]
    pub member: Option<i64>,
    /// Fields of the event that must be equal.
    #[serde(default)]
    pub fields: Fields,
    /// The how many-th such event counts, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    #[serde(default)]
    pub after_ms: u64,
}

/// Fields of an event that must be equal.
pub type Fields = serde_json::Map<String, serde_json::Value>;

pub fn has_fields(event: &serde_json::Value, fields: &Fields) -> bool {
    fields.iter().all(|(key, value)| &event[key.as_str()] == value)
}

fn one() -> u32 {
    1
}

impl When {
    /// Of an event with this name; `has` tells whether it has these fields.
    pub fn matches(&self, member: ServerId, has: &impl Fn(&Fields) -> bool) -> bool {
        self.member.is_none_or(|m| m == member.0) && (self.fields.is_empty() || has(&self.fields))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Milliseconds since the beginning.
    #[serde(default)]
    pub at: Option<u64>,
    #[serde(default)]
    pub when: Option<When>,
    pub actions: Vec<Action>,
}

/// An event as triggers and JSON traces see it.
pub fn event_json(event: &Event) -> serde_json::Value {
    serde_json::to_value(event).unwrap_or(serde_json::Value::Null)
}

impl Step {
    pub fn at(at: u64, actions: Vec<Action>) -> Step {
        Step { at: Some(at), when: None, actions }
    }

    pub fn when(when: When, actions: Vec<Action>) -> Step {
        Step { at: None, when: Some(when), actions }
    }

    pub fn waits_for_moment(&self) -> bool {
        self.when.as_ref().is_some_and(|when| Moment::NAMES.contains(&when.event.as_str()))
    }
}

/// A step with what is left of its trigger.
#[derive(Clone, Debug)]
pub struct Pending {
    pub step: Step,
    pub seen: u32,
    pub done: bool,
    /// The member whose event set it off.
    pub it: Option<ServerId>,
}

impl Pending {
    pub fn new(step: Step) -> Pending {
        Pending { step, seen: 0, done: false, it: None }
    }
}

/// Milliseconds of a plan.
pub fn millis(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}
