//! Histories for the tests of the checkers beside this file: committed transactions, and what clients saw.

use bytes::{Bytes, BytesMut};
use wire::client::{
    CreateRequest, CreateResponse, ExistsRequest, ExistsResponse, GetDataRequest, GetDataResponse, Request,
    Response, WatcherEvent,
};
use wire::txn::{
    CloseSessionTxn, CreateSessionTxn, CreateTxn, DeleteTxn, ErrorTxn, MultiTxn, SetDataTxn, SubTxn, TxnBody,
};
use wire::{Acl, EventType, Jute, ServerId, SessionId, Stat, Txn, TxnHeader, Zxid, op};
use zab::{Nanos, TxnEntry};

use super::TreeCheckers;
use crate::observation::TreeObservation;
use crate::report::Report;

/// A session that is open in most histories, and another one.
pub(crate) const A: SessionId = SessionId(0x100);
pub(crate) const B: SessionId = SessionId(0x200);

pub(crate) struct TreeRun {
    pub checkers: TreeCheckers,
    report: Report,
    last: Zxid,
}

pub(crate) fn z(counter: i64) -> Zxid {
    Zxid(1 << 32 | counter)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn create(path: &str, ephemeral: bool) -> (i32, TxnBody) {
    let (path, data, acl) = (bytes(path), Some(bytes("v")), Some(vec![Acl::open()]));
    (op::CREATE, TxnBody::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version: -1 }))
}

/// A node with which everybody may do this.
pub(crate) fn create_allowing(path: &str, perms: i32) -> (i32, TxnBody) {
    let (path, data, acl) = (bytes(path), Some(bytes("v")), Some(vec![Acl { perms, ..Acl::open() }]));
    (op::CREATE, TxnBody::Create(CreateTxn { path, data, acl, ephemeral: false, parent_c_version: -1 }))
}

pub(crate) fn multi(parts: Vec<(i32, TxnBody)>) -> (i32, TxnBody) {
    let part = |(kind, body): (i32, TxnBody)| {
        let mut data = BytesMut::new();
        match &body {
            TxnBody::Create(t) => t.write(&mut data),
            TxnBody::SetData(t) => t.write(&mut data),
            TxnBody::Delete(t) => t.write(&mut data),
            TxnBody::Error(t) => t.write(&mut data),
            _ => unreachable!("no part of these tests"),
        }
        SubTxn { kind, data: Some(data.freeze()) }
    };
    (op::MULTI, TxnBody::Multi(MultiTxn { txns: parts.into_iter().map(part).collect() }))
}

pub(crate) fn delete(path: &str) -> (i32, TxnBody) {
    (op::DELETE, TxnBody::Delete(DeleteTxn { path: bytes(path) }))
}

pub(crate) fn set(path: &str, data: &str, version: i32) -> (i32, TxnBody) {
    (op::SET_DATA, TxnBody::SetData(SetDataTxn { path: bytes(path), data: Some(bytes(data)), version }))
}

pub(crate) fn open() -> (i32, TxnBody) {
    (op::CREATE_SESSION, TxnBody::CreateSession(CreateSessionTxn { time_out: 4000 }))
}

pub(crate) fn close(paths: &[&str]) -> (i32, TxnBody) {
    let paths2_delete = paths.iter().map(|path| bytes(path)).collect();
    (op::CLOSE_SESSION, TxnBody::CloseSession(Some(CloseSessionTxn { paths2_delete })))
}

pub(crate) fn error() -> (i32, TxnBody) {
    (op::ERROR, TxnBody::Error(ErrorTxn { err: -112 }))
}

pub(crate) fn exists(path: &str) -> Request {
    Request::Exists(ExistsRequest { path: bytes(path), watch: true })
}

pub(crate) fn get(path: &str) -> Request {
    Request::GetData(GetDataRequest { path: bytes(path), watch: true })
}

impl TreeRun {
    /// Session A is open, by transaction 1, with client 0 connected.
    pub fn new() -> TreeRun {
        let checkers = TreeCheckers::new();
        let mut run = TreeRun { checkers, report: Report::new(Vec::new()), last: z(0) };
        run.at(1000);
        run.connecting(1, Zxid::ZERO);
        run.commit(A, 0, open());
        run.connected(1, A);
        run
    }

