//! `Ephemerals`: the nodes of each session (`DataTree.ephemerals`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

#[derive(Clone, Debug, Default)]
struct Owned {
    paths: BTreeSet<Bytes>,
    /// Sum of `listed_len`.
    listed_len: usize,
}

/// By session; none has an empty set.
#[derive(Clone, Debug, Default)]
pub struct Ephemerals(BTreeMap<i64, Owned>);

/// Bytes that a path takes in the list of a closeSession: a length, then it.
pub fn listed_len(path: &[u8]) -> usize {
    4 + path.len()
}

impl Ephemerals {
    pub fn insert(&mut self, session: i64, path: &[u8]) {
        let owned = self.0.entry(session).or_default();
        if owned.paths.insert(Bytes::copy_from_slice(path)) {
            owned.listed_len += listed_len(path);
        }
    }

    pub fn remove(&mut self, session: i64, path: &[u8]) {
        let Some(owned) = self.0.get_mut(&session) else { return };
        if owned.paths.remove(path) {
            owned.listed_len -= listed_len(path);
        }
        if owned.paths.is_empty() {
            self.0.remove(&session);
        }
    }

    pub fn of(&self, session: i64) -> Option<&BTreeSet<Bytes>> {
        self.0.get(&session).map(|owned| &owned.paths)
    }

    pub fn listed_len(&self, session: i64) -> usize {
        self.0.get(&session).map_or(0, |owned| owned.listed_len)
    }

    pub fn sessions(&self) -> impl Iterator<Item = (i64, &BTreeSet<Bytes>)> {
        self.0.iter().map(|(session, owned)| (*session, &owned.paths))
    }
}
