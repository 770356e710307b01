//! multi and multiRead: operations, or their results, with a header before each.
//!
//! ```text
//! { MultiHeader { type, done 0, err -1 } | request } ...  MultiHeader { -1, done 1, -1 }
//! { MultiHeader { type, done 0, err } | result } ...      MultiHeader { -1, done 1, -1 }
//! ```

use bytes::{Bytes, BytesMut};

use super::proto::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTTLRequest, DeleteRequest,
    ErrorResponse, GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse, SetDataRequest,
    SetDataResponse,
};
use crate::codes::{CreateMode, OpCode, op};
use crate::jute::{Error, MAX_VECTOR, Reader};
use crate::record::{Jute, Value, records};

records! {
    #[derive(Copy)]
    MultiHeader {
        /// An `OpCode`; -1 for a failed operation, and in the last header.
        kind "type": i32,
        done: bool,
        /// -1 before requests and in the last header, else the operation's error code.
        err: i32,
    }
}

impl MultiHeader {
    const END: MultiHeader = MultiHeader { kind: -1, done: true, err: -1 };
}

/// An operation of a multi (the first seven) or a multiRead (the other two).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create(CreateRequest),
    Create2(CreateRequest),
    CreateContainer(CreateRequest),
    CreateTTL(CreateTTLRequest),
    Delete(DeleteRequest),
    SetData(SetDataRequest),
    Check(CheckVersionRequest),
    /// Its watch flag is ignored, as is the other's.
    GetChildren(GetChildrenRequest),
    GetData(GetDataRequest),
}

impl Op {
    /// The type in its header, as sent: whether the flags of a create agree is for the server to see.
    pub fn op(&self) -> i32 {
        match self {
            Op::Create(_) => op::CREATE,
            Op::Create2(_) => op::CREATE2,
            Op::CreateContainer(_) => op::CREATE_CONTAINER,
            Op::CreateTTL(_) => op::CREATE_TTL,
            Op::Delete(_) => op::DELETE,
            Op::SetData(_) => op::SET_DATA,
            Op::Check(_) => op::CHECK,
            Op::GetChildren(_) => op::GET_CHILDREN,
            Op::GetData(_) => op::GET_DATA,
        }
    }

    pub fn is_read(&self) -> bool {
        matches!(self, Op::GetChildren(_) | Op::GetData(_))
    }

    fn read(kind: i32, r: &mut Reader) -> Result<Op, Error> {
        let what = "MultiRequest";
        Ok(match kind {
            op::CREATE => Op::Create(plain_create(r)?),
            op::CREATE2 => Op::Create2(plain_create(r)?),
            op::CREATE_CONTAINER => Op::CreateContainer(plain_create(r)?),
            op::CREATE_TTL => Op::CreateTTL(Jute::read(r, what)?),
            op::DELETE => Op::Delete(Jute::read(r, what)?),
            op::SET_DATA => Op::SetData(Jute::read(r, what)?),
            op::CHECK => Op::Check(Jute::read(r, what)?),
            op::GET_CHILDREN => Op::GetChildren(Jute::read(r, what)?),
            op::GET_DATA => Op::GetData(Jute::read(r, what)?),
            _ => {
                return Err(Error::Malformed {
                    what: "MultiHeader.type",
                    expected: "create, create2, createContainer, createTTL, delete, setData, check, \
                               getChildren or getData",
                });
            }
        })
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Op::Create(r) | Op::Create2(r) | Op::CreateContainer(r) => r.write(out),
            Op::CreateTTL(r) => r.write(out),
            Op::Delete(r) => r.write(out),
            Op::SetData(r) => r.write(out),
            Op::Check(r) => r.write(out),
            Op::GetChildren(r) => r.write(out),
            Op::GetData(r) => r.write(out),
        }
    }

    fn value(&self) -> Value {
        let record = match self {
            Op::Create(r) | Op::Create2(r) | Op::CreateContainer(r) => r.value(),
            Op::CreateTTL(r) => r.value(),
            Op::Delete(r) => r.value(),
            Op::SetData(r) => r.value(),
            Op::Check(r) => r.value(),
            Op::GetChildren(r) => r.value(),
            Op::GetData(r) => r.value(),
        };
        named(self.op(), record)
    }
}

/// A create with a mode that needs no ttl. Java cannot decode others inside a multi, and so the whole
/// request fails with MarshallingError.
fn plain_create(r: &mut Reader) -> Result<CreateRequest, Error> {
    let create = CreateRequest::read(r, "CreateRequest")?;
    match CreateMode::of(create.flags) {
        Some(mode) if !mode.is_ttl() => Ok(create),
        _ => Err(Error::Malformed {
            what: "CreateRequest.flags",
            expected: "a create mode without ttl (0 to 4)",
        }),
    }
}

/// Operations to be done all or none (multi), or reads in one packet (multiRead). Reads and writes in
/// one request are an error; no operation at all is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest {
    pub ops: Vec<Op>,
}

