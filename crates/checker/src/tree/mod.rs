//! Checkers for the data tree and its sessions: PREP, READ, SES, EPH, WATCH and SEQ, over what clients asked
//! and were told and over committed transactions, which a model (`history`) makes a tree of at every zxid.
//! `Checkers` calls them where the state is a tree.

mod ephemerals;
mod history;
mod reads;
mod sequential;
mod sessions;
#[cfg(test)]
mod testing;
mod watches;

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::client::{CreateRequest, Request, Response};
use wire::{ServerId, SessionId, Txn, Zxid};
use zab::{Nanos, TxnEntry};

use crate::observation::TreeObservation;
use crate::report::Report;
use history::TreeHistory;
use sequential::Sequential;
use sessions::Sessions;
use watches::ConnectionWatches;

#[derive(Clone, Debug)]
pub(crate) struct TreeCheckers {
    history: TreeHistory,
    sessions: Sessions,
    sequential: Sequential,
    /// By client, of its connection.
    watches: BTreeMap<u64, ConnectionWatches>,
    /// The ensemble's configuration, as it was told first.
    config: BTreeMap<Zxid, Bytes>,
    /// Transactions that were logged somewhere and are not committed yet.
    logged: BTreeMap<Zxid, Bytes>,
    /// A committed transaction was never seen: nothing is judged any more.
    blind: bool,
}

impl TreeCheckers {
    pub fn new() -> TreeCheckers {
        TreeCheckers {
            history: TreeHistory::new(),
            sessions: Sessions::default(),
            sequential: Sequential::default(),
            watches: BTreeMap::new(),
            config: BTreeMap::new(),
            logged: BTreeMap::new(),
            blind: false,
        }
    }

    pub fn proposed(&mut self, at: Nanos, zxid: Zxid) {
        self.sessions.proposed(at, zxid);
    }

    pub fn learn(&mut self, entry: &TxnEntry) {
        self.logged.insert(entry.zxid, entry.txn.clone());
    }

    /// `zxid` entered `C`, told by member `m`.
    pub fn committed(&mut self, m: ServerId, zxid: Zxid, report: &mut Report) {
        let txn = self.logged.remove(&zxid).and_then(|bytes| Txn::decode(&bytes).ok());
        let Some(txn) = txn.filter(|_| !self.blind) else {
            self.blind = true;
            return;
        };
        let mut found = |code, what: Option<String>| {
            if let Some(what) = what {
                report.add(code, m, what);
            }
        };
        found("EPH", ephemerals::before(&self.history, &txn));
        self.history.apply(&txn);
        found("PREP", self.history.impossible.take());
        found("SES", self.sessions.committed(&txn));
        found("EPH", ephemerals::after(&self.history, &self.sessions, &txn));
    }

    pub fn observe(&mut self, observation: &TreeObservation<'_>, report: &mut Report) {
        if self.blind {
            return;
        }
        let now = report.now;
        let (client, code, what) = match *observation {
            TreeObservation::Connecting { client, attempt, last_zxid, .. } => {
                self.watches.insert(client, ConnectionWatches::default());
                self.sessions.connecting(now, client, attempt, last_zxid);
                return;
            }
            TreeObservation::Connected { client, attempt, session, timeout_ms } => {
                (client, "SES", self.sessions.connected(now, client, attempt, session, timeout_ms))
            }
            TreeObservation::Asked { session, xid, attempt, .. } => {
                self.sessions.asked(session, xid, attempt);
                return;
            }
            TreeObservation::Notified { client, zxid, event, .. } => {
                self.watches.entry(client).or_default().notified(zxid, event);
                return;
            }
            TreeObservation::Nonsense { client, xid, .. } => {
                (client, "FIFO", Some(format!("is told something with xid {xid}, out of order")))
            }
            TreeObservation::Answered { client, session, zxid, request, result, .. } => {
                return self.answered(client, session, zxid, request, result, report);
            }
            TreeObservation::Expired { .. } | TreeObservation::Disconnected { .. } => return,
        };
        if let Some(what) = what {
            report.add(code, ServerId(client as i64), format!("client {client} {what}"));
        }
    }

    fn answered(
        &mut self,
        client: u64,
        session: SessionId,
        zxid: Zxid,
        request: &Request,
        result: Result<&Response, i32>,
        report: &mut Report,
    ) {
        let mut found = |code, what: Option<String>| {
            if let Some(what) = what {
                let detail = format!("client {client} session {session} reply at {zxid}: {what}");
                report.add(code, ServerId(client as i64), detail);
            }
        };
        let h = &self.history;
        found("READ", reads::judge(h, session, zxid, request, result));
        found("READ", reads::rights(h, zxid, request, result));
        found("READ", reads::configuration(h, &mut self.config, zxid, request, result));
        let err = result.err().unwrap_or(0);
        let watches = self.watches.entry(client).or_default();
        found("WATCH", watches.answered(h, zxid, request, err));
        if result.is_ok() {
            found("SES", self.sessions.answered(session, zxid, request.op()));
        }
        if let (Some(asked), Ok(Response::Create(made))) = (asked_create(request), result) {
            found("SEQ", self.sequential.made(h, zxid, asked, &made.path));
        }
    }
}

fn asked_create(request: &Request) -> Option<&CreateRequest> {
    match request {
        Request::Create(asked) | Request::Create2(asked) => Some(asked),
        _ => None,
    }
}
