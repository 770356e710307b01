//! `cargo xtask chaos`: three to five node processes in network namespaces, or on loopback with proxies of ours between
//! them. For a while they are partitioned, delayed, killed, stopped, their disks filled or slow, while the simulator's
//! clients of the tree work on them; then everything is healed, and what the clients saw goes to the simulator's
//! checkers, beside what was committed. That a witness has: an observer to whom nothing is done, whose log begins with
//! the first transaction. For its sake leaders keep all that is committed in memory, and hardly bring anybody up to date
//! by a snapshot: that is for `cargo xtask interop` and the simulator.

mod clients;
mod committed;
mod disks;
mod faults;
mod judge;
mod keeper;
pub mod net;
mod syncs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum;
use sim::draw::{Concern, Draws};
use sim::workload::WorkloadSpec;
use wire::Zxid;

use crate::Done;
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk, release_binary};
use clients::Clients;
use disks::Disks;
use faults::{Counts, Fault};
use keeper::Keeper;
use net::Net;
use net::namespaces::{self, Namespaces};
use net::proxies::Proxies;

#[derive(clap::Args, Clone)]
pub struct Options {
    /// Members, three to five.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=5))]
    members: u8,
    /// Faults are done for so many seconds; healing and judging come on top.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 6)]
    clients: u32,
    /// Draws faults and what clients ask; what comes of them is the machine's.
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults and the pauses between them last, in percent.
    #[arg(long, default_value_t = 100)]
    pace: u64,
    /// These faults only.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// By default namespaces, where they may be made.
    #[arg(long, value_enum)]
    net: Option<net::Kind>,
    /// This process is in namespaces made for it.
    #[arg(long, hide = true)]
    entered: bool,
    /// A `vivarium` binary; by default the release build is made first.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the members' folders, and say where they are.
    #[arg(long)]
    keep: bool,
}

impl Options {
    /// What CI has time for, in this network.
    pub fn small(net: net::Kind) -> Options {
        let seconds = match net {
            net::Kind::Proxies => 25,
            net::Kind::Namespaces => 15,
        };
        Options {
            members: 3,
            seconds,
            clients: 4,
            seed: None,
            pace: 100,
            faults: Vec::new(),
            net: Some(net),
            entered: false,
            binary: None,
            keep: false,
        }
    }

    /// As words of a command line, for the same once more in namespaces.
    fn arguments(&self, binary: &Path) -> Vec<String> {
        let mut words: Vec<String> = ["chaos", "--entered", "--net", "namespaces"].map(String::from).into();
        let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
        add("--binary", binary.display().to_string());
        add("--members", self.members.to_string());
        add("--seconds", self.seconds.to_string());
        add("--clients", self.clients.to_string());
        add("--pace", self.pace.to_string());
        if let Some(seed) = self.seed {
            add("--seed", seed.to_string());
        }
        for fault in self.faults.iter().filter_map(ValueEnum::to_possible_value) {
            add("--faults", fault.get_name().to_owned());
        }
        words.extend(self.keep.then(|| "--keep".into()));
        words
    }
}

/// Fields end in this order: members before what they stand on.
pub struct Chaos {
    ensemble: Ensemble,
    net: Box<dyn Net>,
    /// `None` where this process may not mount.
    disks: Option<Disks>,
    disks_failed: usize,
    /// False where nothing compiles the library for it.
    syncs: bool,
    pace: u64,
    keeper: Option<Keeper>,
}

pub fn run(options: &Options) -> Done {
    let binary = release_binary(options.binary.as_deref())?;
    let members = options.members.into();
    if options.entered {
        return run_in(options, binary, Box::new(Namespaces::new(members)?));
    }
    match (options.net, namespaces::permitted()) {
        (Some(net::Kind::Proxies), _) => run_in(options, binary, Box::new(Proxies::new(members))),
        (_, Ok(())) => namespaces::enter(&options.arguments(&binary)),
        (Some(net::Kind::Namespaces), Err(why)) => Err(format!("no network namespaces: {why}")),
        (None, Err(why)) => {
            println!("NOT DONE in network namespaces, but through proxies: {}", why.trim());
            run_in(options, binary, Box::new(Proxies::new(members)))
        }
    }
}

fn run_in(options: &Options, binary: PathBuf, net: Box<dyn Net>) -> Done {
    let seed = options.seed.unwrap_or_else(|| clients::now().0 / 1_000_000 % 1_000_000);
    println!("seed {seed}");
    let given = Given::of(binary, options.keep);
    let mut chaos = Chaos::start(&given, net)?;
    let done = judged(&mut chaos, options, seed);
    if options.keep {
        chaos.keep_disks()?;
    }
    done
}

