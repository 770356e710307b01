//! An ensemble of processes on loopback, with what its submitters were told.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: processes and sockets

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use node::RealFs;
use storage::recover;
use wire::txn::get_data_request;
use wire::{Reader, op};
use zab::register_map::RegisterMap;
use zab::{StateMachine, ZkDatabase};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Vivarium,
    /// Vivarium, as an observer.
    Observer,
    Java,
}

struct Member {
    kind: Kind,
    dir: PathBuf,
    client_port: u16,
    process: Option<Child>,
    stdin: Option<ChildStdin>,
}

pub struct Ensemble {
    root: PathBuf,
    classpath: String,
    members: Vec<Member>,
    /// `path value` of each acknowledged write.
    acknowledged: Arc<Mutex<Vec<String>>>,
    /// Requests that were answered: done, or refused by a committed error transaction.
    answered: Arc<AtomicUsize>,
    written: u64,
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|e| e.to_string())
}

impl Ensemble {
    /// Members 1.. of these kinds, started in this order.
    pub fn start(kinds: &[Kind], order: &[usize], classpath: &str) -> Result<Ensemble, String> {
        let root =
            std::env::temp_dir().join(format!("vivarium-interop-{}-{}", std::process::id(), free_port()?));
        let mut servers = String::new();
        for (index, kind) in kinds.iter().enumerate() {
            let role = if *kind == Kind::Observer { ":observer" } else { "" };
            servers += &format!("server.{}=127.0.0.1:{}:{}{role}\n", index + 1, free_port()?, free_port()?);
        }
        let mut members = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let dir = root.join((index + 1).to_string());
            let client_port = free_port()?;
            write_file(&dir.join("myid"), &(index + 1).to_string())?;
            let cfg = format!(
                "tickTime=500\ninitLimit=20\nsyncLimit=5\ndataDir={}\nclientPort={client_port}\n\
                 admin.enableServer=false\n4lw.commands.whitelist=*\n{servers}",
                dir.display()
            );
            write_file(&dir.join("zoo.cfg"), &cfg)?;
            members.push(Member { kind: *kind, dir, client_port, process: None, stdin: None });
        }
        let mut ensemble = Ensemble {
            root,
            classpath: classpath.into(),
            members,
            acknowledged: Arc::default(),
            answered: Arc::default(),
            written: 0,
        };
        for sid in order {
            ensemble.start_member(*sid)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(ensemble)
    }

