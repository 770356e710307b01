//! What clients were told: ACKD, ONCE, FIFO, LINW, RYW and MONR, over invocations and replies, held
//! against `C`.
//!
//! * ACKD: a write that was acknowledged at z is in `C` at z, as the transaction of this session and
//!   cxid, carrying the path and the value that were asked for. (That it stays durable is CLD.)
//! * ONCE: a session's request occurs at most once in `C`. Error transactions do nothing and do not
//!   count; sessions are opened and closed under cxids of their own, and containers deleted by no session.
//! * FIFO: replies of a session come in the order of its requests, its writes at increasing zxids.
//! * LINW: a write that was invoked after another was acknowledged (to anyone) gets a higher zxid; a
//!   read shows a committed write; a read after a sync is not older than what was acknowledged before
//!   the sync was sent. (This last within one epoch: a deposed leader answers syncs until it notices;
//!   ZooKeeper does not promise more, ZOOKEEPER-2136.)
//! * RYW: a read shows a register at least at the zxid of the session's own last acknowledged write.
//! * MONR: neither reply zxids nor the zxids of one register step back within a session, on whichever
//!   server.
//!
//! An unknown outcome is no reply: the request may be in `C`, may get there later, or never. Nothing is
//! asked of it but ONCE.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasherDefault;

use indexmap::IndexMap;
use wire::op::{
    CLOSE_SESSION, CREATE, CREATE_SESSION, CREATE2, DELETE, DELETE_CONTAINER, ERROR, SET_DATA, SYNC,
};
use wire::{ServerId, SessionId, TxnHeader, Zxid};
use zab::{SessionHasher, TxnEntry, txn_digest};

use crate::ghost::Ghost;
use crate::observation::{ClientObservation, Outcome};
use crate::report::Report;
use crate::txns::{HEADER, Slot};

type Sessions = IndexMap<i64, Session, BuildHasherDefault<SessionHasher>>;

#[derive(Clone, Debug, Default)]
struct Session {
    /// Requests without an outcome, in order.
    waiting: VecDeque<Request>,
    /// Its requests in `C`, in that order.
    committed: Vec<(i32, Zxid)>,
    last_replied: i32,
    last_write: Zxid,
    /// The highest zxid in a reply.
    seen: Zxid,
    /// Acknowledged to anybody before its last sync was sent.
    synced: Zxid,
    /// By digest of the path.
    registers: BTreeMap<u64, Register>,
}

#[derive(Clone, Debug)]
struct Request {
    cxid: i32,
    op: i32,
    /// Path and value, one behind the other.
    asked: Box<[u8]>,
    path_len: usize,
    /// The highest zxid that was acknowledged to anybody when it was sent.
    floor: Zxid,
}

