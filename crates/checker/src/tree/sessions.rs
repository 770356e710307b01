//! SES, the life of sessions.
//!
//! * An id is opened once. What is closed stays closed: no later transaction is its own (but errors and
//!   further closeSessions), no reply at or behind its end goes to it, no server that has applied its end
//!   takes it in.
//! * One owner: once a client's new connection was accepted, nothing that it asked on an older one is
//!   proposed any more, but errors and the closing of the session.
//! * A leader closes a session on its own only when nothing was heard of it for its timeout. What is known
//!   from outside: a connection that was accepted was reported to the leader after it was asked for.
//!
//! To the accepting server's leader, that is: one that was deposed and has not noticed takes in connections of
//! which the next leader hears nothing. So for both rules those count that were answered in the epoch of the
//! leader that proposes (a server ends its connections when it changes its leader).
//!
//! Judged by committed transactions, when the leader proposed them, and what clients saw.

use std::collections::BTreeMap;

use wire::{SessionId, Txn, TxnBody, Zxid, op};
use zab::Nanos;

#[derive(Clone, Debug, Default)]
struct Session {
    opened: Option<Zxid>,
    closed: Option<Zxid>,
    accepted: Vec<Accepted>,
    /// On which connection each request was asked.
    asked: BTreeMap<i32, u32>,
}

/// A connection that was accepted.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    attempt: u32,
    asked: Nanos,
    known: Nanos,
    timeout_ms: i32,
    /// The highest zxid of an answer on it.
    seen: Zxid,
}

/// A connection that was asked for.
#[derive(Clone, Copy, Debug)]
struct Connecting {
    attempt: u32,
    at: Nanos,
    last_zxid: Zxid,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    connecting: BTreeMap<u64, Connecting>,
    proposed: BTreeMap<Zxid, Nanos>,
}

impl Sessions {
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|s| s.opened.is_some() && s.closed.is_none())
    }

    pub fn proposed(&mut self, at: Nanos, zxid: Zxid) {
        self.proposed.entry(zxid).or_insert(at);
    }

    pub fn connecting(&mut self, at: Nanos, client: u64, attempt: u32, last_zxid: Zxid) {
        self.connecting.insert(client, Connecting { attempt, at, last_zxid });
    }

    pub fn connected(
        &mut self,
        now: Nanos,
        client: u64,
        attempt: u32,
        id: SessionId,
        timeout_ms: i32,
    ) -> Option<String> {
        let asked = self.connecting.get(&client).filter(|c| c.attempt == attempt).copied()?;
        let session = self.sessions.entry(id).or_default();
        let accepted = Accepted { attempt, asked: asked.at, known: now, timeout_ms, seen: Zxid::ZERO };
        session.accepted.push(accepted);
        let closed = session.closed.filter(|closed| *closed <= asked.last_zxid)?;
        Some(format!(
            "session {id} is taken in by a server that has {}, and it was closed at {closed}",
            asked.last_zxid
        ))
    }

    pub fn asked(&mut self, id: SessionId, xid: i32, attempt: u32) {
        self.sessions.entry(id).or_default().asked.insert(xid, attempt);
    }

    pub fn answered(&mut self, id: SessionId, zxid: Zxid, kind: i32) -> Option<String> {
        let session = self.sessions.get_mut(&id)?;
        if let Some(connection) = session.accepted.last_mut() {
            connection.seen = connection.seen.max(zxid);
        }
        let closed = session.closed?;
        (zxid >= closed && kind != op::CLOSE_SESSION)
            .then(|| format!("session {id} is answered at {zxid}, and it was closed at {closed}"))
    }

    pub fn committed(&mut self, txn: &Txn) -> Option<String> {
        let (id, zxid, kind) = (txn.header.client_id, txn.header.zxid, txn.header.kind);
        let does_nothing = match &txn.body {
            TxnBody::Multi(parts) => parts.failed(),
            _ => kind == op::ERROR,
        };
        if does_nothing {
            return None;
        }
        let proposed = self.proposed.get(&zxid).copied();
        let session = self.sessions.entry(id).or_default();
        match kind {
            op::CREATE_SESSION => {
                let before = session.opened.replace(zxid);
                return before.map(|before| format!("session {id} is opened at {before} and at {zxid}"));
            }
            op::CLOSE_SESSION => {
                let early = session.closes_early(zxid, txn.header.cxid, proposed);
                if session.closed.is_none() {
                    session.closed = Some(zxid);
                }
                return early.map(|early| format!("session {id} {early}"));
            }
            // The leader's own, of no session.
            op::DELETE_CONTAINER if id == SessionId(0) => return None,
            _ => {}
        }
        if session.opened.is_none() {
            return Some(format!("{zxid} is of session {id}, which was never opened"));
        }
        if let Some(closed) = session.closed {
            return Some(format!("{zxid} is of session {id}, which was closed at {closed}"));
        }
        let attempt = *session.asked.get(&txn.header.cxid)?;
        let mut of_this_leader = session.accepted.iter().filter(|c| c.seen.epoch() == zxid.epoch());
        let later = of_this_leader.find(|c| c.attempt > attempt && Some(c.known) < proposed)?;
        Some(format!(
            "session {id} cxid {} was asked on connection {attempt} and proposed after connection {} was accepted",
            txn.header.cxid, later.attempt
        ))
    }
}

