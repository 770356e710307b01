//! Clients' reconfigs (ZOOKEEPER-107) where server 3 leads 1 and 2: what is refused, what commits them, who leads then.

use peer::Config;

use crate::member;
use crate::reconfig::{enabled, play, view};

/// Servers 1 and 2 are in step with server 3, and a client is connected.
fn leads(name: &str, config: Config, script: &str) {
    let version = config.view.version.0;
    let joins = |sid: i64, hello: &str| {
        format!(
            "L{sid} connects
             L{sid} says {hello} accepted=0x100000000 sid={sid} protocol=0x10000 config={version}
             L{sid} says ACKEPOCH last=0x100000001 current=1
             L{sid} says ACK 0x200000000"
        )
    };
    let begin = format!(
        "boot
         1 votes LOOKING leader=3 zxid=0x100000001 round=1 epoch=1
         time +200
         {}
         {}
         client 1 connects
         L1 says ACK 0x200000001
         L2 says ACK 0x200000001",
        joins(1, "FOLLOWERINFO"),
        joins(2, "FOLLOWERINFO"),
    );
    let script = script
        .replace("4 follows", &joins(4, "FOLLOWERINFO"))
        .replace("4 observes", &joins(4, "OBSERVERINFO"))
        .replace("5 follows", &joins(5, "FOLLOWERINFO"));
    let (before, after) = script.split_once("---").expect("where the transcript begins");
    play(name, config, &format!("{begin}\n{before}\n---{after}"));
}

fn three() -> Config {
    enabled(member(3, 3, 0))
}

const JOINS_4: &str = "client 1 reconfigs joining=server.4=h4:2888:3888;2181";

#[test]
fn a_quorum_of_both_commits_it() {
    leads(
        "a-voter-joins",
        three(),
        &format!(
            "4 follows
             --- servers 1, 2 and 4 are in step with server 3
             {JOINS_4}
             # Of the old configuration a quorum, of the new one half.
             L1 says ACK 0x200000002
             L4 says ACK 0x200000002
             disk shows its files"
        ),
    );
}

/// | proposed | a quorum of |
/// |---|---|
/// | before the reconfig | the active configuration |
/// | it, and behind it | both |
/// | when it is committed | the new one |
#[test]
fn what_is_proposed_around_it() {
    leads(
        "proposed-around-it",
        three(),
        &format!(
            "4 follows
             5 follows
             --- servers 1, 2, 4 and 5 are in step with server 3
             client 1 sets /before=1
             {JOINS_4},server.5=h5:2888:3888;2181
             client 1 sets /behind=1
             # 3 and 4 are none of 1, 2 and 3; 3 and 1 are one.
             L4 says ACK 0x200000002
             L1 says ACK 0x200000002
             # 3, 4 and 5 are one of 1 to 5, and none of 1, 2 and 3.
             L4 says ACK 0x200000003; ACK 0x200000004
             L5 says ACK 0x200000002; ACK 0x200000003; ACK 0x200000004
             L1 says ACK 0x200000003
             # Now they are enough.
             client 1 sets /then=1
             L5 says ACK 0x200000005
             L4 says ACK 0x200000005"
        ),
    );
}

#[test]
fn observers_are_informed() {
    leads(
        "informs",
        three(),
        "4 observes
         --- servers 1, 2 and the observer 4 are in step with server 3
         client 1 reconfigs joining=server.4=h4:2888:3888:observer;2181
         L1 says ACK 0x200000002",
    );
}

#[test]
fn another_server_leads_on() {
    let leaves = "client 1 reconfigs leaving=3";
    leads(
        "leader-leaves",
        three(),
        &format!(
            "
             --- servers 1 and 2 are in step with server 3
             {leaves}
             # It proposes nothing behind that.
             L1 asks session=0x10 cxid=1 sets /behind=1
             L2 says ACK 0x200000002
             L1 says ACK 0x200000002
             # And answers no sync.
             client 1 syncs
             client 1 sets /later=1
             L1 closes
             # 2 alone is no quorum of 1 and 2.
             time +200"
        ),
    );
    leads(
        "leader-becomes-an-observer",
        three(),
        "
         --- servers 1 and 2 are in step with server 3
         client 1 reconfigs joining=server.3=h3:2888:3888:observer;2181
         L1 says ACK 0x200000002
         L2 says ACK 0x200000002
         L1 closes",
    );
    // Of those that have acknowledged, 1 is no voter any more.
    leads(
        "leader-leaves-with-another",
        three(),
        &format!(
            "4 follows
             --- servers 1, 2 and 4 are in step with server 3
             {JOINS_4} leaving=1,3
             L1 says ACK 0x200000002
             L2 says ACK 0x200000002
             L4 says ACK 0x200000002"
        ),
    );
    leads(
        "leader-moves",
        three(),
        "
         --- servers 1 and 2 are in step with server 3
         client 1 reconfigs joining=server.3=elsewhere:2888:3888;2181
         L2 says ACK 0x200000002
         L1 closes
         L2 closes",
    );
}

