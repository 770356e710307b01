//! `cargo xtask ci`: everything that guards main, stage by stage. What a stage may take is told in
//! `crates/README.md`; what it took is printed at the end.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Done, cargo, chaos, determinism, interop, kazoo, lint, mutants};

/// CPU time for each bug of the museum's short round.
const BUG_BUDGET: &str = "20s";
/// Bugs of every phase that the default swarm finds within a few CPU seconds.
const BUGS: [&str; 10] = ["01", "06", "07", "10", "15", "16", "20", "23", "31", "34"];
/// Fresh seeds, swept for so long.
const FRESH: &str = "1m";
/// Mutants of the table, other ones with each commit.
const MUTANTS: usize = 4;
/// Short scenarios, and the faults put at every packet and disk step of them.
const ENUMERATED: [&str; 3] = ["enumerated-handshake", "enumerated-tail", "enumerated-snapshots"];

pub fn run(seeds: u64) -> Done {
    let mut took: Vec<(&str, Duration)> = Vec::new();
    let mut stage = |name: &'static str, work: &dyn Fn() -> Done| {
        println!("== {name}");
        let begun = Instant::now();
        let done = work();
        took.push((name, begun.elapsed()));
        done
    };
    stage("lint", &lint)?;
    stage("tests", &|| cargo(&["test"]))?;
    stage("quick start", &|| vivarium(&["run", "scenarios/quick-start.json"]))?;
    stage("determinism", &determinism)?;
    stage("interop", &|| interop::run(&interop::Options::small(), false))?;
    stage("kazoo", &|| kazoo::run(&kazoo::Options::small(), false))?;
    stage("chaos", &chaos_both)?;
    stage("sweep", &|| vivarium(&["sweep", "--seeds", &format!("0..{seeds}")]))?;
    stage("fresh seeds", &fresh_seeds)?;
    stage("museum", &museum)?;
    stage("enumeration", &enumeration)?;
    stage("mutants", &|| mutants::run(&mutants::Options::sample_of(MUTANTS)))?;
    for (name, took) in took {
        println!("{name:<12} {:>4} s", took.as_secs());
    }
    Ok(())
}

/// Through proxies; and in a real network, where this machine lets us make one.
fn chaos_both() -> Done {
    use chaos::net::{Kind, namespaces};
    chaos::run(&chaos::Options::small(Kind::Proxies))?;
    match namespaces::permitted() {
        Ok(()) => chaos::run(&chaos::Options::small(Kind::Namespaces)),
        Err(why) => {
            println!("NOT RUN in network namespaces: {}", why.trim());
            Ok(())
        }
    }
}

/// Seeds that nobody has run: from the wall clock on.
fn fresh_seeds() -> Done {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| format!("the clock: {e}"))?;
    let base = now.as_secs() * 1_000_000;
    println!("fresh seeds from {base} on");
    let seeds = format!("{base}..{}", base + 1_000_000);
    let failures = failures("fresh")?;
    vivarium(&["sweep", "--seeds", &seeds, "--for", FRESH, "--keep-going", "--out", &failures])
}

fn museum() -> Done {
    let args = [&["bugs", "hunt"][..], &BUGS, &["--for", BUG_BUDGET, "--no-shrink"]].concat();
    vivarium(&args)
}

fn enumeration() -> Done {
    let failures = failures("enumerated")?;
    for name in ENUMERATED {
        vivarium(&["enumerate", &format!("scenarios/{name}.json"), "--out", &failures])?;
    }
    Ok(())
}

/// The folder for the failing scenarios of a stage; it stays when the stage has failed.
fn failures(of: &str) -> Result<String, String> {
    let folder = Path::new("target/ci/failures").join(of);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder.display().to_string())
}

fn vivarium(args: &[&str]) -> Done {
    cargo(&[&["run", "--quiet", "--release", "--"][..], args].concat())
}
