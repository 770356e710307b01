//! Transactions: TxnHeader, the bodies that the register map needs, and requests' records.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{SessionId, Zxid};
use crate::jute::{Error, Reader, put_buffer};

/// Types of requests and transactions (`ZooDefs.OpCode`).
pub mod op {
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const EXISTS: i32 = 3;
    pub const GET_DATA: i32 = 4;
    pub const SET_DATA: i32 = 5;
    pub const GET_ACL: i32 = 6;
    pub const SET_ACL: i32 = 7;
    pub const GET_CHILDREN: i32 = 8;
    pub const SYNC: i32 = 9;
    pub const PING: i32 = 11;
    pub const GET_CHILDREN2: i32 = 12;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE2: i32 = 15;
    pub const RECONFIG: i32 = 16;
    pub const CREATE_CONTAINER: i32 = 19;
    pub const DELETE_CONTAINER: i32 = 20;
    pub const CREATE_TTL: i32 = 21;
    pub const CREATE_SESSION: i32 = -10;
    pub const CLOSE_SESSION: i32 = -11;
    pub const ERROR: i32 = -1;

    /// Becomes a transaction: what `FollowerRequestProcessor` ships to the leader, sync excepted.
    pub fn is_write(op: i32) -> bool {
        matches!(
            op,
            CREATE
                | CREATE2
                | CREATE_TTL
                | CREATE_CONTAINER
                | DELETE
                | DELETE_CONTAINER
                | SET_DATA
                | RECONFIG
                | SET_ACL
                | MULTI
                | CHECK
                | CREATE_SESSION
                | CLOSE_SESSION
        )
    }
}

/// Error codes of ZooKeeper's clients.
pub mod code {
    pub const UNIMPLEMENTED: i32 = -6;
    pub const NO_NODE: i32 = -101;
    pub const BAD_VERSION: i32 = -103;
    pub const SESSION_EXPIRED: i32 = -112;
    pub const SESSION_MOVED: i32 = -118;
}

/// 32 bytes: client id, cxid, zxid, time in ms, type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    pub client_id: SessionId,
    pub cxid: i32,
    pub zxid: Zxid,
    pub time_ms: i64,
    pub kind: i32,
}

impl TxnHeader {
    pub const LEN: usize = 32;

    pub fn decode(r: &mut Reader) -> Result<TxnHeader, Error> {
        Ok(TxnHeader {
            client_id: SessionId(r.i64("txn client id")?),
            cxid: r.i32("txn cxid")?,
            zxid: Zxid(r.i64("txn zxid")?),
            time_ms: r.i64("txn time")?,
            kind: r.i32("txn type")?,
        })
    }

    /// The header at the front of a transaction, without touching reference counts.
    pub fn peek(txn: &[u8]) -> Option<TxnHeader> {
        let long = |at: usize| Some(i64::from_be_bytes(txn.get(at..at + 8)?.try_into().ok()?));
        let int = |at: usize| Some(i32::from_be_bytes(txn.get(at..at + 4)?.try_into().ok()?));
        Some(TxnHeader {
            client_id: SessionId(long(0)?),
            cxid: int(8)?,
            zxid: Zxid(long(12)?),
            time_ms: long(20)?,
            kind: int(28)?,
        })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        out.put_i64(self.client_id.0);
        out.put_i32(self.cxid);
        out.put_i64(self.zxid.0);
        out.put_i64(self.time_ms);
        out.put_i32(self.kind);
    }
}

/// The bodies that the register map knows; everything else stays bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnBody {
    CreateSession {
        timeout_ms: i32,
    },
    /// `None`: the body of releases before 3.6.
    CloseSession {
        paths: Option<Vec<Bytes>>,
    },
    SetData {
        path: Bytes,
        data: Option<Bytes>,
        version: i32,
    },
    Error {
        code: i32,
    },
    Other(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub header: TxnHeader,
    pub body: TxnBody,
    /// TxnDigest of 3.6+ and whatever follows; ignored, kept.
    pub rest: Bytes,
}

impl Txn {
    pub fn decode(bytes: &Bytes) -> Result<Txn, Error> {
        let mut r = Reader::new(bytes.clone());
        let header = TxnHeader::decode(&mut r)?;
        let body = match header.kind {
            op::CREATE_SESSION => TxnBody::CreateSession { timeout_ms: r.i32("createSession timeout")? },
            op::CLOSE_SESSION if r.remaining() == 0 => TxnBody::CloseSession { paths: None },
            op::CLOSE_SESSION => {
                let count = r.count("closeSession paths")?.unwrap_or(0);
                let mut paths = Vec::new();
                for _ in 0..count {
                    paths.push(r.string("closeSession path")?);
                }
                TxnBody::CloseSession { paths: Some(paths) }
            }
            op::SET_DATA => TxnBody::SetData {
                path: r.string("setData path")?,
                data: r.buffer("setData data")?,
                version: r.i32("setData version")?,
            },
            op::ERROR => TxnBody::Error { code: r.i32("error code")? },
            _ => return Ok(Txn { header, body: TxnBody::Other(r.rest()), rest: Bytes::new() }),
        };
        Ok(Txn { header, body, rest: r.rest() })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        self.header.encode(out);
        match &self.body {
            TxnBody::CreateSession { timeout_ms } => out.put_i32(*timeout_ms),
            TxnBody::CloseSession { paths: None } => {}
            TxnBody::CloseSession { paths: Some(paths) } => {
                out.put_i32(i32::try_from(paths.len()).expect("fewer than 2^31 paths"));
                for path in paths {
                    put_buffer(out, Some(path));
                }
            }
            TxnBody::SetData { path, data, version } => {
                put_buffer(out, Some(path));
                put_buffer(out, data.as_deref());
                out.put_i32(*version);
            }
            TxnBody::Error { code } => out.put_i32(*code),
            TxnBody::Other(bytes) => out.extend_from_slice(bytes),
        }
        out.extend_from_slice(&self.rest);
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(96);
        self.encode(&mut out);
        out.freeze()
    }
}

/// SetDataRequest: path, data, expected version (-1: any).
pub fn set_data_request(path: &[u8], data: &[u8], version: i32) -> Bytes {
    let mut out = BytesMut::with_capacity(12 + path.len() + data.len());
    put_buffer(&mut out, Some(path));
    put_buffer(&mut out, Some(data));
    out.put_i32(version);
    out.freeze()
}

/// GetDataRequest: path, watch.
pub fn get_data_request(path: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(5 + path.len());
    put_buffer(&mut out, Some(path));
    out.put_u8(0);
    out.freeze()
}

/// SyncRequest: path.
pub fn sync_request(path: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + path.len());
    put_buffer(&mut out, Some(path));
    out.freeze()
}

/// A table of touched sessions in a PING: 12 bytes each.
pub fn touched_sessions(table: &[u8]) -> impl Iterator<Item = (SessionId, i32)> + '_ {
    table.chunks_exact(12).map(|entry| {
        let session = i64::from_be_bytes(entry[..8].try_into().expect("eight bytes"));
        let timeout = i32::from_be_bytes(entry[8..].try_into().expect("four bytes"));
        (SessionId(session), timeout)
    })
}
