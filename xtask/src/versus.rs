//! `cargo xtask versus`: three Java servers and three nodes, one after the other under the same load on the same
//! machine; what each gives and costs, as a table for the README.

mod load;
mod servers;
mod session;
mod table;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::interop::ensemble::Kind;
use crate::interop::{Given, Java, Version, process, release_binary};
use load::{Latency, block_on};
use servers::Servers;
use session::Prepared;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    Java,
    Vivarium,
}

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Start,
    Memory,
    Writes,
    Reads,
    Latency,
    Kill,
}

#[derive(clap::Args, Clone)]
pub struct Options {
    /// Time of each load that is measured.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Short: for a look, not for the README.
    #[arg(long)]
    quick: bool,
    /// The numbers as JSON.
    #[arg(long)]
    json: bool,
    /// One side only.
    #[arg(long, value_enum)]
    only: Option<Side>,
    /// Only this is measured; several, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    what: Vec<What>,
    /// So many more znodes of 100 bytes are there under the loads: snapshots hold them.
    #[arg(long, default_value_t = 0)]
    beside: usize,
    /// Release of the Java servers: 3.8 is Debian's; 3.9 comes inside PyPI's pyspark.
    #[arg(long, value_enum, default_value = "3.8")]
    java: Version,
    /// A `vivarium` binary; by default the release build is made first.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// More lines for the nodes' zoo.cfg: `KEY=VALUE`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Keep the members' folders, and say where they are.
    #[arg(long)]
    keep: bool,
}

/// Of one side. Times in seconds, memory in MiB, `None` where it was not asked for.
#[derive(Clone, Debug, Default)]
struct Measured {
    /// From nothing to the first write, several times, sorted.
    start: Vec<f64>,
    /// Each server's.
    idle: Vec<f64>,
    with_znodes: Vec<f64>,
    writes: Option<Throughput>,
    reads: Option<Throughput>,
    write_latency: Option<Latency>,
    read_latency: Option<Latency>,
    /// From kill -9 of the leader to the next write, several times, sorted.
    kill: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Throughput {
    a_second: f64,
    /// Microseconds of CPU an operation: of all three servers, the leader, a follower on average, the generator.
    servers: f64,
    leader: f64,
    follower: f64,
    generator: f64,
}

const ZNODES: usize = 100_000;
const ZNODE_BYTES: usize = 100;

pub fn run(options: &Options) -> Result<(), String> {
    let mut given = Given::of(PathBuf::new(), options.keep).with_lines(options.set.clone());
    let mut sides = Vec::new();
    if options.only != Some(Side::Vivarium) {
        given = given.with_java(Java::install(options.java)?);
        sides.push((Side::Java, format!("Java {}", options.java.name())));
    }
    if options.only != Some(Side::Java) {
        given = given.with_binary(release_binary(options.binary.as_deref())?);
        sides.push((Side::Vivarium, "Vivarium".into()));
    }
    let mut measured = Vec::new();
    for (side, name) in sides {
        eprintln!("{name}");
        measured.push((name, measure(&given, side, options)?));
    }
    if options.json {
        println!("{}", table::json(&measured));
    } else {
        table::print(&measured);
    }
    Ok(())
}

fn measure(given: &Given, side: Side, options: &Options) -> Result<Measured, String> {
    let kind = if side == Side::Java { Kind::Java } else { Kind::Serving };
    let asked = |what| options.what.is_empty() || options.what.contains(&what);
    let mut measured = Measured::default();
    let start = |measured: &mut Measured| {
        let (servers, took) = Servers::start(given, kind)?;
        measured.start.push(took.as_secs_f64());
        Ok::<Servers, String>(servers)
    };
    if asked(What::Start) {
        for _ in 0..if options.quick { 1 } else { 3 } {
            start(&mut measured)?;
        }
    }
    if asked(What::Memory) {
        let servers = start(&mut measured)?;
        std::thread::sleep(Duration::from_secs(5));
        measured.idle = servers.resident()?;
        block_on(load::make_tree(servers.leaders_address()?, ZNODES, ZNODE_BYTES))?;
        std::thread::sleep(Duration::from_secs(5));
        measured.with_znodes = servers.resident()?;
    }
    let mut servers = start(&mut measured)?;
    measured.start.sort_by(f64::total_cmp);
    eprintln!("  {} starts: {:.2?} s", measured.start.len(), measured.start);
    // Java's compiler has its time.
    let (warm_up, time) = if options.quick { (4, 5) } else { (10, options.seconds) };
    let times = [warm_up, time].map(Duration::from_secs);
    block_on(load::make_znodes(servers.leaders_address()?))?;
    block_on(load::make_tree(servers.leaders_address()?, options.beside, ZNODE_BYTES))?;
    if asked(What::Writes) {
        measured.writes = Some(throughput(&servers, load::writes(), times)?);
        eprintln!("  writes {:.1?}", measured.writes);
    }
    if asked(What::Reads) {
        measured.reads = Some(throughput(&servers, load::reads(), times)?);
        eprintln!("  reads {:.1?}", measured.reads);
    }
    if asked(What::Latency) {
        let at = servers.followers_address()?;
        let of = |requests: Vec<Prepared>| block_on(load::latency(at, &requests, times[0], times[1]));
        measured.write_latency = Some(of(load::writes())?);
        measured.read_latency = Some(of(load::reads())?);
        eprintln!(
            "  latency of writes {:.0?}, of reads {:.0?}",
            measured.write_latency, measured.read_latency
        );
    }
    if asked(What::Kill) {
        for _ in 0..if options.quick { 3 } else { 9 } {
            measured.kill.push(servers.kill_leader()?.as_secs_f64());
        }
        measured.kill.sort_by(f64::total_cmp);
        eprintln!("  leader killed: {:.3?} s", measured.kill);
    }
    Ok(measured)
}

fn throughput(
    servers: &Servers,
    requests: Vec<Prepared>,
    [warm_up, time]: [Duration; 2],
) -> Result<Throughput, String> {
    let leader = servers.leader()?;
    let own = || process::cpu_seconds(std::process::id()).map(|[user, system]| user + system);
    let measure = async |answered: &Cell<u64>| {
        tokio::time::sleep(warm_up).await;
        let (began, answers, cpu, generator) = (Instant::now(), answered.get(), servers.cpu()?, own()?);
        tokio::time::sleep(time).await;
        let took = began.elapsed().as_secs_f64();
        let answers = (answered.get() - answers) as f64;
        if answers == 0.0 {
            return Err("nothing was answered".into());
        }
        let micros = |seconds: f64| seconds * 1e6 / answers;
        let spent: Vec<f64> =
            servers.cpu()?.iter().zip(cpu).map(|(after, before)| micros(after - before)).collect();
        let (all, leaders) = (spent.iter().sum::<f64>(), spent[leader - 1]);
        Ok(Throughput {
            a_second: answers / took,
            servers: all,
            leader: leaders,
            follower: (all - leaders) / (servers::MEMBERS - 1) as f64,
            generator: micros(own()? - generator),
        })
    };
    block_on(load::under_load(&servers.addresses(), requests, measure))
}
