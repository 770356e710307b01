//! LPO, GPO and PIN: the order that primaries give is the order that everybody sees.
//!
//! * LPO, local primary order: if a precedes b in `B[e]` and b is delivered, a was delivered before.
//! * GPO, global primary order: zxids strictly increase in every `D[p]`, every log and every `B[e]`.
//! * PIN, primary integrity: when a server first broadcasts in e, every transaction of an epoch below e
//!   that anybody delivered is in its own history. (What is delivered is committed, `total_order`, so
//!   it is held against `C`.)

use wire::{Epoch, Zxid};

use crate::ghost::Ghost;
use crate::report::Report;

/// `zxid` is about to follow `prev` in `D[p]`: true where a transaction of its epoch is left out.
pub(crate) fn leaves_a_hole(g: &Ghost, m: usize, prev: Zxid, zxid: Zxid, report: &mut Report) -> bool {
    let Some(before) = g.broadcast_before(zxid).filter(|before| *before > prev) else { return false };
    report.add(
        "LPO",
        g.sid(m),
        format!("{zxid} is delivered after {prev}, but {before} was broadcast before it"),
    );
    true
}

/// `zxid` is not above `prev`, which it is to follow.
pub(crate) fn steps_back(g: &Ghost, m: usize, what: &str, prev: Zxid, zxid: Zxid, report: &mut Report) {
    report.add("GPO", g.sid(m), format!("{what}: {zxid} comes after {prev}"));
}

/// `m` broadcasts in `epoch` for the first time.
pub(crate) fn first_broadcast(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let log = &g.members[m].log;
    if let Some(zxid) = log.first_missing(&g.committed, Zxid::MIN, g.committed_below(epoch)) {
        report.add(
            "PIN",
            g.sid(m),
            format!("broadcasts in epoch {epoch} without {zxid}, which was delivered before"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn order_is_kept_across_epochs() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        run.new_leader(2, 2);
        run.write(z(2, 1));
        run.sound();
    }

    #[test]
    fn a_hole_within_an_epoch() {
        let mut run = Run::established(3, 1);
        for counter in 1..=2 {
            run.propose(z(1, counter));
            run.log_and_ack_all(z(1, counter));
            run.commit(z(1, counter));
        }
        run.deliver(2, z(1, 2));
        run.first_is("LPO");
    }

    #[test]
    fn a_step_back_in_a_log() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.propose(z(1, 2));
        run.log(2, z(1, 1));
        run.log(2, z(1, 2));
        run.log(2, z(1, 1));
        run.first_is("GPO");
    }

    #[test]
    fn a_step_back_of_a_leader() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.propose(z(1, 1));
        run.first_is("GPO");
    }

    #[test]
    fn a_primary_without_the_past() {
        let mut run = Run::waiving(3, &["IHI", "LLC"]);
        run.establish(1, 1, &[2, 3]);
        run.propose(z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.log(2, z(1, 1));
        run.append_sync(2, z(1, 1));
        run.commit(z(1, 1));
        run.leave_all();
        // Server 3 never logged it and leads all the same.
        run.lead(3, 2);
        run.propose_by(3, z(2, 1));
        run.first_is("PIN");
    }
}
