//! `ProposalRequestProcessor`: what a leader has proposed and not committed (`outstandingProposals`),
//! who acknowledged it, and the syncs that wait for it (`processSync`). A zxid finds its proposal by
//! its distance from the first one.

use std::collections::VecDeque;

use wire::{ServerId, Zxid};

use super::LocalRequest;
use crate::config_text::MAX_VOTERS;
use crate::disk::TxnEntry;
use crate::ensemble::Ensemble;
use crate::io::ConnId;

#[derive(Clone, Debug)]
pub struct Proposal {
    pub entry: TxnEntry,
    pub digest: u64,
    /// Bit i: the i-th voter acknowledged.
    acks: u128,
}

/// A sync that waits until what was proposed before it is committed.
#[derive(Clone, Debug)]
pub enum PendingSync {
    Local(LocalRequest),
    Learner(ConnId),
}

#[derive(Clone, Debug)]
pub struct ProposalRequestProcessor {
    voters: Vec<ServerId>,
    last_proposed: Zxid,
    outstanding: VecDeque<Proposal>,
    pending_syncs: VecDeque<(Zxid, PendingSync)>,
}

impl ProposalRequestProcessor {
    /// At most 64 voters in each of two configurations.
    pub fn new(voters: Vec<ServerId>, last_zxid: Zxid) -> ProposalRequestProcessor {
        assert!(voters.len() <= 2 * MAX_VOTERS, "ensembles of more than 64 voters");
        ProposalRequestProcessor {
            voters,
            last_proposed: last_zxid,
            outstanding: VecDeque::new(),
            pending_syncs: VecDeque::new(),
        }
    }

    pub fn outstanding_len(&self) -> usize {
        self.outstanding.len()
    }

    pub fn pending_syncs_len(&self) -> usize {
        self.pending_syncs.len()
    }

    pub fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// The epoch is established: the next proposal comes behind this zxid.
    pub fn begin_behind(&mut self, zxid: Zxid) {
        assert!(self.outstanding.is_empty(), "nothing is proposed before the epoch is established");
        self.last_proposed = zxid;
    }

    /// The zxid of the next proposal. The last counter is never proposed (ZOOKEEPER-1277): `None`. `rolls`: it
    /// is, and the one after it carries into the epoch.
    pub fn next_zxid(&self, rolls: bool) -> Option<Zxid> {
        if rolls {
            return Some(Zxid(self.last_proposed.0 + 1));
        }
        (self.last_proposed.counter() < Zxid::ROLL_OVER - 1).then(|| self.last_proposed.next())
    }

    /// The configurations have changed: who voted before and votes still has acknowledged what it has.
    pub fn voters_are(&mut self, voters: Vec<ServerId>) {
        assert!(voters.len() <= 2 * MAX_VOTERS, "ensembles of more than 64 voters");
        let before = std::mem::replace(&mut self.voters, voters);
        let place = |sid| before.iter().position(|voter| voter == sid);
        let places: Vec<Option<usize>> = self.voters.iter().map(place).collect();
        for proposal in &mut self.outstanding {
            let acked = |place: &Option<usize>| place.is_some_and(|at| proposal.acks & (1 << at) != 0);
            let acks = places.iter().enumerate().filter(|(_, place)| acked(place));
            proposal.acks = acks.fold(0, |acks, (at, _)| acks | 1 << at);
        }
    }

    /// Voters, ascending.
    pub fn acknowledged_by(&self, proposal: &Proposal) -> Vec<ServerId> {
        let voters = self.voters.iter().enumerate();
        voters.filter(|(at, _)| proposal.acks & (1 << at) != 0).map(|(_, sid)| *sid).collect()
    }

    pub fn propose(&mut self, entry: TxnEntry, digest: u64) {
        if let Some(last) = self.outstanding.back() {
            assert_eq!(entry.zxid.0, last.entry.zxid.0 + 1, "proposals have consecutive zxids");
        }
        self.last_proposed = entry.zxid;
        self.outstanding.push_back(Proposal { entry, digest, acks: 0 });
    }

