//! TREE, tree equality: two members whose last applied zxid is equal have equal states; and the state
//! that recovery folds from a disk is that state too.
//!
//! A member that goes on with the memory of a role that ended must have in it what recovery would give, zxid and
//! state, whatever it read of the disk; fuzzy or not, for both hold the same transactions.
//!
//! A transaction fixes the whole history before it, so the state after it is one for all, committed or
//! not. A snapshot is written while changes go on and may hold effects of later transactions than its
//! name says: from where one is loaded until the last such transaction is applied, states are not
//! compared.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::report::Report;
use crate::txns::TREE;

/// `m` is in state `tree` after `zxid`.
#[inline]
pub(crate) fn reached(g: &mut Ghost, m: usize, zxid: Zxid, tree: u64, report: &mut Report) {
    g.members[m].last_tree = Some((zxid, tree));
    if zxid < g.members[m].fuzzy_until {
        return;
    }
    let slot = g.epochs.slot(zxid);
    if slot.has(TREE) && slot.tree != tree {
        let first = slot.tree;
        let detail = format!("state {tree:#x} at {zxid}, where another member has {first:#x}");
        report.add("TREE", g.members[m].sid, detail);
    } else {
        slot.tree = tree;
        slot.flags |= TREE;
    }
}

/// A snapshot from the leader at `zxid` is in memory: it may hold whatever was committed by now.
/// `m` acknowledges NEWLEADER. What its leader applied while the snapshot was sent stands before
/// NEWLEADER, so the state is not fuzzy any more (ZOOKEEPER-3104).
pub(crate) fn acknowledged(g: &mut Ghost, m: usize, report: &mut Report) {
    let member = &mut g.members[m];
    let last = member.log.last();
    if member.fuzzy_until <= last {
        return;
    }
    if let Some((zxid, tree)) = member.last_tree.filter(|(zxid, _)| *zxid == last) {
        member.fuzzy_until = zxid;
        reached(g, m, zxid, tree, report);
    }
}

pub(crate) fn restored(g: &mut Ghost, m: usize, zxid: Zxid) {
    g.members[m].fuzzy_until = g.committed.last().max(zxid);
}

/// A snapshot at `zxid` is durable on `m`: it may hold effects through `until`.
pub(crate) fn snapshot_on_disk(g: &mut Ghost, m: usize, zxid: Zxid, until: Zxid) {
    let fuzzy = &mut g.members[m].disk.fuzzy;
    fuzzy.retain(|(at, _)| *at != zxid);
    fuzzy.push((zxid, until));
}

/// Memory was filled from a disk, beginning with the snapshot at `zxid`.
pub(crate) fn loaded(g: &mut Ghost, m: usize, snapshot: Option<Zxid>) {
    let member = &mut g.members[m];
    let Some(snapshot) = snapshot else {
        member.fuzzy_until = Zxid::MIN;
        return;
    };
    let known = member.disk.fuzzy.iter().find(|(at, _)| *at == snapshot);
    member.fuzzy_until = known.map_or(member.disk.fuzzy_at_crash, |(_, until)| *until);
}

/// Memory goes on, with what was read of the log's end.
pub(crate) fn fast_forwarded(g: &mut Ghost, m: usize, zxid: Zxid, tree: u64, report: &mut Report) {
    if let Some((on_disk, folded)) = g.members[m].recovered_tree.take()
        && (on_disk, folded) != (zxid, tree)
    {
        let detail = format!(
            "memory is {tree:#x} at {zxid}, and its disk would be recovered as {folded:#x} at {on_disk}"
        );
        report.add("TREE", g.members[m].sid, detail);
    }
    reached(g, m, zxid, tree, report);
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, tree_at, z};

    #[test]
    fn another_state_at_the_same_zxid() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log_and_ack_all(z(1, 1));
        run.commit(z(1, 1));
        run.deliver(1, z(1, 1));
        run.deliver_with_tree(2, z(1, 1), 4711);
        run.first_is("TREE");
    }

    #[test]
    fn memory_that_goes_on_is_what_recovery_would_give() {
        let right = tree_at(z(1, 1));
        for (zxid, tree) in [(z(1, 1), 4711), (z(1, 2), right)] {
            let mut run = Run::established(3, 1);
            run.write(z(1, 1));
            run.recovered_tree(2, z(1, 1), right);
            run.fast_forwarded(2, z(1, 1), right);
            run.sound();
            run.recovered_tree(3, z(1, 1), right);
            run.fast_forwarded(3, zxid, tree);
            run.first_is("TREE");
        }
    }

    #[test]
    fn a_fuzzy_snapshot_is_not_compared_until_it_is_complete() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.boot(3);
        run.connect(3, 1);
        // Begun at 1, but it holds effects of 2.
        run.restore_with_tree(3, z(1, 1), 4711);
        run.sound();
        run.install(3, z(1, 1), 1);
        run.sync_with(3, 1, &[z(1, 2)]);
        run.up_to_date(3, 1);
        run.sound();
    }

    #[test]
    fn a_snapshot_that_nobody_wrote_into_is_compared() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.restart(3);
        run.connect(3, 1);
        run.restore_with_tree(3, z(1, 1), 4711);
        run.first_is("TREE");
    }

    #[test]
    fn a_fuzzy_snapshot_is_complete_when_newleader_is_acknowledged() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.boot(3);
        run.connect(3, 1);
        run.restore_with_tree(3, z(1, 1), 4711);
        run.install(3, z(1, 1), 1);
        run.sync_with(3, 1, &[]);
        run.first_is("TREE");
    }

    #[test]
    fn what_recovery_folds_is_compared() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.recovered_tree(3, z(1, 1), 4711);
        run.first_is("TREE");
    }

    #[test]
    fn a_snapshot_finished_in_the_moment_of_a_crash_may_be_fuzzy() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        run.crash(3);
        run.recover_snapshot(3, z(1, 1), &[z(1, 2)]);
        // It holds effects of 2 already.
        run.recovered_tree(3, z(1, 1), 4711);
        run.sound();
        run.recovered_tree(3, z(1, 2), 4711);
        run.first_is("TREE");
    }
}
