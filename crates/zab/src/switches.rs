//! Behaviour switches: historical (and deliberately wrong) behaviours, one each, read at the one
//! place where the behaviour differs. The empty set is the correct protocol.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Switch {
    /// A follower acknowledges a PROPOSAL when it is handed to the disk, not when it is durable.
    /// Not history: it shows that the checkers bite.
    AckBeforeSync,
    /// A leader whose epoch is below what a member has accepted goes on leading, and the member, which
    /// must refuse it, stays outside for as long as the leader has a quorum. All releases of ZooKeeper.
    IgnoreHigherAcceptedEpoch,
}

impl Switch {
    pub const ALL: [Switch; 2] = [Switch::AckBeforeSync, Switch::IgnoreHigherAcceptedEpoch];
    pub fn name(self) -> &'static str {
        match self {
            Switch::AckBeforeSync => "ack-before-sync",
            Switch::IgnoreHigherAcceptedEpoch => "ignore-higher-accepted-epoch",
        }
    }
}

/// A set of switches, given to a member's machines and storage when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches(u64);

impl Switches {
    pub const NONE: Switches = Switches(0);
    pub fn with(self, switch: Switch) -> Switches {
        Switches(self.0 | 1 << switch as u8)
    }
    pub fn has(self, switch: Switch) -> bool {
        self.0 & (1 << switch as u8) != 0
    }
}

impl FromIterator<Switch> for Switches {
    fn from_iter<T: IntoIterator<Item = Switch>>(iter: T) -> Switches {
        iter.into_iter().fold(Switches::NONE, Switches::with)
    }
}
