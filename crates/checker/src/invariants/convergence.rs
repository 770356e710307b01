//! LV-*, convergence after heal: judged once, at the end, from roles and positions as events told them.
//!
//! * LV-START: a member that had crashes only starts.
//! * LV-ELECT: exactly one member leads an established epoch, and if nobody does, who is stuck.
//! * LV-CONFIG: each goes by the leader's configuration, and that is the one in force.
//! * LV-STEP: a member in role LEADING has a quorum of learners that are up to date.
//! * LV-JOIN: everybody else that runs follows or observes it. So does a server that a configuration left out: it follows
//!   without a vote, and may be added again; its operator has listed the members of the time and itself in its file, which is
//!   all that it needs to find them. Quorums are of those in the configuration in force.
//! * LV-SYNC: each of them passed UPTODATE of its epoch.
//! * LV-SERVE: each delivered all of `C`, and a fresh client's write was acknowledged. Equal trees at
//!   equal zxids are TREE's matter, at every zxid.

use wire::{Epoch, ServerId, Zxid};
use zab::Role;

use crate::ghost::{Ghost, Member};
use crate::observation::{FinalState, FreshWrite};
use crate::report::Report;

pub(crate) fn check(g: &Ghost, end: &FinalState, report: &mut Report) {
    if !end.converged {
        return;
    }
    for (sid, why) in &end.refused {
        report.add("LV-START", *sid, format!("does not start: {why}"));
    }
    let running: Vec<usize> = end.running.iter().filter_map(|sid| g.index(*sid)).collect();
    let mask = running.iter().fold(0u64, |mask, at| mask | 1 << at);
    if !can_elect(g, mask, &end.voteless) {
        return;
    }
    if let Some((leader, epoch)) = the_leader(g, &running, report) {
        learners(g, &running, leader, epoch, report);
        serving(g, &running, leader, end.fresh_write, report);
        configurations(g, &end.configs, g.sid(leader), report);
    }
}

/// Who has seen a configuration that is pending elects nobody without its quorum, and perhaps nobody else can be elected.
/// That needs those who were to vote in it when it was proposed, also where their disks have gone meanwhile.
fn can_elect(g: &Ghost, running: u64, voteless: &[ServerId]) -> bool {
    let vote = running & g.mask_where(|_, member| !voteless.contains(&member.sid));
    g.config.has_quorum(running) && g.seen.iter().all(|pending| pending.has_quorum(vote))
}

/// The one member that leads an established epoch.
fn the_leader(g: &Ghost, running: &[usize], report: &mut Report) -> Option<(usize, Epoch)> {
    let leading: Vec<usize> =
        running.iter().copied().filter(|at| g.members[*at].role == Role::Leading).collect();
    match leading[..] {
        [leader] if g.members[leader].established.is_some() => {
            g.members[leader].established.map(|epoch| (leader, epoch))
        }
        [leader] => {
            let detail = format!("leads and is not established: {}", stuck(g, running));
            report.add("LV-ELECT", g.sid(leader), detail);
            None
        }
        [] => {
            report.add("LV-ELECT", first_sid(g, running), format!("nobody leads: {}", stuck(g, running)));
            None
        }
        [first, ..] => {
            let sids: Vec<String> = leading.iter().map(|at| g.sid(*at).to_string()).collect();
            report.add("LV-ELECT", g.sid(first), format!("more than one leads: {}", sids.join(", ")));
            None
        }
    }
}

fn learners(g: &Ghost, running: &[usize], leader: usize, epoch: Epoch, report: &mut Report) {
    let in_epoch = |member: &Member| member.up_to_date == Some(epoch) || member.established == Some(epoch);
    for member in running.iter().filter(|at| **at != leader).map(|at| &g.members[*at]) {
        if !matches!(member.role, Role::Following | Role::Observing) {
            report.add("LV-JOIN", member.sid, format!("does not join epoch {epoch}: {}", how_far(member)));
        } else if !in_epoch(member) {
            report.add(
                "LV-SYNC",
                member.sid,
                format!("is not up to date in epoch {epoch}: {}", how_far(member)),
            );
        }
    }
    let live = g.voters_where(|member| member.up && in_epoch(member));
    if !g.config.has_quorum(live) {
        let detail = format!("leads epoch {epoch} with {} only", g.names(live));
        report.add("LV-STEP", g.sid(leader), detail);
    }
}

