//! The kinds of faults (and reconfigurations, which are none), and how often each was injected and took effect: a partition that held back no
//! segment, a crash that lost no byte, is no test.

use serde::{Deserialize, Serialize};

const COUNT: usize = 22;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[repr(usize)]
pub enum FaultKind {
    Kill,
    PowerLoss,
    Pause,
    Partition,
    Reset,
    SlowLink,
    SlowDisk,
    FailedSync,
    DelayedTask,
    ClockJump,
    HalfOpen,
    BlackHole,
    RefusedConnect,
    DiskFull,
    FailedWrite,
    ShortWrite,
    BitRot,
    ReplacedDisk,
    ConnectionStorm,
    SlowProcess,
    CutFrame,
    /// Asked for; it takes effect when it is done.
    Reconfig,
}

impl FaultKind {
    pub const ALL: [FaultKind; COUNT] = [
        FaultKind::Kill,
        FaultKind::PowerLoss,
        FaultKind::Pause,
        FaultKind::Partition,
        FaultKind::Reset,
        FaultKind::SlowLink,
        FaultKind::SlowDisk,
        FaultKind::FailedSync,
        FaultKind::DelayedTask,
        FaultKind::ClockJump,
        FaultKind::HalfOpen,
        FaultKind::BlackHole,
        FaultKind::RefusedConnect,
        FaultKind::DiskFull,
        FaultKind::FailedWrite,
        FaultKind::ShortWrite,
        FaultKind::BitRot,
        FaultKind::ReplacedDisk,
        FaultKind::ConnectionStorm,
        FaultKind::SlowProcess,
        FaultKind::CutFrame,
        FaultKind::Reconfig,
    ];
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Kill => "kill",
            FaultKind::PowerLoss => "power loss",
            FaultKind::Pause => "pause",
            FaultKind::Partition => "partition",
            FaultKind::Reset => "reset",
            FaultKind::SlowLink => "slow link",
            FaultKind::SlowDisk => "slow disk",
            FaultKind::FailedSync => "failed sync",
            FaultKind::DelayedTask => "delayed task",
            FaultKind::ClockJump => "clock jump",
            FaultKind::HalfOpen => "half-open",
            FaultKind::BlackHole => "black hole",
            FaultKind::RefusedConnect => "refused connect",
            FaultKind::DiskFull => "disk full",
            FaultKind::FailedWrite => "failed write",
            FaultKind::ShortWrite => "short write",
            FaultKind::BitRot => "bit rot",
            FaultKind::ReplacedDisk => "replaced disk",
            FaultKind::ConnectionStorm => "connection storm",
            FaultKind::SlowProcess => "slow process",
            FaultKind::CutFrame => "cut frame",
            FaultKind::Reconfig => "reconfig",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounters {
    pub injected: [u64; COUNT],
    pub took_effect: [u64; COUNT],
    /// Of all kinds that somebody injected (task delays are weather).
    pub effects: u64,
}

impl FaultCounters {
    pub fn inject(&mut self, kind: FaultKind) {
        self.injected[kind as usize] += 1;
    }
    pub fn effect(&mut self, kind: FaultKind) {
        self.took_effect[kind as usize] += 1;
        self.effects += u64::from(kind != FaultKind::DelayedTask);
    }
    /// The first time that an injected fault takes effect counts, the rest of its time does not.
    pub fn first_effect(&mut self, kind: FaultKind, unfelt: &mut bool) {
        if std::mem::take(unfelt) {
            self.effect(kind);
        }
    }
    pub fn add(&mut self, other: &FaultCounters) {
        for i in 0..self.injected.len() {
            self.injected[i] += other.injected[i];
            self.took_effect[i] += other.took_effect[i];
        }
        self.effects += other.effects;
    }
}
