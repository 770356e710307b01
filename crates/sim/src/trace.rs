//! The trace hash: 128 bits over a canonical encoding of every input and output with its time and
//! member, in order. Nothing but the run itself touches it: not checkers, trace level or threads.

use peer::{ClientId, ClientInput, ClientOutput, DiskAnswer, DiskOp, Input, Lane, Output, Task};
use wire::Id;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xc2b2_ae3d_27d4_eb4f;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceHash {
    a: u64,
    b: u64,
}

fn fold(x: u64, y: u64) -> u64 {
    let wide = u128::from(x) * u128::from(y);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Default for TraceHash {
    fn default() -> Self {
        TraceHash { a: K0, b: K1 }
    }
}

impl TraceHash {
    pub fn word(&mut self, word: u64) {
        self.a = fold(self.a ^ word, K0) ^ self.b.rotate_left(23);
        self.b = self.b.wrapping_add(word.rotate_left(32)) ^ self.a;
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut pairs = bytes.chunks_exact(16);
        for pair in &mut pairs {
            let lo = u64::from_le_bytes(pair[..8].try_into().expect("eight bytes"));
            let hi = u64::from_le_bytes(pair[8..].try_into().expect("eight bytes"));
            self.a = fold(self.a ^ lo, hi ^ K1);
            self.b = self.b.rotate_left(17) ^ self.a.wrapping_add(lo);
        }
        for chunk in pairs.remainder().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn words(&mut self, words: &[u64]) {
        for word in words {
            self.word(*word);
        }
    }

    fn task(&mut self, task: Task) {
        match task {
            Task::LearnerSender(conn) => self.words(&[1, conn.0]),
            Task::SyncProcessor => self.word(2),
            Task::CommitProcessor => self.word(3),
            Task::Snapshot => self.word(4),
            Task::SnapshotSender(conn) => self.words(&[5, conn.0]),
            Task::StartForwarding(conn) => self.words(&[6, conn.0]),
        }
    }

    pub fn input(&mut self, at: u64, member: u64, input: &Input) {
        self.words(&[at, member]);
        match input {
            Input::Boot => self.word(1),
            Input::Accepted { conn, port } => self.words(&[2, conn.0, *port as u64]),
            Input::ClientAccepted { conn, from } => {
                self.words(&[16, conn.0]);
                self.bytes(from.as_bytes());
            }
            Input::Connected { conn } => self.words(&[3, conn.0]),
            Input::Closed { conn, reason } => self.words(&[4, conn.0, *reason as u64]),
            Input::Received { conn, bytes } => {
                self.words(&[5, conn.0]);
                self.bytes(bytes);
            }
            Input::Drained { conn } => self.words(&[6, conn.0]),
            Input::Disk(done) => {
                self.words(&[7, u64::from(done.id.generation), done.id.seq]);
                match &done.result {
                    Ok(DiskAnswer::Done) => self.word(1),
                    Ok(DiskAnswer::Loaded(r)) => {
                        self.words(&[
                            2,
                            r.last_zxid().0 as u64,
                            r.log.len() as u64,
                            r.current_epoch.0 as u64,
                        ]);
                    }
                    Ok(DiskAnswer::Tail(tail)) => {
                        self.words(&[6, tail.log.len() as u64, tail.current_epoch.0 as u64]);
                        tail.log.iter().for_each(|entry| self.word(entry.zxid.0 as u64));
                    }
                    Ok(DiskAnswer::Log(entries)) => {
                        self.words(&[3, entries.as_ref().map_or(u64::MAX, |e| e.len() as u64)]);
                    }
                    Ok(DiskAnswer::SnapshotBytes(bytes)) => {
                        self.word(5);
                        self.bytes(bytes);
                    }
                    Err(e) => {
                        self.word(4);
                        self.bytes(e.to_string().as_bytes());
                    }
                }
            }
            Input::Client(client) => self.client_input(client),
            Input::Run(task) => {
                self.word(9);
                self.task(*task);
            }
            Input::Deadline => self.word(10),
        }
    }

    fn client_input(&mut self, input: &ClientInput) {
        match input {
            ClientInput::Connect { client, resume, timeout_ms, last_zxid, auth } => {
                let resume = resume.map_or(0, |s| s.0 as u64);
                self.words(&[11, client.0, resume, *timeout_ms as u64, last_zxid.0 as u64]);
                for id in auth {
                    self.auth(*client, id);
                }
            }
            ClientInput::AddAuth { client, id } => self.auth(*client, id),
            ClientInput::Request { client, cxid, op, body } => {
                self.words(&[12, client.0, *cxid as u64, *op as u64]);
                self.bytes(body);
            }
            ClientInput::Ping { client } => self.words(&[13, client.0]),
            ClientInput::Disconnect { client } => self.words(&[14, client.0]),
        }
    }

    fn auth(&mut self, client: ClientId, id: &Id) {
        self.words(&[15, client.0]);
        self.bytes(&id.scheme);
        self.bytes(&id.id);
    }

    /// Events are left out: they tell about the run, they are not part of it.
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Listen(port) => self.words(&[21, *port as u64]),
            Output::StopListening(port) => self.words(&[22, *port as u64]),
            Output::Connect { conn, to, port } => self.words(&[23, conn.0, to.0 as u64, *port as u64]),
            Output::Send { conn, bytes, notify } => {
                self.words(&[24, conn.0, u64::from(*notify)]);
                self.bytes(bytes);
            }
            Output::Close { conn } => self.words(&[25, conn.0]),
            Output::Reading { conn, on } => self.words(&[35, conn.0, u64::from(*on)]),
            Output::Disk { id, op } => {
                self.words(&[26, u64::from(id.generation), id.seq]);
                self.disk_op(op);
            }
            Output::Client(out) => match out {
                ClientOutput::Connected { client, session, timeout_ms } => {
                    self.words(&[27, client.0, session.0 as u64, *timeout_ms as u64]);
                }
                ClientOutput::Expired { client } => self.words(&[28, client.0]),
                ClientOutput::Reply { client, cxid, zxid, result } => {
                    self.words(&[29, client.0, *cxid as u64, zxid.0 as u64]);
                    match result {
                        Ok(bytes) => self.bytes(bytes),
                        Err(code) => self.word(*code as u64),
                    }
                }
                ClientOutput::Disconnected { client } => self.words(&[30, client.0]),
                ClientOutput::Notification { client, zxid, event } => {
                    self.words(&[34, client.0, zxid.0 as u64]);
                    self.bytes(event);
                }
            },
            Output::Schedule(task) => {
                self.word(31);
                self.task(*task);
            }
            Output::Event(_) => {}
            Output::Halt { why } => {
                self.word(33);
                self.bytes(why.to_string().as_bytes());
            }
        }
    }

    fn disk_op(&mut self, op: &DiskOp) {
        let lane = match op.lane() {
            Lane::Log => 0,
            Lane::Epoch => 1,
            Lane::Snapshot => 2,
        };
        self.word(lane);
        match op {
            DiskOp::Append(entries) => {
                for entry in entries {
                    self.word(entry.zxid.0 as u64);
                }
            }
            DiskOp::Truncate(zxid) => self.words(&[1, zxid.0 as u64]),
            DiskOp::WriteEpoch(file, epoch) => self.words(&[2, *file as u64, epoch.0 as u64]),
            DiskOp::WriteConfig { file, version, text } => {
                self.words(&[14, *file as u64, version.0 as u64]);
                self.bytes(text);
            }
            DiskOp::SnapshotSlice { zxid, bytes } => {
                self.words(&[3, zxid.0 as u64]);
                self.bytes(bytes);
            }
            DiskOp::SnapshotFinish { zxid } => self.words(&[4, zxid.0 as u64]),
            DiskOp::SnapshotAbandon { zxid } => self.words(&[5, zxid.0 as u64]),
            DiskOp::Install { zxid, epoch, log } => {
                self.words(&[6, zxid.0 as u64, epoch.0 as u64]);
                for entry in log {
                    self.word(entry.zxid.0 as u64);
                }
            }
            DiskOp::ReadLog { after, through, size_limit } => {
                self.words(&[7, after.0 as u64, through.0 as u64, *size_limit]);
            }
            DiskOp::ReadSnapshot { zxid, offset, length } => {
                self.words(&[11, zxid.0 as u64, *offset, *length]);
            }
            DiskOp::ReadLogBehind { snapshot, through } => {
                self.words(&[12, snapshot.0 as u64, through.0 as u64]);
            }
            DiskOp::Load => self.word(8),
            DiskOp::FastForward { after } => self.words(&[13, after.0 as u64]),
            DiskOp::Sync => self.word(9),
            DiskOp::Roll => self.word(10),
        }
    }
}

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.a, self.b)
    }
}