fn judged(chaos: &mut Chaos, options: &Options, seed: u64) -> Done {
    let ports = chaos.client_ports();
    chaos.pace = options.pace;
    chaos.ensemble.settle()?;
    let clients = Clients::start(seed, workload(options), ports);
    chaos.wait_for_writes()?;
    let counts = chaos.rage(options, seed)?;
    let report = chaos.calm_down(clients)?;
    let committed = chaos.committed()?;
    let epochs = committed.keys().map(|zxid| zxid.epoch()).collect::<std::collections::BTreeSet<_>>().len();
    let faults: Vec<String> = counts.iter().map(|(fault, count)| format!("{count} {fault:?}")).collect();
    let late: u64 = (1..=chaos.net.members()).map(|sid| syncs::late(&chaos.ensemble, sid)).sum();
    println!(
        "faults: {}; {} members ended by their disks, {late} syncs came late",
        faults.join(", "),
        chaos.disks_failed
    );
    // Once or twice it may have been a member that had nothing to sync.
    if late == 0 && counts.get(&Fault::SlowSync).is_some_and(|count| *count > 2) {
        return Err("not tested: syncs were slow, and none came late".into());
    }
    println!(
        "{} transactions in {epochs} epochs; clients: {} requests answered, {} of unknown outcome, {} \
         notifications, {} connections, {} sessions expired; {}",
        committed.len(),
        report.acknowledged,
        report.unknown,
        report.notifications,
        report.connections,
        report.expirations,
        chaos.net.account()?,
    );
    let an_epoch_ended = epochs > 1 || !counts.contains_key(&Fault::KillLeader);
    if report.acknowledged == 0 || !an_epoch_ended {
        return Err(format!("nothing was tested: {} answers, {epochs} epochs", report.acknowledged));
    }
    let violations = judge::judge(&committed, &report.history);
    if violations.is_empty() {
        println!("no violation in {} observations", report.history.len());
        return Ok(());
    }
    violations.iter().for_each(|violation| println!("VIOLATION {violation}"));
    Err(format!("{} violations; seed {seed}", violations.len()))
}

fn workload(options: &Options) -> WorkloadSpec {
    WorkloadSpec {
        clients: options.clients,
        in_flight: 4,
        think_ms: 15,
        reads_milli: 400,
        session_timeout_ms: 4000,
        request_timeout_ms: 2000,
        ..WorkloadSpec::default()
    }
}

impl Chaos {
    fn start(given: &Given, net: Box<dyn Net>) -> Result<Chaos, String> {
        let members = net.members();
        let disks = Disks::mount(members).map_err(|why| println!("NOT DONE full disks: {}", why.trim())).ok();
        let mut kinds = vec![Kind::Serving; members];
        kinds.push(Kind::ServingObserver);
        let mut ensemble = Ensemble::prepare(given, &kinds)?;
        let folder = ensemble.member(members + 1).dir.clone();
        let syncs = syncs::preload(&mut ensemble, &folder)
            .map_err(|why| println!("NOT DONE slow syncs: {}", why.trim()))
            .is_ok();
        let mut chaos = Chaos { ensemble, net, disks, disks_failed: 0, syncs, pace: 100, keeper: None };
        chaos.net.connect(&mut chaos.ensemble)?;
        for sid in 1..=members {
            chaos.configure(sid)?;
        }
        let kept = chaos.ensemble.member(chaos.witness()).dir.join("kept");
        chaos.keeper = Some(Keeper::start(chaos.data(chaos.witness()), kept)?);
        for sid in 1..=chaos.witness() {
            chaos.ensemble.start_member(sid)?;
        }
        Ok(chaos)
    }

    /// So many that everybody is in their midst from here on.
    fn wait_for_writes(&self) -> Done {
        let enough = |text: String| i64::from_str_radix(&text[2..], 16).is_ok_and(|zxid| zxid as u32 > 100);
        self.ensemble.poll(Duration::from_secs(20), "no writes", || {
            self.ensemble.zxid(self.witness()).is_ok_and(enough).then_some(())
        })
    }

    fn witness(&self) -> usize {
        self.net.members() + 1
    }

    fn client_ports(&self) -> Vec<SocketAddr> {
        let members = self.ensemble.members.iter().enumerate();
        members.map(|(n, member)| SocketAddr::new(self.net.address(n + 1), member.client_port)).collect()
    }

    /// Its data is on a disk of its own, where there is one.
    fn configure(&self, sid: usize) -> Done {
        // Snapshots are taken, and none is sent: the witness is to have every transaction.
        self.ensemble.configure(sid, "preAllocSize=256\nsnapCount=400\ncommitLogCount=1000000\n")?;
        let Some(disks) = &self.disks else { return Ok(()) };
        let (from, to) = (self.ensemble.member(sid).dir.clone(), disks.path(sid));
        let myid = to.join("myid");
        std::fs::write(&myid, sid.to_string()).map_err(|e| format!("{}: {e}", myid.display()))?;
        self.ensemble.reconfigure(sid, |cfg| {
            cfg.replace(&format!("dataDir={}\n", from.display()), &format!("dataDir={}\n", to.display()))
        })
    }

