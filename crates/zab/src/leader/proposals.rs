//! `Outstanding`: proposals that are not committed yet, in order, and who acknowledged each. A zxid
//! finds its proposal by its distance from the first one.

use std::collections::VecDeque;

use wire::{ServerId, Zxid};

use crate::disk::TxnEntry;
use crate::processors::LocalRequest;
use crate::quorum_verifier::QuorumVerifier;

#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub entry: TxnEntry,
    pub digest: u64,
    /// Bit i: the i-th voter acknowledged.
    acks: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    voters: Vec<ServerId>,
    proposals: VecDeque<Proposal>,
}

impl Outstanding {
    /// At most 64 voters.
    pub fn new(voters: impl Iterator<Item = ServerId>) -> Outstanding {
        let voters: Vec<ServerId> = voters.collect();
        assert!(voters.len() <= 64, "an ensemble of more than 64 voters");
        Outstanding { voters, proposals: VecDeque::new() }
    }

    pub fn push(&mut self, entry: TxnEntry, digest: u64) {
        if let Some(last) = self.proposals.back() {
            assert_eq!(entry.zxid.0, last.entry.zxid.0 + 1, "proposals have consecutive zxids");
        }
        self.proposals.push_back(Proposal { entry, digest, acks: 0 });
    }

    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Proposal> + '_ {
        self.proposals.iter()
    }

    /// Count an acknowledgement; false where no such proposal is outstanding. Ids that are no voters
    /// are not counted.
    pub fn ack(&mut self, sid: ServerId, zxid: Zxid) -> bool {
        let Some(first) = self.proposals.front() else { return false };
        let Ok(index) = usize::try_from(zxid.0 - first.entry.zxid.0) else { return false };
        let Some(proposal) = self.proposals.get_mut(index) else { return false };
        if let Some(voter) = self.voters.iter().position(|v| *v == sid) {
            proposal.acks |= 1 << voter;
        }
        true
    }

    /// A learner synchronises again: TRUNC may cut what it acknowledged, and it is sent everything
    /// outstanding anew. Until it acknowledges again, its copies do not count.
    pub fn forget_acks(&mut self, sid: ServerId) {
        if let Some(voter) = self.voters.iter().position(|v| *v == sid) {
            for proposal in &mut self.proposals {
                proposal.acks &= !(1 << voter);
            }
        }
    }

    /// The oldest proposal, if a quorum acknowledged it. Later ones wait for it.
    pub fn pop_committed(&mut self, verifier: &QuorumVerifier) -> Option<Proposal> {
        let first = self.proposals.front()?;
        let acks = first.acks;
        let acked = self.voters.iter().enumerate().filter(|(i, _)| acks & (1 << i) != 0);
        if verifier.contains_quorum(acked.map(|(_, sid)| *sid)) { self.proposals.pop_front() } else { None }
    }
}

/// A sync that waits until `zxid` is committed.
#[derive(Clone, Debug)]
pub(super) enum PendingSync {
    Local(LocalRequest),
    Learner(crate::io::ConnId),
}
