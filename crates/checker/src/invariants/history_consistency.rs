//! HIS, history consistency: of two members that acknowledged NEWLEADER of e and are still in e, one
//! log is a prefix of the other.
//!
//! All of them are held against the one log that they are all prefixes of, the leader's: `I[e]`
//! followed by `B[e]`. It is judged as a whole when the ACK leaves, and then for each transaction that
//! is logged.

use wire::{Epoch, Zxid};

use crate::ghost::Ghost;
use crate::report::Report;

/// The ACK of NEWLEADER leaves.
pub(crate) fn acknowledged(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let Some(state) = g.epochs.peek(epoch) else { return };
    let Some(initial) = &state.initial else { return };
    let log = &g.members[m].log;
    let past = epoch.first_zxid();
    let extra = initial
        .first_missing(log, Zxid::ZERO, past)
        .or_else(|| state.broadcast.first_missing(log, past, Zxid(i64::MAX)));
    if let Some(zxid) = extra {
        let detail = format!("acknowledges epoch {epoch} with {zxid} in its log, which its leader has not");
        report.add("HIS", g.sid(m), detail);
        return;
    }
    let end = log.last();
    let hole =
        log.first_missing(initial, Zxid::MIN, end).or_else(|| log.first_missing(&state.broadcast, past, end));
    if let Some(zxid) = hole {
        report.add("HIS", g.sid(m), format!("acknowledges epoch {epoch} through {end} without {zxid}"));
    }
}

/// `zxid` is logged after `prev` by a member in `epoch`.
#[inline]
pub(crate) fn logged(g: &Ghost, m: usize, epoch: Epoch, prev: Zxid, zxid: Zxid, report: &mut Report) {
    let Some(state) = g.epochs.peek(epoch) else { return };
    let initial = || state.initial.as_ref().and_then(|initial| initial.next(prev));
    let expected = initial().or_else(|| state.broadcast.next(prev));
    if expected != Some(zxid) {
        let expected = expected.map_or("nothing".into(), |zxid| zxid.to_string());
        let detail = format!("logs {zxid} after {prev} in epoch {epoch}, where its leader has {expected}");
        report.add("HIS", g.sid(m), detail);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn followers_may_lag() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.propose(z(1, 2));
        run.log(1, z(1, 1));
        run.log(2, z(1, 1));
        run.log(2, z(1, 2));
        run.log(3, z(1, 1));
        run.sound();
    }

    #[test]
    fn a_tail_kept_at_the_acknowledgement() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.crash(1);
        run.new_leader_with(2, 2, &[3]);
        run.boot(1);
        run.connect(1, 2);
        run.sync_with(1, 2, &[]);
        run.first_is("HIS");
    }

    #[test]
    fn something_logged_that_the_leader_has_not() {
        let mut run = Run::established(3, 1);
        run.log(2, z(1, 1));
        run.first_is("HIS");
    }
}
