//! A conversation with one member: lines in, transcript out. The others are played by the script, the
//! disk is `storage` in memory, time is what the script says.
//!
//! ```text
//! boot                                   the process starts
//! clock -1000                            the wall clock is set, forward or back
//! time +200                              time passes; deadlines are met one by one on the way
//! 2 votes LOOKING leader=2 ...           a notification from server 2, whose connection is made if missing
//! L2 connects | closes | drains          a learner on our quorum port
//! L2 says FOLLOWERINFO ...               a packet from it
//! L2 bytes 00 ff ...                     anything from it
//! leader accepts | refuses | closes      what becomes of our dial to the leader
//! leader says LEADERINFO epoch=1         a packet from it; `; ` between several in one segment
//! leader sends snapshot /a=1 /b=2        the body of a SNAP
//! leader sends what Java sent            that which a Java leader sent as the body of a SNAP
//! leader bytes ...
//! disk holds its answers | goes on       completions wait; one at a time is let through
//! disk fails                             the next sync fails
//! disk fails at acceptedEpoch            the next writing of this file fails, or at the configuration
//! tasks wait | go on                     scheduled tasks wait; all are run
//! task runs                              the one that waits longest
//! client 1 connects as ip:10.0.0.1 | is digest:me | connects for MILLISECONDS
//! client 1 connects | sets /a=1 | gets /a | syncs | closes | pings | leaves | resumes SESSION
//! client 1 reconfigs joining=server.4=h4:2888:3888;2181 leaving=1,2 members=LINE|LINE version=0x100000000
//! disk is an empty one                   and that of a member that had another: before it boots
//! disk shows its files                   their names
//! disk rots in NAME                      a bit of this file flips
//! disk keeps in NAME what Java sent      else the script fails
//! crash                                  the process dies; `boot` starts it again
//! --- established                        the transcript begins here, with this word for what was before
//! ```
//!
//! In the transcript a line of the script stands at the margin behind `>`; what the member does stands
//! under it: `*` an event, `-> X:` a packet to X, `disk:` an operation, else an output by its name.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peer::{
    ClientId, ClientInput, CloseReason, Config, ConnId, DiskDone, DiskOp, EpochFile, Input, Nanos, Now, OpId,
    Output, Peer, Port, Task,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::election::{ElectionInbound, ElectionStream, Hello, HelloLayout, Notification};
use wire::{Direction, Inbound, Packet, QuorumStream, SNAPSHOT_SIGNATURE, ServerId, SessionId, Zxid};
use zab::register_map::RegisterMap;

use crate::transcript::{client_line, disk_line, event_line, record_line, task_name};
pub use crate::words::java_snapshot;
use crate::words::{auth_id, connect, hex, operation, request, snapshot_body, wire_long};

/// How bytes that the member sends on a connection are read.
enum Reader {
    Election(ElectionStream),
    Quorum(Box<QuorumStream>),
}

struct Conn {
    name: String,
    reader: Reader,
    /// For election connections: the other server.
    with: Option<ServerId>,
}

pub struct Script {
    config: Config,
    peer: Peer<RegisterMap>,
    storage: Storage<MemFs>,
    now: Nanos,
    /// The wall clock beside `now`, in ms.
    clock: i64,
    conns: BTreeMap<ConnId, Conn>,
    next_accepted: u64,
    disk_queue: VecDeque<(OpId, DiskOp)>,
    disk_waits: bool,
    /// The next operation of which this is true fails.
    disk_fails: Option<fn(&DiskOp) -> bool>,
    tasks: VecDeque<Task>,
    tasks_wait: bool,
    /// What happens next, in order.
    pending: VecDeque<Input>,
    running: bool,
    cxids: BTreeMap<u64, i32>,
    transcript: String,
    /// Election connections are made without being shown.
    quiet: bool,
}

/// Play `script` with a member of this configuration, and give the transcript.
pub fn converse(config: Config, disk: &[DiskOp], script: &str) -> String {
    converse_on(config, files(disk), script)
}

/// The files that these operations leave.
pub fn files(disk: &[DiskOp]) -> MemFs {
    let mut storage = Storage::new(MemFs::default(), StorageSettings { prealloc: 0, ..Default::default() });
    for op in disk {
        storage.execute(op).expect("the disk at the beginning");
    }
    storage.fs
}

