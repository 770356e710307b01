//! The kinds of faults, and how often each was injected and took effect: a partition that held back no
//! segment, a crash that lost no byte, is no test.

use serde::{Deserialize, Serialize};

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
}

impl FaultKind {
    pub const ALL: [FaultKind; 11] = [
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
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounters {
    pub injected: [u64; 11],
    pub took_effect: [u64; 11],
}

impl FaultCounters {
    pub fn inject(&mut self, kind: FaultKind) {
        self.injected[kind as usize] += 1;
    }
    pub fn effect(&mut self, kind: FaultKind) {
        self.took_effect[kind as usize] += 1;
    }
    pub fn add(&mut self, other: &FaultCounters) {
        for i in 0..self.injected.len() {
            self.injected[i] += other.injected[i];
            self.took_effect[i] += other.took_effect[i];
        }
    }
}
