//! Configurations that change (ZOOKEEPER-107): what a learner is told, what an election hears, what a leader finds.

use peer::{Config, View, parse_config_text};

use crate::script::converse;
use crate::{disk, keep, member};

const E1: i64 = 1 << 32;
const LOG: [i64; 1] = [E1 | 1];

/// As NEWLEADER brings it; `|` is a line end.
fn text(version: i64, voters: &[i64], observers: &[i64]) -> String {
    let line = |id: &i64, role: &str| format!("server.{id}=h{id}:2888:3888:{role}|");
    let voters = voters.iter().map(|id| line(id, "participant"));
    let lines: String = voters.chain(observers.iter().map(|id| line(id, "observer"))).collect();
    format!("{lines}version={version:x}")
}

pub fn view(version: i64, voters: &[i64], observers: &[i64]) -> View {
    parse_config_text(text(version, voters, observers).replace('|', "\n").as_bytes())
        .expect("a configuration")
}

/// It reconfigures, and goes by version 0x100000000.
pub fn enabled(mut config: Config) -> Config {
    config.settings.reconfig_enabled = true;
    config.view.version = wire::Zxid(E1);
    config
}

pub fn play(name: &str, config: Config, script: &str) {
    keep("reconfig", name, &converse(config, &disk(1, 1, &LOG), script));
}

/// Server 3 leads `config` in epoch 2.
fn registers(name: &str, config: Config, script: &str) {
    let waits = if config.sid.0 == 4 { "\ntime +200" } else { "" };
    let script = format!(
        "boot{waits}
         2 votes FOLLOWING leader=3 zxid=0x100000001 round=1 epoch=1
         3 votes LEADING leader=3 zxid=0x100000001 round=1 epoch=1
         leader accepts
         leader says LEADERINFO epoch=2
         leader says DIFF 0x100000001
         --- it is in step with server 3, whose NEWLEADER is next
         {script}"
    );
    play(name, config, &script);
}

fn serves(name: &str, config: Config, script: &str) {
    let same = text(E1, &[1, 2, 3], &[]);
    let script = format!(
        "leader says NEWLEADER 0x200000000 config={same}
         leader says UPTODATE
         --- it serves, in configuration 0x100000000
         {script}"
    );
    registers(name, config, &script);
}

fn reconfig(zxid: i64, text: &str) -> String {
    format!("leader says PROPOSAL {zxid:#x} reconfig config={text}")
}

const V: i64 = (2 << 32) | 1;

#[test]
fn new_leader_with_a_later_configuration() {
    let later = text(2 << 32, &[1, 2, 3], &[4]);
    registers(
        "new-leader-later",
        enabled(member(1, 3, 0)),
        &format!(
            "disk holds its answers
             leader says NEWLEADER 0x200000000 config={later}
             # It is kept, then currentEpoch, then the ACK leaves.
             disk goes on
             disk goes on
             leader says UPTODATE
             disk goes on
             disk shows its files"
        ),
    );
}

#[test]
fn a_proposal_is_kept_before_it_is_logged_and_active_when_it_is_committed() {
    let script = reconfig(V, &text(V, &[1, 2, 3], &[4]));
    serves(
        "proposed-and-committed",
        enabled(member(1, 3, 0)),
        &format!(
            "{script}\n disk shows its files\n leader says COMMITANDACTIVATE {V:#x} leader=3\n disk shows its files"
        ),
    );
}

#[test]
fn a_role_ends_where_it_or_the_leader_is_another() {
    let ends = |name: &str, voters: &[i64], observers: &[i64], leader: i64| {
        let script = reconfig(V, &text(V, voters, observers));
        let commit = format!("leader says COMMITANDACTIVATE {V:#x} leader={leader}");
        serves(name, enabled(member(1, 3, 0)), &format!("{script}\n{commit}"));
    };
    ends("leader-designated", &[1, 2], &[], 2);
    ends("becomes-an-observer", &[2, 3], &[1], 3);
    // It follows without a vote.
    ends("is-removed", &[2, 3], &[], 3);
}

