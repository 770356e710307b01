//! `ServerCnxnFactory`: the connections of a member's clients. The peer hands it what hosts tell about them,
//! carries what they ask to the role, and gives it what the role answers.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use zab::{ClientId, ClientInput, ClientOutput, ConnId, Io, Nanos};

use super::{ServerCnxn, Stats, Step};

#[derive(Clone, Debug)]
pub struct ServerCnxnFactory {
    /// A client is known to the role by the number of its connection.
    cnxns: BTreeMap<ConnId, ServerCnxn>,
    /// The largest number that a connection had.
    last: u64,
    /// Connections that may have a packet to work on.
    ready: VecDeque<ConnId>,
    /// Of connections that are gone: the role has to hear of it.
    gone: VecDeque<ClientId>,
    sweep_at: Nanos,
    /// For operators.
    pub stats: Stats,
}

/// Idle connections are looked for so often.
const SWEEP: Nanos = Nanos::from_millis(1000);

impl Default for ServerCnxnFactory {
    fn default() -> Self {
        ServerCnxnFactory {
            cnxns: BTreeMap::new(),
            last: 0,
            ready: VecDeque::new(),
            gone: VecDeque::new(),
            sweep_at: Nanos::NEVER,
            stats: Stats::default(),
        }
    }
}

impl ServerCnxnFactory {
    /// There never was a client's connection: nothing of this concerns the member.
    #[inline]
    pub fn is_unused(&self) -> bool {
        self.last == 0
    }

    pub fn len(&self) -> usize {
        self.cnxns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cnxns.is_empty()
    }

    #[inline]
    pub fn owns(&self, conn: ConnId) -> bool {
        self.cnxns.contains_key(&conn)
    }

    /// A client that is or was one of these connections, and none of the host's own.
    pub fn is_client(&self, client: ClientId) -> bool {
        (ConnId::ACCEPTED..=self.last).contains(&client.0)
    }

    pub fn next_deadline(&self) -> (Nanos, &'static str) {
        (self.sweep_at, "idle clients")
    }

    pub fn accepted(&mut self, io: &Io<'_>, conn: ConnId, from: &str) {
        let now = io.now.mono;
        let cnxn = ServerCnxn::new(ClientId(conn.0), from, io.config.settings.jute_maxbuffer, now);
        self.cnxns.insert(conn, cnxn);
        self.stats.accepted(io.now, conn);
        self.last = self.last.max(conn.0);
        if self.sweep_at == Nanos::NEVER {
            self.sweep_at = now + SWEEP;
        }
    }

    pub fn received(&mut self, now: Nanos, conn: ConnId, bytes: Bytes) {
        if let Some(cnxn) = self.cnxns.get_mut(&conn) {
            cnxn.received(now, bytes);
            self.ready.push_back(conn);
        }
    }

    /// The client's end is gone.
    pub fn closed(&mut self, conn: ConnId) {
        if self.cnxns.remove(&conn).is_some() {
            self.gone.push_back(ClientId(conn.0));
            self.stats.closed(conn);
        }
    }

    pub fn on_deadline(&mut self, io: &mut Io<'_>) {
        let now = io.now.mono;
        if self.sweep_at > now {
            return;
        }
        let idle: Vec<ConnId> =
            self.cnxns.iter().filter(|(_, cnxn)| cnxn.is_idle(now)).map(|(conn, _)| *conn).collect();
        for conn in idle {
            self.close(io, conn, Bytes::new(), "it was silent for too long".into());
        }
        self.sweep_at = if self.cnxns.is_empty() { Nanos::NEVER } else { now + SWEEP };
    }

    /// What the role told a client, to the client.
    pub fn on_output(&mut self, io: &mut Io<'_>, output: ClientOutput) {
        let conn = ConnId(output.client().0);
        let Some(cnxn) = self.cnxns.get_mut(&conn) else { return };
        self.stats.answered(io.now, conn, &output);
        let step = cnxn.on_output(output);
        self.carry_out(io, conn, step);
        self.ready.push_back(conn);
    }

    /// What the role is to be asked next.
    pub fn next_input(&mut self, io: &mut Io<'_>) -> Option<ClientInput> {
        loop {
            if let Some(client) = self.gone.pop_front() {
                return Some(ClientInput::Disconnect { client });
            }
            let conn = *self.ready.front()?;
            match self.cnxns.get_mut(&conn).and_then(ServerCnxn::next) {
                None => {
                    self.ready.pop_front();
                }
                Some(step) => {
                    if let Some(input) = self.carry_out(io, conn, step) {
                        return Some(input);
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, io: &mut Io<'_>, conn: ConnId, step: Step) -> Option<ClientInput> {
        match step {
            Step::Ask(input) => {
                self.stats.asked(io.now, conn, &input);
                if matches!(input, ClientInput::AddAuth { .. }) {
                    self.say(io, conn, ServerCnxn::authenticated());
                }
                return Some(input);
            }
            Step::Say(bytes) => self.say(io, conn, bytes),
            Step::Close { last_words, reason } => self.close(io, conn, last_words, reason),
        }
        None
    }

    /// A packet with its length.
    fn say(&mut self, io: &mut Io<'_>, conn: ConnId, bytes: Bytes) {
        self.stats.sent(conn, bytes.len().saturating_sub(4));
        io.send(conn, bytes);
    }

    fn close(&mut self, io: &mut Io<'_>, conn: ConnId, last_words: Bytes, reason: String) {
        self.cnxns.remove(&conn);
        self.gone.push_back(ClientId(conn.0));
        if !last_words.is_empty() {
            self.say(io, conn, last_words);
        }
        self.stats.closed(conn);
        io.drop_connection(conn, None, format!("client {:#x}: {reason}", conn.0 & !ConnId::ACCEPTED));
    }
}