    pub fn start_member(&mut self, sid: usize) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        let cfg = member.dir.join("zoo.cfg");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(member.dir.join("log"));
        let log = log.map_err(|e| format!("log of {sid}: {e}"))?;
        let mut command = match member.kind {
            Kind::Vivarium | Kind::Observer => {
                let target = std::env::var("CARGO_TARGET_DIR").unwrap_or("target".into());
                let mut command = Command::new(Path::new(&target).join("release/vivarium"));
                command.args(["node", "--submit", "--config"]).arg(cfg);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
                command
            }
            Kind::Java => {
                let mut command = Command::new("java");
                command.args(["-Xmx128m", "-cp", &self.classpath]);
                command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(cfg);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
                command
            }
        };
        let mut process = command.spawn().map_err(|e| format!("server {sid}: {e}"))?;
        member.stdin = process.stdin.take();
        if let Some(stdout) = process.stdout.take() {
            let (acknowledged, answered) = (Arc::clone(&self.acknowledged), Arc::clone(&self.answered));
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // ok ZXID set PATH VALUE
                    let words: Vec<&str> = line.split_whitespace().collect();
                    if matches!(words.first(), Some(&("ok" | "failed"))) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    if let (["ok", _, "set", path, value], Ok(mut all)) = (&words[..], acknowledged.lock()) {
                        all.push(format!("{path} {value}"));
                    }
                }
            });
        }
        member.process = Some(process);
        Ok(())
    }

    pub fn kill(&mut self, sid: usize) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        member.stdin = None;
        if let Some(mut process) = member.process.take() {
            process.kill().map_err(|e| e.to_string())?;
            process.wait().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, sid: usize, signal: &str) -> Result<(), String> {
        let process = self.members[sid - 1].process.as_ref().ok_or(format!("server {sid} is down"))?;
        let told = Command::new("kill").arg(signal).arg(process.id().to_string()).status();
        match told {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("kill {signal} {sid}: {other:?}")),
        }
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().map_or(0, |all| all.len())
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Writes of unique values to registers of their own, through every node that lives.
    pub fn write_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for member in &mut self.members {
                if let Some(stdin) = &mut member.stdin {
                    self.written += 1;
                    let n = self.written;
                    let _ = writeln!(stdin, "set /r{n} v{n}");
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ask(&self, sid: usize, word: &str) -> Option<String> {
        let member = &self.members[sid - 1];
        member.process.as_ref()?;
        let mut stream = TcpStream::connect(("127.0.0.1", member.client_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn field(&self, sid: usize, name: &str) -> Option<String> {
        let answer = self.ask(sid, "srvr")?;
        answer.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    }

    fn poll<T>(&self, time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
        let until = Instant::now() + time;
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if Instant::now() >= until {
                let modes: Vec<String> = (1..=self.members.len())
                    .map(|sid| format!("{sid}: {}", self.field(sid, "Mode:").unwrap_or("none".into())))
                    .collect();
                return Err(format!("{what} within {time:?}; modes {}", modes.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A member that leads, and a follower of it.
    pub fn wait_for_leader(&mut self, time: Duration) -> Result<usize, String> {
        let n = self.members.len();
        self.poll(time, "no leader with a follower", || {
            let modes: Vec<Option<String>> = (1..=n).map(|sid| self.field(sid, "Mode:")).collect();
            modes.iter().find(|mode| mode.as_deref() == Some("follower"))?;
            modes.iter().position(|mode| mode.as_deref() == Some("leader")).map(|index| index + 1)
        })
    }

    pub fn wait_for_followers(&mut self, leader: usize, time: Duration) -> Result<(), String> {
        let n = self.members.len();
        self.poll(time, "not everybody follows", || {
            (1..=n)
                .all(|sid| {
                    sid == leader
                        || matches!(self.field(sid, "Mode:").as_deref(), Some("follower" | "observer"))
                })
                .then_some(())
        })
    }

    pub fn zxid(&self, sid: usize) -> Result<String, String> {
        self.field(sid, "Zxid:").ok_or_else(|| format!("server {sid} tells no zxid"))
    }

    /// `sid` has come as far as `other`.
    pub fn wait_for_zxid(&self, sid: usize, other: usize, time: Duration) -> Result<String, String> {
        self.poll(time, "the zxids differ", || {
            let (a, b) = (self.zxid(sid).ok()?, self.zxid(other).ok()?);
            (a == b).then_some(a)
        })
    }

    /// Everybody up, in step, stopped in order; then every acknowledged write must be on every disk, and
    /// the states equal. Gives the number of acknowledged writes.
    pub fn settle_and_compare(&mut self) -> Result<usize, String> {
        let leader = self.wait_for_leader(Duration::from_secs(30))?;
        self.wait_for_followers(leader, Duration::from_secs(30))?;
        let before = self.acknowledged();
        self.write_for(Duration::from_secs(1));
        for sid in 1..=self.members.len() {
            self.wait_for_zxid(sid, leader, Duration::from_secs(20))?;
        }
        if self.acknowledged() == before {
            return Err("no write was acknowledged at the end".into());
        }
        for sid in 1..=self.members.len() {
            self.stop(sid)?;
        }
        let mut digests = Vec::new();
        let all = self.acknowledged.lock().map_err(|e| e.to_string())?.clone();
        for member in &self.members {
            let db = load(&member.dir.join("version-2"))?;
            for write in &all {
                let (path, value) = write.split_once(' ').ok_or("path value")?;
                if read(&db, path).as_deref() != Some(value.as_bytes()) {
                    return Err(format!("{write} was acknowledged and is not in {}", member.dir.display()));
                }
            }
            digests.push((db.last_processed, db.state.digest()));
        }
        if digests.iter().any(|digest| *digest != digests[0]) {
            return Err(format!("states differ at the end: {digests:?}"));
        }
        Ok(all.len())
    }

    /// SIGTERM: a clean end.
    fn stop(&mut self, sid: usize) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        member.stdin = None;
        let Some(mut process) = member.process.take() else { return Ok(()) };
        let told = Command::new("kill").arg(process.id().to_string()).status().map_err(|e| e.to_string())?;
        let ended = process.wait().map_err(|e| e.to_string())?;
        if told.success() && ended.success() {
            Ok(())
        } else {
            Err(format!("server {sid} ended with {ended}"))
        }
    }
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(told)?;
    std::fs::write(path, text).map_err(told)
}

/// What a node would start with.
fn load(dir: &Path) -> Result<ZkDatabase<RegisterMap>, String> {
    let fs = RealFs::open(dir.into()).map_err(|e| format!("{}: {e}", dir.display()))?;
    let recovered = recover(&fs, 500).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut db = ZkDatabase::new(RegisterMap::new(), 500);
    db.load(&recovered)?;
    Ok(db)
}

fn read(db: &ZkDatabase<RegisterMap>, path: &str) -> Option<Vec<u8>> {
    let record = db.state.read(op::GET_DATA, &get_data_request(path.as_bytes())).ok()?;
    Some(Reader::new(record).buffer("data").ok()??.to_vec())
}
