//! CLM, committed-log monotonicity: in one life `D[p]` only grows, and TRUNC or SNAP never removes from
//! a log what was delivered there or is committed.
//!
//! Committed means: when the leader decided how to synchronise this learner. A transaction that commits
//! (by others) between that decision and the truncation is among the outstanding ones that the learner
//! is sent again; whether a quorum keeps it meanwhile is the matter of CLD. The same holds for what a later epoch
//! committed: a leader that was deposed and has not noticed has it outstanding. (The members of a quorum of that
//! later epoch refuse its synchronisation, so they keep their copies.)

use wire::Zxid;

use crate::ghost::Ghost;
use crate::history::History;
use crate::report::Report;

/// `m`'s disk is about to hold `after` instead of what it held.
pub(crate) fn replaced(g: &Ghost, m: usize, after: &History, report: &mut Report) {
    let member = &g.members[m];
    // What was never durable, or stands above currentEpoch's epoch, was never acknowledged.
    let decided = member.sync_point.unwrap_or(Zxid::MAX).min(g.committed.last()).min(member.disk.covered);
    let mut from = Zxid::MIN;
    while let Some(removed) = after.first_missing(&member.disk.history, from, decided) {
        if g.committed.holds(removed) {
            return report.add("CLM", member.sid, format!("{removed} is committed and removed from the log"));
        }
        // What was not committed may go; look on at the next that is.
        let Some(next) = g.committed.next(removed) else { return };
        from = Zxid(next.0 - 1);
    }
}

/// Memory is about to end at `zxid`.
pub(crate) fn memory_ends_at(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    let member = &g.members[m];
    if let Some((_, last)) = member.life.filter(|(_, last)| *last > zxid) {
        report.add(
            "CLM",
            member.sid,
            format!("delivered through {last} in this life, and goes back to {zxid}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use wire::ServerId;
    use zab::{Event, SyncMode};

    use crate::testing::{Run, z};

    fn two_of_three_hold_it() -> Run {
        let mut run = Run::established(5, 1);
        run.propose(z(1, 1));
        for sid in [1, 2, 3, 4] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run
    }

    fn choose_trunc(run: &mut Run) {
        let (peer_last_zxid, zxid) = (z(1, 1), z(1, 0));
        let learner = ServerId(4);
        run.event(1, Event::SyncChosen { learner, mode: SyncMode::Trunc, peer_last_zxid, zxid });
    }

    #[test]
    fn a_commit_between_the_decision_and_the_cut() {
        let mut run = two_of_three_hold_it();
        run.restart(4);
        choose_trunc(&mut run);
        run.commit(z(1, 1));
        run.truncate(4, z(1, 0));
        run.sound();
    }

    /// Server 1 leads epoch 1, server 2 led epoch 2 from what epoch 1 left.
    #[test]
    fn a_deposed_leader_cuts_what_a_later_epoch_committed() {
        let mut run = two_of_three_hold_it();
        run.log(5, z(1, 1));
        run.append_sync(5, z(1, 1));
        run.restart(4);
        run.establish(2, 2, &[3, 5]);
        choose_trunc(&mut run);
        run.truncate(4, z(1, 0));
        run.sound();
    }

    #[test]
    fn a_committed_transaction_is_cut() {
        let mut run = two_of_three_hold_it();
        run.restart(4);
        run.commit(z(1, 1));
        choose_trunc(&mut run);
        run.truncate(4, z(1, 0));
        run.first_is("CLM");
    }

    #[test]
    fn a_committed_transaction_is_replaced_by_an_older_snapshot() {
        let mut run = Run::established(5, 1);
        for counter in 1..=3 {
            run.write(z(1, counter));
        }
        run.restart(4);
        run.connect(4, 1);
        run.install(4, z(1, 2), 1);
        run.first_is("CLM");
    }

    #[test]
    fn delivered_and_taken_back() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        run.restore(3, z(1, 1));
        run.first_is("CLM");
    }
}
