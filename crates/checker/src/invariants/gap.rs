//! GAP, no hole in a log: adjacent records of one epoch, on a disk, in a log, or as a leader
//! broadcasts them, have zxids z and z+1, and the first of an epoch has the counter 1.
//!
//! Where leaders may start their counter anywhere (`testingonly.initialZxid`), what was broadcast is
//! the measure instead.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::report::Report;

/// `zxid` is to follow `prev` (of which it is above) in a log of `m`.
#[inline]
pub(crate) fn after(g: &Ghost, m: usize, what: &str, prev: Zxid, zxid: Zxid, report: &mut Report) {
    if zxid.0 != prev.0 + 1 {
        not_adjacent(g, m, what, prev, zxid, report);
    }
}

fn not_adjacent(g: &Ghost, m: usize, what: &str, prev: Zxid, zxid: Zxid, report: &mut Report) {
    let hole = if prev.epoch() == zxid.epoch() {
        !g.allow_zxid_jumps || g.broadcast_before(zxid).is_some_and(|before| before != prev)
    } else {
        zxid.counter() != 1 && !g.allow_zxid_jumps || g.broadcast_before(zxid).is_some()
    };
    if hole {
        report.add("GAP", g.sid(m), format!("{what}: {zxid} comes after {prev}"));
    }
}

/// A leader broadcasts `zxid` after `prev` (its epoch's beginning, or what it broadcast last).
pub(crate) fn broadcast(g: &Ghost, m: usize, prev: Zxid, zxid: Zxid, report: &mut Report) {
    if zxid.0 != prev.0 + 1 && !(g.allow_zxid_jumps && prev.counter() == 0) {
        report.add("GAP", g.sid(m), format!("broadcast: {zxid} comes after {prev}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn a_hole_in_a_log() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.propose(z(1, 2));
        run.log(2, z(1, 2));
        run.first_is("GAP");
    }

    #[test]
    fn a_hole_in_the_broadcast() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.propose(z(1, 3));
        run.first_is("GAP");
    }

    #[test]
    fn a_hole_on_a_disk() {
        let mut run = Run::established(3, 1);
        for counter in 1..=3 {
            run.write(z(1, counter));
        }
        run.crash(2);
        run.recover_only(2, &[z(1, 1), z(1, 3)]);
        run.first_is("GAP");
    }

    #[test]
    fn a_hole_between_snapshot_and_log() {
        let mut run = Run::established(3, 1);
        for counter in 1..=3 {
            run.write(z(1, counter));
        }
        run.crash(2);
        run.recover_snapshot(2, z(1, 1), &[z(1, 3)]);
        run.first_is("GAP");
    }

    #[test]
    fn a_start_anywhere_where_that_is_allowed() {
        let mut run = Run::jumping(3);
        run.establish(1, 1, &[2, 3]);
        run.write(z(1, 0xffff_fff1));
        run.write(z(1, 0xffff_fff2));
        run.sound();
        run.propose(z(1, 0xffff_fff3));
        run.propose(z(1, 0xffff_fff4));
        run.log(2, z(1, 0xffff_fff4));
        run.first_is("GAP");
    }
}
