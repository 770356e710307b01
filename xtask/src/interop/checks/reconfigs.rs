//! Reconfigurations (ZOOKEEPER-107): nodes go by those of a Java leader, and keep them as Java does, or stop; and Java's
//! servers by those of a node that leads.

use super::{Found, seconds};
use crate::interop::Given;
use crate::interop::driver::Driver;
use crate::interop::ensemble::{Ensemble, Kind};

/// Anybody may reconfigure.
const ON: &str = "reconfigEnabled=true\nskipACL=yes\n";

fn server(ensemble: &Ensemble, sid: usize, role: &str) -> String {
    let member = ensemble.member(sid);
    let (quorum, election, client) = (member.quorum_port, member.election_port, member.client_port);
    format!("server.{sid}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}")
}

/// Server 4's file has all of them, itself as an observer; in the others' it is not.
fn prepare(given: &Given, kinds: &[Kind], set: impl Fn(usize) -> &'static str) -> Result<Ensemble, String> {
    let ensemble = Ensemble::prepare(given, kinds)?;
    for sid in 1..=kinds.len() {
        ensemble.configure(sid, set(sid))?;
    }
    for sid in 1..=3 {
        let members = |line: &&str| !line.starts_with("server.4=");
        ensemble
            .reconfigure(sid, |cfg| cfg.lines().filter(members).map(|line| format!("{line}\n")).collect())?;
    }
    Ok(ensemble)
}

/// The same configuration everywhere, in the tree and in `conf`; gives its version.
fn agreed(ensemble: &Ensemble, client: &mut Driver, members: &[usize], last: &str) -> Found {
    ensemble.poll(seconds(20), &format!("not everybody goes by {last}"), || {
        let of =
            |sid: &usize| Some(ensemble.ask(*sid, "conf")?.split_once("membership: ")?.1.trim().to_owned());
        let configs: Option<Vec<String>> = members.iter().map(of).collect();
        configs?.iter().all(|config| config.contains(last)).then_some(())
    })?;
    let mut configs = Vec::new();
    for sid in members {
        let word = ensemble.ask(*sid, "conf").unwrap_or_default();
        client.ask(&format!("connect at{sid} {} 20000", ensemble.host(*sid)))?;
        let tree = client.ask(&format!("config at{sid}"))?;
        client.ask(&format!("close at{sid}"))?;
        if !tree.split('|').all(|line| word.contains(line)) {
            return Err(format!("server {sid}: /zookeeper/config is {tree}, and conf says {word}"));
        }
        configs.push(tree);
    }
    if configs.iter().any(|config| *config != configs[0] || !config.contains(last)) {
        return Err(format!("configurations differ: {configs:?}, expected {last} in each"));
    }
    let version = configs[0].rsplit_once("version=").ok_or("no version")?.1;
    Ok(version.to_owned())
}

fn next_leader(ensemble: &Ensemble, members: &[usize]) -> Result<usize, String> {
    let leads = |sid: &usize| ensemble.mode(*sid).as_deref() == Some("leader");
    ensemble.poll(seconds(60), "nobody leads on", || members.iter().copied().find(leads))
}

/// What a node starts with next.
fn kept(ensemble: &Ensemble, sid: usize, version: &str) -> Result<(), String> {
    let dir = &ensemble.member(sid).dir;
    let read =
        |name: &str| std::fs::read_to_string(dir.join(name)).map_err(|e| format!("{sid}: {name}: {e}"));
    let (cfg, name) = (read("zoo.cfg")?, format!("zoo.cfg.dynamic.{version}"));
    let says = format!("dynamicConfigFile={}\n", dir.join(&name).display());
    if cfg.contains("server.") || !cfg.contains(&says) {
        return Err(format!("server {sid}: expected no members and {says} in {cfg}"));
    }
    if dir.join("zoo.cfg.dynamic.next").exists() {
        return Err(format!("server {sid}: zoo.cfg.dynamic.next is still there"));
    }
    read(&name).map(|_| ())
}

