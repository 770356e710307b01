use wire::{Epoch, Zxid};

use super::*;
use crate::config::Settings;
use crate::quorum_verifier::QuorumVerifier;
use crate::switches::Switches;

/// `version`, voters, observers; each at an address of its own, and `moved` at another.
pub(crate) fn view(version: i64, voters: &[i64], observers: &[i64], moved: Option<i64>) -> View {
    let member = |id: i64, learner_type| {
        let host = if moved == Some(id) { format!("m{id}") } else { format!("h{id}") };
        let member = Member {
            learner_type,
            quorum_address: format!("{host}:2888:3888"),
            election_address: format!("{host}:3888"),
            client_address: None,
        };
        (ServerId(id), member)
    };
    let voting = voters.iter().map(|id| member(*id, LearnerType::Participant));
    let observing = observers.iter().map(|id| member(*id, LearnerType::Observer));
    let verifier = QuorumVerifier::Majority { voters: voters.iter().map(|id| ServerId(*id)).collect() };
    View { members: voting.chain(observing).collect(), verifier, version: Zxid(version) }
}

fn config(sid: i64, view: View, seen_view: Option<View>) -> Config {
    let (settings, switches) = (Settings::default(), Switches::NONE);
    Config { sid: ServerId(sid), view, seen_view, settings, switches, seed: 0 }
}

pub(crate) fn ensemble(sid: i64, view: View) -> Ensemble {
    Ensemble::new(&config(sid, view, None))
}

fn ids(ids: &[i64]) -> Vec<ServerId> {
    ids.iter().map(|id| ServerId(*id)).collect()
}

#[test]
fn a_quorum_is_one_of_both() {
    let mut members = ensemble(1, view(1, &[1, 2, 3], &[], None));
    assert!(members.contains_quorum(ids(&[1, 2])));
    assert!(members.see(&view(2, &[3, 4, 5], &[2], None)));
    for (set, is_one) in
        [(&[1, 2][..], false), (&[4, 5], false), (&[1, 3, 4], true), (&[1, 2, 4, 5], true), (&[3], false)]
    {
        assert_eq!(members.contains_quorum(ids(set)), is_one, "{set:?}");
    }
    assert_eq!(members.voters(), ids(&[1, 2, 3, 4, 5]));
    assert!(members.is_voter(ServerId(5)) && members.is_voter(ServerId(2)) && !members.is_voter(ServerId(6)));
    assert_eq!(members.learner_type(), LearnerType::Participant);
    members.activate(&view(2, &[3, 4, 5], &[2], None), None, None);
    assert!(members.contains_quorum(ids(&[4, 5])) && !members.contains_quorum(ids(&[1, 2, 3])));
    assert_eq!(members.voters(), ids(&[3, 4, 5]));
}

/// | what | it is | later proposals stay |
/// |---|---|---|
/// | seen, not later than what was seen | not kept | |
/// | activated, not later than the active one | known | yes |
/// | activated, earlier than what was seen | active | yes |
/// | activated, as late | active | no |
#[test]
fn versions_go_up() {
    let mut members = ensemble(1, view(5, &[1, 2, 3], &[], None));
    assert!(!members.see(&view(5, &[1], &[], None)), "active already");
    assert!(members.see(&view(7, &[1, 2], &[], None)));
    assert!(!members.see(&view(7, &[1, 2], &[], None)) && !members.see(&view(6, &[1], &[], None)));
    assert_eq!(members.activate(&view(5, &[1], &[], None), None, None), Activation::Known);
    assert_eq!(members.active().version, Zxid(5));
    assert_eq!(members.activate(&view(6, &[1, 2, 3, 4], &[], None), None, None), Activation::Minor);
    assert_eq!((members.active().version, members.latest().version), (Zxid(6), Zxid(7)));
    assert_eq!(members.activate(&view(7, &[1, 2], &[], None), None, None), Activation::Minor);
    assert_eq!((members.active().version, members.latest().version), (Zxid(7), Zxid(7)));
    assert_eq!(members.active_text(), view(7, &[1, 2], &[], None).text());
}

