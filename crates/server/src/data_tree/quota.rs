//! Quotas: which paths have one, and the statistics that a server keeps of them.
//!
//! A client puts limits on `/a` by the node `/zookeeper/quota/a/zookeeper_limits`; the server counts in
//! `/zookeeper/quota/a/zookeeper_stats`. Every change counts for the deepest path with limits that covers it.
//! The statistics are each server's own: no zxid, no version, no watch, not in the digest.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::stats_track::StatsTrack;
use super::{DataTree, split};

pub const LIMIT_NODE: &[u8] = b"zookeeper_limits";
pub const STAT_NODE: &[u8] = b"zookeeper_stats";
const QUOTA: &[u8] = b"/zookeeper/quota";

/// Paths with limits (`PathTrie`).
#[derive(Clone, Debug, Default)]
pub struct Quotas(BTreeSet<Bytes>);

impl Quotas {
    /// The longest of them that `path` is, or is below (`findMaxPrefix`).
    fn covering(&self, path: &[u8]) -> Option<&Bytes> {
        if self.0.is_empty() {
            return None;
        }
        let ends = (1..=path.len()).rev().filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'));
        ends.into_iter().find_map(|end| self.0.get(&path[..end]))
    }

    fn all_covering<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a Bytes> + 'a {
        let ends = (1..=path.len()).filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'));
        ends.filter_map(|end| self.0.get(&path[..end]))
    }
}

/// The path whose quota the node `path` is a part of, if its name is `node`. The root cannot have one.
fn quota_of<'a>(path: &'a [u8], node: &[u8]) -> Option<&'a [u8]> {
    let (parent, name) = split(path)?;
    let of = parent.strip_prefix(QUOTA)?;
    (name == node && of.starts_with(b"/")).then_some(of)
}

fn stat_path(of: &[u8]) -> Vec<u8> {
    [QUOTA, of, b"/", STAT_NODE].concat()
}

/// The node that holds the limits of `of`.
pub fn limit_path(of: &[u8]) -> Vec<u8> {
    [QUOTA, of, b"/", LIMIT_NODE].concat()
}

impl DataTree {
    /// The deepest path with limits over `path`.
    pub fn max_prefix_with_quota(&self, path: &[u8]) -> Option<&Bytes> {
        self.quotas.covering(path)
    }

    /// What the server has counted under a path with limits.
    pub fn quota_stats(&self, of: &[u8]) -> Option<StatsTrack> {
        let id = self.find(&stat_path(of))?;
        Some(StatsTrack::parse(self.node(id).data()))
    }

    /// `path` was created: it may be a part of a quota, and counts for those that cover it.
    pub(super) fn quota_created(&mut self, path: &[u8], bytes: i64) {
        if let Some(of) = quota_of(path, LIMIT_NODE) {
            self.quotas.0.insert(Bytes::copy_from_slice(of));
        }
        if let Some(of) = quota_of(path, STAT_NODE) {
            self.recount(of);
        }
        self.quota_changed(path, 1, bytes);
    }

    pub(super) fn quota_deleted(&mut self, path: &[u8], bytes: i64) {
        if let Some(of) = quota_of(path, LIMIT_NODE) {
            self.quotas.0.remove(of);
        }
        self.quota_changed(path, -1, -bytes);
    }

    pub(super) fn quota_changed(&mut self, path: &[u8], count: i64, bytes: i64) {
        if let Some(of) = self.quotas.covering(path) {
            let stat_path = stat_path(of);
            self.add_to_stats(&stat_path, count, bytes);
        }
    }

    /// A snapshot brought `path`. After the last of its nodes all statistics are those that a fresh count
    /// gives, which takes subtrees with quotas of their own into account as well.
    pub(super) fn quota_restored(&mut self, path: &[u8], bytes: i64) {
        if !self.quotas.0.is_empty() {
            let covering: Vec<Vec<u8>> = self.quotas.all_covering(path).map(|of| stat_path(of)).collect();
            for stat_path in covering {
                self.add_to_stats(&stat_path, 1, bytes);
            }
        }
        if let Some(of) = quota_of(path, LIMIT_NODE) {
            self.quotas.0.insert(Bytes::copy_from_slice(of));
            self.recount(of);
        }
        if let Some(of) = quota_of(path, STAT_NODE)
            && self.quotas.0.contains(of)
        {
            self.recount(of);
        }
    }

    fn add_to_stats(&mut self, stat_path: &[u8], count: i64, bytes: i64) {
        let Some(id) = self.find(stat_path) else { return };
        let mut stats = StatsTrack::parse(self.node(id).data());
        stats.add(count, bytes);
        self.replace_data(id, Some(stats.text().as_bytes()));
    }

    fn recount(&mut self, of: &[u8]) {
        let (count, bytes) = self.find(of).map_or((0, 0), |top| self.count(top));
        if let Some(id) = self.find(&stat_path(of)) {
            let text = StatsTrack::of(count, bytes).text();
            self.replace_data(id, Some(text.as_bytes()));
        }
    }

    /// Nodes and bytes of data from `top` down.
    fn count(&self, top: super::NodeId) -> (i64, i64) {
        let (mut open, mut count, mut bytes) = (vec![top], 0, 0);
        while let Some(id) = open.pop() {
            let node = self.node(id);
            count += 1;
            bytes += node.data().map_or(0, <[u8]>::len) as i64;
            open.extend(node.children().into_iter().flat_map(|children| children.iter()));
        }
        (count, bytes)
    }
}
