//! `RegisterMap`: the first state machine, a flat map of registers with sessions that may own some.
//! The fastest workload to hunt protocol bugs with; its transactions and snapshots are ZooKeeper's
//! own records, so that Java reads both.
//!
//! * setData on `/name` sets a register and makes it where it is missing. An expected version other
//!   than -1 must match (BADVERSION, -103).
//! * Registers below `/e/` belong to the session that made them and go with it (closeSession).
//! * getData answers `buffer data | i32 version | i64 mzxid`.
//! * Anything else is an error transaction of -6 (unimplemented).
//!
//! A history that holds more than registers (a data tree of Java servers) is not refused: of it the map
//! keeps the sessions, which it understands whole, and answers -6 to everything but the opening and
//! closing of sessions. The disk keeps the rest.

mod snapshot;

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::{BufMut, Bytes, BytesMut};
use indexmap::IndexMap;
use wire::txn::{CloseSessionTxn, CreateSessionTxn, ErrorTxn, SetDataTxn};
use wire::{Reader, SessionId, SnapshotRecord, StatPersisted, Txn, TxnBody, TxnHeader, Zxid, code, op};

use crate::event::txn_digest;
use crate::state_machine::{Applied, StateMachine, WriteRequest};

pub use snapshot::Cursor;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Register {
    data: Bytes,
    version: i32,
    czxid: Zxid,
    mzxid: Zxid,
    ctime: i64,
    mtime: i64,
    owner: SessionId,
    /// Its share of the map's digest.
    digest: u64,
}

/// A fixed hash of paths: equal on every machine and in every run.
#[derive(Clone, Copy, Debug, Default)]
struct PathHasher(u64);

impl Hasher for PathHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = txn_digest(bytes);
    }
    /// The length comes first; the bytes tell enough.
    fn write_usize(&mut self, _: usize) {}
}

type ByPath<V> = IndexMap<Bytes, V, BuildHasherDefault<PathHasher>>;

/// A session that owns nothing: the owner of plain registers.
const NOBODY: SessionId = SessionId(0);

#[derive(Clone, Debug, Default)]
pub struct RegisterMap {
    registers: ByPath<Register>,
    sessions: BTreeMap<SessionId, i32>,
    /// Versions that prepared, not yet applied writes will leave, and the zxid of the last of them.
    prepared: ByPath<(i32, Zxid)>,
    digest: u64,
    /// The part of the digest that sessions make up.
    sessions_digest: u64,
    /// Of the last reconfig, and its zxid: no register, and in no digest.
    config: Option<(Bytes, Zxid)>,
    /// Something was applied or restored that is no register and no session.
    foreign: bool,
}

const CONFIG_NODE: &[u8] = b"/zookeeper/config";

fn is_owned(path: &[u8]) -> bool {
    path.starts_with(b"/e/")
}

/// A node that stands above registers, exactly as the map itself writes it. A Java server's root and
/// `/zookeeper` differ as soon as there is anything below them, and would be lost.
fn is_scaffolding(path: &[u8], data: Option<&[u8]>, acl_key: i64, stat: &StatPersisted) -> bool {
    snapshot::SCAFFOLDING.contains(&path)
        && data.is_none_or(<[u8]>::is_empty)
        && acl_key == -1
        && *stat == StatPersisted::default()
}

/// A node that a register can stand for, with nothing lost.
fn is_register(path: &[u8], acl_key: i64, stat: &StatPersisted) -> bool {
    let name = path.strip_prefix(b"/e").filter(|rest| rest.starts_with(b"/")).unwrap_or(path);
    let flat = name.iter().filter(|byte| **byte == b'/').count() == 1;
    flat && acl_key == -1 && stat.cversion == 0 && stat.aversion == 0 && stat.pzxid == stat.czxid
}