/// | proposed before | NEWLEADER's | then |
/// |---|---|---|
/// | nothing | the active one | nothing is seen |
/// | nothing | a later one | it is seen |
/// | a later one | the same | it is seen |
/// | a later one | one between | that is seen |
/// | a later one | the active one | nothing is seen |
/// | a later one | another of the same version | that is seen |
#[test]
fn a_new_leader_says_what_is_proposed() {
    let of = |version| match version {
        5 => view(5, &[1, 2, 3], &[], None),
        version => view(version, &[1, 2], &[], None),
    };
    for (proposed, new_leaders, changes) in
        [(5, of(5), false), (5, of(7), true), (7, of(7), false), (7, of(6), true), (7, of(5), true)]
            .into_iter()
            .chain([(7, view(7, &[2, 3], &[], None), true)])
    {
        let mut members = ensemble(1, of(5));
        members.see(&of(proposed));
        assert_eq!(members.agree(&new_leaders), changes, "{proposed}, {new_leaders:?}");
        assert_eq!(*members.latest(), new_leaders, "{proposed}");
    }
}

/// What was kept as seen counts only if it is later than the active one.
#[test]
fn what_files_say() {
    let active = view(5, &[1, 2, 3], &[], None);
    let of = |seen| Ensemble::new(&config(1, active.clone(), Some(seen))).latest().version;
    assert_eq!(of(view(6, &[1, 2], &[], None)), Zxid(6));
    assert_eq!(of(view(5, &[1, 2], &[], None)), Zxid(5));
}

/// Member 1 follows 3; members 1, 2, 3 vote, 4 observes.
///
/// | the new configuration | designated | |
/// |---|---|---|
/// | a new observer | none, or 3 | goes on |
/// | 2 is gone | none, or 3 | goes on |
/// | anything | 2 | the leader is another |
/// | 3 observes, or is gone | none | the leader is another |
/// | 3 has moved | none | the leader is another |
/// | 3 has moved | 3 | goes on |
/// | 1 observes | 3 | the role is another |
/// | 1 is gone | 3 | goes on, as a follower without a vote |
#[test]
fn what_ends_a_role() {
    use Activation::{Major, Minor};
    for (after, designated, expected) in [
        (view(2, &[1, 2, 3], &[4, 5], None), None, Minor),
        (view(2, &[1, 2, 3], &[4, 5], None), Some(3), Minor),
        (view(2, &[1, 3], &[4], None), None, Minor),
        (view(2, &[1, 3], &[4], None), Some(3), Minor),
        (view(2, &[1, 2, 3], &[], None), Some(2), Major),
        (view(2, &[1, 2], &[3], None), None, Major),
        (view(2, &[1, 2], &[], None), None, Major),
        (view(2, &[1, 2, 3], &[4], Some(3)), None, Major),
        (view(2, &[1, 2, 3], &[4], Some(3)), Some(3), Minor),
        (view(2, &[2, 3], &[1], None), Some(3), Major),
        (view(2, &[2, 3], &[], None), Some(3), Minor),
    ] {
        let mut members = ensemble(1, view(1, &[1, 2, 3], &[4], None));
        let activation = members.activate(&after, Some(ServerId(3)), designated.map(ServerId));
        assert_eq!(activation, expected, "{after:?}, {designated:?}");
    }
    let mut observer = ensemble(4, view(1, &[1, 2, 3], &[4], None));
    let promoted = view(2, &[1, 2, 3, 4], &[], None);
    assert_eq!(observer.activate(&promoted, Some(ServerId(3)), Some(ServerId(3))), Major);
    assert!(observer.votes());
}

/// Where `reconfigEnabled` is not true; member 1 of 1, 2, 3 and the observer 4.
#[test]
fn what_is_refused() {
    let members = ensemble(1, view(0, &[1, 2, 3], &[4], None));
    for (after, refused) in [
        (view(2, &[1, 2, 3], &[4], None), false),
        (view(2, &[1, 2, 3], &[5, 6], Some(3)), false),
        (view(0, &[1, 2], &[], None), false),
        (view(2, &[1, 2], &[4], None), true),
        (view(2, &[1, 2, 3, 4], &[], None), true),
        (view(2, &[2, 3], &[1], None), true),
    ] {
        assert_eq!(members.refusal(&after).is_some(), refused, "{after:?}");
    }
    let observer = ensemble(4, view(0, &[1, 2, 3], &[4], None));
    assert!(observer.refusal(&view(2, &[1, 2, 3], &[4], None)).is_none());
    assert!(observer.refusal(&view(2, &[1, 2, 3], &[], None)).is_some(), "it would follow as a voter");
}

