//! `cargo xtask chaos`: three to five node processes on loopback, each of which reaches the others through a proxy of
//! ours. For a while they are partitioned, delayed, killed, stopped, their disks filled or slow, while the simulator's
//! clients of the tree work on them; then everything is healed, and what the clients saw goes to the simulator's
//! checkers, beside what was committed. That a witness has: an observer to whom nothing is done, whose log begins with
//! the first transaction. So leaders keep all that is committed in memory, and bring nobody up to date by a snapshot:
//! that is for `cargo xtask interop` and the simulator.

mod clients;
mod disks;
mod faults;
mod judge;
mod keeper;
mod net;
mod syncs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
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
    /// A `vivarium` binary; by default the release build is made first.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the members' folders, and say where they are.
    #[arg(long)]
    keep: bool,
}

impl Options {
    /// What CI has time for.
    pub fn small() -> Options {
        let faults = Vec::new();
        Options {
            members: 3,
            seconds: 25,
            clients: 4,
            seed: None,
            pace: 100,
            faults,
            binary: None,
            keep: false,
        }
    }
}

/// Fields end in this order: members before what they stand on.
pub struct Chaos {
    ensemble: Ensemble,
    net: Net,
    /// `None` where this process may not mount.
    disks: Option<Disks>,
    disks_failed: usize,
    /// False where nothing compiles the library for it.
    syncs: bool,
    pace: u64,
    keeper: Option<Keeper>,
}

pub fn run(options: &Options) -> Done {
    let seed = options.seed.unwrap_or_else(|| clients::now().0 / 1_000_000 % 1_000_000);
    println!("seed {seed}");
    let given = Given::of(release_binary(options.binary.as_deref())?, options.keep);
    let mut chaos = Chaos::start(&given, options.members.into())?;
    let ports = chaos.ensemble.members.iter().map(|member| member.client_port).collect();
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
         notifications, {} connections, {} sessions expired; {} KiB between members",
        committed.len(),
        report.acknowledged,
        report.unknown,
        report.notifications,
        report.connections,
        report.expirations,
        chaos.net.carried() >> 10,
    );
    if report.acknowledged == 0 || epochs < 2 {
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
    fn start(given: &Given, members: usize) -> Result<Chaos, String> {
        let disks = Disks::mount(members).map_err(|why| println!("NOT DONE full disks: {}", why.trim())).ok();
        let mut kinds = vec![Kind::Serving; members];
        kinds.push(Kind::ServingObserver);
        let mut ensemble = Ensemble::prepare(given, &kinds)?;
        let folder = ensemble.member(members + 1).dir.clone();
        let syncs = syncs::preload(&mut ensemble, &folder)
            .map_err(|why| println!("NOT DONE slow syncs: {}", why.trim()))
            .is_ok();
        let net = Net::new(members);
        let mut chaos = Chaos { ensemble, net, disks, disks_failed: 0, syncs, pace: 100, keeper: None };
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

    /// It reaches the others through proxies; its data is on a disk of its own, where there is one.
    fn configure(&self, sid: usize) -> Done {
        let path = self.ensemble.member(sid).dir.join("zoo.cfg");
        let told = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut cfg = std::fs::read_to_string(&path).map_err(told)?;
        // Snapshots are taken, and none is sent: the witness is to have every transaction.
        cfg += "preAllocSize=256\nsnapCount=400\ncommitLogCount=1000000\n";
        for (index, other) in self.ensemble.members.iter().enumerate().take(self.net.members()) {
            let to = index + 1;
            if to != sid {
                let line =
                    |quorum: u16, election: u16| format!("server.{to}=127.0.0.1:{quorum}:{election}\n");
                let quorum = self.net.proxy((sid, to), other.quorum_port)?;
                let election = self.net.proxy((sid, to), other.election_port)?;
                cfg = cfg.replace(&line(other.quorum_port, other.election_port), &line(quorum, election));
            }
        }
        if let Some(disks) = &self.disks {
            let (from, to) = (self.ensemble.member(sid).dir.display(), disks.path(sid).display());
            cfg = cfg.replace(&format!("dataDir={from}\n"), &format!("dataDir={to}\n"));
            std::fs::write(disks.path(sid).join("myid"), sid.to_string()).map_err(told)?;
        }
        std::fs::write(&path, cfg).map_err(told)
    }

    fn data(&self, sid: usize) -> PathBuf {
        match &self.disks {
            Some(disks) if sid != self.witness() => disks.path(sid).join("version-2"),
            _ => self.ensemble.data(sid),
        }
    }

    /// Faults, one after the other, with pauses in which an election may or may not come to its end.
    fn rage(&mut self, options: &Options, seed: u64) -> Result<Counts, String> {
        let kinds = if options.faults.is_empty() { faults::ALL.to_vec() } else { options.faults.clone() };
        let mut draws = Draws::new(seed, Concern::Faults, 0);
        let mut counts = Counts::new();
        let until = Instant::now() + Duration::from_secs(options.seconds);
        while Instant::now() < until {
            let fault = kinds[draws.below(kinds.len() as u64) as usize];
            let possible = match fault {
                Fault::FullDisk => self.disks.is_some(),
                Fault::SlowSync => self.syncs,
                _ => true,
            };
            if !possible && kinds.len() == 1 {
                return Err(format!("{fault:?} cannot be done here"));
            }
            if !possible {
                continue;
            }
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
        self.net.heal();
        let leader = self.ensemble.settle()?;
        std::thread::sleep(Duration::from_secs(2));
        let report = clients.finish()?;
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

    /// What the witness ever logged (an observer logs what is committed), from the first transaction on. Every member has the same where its own log reaches
    /// (it may begin behind a snapshot), and the same tree.
    fn committed(&mut self) -> Result<BTreeMap<Zxid, Bytes>, String> {
        let kept = self.keeper.as_mut().ok_or("no keeper")?.finish();
        let committed = disk::transactions(kept)?;
        let tree = disk::tree(&self.data(self.witness()))?;
        match committed.keys().next() {
            Some(first) if first.counter() == 1 && first.epoch().0 == 1 => {}
            first => return Err(format!("the witness begins at {first:?}")),
        }
        let ends = committed.keys().zip(committed.keys().skip(1));
        for (last, next) in ends.filter(|(last, next)| last.epoch() == next.epoch()) {
            if next.0 != last.0 + 1 {
                return Err(format!("not tested: the witness was sent a snapshot between {last} and {next}"));
            }
        }
        for sid in 1..=self.net.members() {
            let own = disk::transactions(&self.data(sid))?;
            if let Some((zxid, _)) = own.iter().find(|(zxid, txn)| committed.get(zxid) != Some(txn)) {
                return Err(format!("member {sid} logged something at {zxid} that is not committed"));
            }
            let of_member = disk::tree(&self.data(sid))?;
            if of_member != tree {
                return Err(format!("member {sid} has the tree {of_member:x?}, the witness {tree:x?}"));
            }
        }
        Ok(committed)
    }
}
