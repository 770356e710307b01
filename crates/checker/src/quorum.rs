//! Quorums over bit masks: the same answers as `QuorumVerifier`, without a set for each question.

use wire::{ServerId, Zxid};
use zab::{LearnerType, QuorumVerifier, View};

use crate::observation::MemberSpec;

/// A configuration, as far as quorums go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub version: Zxid,
    /// Voters, as a mask.
    pub voters: u64,
    quorums: Quorums,
}

impl Configuration {
    /// Of the beginning.
    pub fn first(verifier: &QuorumVerifier, members: &[MemberSpec]) -> Configuration {
        let sids: Vec<ServerId> = members.iter().map(|member| member.sid).collect();
        let votes = |member: &MemberSpec| member.learner_type == LearnerType::Participant;
        let voters = members.iter().enumerate().filter(|(_, member)| votes(member));
        let voters = voters.fold(0, |mask, (at, _)| mask | 1 << at);
        Configuration { version: Zxid::ZERO, voters, quorums: Quorums::new(verifier, &sids) }
    }

    /// `sids`: of all members that are watched, in their order.
    pub fn of(view: &View, sids: &[ServerId]) -> Configuration {
        let voters = sids.iter().enumerate().filter(|(_, sid)| view.is_voter(**sid));
        let voters = voters.fold(0, |mask, (at, _)| mask | 1 << at);
        Configuration { version: view.version, voters, quorums: Quorums::new(&view.verifier, sids) }
    }

    /// The same sets are quorums, whatever the versions are.
    pub fn same_quorums(&self, other: &Configuration) -> bool {
        (self.voters, &self.quorums) == (other.voters, &other.quorums)
    }

    /// Who is no voter does not count.
    #[inline]
    pub fn has_quorum(&self, mask: u64) -> bool {
        self.quorums.contains(mask & self.voters)
    }
}

/// Bit `i` of a mask is member `i` of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Quorums {
    Majority { voters: u64, more_than: u32 },
    Hierarchical { groups: Vec<Group> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    total: i64,
    weights: Vec<(u64, i64)>,
}

impl Quorums {
    fn new(verifier: &QuorumVerifier, members: &[ServerId]) -> Quorums {
        assert!(members.len() <= 64, "at most 64 members are watched");
        let bit_of = |sid| members.iter().position(|m| *m == sid).map_or(0, |at| 1u64 << at);
        match verifier {
            QuorumVerifier::Majority { voters } => Quorums::Majority {
                voters: voters.iter().map(|sid| bit_of(*sid)).fold(0, |mask, bit| mask | bit),
                more_than: voters.len() as u32 / 2,
            },
            QuorumVerifier::Hierarchical { group_of, weight_of } => {
                let mut groups = std::collections::BTreeMap::<i64, Group>::new();
                for (sid, group) in group_of {
                    let weight = weight_of.get(sid).copied().unwrap_or(1);
                    let group = groups.entry(*group).or_insert(Group { total: 0, weights: Vec::new() });
                    group.total += weight;
                    group.weights.push((bit_of(*sid), weight));
                }
                Quorums::Hierarchical { groups: groups.into_values().filter(|g| g.total > 0).collect() }
            }
        }
    }

    fn contains(&self, mask: u64) -> bool {
        match self {
            Quorums::Majority { voters, more_than } => (mask & voters).count_ones() > *more_than,
            Quorums::Hierarchical { groups } => {
                let won = groups.iter().filter(|group| group.won_by(mask)).count();
                won > groups.len() / 2
            }
        }
    }
}

impl Group {
    fn won_by(&self, mask: u64) -> bool {
        let weight: i64 = self.weights.iter().filter(|(bit, _)| mask & bit != 0).map(|(_, w)| w).sum();
        weight > self.total / 2
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wire::ServerId;

    use super::*;

    fn members(n: i64) -> Vec<ServerId> {
        (1..=n).map(ServerId).collect()
    }

    fn same_as_verifier(verifier: &QuorumVerifier, n: i64) {
        let quorums = Quorums::new(verifier, &members(n));
        for mask in 0..1u64 << n {
            let set = (1..=n).filter(|sid| mask & (1 << (sid - 1)) != 0).map(ServerId);
            assert_eq!(quorums.contains(mask), verifier.contains_quorum(set), "{verifier:?} {mask:b}");
        }
    }

    #[test]
    fn answers_as_the_verifier_does() {
        let voters = [1, 2, 3, 5].map(ServerId).into_iter().collect();
        same_as_verifier(&QuorumVerifier::Majority { voters }, 6);
        let group_of: BTreeMap<_, _> =
            (1..=7).map(|sid| (ServerId(sid), if sid < 4 { 1 } else { sid / 2 })).collect();
        let weight_of = [(ServerId(2), 0), (ServerId(3), 3), (ServerId(6), 0), (ServerId(7), 0)].into();
        same_as_verifier(&QuorumVerifier::Hierarchical { group_of, weight_of }, 7);
    }
}