fn serving(g: &Ghost, running: &[usize], leader: usize, fresh: FreshWrite, report: &mut Report) {
    for member in running.iter().map(|at| &g.members[*at]) {
        if let Some(next) = g.committed.next(member.delivered) {
            let detail =
                format!("delivered through {}, {next} is missing: {}", member.delivered, how_far(member));
            report.add("LV-SERVE", member.sid, detail);
        }
    }
    if fresh == FreshWrite::Unanswered {
        report.add("LV-SERVE", g.sid(leader), "a fresh client's write is not acknowledged".into());
    }
}

fn configurations(g: &Ghost, configs: &[(ServerId, Zxid)], leader: ServerId, report: &mut Report) {
    let Some((_, leaders)) = configs.iter().find(|(sid, _)| *sid == leader) else { return };
    let in_force = g.config.version;
    if in_force > Zxid::ZERO && in_force != *leaders {
        report.add("LV-CONFIG", leader, format!("leads by configuration {leaders}, {in_force} is committed"));
    }
    for (sid, version) in configs.iter().filter(|(_, version)| version != leaders) {
        let detail = format!("goes by configuration {version}, the leader {leader} by {leaders}");
        report.add("LV-CONFIG", *sid, detail);
    }
}

fn first_sid(g: &Ghost, running: &[usize]) -> ServerId {
    running.first().map_or(ServerId::NONE, |at| g.sid(*at))
}

fn how_far(member: &Member) -> String {
    format!("server {} in role {:?}, last {}", member.sid, member.role, member.last_step)
}

