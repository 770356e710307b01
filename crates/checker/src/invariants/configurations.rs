//! CFG, configurations (ZOOKEEPER-107): judged when one becomes active, as events tell.
//!
//! * A leader makes a later one active than any leader up to its epoch before it (or the last one again: it may not know), and
//!   then everything that is committed is durable on a quorum of
//!   it: the reconfig itself, with which it commits, and what it brings to a new epoch with NEWLEADER.
//! * Nobody else makes one active before a leader has.

use wire::Epoch;
use zab::{Role, View};

use crate::ghost::Ghost;
use crate::invariants::durability;
use crate::quorum::Configuration;
use crate::report::Report;

pub(crate) fn seen(g: &mut Ghost, view: &View) {
    let config = Configuration::of(view, &g.sids());
    g.seen.retain(|other| other.version != config.version);
    if config.version > g.config.version {
        g.seen.push(config);
    }
}

/// `m` goes by this one from now on.
pub(crate) fn activated(g: &mut Ghost, m: usize, view: &View, report: &mut Report) {
    if g.members[m].role != Role::Leading {
        if !g.activated.contains(&view.version) {
            let detail = format!("goes by configuration {}, which no leader has made active", view.version);
            report.add("CFG", g.sid(m), detail);
        }
        return;
    }
    let epoch = g.members[m].established.unwrap_or(Epoch::NONE);
    if !g.activated.contains(&view.version) {
        g.activated.push(view.version);
    }
    if epoch < g.configured_in {
        // It does not know yet that another server leads.
        return;
    }
    g.configured_in = epoch;
    if view.version < g.config.version {
        let detail = format!("makes configuration {} active behind {}", view.version, g.config.version);
        report.add("CFG", g.sid(m), detail);
        return;
    }
    g.config = Configuration::of(view, &g.sids());
    g.seen.retain(|other| other.version > view.version);
    durability::all(g, m, report);
}

#[cfg(test)]
pub(super) fn view(version: wire::Zxid, voters: &[i64]) -> View {
    use wire::ServerId;
    use zab::{LearnerType, Member, QuorumVerifier};
    let member = |id: &i64| {
        let member = Member {
            learner_type: LearnerType::Participant,
            quorum_address: format!("h{id}:1:2"),
            election_address: format!("h{id}:2"),
            client_address: None,
        };
        (ServerId(*id), member)
    };
    let verifier = QuorumVerifier::Majority { voters: voters.iter().copied().map(ServerId).collect() };
    View { members: voters.iter().map(member).collect(), verifier, version }
}

#[cfg(test)]
mod tests {
    use wire::ServerId;
    use zab::{Event, View};

    use super::view;
    use crate::testing::{Run, z};

    /// Server 1 of five leads 2 and 3, and proposes a configuration; these have its reconfig on their disks.
    fn proposed(voters: &[i64], durable: &[i64]) -> (Run, View) {
        let mut run = Run::booted(5);
        run.establish(1, 1, &[2, 3, 4, 5]);
        run.write(z(1, 1));
        let view = view(z(1, 2), voters);
        run.event(1, Event::config_seen(&view));
        run.propose(z(1, 2));
        for sid in durable {
            run.log(*sid, z(1, 2));
            run.append_sync(*sid, z(1, 2));
        }
        (run, view)
    }

    #[test]
    fn a_quorum_of_both() {
        let (mut run, view) = proposed(&[1, 2, 3], &[1, 2, 4]);
        run.commit(z(1, 2));
        run.event(1, Event::config_activated(&view));
        run.event(2, Event::config_activated(&view));
        // From now on two are enough.
        run.propose(z(1, 3));
        for sid in [2, 3] {
            if sid == 3 {
                run.log(sid, z(1, 2));
                run.append_sync(sid, z(1, 2));
            }
            run.log(sid, z(1, 3));
            run.append_sync(sid, z(1, 3));
        }
        run.commit(z(1, 3));
        run.sound();
    }

    #[test]
    fn a_quorum_of_the_old_one_only() {
        let (mut run, view) = proposed(&[4, 5], &[1, 2, 4]);
        run.commit(z(1, 2));
        run.sound();
        run.event(1, Event::config_activated(&view));
        run.first_is("CLD");
    }

    #[test]
    fn a_quorum_of_the_new_one_only() {
        let (mut run, _) = proposed(&[1, 2], &[1, 2]);
        run.commit(z(1, 2));
        run.first_is("CLD");
    }

    /// Two of five are none any more where five vote again.
    #[test]
    fn who_votes_no_more_does_not_count() {
        let (mut run, view) = proposed(&[1, 2, 3], &[1, 2, 4]);
        run.commit(z(1, 2));
        run.event(1, Event::config_activated(&view));
        run.propose(z(1, 3));
        for sid in [1, 4] {
            run.log(sid, z(1, 3));
            run.append_sync(sid, z(1, 3));
        }
        run.commit(z(1, 3));
        run.first_is("CLD");
    }

    #[test]
    fn active_before_a_leader_has_made_it_so() {
        let (mut run, view) = proposed(&[1, 2, 3], &[1, 2, 4]);
        run.event(2, Event::config_activated(&view));
        run.first_is("CFG");
    }

    #[test]
    fn an_older_one() {
        let (mut run, later) = proposed(&[1, 2, 3], &[1, 2, 4]);
        run.commit(z(1, 2));
        run.event(1, Event::config_activated(&later));
        run.sound();
        run.event(1, Event::config_activated(&view(z(1, 0), &[1, 2, 3])));
        run.first_is("CFG");
    }

    /// Its quorum acknowledged NEWLEADER, and it slept while others went on.
    #[test]
    fn an_older_one_of_who_slept() {
        let mut run = Run::booted(3);
        run.lead(1, 1);
        run.follow(2, 1, 1);
        run.new_leader_with(3, 2, &[2]);
        run.event(3, Event::config_activated(&view(z(2, 0), &[1, 2, 3])));
        run.established_event(1, 1);
        run.event(1, Event::config_activated(&view(z(1, 0), &[1, 2, 3])));
        run.sound();
    }

    /// What is proposed may be the active one tomorrow: its quorum, too, must do without the disk.
    #[test]
    fn which_disks_may_be_lost() {
        let (run, _) = proposed(&[1, 2], &[1, 2, 3, 4, 5]);
        let may = |run: &Run, sid: i64| run.checkers.can_lose_disk(ServerId(sid), &[]);
        assert!(may(&run, 5) && !may(&run, 1), "1 is one of two");
        let (run, _) = proposed(&[1, 2, 3], &[1, 2, 3, 4, 5]);
        assert!(may(&run, 1));
    }
}
