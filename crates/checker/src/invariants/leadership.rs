//! LEAD, leadership: each epoch is led by at most one attempt of one server, and at most one attempt
//! establishes it.
//!
//! An attempt leads e when its quorum acknowledged e, when it sends a NEWLEADER of e, when it
//! broadcasts a zxid of e (a counter that ran over into the epoch, ZOOKEEPER-1277), or commits one.
//! Proposing e is not leading it: two attempts may, FOLLOWERINFO is no promise. Two servers in role
//! LEADING are allowed.

use wire::Epoch;

use crate::ghost::Ghost;
use crate::report::Report;

/// The present attempt of `m` leads `epoch`.
pub(crate) fn leads(g: &mut Ghost, m: usize, epoch: Epoch, how: &str, report: &mut Report) {
    let attempt = g.attempt(m);
    let state = g.epochs.get(epoch);
    if state.lead.contains(&attempt) {
        return;
    }
    state.lead.push(attempt);
    if let [first, .., _] = state.lead[..] {
        let detail = format!(
            "{how} of epoch {epoch} in its attempt {}, but server {} led it in attempt {}",
            attempt.number, g.members[first.member].sid, first.number
        );
        report.add("LEAD", g.sid(m), detail);
    }
}

/// The present attempt of `m` establishes `epoch`.
pub(crate) fn establishes(g: &mut Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let attempt = g.attempt(m);
    let state = g.epochs.get(epoch);
    match state.established {
        Some(first) if first != attempt => {
            let by = g.members[first.member].sid;
            report.add("LEAD", g.sid(m), format!("epoch {epoch} is established twice, first by {by}"));
        }
        _ => state.established = Some(attempt),
    }
}

/// `m` commits in `epoch`: only the attempt that established it may.
#[cold]
pub(crate) fn commits_unestablished(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    report.add("LEAD", g.sid(m), format!("commits in epoch {epoch}, which it did not establish"));
}

#[cfg(test)]
mod tests {
    use wire::Epoch;
    use zab::Event;

    use crate::testing::{Run, z};

    #[test]
    fn two_may_propose_an_epoch_and_one_lead_it() {
        let mut run = Run::booted(3);
        run.role_leading(3);
        run.event(3, Event::EpochProposed { epoch: Epoch(1) });
        run.role_leading(2);
        run.event(2, Event::EpochProposed { epoch: Epoch(1) });
        run.establish(2, 1, &[1]);
        run.sound();
    }

    #[test]
    fn two_servers_lead_one_epoch() {
        let mut run = Run::established(3, 1);
        run.role_leading(2);
        run.event(2, Event::EpochAcked { epoch: Epoch(1) });
        run.first_is("LEAD");
    }

    #[test]
    fn one_server_leads_one_epoch_twice() {
        let mut run = Run::booted(3);
        run.lead(1, 1);
        run.lead(1, 1);
        run.first_is("LEAD");
    }

    #[test]
    fn a_commit_before_the_epoch_is_established() {
        let mut run = Run::booted(3);
        run.lead(1, 1);
        run.propose_by(1, z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.commit_by(1, z(1, 1));
        run.first_is("LEAD");
    }
}
