//! Three node processes with ports picked free, and what their submitters were told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(15);

pub struct Member {
    pub dir: PathBuf,
    pub client_port: u16,
    pub quorum_port: u16,
    pub election_port: u16,
    process: Option<Child>,
    starts: usize,
}

pub struct Ensemble {
    pub root: tempfile::TempDir,
    pub members: Vec<Member>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    written: usize,
    /// Requests come from standard input: the members replicate registers. Else they serve clients.
    submit: bool,
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}

/// Ports that nobody listens on at this moment, no two the same.
pub fn free_ports(count: usize) -> Vec<u16> {
    let bound: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    bound.iter().map(|listener| listener.local_addr().expect("bound").port()).collect()
}

pub fn vivarium() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vivarium"))
}

/// `zoo.cfg` and `myid`; a tick is 200 ms, so that a hello has 1 s on the election port, 2 s on the quorum's.
pub fn configure(dir: &Path, sid: usize, client_port: u16, servers: &str, more: &str) -> PathBuf {
    std::fs::create_dir_all(dir).expect("made");
    std::fs::write(dir.join("myid"), sid.to_string()).expect("written");
    let cfg = dir.join("zoo.cfg");
    let text = format!(
        "tickTime=200\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={client_port}\n\
         4lw.commands.whitelist=mntr,ruok\nadmin.enableServer=false\n{servers}{more}",
        dir.display()
    );
    std::fs::write(&cfg, text).expect("written");
    cfg
}

impl Ensemble {
    /// `logs_apart`: dataLogDir is another directory than dataDir.
    pub fn start(logs_apart: bool) -> Ensemble {
        Ensemble::start_as(logs_apart, true)
    }

    /// Members that serve clients of ZooKeeper.
    pub fn serving_clients() -> Ensemble {
        Ensemble::start_as(false, false)
    }

    fn start_as(logs_apart: bool, submit: bool) -> Ensemble {
        let root = tempfile::tempdir().expect("a directory");
        let ports = free_ports(9);
        let mut servers = String::new();
        let mut members = Vec::new();
        for (index, ports) in ports.chunks_exact(3).enumerate() {
            let dir = root.path().join((index + 1).to_string());
            servers += &format!("server.{}=127.0.0.1:{}:{}\n", index + 1, ports[0], ports[1]);
            members.push(Member {
                dir,
                client_port: ports[2],
                quorum_port: ports[0],
                election_port: ports[1],
                process: None,
                starts: 0,
            });
        }
        for (index, member) in members.iter().enumerate() {
            let apart = format!("dataLogDir={}\n", member.dir.join("logs").display());
            let more = if logs_apart { apart.as_str() } else { "" };
            configure(&member.dir, index + 1, member.client_port, &servers, more);
        }
        let mut ensemble = Ensemble { root, members, acknowledged: Arc::default(), written: 0, submit };
        for sid in 1..=3 {
            ensemble.start_member(sid);
        }
        ensemble
    }

    /// The recording of a member's n-th start, from 1.
    pub fn recording(&self, sid: usize, start: usize) -> PathBuf {
        self.members[sid - 1].dir.join(format!("recording-{start}"))
    }

    pub fn start_member(&mut self, sid: usize) {
        self.members[sid - 1].starts += 1;
        let recording = self.recording(sid, self.members[sid - 1].starts);
        let member = &mut self.members[sid - 1];
        let log = std::fs::OpenOptions::new().create(true).append(true).open(member.dir.join("log"));
        let mut process = vivarium()
            .args(["node", "--log", "info,node=debug,packets=trace"])
            .args(self.submit.then_some("--submit"))
            .arg("--config")
            .arg(member.dir.join("zoo.cfg"))
            .arg("--record")
            .arg(recording)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the process starts");
        let stdout = process.stdout.take().expect("piped");
        let acknowledged = Arc::clone(&self.acknowledged);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // ok ZXID set PATH VALUE
                if let ["ok", _, "set", path, _] = line.split_whitespace().collect::<Vec<_>>()[..] {
                    acknowledged.lock().expect("no panic").push(path.into());
                }
            }
        });
        member.process = Some(process);
    }

    pub fn pid(&self, sid: usize) -> u32 {
        self.members[sid - 1].process.as_ref().expect("it runs").id()
    }

    pub fn kill(&mut self, sid: usize) {
        let mut process = self.members[sid - 1].process.take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("ended");
    }

    pub fn signal(&mut self, sid: usize, signal: &str) -> ExitStatus {
        let mut process = self.members[sid - 1].process.take().expect("it runs");
        let told =
            Command::new("kill").arg(signal).arg(process.id().to_string()).status().expect("kill runs");
        assert!(told.success());
        // Its standard input stays open: an end must not wait for it.
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.try_wait().expect("waited") {
                return status;
            }
            if Instant::now() > until {
                let _ = process.kill();
                panic!("server {sid} goes on after {signal}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ask for `count` writes of new registers at a member, and wait until so many are acknowledged.
    pub fn write(&mut self, sid: usize, count: usize) {
        let before = self.acknowledged();
        let process = self.members[sid - 1].process.as_mut().expect("it runs");
        let stdin = process.stdin.as_mut().expect("piped");
        for _ in 0..count {
            self.written += 1;
            writeln!(stdin, "set /r{0} v{0}", self.written).expect("written");
        }
        self.wait(&format!("{count} writes through {sid}"), |e| {
            (e.acknowledged() >= before + count).then_some(())
        });
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    pub fn ask(&self, sid: usize, word: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.members[sid - 1].client_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn field(&self, sid: usize, word: &str, name: &str) -> Option<String> {
        let answer = self.ask(sid, word)?;
        answer.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    }

    pub fn wait<T>(&self, what: &str, look: impl Fn(&Ensemble) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if Instant::now() > until {
                for (index, member) in self.members.iter().enumerate() {
                    let log = std::fs::read_to_string(member.dir.join("log")).unwrap_or_default();
                    eprintln!("--- server {}\n{log}", index + 1);
                }
                panic!("{what}: not within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A member that leads, with as many followers as run beside it.
    pub fn leader(&self) -> usize {
        let running = self.members.iter().filter(|member| member.process.is_some()).count();
        self.wait("a leader with followers", |e| {
            (1..=3).find(|sid| {
                e.members[sid - 1].process.is_some()
                    && e.field(*sid, "mntr", "zk_synced_followers") == Some((running - 1).to_string())
            })
        })
    }

    pub fn wait_for_equal_zxids(&self) {
        self.wait("equal zxids", |e| {
            let zxids: Vec<Option<String>> = (1..=3).map(|sid| e.field(sid, "srvr", "Zxid:")).collect();
            (zxids[0].is_some() && zxids.iter().all(|zxid| *zxid == zxids[0])).then_some(())
        });
    }
}