/// Weights of 1 may be left out.
#[test]
fn a_hierarchy_with_the_same_quorums_is_not_refused() {
    let with = |weights: &[(i64, i64)]| {
        let mut view = view(0, &[1, 2], &[], None);
        view.verifier = QuorumVerifier::Hierarchical {
            group_of: [1, 2].map(|id| (ServerId(id), 1)).into(),
            weight_of: weights.iter().map(|(id, weight)| (ServerId(*id), *weight)).collect(),
        };
        view
    };
    let members = ensemble(1, with(&[(1, 1)]));
    let at = |view: View| View { version: Zxid(1), ..view };
    assert!(members.refusal(&at(with(&[(2, 1)]))).is_none());
    assert!(members.refusal(&at(with(&[(2, 2)]))).is_some());
}

#[test]
fn strangers_are_dialled_at_what_they_say_and_are_few() {
    let mut members = ensemble(1, view(1, &[1, 2, 3], &[], None));
    members.meet_stranger(ServerId(5), b"h5:3888");
    members.meet_stranger(ServerId(6), b"\xff");
    assert_eq!(members.election_address(ServerId(5)), Some("h5:3888"));
    assert!(members.is_stranger(ServerId(5)) && !members.is_stranger(ServerId(6)));
    for id in 10..200 {
        members.meet_stranger(ServerId(id), b"h:1");
    }
    assert!(members.is_stranger(ServerId(199)) && members.is_stranger(ServerId(136)), "the last 64");
    assert!(!members.is_stranger(ServerId(135)) && !members.is_stranger(ServerId(5)));
    members.meet_stranger(ServerId(5), b"h6:3888");
    assert_eq!(members.election_address(ServerId(5)), Some("h6:3888"));
    members.activate(&view(2, &[1, 2, 3, 5], &[], None), None, None);
    assert_eq!(members.election_address(ServerId(5)), Some("h5:3888"), "a member now");
    assert_eq!(members.quorum_address(ServerId(5)), Some("h5:2888"));
}

/// From the file, from what was seen, and from then on whatever becomes of it.
#[test]
fn who_is_in_no_configuration_knows_where_it_is() {
    let of = |view, seen| Ensemble::new(&config(1, view, seen));
    let (with, without) = (view(1, &[1, 2], &[], None), view(1, &[2, 3], &[], None));
    assert_eq!(of(with.clone(), None).own_election_address(), "h1:3888");
    assert_eq!(of(without.clone(), None).own_election_address(), "");
    let moved = view(2, &[1, 2], &[], Some(1));
    assert_eq!(of(with, Some(moved.clone())).own_election_address(), "m1:3888");
    let mut members = of(without.clone(), Some(moved));
    members.agree(&without);
    assert!(!members.is_member(ServerId(1)));
    assert_eq!(members.own_election_address(), "m1:3888");
    let mut members = of(without, None);
    members.see(&view(3, &[1], &[], None));
    assert_eq!(members.own_election_address(), "h1:3888");
    members.activate(&view(4, &[2], &[1], Some(1)), None, None);
    assert_eq!(members.own_election_address(), "m1:3888");
}

/// | version | the history's end, currentEpoch | |
/// |---|---|---|
/// | in the history | any | counts |
/// | behind it, in the same epoch | | never logged |
/// | behind it, in an earlier epoch | | NEWLEADER of the epoch brought it, and was acknowledged |
/// | the first of the epoch | | the same |
/// | in a later epoch | | NEWLEADER was not acknowledged |
#[test]
fn what_was_never_logged_does_not_count() {
    for (version, last, current, counts) in [
        ((2, 5), (2, 5), 2, true),
        ((2, 5), (2, 4), 2, false),
        ((2, 5), (1, 9), 2, false),
        ((2, 5), (2, 4), 3, true),
        ((3, 0), (2, 4), 3, true),
        ((3, 0), (2, 4), 2, false),
        ((3, 1), (2, 4), 2, false),
    ] {
        let zxid = |(epoch, counter)| Zxid::new(Epoch(epoch), counter);
        let seen = view(zxid(version).0, &[1, 2], &[], None);
        let mut members = Ensemble::new(&config(1, view(1, &[1, 2, 3], &[], None), Some(seen)));
        members.forget_unlogged(zxid(last), Epoch(current));
        assert_eq!(members.pending().is_some(), counts, "{version:?} {last:?} {current}");
    }
}
