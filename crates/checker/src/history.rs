//! `History`: an ordered sequence of transactions, as runs of adjacent zxids. Used for logs, for what
//! is on a disk, for what was broadcast, for `I[e]` and for `C`.
//!
//! Which bytes a zxid stands for is the matter of `zxid_uniqueness`; once equal zxids are known to be
//! equal transactions, a history is a set of zxids, and two histories are compared in the number of
//! their epochs, not of their transactions.

use wire::{Epoch, Zxid};

/// Adjacent zxids of one epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seg {
    pub first: Zxid,
    pub last: Zxid,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Everything up to here is held, by a snapshot whose content is not known one by one.
    base: Zxid,
    segs: Vec<Seg>,
}

impl History {
    pub fn starting_at(base: Zxid) -> History {
        History { base, segs: Vec::new() }
    }

    pub fn base(&self) -> Zxid {
        self.base
    }

    pub fn segs(&self) -> &[Seg] {
        &self.segs
    }

    #[inline]
    pub fn last(&self) -> Zxid {
        self.segs.last().map_or(self.base, |seg| seg.last)
    }

    /// Add the next transaction; one that is not above the last is left out.
    #[inline]
    pub fn push(&mut self, zxid: Zxid) {
        match self.segs.last_mut() {
            Some(seg) if adjacent(seg.last, zxid) => seg.last = zxid,
            _ => self.push_run(Seg { first: zxid, last: zxid }),
        }
    }

    fn push_run(&mut self, run: Seg) {
        let last = self.last();
        if run.last <= last {
            return;
        }
        let first = run.first.max(Zxid(last.0 + 1));
        match self.segs.last_mut() {
            Some(seg) if adjacent(seg.last, first) => seg.last = run.last,
            _ => self.segs.push(Seg { first, last: run.last }),
        }
    }

    /// Index of the run that holds `zxid`.
    fn find(&self, zxid: Zxid) -> Option<usize> {
        let at = self.segs.partition_point(|seg| seg.last < zxid);
        (self.segs.get(at)?.first <= zxid).then_some(at)
    }

    /// `zxid` is one of the transactions, or below the base.
    #[inline]
    pub fn holds(&self, zxid: Zxid) -> bool {
        match self.segs.last() {
            Some(seg) if zxid >= seg.first => zxid <= seg.last,
            _ => zxid <= self.base || self.find(zxid).is_some(),
        }
    }

    /// The first transaction above `zxid` (of those known one by one).
    pub fn next(&self, zxid: Zxid) -> Option<Zxid> {
        let at = self.segs.partition_point(|seg| seg.last <= zxid);
        let seg = self.segs.get(at)?;
        Some(seg.first.max(Zxid(zxid.0 + 1)))
    }

    /// The last transaction below `zxid` (of those known one by one).
    pub fn prev(&self, zxid: Zxid) -> Option<Zxid> {
        let at = self.segs.partition_point(|seg| seg.first < zxid);
        let seg = self.segs.get(at.checked_sub(1)?)?;
        Some(seg.last.min(Zxid(zxid.0 - 1)))
    }

    /// Drop everything above `zxid`.
    pub fn truncate(&mut self, zxid: Zxid) {
        let keep = self.segs.partition_point(|seg| seg.first <= zxid);
        self.segs.truncate(keep);
        if let Some(seg) = self.segs.last_mut() {
            seg.last = seg.last.min(zxid);
        }
        self.base = self.base.min(zxid);
    }

    /// The part of this history up to `zxid`, which a snapshot at `zxid` stands for.
    pub fn through(&self, zxid: Zxid) -> History {
        let mut part = self.clone();
        part.truncate(zxid);
        part
    }

    /// Add what `other` holds above our last.
    pub fn extend(&mut self, other: &History) {
        for run in &other.segs {
            self.push_run(*run);
        }
    }

    /// The first transaction of `other` within `(after, through]` that this history does not hold.
    pub fn first_missing(&self, other: &History, after: Zxid, through: Zxid) -> Option<Zxid> {
        let floor = after.max(self.base);
        other.segs.iter().find_map(|run| {
            let first = run.first.max(Zxid(floor.0.saturating_add(1)));
            let last = run.last.min(through);
            if first > last {
                return None;
            }
            match self.find(first) {
                None => Some(first),
                Some(at) => {
                    let held = self.segs[at].last;
                    (held < last).then(|| Zxid(held.0 + 1))
                }
            }
        })
    }
}

/// `next` is the successor of `last` and of the same epoch.
#[inline]
fn adjacent(last: Zxid, next: Zxid) -> bool {
    next.0 == last.0.wrapping_add(1) && next.counter() != 0
}

/// The zxid that all transactions of epochs below `epoch` are below.
pub(crate) fn end_before(epoch: Epoch) -> Zxid {
    epoch.first_zxid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn z(epoch: i64, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    fn history(zxids: &[(i64, u32)]) -> History {
        let mut history = History::default();
        for (epoch, counter) in zxids {
            history.push(z(*epoch, *counter));
        }
        history
    }

    #[test]
    fn runs_join_and_split() {
        let h = history(&[(1, 1), (1, 2), (2, 1), (2, 3)]);
        assert_eq!(h.segs().len(), 3);
        assert_eq!(h.next(z(1, 2)), Some(z(2, 1)));
        assert_eq!(h.next(z(2, 1)), Some(z(2, 3)));
        assert_eq!(h.next(z(2, 3)), None);
        assert_eq!(h.prev(z(2, 3)), Some(z(2, 1)));
        assert_eq!(h.prev(z(2, 1)), Some(z(1, 2)));
        assert_eq!(h.prev(z(1, 1)), None);
        assert!(h.holds(z(1, 2)) && !h.holds(z(2, 2)) && !h.holds(z(1, 3)));
    }

    #[test]
    fn truncation_keeps_the_named_record() {
        let mut h = history(&[(1, 1), (1, 2), (1, 3), (2, 1)]);
        h.truncate(z(1, 2));
        assert_eq!(h, history(&[(1, 1), (1, 2)]));
        h.push(z(1, 3));
        assert_eq!(h.segs().len(), 1);
    }

    #[test]
    fn missing_is_found_inside_a_run_and_after_a_base() {
        let all = history(&[(1, 1), (1, 2), (1, 3), (2, 1)]);
        let short = history(&[(1, 1), (1, 2), (2, 1)]);
        assert_eq!(short.first_missing(&all, Zxid::ZERO, z(9, 0)), Some(z(1, 3)));
        assert_eq!(short.first_missing(&all, z(1, 3), z(9, 0)), None);
        assert_eq!(short.first_missing(&all, Zxid::ZERO, z(1, 2)), None);
        let mut snapshot = History::starting_at(z(1, 3));
        assert_eq!(snapshot.first_missing(&all, Zxid::ZERO, z(2, 0)), None);
        assert_eq!(snapshot.first_missing(&all, Zxid::ZERO, z(2, 1)), Some(z(2, 1)));
        snapshot.extend(&all);
        assert_eq!(snapshot.segs(), &[Seg { first: z(2, 1), last: z(2, 1) }]);
    }

    #[test]
    fn extension_joins_the_runs() {
        let mut h = history(&[(1, 1)]);
        h.extend(&history(&[(1, 1), (1, 2), (1, 3)]));
        assert_eq!(h, history(&[(1, 1), (1, 2), (1, 3)]));
    }
}
