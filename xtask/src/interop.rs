//! `cargo xtask interop`: node processes on loopback, alone and beside Java ZooKeeper. One line for each
//! check, and `N passed, N failed`.
//!
//! Java's servers come from Debian's `libzookeeper-java`, installed where it is missing.

mod ensemble;

use std::process::Command;
use std::time::Duration;

use ensemble::{Ensemble, Kind};

/// What a check may need.
struct Given {
    classpath: String,
    kills: usize,
}

type Check = fn(&Given) -> Result<String, String>;

/// `needs_java`: without Java the checks beside it fail, else they are told as not run.
pub fn run(only: Option<&str>, kills: usize, needs_java: bool) -> Result<(), String> {
    super::cargo(&["build", "--release", "--package", "vivarium"])?;
    let checks: [(&str, bool, Check); 8] = [
        ("three nodes replicate and survive the death of their leader", false, leaders_die),
        ("three nodes survive the death of all at once", false, all_die),
        ("Java and Vivarium elect the same leader in every start order", true, start_orders),
        ("Vivarium leads Java followers", true, leads_java),
        ("Vivarium follows a Java leader; its ACK commits", true, follows_java),
        ("Vivarium observes a Java leader", true, observes_java),
        ("a Java leader dies, and all are in step again", true, java_leader_dies),
        ("a node paused for longer than syncLimit comes back", true, paused),
    ];
    let mut given = Given { classpath: String::new(), kills };
    let (mut passed, mut failed) = (0, 0);
    for (name, java, check) in checks {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        if java && given.classpath.is_empty() {
            match install_java() {
                Ok(classpath) => given.classpath = classpath,
                Err(why) if needs_java => return Err(why),
                Err(why) => {
                    println!("NOT RUN {name}: no Java ZooKeeper could be installed: {}", why.trim());
                    continue;
                }
            }
        }
        match check(&given) {
            Ok(what) => {
                passed += 1;
                println!("ok      {name}: {what}");
            }
            Err(why) => {
                failed += 1;
                println!("FAILED  {name}: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} checks failed")) }
}

/// The class path of a ZooKeeper server.
fn install_java() -> Result<String, String> {
    const JARS: [&str; 8] = [
        "zookeeper",
        "zookeeper-jute",
        "slf4j-api",
        "slf4j-simple",
        "commons-cli",
        "commons-io",
        "netty-all",
        "audience-annotations",
    ];
    let jar = |name: &str| format!("/usr/share/java/{name}.jar");
    if !std::path::Path::new(&jar("zookeeper")).exists() {
        apt_get(&["update", "-q"])?;
        apt_get(&["install", "-y", "-q", "libzookeeper-java", "default-jre-headless"])?;
    }
    // Debian links its own dependencies from the manifest's folder; the rest are named here.
    let mut path: Vec<String> = JARS.iter().map(|name| jar(name)).collect();
    for prefix in ["netty-", "metrics-core", "snappy"] {
        let entries = std::fs::read_dir("/usr/share/java").map_err(|e| e.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        path.extend(
            names
                .filter(|name| name.starts_with(prefix) && name.ends_with(".jar"))
                .map(|name| format!("/usr/share/java/{name}")),
        );
    }
    Ok(path.join(":"))
}

fn apt_get(args: &[&str]) -> Result<(), String> {
    let ran = Command::new("apt-get").args(args).output().map_err(|e| format!("apt-get: {e}"))?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

/// Kill -9 of the leader, again and again, under writes through every member.
fn leaders_die(given: &Given) -> Result<String, String> {
    let kills = given.kills;
    let mut ensemble = Ensemble::start(&[Kind::Vivarium; 3], &[1, 2, 3], "")?;
    for round in 0..kills {
        let leader = ensemble.wait_for_leader(Duration::from_secs(20))?;
        ensemble.write_for(Duration::from_millis(700));
        ensemble.kill(leader)?;
        ensemble.write_for(Duration::from_millis(300 + 100 * (round as u64 % 4)));
        ensemble.start_member(leader)?;
    }
    let acknowledged = ensemble.settle_and_compare()?;
    Ok(format!("{kills} leaders killed, {acknowledged} acknowledged writes are on all three"))
}

fn all_die(given: &Given) -> Result<String, String> {
    let kills = given.kills.div_ceil(2);
    let mut ensemble = Ensemble::start(&[Kind::Vivarium; 3], &[1, 2, 3], "")?;
    for _ in 0..kills {
        ensemble.wait_for_leader(Duration::from_secs(20))?;
        ensemble.write_for(Duration::from_millis(700));
        for sid in 1..=3 {
            ensemble.kill(sid)?;
        }
        for sid in 1..=3 {
            ensemble.start_member(sid)?;
        }
    }
    let acknowledged = ensemble.settle_and_compare()?;
    Ok(format!("{kills} times, {acknowledged} acknowledged writes are on all three"))
}

fn start_orders(given: &Given) -> Result<String, String> {
    let mut leaders = Vec::new();
    for (kinds, order) in [
        ([Kind::Java, Kind::Java, Kind::Vivarium], [1, 2, 3]),
        ([Kind::Java, Kind::Java, Kind::Vivarium], [3, 2, 1]),
        ([Kind::Vivarium, Kind::Java, Kind::Java], [3, 1, 2]),
        ([Kind::Java, Kind::Vivarium, Kind::Java], [2, 3, 1]),
        ([Kind::Vivarium, Kind::Java, Kind::Vivarium], [1, 3, 2]),
    ] {
        let mut ensemble = Ensemble::start(&kinds, &order, &given.classpath)?;
        let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
        ensemble.wait_for_followers(leader, Duration::from_secs(20))?;
        leaders.push(leader.to_string());
    }
    Ok(format!("leaders {}", leaders.join(", ")))
}

/// With one Java member stopped, the other one's ACK and the node's own commit.
fn leads_java(given: &Given) -> Result<String, String> {
    let mut ensemble =
        Ensemble::start(&[Kind::Java, Kind::Java, Kind::Vivarium], &[1, 2, 3], &given.classpath)?;
    let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
    if leader != 3 {
        return Err(format!("server {leader} leads, expected 3: equal histories, the largest id"));
    }
    ensemble.wait_for_followers(leader, Duration::from_secs(20))?;
    ensemble.kill(1)?;
    let before = ensemble.acknowledged();
    ensemble.write_for(Duration::from_secs(2));
    let acknowledged = ensemble.acknowledged() - before;
    if acknowledged == 0 {
        return Err("no write was acknowledged".into());
    }
    let (ours, java) = (ensemble.zxid(3)?, ensemble.wait_for_zxid(2, 3, Duration::from_secs(5))?);
    Ok(format!("{acknowledged} writes acknowledged, zxid {ours} here, {java} at the Java follower"))
}

/// Writes go through the Java leader, and with the other Java member stopped our ACK is what commits.
fn follows_java(given: &Given) -> Result<String, String> {
    let mut ensemble =
        Ensemble::start(&[Kind::Vivarium, Kind::Java, Kind::Java], &[1, 2, 3], &given.classpath)?;
    let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
    ensemble.wait_for_followers(leader, Duration::from_secs(20))?;
    if leader == 1 {
        return Err("server 1 leads, expected a Java server".into());
    }
    ensemble.kill(if leader == 3 { 2 } else { 3 })?;
    // Java refuses setData of what does not exist: an error transaction, committed like any other.
    let before = ensemble.answered();
    ensemble.write_for(Duration::from_secs(2));
    let answered = ensemble.answered() - before;
    if answered == 0 {
        return Err("no request was answered".into());
    }
    let zxid = ensemble.wait_for_zxid(1, leader, Duration::from_secs(5))?;
    Ok(format!("{answered} requests committed through the node, zxid {zxid} on both"))
}

fn observes_java(given: &Given) -> Result<String, String> {
    let mut ensemble =
        Ensemble::start(&[Kind::Observer, Kind::Java, Kind::Java], &[2, 3, 1], &given.classpath)?;
    let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
    ensemble.wait_for_followers(leader, Duration::from_secs(20))?;
    ensemble.write_for(Duration::from_secs(2));
    let answered = ensemble.answered();
    if answered == 0 {
        return Err("no request was answered".into());
    }
    let zxid = ensemble.wait_for_zxid(1, leader, Duration::from_secs(5))?;
    Ok(format!("{answered} requests forwarded and informed of, zxid {zxid} on both"))
}

fn java_leader_dies(given: &Given) -> Result<String, String> {
    let mut ensemble =
        Ensemble::start(&[Kind::Vivarium, Kind::Java, Kind::Java], &[1, 2, 3], &given.classpath)?;
    let mut leaders = Vec::new();
    for _ in 0..3 {
        let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
        ensemble.wait_for_followers(leader, Duration::from_secs(30))?;
        leaders.push(leader.to_string());
        ensemble.write_for(Duration::from_secs(1));
        ensemble.kill(leader)?;
        ensemble.wait_for_leader(Duration::from_secs(40))?;
        ensemble.write_for(Duration::from_secs(1));
        ensemble.start_member(leader)?;
    }
    let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
    ensemble.wait_for_followers(leader, Duration::from_secs(30))?;
    let before = ensemble.answered();
    ensemble.write_for(Duration::from_secs(1));
    let answered = ensemble.answered() - before;
    if answered == 0 {
        return Err("no request was answered at the end".into());
    }
    let zxid = ensemble.wait_for_zxid(1, leader, Duration::from_secs(5))?;
    Ok(format!("leaders {} died, zxid {zxid} at the end", leaders.join(", ")))
}

fn paused(given: &Given) -> Result<String, String> {
    let mut ensemble =
        Ensemble::start(&[Kind::Vivarium, Kind::Java, Kind::Java], &[1, 2, 3], &given.classpath)?;
    let leader = ensemble.wait_for_leader(Duration::from_secs(40))?;
    ensemble.wait_for_followers(leader, Duration::from_secs(20))?;
    ensemble.write_for(Duration::from_secs(1));
    ensemble.signal(1, "-STOP")?;
    // syncLimit is two and a half seconds.
    std::thread::sleep(Duration::from_secs(5));
    ensemble.signal(1, "-CONT")?;
    std::thread::sleep(Duration::from_secs(1));
    ensemble.wait_for_followers(leader, Duration::from_secs(30))?;
    let before = ensemble.answered();
    ensemble.write_for(Duration::from_secs(1));
    if ensemble.answered() == before {
        return Err("no request was answered after the pause".into());
    }
    let zxid = ensemble.wait_for_zxid(1, leader, Duration::from_secs(5))?;
    Ok(format!("zxid {zxid} on both"))
}