/// The same over a disk with these files.
pub fn converse_on(config: Config, fs: MemFs, script: &str) -> String {
    try_converse(config, fs, script).unwrap_or_else(|why| panic!("{why}"))
}

/// The same; an error where the member is not where a line of the script takes it to be.
pub fn try_converse(config: Config, fs: MemFs, script: &str) -> Result<String, String> {
    let settings = StorageSettings {
        prealloc: 0,
        commit_log_count: config.settings.commit_log_count,
        switches: config.switches,
        ..StorageSettings::default()
    };
    let mut conversation = Script {
        peer: Peer::new(config.clone(), RegisterMap::new()),
        config,
        storage: Storage::new(fs, settings),
        now: Nanos::ZERO,
        clock: 1_000_000,
        conns: BTreeMap::new(),
        next_accepted: 0,
        disk_queue: VecDeque::new(),
        disk_waits: false,
        disk_fails: None,
        tasks: VecDeque::new(),
        tasks_wait: false,
        pending: VecDeque::new(),
        running: false,
        cxids: BTreeMap::new(),
        transcript: String::new(),
        quiet: true,
    };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            conversation.transcript += &format!("{line}\n");
            continue;
        }
        if let Some(what) = line.strip_prefix("--- ") {
            conversation.transcript = format!("({what})\n");
            continue;
        }
        conversation.transcript += &format!("> {line}\n");
        if let Err(why) = conversation.line(line) {
            return Err(format!("`{line}`: {why}\n{}", conversation.transcript));
        }
    }
    Ok(conversation.transcript)
}

type Done = Result<(), String>;

impl Script {
    fn line(&mut self, line: &str) -> Done {
        let (subject, rest) = line.split_once(' ').unwrap_or((line, ""));
        match subject {
            "boot" => {
                self.input(Input::Boot);
                Ok(())
            }
            "crash" => {
                self.crash();
                Ok(())
            }
            "time" => self.time(rest),
            "clock" => {
                self.clock += rest.parse::<i64>().map_err(|_| "clock +MILLISECONDS or -MILLISECONDS")?;
                Ok(())
            }
            "disk" => self.disk(rest),
            "task" => {
                let task = self.tasks.pop_front().ok_or("no task waits")?;
                self.say(format!("run {}", task_name(task)));
                self.handle(Input::Run(task));
                Ok(())
            }
            "tasks" => self.tasks(rest),
            "leader" => self.leader(rest),
            "client" => self.client(rest),
            learner if learner.starts_with('L') => self.learner(learner, rest),
            sid => self.server(ServerId(sid.parse().map_err(|_| format!("who is {sid}?"))?), rest),
        }
    }

    fn crash(&mut self) {
        self.peer = Peer::new(self.config.clone(), RegisterMap::new());
        self.storage.forget_memory();
        self.conns.clear();
        self.disk_queue.clear();
        self.tasks.clear();
    }

    fn say(&mut self, line: impl AsRef<str>) {
        self.transcript += &format!("    {}\n", line.as_ref());
    }

    /// Something happens: it and all that follows from it at once (tasks and the disk too, unless the
    /// script holds them).
    fn input(&mut self, input: Input) {
        self.pending.push_back(input);
        if std::mem::replace(&mut self.running, true) {
            return;
        }
        loop {
            if let Some(input) = self.pending.pop_front() {
                self.handle(input);
            } else if !self.tasks_wait
                && let Some(task) = self.tasks.pop_front()
            {
                self.pending.push_back(Input::Run(task));
            } else if !self.disk_waits && !self.disk_queue.is_empty() {
                self.disk_step();
            } else {
                break;
            }
        }
        self.running = false;
    }

    fn handle(&mut self, input: Input) {
        let now = Now { mono: self.now, wall_ms: self.clock + (self.now.0 / 1_000_000) as i64 };
        let mut outbox = Vec::new();
        self.peer.handle(now, input, &mut outbox);
        for output in outbox {
            self.output(output);
        }
    }