fn register_digest(path: &[u8], register: &Register) -> u64 {
    txn_digest(path)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(txn_digest(&register.data))
        .wrapping_add((register.mzxid.0 as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
        .wrapping_add((register.version as u64) << 32)
        .wrapping_add(register.owner.0 as u64)
}

fn session_digest(session: SessionId, timeout_ms: i32) -> u64 {
    (session.0 as u64 ^ (timeout_ms as u64) << 40).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

impl RegisterMap {
    pub fn new() -> RegisterMap {
        RegisterMap::default()
    }

    pub fn len(&self) -> usize {
        self.registers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.registers.is_empty()
    }

    fn insert(&mut self, path: Bytes, mut register: Register) {
        register.digest = register_digest(&path, &register);
        self.digest = self.digest.wrapping_add(register.digest);
        if let Some(old) = self.registers.insert(path, register) {
            self.digest = self.digest.wrapping_sub(old.digest);
        }
    }

    fn remove(&mut self, path: &Bytes) {
        if let Some(old) = self.registers.swap_remove(path) {
            self.digest = self.digest.wrapping_sub(old.digest);
        }
    }

    fn open_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.close_session(session);
        self.sessions.insert(session, timeout_ms);
        self.sessions_digest = self.sessions_digest.wrapping_add(session_digest(session, timeout_ms));
    }

    fn close_session(&mut self, session: SessionId) {
        if let Some(timeout_ms) = self.sessions.remove(&session) {
            self.sessions_digest = self.sessions_digest.wrapping_sub(session_digest(session, timeout_ms));
        }
    }

    fn set_data(&mut self, header: &TxnHeader, path: Bytes, data: Option<Bytes>, version: i32) -> Applied {
        let data = data.unwrap_or_default();
        if let Some(register) = self.registers.get_mut(&path) {
            // Replay over a fuzzy snapshot: a newer effect is there already and stays.
            if register.mzxid < header.zxid {
                (register.data, register.version) = (data, version);
                (register.mzxid, register.mtime) = (header.zxid, header.time_ms);
                let digest = register_digest(&path, register);
                self.digest = self.digest.wrapping_sub(register.digest).wrapping_add(digest);
                register.digest = digest;
            }
            return Applied { result: Ok(Bytes::new()) };
        }
        let owner = if is_owned(&path) { header.client_id } else { NOBODY };
        let register = Register {
            data,
            version,
            czxid: header.zxid,
            mzxid: header.zxid,
            ctime: header.time_ms,
            mtime: header.time_ms,
            owner,
            digest: 0,
        };
        self.insert(path, register);
        Applied { result: Ok(Bytes::new()) }
    }

    /// Sorted.
    fn owned_by(&self, session: SessionId) -> Vec<Bytes> {
        let owned =
            self.registers.iter().filter(|(_, register)| register.owner == session && session != NOBODY);
        let mut paths: Vec<Bytes> = owned.map(|(path, _)| path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    /// Version that `path` has once everything prepared is applied; -1 where it will be missing.
    fn prepared_version(&self, path: &Bytes) -> i32 {
        match self.prepared.get(path) {
            Some((version, _)) => *version,
            None => self.registers.get(path).map_or(-1, |register| register.version),
        }
    }

    fn prepare_body(&mut self, zxid: Zxid, request: &WriteRequest<'_>) -> Result<(i32, TxnBody), i32> {
        if let Some(code) = request.session_error {
            return Err(code);
        }
        let mut r = Reader::new(request.body.clone());
        match request.op {
            op::CREATE_SESSION => {
                let time_out = r.i32("timeout").map_err(|_| code::UNIMPLEMENTED)?;
                Ok((op::CREATE_SESSION, TxnBody::CreateSession(CreateSessionTxn { time_out })))
            }
            // What it owns in another machine's tree is not known here: without a list every server
            // removes what it has (the body of releases before 3.6).
            op::CLOSE_SESSION if self.foreign => Ok((op::CLOSE_SESSION, TxnBody::CloseSession(None))),
            _ if self.foreign => Err(code::UNIMPLEMENTED),
            op::CLOSE_SESSION => {
                let paths = self.owned_by(request.session);
                for path in &paths {
                    self.prepared.insert(path.clone(), (-1, zxid));
                }
                Ok((op::CLOSE_SESSION, TxnBody::CloseSession(Some(CloseSessionTxn { paths2_delete: paths }))))
            }
            op::SET_DATA => {
                let path = r.string("path").map_err(|_| code::UNIMPLEMENTED)?;
                let data = r.buffer("data").map_err(|_| code::UNIMPLEMENTED)?;
                let expected = r.i32("version").map_err(|_| code::UNIMPLEMENTED)?;
                if !path.starts_with(b"/") || path.len() < 2 {
                    return Err(code::UNIMPLEMENTED);
                }
                let before = self.prepared_version(&path);
                if expected != -1 && expected != before {
                    return Err(code::BAD_VERSION);
                }
                let version = before.wrapping_add(1);
                self.prepared.insert(path.clone(), (version, zxid));
                Ok((op::SET_DATA, TxnBody::SetData(SetDataTxn { path, data, version })))
            }
            op::RECONFIG => {
                let data = Some(request.config.clone().unwrap_or(Err(code::RECONFIG_DISABLED))?);
                let path = Bytes::from_static(CONFIG_NODE);
                Ok((op::RECONFIG, TxnBody::SetData(SetDataTxn { path, data, version: -1 })))
            }
            _ => Err(code::UNIMPLEMENTED),
        }
    }
}

impl StateMachine for RegisterMap {
    type SnapshotCursor = Cursor;

    fn prepare(&mut self, zxid: Zxid, wall_ms: i64, request: &WriteRequest<'_>) -> Bytes {
        let (kind, body) = self
            .prepare_body(zxid, request)
            .unwrap_or_else(|err| (op::ERROR, TxnBody::Error(ErrorTxn { err })));
        let header =
            TxnHeader { client_id: request.session, cxid: request.cxid, zxid, time_ms: wall_ms, kind };
        Txn::new(header, body, None).to_bytes()
    }

    fn role_ended(&mut self) {
        self.prepared.clear();
    }

    fn apply(&mut self, zxid: Zxid, txn: &Bytes) -> Applied {
        let Ok(txn) = Txn::decode(txn) else {
            // A record of another state machine: kept in the log, without effect here.
            self.foreign = true;
            if let Some(header) = TxnHeader::peek(txn)
                && header.kind == op::CLOSE_SESSION
            {
                self.close_session(header.client_id);
            }
            return Applied { result: Err(code::UNIMPLEMENTED) };
        };
        match txn.body {
            TxnBody::CreateSession(CreateSessionTxn { time_out }) => {
                self.open_session(txn.header.client_id, time_out);
                Applied { result: Ok(Bytes::new()) }
            }
            TxnBody::CloseSession(close) => {
                let owned = || self.owned_by(txn.header.client_id);
                for path in close.map_or_else(owned, |close| close.paths2_delete) {
                    // Replay over a fuzzy snapshot: a register made again later stays.
                    if self.registers.get(&path).is_some_and(|register| register.czxid < zxid) {
                        self.remove(&path);
                    }
                    if self.prepared.get(&path).is_some_and(|(_, last)| *last == zxid) {
                        self.prepared.swap_remove(&path);
                    }
                }
                self.close_session(txn.header.client_id);
                Applied { result: Ok(Bytes::new()) }
            }
            // The same record.
            TxnBody::SetData(SetDataTxn { data, .. }) if txn.header.kind == op::RECONFIG => {
                let text = data.unwrap_or_default();
                if self.config.as_ref().is_none_or(|(_, before)| *before < zxid) {
                    self.config = Some((text.clone(), zxid));
                }
                Applied { result: Ok(text) }
            }
            TxnBody::SetData(SetDataTxn { path, data, version }) => {
                if self.prepared.get(&path).is_some_and(|(_, last)| *last == zxid) {
                    self.prepared.swap_remove(&path);
                }
                self.set_data(&txn.header, path, data, version)
            }
            TxnBody::Error(ErrorTxn { err }) => Applied { result: Err(err) },
            _ => {
                self.foreign = true;
                Applied { result: Err(code::UNIMPLEMENTED) }
            }
        }
    }

    /// Java's is a multi, of which this machine knows nothing; what has several parts here is the end of a
    /// session that owns registers.
    fn apply_first_part(&mut self, zxid: Zxid, txn: &Bytes) -> bool {
        let Ok(Txn { body: TxnBody::CloseSession(Some(close)), .. }) = Txn::decode(txn) else { return false };
        let Some(path) = close.paths2_delete.first() else { return false };
        if self.registers.get(path).is_some_and(|register| register.czxid < zxid) {
            self.remove(path);
        }
        true
    }

    fn read(&self, kind: i32, body: &Bytes) -> Result<Bytes, i32> {
        if kind != op::GET_DATA || self.foreign {
            return Err(code::UNIMPLEMENTED);
        }
        let path = Reader::new(body.clone()).string("path").map_err(|_| code::UNIMPLEMENTED)?;
        let register = self.registers.get(&path).ok_or(code::NO_NODE)?;
        let mut out = BytesMut::with_capacity(16 + register.data.len());
        wire::jute::put_buffer(&mut out, Some(&register.data));
        out.put_i32(register.version);
        out.put_i64(register.mzxid.0);
        Ok(out.freeze())
    }

    /// Of a history that is not whole, the sessions: what else is in memory depends on how it came, as
    /// a snapshot or as a log.
    fn digest(&self) -> u64 {
        if self.foreign { self.sessions_digest } else { self.digest.wrapping_add(self.sessions_digest) }
    }

    fn is_whole(&self) -> bool {
        !self.foreign
    }

    fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    fn sessions(&self) -> Vec<(SessionId, i32)> {
        self.sessions.iter().map(|(session, timeout)| (*session, *timeout)).collect()
    }

    fn config(&self) -> Option<Bytes> {
        self.config.as_ref().map(|(text, _)| text.clone())
    }

    fn snapshot_begin(&self) -> Cursor {
        Cursor::new(self)
    }

    fn snapshot_slice(&self, cursor: &mut Cursor, max: usize, out: &mut BytesMut) -> bool {
        cursor.write(self, max, out)
    }

    fn clear(&mut self) {
        *self = RegisterMap::default();
    }

    fn restore(&mut self, record: SnapshotRecord) -> Result<(), String> {
        match record {
            SnapshotRecord::Session { id, timeout_ms } => self.open_session(id, timeout_ms),
            SnapshotRecord::AclEntry { .. } => self.foreign = true,
            SnapshotRecord::Node { path, data: Some(text), acl_key: -1, stat }
                if path == CONFIG_NODE && !text.is_empty() =>
            {
                self.config = Some((text, stat.mzxid));
            }
            SnapshotRecord::Node { path, data, acl_key, stat } => {
                if !is_scaffolding(&path, data.as_deref(), acl_key, &stat) {
                    self.foreign |= !is_register(&path, acl_key, &stat);
                    let register = Register {
                        data: data.unwrap_or_default(),
                        version: stat.version,
                        czxid: stat.czxid,
                        mzxid: stat.mzxid,
                        ctime: stat.ctime,
                        mtime: stat.mtime,
                        owner: SessionId(stat.ephemeral_owner),
                        digest: 0,
                    };
                    self.insert(path, register);
                }
            }
        }
        Ok(())
    }
}
