//! EPQ, epoch quorum: when e is established, a quorum of voters has durable currentEpoch >= e and the
//! whole of `I[e]` durable. Of the configuration in force, and of that of every reconfig in `I[e]` which is not
//! committed before: e commits it.

use wire::{Epoch, Zxid};

use crate::ghost::{Ghost, Member};
use crate::invariants::configurations;
use crate::report::Report;

/// `epoch` was established by `m`.
pub(crate) fn established(g: &Ghost, m: usize, epoch: Epoch, report: &mut Report) {
    let Some(initial) = g.epochs.peek(epoch).and_then(|state| state.initial.as_ref()) else { return };
    let entered = g.mask_where(|_, member| member.disk.current >= epoch);
    let whole = |member: &Member| member.disk.first_uncovered(initial, Zxid::MIN, initial.last()).is_none();
    let holding = g.mask_where(|_, member| whole(member));
    let both = entered & holding;
    if !g.config.has_quorum(both)
        || !configurations::brought_by(g, initial).iter().all(|c| c.has_quorum(both))
    {
        let detail = format!(
            "epoch {epoch} is established; currentEpoch is durable on {}, I[{epoch}] on {}",
            g.names(entered),
            g.names(holding)
        );
        report.add("EPQ", g.sid(m), detail);
    }
}

#[cfg(test)]
mod tests {
    use wire::Epoch;
    use zab::Event;

    use crate::testing::{Run, z};

    #[test]
    fn established_without_a_quorum() {
        let mut run = Run::booted(3);
        run.lead(1, 1);
        run.established_event(1, 1);
        run.first_is("EPQ");
    }

    #[test]
    fn observers_do_not_count() {
        let mut run = Run::with_observers(3, 2);
        run.lead(1, 1);
        for observer in [4, 5] {
            run.connect(observer, 1);
            run.follow(observer, 1, 1);
        }
        run.established_event(1, 1);
        run.first_is("EPQ");
    }

    #[test]
    fn the_initial_history_only_in_memory() {
        let mut run = Run::waiving(3, &["AST-ACK"]);
        run.establish(1, 1, &[2, 3]);
        run.propose(z(1, 1));
        run.log(1, z(1, 1));
        run.append_sync(1, z(1, 1));
        run.leave_all();
        run.lead(1, 2);
        run.connect(2, 1);
        run.accept_epoch(2, 2);
        run.enter_epoch(2, 2);
        run.log(2, z(1, 1));
        run.event(2, Event::NewLeaderAckSent { epoch: Epoch(2) });
        run.established_event(1, 2);
        run.first_is("EPQ");
    }
}
