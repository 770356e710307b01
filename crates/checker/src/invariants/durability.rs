//! CLD, committed-log durability: each committed transaction is covered by a quorum of voters: it is in
//! what recovery would give (`dur[p]`, or a durable snapshot that recovery would use).
//!
//! Checked for each transaction when its commit is decided, and for all of `C` again after anything
//! that can take coverage away: a recovery, a truncation, an installed snapshot, a damaged disk. A quorum is one of the
//! configuration in force: of the last reconfig in `C` (CFG).
//!
//! DUR, a promise of the disk: what a completed sync made durable is there after every recovery, unless
//! a fault damaged the disk, or it stands above currentEpoch and is cut. A process that died while it
//! synchronised may have died inside a truncation or an installation: there CLM is asked instead. One
//! member that breaks DUR breaks no quorum yet, so it fires long before CLD.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::history::History;
use crate::report::Report;

/// `m` decided to commit `zxid`.
#[inline]
pub(crate) fn decided(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    let holding = g.voters_where(|member| member.disk.covers(zxid));
    if !g.config.has_quorum(holding) {
        lost(g, m, zxid, holding, report);
    }
}

#[cold]
fn lost(g: &Ghost, m: usize, zxid: Zxid, holding: u64, report: &mut Report) {
    let detail = format!("{zxid} is committed and durable on {} only", g.names(holding));
    report.add("CLD", g.sid(m), detail);
}

/// All of `C`, after something happened to `m`'s disk.
pub(crate) fn all(g: &Ghost, m: usize, report: &mut Report) {
    let committed = &g.committed;
    let whole = g
        .voters_where(|member| member.disk.first_uncovered(committed, Zxid::MIN, committed.last()).is_none());
    if g.config.has_quorum(whole) {
        return;
    }
    // Nobody's coverage changes inside a piece between two edges.
    for piece in pieces(g) {
        let holding = g.voters_where(|member| member.disk.covers(piece));
        if !g.config.has_quorum(holding) {
            return lost(g, m, piece, holding, report);
        }
    }
}

