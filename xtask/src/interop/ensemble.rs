//! An ensemble of processes on loopback: starts, kills and pauses members, asks them four-letter words.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::java::Java;
use super::submitters::Answers;
use super::{Given, children};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Vivarium,
    /// Vivarium, as an observer.
    Observer,
    /// Vivarium, serving clients the data tree.
    Serving,
    /// The same, as an observer.
    ServingObserver,
    Java,
}

impl Kind {
    fn observes(self) -> bool {
        matches!(self, Kind::Observer | Kind::ServingObserver)
    }

    /// With registers, and a test program at standard input.
    fn submits(self) -> bool {
        matches!(self, Kind::Vivarium | Kind::Observer)
    }
}

pub struct Member {
    kind: Kind,
    pub dir: PathBuf,
    address: IpAddr,
    /// Its network namespace, if it has one.
    namespace: Option<PathBuf>,
    pub client_port: u16,
    pub quorum_port: u16,
    pub election_port: u16,
    /// Beside what this process has.
    pub environment: Vec<(&'static str, PathBuf)>,
    process: Option<Child>,
    pub stdin: Option<ChildStdin>,
    started: usize,
}

pub struct Ensemble {
    root: PathBuf,
    keep: bool,
    binary: PathBuf,
    java: Option<Java>,
    pub members: Vec<Member>,
    pub answers: Answers,
    /// Java's system properties, as `-Dname=value`.
    pub java_flags: Vec<String>,
    pub java_heap_mb: u32,
    /// Each run of a node is recorded to `recording.N` in its folder.
    pub record: bool,
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                children::end(process);
            }
        }
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// A port that nobody listens at, below those that the system gives to connections.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const RANGE: std::ops::Range<u16> = 14_000..32_000;
    let mine = (std::process::id() % 360 * 50) as u16;
    for _ in 0..RANGE.len() {
        let port = RANGE.start + (mine + NEXT.fetch_add(1, Ordering::Relaxed)) % RANGE.len() as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

impl Ensemble {
    /// Members 1.. of these kinds, started in this order.
    pub fn start(given: &Given, kinds: &[Kind], order: &[usize]) -> Result<Ensemble, String> {
        let mut ensemble = Ensemble::prepare(given, kinds)?;
        for sid in order {
            ensemble.start_member(*sid)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(ensemble)
    }

    /// Their folders and configurations, quick to notice. A single one is a standalone server.
    pub fn prepare(given: &Given, kinds: &[Kind]) -> Result<Ensemble, String> {
        Ensemble::prepare_with(given, kinds, "tickTime=500\ninitLimit=20\nsyncLimit=5\n")
    }

    /// As `prepare`, with these lines in each configuration.
    pub fn prepare_with(given: &Given, kinds: &[Kind], settings: &str) -> Result<Ensemble, String> {
        let root =
            std::env::temp_dir().join(format!("vivarium-interop-{}-{}", std::process::id(), free_port()?));
        let mut members = Vec::new();
        let mut servers = String::new();
        for (index, kind) in kinds.iter().enumerate() {
            let sid = index + 1;
            let member = Member {
                kind: *kind,
                dir: root.join(sid.to_string()),
                address: Ipv4Addr::LOCALHOST.into(),
                namespace: None,
                client_port: free_port()?,
                quorum_port: free_port()?,
                election_port: free_port()?,
                environment: Vec::new(),
                process: None,
                stdin: None,
                started: 0,
            };
            let role = if kind.observes() { ":observer" } else { "" };
            if kinds.len() > 1 {
                servers += &format!(
                    "server.{sid}=127.0.0.1:{}:{}{role}\n",
                    member.quorum_port, member.election_port
                );
            }
            members.push(member);
        }
        for (index, member) in members.iter().enumerate() {
            let peer_type = if member.kind.observes() { "peerType=observer\n" } else { "" };
            write_file(&member.dir.join("myid"), &(index + 1).to_string())?;
            let own = if member.kind == Kind::Java { String::new() } else { lines(&given.set) };
            let cfg = format!(
                "{settings}{own}dataDir={}\nclientPort={}\nmaxClientCnxns=0\n\
                 maxSessionTimeout=60000\nadmin.enableServer=false\n4lw.commands.whitelist=*\n\
                 {peer_type}{servers}",
                member.dir.display(),
                member.client_port,
            );
            write_file(&member.dir.join("zoo.cfg"), &cfg)?;
        }
        if given.keep {
            println!("        {}", root.display());
        }
        Ok(Ensemble {
            root,
            keep: given.keep,
            binary: given.binary.clone(),
            java: given.java.clone(),
            members,
            answers: Answers::default(),
            java_flags: Vec::new(),
            java_heap_mb: 128,
            record: false,
        })
    }

    /// More lines for its zoo.cfg.
    pub fn configure(&self, sid: usize, more: &str) -> Result<(), String> {
        self.reconfigure(sid, |before| before + more)
    }

    /// Another zoo.cfg, made of the one that it has.
    pub fn reconfigure(&self, sid: usize, change: impl FnOnce(String) -> String) -> Result<(), String> {
        let path = self.member(sid).dir.join("zoo.cfg");
        let before = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        write_file(&path, &change(before))
    }

    /// From now on it is started in this network namespace, where it has this address, and everybody knows that.
    pub fn place(&mut self, sid: usize, address: IpAddr, namespace: PathBuf) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        let before = format!("server.{sid}={}:", member.address);
        (member.address, member.namespace) = (address, Some(namespace));
        let after = format!("server.{sid}={address}:");
        (1..=self.members.len()).try_for_each(|of| self.reconfigure(of, |cfg| cfg.replace(&before, &after)))
    }

    pub fn member(&self, sid: usize) -> &Member {
        &self.members[sid - 1]
    }

    pub fn start_member(&mut self, sid: usize) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        if member.process.is_some() {
            return Err(format!("server {sid} runs already"));
        }
        let cfg = member.dir.join("zoo.cfg");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(member.dir.join("log"));
        let log = log.map_err(|e| format!("log of {sid}: {e}"))?;
        let mut command = match member.kind {
            Kind::Vivarium | Kind::Observer | Kind::Serving | Kind::ServingObserver => {
                let mut command = match &member.namespace {
                    None => Command::new(&self.binary),
                    Some(namespace) => within(namespace, &self.binary),
                };
                command.arg("node").args(member.kind.submits().then_some("--submit"));
                command.arg("--config").arg(cfg);
                if self.record {
                    command.arg("--record").arg(member.dir.join(format!("recording.{}", member.started)));
                }
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
                command
            }
            Kind::Java => {
                let java = self.java.as_ref().ok_or("no Java ZooKeeper")?;
                let mut command = java.server(self.java_heap_mb, &self.java_flags, &cfg);
                let both = log.try_clone().map_err(|e| e.to_string())?;
                command.stdin(Stdio::null()).stdout(both).stderr(log);
                command
            }
        };
        command.envs(member.environment.iter().map(|(name, value)| (name, value)));
        let mut process = children::spawn(&mut command)?;
        member.started += 1;
        member.stdin = process.stdin.take();
        if let Some(stdout) = process.stdout.take() {
            self.answers.collect(stdout);
        }
        member.process = Some(process);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self, sid: usize) {
        let member = &mut self.members[sid - 1];
        member.stdin = None;
        if let Some(mut process) = member.process.take() {
            children::end(&mut process);
        }
    }

    /// SIGTERM: a node ends with success.
    pub fn stop(&mut self, sid: usize) -> Result<(), String> {
        let member = &mut self.members[sid - 1];
        member.stdin = None;
        let Some(mut process) = member.process.take() else { return Ok(()) };
        let ended = children::terminate(&mut process, Duration::from_secs(10))?;
        if ended.success() || member.kind == Kind::Java {
            Ok(())
        } else {
            Err(format!("server {sid} ended with {ended}"))
        }
    }

    pub fn pid(&self, sid: usize) -> Result<u32, String> {
        self.member(sid).process.as_ref().map(Child::id).ok_or(format!("server {sid} is down"))
    }

    /// `-STOP` or `-CONT`.
    pub fn signal(&self, sid: usize, signal: &str) -> Result<(), String> {
        children::signal(self.pid(sid)?, signal)
    }

    /// The process has not ended by itself.
    pub fn lives(&mut self, sid: usize) -> bool {
        let process = &mut self.members[sid - 1].process;
        process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// How the process ended by itself.
    pub fn ended(&mut self, sid: usize) -> Option<ExitStatus> {
        self.members[sid - 1].process.as_mut()?.try_wait().ok()?
    }

    /// As `ended`, which is waited for.
    pub fn ended_within(&mut self, sid: usize, time: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + time;
        loop {
            let ended = self.ended(sid);
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where clients of this member connect.
    pub fn host(&self, sid: usize) -> String {
        let member = self.member(sid);
        SocketAddr::new(member.address, member.client_port).to_string()
    }

    pub fn data(&self, sid: usize) -> PathBuf {
        self.member(sid).dir.join("version-2")
    }

    /// As a new disk.
    pub fn empty_data(&self, sid: usize) -> Result<(), String> {
        let dir = self.data(sid);
        std::fs::remove_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))
    }

    pub fn log(&self, sid: usize) -> String {
        let bytes = std::fs::read(self.member(sid).dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How the node was synchronised, in the order of its log: DIFF, TRUNC or SNAP.
    pub fn syncs(&self, sid: usize) -> Vec<&'static str> {
        let of_line = |line: &str| {
            let mode = line.split_once("SyncStarted { mode: ").map(|(_, rest)| rest);
            let mode = mode.or_else(|| {
                line.contains("the leader synchronises us to ")
                    .then(|| line.rsplit_once(" by "))?
                    .map(|w| w.1)
            })?;
            let mode = mode.to_uppercase();
            ["DIFF", "TRUNC", "SNAP"].into_iter().find(|name| mode.starts_with(name))
        };
        self.log(sid).lines().filter_map(of_line).collect()
    }

    /// A four-letter word.
    pub fn ask(&self, sid: usize, word: &str) -> Option<String> {
        let member = self.member(sid);
        member.process.as_ref()?;
        let at = SocketAddr::new(member.address, member.client_port);
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(2)).ok()?;
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

    pub fn mode(&self, sid: usize) -> Option<String> {
        self.field(sid, "Mode:")
    }

    pub fn poll<T>(
        &self,
        time: Duration,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, String> {
        let until = Instant::now() + time;
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Err(format!("{what} within {time:?}; {}", self.summary()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn summary(&self) -> String {
        let of = |sid| {
            let mode = self.mode(sid).unwrap_or("none".into());
            format!("{sid}: {mode} {}", self.zxid(sid).unwrap_or_default())
        };
        (1..=self.members.len()).map(of).collect::<Vec<String>>().join(", ")
    }

    /// It has a role.
    pub fn wait_for_mode(&self, sid: usize, mode: &str) -> Result<(), String> {
        self.poll(Duration::from_secs(40), &format!("server {sid} is not {mode}"), || {
            (self.mode(sid)? == mode).then_some(())
        })
    }

    /// A member that leads, and a follower of it.
    pub fn wait_for_leader(&self, time: Duration) -> Result<usize, String> {
        let n = self.members.len();
        self.poll(time, "no leader with a follower", || {
            let modes: Vec<Option<String>> = (1..=n).map(|sid| self.mode(sid)).collect();
            modes.iter().find(|mode| mode.as_deref() == Some("follower"))?;
            modes.iter().position(|mode| mode.as_deref() == Some("leader")).map(|index| index + 1)
        })
    }

    /// Every member that runs, but the leader, follows or observes.
    pub fn wait_for_followers(&self, leader: usize, time: Duration) -> Result<(), String> {
        let running: Vec<usize> =
            (1..=self.members.len()).filter(|sid| self.member(*sid).process.is_some()).collect();
        self.poll(time, "not everybody follows", || {
            running
                .iter()
                .all(|sid| {
                    *sid == leader || matches!(self.mode(*sid).as_deref(), Some("follower" | "observer"))
                })
                .then_some(())
        })
    }

    /// A leader whom all that run follow.
    pub fn settle(&self) -> Result<usize, String> {
        let leader = self.wait_for_leader(Duration::from_secs(40))?;
        self.wait_for_followers(leader, Duration::from_secs(30))?;
        Ok(leader)
    }

    /// As `settle`; who leads must be this one, for the reason that is told.
    pub fn settle_under(&self, expected: usize, because: &str) -> Result<(), String> {
        let leader = self.settle()?;
        if leader == expected {
            Ok(())
        } else {
            Err(format!("server {leader} leads, expected {expected}: {because}"))
        }
    }

    /// As `settle`, and a Java member leads, so that every request is served. A node that alone has what a
    /// killed leader proposed wins by right; then it brings all members up to date and dies in its turn.
    pub fn settle_under_java(&mut self) -> Result<usize, String> {
        let leader = self.settle()?;
        if self.member(leader).kind == Kind::Java {
            return Ok(leader);
        }
        for sid in 1..=self.members.len() {
            if !self.lives(sid) {
                self.start_member(sid)?;
            }
        }
        self.settle_under(leader, "it has the longest history")?;
        self.kill(leader);
        self.settle()?;
        self.start_member(leader)?;
        let java = self.settle()?;
        if self.member(java).kind == Kind::Java {
            Ok(java)
        } else {
            Err(format!("server {java} leads again, expected a Java server"))
        }
    }

    pub fn zxid(&self, sid: usize) -> Result<String, String> {
        self.field(sid, "Zxid:").ok_or_else(|| format!("server {sid} tells no zxid"))
    }

    /// `sid` has come as far as `other`. Something must have been written in this epoch: of its beginning a
    /// leader tells, a follower need not.
    pub fn wait_for_zxid(&self, sid: usize, other: usize, time: Duration) -> Result<String, String> {
        self.poll(time, &format!("the zxids of {sid} and {other} differ"), || {
            let (a, b) = (self.zxid(sid).ok()?, self.zxid(other).ok()?);
            (a == b).then_some(a)
        })
    }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// In the place of this process, so that it has its id.
fn within(namespace: &Path, binary: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display())).arg(binary);
    command
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(told)?;
    std::fs::write(path, text).map_err(told)
}
