//! `Ensemble`: the members as this one knows them, which a reconfiguration changes while it runs
//! (`QuorumPeer.quorumVerifier`, `lastSeenQuorumVerifier`; ZOOKEEPER-107). Owned by the peer; roles and the election
//! read it, and tell it of what they see.
//!
//! A configuration is *seen* when it is proposed (PROPOSAL of a reconfig, NEWLEADER), and *active* when it is known to
//! be committed (COMMITANDACTIVATE, INFORMANDACTIVATE, UPTODATE, or a notification of who knows it). While one is seen
//! that is not active, every decision needs a quorum of both: whichever of the two the others go by, two decisions have
//! a member in common.
//!
//! With `reconfigEnabled=false` the members are those of `zoo.cfg`. A committed configuration whose quorums are others
//! is then no reason to go on as if nothing had happened, as Java does: see `refusal`.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::{Epoch, ServerId, Zxid};

use crate::config::{Config, LearnerType, Member, View};

/// Election addresses of servers in no configuration that are remembered: they dial us when they want to join.
const MAX_STRANGERS: usize = 64;

#[derive(Clone, Debug)]
pub struct Ensemble {
    sid: ServerId,
    active: View,
    active_text: Bytes,
    /// Later than the active one.
    seen: Option<View>,
    /// As the last configuration says that this member is in: without one it says where it is, to be added again.
    own_election_address: String,
    /// `host:port` of their election ports, as their hellos stated them, in the order in which they came.
    strangers: VecDeque<(ServerId, String)>,
}

/// What a reconfiguration that has become active asks of this member's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It was active before.
    Known,
    /// The role goes on.
    Minor,
    /// The own role, or the leader, is another: the role ends (`majorChange`).
    Major,
}

/// Where a configuration is kept (`zoo.cfg.dynamic.<version>`, `zoo.cfg.dynamic.next`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConfigFile {
    Active,
    Seen,
}

impl Ensemble {
    pub fn new(config: &Config) -> Ensemble {
        let seen = config.seen_view.clone().filter(|seen| seen.version > config.view.version);
        let mut ensemble = Ensemble {
            sid: config.sid,
            active_text: config.view.text(),
            active: config.view.clone(),
            seen: None,
            own_election_address: String::new(),
            strangers: VecDeque::new(),
        };
        ensemble.learn_own_address(&config.view);
        if let Some(seen) = &seen {
            ensemble.learn_own_address(seen);
        }
        Ensemble { seen, ..ensemble }
    }

    fn learn_own_address(&mut self, view: &View) {
        if let Some(member) = view.members.get(&self.sid) {
            self.own_election_address.clone_from(&member.election_address);
        }
    }

    /// `host:port`; none where no configuration that was known had this member.
    pub fn own_election_address(&self) -> &str {
        &self.own_election_address
    }

    pub fn active(&self) -> &View {
        &self.active
    }

    pub fn active_text(&self) -> Bytes {
        self.active_text.clone()
    }

    /// The latest one: seen, or else active.
    pub fn latest(&self) -> &View {
        self.seen.as_ref().unwrap_or(&self.active)
    }

    /// The version of the one that is seen and not active.
    pub fn pending(&self) -> Option<Zxid> {
        self.seen.as_ref().map(|seen| seen.version)
    }

    /// Is a proposal committed that this set has acknowledged? What was proposed before the reconfig that is pending goes
    /// by the active configuration only.
    pub fn commits(&self, proposal: Zxid, set: impl IntoIterator<Item = ServerId> + Clone) -> bool {
        let before = self.pending().is_some_and(|reconfig| proposal < reconfig);
        if before { self.active.verifier.contains_quorum(set) } else { self.contains_quorum(set) }
    }

    pub fn contains_quorum(&self, set: impl IntoIterator<Item = ServerId> + Clone) -> bool {
        self.active.verifier.contains_quorum(set.clone())
            && self.seen.as_ref().is_none_or(|seen| seen.verifier.contains_quorum(set))
    }

    pub fn member(&self, sid: ServerId) -> Option<&Member> {
        self.active.members.get(&sid).or_else(|| self.seen.as_ref()?.members.get(&sid))
    }

    pub fn is_member(&self, sid: ServerId) -> bool {
        self.member(sid).is_some()
    }

    /// In either (`getCurrentAndNextConfigVoters`).
    pub fn is_voter(&self, sid: ServerId) -> bool {
        self.active.is_voter(sid) || self.seen.as_ref().is_some_and(|seen| seen.is_voter(sid))
    }

    /// May it be voted for (`QuorumVerifier.getWeight`)?
    pub fn weighs(&self, sid: ServerId) -> bool {
        let weighs = |view: &View| view.is_voter(sid) && view.verifier.weight(sid) != 0;
        weighs(&self.active) || self.seen.as_ref().is_some_and(weighs)
    }

    /// Of both, ascending.
    pub fn voters(&self) -> Vec<ServerId> {
        let seen = self.seen.iter().flat_map(View::voters);
        let mut voters: Vec<ServerId> = self.active.voters().chain(seen).collect();
        voters.sort_unstable();
        voters.dedup();
        voters
    }