/// The first transactions of the pieces of `C` on which coverage is the same throughout.
fn pieces(g: &Ghost) -> Vec<Zxid> {
    let after = |zxid: Zxid| Zxid(zxid.0.saturating_add(1));
    let mut edges = Vec::new();
    for run in g.committed.segs() {
        edges.push(run.first);
    }
    for member in &g.members {
        let disk = &member.disk;
        edges.extend([disk.covered, disk.snapshot, disk.history.last(), disk.history.base()].map(after));
        for run in disk.history.segs() {
            edges.extend([run.first, after(run.last)]);
        }
    }
    edges.retain(|zxid| *zxid > g.committed.base() && g.committed.holds(*zxid));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// `found` is what recovery gives for `m`. To be called before the ghost takes it over.
pub(crate) fn promised(g: &Ghost, m: usize, found: &History, report: &mut Report) {
    let disk = &g.members[m].disk;
    if disk.damaged {
        return;
    }
    if let Some(zxid) = found.first_missing(&disk.history, Zxid::MIN, disk.covered) {
        report.add("DUR", g.sid(m), format!("{zxid} was durable and is not recovered"));
    }
}

#[cfg(test)]
mod tests {
    use crate::observation::Observation;
    use crate::testing::{Run, z};

    #[test]
    fn a_crash_of_everybody_loses_nothing_that_was_synced() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        for sid in 1..=3 {
            run.crash(sid);
        }
        for sid in 1..=3 {
            run.boot(sid);
        }
        run.sound();
    }

    #[test]
    fn committed_with_one_sync_of_three() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.log(2, z(1, 1));
        run.append(2, z(1, 1));
        run.commit(z(1, 1));
        run.first_is("CLD");
    }

    #[test]
    fn an_observer_does_not_count() {
        let mut run = Run::with_observers(3, 2);
        run.establish(1, 1, &[2, 3, 4, 5]);
        run.propose(z(1, 1));
        for sid in [1, 4, 5] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run.commit(z(1, 1));
        run.first_is("CLD");
    }

    #[test]
    fn a_quorum_lost_by_truncation() {
        let mut run = Run::waiving(3, &["CLM"]);
        run.establish(1, 1, &[2, 3]);
        run.propose(z(1, 1));
        for sid in [1, 2] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run.commit(z(1, 1));
        run.sound();
        run.truncate(2, z(1, 0));
        run.first_is("CLD");
    }

    #[test]
    fn damage_within_and_beyond_the_quorum() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        for sid in [2, 3] {
            run.crash(sid);
            run.observe(sid, &Observation::DiskDamaged);
            run.observe(sid, &Observation::Unrecoverable);
            if sid == 2 {
                run.sound();
            }
        }
        run.first_is("CLD");
    }

    #[test]
    fn which_disks_may_be_lost() {
        use wire::ServerId;
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        let may = |run: &Run, sid: i64, before: &[i64]| {
            let before: Vec<ServerId> = before.iter().map(|sid| ServerId(*sid)).collect();
            run.checkers.can_lose_disk(ServerId(sid), &before)
        };
        // Everybody has everything: any one of three may go, but not a second one behind it.
        assert!(may(&run, 1, &[]) && may(&run, 3, &[]));
        assert!(!may(&run, 1, &[2]));
        // On a bare quorum: only who is not in it.
        run.propose(z(1, 2));
        for sid in [1, 2] {
            run.log(sid, z(1, 2));
            run.append_sync(sid, z(1, 2));
        }
        run.commit(z(1, 2));
        assert!(may(&run, 3, &[]) && !may(&run, 1, &[]) && !may(&run, 2, &[]));
        // Not committed, but on its disk, and perhaps acknowledged: it counts as well.
        run.propose(z(1, 3));
        run.log(3, z(1, 2));
        run.append_sync(3, z(1, 2));
        run.log(3, z(1, 3));
        run.append_sync(3, z(1, 3));
        assert!(!may(&run, 3, &[]) && may(&run, 1, &[]));
        // A later epoch that only the others' minority has accepted.
        run.accept_epoch(1, 2);
        assert!(!may(&run, 2, &[]));
    }

    /// A member that synchronises may be about to cut what it has.
    #[test]
    fn whose_copies_do_not_count_for_one_that_is_lost() {
        use wire::ServerId;
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        let may = |run: &Run| run.checkers.can_lose_disk(ServerId(1), &[]);
        assert!(may(&run));
        run.role_left(2);
        assert!(may(&run), "it keeps what it has");
        run.connect(2, 3);
        assert!(!may(&run));
        run.role_left(2);
        assert!(!may(&run), "what it began may still be under way");
    }

    #[test]
    fn a_disk_that_breaks_its_promise() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        run.crash(2);
        run.recover_only(2, &[z(1, 1)]);
        run.first_is("DUR");
    }

    #[test]
    fn a_crash_inside_an_installation_or_truncation() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.propose(z(1, 2));
        run.log(1, z(1, 2));
        run.append_sync(1, z(1, 2));
        run.crash(1);
        run.new_leader_with(2, 2, &[3]);
        run.write(z(2, 1));
        run.boot(1);
        run.connect(1, 2);
        run.accept_epoch(1, 2);
        run.restore(1, z(2, 1));
        let (zxid, epoch) = (z(2, 1), wire::Epoch(2));
        run.observe(1, &Observation::Installed { zxid, epoch, log: &[], effective: false });
        run.enter_epoch(1, 2);
        run.kill(1);
        run.recover_snapshot(1, z(2, 1), &[]);
        run.sound();
        run.boot(1);
        run.join(1, 2, 2);
        run.write(z(2, 2));
        run.sound();
    }

    #[test]
    fn a_killed_process_leaves_the_page_cache_which_is_not_durable() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.propose(z(1, 2));
        run.log(2, z(1, 2));
        run.append(2, z(1, 2));
        run.kill(2);
        run.recover_only(2, &[z(1, 1), z(1, 2)]);
        run.log(1, z(1, 2));
        run.append_sync(1, z(1, 2));
        run.commit(z(1, 2));
        run.first_is("CLD");
    }
}
