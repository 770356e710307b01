//! TOT and AGR: all members deliver one sequence.
//!
//! * TOT, total order: if a precedes b in `D[q]` and p delivers b, then p delivered a before (or has it
//!   in its snapshot).
//! * AGR, agreement: of any two `D[p]`, `D[q]` one is a prefix of the other.
//!
//! Both are judged against `C`, the one global sequence, by position: what is delivered is committed
//! (decided by the leader, or in the established `I[e]`), and is the next of `C` after what was
//! delivered before. Transactions of a synchronisation enter `D[p]` at UPTODATE, when the epoch of
//! their leader is established and they are in `C`.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::report::Report;

/// `zxid` is about to follow `prev` in `D[p]`.
pub(crate) fn next_of_committed(g: &Ghost, m: usize, prev: Zxid, zxid: Zxid, report: &mut Report) {
    let committed = &g.committed;
    if !committed.holds(zxid) {
        report.add("AGR", g.sid(m), format!("{zxid} is delivered and not committed"));
    } else if !g.is_committed_position(prev) {
        report.add("AGR", g.sid(m), format!("{zxid} is delivered after {prev}, which is not committed"));
    } else if let Some(expected) = committed.next(prev).filter(|expected| *expected < zxid) {
        report.add("TOT", g.sid(m), format!("{zxid} is delivered after {prev}; {expected} is left out"));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn a_snapshot_may_skip() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.write(z(1, 3));
        run.boot(3);
        run.connect(3, 1);
        run.snapshot_sync(3, 1, z(1, 3));
        run.up_to_date(3, 1);
        run.write(z(1, 4));
        run.sound();
    }

    #[test]
    fn delivered_and_not_committed() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log_and_ack_all(z(1, 1));
        run.deliver(2, z(1, 1));
        run.first_is("AGR");
    }

    #[test]
    fn an_epoch_left_out() {
        // CMT and PFX would tell already at UPTODATE that something is missing.
        let mut run = Run::waiving(3, &["CMT", "PFX", "AST-ACK", "HIS", "EPQ"]);
        run.establish(1, 1, &[2, 3]);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.boot(3);
        run.follow(3, 1, 1);
        run.up_to_date(3, 1);
        run.new_leader_with(2, 2, &[1]);
        // Server 3 takes part in epoch 2 without the end of epoch 1.
        run.connect(3, 2);
        run.follow(3, 2, 2);
        run.up_to_date(3, 2);
        run.propose(z(2, 1));
        run.log_and_ack(1, z(2, 1));
        run.log_and_ack(2, z(2, 1));
        run.commit(z(2, 1));
        run.deliver(3, z(2, 1));
        run.first_is("TOT");
    }
}