    fn data(&self, sid: usize) -> PathBuf {
        match &self.disks {
            Some(disks) if sid != self.witness() => disks.path(sid).join("version-2"),
            _ => self.ensemble.data(sid),
        }
    }

    /// What is on them would go with them.
    fn keep_disks(&self) -> Done {
        let disks = self.disks.iter().flat_map(|_| 1..=self.net.members());
        disks.into_iter().try_for_each(|sid| disk::copy_dir(&self.data(sid), &self.ensemble.data(sid)))
    }

    /// Of these faults, or of all, those that can be done here; tells of the others.
    fn possible(&self, asked: &[Fault]) -> Result<Vec<Fault>, String> {
        let mut kinds = if asked.is_empty() { faults::ALL.to_vec() } else { asked.to_vec() };
        kinds.retain(|fault| match (fault, self.net.lacks(*fault)) {
            // Told already, with the reason.
            (Fault::FullDisk, _) => self.disks.is_some(),
            (Fault::SlowSync, _) => self.syncs,
            (_, None) => true,
            (_, Some(why)) => {
                println!("NOT DONE {fault:?}: {}", why.trim());
                false
            }
        });
        if kinds.is_empty() { Err("no fault can be done here".into()) } else { Ok(kinds) }
    }

    /// Faults, one after the other, with pauses in which an election may or may not come to its end.
    fn rage(&mut self, options: &Options, seed: u64) -> Result<Counts, String> {
        let kinds = self.possible(&options.faults)?;
        let mut draws = Draws::new(seed, Concern::Faults, 0);
        let mut counts = Counts::new();
        let until = Instant::now() + Duration::from_secs(options.seconds);
        // That an epoch ends is no matter of luck.
        let mut first = kinds.contains(&Fault::KillLeader).then_some(Fault::KillLeader);
        while Instant::now() < until {
            let fault = first.take().unwrap_or_else(|| kinds[draws.below(kinds.len() as u64) as usize]);
            faults::inflict(self, fault, &mut draws)?;
            *counts.entry(fault).or_default() += 1;
            self.last(&mut draws, 0, 2500);
            self.nobody_gave_up()?;
        }
        Ok(counts)
    }

    fn last(&self, draws: &mut Draws, from_ms: u64, to_ms: u64) {
        std::thread::sleep(Duration::from_millis(draws.range(from_ms, to_ms) * self.pace / 100));
    }

    /// A node ends when it is told to, or when its disk fails.
    fn nobody_gave_up(&mut self) -> Done {
        for sid in 1..=self.witness() {
            if let Some(how) = self.ensemble.ended(sid) {
                let log = self.ensemble.log(sid);
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(format!(
                    "member {sid} ended by itself, {how}; the end of {} bytes of log:\n{tail}",
                    log.len()
                ));
            }
        }
        Ok(())
    }

    /// Everything heals; clients go on for a while and end; all members are in step, and die.
    fn calm_down(&mut self, clients: Clients) -> Result<clients::Report, String> {
        self.net.heal()?;
        let leader = self.ensemble.settle()?;
        std::thread::sleep(Duration::from_secs(2));
        let report = clients.finish()?;
        self.net.end_clients()?;
        // Sessions of clients that are gone come to their end; then nothing is written any more.
        self.ensemble.poll(Duration::from_secs(30), "sessions do not end", || {
            self.ensemble.ask(leader, "mntr")?.contains("zk_global_sessions\t0\n").then_some(())
        })?;
        for sid in 1..=self.witness() {
            self.ensemble.wait_for_zxid(sid, leader, Duration::from_secs(20))?;
        }
        (1..=self.witness()).for_each(|sid| self.ensemble.kill(sid));
        Ok(report)
    }

    /// What the witness ever logged (an observer logs what is committed), from the first transaction on, and what it was
    /// sent as a snapshot. Every member has the same where its own log reaches (it may begin behind a snapshot), and the
    /// same tree.
    fn committed(&mut self) -> Result<BTreeMap<Zxid, Bytes>, String> {
        let kept = self.keeper.as_mut().ok_or("no keeper")?.finish();
        let (witness, members) = (disk::transactions(kept)?, 1..=self.net.members());
        let logs: Result<Vec<committed::Log>, String> =
            members.clone().map(|sid| disk::transactions(&self.data(sid))).collect();
        let syncs: Vec<_> = (1..=self.witness()).map(|sid| self.ensemble.syncs(sid)).collect();
        let snapshots = syncs[self.witness() - 1].contains(&"SNAP");
        let committed = committed::committed(witness, snapshots, &logs?)
            .map_err(|why| format!("{why}; members were synchronised by {syncs:?}, the witness last"))?;
        let tree = disk::tree(&self.data(self.witness()))?;
        for sid in members {
            let of_member = disk::tree(&self.data(sid))?;
            if of_member != tree {
                return Err(format!("member {sid} has the tree {of_member:x?}, the witness {tree:x?}"));
            }
        }
        Ok(committed)
    }
}
