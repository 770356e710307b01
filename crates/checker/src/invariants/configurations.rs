//! CFG, configurations (ZOOKEEPER-107). Which one is in force is told by `C` alone, not by what members believe: that of the
//! last reconfig in it, and before the first that of the beginning.
//!
//! * A reconfig carries a configuration that can be read, and its version is the reconfig's zxid.
//! * It comes into force when it enters `C`, by a commit or with the epoch whose initial history has it. Then all of `C` is
//!   durable on a quorum of it (CLD): so it commits with quorums of both, as its commit was held against the one before it.
//!   What was proposed behind it can commit behind it only, and then goes by the new one: whoever could lead without
//!   a quorum of that needs one of the old, one of whom has the reconfig and is ahead.
//! * A member makes a configuration active only where that is in `C`, as its reconfig has it to the last byte. A version that
//!   is no transaction's (counter 0) is given by a leader to the list of the files, which it makes active before anybody else.
//!
//! In which order members make them active is not judged: a deposed leader that hears the last ACK of a reconfig late
//! finishes what later epochs may have left behind long since.

use bytes::Bytes;
use wire::{Txn, TxnBody, Zxid};
use zab::{Role, TxnEntry, View, parse_config_text};

use crate::ghost::Ghost;
use crate::invariants::durability;
use crate::quorum::Configuration;
use crate::report::Report;

/// A member has seen it, and counts its quorums, too.
pub(crate) fn seen(g: &mut Ghost, view: &View) {
    let config = Configuration::of(view, &g.sids());
    g.seen.retain(|other| other.version != config.version);
    if config.version > g.config.version && !g.activated.contains(&config.version) {
        g.seen.push(config);
    }
}

/// The first copy of a reconfig is appended, at `m`.
#[cold]
pub(crate) fn logged(g: &mut Ghost, m: usize, entry: &TxnEntry, report: &mut Report) {
    let zxid = entry.zxid;
    let view = text_of(entry).and_then(|text| Some((parse_config_text(&text).ok()?, text)));
    let Some((view, text)) = view else {
        return report.add("CFG", g.sid(m), format!("reconfig {zxid} has no configuration that can be read"));
    };
    if view.version != zxid {
        report.add(
            "CFG",
            g.sid(m),
            format!("reconfig {zxid} has a configuration of version {}", view.version),
        );
    }
    let config = Configuration::of(&View { version: zxid, ..view }, &g.sids());
    g.reconfigs.insert(zxid, (text, config));
    if g.committed.holds(zxid) {
        committed(g, m, zxid, report);
    }
}

fn text_of(entry: &TxnEntry) -> Option<Bytes> {
    match Txn::decode(&entry.txn).ok()?.body {
        TxnBody::SetData(set) => set.data,
        _ => None,
    }
}

/// `zxid` entered `C`, told by `m`: where it is a reconfig, it is in force.
#[inline]
pub(crate) fn committed(g: &mut Ghost, m: usize, zxid: Zxid, report: &mut Report) {
    if let Some((_, config)) = g.reconfigs.get(&zxid)
        && zxid > g.config.version
    {
        g.config = config.clone();
        g.seen.retain(|other| other.version > zxid);
        durability::all(g, m, report);
    }
}

/// Reconfigs that the history of an epoch begins with, and that are not in `C` before it.
pub(crate) fn brought_by(g: &Ghost, initial: &crate::history::History) -> Vec<Configuration> {
    let behind = g.reconfigs.range(Zxid(g.config.version.0 + 1)..);
    behind.filter(|(zxid, _)| initial.holds(**zxid)).map(|(_, (_, config))| config.clone()).collect()
}