impl Session {
    /// A leader's own closing has no cxid. Clocks run apart by a few hundredths at most.
    fn closes_early(&self, zxid: Zxid, cxid: i32, proposed: Option<Nanos>) -> Option<String> {
        let proposed = proposed.filter(|_| cxid == 0)?;
        let of_this_leader = |c: &&Accepted| c.known < proposed && c.seen.epoch() == zxid.epoch();
        let Accepted { asked, timeout_ms, .. } = self.accepted.iter().rev().find(of_this_leader)?;
        let timeout = Nanos::from_millis(u64::from(timeout_ms.max(&0).unsigned_abs()) * 95 / 100);
        (proposed < *asked + timeout)
            .then(|| format!("of {timeout_ms} ms is expired at {proposed}, and was heard of after {asked}"))
    }
}

#[cfg(test)]
mod tests {
    use wire::Zxid;

    use crate::tree::testing::*;

    #[test]
    fn a_session_that_moves_and_ends() {
        let mut run = TreeRun::new();
        run.ask(1, 1, &exists("/"));
        run.next_is_proposed();
        run.at(1100);
        run.connecting(2, z(1));
        run.connected(2, A);
        // Proposed before the move, committed behind it.
        run.commit_proposed(A, 1, create("/a", false));
        run.ask(1, 2, &exists("/"));
        run.at(1200);
        run.commit(A, 2, error());
        run.at(6000);
        let end = run.commit(A, 0, close(&[]));
        run.commit(A, 0, close(&[]));
        run.commit(A, 3, error());
        run.answer_rightly(Zxid(end.0 - 1), &exists("/"));
        run.sound();
    }

    #[test]
    fn opened_twice() {
        let mut run = TreeRun::new();
        run.commit(A, 0, open());
        run.first_is("SES");
    }

    #[test]
    fn alive_behind_its_end() {
        let mut run = TreeRun::new();
        let end = run.commit(A, 1, close(&[]));
        run.sound();
        run.answer_rightly(end, &exists("/"));
        run.first_is("SES");
        let mut run = TreeRun::new();
        let end = run.commit(A, 1, close(&[]));
        run.connecting(2, end);
        run.connected(2, A);
        run.first_is("SES");
        let mut run = TreeRun::new();
        run.commit(A, 1, close(&[]));
        run.commit(A, 2, create("/a", false));
        run.first_is("SES");
    }

    #[test]
    fn two_owners() {
        let mut run = TreeRun::new();
        run.ask(1, 1, &exists("/"));
        run.connecting(2, z(1));
        run.at(1100);
        run.connected(2, A);
        run.answer_rightly(z(1), &exists("/"));
        run.at(1101);
        run.commit(A, 1, create("/a", false));
        run.first_is("SES");
    }

    /// The connection that a deposed leader took in is none for the leader that has the older one's requests.
    #[test]
    fn two_owners_of_two_leaders() {
        let mut run = TreeRun::new();
        run.ask(1, 1, &exists("/"));
        run.connecting(2, z(1));
        run.at(1100);
        run.connected(2, A);
        run.at(1101);
        run.commit(A, 1, create("/a", false));
        run.sound();
    }

    #[test]
    fn expired_too_early() {
        let mut run = TreeRun::new();
        run.at(4000);
        run.connecting(2, z(1));
        run.at(4100);
        run.connected(2, A);
        run.answer_rightly(z(1), &exists("/"));
        run.at(7000);
        run.commit(A, 0, close(&[]));
        run.first_is("SES");
    }

    #[test]
    fn a_deposed_leader_takes_it_in() {
        let mut run = TreeRun::new();
        run.at(4000);
        run.connecting(2, z(1));
        run.at(4100);
        run.connected(2, A);
        run.at(7000);
        run.commit(A, 0, close(&[]));
        run.sound();
    }
}