impl Request {
    fn new(cxid: i32, op: i32, path: &str, value: &[u8], floor: Zxid) -> Request {
        let asked = [path.as_bytes(), value].concat().into_boxed_slice();
        Request { cxid, op, asked, path_len: path.len(), floor }
    }
    fn path(&self) -> &[u8] {
        &self.asked[..self.path_len]
    }
    fn value(&self) -> &[u8] {
        &self.asked[self.path_len..]
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Register {
    written: Zxid,
    read: Zxid,
}

/// An acknowledged write whose transaction was not seen yet.
#[derive(Clone, Copy, Debug)]
struct Unverified {
    client: u64,
    session: i64,
    cxid: i32,
    zxid: Zxid,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ClientHistory {
    sessions: Sessions,
    acknowledged: Zxid,
    deletes: bool,
    unverified: Vec<Unverified>,
}

impl ClientHistory {
    /// Nodes may vanish by other requests than their own delete.
    pub fn of_tree() -> ClientHistory {
        ClientHistory { deletes: true, ..ClientHistory::default() }
    }

    pub fn observe(&mut self, g: &Ghost, observation: &ClientObservation<'_>, report: &mut Report) {
        match *observation {
            ClientObservation::Invoked { session, cxid, op, path, value, .. } => {
                self.deletes |= op == DELETE;
                let floor = self.acknowledged;
                let request = Request::new(cxid, op, path, value, floor);
                self.sessions.entry(session.0).or_default().waiting.push_back(request);
            }
            ClientObservation::Replied { client, session, cxid, zxid, outcome } => {
                self.replied(g, client, session, cxid, zxid, outcome, report);
            }
            ClientObservation::Unknown { session, cxid, .. } => {
                if let Some(session) = self.sessions.get_mut(&session.0) {
                    session.waiting.retain(|request| request.cxid != cxid);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn replied(
        &mut self,
        g: &Ghost,
        client: u64,
        id: SessionId,
        cxid: i32,
        zxid: Zxid,
        outcome: Outcome,
        report: &mut Report,
    ) {
        let session = self.sessions.entry(id.0).or_default();
        let mut found = Findings { client, session: id, cxid, report };
        if cxid < session.last_replied {
            found.add("FIFO", format!("its reply comes after that of {}", session.last_replied));
        }
        session.last_replied = session.last_replied.max(cxid);
        let at = session.waiting.iter().position(|request| request.cxid == cxid);
        let request = at.and_then(|at| session.waiting.remove(at));
        if matches!(outcome, Outcome::Failed(_)) {
            return;
        }
        session.reply_zxid(zxid, &mut found);
        let Some(request) = request else { return };
        let register = txn_digest(request.path());
        match outcome {
            Outcome::Written => {
                session.wrote(register, &request, zxid, &mut found);
                self.acknowledged = self.acknowledged.max(zxid);
                let write = Unverified { client, session: id.0, cxid, zxid };
                if !write.verify(g, report) {
                    self.unverified.push(write);
                }
            }
            Outcome::Read { mzxid, .. } => {
                session.read_after_sync(zxid, &mut found);
                session.read(register, mzxid, &mut found);
                if Ghost::is_txn(mzxid) && !g.committed.holds(mzxid) {
                    found.add("LINW", format!("reads what {mzxid} wrote, which is not committed"));
                }
            }
            Outcome::Absent => {
                session.read_after_sync(zxid, &mut found);
                let written = session.registers.get(&register).map_or(Zxid::ZERO, |r| r.written);
                if !self.deletes && written > Zxid::ZERO {
                    found.add("RYW", format!("finds nothing where it wrote at {written}"));
                }
            }
            Outcome::Done if request.op == SYNC => session.synced = session.synced.max(request.floor),
            Outcome::Done | Outcome::Failed(_) => {}
        }
    }

    /// The first copy of a transaction is appended: it carries what the client asked for.
    pub fn prepared(&mut self, at: ServerId, entry: &TxnEntry, header: &TxnHeader, report: &mut Report) {
        if !matches!(header.kind, CREATE | CREATE2 | SET_DATA) {
            return;
        }
        let Some(session) = self.sessions.get(&header.client_id.0) else { return };
        let Some(request) = session.waiting.iter().find(|request| request.cxid == header.cxid) else {
            return;
        };
        let body = &entry.txn[TxnHeader::LEN.min(entry.txn.len())..];
        if !contains(body, request.path()) || !contains(body, request.value()) {
            let detail = format!(
                "{} is logged for session {} cxid {} and does not carry the path {} and value asked for",
                entry.zxid,
                header.client_id,
                header.cxid,
                String::from_utf8_lossy(request.path())
            );
            report.add("ACKD", at, detail);
        }
    }

    /// `zxid` entered `C`.
    #[inline]
    pub fn committed(&mut self, g: &Ghost, m: usize, zxid: Zxid, report: &mut Report) {
        let Some(slot) = header_of(g, zxid) else { return };
        if matches!(slot.kind, ERROR | CREATE_SESSION | CLOSE_SESSION | DELETE_CONTAINER) {
            return;
        }
        let (session, cxid) = (slot.session, slot.cxid);
        let committed = &mut self.sessions.entry(session).or_default().committed;
        if committed.last().is_some_and(|(last, _)| *last >= cxid)
            && let Some((_, first)) = committed.iter().find(|(known, _)| *known == cxid)
        {
            let detail =
                format!("session {} cxid {cxid} is committed at {first} and at {zxid}", SessionId(session));
            report.add("ONCE", g.sid(m), detail);
        }
        committed.push((cxid, zxid));
    }

    pub fn finish(&mut self, g: &Ghost, report: &mut Report) {
        for write in std::mem::take(&mut self.unverified) {
            if !write.verify(g, report) {
                self.unverified.push(write);
            }
        }
    }
}

impl Unverified {
    /// False where the transaction was not seen yet.
    fn verify(&self, g: &Ghost, report: &mut Report) -> bool {
        let (client, session) = (self.client, SessionId(self.session));
        let mut found = Findings { client, session, cxid: self.cxid, report };
        let zxid = self.zxid;
        if !g.committed.holds(zxid) {
            found.add("ACKD", format!("is acknowledged at {zxid}, which is not committed"));
            return true;
        }
        let Some(slot) = header_of(g, zxid) else { return false };
        if (slot.session, slot.cxid) != (self.session, self.cxid) || slot.kind == ERROR {
            let (session, cxid, kind) = (SessionId(slot.session), slot.cxid, slot.kind);
            found.add(
                "ACKD",
                format!("is acknowledged at {zxid}, which is session {session} cxid {cxid} (type {kind})"),
            );
        }
        true
    }
}

impl Session {
    fn reply_zxid(&mut self, zxid: Zxid, found: &mut Findings<'_>) {
        if zxid < self.seen {
            found.add("MONR", format!("is answered at {zxid} after {}", self.seen));
        }
        self.seen = self.seen.max(zxid);
    }

    fn wrote(&mut self, register: u64, request: &Request, zxid: Zxid, found: &mut Findings<'_>) {
        if zxid <= self.last_write {
            found.add("FIFO", format!("writes at {zxid} after its write at {}", self.last_write));
        }
        if zxid <= request.floor {
            found.add("LINW", format!("writes at {zxid}, and {} was acknowledged before", request.floor));
        }
        self.last_write = self.last_write.max(zxid);
        let register = self.registers.entry(register).or_default();
        register.written = register.written.max(zxid);
    }

    fn read(&mut self, register: u64, mzxid: Zxid, found: &mut Findings<'_>) {
        let register = self.registers.entry(register).or_default();
        if mzxid < register.written {
            found.add("RYW", format!("reads a state of {mzxid} after its own write at {}", register.written));
        } else if mzxid < register.read {
            found.add("MONR", format!("reads a state of {mzxid} after it read that of {}", register.read));
        }
        register.read = register.read.max(mzxid);
    }

    fn read_after_sync(&self, zxid: Zxid, found: &mut Findings<'_>) {
        if zxid < self.synced && zxid.epoch() == self.synced.epoch() {
            found.add(
                "LINW",
                format!("reads at {zxid}, and {} was acknowledged before its sync", self.synced),
            );
        }
    }
}

/// Reports about one request. The client's number stands where members have their id.
struct Findings<'a> {
    client: u64,
    session: SessionId,
    cxid: i32,
    report: &'a mut Report,
}

impl Findings<'_> {
    fn add(&mut self, invariant: &'static str, what: String) {
        let detail = format!("client {} session {} cxid {} {what}", self.client, self.session, self.cxid);
        self.report.add(invariant, ServerId(self.client as i64), detail);
    }
}

/// Who asked for a transaction, once a copy of it was seen.
fn header_of(g: &Ghost, zxid: Zxid) -> Option<&Slot> {
    g.epochs.peek(zxid.epoch())?.peek(zxid).filter(|slot| slot.has(HEADER))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use wire::op::{ERROR, GET_DATA, SET_DATA, SYNC};
    use wire::{SessionId, Zxid};

    use crate::observation::Outcome;
    use crate::testing::{Run, entry_of, z};

    const A: i64 = 0x100;
    const B: i64 = 0x200;

    fn write(run: &mut Run, session: i64, cxid: i32, zxid: Zxid) {
        run.invoke(session, cxid, SET_DATA, "/a", b"1");
        run.write_entry(&entry_of(zxid, SessionId(session), cxid, SET_DATA, b"/a=1"));
    }

    fn acknowledged_write(run: &mut Run, session: i64, cxid: i32, zxid: Zxid) {
        write(run, session, cxid, zxid);
        run.reply(session, cxid, zxid, Outcome::Written);
    }

    fn read(run: &mut Run, session: i64, cxid: i32, at: Zxid, mzxid: Zxid) {
        run.invoke(session, cxid, GET_DATA, "/a", b"");
        run.reply(session, cxid, at, Outcome::Read { version: 0, mzxid });
    }

    #[test]
    fn two_sessions_in_order() {
        let mut run = Run::established(3, 1);
        acknowledged_write(&mut run, A, 1, z(1, 1));
        read(&mut run, B, 1, z(1, 1), z(1, 1));
        acknowledged_write(&mut run, B, 2, z(1, 2));
        // A's server lags: allowed, A saw nothing newer.
        read(&mut run, A, 2, z(1, 1), z(1, 1));
        run.invoke(A, 3, SYNC, "/a", b"");
        run.reply(A, 3, z(1, 2), Outcome::Done);
        read(&mut run, A, 4, z(1, 2), z(1, 2));
        run.sound();
    }

    #[test]
    fn an_unknown_outcome_may_commit_later_or_never() {
        let mut run = Run::established(3, 1);
        run.invoke(A, 1, SET_DATA, "/a", b"1");
        run.unknown(A, 1);
        run.invoke(A, 2, SET_DATA, "/a", b"1");
        run.unknown(A, 2);
        run.write_entry(&entry_of(z(1, 1), SessionId(A), 2, SET_DATA, b"/a=1"));
        run.write_entry(&entry_of(z(1, 2), SessionId(A), 1, ERROR, b""));
        run.sound();
    }

    #[test]
    fn acknowledged_and_not_committed() {
        let mut run = Run::established(3, 1);
        run.invoke(A, 1, SET_DATA, "/a", b"1");
        run.reply(A, 1, z(1, 1), Outcome::Written);
        run.first_is("ACKD");
    }

    #[test]
    fn acknowledged_as_somebody_elses_transaction() {
        let mut run = Run::established(3, 1);
        write(&mut run, B, 1, z(1, 1));
        run.invoke(A, 1, SET_DATA, "/a", b"1");
        run.reply(A, 1, z(1, 1), Outcome::Written);
        run.first_is("ACKD");
    }

    #[test]
    fn other_bytes_than_asked_for() {
        let mut run = Run::established(3, 1);
        run.invoke(A, 1, SET_DATA, "/a", b"22");
        run.write_entry(&entry_of(z(1, 1), SessionId(A), 1, SET_DATA, b"/a=1"));
        run.first_is("ACKD");
    }

    #[test]
    fn applied_twice() {
        let mut run = Run::established(3, 1);
        acknowledged_write(&mut run, A, 1, z(1, 1));
        run.write_entry(&entry_of(z(1, 2), SessionId(A), 1, SET_DATA, b"/a=1"));
        run.first_is("ONCE");
    }

    #[test]
    fn replies_out_of_order() {
        let mut run = Run::established(3, 1);
        write(&mut run, A, 1, z(1, 1));
        write(&mut run, A, 2, z(1, 2));
        run.reply(A, 2, z(1, 2), Outcome::Written);
        run.reply(A, 1, z(1, 2), Outcome::Done);
        run.first_is("FIFO");
    }

    #[test]
    fn a_write_before_one_that_was_acknowledged_earlier() {
        let mut run = Run::established(3, 1);
        run.write_entry(&entry_of(z(1, 1), SessionId(A), 1, SET_DATA, b"/a=1"));
        acknowledged_write(&mut run, B, 1, z(1, 2));
        run.invoke(A, 1, SET_DATA, "/a", b"1");
        run.reply(A, 1, z(1, 1), Outcome::Written);
        run.first_is("LINW");
    }

    #[test]
    fn a_read_of_something_uncommitted() {
        let mut run = Run::established(3, 1);
        read(&mut run, A, 1, z(1, 1), z(1, 1));
        run.first_is("LINW");
    }

    #[test]
    fn a_read_after_sync_that_is_old() {
        let mut run = Run::established(3, 1);
        write(&mut run, B, 1, z(1, 1));
        acknowledged_write(&mut run, B, 2, z(1, 2));
        run.invoke(A, 1, SYNC, "/a", b"");
        run.reply(A, 1, z(1, 1), Outcome::Done);
        read(&mut run, A, 2, z(1, 1), z(1, 1));
        run.first_is("LINW");
    }

    #[test]
    fn an_own_write_not_read() {
        let mut run = Run::established(3, 1);
        acknowledged_write(&mut run, B, 1, z(1, 1));
        acknowledged_write(&mut run, A, 1, z(1, 2));
        read(&mut run, A, 2, z(1, 2), z(1, 1));
        run.first_is("RYW");
    }

    #[test]
    fn an_own_write_not_found() {
        let mut run = Run::established(3, 1);
        acknowledged_write(&mut run, A, 1, z(1, 1));
        run.invoke(A, 2, GET_DATA, "/a", b"");
        run.reply(A, 2, z(1, 1), Outcome::Absent);
        run.first_is("RYW");
    }

    #[test]
    fn a_session_moved_to_a_server_that_is_behind() {
        let mut run = Run::established(3, 1);
        write(&mut run, B, 1, z(1, 1));
        write(&mut run, B, 2, z(1, 2));
        read(&mut run, A, 1, z(1, 2), z(1, 2));
        read(&mut run, A, 2, z(1, 1), z(1, 1));
        run.first_is("MONR");
    }

    #[test]
    fn a_register_that_steps_back() {
        let mut run = Run::established(3, 1);
        write(&mut run, B, 1, z(1, 1));
        write(&mut run, B, 2, z(1, 2));
        read(&mut run, A, 1, z(1, 2), z(1, 2));
        read(&mut run, A, 2, z(1, 2), z(1, 1));
        run.first_is("MONR");
    }
}
