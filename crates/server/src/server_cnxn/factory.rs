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
    /// By address.
    from: BTreeMap<String, usize>,
    /// Requests that wait for their answers, of all connections, and their bytes.
    in_process: (usize, usize),
    sweep_at: Nanos,
    /// For operators.
    pub stats: Stats,
}

/// Idle connections are looked for so often.
const SWEEP: Nanos = Nanos::from_millis(1000);
/// Bytes of requests under way before those who wait for an answer are not read any more.
const IN_PROCESS_BYTES: usize = 64 << 20;

impl Default for ServerCnxnFactory {
    fn default() -> Self {
        ServerCnxnFactory {
            cnxns: BTreeMap::new(),
            last: 0,
            ready: VecDeque::new(),
            gone: VecDeque::new(),
            from: BTreeMap::new(),
            in_process: (0, 0),
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

    /// One that is too many is closed without a word.
    pub fn accepted(&mut self, io: &mut Io<'_>, conn: ConnId, from: String) {
        let (now, settings) = (io.now.mono, &io.config.settings);
        self.last = self.last.max(conn.0);
        let here = self.from.get(&from).copied().unwrap_or(0);
        let is_full = |limit: usize, have: usize| limit > 0 && have >= limit;
        if is_full(settings.max_client_cnxns, here) || is_full(settings.max_cnxns, self.cnxns.len()) {
            let reason = format!("too many clients' connections: {here} from {from}, {}", self.cnxns.len());
            return io.drop_connection(conn, None, reason);
        }
        self.cnxns.insert(conn, ServerCnxn::new(ClientId(conn.0), &from, settings, now));
        self.from.insert(from, here + 1);
        self.stats.accepted(io.now, conn);
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
        self.forget(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        let Some(cnxn) = self.cnxns.remove(&conn) else { return };
        self.stats.closed(conn);
        let (requests, bytes) = cnxn.outstanding();
        self.in_process = (self.in_process.0 - requests, self.in_process.1 - bytes);
        if let Some(here) = self.from.get_mut(cnxn.address()) {
            *here -= 1;
            if *here == 0 {
                self.from.remove(cnxn.address());
            }
        }
        self.gone.push_back(ClientId(conn.0));
    }

    /// `shouldThrottle`: those who wait for an answer are to wait with their next request, too.
    fn throttles(&self, io: &Io<'_>) -> bool {
        self.in_process.0 > io.outstanding_limit() || self.in_process.1 > IN_PROCESS_BYTES
    }

    /// Something with a connection, whose requests under way are counted.
    fn with<T>(&mut self, conn: ConnId, work: impl FnOnce(&mut ServerCnxn) -> T) -> Option<T> {
        let cnxn = self.cnxns.get_mut(&conn)?;
        let before = cnxn.outstanding();
        let result = work(cnxn);
        let after = cnxn.outstanding();
        self.in_process.0 = self.in_process.0 + after.0 - before.0;
        self.in_process.1 = self.in_process.1 + after.1 - before.1;
        Some(result)
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
        if self.cnxns.contains_key(&conn) {
            self.stats.answered(io.now, conn, &output);
        }
        let Some(step) = self.with(conn, |cnxn| cnxn.on_output(output)) else { return };
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
            let throttled = self.throttles(io);
            match self.with(conn, |cnxn| cnxn.next(throttled)).flatten() {
                None => {
                    self.ready.pop_front();
                    if throttled && self.cnxns.get(&conn).is_some_and(ServerCnxn::is_held_back) {
                        io.mark("client: held back, for too many requests are under way");
                    }
                    if let Some(on) = self.with(conn, |cnxn| cnxn.reading(throttled)).flatten() {
                        io.reading(conn, on);
                    }
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
        if !last_words.is_empty() {
            self.say(io, conn, last_words);
        }
        self.forget(conn);
        io.drop_connection(conn, None, format!("client {:#x}: {reason}", conn.0 & !ConnId::ACCEPTED));
    }
}