fn stuck(g: &Ghost, running: &[usize]) -> String {
    let all: Vec<String> = running.iter().map(|at| how_far(&g.members[*at])).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use wire::{ServerId, Zxid};

    use crate::observation::{FinalState, FreshWrite};
    use crate::testing::{Run, reconfig, z};

    fn all_of_three() -> FinalState {
        FinalState { converged: true, running: [1, 2, 3].map(ServerId).to_vec(), ..FinalState::default() }
    }

    #[test]
    fn a_converged_ensemble() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.finish(&FinalState { fresh_write: FreshWrite::Acknowledged(z(1, 1)), ..all_of_three() });
        run.sound();
    }

    #[test]
    fn nobody_leads() {
        let mut run = Run::booted(3);
        run.finish(&all_of_three());
        run.first_is("LV-ELECT");
    }

    /// With a configuration pending that needs one who does not run, or has lost its disk.
    #[test]
    fn nobody_can_lead() {
        for (running, voteless, asked) in
            [(&[1, 2][..], &[][..], false), (&[1, 2, 3], &[3], false), (&[1, 2, 3], &[], true)]
        {
            let mut run = Run::booted(3);
            run.event(1, zab::Event::config_seen(&super::super::configurations::view(z(1, 1), &[1, 3])));
            let ids = |ids: &[i64]| ids.iter().copied().map(ServerId).collect();
            run.finish(&FinalState { running: ids(running), voteless: ids(voteless), ..all_of_three() });
            if asked { run.first_is("LV-ELECT") } else { run.sound() }
        }
    }

    #[test]
    fn two_lead() {
        let mut run = Run::established(3, 1);
        run.establish(2, 2, &[3]);
        run.finish(&all_of_three());
        run.first_is("LV-ELECT");
    }

    #[test]
    fn one_stays_outside() {
        let mut run = Run::established(3, 1);
        run.restart(3);
        run.finish(&all_of_three());
        run.first_is("LV-JOIN");
    }

    #[test]
    fn one_never_gets_up_to_date() {
        let mut run = Run::established(3, 1);
        run.restart(3);
        run.follow(3, 1, 1);
        run.finish(&all_of_three());
        run.first_is("LV-SYNC");
        assert!(run.details().contains("NEWLEADER"), "{}", run.details());
    }

    #[test]
    fn a_leader_without_learners() {
        let mut run = Run::established(3, 1);
        for sid in [2, 3] {
            run.crash(sid);
        }
        let running = vec![ServerId(1)];
        run.finish(&FinalState { running, ..all_of_three() });
        // Without a quorum nothing is asked of it.
        run.sound();
        let mut run = Run::waiving(3, &["LV-JOIN"]);
        run.establish(1, 1, &[2, 3]);
        for sid in [2, 3] {
            run.restart(sid);
        }
        run.finish(&all_of_three());
        run.first_is("LV-STEP");
    }

    #[test]
    fn one_lags_behind() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log_and_ack_all(z(1, 1));
        run.commit(z(1, 1));
        run.deliver(1, z(1, 1));
        run.deliver(2, z(1, 1));
        run.finish(&all_of_three());
        run.first_is("LV-SERVE");
    }

    #[test]
    fn a_write_that_nobody_answers() {
        let mut run = Run::established(3, 1);
        run.finish(&FinalState { fresh_write: FreshWrite::Unanswered, ..all_of_three() });
        run.first_is("LV-SERVE");
    }

    #[test]
    fn another_configuration() {
        let of = |third| {
            [(1, 7), (2, 7), (3, third)].map(|(sid, version)| (ServerId(sid), Zxid(version))).to_vec()
        };
        let mut run = Run::established(3, 1);
        run.finish(&FinalState { configs: of(7), ..all_of_three() });
        run.sound();
        let mut run = Run::established(3, 1);
        run.finish(&FinalState { configs: of(6), ..all_of_three() });
        run.first_is("LV-CONFIG");
    }

    /// Server 1 leads all three, and the last committed configuration has 1 and 2 only.
    fn without_3() -> Run {
        let view = super::super::configurations::view(z(1, 1), &[1, 2]);
        let mut run = Run::established(3, 1);
        let entry = reconfig(z(1, 1), view.text());
        run.propose_entry(&entry);
        for sid in 1..=3 {
            run.log_entry(sid, &entry);
        }
        run.commit_entry(&entry);
        for sid in 1..=3 {
            run.deliver_entry(sid, &entry);
        }
        run
    }

    #[test]
    fn not_the_configuration_that_is_committed() {
        for (version, right) in [(z(1, 1), true), (z(1, 0), false)] {
            let mut run = without_3();
            let configs = [1, 2, 3].map(|sid| (ServerId(sid), version)).to_vec();
            run.finish(&FinalState { configs, ..all_of_three() });
            if right { run.sound() } else { run.first_is("LV-CONFIG") }
        }
    }

    /// 3 left, and follows all the same; 1 and 2 are a quorum without it.
    #[test]
    fn who_has_left() {
        let run = without_3();
        let mut joined = run.clone();
        joined.finish(&all_of_three());
        joined.sound();
        let mut run = run;
        run.restart(3);
        let mut asked = run.clone();
        asked.finish(&all_of_three());
        asked.first_is("LV-JOIN");
        // Of who does not run nothing is asked. 3 alone, or with one of two, is no quorum any more.
        run.finish(&FinalState { running: [1, 2].map(ServerId).to_vec(), ..all_of_three() });
        run.sound();
    }

    #[test]
    fn a_member_that_does_not_start() {
        let mut run = Run::established(3, 1);
        run.crash(3);
        let running = [1, 2].map(ServerId).to_vec();
        let refused = vec![(ServerId(3), "current epoch is older than the last zxid".to_string())];
        run.finish(&FinalState { running, refused, ..all_of_three() });
        run.first_is("LV-START");
    }
}