impl Jute for MultiRequest {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        let mut ops: Vec<Op> = Vec::new();
        loop {
            let header = MultiHeader::read(r, what)?;
            if header.done {
                return Ok(MultiRequest { ops });
            }
            let next = Op::read(header.kind, r)?;
            if ops.first().is_some_and(|first| first.is_read() != next.is_read()) {
                return Err(Error::Malformed { what: "MultiRequest", expected: "only reads or only writes" });
            }
            push(&mut ops, next)?;
        }
    }
    fn write(&self, out: &mut BytesMut) {
        for op in &self.ops {
            MultiHeader { kind: op.op(), done: false, err: -1 }.write(out);
            op.write(out);
        }
        MultiHeader::END.write(out);
    }
    fn value(&self) -> Value {
        Value::Record("MultiRequest", vec![("ops", Value::List(self.ops.iter().map(Op::value).collect()))])
    }
}

/// What became of an operation. In a multi that failed all are errors: 0 before the one that failed,
/// its code, RuntimeInconsistency (-2) behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    Create(CreateResponse),
    /// Of create2, createContainer and createTTL alike.
    Create2(Create2Response),
    Delete,
    SetData(SetDataResponse),
    Check,
    GetChildren(GetChildrenResponse),
    GetData(GetDataResponse),
    Error(ErrorResponse),
}

impl OpResult {
    /// The type in its header.
    pub fn op(&self) -> i32 {
        match self {
            OpResult::Create(_) => op::CREATE,
            OpResult::Create2(_) => op::CREATE2,
            OpResult::Delete => op::DELETE,
            OpResult::SetData(_) => op::SET_DATA,
            OpResult::Check => op::CHECK,
            OpResult::GetChildren(_) => op::GET_CHILDREN,
            OpResult::GetData(_) => op::GET_DATA,
            OpResult::Error(_) => op::ERROR,
        }
    }

    fn read(kind: i32, r: &mut Reader) -> Result<OpResult, Error> {
        let what = "MultiResponse";
        Ok(match kind {
            op::CREATE => OpResult::Create(Jute::read(r, what)?),
            op::CREATE2 => OpResult::Create2(Jute::read(r, what)?),
            op::DELETE => OpResult::Delete,
            op::SET_DATA => OpResult::SetData(Jute::read(r, what)?),
            op::CHECK => OpResult::Check,
            op::GET_CHILDREN => OpResult::GetChildren(Jute::read(r, what)?),
            op::GET_DATA => OpResult::GetData(Jute::read(r, what)?),
            op::ERROR => OpResult::Error(Jute::read(r, what)?),
            _ => {
                return Err(Error::Malformed {
                    what: "MultiHeader.type",
                    expected: "create, create2, delete, setData, check, getChildren, getData or error",
                });
            }
        })
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            OpResult::Create(r) => r.write(out),
            OpResult::Create2(r) => r.write(out),
            OpResult::SetData(r) => r.write(out),
            OpResult::GetChildren(r) => r.write(out),
            OpResult::GetData(r) => r.write(out),
            OpResult::Error(r) => r.write(out),
            OpResult::Delete | OpResult::Check => {}
        }
    }

    fn value(&self) -> Value {
        let record = match self {
            OpResult::Create(r) => r.value(),
            OpResult::Create2(r) => r.value(),
            OpResult::SetData(r) => r.value(),
            OpResult::GetChildren(r) => r.value(),
            OpResult::GetData(r) => r.value(),
            OpResult::Error(r) => r.value(),
            OpResult::Delete | OpResult::Check => Value::Null,
        };
        named(self.op(), record)
    }
}

/// The record's fields behind the name of the operation.
fn named(op: i32, record: Value) -> Value {
    let name = OpCode::of(op).map_or("", OpCode::name);
    let mut named = vec![("op", Value::String(Bytes::from_static(name.as_bytes())))];
    if let Value::Record(_, fields) = record {
        named.extend(fields);
    }
    Value::Record("Op", named)
}

/// A result for each operation, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiResponse {
    pub results: Vec<OpResult>,
}

impl Jute for MultiResponse {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::read(r, what)?;
            if header.done {
                return Ok(MultiResponse { results });
            }
            push(&mut results, OpResult::read(header.kind, r)?)?;
        }
    }
    fn write(&self, out: &mut BytesMut) {
        for result in &self.results {
            let err = if let OpResult::Error(error) = result { error.err } else { 0 };
            MultiHeader { kind: result.op(), done: false, err }.write(out);
            result.write(out);
        }
        MultiHeader::END.write(out);
    }
    fn value(&self) -> Value {
        let results = self.results.iter().map(OpResult::value).collect();
        Value::Record("MultiResponse", vec![("results", Value::List(results))])
    }
}

/// The list ends with its packet; this bounds it where the reader holds more than one.
fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Error> {
    if list.len() >= MAX_VECTOR as usize {
        return Err(Error::Length { what: "multi", length: list.len() as i64 });
    }
    list.push(item);
    Ok(())
}
