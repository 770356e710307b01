//! IHI and LLC: a leader has the past.
//!
//! * IHI, initial history: if e < e', e is established and the leader of e' sends NEWLEADER, then `I[e]`
//!   is a prefix of `I[e']`; and every committed transaction of an epoch below e' is in `I[e']`. `C`
//!   begins with the `I[e]` of what is established, so both are one comparison with `C`.
//! * LLC, leader completeness: when e is established, every transaction that was committed in an epoch
//!   below e is in the leader's log.
//!
//! A commit that an older leader decides after `I[e']` was fixed is held against `I[e']` too.

use wire::{Epoch, Zxid};

use crate::ghost::Ghost;
use crate::history::History;
use crate::report::Report;

/// `initial` is `I[epoch]`, fixed by the first NEWLEADER (or where nobody is there to be sent one).
pub(crate) fn fixed(g: &Ghost, m: usize, epoch: Epoch, initial: &History, report: &mut Report) {
    let past = g.committed_below(epoch);
    if let Some(zxid) = initial.first_missing(&g.committed, Zxid::MIN, past) {
        report.add("IHI", g.sid(m), format!("I[{epoch}] lacks {zxid}, which is committed"));
        return;
    }
    // What stands in it before the last committed transaction must be committed as well.
    if let Some(zxid) = g.committed.first_missing(initial, Zxid::ZERO, past) {
        report.add("IHI", g.sid(m), format!("I[{epoch}] holds {zxid} before {past}, and C does not"));
    }
}

/// The leader of `epoch` decided to commit `zxid`, and leaders of later epochs have begun.
pub(crate) fn late_commit(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    for state in g.epochs.above(zxid.epoch()) {
        if state.initial.as_ref().is_some_and(|initial| !initial.holds(zxid)) {
            let detail = format!("{zxid} is committed after epoch {} began without it", state.epoch);
            report.add("IHI", g.sid(m), detail);
        }
    }
}

/// `m` establishes `epoch`.
pub(crate) fn leader_complete(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let log = &g.members[m].log;
    if let Some(zxid) = log.first_missing(&g.committed, Zxid::MIN, g.committed_below(epoch)) {
        report.add("LLC", g.sid(m), format!("establishes epoch {epoch} without the committed {zxid}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn an_uncommitted_tail_of_the_leader_becomes_committed() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.propose(z(1, 2));
        run.log(1, z(1, 2));
        run.append_sync(1, z(1, 2));
        run.leave_all();
        run.lead(1, 2);
        for sid in [2, 3] {
            run.connect(sid, 1);
            run.sync_with(sid, 2, &[z(1, 2)]);
        }
        run.established_event(1, 2);
        run.up_to_date(2, 2);
        run.up_to_date(3, 2);
        run.write(z(2, 1));
        run.sound();
    }

    #[test]
    fn a_leader_that_lacks_what_was_committed() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        for sid in [1, 2] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run.commit(z(1, 1));
        run.leave_all();
        run.lead(3, 2);
        run.first_is("IHI");
    }

    #[test]
    fn completeness_is_asked_when_established() {
        let mut run = Run::waiving(3, &["IHI", "EPQ"]);
        run.establish(1, 1, &[2, 3]);
        run.propose(z(1, 1));
        for sid in [1, 2] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run.commit(z(1, 1));
        run.leave_all();
        run.lead(3, 2);
        run.sound();
        run.established_event(3, 2);
        run.first_is("LLC");
    }

    #[test]
    fn a_late_commit_past_the_next_leader() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        for sid in [1, 2] {
            run.log(sid, z(1, 1));
            run.append_sync(sid, z(1, 1));
        }
        run.lead(3, 2);
        run.commit(z(1, 1));
        run.first_is("IHI");
    }

    /// Epoch 2's leader was slow: epoch 3 committed a tail that it does not have, and need not.
    #[test]
    fn a_slow_leader_lacks_what_only_a_later_epoch_committed() {
        let mut run = Run::waiving(3, &["EPQ"]);
        run.establish(1, 1, &[2, 3]);
        run.propose(z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.leave_all();
        run.lead(1, 3);
        run.connect(2, 1);
        run.sync_with(2, 3, &[z(1, 1)]);
        run.established_event(1, 3);
        run.lead(3, 2);
        run.sound();
    }
}