    /// How many there are at most in a learner's or an election's tables.
    pub fn len(&self) -> usize {
        self.active.members.len() + self.seen.as_ref().map_or(0, |seen| seen.members.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A server in no configuration follows without a vote, before it is added and after it is removed
    /// (`updateLearnerType`).
    pub fn learner_type(&self) -> LearnerType {
        role_in(&self.active, self.sid)
    }

    /// May this member be voted for, and does it vote?
    pub fn votes(&self) -> bool {
        self.is_voter(self.sid)
    }

    /// `setLastSeenQuorumVerifier`. True where it is new, and to be kept.
    pub fn see(&mut self, view: &View) -> bool {
        if view.version <= self.latest().version {
            return false;
        }
        self.seen = Some(view.clone());
        self.learn_own_address(view);
        true
    }

    /// NEWLEADER's, to be told once the history is that leader's. What was proposed to this member by another leader, and is
    /// later, goes: it has no quorum, or the leader would have it. True where something changes, and is to be kept.
    pub fn agree(&mut self, view: &View) -> bool {
        // Two leaders may have given the lists of their files the same version: the one that is followed is right.
        if view.text() == self.latest().text() {
            return false;
        }
        self.seen = Some(view.clone()).filter(|seen| seen.version > self.active.version);
        self.learn_own_address(view);
        true
    }

    /// The member begins to look, with this history: what was kept and not logged counts no more, a reconfig that was proposed
    /// in the history's epoch or a configuration of a NEWLEADER. It was never acknowledged, and perhaps nobody has it. True
    /// where there is such a one: it must not be kept any more, or it would seem to be of the history once that is longer.
    pub fn forget_unlogged(&mut self, last_zxid: Zxid, current_epoch: Epoch) -> bool {
        let unlogged = self.seen.take_if(|seen| {
            let (version, of_new_leader) = (seen.version, seen.version.counter() == 0);
            let epoch = version.epoch();
            version > last_zxid && (epoch > current_epoch || epoch == current_epoch && !of_new_leader)
        });
        unlogged.is_some()
    }

    /// `processReconfig`: the configuration is committed. `leader`: of the role that is being played. `designated`: who
    /// leads from now on, where somebody has said so.
    pub fn activate(
        &mut self,
        view: &View,
        leader: Option<ServerId>,
        designated: Option<ServerId>,
    ) -> Activation {
        if view.version <= self.active.version {
            return Activation::Known;
        }
        let before = std::mem::replace(&mut self.active, view.clone());
        self.learn_own_address(view);
        self.active_text = self.active.text();
        self.seen.take_if(|seen| seen.version <= view.version);
        self.strangers.retain(|(sid, _)| !view.members.contains_key(sid));
        let role_changes = role_in(&before, self.sid) != self.learner_type();
        let leader_changes = match (leader, designated) {
            (None, _) => false,
            (Some(leader), Some(designated)) => leader != designated,
            (Some(leader), None) => !same_voter(&before, view, leader),
        };
        if role_changes || leader_changes { Activation::Major } else { Activation::Minor }
    }

    /// In the next configuration as in the active one?
    pub fn leads_on(&self, next: &View, leader: ServerId) -> bool {
        same_voter(&self.active, next, leader)
    }

    /// Where this member does not reconfigure: why it must not go by its own configuration any more, as the ensemble goes by
    /// this one. None where that has the same quorums: observers come and go without it.
    pub fn refusal(&self, view: &View) -> Option<String> {
        let same = view.verifier.normal() == self.active.verifier.normal()
            && role_in(view, self.sid) == self.learner_type();
        if same || view.version <= self.active.version {
            return None;
        }
        Some(format!(
            "the ensemble is reconfigured (version {:x}), and its voters are not those of this server's configuration, \
             where reconfigEnabled is not true. Set it, or list these servers, and start again (the file of a later \
             configuration, dynamicConfigFile=NAME.VERSION, would count more):\n{}",
            view.version.0,
            String::from_utf8_lossy(&view.text())
        ))
    }

    /// Who said hello, and is no member: it may want to join, and to be dialled at the address that it states.
    pub fn meet_stranger(&mut self, sid: ServerId, election_address: &[u8]) {
        let Ok(address) = std::str::from_utf8(election_address) else { return };
        if sid.0 < 0 {
            return;
        }
        self.strangers.retain(|(other, _)| *other != sid);
        if self.strangers.len() == MAX_STRANGERS {
            self.strangers.pop_front();
        }
        self.strangers.push_back((sid, address.to_owned()));
    }

    pub fn is_stranger(&self, sid: ServerId) -> bool {
        self.strangers.iter().any(|(other, _)| *other == sid)
    }

    /// `host:port`.
    pub fn election_address(&self, sid: ServerId) -> Option<&str> {
        let member = self.member(sid).map(|member| member.election_address.as_str());
        let stranger = || self.strangers.iter().find(|(other, _)| *other == sid);
        member.or_else(|| stranger().map(|(_, address)| address.as_str()))
    }

    /// `host:port`.
    pub fn quorum_address(&self, sid: ServerId) -> Option<&str> {
        self.member(sid).map(Member::quorum_address)
    }
}

fn role_in(view: &View, sid: ServerId) -> LearnerType {
    view.members.get(&sid).map_or(LearnerType::Participant, |member| member.learner_type)
}

/// A voter in both, at the same address.
fn same_voter(before: &View, after: &View, leader: ServerId) -> bool {
    let address = |view: &View| {
        let member = view.members.get(&leader).filter(|m| m.learner_type == LearnerType::Participant);
        member.map(|member| member.quorum_address().to_owned())
    };
    address(after).is_some() && address(before) == address(after)
}

#[cfg(test)]
pub(crate) mod tests;
