//! Transactions as they stand in logs and travel in PROPOSALs: `TxnHeader | body | [TxnDigest]`.
//!
//! Which record the body is, the header's type tells:
//!
//! | type | body |
//! |---|---|
//! | create, create2 | [`CreateTxn`]; without `parentCVersion` from releases before 3.4 ([`CreateTxnV0`]) |
//! | createTTL | [`CreateTTLTxn`] |
//! | createContainer | [`CreateContainerTxn`] |
//! | delete, deleteContainer | [`DeleteTxn`] |
//! | setData, reconfig | [`SetDataTxn`] |
//! | setACL | [`SetACLTxn`] |
//! | check (in a multi only) | [`CheckVersionTxn`] |
//! | createSession | [`CreateSessionTxn`] |
//! | closeSession | [`CloseSessionTxn`]; nothing from releases before 3.6 |
//! | error | [`ErrorTxn`] |
//! | multi | [`MultiTxn`] |

use bytes::{BufMut, Bytes, BytesMut};

pub use crate::codes::{code, op};
use crate::data::Acl;
use crate::ids::{SessionId, Zxid};
use crate::jute::{Error, Reader, put_buffer};
use crate::record::{Jute, Value, records};

records! {
    /// 32 bytes.
    #[derive(Copy)]
    TxnHeader {
        client_id "clientId": SessionId,
        cxid: i32,
        zxid: Zxid,
        /// The leader's clock, milliseconds since 1970.
        time_ms "time": i64,
        /// An `OpCode`.
        kind "type": i32,
    }

    /// The digest of the tree once the transaction is applied (3.6+): 12 bytes.
    #[derive(Copy)]
    TxnDigest {
        /// Of the algorithm: 2.
        version: i32,
        tree_digest "treeDigest": i64,
    }

    CreateTxn {
        path: Bytes,
        data: Option<Bytes>,
        /// Null stands for the open ACL.
        acl: Option<Vec<Acl>>,
        ephemeral: bool,
        /// The parent's cversion once this is applied; -1: one more than it has.
        parent_c_version "parentCVersion": i32,
    }

    CreateTxnV0 {
        path: Bytes,
        data: Option<Bytes>,
        acl: Option<Vec<Acl>>,
        ephemeral: bool,
    }

    CreateTTLTxn {
        path: Bytes,
        data: Option<Bytes>,
        acl: Option<Vec<Acl>>,
        parent_c_version "parentCVersion": i32,
        /// Milliseconds; whoever sent it may have put anything here.
        ttl: i64,
    }

    CreateContainerTxn {
        path: Bytes,
        data: Option<Bytes>,
        acl: Option<Vec<Acl>>,
        parent_c_version "parentCVersion": i32,
    }

    DeleteTxn {
        path: Bytes,
    }

    SetDataTxn {
        path: Bytes,
        data: Option<Bytes>,
        /// The version that the node gets.
        version: i32,
    }

    /// Nothing to apply.
    CheckVersionTxn {
        path: Bytes,
        version: i32,
    }

    SetACLTxn {
        path: Bytes,
        acl: Option<Vec<Acl>>,
        /// The aversion that the node gets.
        version: i32,
    }

    /// Declared by ZooKeeper, the type of no transaction.
    SetMaxChildrenTxn {
        path: Bytes,
        max: i32,
    }

    CreateSessionTxn {
        /// Milliseconds.
        time_out "timeOut": i32,
    }

    CloseSessionTxn {
        /// The session's ephemerals when it was closed.
        paths2_delete "paths2Delete": Vec<Bytes>,
    }

    ErrorTxn {
        err: i32,
    }

    /// A transaction of a multi (`Txn` in `zookeeper.jute`). See [`SubTxn::body`].
    SubTxn {
        kind "type": i32,
        data: Option<Bytes>,
    }

    /// All or nothing: if any has type -1, nothing is to be applied ([`MultiTxn::failed`]).
    MultiTxn {
        txns: Vec<SubTxn>,
    }
}

impl TxnHeader {
    pub const LEN: usize = 32;

    pub fn decode(r: &mut Reader) -> Result<TxnHeader, Error> {
        TxnHeader::read(r, "TxnHeader")
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
        self.write(out);
    }
}