/// Servers 1 and 4 are nodes. 4 joins as an observer, gets a vote, and the Java leader goes; then a quorum of the new
/// configuration is one, and one of the old is none, also for who was killed meanwhile.
pub fn applied(given: &Given) -> Found {
    use Kind::{Java, Serving, ServingObserver};
    let mut ensemble = prepare(given, &[Serving, Java, Java, ServingObserver], |_| ON)?;
    for sid in [3, 2, 1] {
        ensemble.start_member(sid)?;
    }
    ensemble.settle_under(3, "equal histories, the largest id")?;
    let mut client = given.client()?;
    client.ask(&format!("connect a {} 20000", ensemble.host(3)))?;
    agreed(&ensemble, &mut client, &[1, 2, 3], "version=100000000")?;
    kept(&ensemble, 1, "100000000")?;
    client.ask("create a /before v")?;

    // In no configuration it follows without a vote.
    ensemble.start_member(4)?;
    ensemble.wait_for_mode(4, "follower")?;
    let observer = server(&ensemble, 4, "observer");
    client.ask(&format!("reconfig a {observer} -"))?;
    ensemble.wait_for_mode(4, "observer")?;
    agreed(&ensemble, &mut client, &[1, 2, 3, 4], &observer)?;
    let voter = server(&ensemble, 4, "participant");
    client.ask(&format!("reconfig a {voter} -"))?;
    ensemble.wait_for_mode(4, "follower")?;
    let version = agreed(&ensemble, &mut client, &[1, 2, 3, 4], &voter)?;
    kept(&ensemble, 1, &version)?;
    kept(&ensemble, 4, &version)?;

    // One is killed, and misses what follows.
    ensemble.kill(1);
    let before = std::time::Instant::now();
    client.ask("reconfig a - 3")?;
    let next = next_leader(&ensemble, &[2, 4])?;
    let took = before.elapsed().as_millis();
    client.ask("close a")?;
    ensemble.kill(3);
    let leader = ensemble.settle()?;
    ensemble.start_member(1)?;
    ensemble.wait_for_followers(leader, seconds(30))?;
    let version = agreed(&ensemble, &mut client, &[1, 2, 4], &voter)?;
    kept(&ensemble, 1, &version)?;

    // 1 and 4 are a quorum of 1, 2 and 4; of what the files said first they were one of three.
    for sid in [1, 2, 4] {
        ensemble.kill(sid);
    }
    ensemble.start_member(1)?;
    ensemble.start_member(4)?;
    let leader = ensemble.settle()?;
    client.ask(&format!("connect b {} 20000", ensemble.host(1)))?;
    client.ask("create b /after v")?;
    agreed(&ensemble, &mut client, &[1, 4], &format!("version={version}"))?;
    client.ask("close b")?;
    ensemble.kill(4);
    let leads = |ensemble: &Ensemble| matches!(ensemble.mode(1).as_deref(), Some("leader" | "follower"));
    ensemble.poll(seconds(20), "server 1 alone goes on", || (!leads(&ensemble)).then_some(()))?;
    ensemble.start_member(2)?;
    ensemble.start_member(4)?;
    let last = ensemble.settle()?;
    client.ask(&format!("connect c {} 20000", ensemble.host(last)))?;
    client.ask("create c /at-the-end v")?;
    for sid in [1, 2, 4] {
        ensemble.wait_for_zxid(sid, last, seconds(10))?;
    }
    Ok(format!(
        "version {version} on all, kept by the nodes; 3 was to go, and {next} led after {took} ms; later {leader}, as one \
         of 1, 2 and 4"
    ))
}

