//! `Request`: the record behind a request's header, by its type. Decoded once where a request enters a
//! server: from a client's connection, or forwarded by a learner.

use bytes::{Bytes, BytesMut};

use super::multi::MultiRequest;
use super::proto::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateRequest,
    CreateSessionRequest, CreateTTLRequest, DeleteRequest, ExistsRequest, GetACLRequest,
    GetAllChildrenNumberRequest, GetChildren2Request, GetChildrenRequest, GetDataRequest,
    GetEphemeralsRequest, GetSASLRequest, ReconfigRequest, RemoveWatchesRequest, SetACLRequest,
    SetDataRequest, SetWatches, SetWatches2, SyncRequest,
};
use crate::codes::op;
use crate::jute::{Error, Reader};
use crate::record::{Jute, Value, records};

/// Why a body is none of its type. The two differ in what a client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// No operation: answered with Unimplemented, and the connection closes.
    #[error("there is no operation {0}")]
    Unimplemented(i32),
    /// Answered with MarshallingError.
    #[error(transparent)]
    Malformed(#[from] Error),
}

records! {
    /// From a leader's container manager.
    DeleteContainerRequest {
        path: Bytes,
    }
}

/// Requests of which the type alone tells the record, then those without a record.
macro_rules! requests {
    (
        $( $variant:ident($record:ty) = $op:ident, )*
        --
        $( $(#[$unit_meta:meta])* $unit:ident = $unit_op:ident, )*
    ) => {
        /// A request by its type. Types that no client may send (check outside a multi, deleteContainer,
        /// createSession) are decoded too: which to accept from whom is for the server to say.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $( $variant($record), )*
            $( $(#[$unit_meta])* $unit, )*
            DeleteContainer(DeleteContainerRequest),
        }

        impl Request {
            /// The request of type `kind` with this body (what follows its header). Bytes behind the
            /// record are ignored.
            pub fn decode(kind: i32, body: Bytes) -> Result<Request, BodyError> {
                let mut r = Reader::new(body);
                Ok(match kind {
                    $( op::$op => Request::$variant(Jute::read(&mut r, stringify!($variant))?), )*
                    $( op::$unit_op => Request::$unit, )*
                    op::DELETE_CONTAINER => Request::DeleteContainer(delete_container(r)?),
                    _ => return Err(BodyError::Unimplemented(kind)),
                })
            }

            /// The type.
            pub fn op(&self) -> i32 {
                match self {
                    $( Request::$variant(_) => op::$op, )*
                    $( Request::$unit => op::$unit_op, )*
                    Request::DeleteContainer(_) => op::DELETE_CONTAINER,
                }
            }

            /// Writes the body (not the header).
            pub fn encode(&self, out: &mut BytesMut) {
                match self {
                    $( Request::$variant(record) => record.write(out), )*
                    $( Request::$unit => {} )*
                    Request::DeleteContainer(record) => record.write(out),
                }
            }

            /// The body as a value to print.
            pub fn value(&self) -> Value {
                match self {
                    $( Request::$variant(record) => record.value(), )*
                    $( Request::$unit => Value::Null, )*
                    Request::DeleteContainer(record) => record.value(),
                }
            }
        }
    };
}

requests! {
    Create(CreateRequest) = CREATE,
    Create2(CreateRequest) = CREATE2,
    CreateContainer(CreateRequest) = CREATE_CONTAINER,
    CreateTTL(CreateTTLRequest) = CREATE_TTL,
    Delete(DeleteRequest) = DELETE,
    Exists(ExistsRequest) = EXISTS,
    GetData(GetDataRequest) = GET_DATA,
    SetData(SetDataRequest) = SET_DATA,
    GetACL(GetACLRequest) = GET_ACL,
    SetACL(SetACLRequest) = SET_ACL,
    GetChildren(GetChildrenRequest) = GET_CHILDREN,
    GetChildren2(GetChildren2Request) = GET_CHILDREN2,
    Sync(SyncRequest) = SYNC,
    Check(CheckVersionRequest) = CHECK,
    Multi(MultiRequest) = MULTI,
    MultiRead(MultiRequest) = MULTI_READ,
    Reconfig(ReconfigRequest) = RECONFIG,
    CheckWatches(CheckWatchesRequest) = CHECK_WATCHES,
    RemoveWatches(RemoveWatchesRequest) = REMOVE_WATCHES,
    AddWatch(AddWatchRequest) = ADD_WATCH,
    SetWatches(SetWatches) = SET_WATCHES,
    SetWatches2(SetWatches2) = SET_WATCHES2,
    Auth(AuthPacket) = AUTH,
    Sasl(GetSASLRequest) = SASL,
    GetEphemerals(GetEphemeralsRequest) = GET_EPHEMERALS,
    GetAllChildrenNumber(GetAllChildrenNumberRequest) = GET_ALL_CHILDREN_NUMBER,
    CreateSession(CreateSessionRequest) = CREATE_SESSION,
    --
    Ping = PING,
    WhoAmI = WHO_AM_I,
    CloseSession = CLOSE_SESSION,
}

/// 3.9 sends the path as a buffer, releases before it as bare bytes; those begin with '/', which is no
/// length that fits.
fn delete_container(r: Reader) -> Result<DeleteContainerRequest, Error> {
    let body = r.rest();
    if body.starts_with(b"/") {
        return Ok(DeleteContainerRequest { path: body });
    }
    DeleteContainerRequest::parse(body)
}
