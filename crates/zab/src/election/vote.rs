//! Votes and their order.

use wire::election::{Notification, ServerState};
use wire::{Epoch, ServerId, Zxid};

use crate::context::Io;
use crate::switches::{Switch, Switches};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub leader: ServerId,
    pub zxid: Zxid,
    pub round: i64,
    pub epoch: Epoch,
}

impl Vote {
    /// An observer's vote, for nobody.
    pub fn none(round: i64) -> Vote {
        Vote { leader: ServerId::NONE, zxid: Zxid::MIN, round, epoch: Epoch(i64::MIN) }
    }
    pub fn of(n: &Notification) -> Vote {
        Vote { leader: n.leader, zxid: n.zxid, round: n.round, epoch: n.peer_epoch }
    }
    /// The total order: epoch, then zxid, then sid (ZOOKEEPER-1419). A server of weight 0 never wins. One that votes in the
    /// pending configuration only stands behind the others of equal history: who does not know that configuration would not
    /// have it.
    pub fn better_than(&self, other: &Vote, io: &Io<'_>) -> bool {
        let active = io.ensemble.active();
        may_lead(io, self.leader, self.round)
            && if io.config.switches.has(Switch::VoteOrderPrecedence) {
                // The last clause forgets the epoch.
                self.epoch > other.epoch
                    || self.epoch == other.epoch && self.zxid > other.zxid
                    || self.zxid == other.zxid && self.leader > other.leader
            } else {
                let rank = |vote: &Vote| (vote.epoch, vote.zxid, active.is_voter(vote.leader), vote.leader);
                rank(self) > rank(other)
            }
    }
}

/// Those who vote in the pending configuration only may in even rounds.
pub fn may_lead(io: &Io<'_>, sid: ServerId, round: i64) -> bool {
    io.ensemble.weighs(sid) && (io.ensemble.active().is_voter(sid) || round % 2 == 0)
}

/// A vote as it was received: from whom does not matter, in which state does.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub vote: Vote,
    pub state: ServerState,
    pub version: i32,
}

impl Received {
    /// Do two received votes speak for the same leader?
    ///
    /// | states | versions | must be equal |
    /// |---|---|---|
    /// | one is LOOKING | any | leader, zxid, round, epoch |
    /// | both settled | exactly one is 0 | leader |
    /// | both settled | else | leader, epoch: late joiners keep another zxid and round (ZOOKEEPER-1732) |
    ///
    /// Wrong (ZOOKEEPER-1732): the first row's equality is demanded of all.
    pub fn agrees_with(&self, other: &Received, switches: Switches) -> bool {
        let (a, b) = (&self.vote, &other.vote);
        let looking = self.state == ServerState::Looking || other.state == ServerState::Looking;
        if looking || switches.has(Switch::JoinStrictMatch) {
            return a == b;
        }
        if (self.version > 0) != (other.version > 0) {
            return a.leader == b.leader;
        }
        a.leader == b.leader && a.epoch == b.epoch
    }
}