    /// Operations up to and with the next one that answers.
    fn disk_step(&mut self) {
        while let Some((id, op)) = self.disk_queue.pop_front() {
            let result = if self.disk_fails.is_some_and(|fails| fails(&op)) {
                self.disk_fails = None;
                Err(match op {
                    DiskOp::WriteConfig { .. } => peer::DiskError::ConfigNotKept("input/output error".into()),
                    _ => peer::DiskError::Io("log".into()),
                })
            } else {
                self.storage.execute(&op)
            };
            if op.answers() || result.is_err() {
                self.pending.push_back(Input::Disk(DiskDone { id, result }));
                return;
            }
        }
    }

    /// Let what waits go on.
    fn nudge(&mut self) {
        if let Some(task) = self.tasks.pop_front() {
            self.input(Input::Run(task));
        } else if let Some(input) = self.pending.pop_front() {
            self.input(input);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Event(event) => {
                if let Some(line) = event_line(&event) {
                    self.say(line);
                }
            }
            Output::Send { conn, bytes, notify } => {
                self.sent(conn, bytes);
                if notify {
                    self.drain_election(conn);
                }
            }
            Output::Disk { id, op } => {
                let text = disk_line(&op);
                self.say(format!("disk: {text}"));
                self.disk_queue.push_back((id, op));
            }
            Output::Schedule(task) => {
                if self.tasks_wait {
                    self.say(format!("schedule {}", task_name(task)));
                }
                self.tasks.push_back(task);
            }
            Output::Client(output) => self.say(client_line(&output)),
            Output::Listen(port) => self.say(format!("listen {port:?}")),
            Output::StopListening(port) => self.say(format!("stop listening {port:?}")),
            Output::Connect { conn, to, port } => self.dialled(conn, to, port),
            Output::Close { conn } => {
                if let Some(conn) = self.conns.remove(&conn)
                    && !(self.quiet && conn.with.is_some())
                {
                    self.say(format!("close {}", conn.name));
                }
            }
            Output::Reading { conn, on } => self.say(format!("read {}: {on}", conn.0)),
            Output::Halt { why } => self.say(format!("halt: {why}")),
        }
    }

    /// The transport takes what goes to an election port at once.
    fn drain_election(&mut self, conn: ConnId) {
        if self.conns.get(&conn).is_some_and(|conn| conn.with.is_some()) {
            self.input(Input::Drained { conn });
        }
    }

