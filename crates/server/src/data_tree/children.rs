//! `Children`: the children of one node, sorted by name. Kept in runs of bounded length, so that a node with
//! a million children costs four bytes and some for each, and no insertion moves much.

use super::node::{NodeId, Nodes};

const RUN: usize = 256;

/// A place among the children: a run, and a child in it.
pub type Place = (usize, usize);

#[derive(Clone, Debug, Default)]
pub struct Children {
    /// None empty.
    runs: Vec<Vec<NodeId>>,
    len: u32,
}

impl Children {
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Where `name` stands (`Ok`) or would be inserted.
    pub fn search(&self, nodes: &Nodes, name: &[u8]) -> Result<Place, Place> {
        // The last run that begins at or before the name.
        let run = self.runs.partition_point(|run| nodes.get(run[0]).name() <= name).saturating_sub(1);
        let Some(children) = self.runs.get(run) else { return Err((0, 0)) };
        match children.binary_search_by(|id| nodes.get(*id).name().cmp(name)) {
            Ok(at) => Ok((run, at)),
            Err(at) => Err((run, at)),
        }
    }

    pub fn find(&self, nodes: &Nodes, name: &[u8]) -> Option<NodeId> {
        self.search(nodes, name).ok().map(|(run, at)| self.runs[run][at])
    }

    /// Nothing if a child of that name is there.
    pub fn insert(&mut self, nodes: &Nodes, id: NodeId) {
        let Err((run, at)) = self.search(nodes, nodes.get(id).name()) else { return };
        self.len += 1;
        let last = run + 1 >= self.runs.len();
        let Some(children) = self.runs.get_mut(run) else {
            return self.runs.push(vec![id]);
        };
        if children.len() < RUN {
            return children.insert(at, id);
        }
        // Names that count up come last: their runs stay full.
        if last && at == RUN {
            let mut run = Vec::with_capacity(RUN);
            run.push(id);
            return self.runs.push(run);
        }
        let mut behind = children.split_off(RUN / 2);
        match at.checked_sub(RUN / 2) {
            Some(at) if at > 0 => behind.insert(at, id),
            _ => children.insert(at, id),
        }
        children.shrink_to(RUN * 3 / 4);
        self.runs.insert(run + 1, behind);
    }

    pub fn remove(&mut self, nodes: &Nodes, name: &[u8]) -> Option<NodeId> {
        let (run, at) = self.search(nodes, name).ok()?;
        self.len -= 1;
        let id = self.runs[run].remove(at);
        if self.runs[run].is_empty() {
            self.runs.remove(run);
        }
        Some(id)
    }

    /// The child at `place` or, where its run ends there, at the beginning of the next; and the place behind.
    pub fn at(&self, (run, at): Place) -> Option<(NodeId, Place)> {
        match self.runs.get(run)?.get(at) {
            Some(id) => Some((*id, (run, at + 1))),
            None => self.runs.get(run + 1).map(|next| (next[0], (run + 1, 1))),
        }
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.runs.iter().flatten().copied()
    }
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
        assert!(children.runs.iter().all(|run| !run.is_empty() && run.len() <= RUN));
    }
}
