//! `Children`: the children of one node, sorted by name.
//!
//! Few of them are a sorted list. Many are runs of bounded length, so that no insertion moves much, each with
//! a lower bound of its names and, beside the children, a short hash of each name: a child is found by the
//! bounds, which lie together, and the hashes of one run, without a look at any other child. Who chooses names
//! with equal hashes makes a run's search slow, not the directory's.

use super::node::{NodeId, Nodes};

const FEW: usize = 16;
const RUN: usize = 256;
/// Hashes that are compared together.
const AT_ONCE: usize = 32;

/// A place among the children: a run, and a child in it.
pub type Place = (usize, usize);

#[derive(Clone, Debug)]
pub enum Children {
    Few(Vec<NodeId>),
    /// None empty.
    Runs {
        runs: Vec<Run>,
        len: u32,
    },
}

#[derive(Clone, Debug)]
pub struct Run {
    /// Not above the first name, above all of the run before. The first run's says nothing.
    bound: Box<[u8]>,
    hashes: Vec<u16>,
    ids: Vec<NodeId>,
}

impl Default for Children {
    fn default() -> Self {
        Children::Few(Vec::new())
    }
}

/// Fixed, so that all runs of a simulation do the same.
fn hash(name: &[u8]) -> u16 {
    let mut sum = name.len() as u64;
    for chunk in name.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    (sum >> 17) as u16
}

fn search(nodes: &Nodes, ids: &[NodeId], name: &[u8]) -> Result<usize, usize> {
    ids.binary_search_by(|id| nodes.get(*id).name().cmp(name))
}

impl Run {
    fn new(nodes: &Nodes, ids: Vec<NodeId>) -> Run {
        let bound = nodes.get(ids[0]).name().into();
        let hashes = ids.iter().map(|id| hash(nodes.get(*id).name())).collect();
        Run { bound, hashes, ids }
    }

    fn find(&self, nodes: &Nodes, name: &[u8]) -> Option<NodeId> {
        let wanted = hash(name);
        let is_it = |id: &NodeId| nodes.get(*id).name() == name;
        for (hashes, ids) in self.hashes.chunks(AT_ONCE).zip(self.ids.chunks(AT_ONCE)) {
            // Without an early end: the compiler compares many in one instruction.
            if hashes.iter().fold(false, |any, hash| any | (*hash == wanted)) {
                let alike = hashes.iter().zip(ids).filter(|(hash, _)| **hash == wanted);
                if let Some(id) = alike.map(|(_, id)| *id).find(is_it) {
                    return Some(id);
                }
            }
        }
        None
    }

    fn insert(&mut self, at: usize, hash: u16, id: NodeId) {
        self.hashes.insert(at, hash);
        self.ids.insert(at, id);
    }
}

/// The run in which `name` is, or would be inserted.
fn run_of(runs: &[Run], name: &[u8]) -> usize {
    runs.partition_point(|run| *run.bound <= *name).saturating_sub(1)
}

impl Children {
    pub fn len(&self) -> usize {
        match self {
            Children::Few(ids) => ids.len(),
            Children::Runs { len, .. } => *len as usize,
        }
    }

    fn ids(&self, run: usize) -> Option<&Vec<NodeId>> {
        match self {
            Children::Few(ids) => (run == 0).then_some(ids),
            Children::Runs { runs, .. } => runs.get(run).map(|run| &run.ids),
        }
    }

    /// Where `name` stands (`Ok`) or would be inserted.
    pub fn search(&self, nodes: &Nodes, name: &[u8]) -> Result<Place, Place> {
        let run = match self {
            Children::Few(_) => 0,
            Children::Runs { runs, .. } => run_of(runs, name),
        };
        let ids = self.ids(run).map_or(&[][..], Vec::as_slice);
        search(nodes, ids, name).map(|at| (run, at)).map_err(|at| (run, at))
    }

    pub fn find(&self, nodes: &Nodes, name: &[u8]) -> Option<NodeId> {
        match self {
            Children::Few(ids) => search(nodes, ids, name).ok().map(|at| ids[at]),
            Children::Runs { runs, .. } => runs.get(run_of(runs, name))?.find(nodes, name),
        }
    }

    /// Nothing if a child of that name is there.
    pub fn insert(&mut self, nodes: &Nodes, id: NodeId) {
        let name = nodes.get(id).name();
        let Err((run, at)) = self.search(nodes, name) else { return };
        match self {
            Children::Few(ids) => {
                // One more, most often: many nodes have one child or two.
                ids.reserve_exact(usize::from(ids.len() == ids.capacity()) * (1 + ids.len() / 2));
                ids.insert(at, id);
                if ids.len() > FEW {
                    let len = ids.len() as u32;
                    *self = Children::Runs { runs: vec![Run::new(nodes, std::mem::take(ids))], len };
                }
            }
            Children::Runs { runs, len } => {
                *len += 1;
                if runs.is_empty() {
                    runs.push(Run::new(nodes, vec![id]));
                } else {
                    insert_into_runs(nodes, runs, (run, at), id);
                }
            }
        }
    }

