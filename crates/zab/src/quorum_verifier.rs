//! `QuorumVerifier`: which sets of servers are a quorum. Majority, or hierarchical with groups and
//! weights (`QuorumMaj`, `QuorumHierarchical`).

use std::collections::{BTreeMap, BTreeSet};

use wire::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
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
