//! `QuorumVerifier`: which sets of servers are a quorum. Majority, or hierarchical with groups and
//! weights (`QuorumMaj`, `QuorumHierarchical`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::ServerId;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumVerifier {
    /// More than half of the voters.
    Majority { voters: BTreeSet<ServerId> },
    /// More than half of the groups that weigh anything, in each more than half of the weight.
    Hierarchical { group_of: BTreeMap<ServerId, i64>, weight_of: BTreeMap<ServerId, i64> },
}

impl QuorumVerifier {
    /// Ids that are no voters do not count. `set` holds no id twice.
    pub fn contains_quorum(&self, set: impl IntoIterator<Item = ServerId>) -> bool {
        match self {
            QuorumVerifier::Majority { voters } => {
                set.into_iter().filter(|sid| voters.contains(sid)).count() > voters.len() / 2
            }
            QuorumVerifier::Hierarchical { group_of, weight_of } => {
                let mut total: BTreeMap<i64, i64> = BTreeMap::new();
                for (sid, group) in group_of {
                    *total.entry(*group).or_default() += weight_of.get(sid).copied().unwrap_or(1);
                }
                let mut have: BTreeMap<i64, i64> = BTreeMap::new();
                for sid in set {
                    if let Some(group) = group_of.get(&sid) {
                        *have.entry(*group).or_default() += weight_of.get(&sid).copied().unwrap_or(1);
                    }
                }
                let groups = total.values().filter(|weight| **weight > 0).count();
                let majorities = have
                    .iter()
                    .filter(|(group, weight)| total[group] > 0 && **weight > total[group] / 2)
                    .count();
                majorities > groups / 2
            }
        }
    }

    /// Equal for those that have the same quorums by the same words: a weight of 1 may be left out.
    pub fn normal(&self) -> QuorumVerifier {
        match self {
            QuorumVerifier::Majority { .. } => self.clone(),
            QuorumVerifier::Hierarchical { group_of, weight_of } => {
                let weighs = |sid: &ServerId| weight_of.get(sid).copied().unwrap_or(1);
                QuorumVerifier::Hierarchical {
                    group_of: group_of.clone(),
                    weight_of: group_of.keys().map(|sid| (*sid, weighs(sid))).collect(),
                }
            }
        }
    }

    /// Weight 0 servers vote but never lead; a server in no group weighs nothing.
    pub fn weight(&self, sid: ServerId) -> i64 {
        match self {
            QuorumVerifier::Majority { voters } => i64::from(voters.contains(&sid)),
            QuorumVerifier::Hierarchical { group_of, weight_of } => {
                if group_of.contains_key(&sid) {
                    weight_of.get(&sid).copied().unwrap_or(1)
                } else {
                    0
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[i64]) -> Vec<ServerId> {
        ids.iter().copied().map(ServerId).collect()
    }

    fn majority(n: i64) -> QuorumVerifier {
        QuorumVerifier::Majority { voters: (1..=n).map(ServerId).collect() }
    }

    #[test]
    fn more_than_half_of_the_voters() {
        for (voters, set, quorum) in [
            (1, &[1][..], true),
            (1, &[][..], false),
            (3, &[1], false),
            (3, &[1, 3], true),
            (4, &[1, 2], false),
            (4, &[1, 2, 3], true),
            (5, &[1, 2], false),
            (5, &[1, 2, 5], true),
            // Strangers and observers do not count.
            (3, &[1, 7, 8], false),
        ] {
            assert_eq!(majority(voters).contains_quorum(ids(set)), quorum, "{set:?} of {voters}");
        }
    }

    /// Groups {1, 2, 3} and {4, 5, 6} and {7}; 6 weighs nothing, 7's group is 7 alone.
    fn hierarchical() -> QuorumVerifier {
        QuorumVerifier::Hierarchical {
            group_of: (1..=7).map(|id| (ServerId(id), (id - 1) / 3)).collect(),
            weight_of: (1..=7).map(|id| (ServerId(id), i64::from(id != 6))).collect(),
        }
    }

    #[test]
    fn more_than_half_of_the_weight_in_more_than_half_of_the_groups() {
        for (set, quorum) in [
            (&[1, 2, 4, 5][..], true),
            // Only one of the two weights of the second group.
            (&[1, 2, 4], false),
            (&[1, 2, 4, 6], false),
            (&[1, 2, 3], false),
            (&[1, 2, 7], true),
            (&[4, 5, 7], true),
            (&[1, 4, 7], false),
            (&[], false),
        ] {
            assert_eq!(hierarchical().contains_quorum(ids(set)), quorum, "{set:?}");
        }
    }

    #[test]
    fn a_group_that_weighs_nothing_does_not_count() {
        let verifier = QuorumVerifier::Hierarchical {
            group_of: [(1, 1), (2, 1), (3, 1), (4, 2)].map(|(id, group)| (ServerId(id), group)).into(),
            weight_of: [(4, 0)].map(|(id, weight)| (ServerId(id), weight)).into(),
        };
        assert!(verifier.contains_quorum(ids(&[1, 2])), "one group counts, and it has its majority");
        assert!(!verifier.contains_quorum(ids(&[1, 4])));
        assert_eq!(verifier.weight(ServerId(4)), 0);
        assert_eq!(verifier.weight(ServerId(1)), 1);
        assert_eq!(verifier.weight(ServerId(9)), 0, "in no group");
    }

    /// Two quorums always have a member in common, or two leaders could be established.
    #[test]
    fn quorums_meet() {
        for (verifier, n) in [(majority(4), 4), (majority(5), 5), (hierarchical(), 7)] {
            let set = |mask: u32| ids(&(1..=n).filter(|id| mask & (1 << id) != 0).collect::<Vec<i64>>());
            let all = (0..1u32 << (n + 1)).filter(|mask| mask & 1 == 0);
            let quorums: Vec<u32> = all.filter(|mask| verifier.contains_quorum(set(*mask))).collect();
            assert!(!quorums.is_empty());
            for (i, a) in quorums.iter().enumerate() {
                for b in &quorums[i..] {
                    assert_ne!(a & b, 0, "{:?} and {:?}", set(*a), set(*b));
                }
            }
        }
    }
}