    fn sent(&mut self, id: ConnId, bytes: Bytes) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let name = conn.name.clone();
        let mut lines = Vec::new();
        match &mut conn.reader {
            Reader::Election(stream) => {
                stream.feed(bytes);
                while let Ok(Some(inbound)) = stream.next() {
                    if let ElectionInbound::Notification(Ok(n)) = inbound {
                        lines.push(n.to_string());
                    }
                }
            }
            Reader::Quorum(stream) => {
                stream.feed(bytes);
                let mut records = Vec::new();
                while let Ok(Some(inbound)) = stream.next() {
                    lines.push(match inbound {
                        Inbound::Packet(packet) => packet.to_string(),
                        Inbound::Snapshot(record) => {
                            records.push(format!("(snapshot) {}", record_line(&record)));
                            continue;
                        }
                        Inbound::SnapshotBytes(_) if records.len() > 10 => {
                            format!("(snapshot) {} records", std::mem::take(&mut records).len())
                        }
                        Inbound::SnapshotBytes(_) => {
                            lines.append(&mut records);
                            continue;
                        }
                        Inbound::SnapshotEnd => "(snapshot ends)".into(),
                    });
                }
                lines.append(&mut records);
            }
        }
        for line in lines {
            self.say(format!("-> {name}: {line}"));
        }
    }

    fn conn(&mut self, name: &str) -> Result<ConnId, String> {
        let found = self.conns.iter().find(|(_, conn)| conn.name == name).map(|(id, _)| *id);
        found.ok_or_else(|| format!("no connection {name}"))
    }

    fn accept(&mut self, name: &str, reader: Reader, with: Option<ServerId>, port: Port) -> ConnId {
        self.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.next_accepted);
        self.conns.insert(conn, Conn { name: name.into(), reader, with });
        self.input(Input::Accepted { conn, port });
        conn
    }

    // --- election

    fn dialled(&mut self, conn: ConnId, to: ServerId, port: Port) {
        if port == Port::Quorum {
            self.say(format!("connect to {to}"));
            let reader = Reader::Quorum(Box::new(QuorumStream::new(Direction::ToLeader)));
            self.conns.insert(conn, Conn { name: "leader".into(), reader, with: None });
            return;
        }
        // The dialler's stream begins with its hello.
        let reader = Reader::Election(ElectionStream::accepted());
        self.conns.insert(conn, Conn { name: to.to_string(), reader, with: Some(to) });
        self.input(Input::Connected { conn });
        if to > self.config.sid {
            self.dial_back(to);
        }
    }

    /// The larger sid dials.
    fn dial_back(&mut self, from: ServerId) {
        let reader = Reader::Election(ElectionStream::dialled());
        let conn = self.accept(&from.to_string(), reader, Some(from), Port::Election);
        let mut hello = BytesMut::new();
        Hello { layout: HelloLayout::V1, sid: from, address: Bytes::from_static(b"h:1") }.encode(&mut hello);
        self.input(Input::Received { conn, bytes: hello.freeze() });
    }

    fn server(&mut self, sid: ServerId, what: &str) -> Done {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        if self.conn(&sid.to_string()).is_err() {
            self.dial_back(sid);
        }
        let conn = self.conn(&sid.to_string())?;
        match verb {
            "votes" => {
                let n: Notification = rest.parse()?;
                let mut frame = BytesMut::new();
                n.encode_framed(&mut frame);
                self.input(Input::Received { conn, bytes: frame.freeze() });
            }
            "bytes" => self.input(Input::Received { conn, bytes: hex(rest)? }),
            "closes" => {
                self.conns.remove(&conn);
                self.input(Input::Closed { conn, reason: CloseReason::Eof });
            }
            other => return Err(format!("a server votes, sends bytes or closes, not {other}")),
        }
        Ok(())
    }

    // --- quorum port

    fn learner(&mut self, name: &str, what: &str) -> Done {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        if verb == "connects" {
            let reader = Reader::Quorum(Box::new(QuorumStream::new(Direction::ToLearner)));
            self.accept(name, reader, None, Port::Quorum);
            return Ok(());
        }
        let conn = self.conn(name)?;
        self.speak(conn, verb, rest)
    }

    fn leader(&mut self, what: &str) -> Done {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        let conn = self.conn("leader")?;
        match (verb, rest) {
            ("accepts", _) => self.input(Input::Connected { conn }),
            ("refuses", _) => {
                self.conns.remove(&conn);
                self.input(Input::Closed { conn, reason: CloseReason::Refused });
            }
            ("sends", "what Java sent") => {
                let mut bytes = BytesMut::from(&java_snapshot()[..]);
                wire::jute::put_buffer(&mut bytes, Some(SNAPSHOT_SIGNATURE));
                // In two pieces, cut amid a record.
                let front = bytes.split_to(4001).freeze();
                self.input(Input::Received { conn, bytes: front });
                self.input(Input::Received { conn, bytes: bytes.freeze() });
            }
            ("sends", snapshot) => {
                let bytes = snapshot_body(snapshot.strip_prefix("snapshot").ok_or("sends snapshot ...")?)?;
                self.input(Input::Received { conn, bytes });
            }
            _ => return self.speak(conn, verb, rest),
        }
        Ok(())
    }

    fn speak(&mut self, conn: ConnId, verb: &str, rest: &str) -> Done {
        match verb {
            "says" => {
                let mut bytes = BytesMut::new();
                for packet in rest.split("; ") {
                    packet.parse::<Packet>()?.encode(&mut bytes);
                }
                self.input(Input::Received { conn, bytes: bytes.freeze() });
            }
            "asks" => {
                let (session, cxid, body) = request(rest)?;
                let packet = Packet::Request(wire::ForwardedRequest {
                    session,
                    cxid,
                    op: body.0,
                    body: body.1,
                    authinfo: None,
                });
                let mut bytes = BytesMut::new();
                packet.encode(&mut bytes);
                self.input(Input::Received { conn, bytes: bytes.freeze() });
            }
            "bytes" => self.input(Input::Received { conn, bytes: hex(rest)? }),
            "closes" => {
                self.conns.remove(&conn);
                self.input(Input::Closed { conn, reason: CloseReason::Eof });
            }
            "drains" => self.input(Input::Drained { conn }),
            other => return Err(format!("says, asks, bytes, closes or drains, not {other}")),
        }
        Ok(())
    }

    // --- disk, tasks, time, clients

    fn disk(&mut self, what: &str) -> Done {
        match what {
            "holds its answers" => self.disk_waits = true,
            "goes on" if !self.disk_queue.is_empty() => {
                self.disk_step();
                self.nudge();
            }
            "goes on" => return Err("the disk has nothing to do".into()),
            "is free" => {
                self.disk_waits = false;
                if !self.disk_queue.is_empty() {
                    self.disk_step();
                }
                self.nudge();
            }
            "fails" => self.disk_fails = Some(|op| matches!(op, DiskOp::Sync)),
            "fails at acceptedEpoch" => {
                self.disk_fails = Some(|op| matches!(op, DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, _)));
            }
            "fails at the configuration" => {
                self.disk_fails = Some(|op| matches!(op, DiskOp::WriteConfig { .. }));
            }
            "is an empty one" => {
                let switches = self.config.switches;
                let settings =
                    StorageSettings { prealloc: 0, trust_empty: false, switches, ..Default::default() };
                self.storage = Storage::new(MemFs::default(), settings);
            }
            "shows its files" => {
                let names: Vec<String> = self.storage.fs.files.keys().cloned().collect();
                self.say(if names.is_empty() { "(none)".into() } else { names.join(" ") });
            }
            rots if rots.starts_with("rots in ") => {
                let name = rots.trim_start_matches("rots in ");
                let file = self.storage.fs.files.get_mut(name).ok_or("no such file")?;
                let middle = file.len() / 2;
                file[middle] ^= 1;
            }
            keeps if keeps.starts_with("keeps in ") => {
                let name = keeps.trim_start_matches("keeps in ").trim_end_matches(" what Java sent");
                let expected = storage::snapshot::encode(&java_snapshot(), &Default::default());
                if self.storage.fs.files.get(name) != Some(&expected) {
                    return Err("it keeps something else".into());
                }
            }
            other => return Err(format!("no such thing with a disk: {other}")),
        }
        Ok(())
    }

    fn tasks(&mut self, what: &str) -> Done {
        match what {
            "wait" => self.tasks_wait = true,
            "go on" => {
                self.tasks_wait = false;
                self.nudge();
            }
            other => return Err(format!("tasks wait or go on, not {other}")),
        }
        Ok(())
    }

    fn time(&mut self, what: &str) -> Done {
        let ms: u64 = what.trim_start_matches('+').parse().map_err(|_| "time +MILLISECONDS")?;
        let until = self.now + Nanos::from_millis(ms);
        while self.peer.next_deadline().at <= until {
            self.now = self.now.max(self.peer.next_deadline().at);
            self.input(Input::Deadline);
        }
        self.now = until;
        Ok(())
    }

    fn client(&mut self, what: &str) -> Done {
        let mut words = what.split_whitespace();
        let id: u64 = words.next().and_then(|word| word.parse().ok()).ok_or("client NUMBER ...")?;
        let client = ClientId(id);
        let rest: Vec<&str> = words.collect();
        let resume = match rest[..] {
            ["resumes", session] => Some(SessionId(wire_long(session)?)),
            _ => None,
        };
        let input = match rest[..] {
            ["connects"] | ["resumes", _] => connect(client, resume, Zxid::ZERO, Vec::new()),
            ["connects", "for", ms] => {
                let timeout_ms = ms.parse().map_err(|_| "connects for MILLISECONDS")?;
                ClientInput::Connect { client, resume, timeout_ms, last_zxid: Zxid::ZERO, auth: Vec::new() }
            }
            ["connects", "as", who] => connect(client, None, Zxid::ZERO, vec![auth_id(who)?]),
            ["is", who] => ClientInput::AddAuth { client, id: auth_id(who)? },
            ["saw", zxid] => connect(client, None, Zxid(wire_long(zxid)?), Vec::new()),
            ["pings"] => ClientInput::Ping { client },
            ["leaves"] => ClientInput::Disconnect { client },
            _ => {
                let (op, body) = operation(&rest.join(" "))?;
                let cxid = self.cxids.entry(id).or_default();
                *cxid += 1;
                ClientInput::Request { client, cxid: *cxid, op, body }
            }
        };
        self.input(Input::Client(input));
        Ok(())
    }
}
