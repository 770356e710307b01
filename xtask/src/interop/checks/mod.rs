//! The checks: each starts its own ensemble, and tells in a line what it saw.

mod changes;
mod clients;
mod elections;
mod following;
mod hostile;
mod leading;
mod other_clients;
mod reconfigs;
mod replay;
mod sessions;
mod survival;
mod trees;

use std::time::Duration;

use super::Given;
use super::ensemble::Kind;
use super::java::Version;
use super::programs::Program;

/// What a check found, or what was not as expected.
pub type Found = Result<String, String>;

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Java's servers, and kazoo.
    Java,
    /// A client that has to be installed and built.
    Program(Program),
}

pub struct Check {
    pub name: String,
    pub needs: Needs,
    /// It has failed if it takes longer.
    pub budget: Duration,
    pub run: Box<dyn FnOnce(&Given) -> Found + Send>,
}

fn check(
    name: &str,
    needs: Needs,
    seconds: u64,
    run: impl FnOnce(&Given) -> Found + Send + 'static,
) -> Check {
    Check { name: name.into(), needs, budget: Duration::from_secs(seconds), run: Box::new(run) }
}

pub fn all(given: &Given) -> Vec<Check> {
    use Needs::{Java, Nothing};
    let kills = given.kills as u64;
    let mut all = vec![
        check("three nodes survive kill -9 of their leader", Nothing, 60 + 15 * kills, survival::leaders_die),
        check("three nodes survive kill -9 of all at once", Nothing, 60 + 2 * kills, survival::all_die),
        check("garbage, oversized frames and silence end connections", Nothing, 120, hostile::every_port),
        check("a recorded run of three nodes replays", Nothing, 60, replay::three_nodes),
        check("three nodes and the C client", Needs::Program(Program::C), 90, |given| {
            other_clients::program(given, Program::C)
        }),
        check("three nodes and the crate zookeeper-client", Needs::Program(Program::Crate), 90, |given| {
            other_clients::program(given, Program::Crate)
        }),
        check("two Java members and a node elect in every start order", Java, 180, |given| {
            elections::start_orders(given, 1)
        }),
        check("a Java member and two nodes elect in every start order", Java, 180, |given| {
            elections::start_orders(given, 2)
        }),
        check("a node with the best history wins, whatever its id", Java, 90, elections::best_history),
        check("a node with a worse history never wins", Java, 120, elections::worse_history),
    ];
    for (role, kind) in [("following", Kind::Vivarium), ("observing", Kind::Observer)] {
        let mut add = |name: &str, seconds, run: fn(&Given, Kind) -> Found| {
            all.push(check(&format!("{role}: {name}"), Java, seconds, move |given| run(given, kind)));
        };
        add("DIFF", 90, following::diff);
        add("SNAP to an emptied directory", 90, following::snap_emptied);
        add("SNAP behind the committed log", 120, following::snap_behind);
        // 3.4 reads no log for this.
        if given.java_version() != Some(Version::V3_4) {
            add("DIFF from the leader's log on disk", 120, following::diff_from_disk);
        }
        add("TRUNC", 90, following::trunc);
        add("TRUNC and DIFF", 120, following::trunc_and_diff);
        add("sessions and ephemerals come and go", 240, sessions::come_and_go);
        add("the log is the Java leader's, and Java reads the directory", 120, trees::log_and_tree);
    }
    all.extend([
        check("clients of three nodes keep their sessions when the leader dies", Java, 90, clients::of_nodes),
        check("clients of two nodes and a Java member see one tree", Java, 90, clients::of_both),
        check("Java serves the directory of a node alone", Java, 90, trees::alone),
        check("its ACKs commit, and Java's clients notice nothing", Java, 90, sessions::its_acks_commit),
        check("Java leaders die, and all are in step again", Java, 180, changes::leaders_die),
        check("paused for longer than syncLimit, it comes back", Java, 90, changes::paused),
        check("a recorded run beside Java replays", Java, 180, replay::beside_java),
        check("leads Java members of an empty history", Java, 90, leading::empty_history),
        check("leads Java members that are behind, then one of them leads", Java, 180, leading::java_history),
    ]);
    // It has no reconfigurations. Its commands are not those of 3.8, and neither are its words.
    if given.java_version() != Some(Version::V3_4) {
        all.push(check("nodes go by a Java leader's reconfigurations", Java, 180, reconfigs::applied));
        all.push(check("Java members go by a leading node's reconfigurations", Java, 180, reconfigs::led));
        all.push(check("a node without reconfigEnabled stops at one", Java, 120, reconfigs::refused));
        all.push(check("zkCli at three nodes", Java, 90, other_clients::zk_cli));
    }
    all
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