impl TxnDigest {
    const LEN: usize = 12;
}

/// A transaction's body by its record. Two types share a record where their effect is the same; the
/// header (or the `SubTxn`) has the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnBody {
    Create(CreateTxn),
    /// To be applied as a create with `parentCVersion` -1.
    CreateV0(CreateTxnV0),
    CreateTTL(CreateTTLTxn),
    CreateContainer(CreateContainerTxn),
    Delete(DeleteTxn),
    SetData(SetDataTxn),
    SetACL(SetACLTxn),
    CheckVersion(CheckVersionTxn),
    CreateSession(CreateSessionTxn),
    /// `None`: the body of releases before 3.6, and of those told to write none. The ephemerals are
    /// then those of whoever applies it.
    CloseSession(Option<CloseSessionTxn>),
    Error(ErrorTxn),
    Multi(MultiTxn),
    /// A type that no release knows.
    Other(Bytes),
}

impl TxnBody {
    /// What path and data take, for room to be made once.
    fn usual_len(&self) -> usize {
        let (path, data) = match self {
            TxnBody::Create(CreateTxn { path, data, .. })
            | TxnBody::SetData(SetDataTxn { path, data, .. }) => (path, data.as_ref()),
            TxnBody::Delete(DeleteTxn { path }) => (path, None),
            _ => return 0,
        };
        path.len() + data.map_or(0, Bytes::len)
    }

    /// Reads the body of a transaction of this type; what is behind it stays in the reader.
    pub fn read(kind: i32, r: &mut Reader) -> Result<TxnBody, Error> {
        let what = "TxnBody";
        Ok(match kind {
            op::CREATE | op::CREATE2 => return read_create(r),
            op::CREATE_TTL => TxnBody::CreateTTL(Jute::read(r, what)?),
            op::CREATE_CONTAINER => TxnBody::CreateContainer(Jute::read(r, what)?),
            op::DELETE | op::DELETE_CONTAINER => TxnBody::Delete(Jute::read(r, what)?),
            op::SET_DATA | op::RECONFIG => TxnBody::SetData(Jute::read(r, what)?),
            op::SET_ACL => TxnBody::SetACL(Jute::read(r, what)?),
            op::CHECK => TxnBody::CheckVersion(Jute::read(r, what)?),
            op::CREATE_SESSION => TxnBody::CreateSession(Jute::read(r, what)?),
            op::CLOSE_SESSION => TxnBody::CloseSession(read_close_session(r)?),
            op::ERROR => TxnBody::Error(Jute::read(r, what)?),
            op::MULTI => TxnBody::Multi(Jute::read(r, what)?),
            _ => TxnBody::Other(r.take(what, r.remaining())?),
        })
    }