/// Nobody has voted for it: its learners come within a tick, or it looks like everybody else.
#[test]
fn the_designated_leader_leads() {
    let designated = |name: &str, then: &str| {
        let script = reconfig(V, &text(V, &[1, 2], &[]));
        let commit = format!("leader says COMMITANDACTIVATE {V:#x} leader=1");
        serves(name, enabled(member(1, 3, 0)), &format!("{script}\n{commit}\n{then}"));
    };
    designated(
        "designated-and-followed",
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=8589934593
         L2 says ACKEPOCH last=0x200000001 current=2
         L2 says ACK 0x300000000",
    );
    designated("designated-and-alone", "time +2000");
    // It never heard of what comes behind, which the leader did not commit.
    designated(
        "designated-and-behind",
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=8589934593
         L2 says ACKEPOCH last=0x200000002 current=2
         time +1",
    );
}

#[test]
fn an_observer_is_informed() {
    let (before, after) = (text(E1, &[1, 2, 3], &[4]), text(V, &[1, 2, 3, 4], &[]));
    registers(
        "informed",
        enabled(member(4, 3, 1)),
        &format!(
            "leader says NEWLEADER 0x200000000 config={before}
             leader says UPTODATE
             leader says INFORMANDACTIVATE {V:#x} leader=3 reconfig config={after}
             # It votes now.
             time +200"
        ),
    );
}

/// It was proposed, and no quorum had it: the next leader does not, and its transaction goes first.
#[test]
fn a_new_leader_drops_what_was_proposed() {
    let (before, proposal) = (text(E1, &[1, 2, 3], &[]), reconfig(V, &text(V, &[1, 2, 3, 4], &[])));
    serves(
        "dropped",
        enabled(member(1, 3, 0)),
        &format!(
            "{proposal}
             leader closes
             2 votes LEADING leader=2 zxid=0x100000001 round=2 epoch=2
             3 votes FOLLOWING leader=2 zxid=0x100000001 round=2 epoch=2
             leader accepts
             leader says LEADERINFO epoch=3
             leader says TRUNC 0x200000000
             disk shows its files
             leader says NEWLEADER 0x300000000 config={before}
             leader says UPTODATE
             # What is there now counts no more: it is the active one.
             disk shows its files"
        ),
    );
}

/// An observer hears nothing of the proposal, and of the commit it does.
#[test]
fn an_observer_waits_for_the_commit() {
    let after = text(V, &[1, 2, 3, 4], &[]);
    registers(
        "observer-waits",
        enabled(member(4, 3, 1)),
        &format!(
            "leader says NEWLEADER 0x200000000 config={after}
             leader says UPTODATE
             leader says INFORMANDACTIVATE {V:#x} leader=3 reconfig config={after}"
        ),
    );
}

/// Java's leader looks at its configuration, and a reconfig is committed before NEWLEADER is sent.
#[test]
fn a_reconfig_before_new_leader() {
    let (before, after) = (text(E1, &[1, 2, 3], &[]), text(V, &[1, 2, 3], &[4]));
    let proposal = reconfig(V, &after);
    registers(
        "before-new-leader",
        enabled(member(1, 3, 0)),
        &format!(
            "{proposal}
             leader says COMMITANDACTIVATE {V:#x} leader=3
             leader says NEWLEADER 0x200000000 config={before}
             leader says UPTODATE"
        ),
    );
}

/// NEWLEADER brings what its leader has proposed, too.
#[test]
fn what_is_proposed_waits_for_its_commit() {
    let after = text(V, &[1, 2, 3, 4], &[]);
    let proposal = reconfig(V, &after);
    registers(
        "proposed-with-new-leader",
        enabled(member(1, 3, 0)),
        &format!(
            "{proposal}
             leader says NEWLEADER 0x200000000 config={after}
             leader says UPTODATE
             leader says COMMITANDACTIVATE {V:#x} leader=3"
        ),
    );
}

/// | `reconfigEnabled` is not true | |
/// |---|---|
/// | NEWLEADER, the same quorums | active in memory |
/// | NEWLEADER, others | it stops |
/// | commit, the same quorums | active in memory |
/// | PROPOSAL, others | acknowledged: without it there may be no quorum of the new ones |
/// | commit, others | it stops, behind the transaction |
/// | NEWLEADER that cannot be read | as without one |
#[test]
fn where_it_does_not_reconfigure() {
    let later = |voters: &[i64], observers: &[i64]| {
        format!("leader says NEWLEADER 0x200000000 config={}", text(2 << 32, voters, observers))
    };
    let committed = |voters: &[i64], observers: &[i64]| {
        let script = reconfig(V, &text(V, voters, observers));
        let begin = later(&[1, 2, 3], &[]);
        format!("{begin}\nleader says UPTODATE\n{script}\nleader says COMMITANDACTIVATE {V:#x} leader=3")
    };
    let plain = || member(1, 3, 0);
    registers("off-new-leader-same", plain(), &format!("{}\nleader says UPTODATE", later(&[1, 2, 3], &[4])));
    registers("off-new-leader-other", plain(), &later(&[1, 2, 3, 4], &[]));
    registers("off-committed-same", plain(), &committed(&[1, 2, 3], &[4]));
    registers("off-committed-other", plain(), &committed(&[2, 3], &[]));
    registers("off-unreadable", plain(), "leader says NEWLEADER 0x200000000 config=server.1=h|version=7");
}

#[test]
fn what_cannot_be_gone_by_stops_it() {
    registers(
        "unreadable",
        enabled(member(1, 3, 0)),
        "leader says NEWLEADER 0x200000000 config=server.1=h|version=200000000",
    );
    // Its next start would go by another one, whoever it follows then.
    let script = reconfig(V, &text(V, &[2, 3], &[1]));
    serves(
        "not-kept",
        enabled(member(1, 3, 0)),
        &format!(
            "{script}\n disk fails at the configuration\n leader says COMMITANDACTIVATE {V:#x} leader=3"
        ),
    );
}

/// | heard while looking | reconfigures | not |
/// |---|---|---|
/// | a later one, other members | active; the election begins anew | it stops |
/// | a later one, the same quorums | active | active in memory |
/// | one that is no later, or cannot be read | nothing | nothing |
#[test]
fn elections_tell_of_configurations() {
    let hears = |name: &str, config: Config, text: &str| {
        let script = format!(
            "boot
             --- server 1 looks
             2 votes LOOKING leader=2 zxid=0x100000001 round=1 epoch=1 config={text}
             time +200"
        );
        play(name, config, &script);
    };
    let (other, same) = (text(V, &[1, 2, 4], &[]), text(V, &[1, 2, 3], &[]));
    hears("heard-other", enabled(member(1, 3, 0)), &other);
    hears("heard-same", enabled(member(1, 3, 0)), &same);
    hears("heard-earlier", enabled(member(1, 3, 0)), &text(7, &[1, 2], &[]));
    hears("heard-unreadable", enabled(member(1, 3, 0)), "server.1=h|version=7");
    hears("off-heard-other", member(1, 3, 0), &other);
    hears("off-heard-same", member(1, 3, 0), &same);
}

/// A server that is in no configuration is answered, so that it can follow and be added.
#[test]
fn strangers() {
    let script = "boot
         --- server 1 looks
         7 votes LOOKING leader=7 zxid=0x900000001 round=1 epoch=9
         time +200";
    play("stranger", enabled(member(1, 3, 0)), script);
    // All members but this one are others meanwhile, and one of those tells.
    let tells = |text: &str| script.replace("epoch=9", &format!("epoch=9 config={text}"));
    play("stranger-tells", enabled(member(1, 3, 0)), &tells(&text(V, &[1, 7, 8], &[])));
    play("stranger-tells-of-others", enabled(member(1, 3, 0)), &tells(&text(V, &[7, 8], &[])));
}

/// Server 3 is elected by 1.
fn leads(name: &str, config: Config, script: &str) {
    let script = format!(
        "boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=4294967296
         --- server 3 is elected, server 1 has registered
         {script}"
    );
    play(name, config, &script);
}

#[test]
fn the_first_new_leader_gives_files_a_version() {
    let mut config = enabled(member(3, 3, 0));
    config.view.version = wire::Zxid::ZERO;
    let script = "boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         --- server 3 is elected
         disk holds its answers
         L1 connects
         L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=0
         disk goes on
         L1 says ACKEPOCH last=0x100000001 current=1
         # The configuration is kept, then currentEpoch; NEWLEADER leaves behind both.
         disk goes on
         disk goes on
         L1 says ACK 0x200000000
         disk goes on
         disk shows its files";
    play("first-version", config, script);
}

/// It starts with one that was proposed: nobody is led before a quorum of both agrees.
#[test]
fn a_leader_finishes_what_was_proposed() {
    let mut config = enabled(member(3, 3, 0));
    config.seen_view = Some(view(E1 | 1, &[3, 4, 5], &[]));
    let script = "boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         # 3 and 1 are a quorum of 1, 2 and 3, and none of 3, 4 and 5.
         4 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=4294967296
         L4 connects
         L4 says FOLLOWERINFO accepted=0x100000000 sid=4 protocol=0x10000 config=0
         L1 says ACKEPOCH last=0x100000001 current=1
         L4 says ACKEPOCH last=0x100000001 current=1
         L1 says ACK 0x200000000
         L4 says ACK 0x200000000";
    play("finishes", config, script);
}

/// Nobody leads it any more, and it says where it is: it may be added again.
#[test]
fn a_removed_member_looks() {
    let script = reconfig(V, &text(V, &[2, 3], &[]));
    let commit = format!("leader says COMMITANDACTIVATE {V:#x} leader=3");
    let looks = "leader closes\n 2 votes LOOKING leader=2 zxid=0x200000001 round=2 epoch=2\n time +200";
    serves("removed-and-looks", enabled(member(1, 3, 0)), &format!("{script}\n{commit}\n{looks}"));
}

#[test]
fn a_learner_with_a_later_configuration_is_not_led() {
    leads(
        "later-than-the-leaders",
        enabled(member(3, 3, 0)),
        "L2 connects
         L2 says FOLLOWERINFO accepted=0x100000000 sid=2 protocol=0x10000 config=4294967297",
    );
}

/// It brings the configuration without itself to a quorum, leads no longer, and goes when they have gone.
#[test]
fn who_is_no_voter_leads_no_longer() {
    let mut config = enabled(member(3, 3, 0));
    config.seen_view = Some(view(E1 | 1, &[1, 2], &[3]));
    let script = "L2 connects
         L2 says FOLLOWERINFO accepted=0x100000000 sid=2 protocol=0x10000 config=4294967296
         L1 says ACKEPOCH last=0x100000001 current=1
         L2 says ACKEPOCH last=0x100000001 current=1
         L1 says ACK 0x200000000
         L2 says ACK 0x200000000
         time +1000
         L1 closes";
    let elected = "boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         2 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         L1 connects
         L1 says FOLLOWERINFO accepted=0x100000000 sid=1 protocol=0x10000 config=4294967296
         --- server 3 is elected, server 1 has registered";
    play("no-voter-any-more", config, &format!("{elected}\n{script}"));
}

/// It was kept, and the machine lost its power before its reconfig was logged. It must not come back once the history is longer.
#[test]
fn a_proposal_that_was_never_logged_is_forgotten() {
    let mut config = enabled(member(3, 3, 0));
    config.seen_view = Some(view(E1 | 2, &[3, 4, 5], &[]));
    let script = "boot
         --- server 3 looks
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         # 3 and 1 are enough.
         time +200
         disk shows its files";
    play("never-logged", config, script);
}

/// It may have slept while all others that it knows became observers.
#[test]
fn an_observer_tells_a_voter_of_its_configuration() {
    let (earlier, same) = (text(7, &[1, 2, 3], &[4]), text(E1, &[1, 2, 3], &[4]));
    serves(
        "observer-tells",
        enabled(member(4, 3, 1)),
        &format!(
            "2 votes LOOKING leader=2 zxid=0x100000001 round=5 epoch=1 config={earlier}
             2 votes LOOKING leader=2 zxid=0x100000001 round=6 epoch=1 config={same}"
        ),
    );
}

/// Nobody hears of its own round.
#[test]
fn who_has_no_vote_goes_by_the_round_of_a_voter() {
    let mut config = enabled(member(1, 3, 0));
    config.view = view(E1, &[2, 3], &[]);
    let script = "boot
         --- server 1 looks, in round 1
         2 votes LOOKING leader=2 zxid=0x100000001 round=0 epoch=1
         # Then it is one of them.
         3 votes LOOKING leader=3 zxid=0x100000001 round=-1 epoch=1";
    play("voteless-round", config, script);
}

/// | server 4 votes in the pending configuration only, and votes for itself | |
/// |---|---|
/// | in an odd round | it may not lead |
/// | in an even one, with as much as others | they are voted for |
/// | with more | it is |
#[test]
fn who_is_being_added_may_lead() {
    let mut config = enabled(member(3, 3, 0));
    config.seen_view = Some(view(E1 | 1, &[1, 2, 3, 4], &[]));
    let script = "boot
         --- server 3 looks, in round 1
         4 votes LOOKING leader=4 zxid=0x100000002 round=1 epoch=1
         4 votes LOOKING leader=4 zxid=0x100000001 round=2 epoch=1
         4 votes LOOKING leader=4 zxid=0x100000002 round=2 epoch=1
         # With one pending, later notifications begin a round.
         time +200
         time +600";
    play("being-added", config, script);
}