/// Its learners do not go. It does, after syncLimit.
#[test]
fn who_leads_on_no_more_has_an_end() {
    let alive =
        "time +1000\n L1 says PING 0x200000002 touched=0\n L2 says PING 0x200000002 touched=0\n".repeat(9);
    leads(
        "leader-waits-no-longer",
        three(),
        &format!(
            "client 1 reconfigs leaving=3
             L1 says ACK 0x200000002
             L2 says ACK 0x200000002
             --- server 3 leads on no more
             {alive}
             time +1000"
        ),
    );
}

/// Each row of the table, in its order.
#[test]
fn it_is_refused() {
    let refuses = |name: &str, config: Config, script: &str| {
        leads(name, config, &format!("\n --- servers 1 and 2 are in step with server 3\n {script}"));
    };
    refuses("refuses-disabled", member(3, 3, 0), "client 1 reconfigs leaving=3 version=7");
    refuses(
        "refuses-two-at-a-time",
        three(),
        "client 1 reconfigs joining=server.4=h4:2888:3888:observer;2181
         client 1 reconfigs leaving=9 version=7
         L1 says ACK 0x200000002; ACK 0x200000003
         client 1 reconfigs leaving=4 version=0x200000002
         L1 says ACK 0x200000004",
    );
    refuses(
        "refuses-another-version",
        three(),
        "client 1 reconfigs leaving=2,3 version=7\n L1 says ACK 0x200000002",
    );
    let mut of_elsewhere = three();
    of_elsewhere.view.version = wire::Zxid(0x2_0000_0002);
    refuses(
        "refuses-behind-a-later-version",
        of_elsewhere,
        "client 1 reconfigs joining=server.4=h4:2888:3888:observer;2181\n L1 says ACK 0x200000002",
    );
    refuses("refuses-one-voter", three(), "client 1 reconfigs leaving=2,3\n L1 says ACK 0x200000002");
    // Of 2, 3 and 4, where only 3 is there.
    refuses(
        "refuses-no-quorum",
        three(),
        &format!(
            "L2 closes
             {JOINS_4} leaving=1
             L1 says ACK 0x200000002"
        ),
    );
    // 4 is there, and observes; 5 is on its way.
    leads(
        "refuses-who-does-not-follow",
        three(),
        &format!(
            "4 observes
             L5 connects
             L5 says FOLLOWERINFO accepted=0x100000000 sid=5 protocol=0x10000 config=4294967296
             L5 says ACKEPOCH last=0x100000001 current=1
             --- servers 1 and 2 are in step with server 3
             L2 closes
             {JOINS_4},server.5=h5:2888:3888;2181 leaving=1
             L1 says ACK 0x200000002"
        ),
    );
    // 4 follows still, and has not heard that it observes.
    let mut observes = three();
    observes.view = view(observes.view.version.0, &[1, 2, 3], &[4]);
    leads(
        "refuses-who-observes-soon",
        observes,
        &format!(
            "4 follows
             --- servers 1, 2 and 4 are in step with server 3
             L2 closes
             {JOINS_4} leaving=1
             L1 says ACK 0x200000002"
        ),
    );
    refuses("refuses-what-is-no-request", three(), "client 1 type 16\n L1 says ACK 0x200000002");
}

/// It comes while a reconfig is under way: that is a proposal like others.
#[test]
fn a_learner_that_comes_meanwhile() {
    leads(
        "learner-comes-meanwhile",
        three(),
        &format!(
            "4 follows
             --- servers 1, 2 and 4 are in step with server 3
             {JOINS_4}
             L2 closes
             L2 connects
             L2 says FOLLOWERINFO accepted=0x200000000 sid=2 protocol=0x10000 config=4294967296
             L2 says ACKEPOCH last=0x200000001 current=2
             L1 says ACK 0x200000002
             L4 says ACK 0x200000002
             L2 says ACK 0x200000000; ACK 0x200000002"
        ),
    );
}

/// Without its file the next start would go by another configuration.
#[test]
fn it_is_kept_or_the_leader_stops() {
    leads(
        "leader-does-not-keep",
        three(),
        "
         --- servers 1 and 2 are in step with server 3
         disk fails at the configuration
         client 1 reconfigs joining=server.4=h4:2888:3888:observer;2181",
    );
}