    pub fn write(&self, out: &mut BytesMut) {
        match self {
            TxnBody::Create(txn) => txn.write(out),
            TxnBody::CreateV0(txn) => txn.write(out),
            TxnBody::CreateTTL(txn) => txn.write(out),
            TxnBody::CreateContainer(txn) => txn.write(out),
            TxnBody::Delete(txn) => txn.write(out),
            TxnBody::SetData(txn) => txn.write(out),
            TxnBody::SetACL(txn) => txn.write(out),
            TxnBody::CheckVersion(txn) => txn.write(out),
            TxnBody::CreateSession(txn) => txn.write(out),
            TxnBody::CloseSession(Some(txn)) => txn.write(out),
            TxnBody::CloseSession(None) => {}
            TxnBody::Error(txn) => txn.write(out),
            TxnBody::Multi(txn) => txn.write(out),
            TxnBody::Other(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// The record as a value to print; the parts of a multi with their records, not their bytes.
    pub fn value(&self) -> Value {
        match self {
            TxnBody::Create(txn) => txn.value(),
            TxnBody::CreateV0(txn) => txn.value(),
            TxnBody::CreateTTL(txn) => txn.value(),
            TxnBody::CreateContainer(txn) => txn.value(),
            TxnBody::Delete(txn) => txn.value(),
            TxnBody::SetData(txn) => txn.value(),
            TxnBody::SetACL(txn) => txn.value(),
            TxnBody::CheckVersion(txn) => txn.value(),
            TxnBody::CreateSession(txn) => txn.value(),
            TxnBody::CloseSession(Some(txn)) => txn.value(),
            TxnBody::CloseSession(None) => Value::Null,
            TxnBody::Error(txn) => txn.value(),
            TxnBody::Multi(multi) => {
                let parts = multi.txns.iter().map(|part| match part.body() {
                    Ok(body) => Value::Record(
                        "Txn",
                        vec![
                            ("type", Value::Int(i64::from(part.kind))),
                            ("txn", body.map_or(Value::Null, |body| body.value())),
                        ],
                    ),
                    Err(_) => part.value(),
                });
                Value::Record("MultiTxn", vec![("txns", Value::List(parts.collect()))])
            }
            TxnBody::Other(bytes) => Value::Buffer(bytes.clone()),
        }
    }
}

/// Too short for a `parentCVersion` behind the rest: the record of before 3.4. No digest follows that one.
fn read_create(r: &mut Reader) -> Result<TxnBody, Error> {
    let v0 = CreateTxnV0::read(r, "CreateTxn")?;
    if r.remaining() < 4 {
        return Ok(TxnBody::CreateV0(v0));
    }
    let CreateTxnV0 { path, data, acl, ephemeral } = v0;
    let parent_c_version = r.i32("CreateTxn.parentCVersion")?;
    Ok(TxnBody::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version }))
}

/// | left of the transaction | |
/// |---|---|
/// | fewer bytes than a count | no record (before 3.6) |
/// | a digest and nothing else | no record (3.6+ with `closeSessionTxn.enabled=false`): as a record it would list two empty paths |
/// | other | the record |
fn read_close_session(r: &mut Reader) -> Result<Option<CloseSessionTxn>, Error> {
    if r.remaining() < 4 {
        return Ok(None);
    }
    let mut ahead = r.clone();
    let first = ahead.i32("CloseSessionTxn.paths2Delete")?;
    if r.remaining() == TxnDigest::LEN && first == 2 {
        return Ok(None);
    }
    CloseSessionTxn::read(r, "CloseSessionTxn").map(Some)
}

impl SubTxn {
    pub fn new(kind: i32, body: &TxnBody) -> SubTxn {
        let mut data = BytesMut::new();
        body.write(&mut data);
        SubTxn { kind, data: Some(data.freeze()) }
    }

    /// The record, or `None` for one that failed. There the type says it all: the data may be an
    /// `ErrorTxn`, or still be the record of the operation that it was (Java retypes such a one in memory
    /// while it waits to be written).
    pub fn body(&self) -> Result<Option<TxnBody>, Error> {
        if self.kind == op::ERROR {
            return Ok(None);
        }
        let data =
            self.data.clone().ok_or(Error::Malformed { what: "Txn.data", expected: "a record, not null" })?;
        TxnBody::read(self.kind, &mut Reader::new(data)).map(Some)
    }
}

impl MultiTxn {
    /// Nothing of it is to be applied.
    pub fn failed(&self) -> bool {
        self.txns.iter().any(|txn| txn.kind == op::ERROR)
    }
}

/// A whole transaction: an entry of a log, the data of a PROPOSAL or INFORM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub header: TxnHeader,
    pub body: TxnBody,
    /// 3.6+, where digests are on.
    pub digest: Option<TxnDigest>,
    /// Whatever follows; ignored, kept.
    pub rest: Bytes,
}

impl Txn {
    /// A transaction as we write it.
    pub fn new(header: TxnHeader, body: TxnBody, digest: Option<TxnDigest>) -> Txn {
        Txn { header, body, digest, rest: Bytes::new() }
    }

    pub fn decode(bytes: &Bytes) -> Result<Txn, Error> {
        let mut r = Reader::new(bytes.clone());
        let header = TxnHeader::decode(&mut r)?;
        let body = TxnBody::read(header.kind, &mut r)?;
        let digest = match r.remaining() {
            TxnDigest::LEN.. => Some(TxnDigest::read(&mut r, "TxnDigest")?),
            _ => None,
        };
        Ok(Txn { header, body, digest, rest: r.rest() })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        self.header.write(out);
        self.body.write(out);
        if let Some(digest) = &self.digest {
            digest.write(out);
        }
        out.extend_from_slice(&self.rest);
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(96 + self.body.usual_len());
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
