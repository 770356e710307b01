//! AST-ACK, AST-COMMIT, AST-ROLE, AST-NOPANIC: what the code promises at one place; cheap, and they fire early.
//!
//! * AST-ACK: an ACK of a proposal leaves only when the log is durable through it; the ACK of NEWLEADER
//!   only when currentEpoch is, and `I[e]` and everything delivered in the synchronisation (a
//!   participant's; an observer keeps no promise), and no other ACK before it; a leader counts
//!   no ACK that was not sent, and its own only when it is durable.
//! * AST-COMMIT: a leader commits its proposals in order, each once.
//! * AST-ROLE: nothing is appended on behalf of a role that was left. Operations that were asked for
//!   before may still be carried out until the disk is read again, which the next vote waits for.
//! * AST-NOPANIC: no member comes into a state in which Java's code throws an unchecked exception.

use wire::{Epoch, Zxid};
use zab::Role;

use crate::ghost::Ghost;
use crate::report::Report;

#[inline]
pub(crate) fn ack_sent(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    let member = &g.members[m];
    if !member.disk.covers(zxid) {
        let durable = member.disk.covered;
        report.add("AST-ACK", member.sid, format!("acknowledges {zxid}, durable is {durable}"));
    }
    if member.role == Role::Following && member.new_leader_acked.is_none() {
        report.add("AST-ACK", member.sid, format!("acknowledges {zxid} before NEWLEADER"));
    }
}

pub(crate) fn new_leader_ack_sent(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let member = &g.members[m];
    let disk = &member.disk;
    if disk.current != epoch {
        let detail = format!("acknowledges epoch {epoch}, currentEpoch is {}", disk.current);
        return report.add("AST-ACK", member.sid, detail);
    }
    // It keeps no log, or acknowledges without it.
    if member.role == Role::Observing {
        return;
    }
    let initial = g.epochs.peek(epoch).and_then(|state| state.initial.as_ref());
    let missing = initial.and_then(|initial| disk.first_uncovered(initial, Zxid::MIN, initial.last()));
    let missing = missing.or_else(|| member.pending.iter().copied().find(|zxid| !disk.covers(*zxid)));
    if let Some(zxid) = missing {
        report.add("AST-ACK", member.sid, format!("acknowledges epoch {epoch}, {zxid} is not durable"));
    }
}

/// The leader `m` counts an ACK of `zxid` by `by`.
#[inline]
pub(crate) fn ack_counted(g: &Ghost, m: usize, by: usize, zxid: Zxid, report: &mut Report) {
    let member = &g.members[by];
    let sent = if by == m { member.disk.covers(zxid) } else { member.max_acked >= zxid };
    if !sent {
        report.add("AST-ACK", g.sid(m), format!("counts an ACK of {zxid} that {} did not give", member.sid));
    }
}

/// `m` commits `zxid`, `expected` is the oldest proposal that is not committed.
#[inline]
pub(crate) fn commits(g: &Ghost, m: usize, expected: Option<Zxid>, zxid: Zxid, report: &mut Report) {
    if expected != Some(zxid) {
        let expected = expected.map_or("nothing".into(), |zxid| zxid.to_string());
        report.add("AST-COMMIT", g.sid(m), format!("commits {zxid} where {expected} is next"));
    }
}

/// Storage appended `zxid`.
#[inline]
pub(crate) fn appended(g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    let member = &g.members[m];
    if !member.log.holds(zxid) {
        let detail = format!("{zxid} is appended, and the present role did not log it");
        report.add("AST-ROLE", member.sid, detail);
    }
}

/// `m` tells of a state that its code does not foresee.
#[cold]
pub(crate) fn exception(g: &Ghost, m: usize, what: &str, report: &mut Report) {
    report.add("AST-NOPANIC", g.sid(m), what.to_owned());
}

#[cfg(test)]
mod tests {
    use wire::{Epoch, ServerId};
    use zab::Event;

    use crate::testing::{Run, z};

    #[test]
    fn an_ack_before_the_sync() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log(2, z(1, 1));
        run.append(2, z(1, 1));
        run.event(2, Event::AckSent { zxid: z(1, 1) });
        run.first_is("AST-ACK");
    }

    #[test]
    fn an_ack_before_that_of_newleader() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.restart(3);
        run.connect(3, 1);
        run.event(3, Event::AckSent { zxid: z(1, 1) });
        run.first_is("AST-ACK");
    }

    #[test]
    fn newleader_acknowledged_with_the_log_in_the_page_cache() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(3);
        run.write(z(1, 2));
        run.new_leader_with(1, 2, &[2]);
        run.boot(3);
        run.connect(3, 1);
        run.accept_epoch(3, 2);
        run.log(3, z(1, 2));
        run.append(3, z(1, 2));
        run.enter_epoch(3, 2);
        run.event(3, Event::NewLeaderAckSent { epoch: Epoch(2) });
        run.first_is("AST-ACK");
    }

    #[test]
    fn an_ack_counted_that_nobody_sent() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.event(1, Event::AckCounted { zxid: z(1, 1), by: ServerId(3) });
        run.first_is("AST-ACK");
    }

    #[test]
    fn a_commit_out_of_order() {
        let mut run = Run::established(3, 1);
        for counter in 1..=2 {
            run.propose(z(1, counter));
            run.log_and_ack_all(z(1, counter));
        }
        run.commit(z(1, 2));
        run.first_is("AST-COMMIT");
    }

    #[test]
    fn an_append_that_was_in_flight_when_the_role_ended() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log(3, z(1, 1));
        run.role_left(3);
        run.append(3, z(1, 1));
        run.reload(3);
        run.sound();
    }

    #[test]
    fn a_state_that_nobody_foresaw() {
        let mut run = Run::established(3, 1);
        run.event(2, Event::Exception { what: "NullPointerException".into() });
        run.first_is("AST-NOPANIC");
    }

    #[test]
    fn an_append_of_a_role_that_was_left() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log(3, z(1, 1));
        run.role_left(3);
        run.reload(3);
        run.append(3, z(1, 1));
        run.first_is("AST-ROLE");
    }
}