    /// Proposals above `zxid` that are not committed.
    pub fn outstanding_behind(&self, zxid: Zxid) -> impl Iterator<Item = &Proposal> + '_ {
        self.outstanding.iter().filter(move |proposal| proposal.entry.zxid > zxid)
    }

    /// Count an acknowledgement; false where no such proposal is outstanding. Ids that are no voters
    /// are not counted.
    pub fn ack(&mut self, sid: ServerId, zxid: Zxid) -> bool {
        let Some(first) = self.outstanding.front() else { return false };
        let distance = zxid.0.checked_sub(first.entry.zxid.0);
        let Some(index) = distance.and_then(|n| usize::try_from(n).ok()) else { return false };
        let Some(proposal) = self.outstanding.get_mut(index) else { return false };
        if let Some(voter) = self.voters.iter().position(|v| *v == sid) {
            proposal.acks |= 1 << voter;
        }
        true
    }

    /// A learner synchronises again: TRUNC may cut what it acknowledged, and it is sent everything
    /// outstanding anew. Until it acknowledges again, its copies do not count.
    pub fn forget_acks(&mut self, sid: ServerId) {
        if let Some(voter) = self.voters.iter().position(|v| *v == sid) {
            for proposal in &mut self.outstanding {
                proposal.acks &= !(1 << voter);
            }
        }
    }

    /// The oldest proposal, if a quorum acknowledged it. Later ones wait for it.
    pub fn pop_committed(&mut self, ensemble: &Ensemble) -> Option<Proposal> {
        let first = self.outstanding.front()?;
        let acks = first.acks;
        let acked = self.voters.iter().enumerate().filter(|(i, _)| acks & (1u128 << i) != 0);
        let committed = ensemble.commits(first.entry.zxid, acked.map(|(_, sid)| *sid));
        if committed { self.outstanding.pop_front() } else { None }
    }

    /// A sync is given back at once where nothing is outstanding; else it waits for what is.
    pub fn sync(&mut self, sync: PendingSync) -> Option<PendingSync> {
        if self.outstanding.is_empty() {
            return Some(sync);
        }
        self.pending_syncs.push_back((self.last_proposed, sync));
        None
    }

    /// The next sync that waited for `committed` or less.
    pub fn pop_released_sync(&mut self, committed: Zxid) -> Option<PendingSync> {
        self.pending_syncs.pop_front_if(|(zxid, _)| *zxid <= committed).map(|(_, sync)| sync)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wire::Epoch;

    use super::*;
    use crate::ensemble::tests::view;

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(1), counter)
    }

    fn of_three() -> (ProposalRequestProcessor, Ensemble) {
        let ensemble = crate::ensemble::tests::ensemble(1, view(1, &[1, 2, 3], &[], None));
        (ProposalRequestProcessor::new(ensemble.voters(), z(0)), ensemble)
    }

    fn propose(processor: &mut ProposalRequestProcessor) -> Zxid {
        let zxid = processor.next_zxid(false).expect("a counter is left");
        processor.propose(TxnEntry { zxid, txn: Bytes::new() }, 0);
        zxid
    }

    #[test]
    fn a_quorum_commits_in_order() {
        let (mut processor, ensemble) = of_three();
        let (first, second) = (propose(&mut processor), propose(&mut processor));
        for sid in [1, 2] {
            assert!(processor.ack(ServerId(sid), second));
        }
        assert!(processor.pop_committed(&ensemble).is_none(), "the first one has no quorum");
        assert!(processor.ack(ServerId(1), first));
        assert!(processor.ack(ServerId(1), first));
        assert!(processor.pop_committed(&ensemble).is_none(), "one server is no quorum, twice or not");
        assert!(processor.ack(ServerId(9), first));
        assert!(processor.pop_committed(&ensemble).is_none(), "9 is no voter");
        assert!(processor.ack(ServerId(3), first));
        assert_eq!(processor.pop_committed(&ensemble).map(|p| p.entry.zxid), Some(first));
        assert_eq!(processor.pop_committed(&ensemble).map(|p| p.entry.zxid), Some(second));
        assert!(!processor.ack(ServerId(3), first), "it is not outstanding any more");
    }

    /// While a configuration is seen that is not active.
    #[test]
    fn both_quorums_commit() {
        let (_, mut ensemble) = of_three();
        ensemble.see(&view(2, &[1, 4, 5], &[], None));
        let mut processor = ProposalRequestProcessor::new(ensemble.voters(), z(0));
        let zxid = propose(&mut processor);
        for (sid, commits) in [(2, false), (3, false), (4, false), (5, true)] {
            processor.ack(ServerId(sid), zxid);
            assert_eq!(processor.pop_committed(&ensemble).is_some(), commits, "{sid}");
        }
    }

    /// What was proposed before the configuration that is seen goes by the active one.
    #[test]
    fn the_active_quorum_commits_what_was_proposed_before() {
        let (mut processor, mut ensemble) = of_three();
        let (before, reconfig) = (propose(&mut processor), propose(&mut processor));
        ensemble.see(&view(reconfig.0, &[1, 4, 5], &[], None));
        processor.voters_are(ensemble.voters());
        for zxid in [before, reconfig] {
            processor.ack(ServerId(1), zxid);
            processor.ack(ServerId(2), zxid);
        }
        assert_eq!(processor.pop_committed(&ensemble).map(|p| p.entry.zxid), Some(before));
        assert!(processor.pop_committed(&ensemble).is_none());
        processor.ack(ServerId(5), reconfig);
        assert_eq!(processor.pop_committed(&ensemble).map(|p| p.entry.zxid), Some(reconfig));
    }

    #[test]
    fn acknowledgements_stay_those_of_their_voters() {
        let (mut processor, mut ensemble) = of_three();
        let zxid = propose(&mut processor);
        for sid in [1, 3, 4] {
            processor.ack(ServerId(sid), zxid);
        }
        let acked = |processor: &ProposalRequestProcessor| {
            let first = processor.outstanding_behind(z(0)).next().expect("one is outstanding");
            processor.acknowledged_by(first).into_iter().map(|sid| sid.0).collect::<Vec<_>>()
        };
        processor.voters_are([0, 1, 2, 3, 4].map(ServerId).to_vec());
        assert_eq!(acked(&processor), [1, 3], "4 had no vote when it acknowledged");
        processor.ack(ServerId(4), zxid);
        processor.voters_are([2, 3, 4].map(ServerId).to_vec());
        assert_eq!(acked(&processor), [3, 4]);
        ensemble.activate(&view(2, &[2, 3, 4], &[], None), None, None);
        assert!(processor.pop_committed(&ensemble).is_some());
    }

    #[test]
    fn forgotten_acknowledgements_do_not_count() {
        let (mut processor, ensemble) = of_three();
        let zxid = propose(&mut processor);
        processor.ack(ServerId(2), zxid);
        processor.forget_acks(ServerId(2));
        processor.ack(ServerId(1), zxid);
        assert!(processor.pop_committed(&ensemble).is_none());
    }

    /// Counters begin anew in each epoch.
    #[test]
    fn acknowledgements_of_another_epoch_do_not_count() {
        let (mut processor, ensemble) = of_three();
        let zxid = propose(&mut processor);
        for epoch in [0, 2] {
            let other = Zxid::new(Epoch(epoch), zxid.counter());
            assert!([1, 2, 3].into_iter().all(|sid| !processor.ack(ServerId(sid), other)), "{other}");
        }
        assert!(processor.pop_committed(&ensemble).is_none());
    }

    #[test]
    fn syncs_wait_for_what_was_proposed_before_them() {
        let (mut processor, ensemble) = of_three();
        assert!(processor.sync(PendingSync::Learner(ConnId(1))).is_some(), "nothing to wait for");
        let (first, second) = (propose(&mut processor), propose(&mut processor));
        assert!(processor.sync(PendingSync::Learner(ConnId(2))).is_none());
        for zxid in [first, second] {
            processor.ack(ServerId(1), zxid);
            processor.ack(ServerId(2), zxid);
        }
        processor.pop_committed(&ensemble);
        assert!(processor.pop_released_sync(first).is_none());
        processor.pop_committed(&ensemble);
        assert!(matches!(processor.pop_released_sync(second), Some(PendingSync::Learner(ConnId(2)))));
    }

    #[test]
    fn the_last_counter_is_never_proposed() {
        let (mut processor, _) = of_three();
        processor.begin_behind(z(u32::MAX - 2));
        assert_eq!(propose(&mut processor), z(u32::MAX - 1));
        assert_eq!(processor.next_zxid(false), None);
        assert_eq!(processor.next_zxid(true), Some(z(u32::MAX)));
        let (mut processor, _) = of_three();
        processor.begin_behind(z(u32::MAX));
        assert_eq!(processor.next_zxid(true), Some(Zxid::new(Epoch(2), 0)));
    }
}