/// Servers 1, 2 and 4 are Java's, and node 3 leads. 4 joins as an observer and gets a vote, as a client of a Java follower
/// asks; then the node is to go, one of Java's leads on, and the node comes back.
pub fn led(given: &Given) -> Found {
    use Kind::{Java, Serving};
    let mut ensemble = prepare(given, &[Java, Java, Serving, Java], |_| ON)?;
    for sid in [3, 2, 1] {
        ensemble.start_member(sid)?;
    }
    ensemble.settle_under(3, "equal histories, the largest id")?;
    let mut client = given.client()?;
    client.ask(&format!("connect a {} 20000", ensemble.host(1)))?;
    client.ask(&format!("connect b {} 20000", ensemble.host(3)))?;
    agreed(&ensemble, &mut client, &[1, 2, 3], "version=100000000")?;
    client.ask("create a /before v")?;

    ensemble.start_member(4)?;
    ensemble.wait_for_mode(4, "follower")?;
    let (observer, voter) = (server(&ensemble, 4, "observer"), server(&ensemble, 4, "participant"));
    client.ask(&format!("reconfig a {observer} -"))?;
    ensemble.wait_for_mode(4, "observer")?;
    agreed(&ensemble, &mut client, &[1, 2, 3, 4], &observer)?;
    client.ask(&format!("reconfig a {voter} -"))?;
    ensemble.wait_for_mode(4, "follower")?;
    let version = agreed(&ensemble, &mut client, &[1, 2, 3, 4], &voter)?;
    kept(&ensemble, 3, &version)?;
    let absent = "server.8=127.0.0.1:1:2;3,server.9=127.0.0.1:4:5;6";
    for (reconfig, error) in
        [("- 1,2,4".to_owned(), "BadArgumentsError"), (format!("{absent} 1,2"), "NewConfigNoQuorumError")]
    {
        let told = client.ask(&format!("reconfig a {reconfig}")).err().unwrap_or("it is taken".into());
        if !told.contains(error) {
            return Err(format!("reconfig {reconfig}: expected {error}: {told}"));
        }
    }

    let before = std::time::Instant::now();
    client.ask("reconfig b - 3")?;
    let leader = next_leader(&ensemble, &[1, 2, 4])?;
    let took = before.elapsed().as_millis();
    ensemble.wait_for_mode(3, "follower")?;
    client.ask("create a /without-its-vote v")?;
    agreed(&ensemble, &mut client, &[1, 2, 4], &voter)?;
    let back = server(&ensemble, 3, "participant");
    client.ask(&format!("reconfig a {back} -"))?;
    let version = agreed(&ensemble, &mut client, &[1, 2, 3, 4], &back)?;
    kept(&ensemble, 3, &version)?;
    client.ask("create b /at-the-end v")?;
    for sid in 1..=4 {
        ensemble.wait_for_zxid(sid, leader, seconds(10))?;
    }
    Ok(format!("version {version} on all; 3 was to go, and {leader} led after {took} ms"))
}

/// Server 1 is a node whose `reconfigEnabled` is not true. Observers come and go; another voter is not its ensemble's.
pub fn refused(given: &Given) -> Found {
    use Kind::{Java, Serving, ServingObserver};
    let set = |sid| if sid == 1 { "skipACL=yes\n" } else { ON };
    let mut ensemble = prepare(given, &[Serving, Java, Java, ServingObserver], set)?;
    for sid in [3, 2, 1] {
        ensemble.start_member(sid)?;
    }
    ensemble.settle_under(3, "equal histories, the largest id")?;
    let mut client = given.client()?;
    client.ask(&format!("connect a {} 20000", ensemble.host(3)))?;
    let observer = server(&ensemble, 4, "observer");
    client.ask(&format!("reconfig a {observer} -"))?;
    agreed(&ensemble, &mut client, &[1, 2, 3], &observer)?;
    client.ask("create a /with-an-observer v")?;
    ensemble.wait_for_zxid(1, 3, seconds(10))?;

    ensemble.start_member(4)?;
    ensemble.wait_for_mode(4, "observer")?;
    let voter = server(&ensemble, 4, "participant");
    client.ask(&format!("reconfig a {voter} -"))?;
    for run in ["where it was committed", "when it comes back"] {
        let ended = ensemble.ended_within(1, seconds(20)).ok_or(format!("server 1 goes on, {run}"))?;
        let log = ensemble.log(1);
        let told = log.contains("reconfigEnabled is not true") && log.contains(&voter);
        if ended.code() != Some(1) || !told || log.contains("move dataDir") {
            return Err(format!("server 1 ended with {ended}, {run}, and does not say why: {log}"));
        }
        ensemble.kill(1);
        if run == "where it was committed" {
            ensemble.start_member(1)?;
        }
    }
    // 4 votes from now on: without it and 1 the leader had no quorum for a moment.
    let leader = ensemble.settle()?;
    client.ask(&format!("connect b {} 20000", ensemble.host(leader)))?;
    client.ask("create b /without-it v")?;
    ensemble.reconfigure(1, |cfg| cfg.replace("skipACL=yes\n", ON))?;
    ensemble.start_member(1)?;
    ensemble.wait_for_mode(1, "follower")?;
    let version = agreed(&ensemble, &mut client, &[1, 2, 3, 4], &voter)?;
    kept(&ensemble, 1, &version)?;
    ensemble.wait_for_zxid(1, leader, seconds(10))?;
    Ok(format!("it ended twice, and goes by version {version} with reconfigEnabled=true"))
}