/// `m` goes by this one from now on.
pub(crate) fn activated(g: &mut Ghost, m: usize, view: &View, report: &mut Report) {
    let version = view.version;
    let wrong = if version.counter() == 0 {
        let leads = g.members[m].role == Role::Leading;
        if leads && !Configuration::of(view, &g.sids()).same_quorums(&g.first) {
            Some("in which others vote than in the files")
        } else if leads {
            g.activated.push(version);
            g.seen.retain(|other| other.version > version);
            None
        } else {
            (!g.activated.contains(&version)).then_some("which no leader has made active")
        }
    } else if !g.committed.holds(version) {
        Some("which is not committed")
    } else {
        g.reconfigs
            .get(&version)
            .is_none_or(|(text, _)| view.text() != text)
            .then_some("which is another there")
    };
    if let Some(wrong) = wrong {
        report.add("CFG", g.sid(m), format!("goes by configuration {version}, {wrong}"));
    }
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
    use bytes::Bytes;
    use wire::ServerId;
    use zab::{Event, TxnEntry, View};

    use super::view;
    use crate::testing::{Run, reconfig, z};

    fn log(run: &mut Run, sids: &[i64], entry: &TxnEntry) {
        for sid in sids {
            run.log_entry(*sid, entry);
        }
    }

    /// Server 1 of five leads the others, and proposes a configuration; these have its reconfig on their disks.
    fn proposed(voters: &[i64], durable: &[i64]) -> (Run, View) {
        let mut run = Run::booted(5);
        run.establish(1, 1, &[2, 3, 4, 5]);
        run.write(z(1, 1));
        let view = view(z(1, 2), voters);
        run.event(1, Event::config_seen(&view));
        let entry = reconfig(z(1, 2), view.text());
        run.propose_entry(&entry);
        log(&mut run, durable, &entry);
        (run, view)
    }

    fn committed(voters: &[i64], durable: &[i64]) -> (Run, View) {
        let (mut run, view) = proposed(voters, durable);
        run.commit_entry(&reconfig(z(1, 2), view.text()));
        (run, view)
    }

    #[test]
    fn a_quorum_of_both() {
        let (mut run, view) = committed(&[1, 2, 3], &[1, 2, 4]);
        run.event(1, Event::config_activated(&view));
        run.event(2, Event::config_activated(&view));
        // From now on two are enough.
        log(&mut run, &[3], &reconfig(z(1, 2), view.text()));
        run.propose(z(1, 3));
        for sid in [2, 3] {
            run.log(sid, z(1, 3));
            run.append_sync(sid, z(1, 3));
        }
        run.commit(z(1, 3));
        run.sound();
    }

    #[test]
    fn a_quorum_of_the_old_one_only() {
        let (run, _) = committed(&[4, 5], &[1, 2, 4]);
        run.first_is("CLD");
    }

    #[test]
    fn a_quorum_of_the_new_one_only() {
        let (run, _) = committed(&[1, 2], &[1, 2]);
        run.first_is("CLD");
    }

    /// Two of five are none any more where three vote, one of whom has it; whatever their leader believes.
    #[test]
    fn who_votes_no_more_does_not_count() {
        let (mut run, view) = committed(&[1, 2, 3], &[1, 2, 4]);
        log(&mut run, &[5], &reconfig(z(1, 2), view.text()));
        run.propose(z(1, 3));
        for sid in [1, 4, 5] {
            run.log(sid, z(1, 3));
            run.append_sync(sid, z(1, 3));
        }
        run.commit(z(1, 3));
        run.first_is("CLD");
    }

    /// 2 leads the next epoch with a reconfig in its history that nobody has committed.
    fn brought(voters: &[i64], learners: &[i64]) -> Run {
        let (mut run, view) = proposed(voters, &[1, 2]);
        let entry = reconfig(z(1, 2), view.text());
        run.leave_all();
        run.lead(2, 2);
        for sid in learners {
            run.connect(*sid, 2);
            run.accept_epoch(*sid, 2);
            if *sid > 2 {
                run.log_entry(*sid, &entry);
            }
            run.sync_with(*sid, 2, &[]);
        }
        run.established_event(2, 2);
        run
    }

    #[test]
    fn a_new_epoch_begins_with_a_reconfig() {
        brought(&[2, 3, 4], &[3, 4]).sound();
        let mut run = brought(&[2, 3, 4], &[3, 4]);
        run.propose(z(2, 1));
        for sid in [1, 2] {
            run.log(sid, z(2, 1));
            run.append_sync(sid, z(2, 1));
        }
        run.commit(z(2, 1));
        // In force since the epoch is established.
        run.first_is("CLD");
        brought(&[1, 4, 5], &[3, 4]).first_is("EPQ");
        brought(&[2, 3], &[3]).first_is("EPQ");
    }

    #[test]
    fn active_before_it_is_committed() {
        let (mut run, view) = proposed(&[1, 2, 3], &[1, 2, 4]);
        run.event(2, Event::config_activated(&view));
        run.first_is("CFG");
    }

    #[test]
    fn not_what_is_committed() {
        let (mut run, _) = committed(&[1, 2, 3], &[1, 2, 4]);
        run.event(2, Event::config_activated(&view(z(1, 2), &[1, 2, 4])));
        run.first_is("CFG");
    }

    #[test]
    fn versions_of_the_first_list() {
        let first = |voters: &[i64]| Event::config_activated(&view(z(1, 0), voters));
        let mut run = Run::established(3, 1);
        run.event(1, first(&[1, 2, 3]));
        run.event(2, first(&[1, 2, 3]));
        run.sound();
        let mut run = Run::established(3, 1);
        run.event(1, first(&[1, 2]));
        run.first_is("CFG");
        let mut run = Run::established(3, 1);
        run.event(2, first(&[1, 2, 3]));
        run.first_is("CFG");
    }

    /// A deposed leader finishes late, and nothing comes of it.
    #[test]
    fn an_older_one() {
        let (mut run, first) = committed(&[1, 2, 3], &[1, 2, 4]);
        let later = view(z(1, 3), &[1, 2]);
        let entry = reconfig(z(1, 3), later.text());
        run.propose_entry(&entry);
        log(&mut run, &[1, 2], &entry);
        run.commit_entry(&entry);
        for view in [&first, &later, &first] {
            run.event(1, Event::config_activated(view));
        }
        run.sound();
    }

    #[test]
    fn what_a_reconfig_must_carry() {
        let of = |version| view(version, &[1, 2, 3]).text();
        let nowhere = Bytes::from_static(b"server.1=nowhere");
        for (text, right) in [(of(z(1, 1)), true), (of(z(1, 7)), false), (nowhere, false)] {
            let mut run = Run::established(3, 1);
            let entry = reconfig(z(1, 1), text);
            run.propose_entry(&entry);
            log(&mut run, &[1], &entry);
            if right { run.sound() } else { run.first_is("CFG") }
        }
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
