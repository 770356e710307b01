//! `Walk`: the nodes of a tree depth first, parents before children, siblings by name. A walk can stop at a
//! path and go on behind it in a tree that has changed since.

use super::node::ROOT;
use super::{DataTree, NodeId};

/// Siblings that are loaded together.
const AHEAD: usize = 16;

pub struct Walk<'a> {
    tree: &'a DataTree,
    /// Where it is among the children of each node on the way, with the length of that node's path.
    stack: Vec<(NodeId, (usize, usize), usize)>,
    path: Vec<u8>,
    /// The root is still to come.
    at_root: bool,
}

impl<'a> Walk<'a> {
    pub fn new(tree: &'a DataTree) -> Walk<'a> {
        Walk { tree, stack: Vec::new(), path: Vec::new(), at_root: true }
    }

    /// Behind `path` (`""`: the root), which may be gone.
    pub fn behind(tree: &'a DataTree, path: &[u8]) -> Walk<'a> {
        let mut walk = Walk { tree, stack: Vec::new(), path: Vec::new(), at_root: false };
        let mut at = ROOT;
        for name in path.split(|byte| *byte == b'/').skip(1) {
            let Some(children) = tree.node(at).children() else { return walk };
            match children.search(&tree.nodes, name) {
                Err(place) => {
                    walk.stack.push((at, place, walk.path.len()));
                    return walk;
                }
                Ok((run, place)) => {
                    walk.stack.push((at, (run, place + 1), walk.path.len()));
                    walk.path.push(b'/');
                    walk.path.extend_from_slice(name);
                    at = children.find(&tree.nodes, name).expect("found above");
                }
            }
        }
        walk.stack.push((at, (0, 0), walk.path.len()));
        walk
    }

    /// The next node and its path.
    pub fn next_node(&mut self) -> Option<(NodeId, &[u8])> {
        if std::mem::take(&mut self.at_root) {
            self.stack.push((ROOT, (0, 0), 0));
            return Some((ROOT, &self.path));
        }
        while let Some((at, place, path_len)) = self.stack.last_mut() {
            let children = self.tree.node(*at).children();
            let Some((child, next, children)) = children
                .and_then(|children| children.at(*place).map(|(child, next)| (child, next, children)))
            else {
                self.stack.pop();
                continue;
            };
            if next.1 % AHEAD == 1 {
                children.touch(&self.tree.nodes, (next.0, next.1 - 1), AHEAD);
            }
            *place = next;
            self.path.truncate(*path_len);
            self.path.push(b'/');
            self.path.extend_from_slice(self.tree.node(child).name());
            self.stack.push((child, (0, 0), self.path.len()));
            return Some((child, &self.path));
        }
        None
    }

    /// Leave out what is below the last node.
    pub fn skip_children(&mut self) {
        self.stack.pop();
    }
}