    pub fn remove(&mut self, nodes: &Nodes, name: &[u8]) -> Option<NodeId> {
        let (run, at) = self.search(nodes, name).ok()?;
        match self {
            Children::Few(ids) => Some(ids.remove(at)),
            Children::Runs { runs, len } => {
                *len -= 1;
                runs[run].hashes.remove(at);
                let id = runs[run].ids.remove(at);
                if runs[run].ids.is_empty() {
                    runs.remove(run);
                }
                Some(id)
            }
        }
    }

    /// The child at `place` or, where its run ends there, at the beginning of the next; and the place behind.
    pub fn at(&self, (run, at): Place) -> Option<(NodeId, Place)> {
        match self.ids(run)?.get(at) {
            Some(id) => Some((*id, (run, at + 1))),
            None => self.ids(run + 1).map(|next| (next[0], (run + 1, 1))),
        }
    }

    /// Has up to `count` children from `place` on (of its run) brought into the cache, all at once: they lie
    /// scattered in memory, and who comes to one after the other waits for each.
    pub fn touch(&self, nodes: &Nodes, (run, at): Place, count: usize) {
        let ids = self.ids(run).and_then(|ids| ids.get(at..)).unwrap_or_default();
        let ids = &ids[..count.min(ids.len())];
        let stats = ids.iter().fold(0, |all, id| all ^ nodes.get(*id).mzxid.0);
        let payloads = ids.iter().fold(0, |all, id| all ^ nodes.get(*id).touch_payload());
        std::hint::black_box((stats, payloads));
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..).map_while(|run| self.ids(run)).flatten().copied()
    }
}

fn insert_into_runs(nodes: &Nodes, runs: &mut Vec<Run>, (run, at): Place, id: NodeId) {
    let hash = hash(nodes.get(id).name());
    let last = run + 1 == runs.len();
    let full = runs[run].ids.len() >= RUN;
    if !full {
        return runs[run].insert(at, hash, id);
    }
    // Names that count up come last: their runs stay full.
    if last && at == runs[run].ids.len() {
        return runs.push(Run::new(nodes, vec![id]));
    }
    let half = runs[run].ids.len() / 2;
    let mut behind = Run::new(nodes, runs[run].ids.split_off(half));
    runs[run].hashes.truncate(half);
    match at.checked_sub(half) {
        Some(at) if at > 0 => behind.insert(at, hash, id),
        _ => runs[run].insert(at, hash, id),
    }
    runs[run].ids.shrink_to(RUN * 3 / 4);
    runs[run].hashes.shrink_to(RUN * 3 / 4);
    runs.insert(run + 1, behind);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wire::StatPersisted;

    use super::super::node::{Node, ROOT};
    use super::*;

    fn node(name: &str) -> Node {
        Node::new(ROOT, name.as_bytes(), None, 0, &StatPersisted::default())
    }

    /// Against a sorted map, through splits, in an order of names that goes up, down and about.
    #[test]
    fn as_a_sorted_map() {
        let mut nodes = Nodes::new(node(""));
        let (mut children, mut map) = (Children::default(), BTreeMap::new());
        for n in 0..20_000u32 {
            let key = match n % 3 {
                0 => n,
                1 => 100_000 - n,
                _ => n.wrapping_mul(2_654_435_761) >> 8,
            };
            let name = format!("{key:08}");
            if n % 5 == 4 {
                let gone: String = map.keys().nth(key as usize % map.len()).cloned().unwrap_or_default();
                let removed = children.remove(&nodes, gone.as_bytes());
                assert_eq!(removed, map.remove(&gone));
                nodes.remove(removed.expect("it is there"));
                continue;
            }
            if map.contains_key(&name) {
                assert!(children.find(&nodes, name.as_bytes()).is_some());
                continue;
            }
            let id = nodes.insert(node(&name));
            children.insert(&nodes, id);
            map.insert(name, id);
            assert_eq!(children.len(), map.len());
            if n % 97 == 0 {
                assert!(children.iter().eq(map.values().copied()));
            }
        }
        let mut place = (0, 0);
        for (name, id) in &map {
            assert_eq!(children.find(&nodes, name.as_bytes()), Some(*id));
            let (at, next) = children.at(place).expect("as many as in the map");
            assert_eq!(at, *id);
            place = next;
        }
        assert!(children.at(place).is_none() && map.len() > 3000);
        let Children::Runs { runs, .. } = &children else { panic!("few") };
        assert!(runs.iter().all(|run| !run.ids.is_empty() && run.ids.len() <= RUN));
        for name in map.keys() {
            assert_eq!(children.remove(&nodes, name.as_bytes()), Some(map[name]));
        }
        assert_eq!((children.len(), children.iter().count(), children.at((0, 0))), (0, 0, None));
    }
}
