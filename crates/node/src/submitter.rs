//! The submitter: one client on standard input. Each line is a value to write; each acknowledgement is
//! printed when it came, so that what was acknowledged survives the process.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use peer::{ClientId, ClientInput, ClientOutput};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use wire::txn::set_data_request;
use wire::{Zxid, op};

use crate::host::Happened;

#[derive(Debug)]
enum State {
    Down,
    Connecting,
    Open,
}

#[derive(Debug)]
pub struct Submitter {
    state: State,
    attempt: u64,
    cxid: i32,
    /// Asked for and not answered, in order.
    asked: VecDeque<(i32, String)>,
    /// To be asked for.
    waiting: VecDeque<String>,
    /// Lines are read while there is room; each answer makes some.
    room: Arc<Semaphore>,
}

/// Lines that were read and not answered.
const LINES: usize = 10_000;

impl Submitter {
    /// `set /path value` a line; `retry` comes by itself while there is no connection.
    pub fn start(happened: UnboundedSender<Happened>) -> Submitter {
        let room = Arc::new(Semaphore::new(LINES));
        let has_room = Arc::clone(&room);
        tokio::spawn(async move {
            let mut lines = BufReader::new(tokio::io::stdin()).lines();
            let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
            let mut open = true;
            loop {
                let line = tokio::select! {
                    line = lines.next_line(), if open && has_room.available_permits() > 0 => match line {
                        Ok(Some(line)) if line.is_empty() => continue,
                        Ok(Some(line)) => {
                            if let Ok(permit) = has_room.try_acquire() {
                                permit.forget();
                            }
                            line
                        }
                        _ => { open = false; continue; }
                    },
                    _ = ticks.tick() => String::new(),
                };
                if happened.send(Happened::Line(line)).is_err() {
                    return;
                }
            }
        });
        Submitter {
            state: State::Down,
            attempt: 0,
            cxid: 0,
            asked: VecDeque::new(),
            waiting: VecDeque::new(),
            room,
        }
    }

    fn client(&self) -> ClientId {
        ClientId(self.attempt)
    }

    pub fn on_line(&mut self, line: &str) -> Vec<ClientInput> {
        if !line.is_empty() {
            self.waiting.push_back(line.to_owned());
        }
        match self.state {
            State::Down if !self.waiting.is_empty() => {
                self.attempt += 1;
                self.state = State::Connecting;
                let client = self.client();
                vec![ClientInput::Connect {
                    client,
                    resume: None,
                    timeout_ms: 10_000,
                    last_zxid: Zxid::ZERO,
                    auth: Vec::new(),
                }]
            }
            State::Open if line.is_empty() => vec![ClientInput::Ping { client: self.client() }],
            State::Open => self.ask(),
            State::Down | State::Connecting => Vec::new(),
        }
    }

    fn ask(&mut self) -> Vec<ClientInput> {
        let mut inputs = Vec::new();
        while let Some(line) = self.waiting.pop_front() {
            let mut words = line.split_whitespace();
            let (Some("set"), Some(path), Some(value)) = (words.next(), words.next(), words.next()) else {
                self.room.add_permits(1);
                say(&format!("error expected `set /path value`: {line}"));
                continue;
            };
            self.cxid += 1;
            let body = set_data_request(path.as_bytes(), value.as_bytes(), -1);
            let (client, cxid) = (self.client(), self.cxid);
            inputs.push(ClientInput::Request { client, cxid, op: op::SET_DATA, body });
            self.asked.push_back((cxid, line));
        }
        inputs
    }

    pub fn on_output(&mut self, output: &ClientOutput) -> Vec<ClientInput> {
        match output {
            ClientOutput::Connected { client, session, .. } if *client == self.client() => {
                say(&format!("connected {session}"));
                self.state = State::Open;
                self.ask()
            }
            ClientOutput::Reply { client, cxid, zxid, result } if *client == self.client() => {
                if let Some((asked, line)) = self.asked.pop_front() {
                    self.room.add_permits(1);
                    assert_eq!(asked, *cxid, "answers come in the order of the requests");
                    match result {
                        Ok(_) => say(&format!("ok {zxid} {line}")),
                        Err(code) => say(&format!("failed {code} {line}")),
                    }
                }
                Vec::new()
            }
            ClientOutput::Disconnected { client } | ClientOutput::Expired { client }
                if *client == self.client() =>
            {
                self.state = State::Down;
                for (_, line) in self.asked.drain(..) {
                    self.room.add_permits(1);
                    say(&format!("unknown {line}"));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
