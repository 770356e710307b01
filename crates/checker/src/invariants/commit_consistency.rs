//! CMT, commit consistency: a member whose last committed epoch is e has the whole of `I[e]`.
//!
//! Judged at UPTODATE, with which a learner enters e: by then everything that the leader sent as
//! committed is in its log (an observer that keeps no log: delivered).

use wire::{Epoch, Zxid};

use crate::ghost::Ghost;
use crate::report::Report;

pub(crate) fn enters(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) -> bool {
    let Some(initial) = g.epochs.peek(epoch).and_then(|state| state.initial.as_ref()) else { return true };
    let missing = g.members[m].log.first_missing(initial, Zxid::MIN, initial.last());
    if let Some(zxid) = missing {
        report.add("CMT", g.sid(m), format!("is up to date in epoch {epoch} without {zxid} of I[{epoch}]"));
    }
    missing.is_none()
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn a_learner_brought_up_to_date_has_the_initial_history() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.new_leader_with(1, 2, &[2]);
        run.boot(3);
        run.connect(3, 1);
        run.sync_with(3, 2, &[z(1, 2)]);
        run.up_to_date(3, 2);
        run.sound();
    }

    #[test]
    fn a_learner_that_was_sent_an_empty_diff_by_mistake() {
        let mut run = Run::waiving(3, &["AST-ACK", "HIS"]);
        run.establish(1, 1, &[2, 3]);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.new_leader_with(1, 2, &[2]);
        run.boot(3);
        run.follow(3, 1, 2);
        run.up_to_date(3, 2);
        run.first_is("CMT");
    }
}
