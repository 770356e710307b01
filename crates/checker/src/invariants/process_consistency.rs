//! PFX, process consistency: the committed parts of any two logs agree position by position, and a
//! synchronised follower's log is a prefix of its leader's.
//!
//! Judged at UPTODATE: the log up to where the learner delivered is `C` up to there. (While it goes on
//! in the epoch, HIS holds each logged transaction against the leader's order.) A log tail that was
//! never committed is no violation before: synchronisation cuts it.

use wire::{Epoch, Zxid};

use crate::ghost::Ghost;
use crate::report::Report;

pub(crate) fn up_to_date(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let member = &g.members[m];
    // What commits between NEWLEADER and UPTODATE may be delivered before it is logged.
    let through = member.delivered.min(member.log.last());
    let (log, committed) = (&member.log, &g.committed);
    if let Some(zxid) = committed.first_missing(log, Zxid::ZERO, through) {
        let detail = format!("is up to date in epoch {epoch} with {zxid} in its log, which is not in C");
        report.add("PFX", member.sid, detail);
    } else if let Some(zxid) = log.first_missing(committed, Zxid::MIN, through) {
        let detail = format!("is up to date in epoch {epoch} through {through} without {zxid} of C");
        report.add("PFX", member.sid, detail);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    fn with_a_tail_on_3() -> Run {
        let mut run = Run::waiving(3, &["HIS"]);
        run.establish(3, 1, &[1, 2]);
        run.write(z(1, 1));
        run.propose(z(1, 2));
        run.log(3, z(1, 2));
        run.append_sync(3, z(1, 2));
        run.crash(3);
        run.leave_all();
        run.establish(1, 2, &[2]);
        run.boot(3);
        run.connect(3, 1);
        run
    }

    #[test]
    fn an_uncommitted_tail_is_cut() {
        let mut run = with_a_tail_on_3();
        run.truncate(3, z(1, 1));
        run.sync_with(3, 2, &[]);
        run.up_to_date(3, 2);
        run.write(z(2, 1));
        run.sound();
    }

    #[test]
    fn an_uncommitted_tail_is_kept() {
        let mut run = with_a_tail_on_3();
        run.sync_with(3, 2, &[]);
        run.up_to_date(3, 2);
        run.first_is("PFX");
    }
}