    pub fn at(&mut self, ms: u64) {
        self.report.now = Nanos::from_millis(ms);
    }

    /// The next transaction is proposed and committed, now.
    pub fn commit(&mut self, session: SessionId, cxid: i32, (kind, body): (i32, TxnBody)) -> Zxid {
        let zxid = self.last.next();
        self.checkers.proposed(self.report.now, zxid);
        self.commit_proposed(session, cxid, (kind, body))
    }

    pub fn commit_proposed(&mut self, session: SessionId, cxid: i32, (kind, body): (i32, TxnBody)) -> Zxid {
        let zxid = self.last.next();
        self.last = zxid;
        let header = TxnHeader { client_id: session, cxid, zxid, time_ms: 1, kind };
        let txn = Txn::new(header, body, None).to_bytes();
        self.checkers.learn(&TxnEntry { zxid, txn });
        self.checkers.committed(ServerId(1), zxid, &mut self.report);
        zxid
    }

    pub fn next_is_proposed(&mut self) {
        self.checkers.proposed(self.report.now, self.last.next());
    }

    pub fn tell(&mut self, observation: &TreeObservation<'_>) {
        self.checkers.observe(observation, &mut self.report);
    }

    pub fn connecting(&mut self, attempt: u32, last_zxid: Zxid) {
        self.tell(&TreeObservation::Connecting { client: 0, attempt, session: A, last_zxid });
    }

    pub fn connected(&mut self, attempt: u32, session: SessionId) {
        self.tell(&TreeObservation::Connected { client: 0, attempt, session, timeout_ms: 4000 });
    }

    pub fn ask(&mut self, attempt: u32, xid: i32, request: &Request) {
        self.tell(&TreeObservation::Asked { client: 0, attempt, session: A, xid, request });
    }

    pub fn answer(&mut self, zxid: Zxid, request: &Request, result: Result<&Response, i32>) {
        self.tell(&TreeObservation::Answered {
            client: 0,
            attempt: 1,
            session: A,
            xid: 1,
            zxid,
            request,
            result,
        });
    }

    /// An answer as the model has it.
    pub fn answer_rightly(&mut self, zxid: Zxid, request: &Request) {
        let h = &self.checkers.history;
        let stat = |path: &Bytes| h.stat(path, zxid).ok_or(wire::code::NO_NODE);
        let result = match request {
            Request::Exists(r) => stat(&r.path).map(|stat| Response::Exists(ExistsResponse { stat })),
            Request::GetData(r) => stat(&r.path).map(|stat| {
                let data = h.at(&r.path, zxid).and_then(|node| node.data.clone());
                Response::GetData(GetDataResponse { data, stat })
            }),
            _ => Ok(Response::Empty),
        };
        self.answer(zxid, request, result.as_ref().map_err(|err| *err));
    }

    pub fn notify(&mut self, zxid: Zxid, kind: EventType, path: &str) {
        let event = WatcherEvent { kind: kind.number(), state: 3, path: bytes(path) };
        self.tell(&TreeObservation::Notified { client: 0, attempt: 1, session: A, zxid, event: &event });
    }

    pub fn stat(&self, path: &str, zxid: Zxid) -> Stat {
        self.checkers.history.stat(path.as_bytes(), zxid).expect("it is there")
    }

    /// A sequential create at `zxid` was given this name.
    pub fn named(&mut self, zxid: Zxid, prefix: &str, name: &str) {
        let acl = Some(vec![Acl::open()]);
        let asked = Request::Create(CreateRequest { path: bytes(prefix), data: None, acl, flags: 2 });
        self.answer(zxid, &asked, Ok(&Response::Create(CreateResponse { path: bytes(name) })));
    }

    pub fn sound(&self) {
        assert!(self.report.violations().is_empty(), "{:?}", self.report.violations());
    }

    pub fn first_is(&self, code: &str) {
        let first = self.report.violations().first().map(|v| v.invariant);
        assert_eq!(first, Some(code), "{:?}", self.report.violations());
    }
}
