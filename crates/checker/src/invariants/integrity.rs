//! INT, integrity: every delivered transaction was broadcast in its epoch, and none is delivered twice
//! in one life.
//!
//! Transactions that were on a disk before the run began count as broadcast. A recovered tail may be
//! delivered once more, when it is known to be committed.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::report::Report;
use crate::txns::{BROADCAST, GENESIS};

#[inline]
pub(crate) fn broadcast(g: &mut Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    if g.epochs.slot(zxid).flags & (BROADCAST | GENESIS) == 0 {
        report.add("INT", g.members[m].sid, format!("{zxid} is delivered and was never broadcast"));
    }
}

/// `zxid` is delivered although this life delivered `zxid` or something later before. True where it
/// is the same transaction twice.
pub(crate) fn twice(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) -> bool {
    let member = &g.members[m];
    let again =
        member.life.is_some_and(|(first, last)| first <= zxid && zxid <= last) && g.committed.holds(zxid);
    if again {
        report.add("INT", member.sid, format!("{zxid} is delivered twice in one life"));
    }
    again
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn redelivery_in_a_new_life_is_fine() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.restart(3);
        run.join(3, 1, 1);
        run.write(z(1, 2));
        run.sound();
    }

    #[test]
    fn a_recovered_tail_may_be_delivered_once() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.restart(3);
        run.follow(3, 1, 1);
        run.up_to_date(3, 1);
        run.deliver(3, z(1, 1));
        run.sound();
        run.deliver(3, z(1, 1));
        run.first_is("INT");
    }

    #[test]
    fn nothing_is_delivered_that_was_not_broadcast() {
        let mut run = Run::established(3, 1);
        run.deliver(2, z(1, 1));
        run.first_is("INT");
    }

    #[test]
    fn nothing_is_delivered_twice() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.write(z(1, 2));
        run.deliver(2, z(1, 1));
        run.first_is("INT");
    }
}
