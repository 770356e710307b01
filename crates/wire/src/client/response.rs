//! `Response`: the record behind a reply's header, by the type of the request; and `Reply`, both.

use bytes::{Bytes, BytesMut};

use super::multi::MultiResponse;
use super::proto::{
    Create2Response, CreateResponse, ErrorResponse, ExistsResponse, GetACLResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, ReplyHeader, SetACLResponse, SetDataResponse, SetSASLResponse, SyncResponse,
    WatcherEvent, WhoAmIResponse,
};
use super::request::BodyError;
use crate::codes::{op, xid};
use crate::jute::Reader;
use crate::record::{Jute, Value};

/// Responses with a record, and the types of requests they answer.
macro_rules! responses {
    ( $( $variant:ident($record:ty) = $($op:ident)|+, )* ) => {
        /// A response by its record.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Response {
            $( $variant($record), )*
            /// A notification: the answer to no request.
            Event(WatcherEvent),
            /// No record: delete, ping, auth, closeSession, setWatches, checkWatches and others.
            Empty,
        }

        impl Response {
            /// The record that answers a request of type `kind` which went well.
            pub fn decode(kind: i32, body: Bytes) -> Result<Response, BodyError> {
                let mut r = Reader::new(body);
                Ok(match kind {
                    $( $( op::$op )|+ => Response::$variant(Jute::read(&mut r, stringify!($variant))?), )*
                    op::NOTIFICATION => Response::Event(Jute::read(&mut r, "WatcherEvent")?),
                    op::DELETE | op::PING | op::CHECK | op::CHECK_WATCHES | op::REMOVE_WATCHES => Response::Empty,
                    op::AUTH | op::SET_WATCHES | op::SET_WATCHES2 | op::CLOSE_SESSION => Response::Empty,
                    op::DELETE_CONTAINER => Response::Empty,
                    _ => return Err(BodyError::Unimplemented(kind)),
                })
            }

            pub fn encode(&self, out: &mut BytesMut) {
                match self {
                    $( Response::$variant(record) => record.write(out), )*
                    Response::Event(event) => event.write(out),
                    Response::Empty => {}
                }
            }

            pub fn value(&self) -> Value {
                match self {
                    $( Response::$variant(record) => record.value(), )*
                    Response::Event(event) => event.value(),
                    Response::Empty => Value::Null,
                }
            }
        }
    };
}

responses! {
    Create(CreateResponse) = CREATE,
    Create2(Create2Response) = CREATE2 | CREATE_CONTAINER | CREATE_TTL,
    Exists(ExistsResponse) = EXISTS,
    GetData(GetDataResponse) = GET_DATA | RECONFIG,
    SetData(SetDataResponse) = SET_DATA,
    GetACL(GetACLResponse) = GET_ACL,
    SetACL(SetACLResponse) = SET_ACL,
    GetChildren(GetChildrenResponse) = GET_CHILDREN,
    GetChildren2(GetChildren2Response) = GET_CHILDREN2,
    Sync(SyncResponse) = SYNC,
    Multi(MultiResponse) = MULTI | MULTI_READ,
    AddWatch(ErrorResponse) = ADD_WATCH,
    Sasl(SetSASLResponse) = SASL,
    GetEphemerals(GetEphemeralsResponse) = GET_EPHEMERALS,
    GetAllChildrenNumber(GetAllChildrenNumberResponse) = GET_ALL_CHILDREN_NUMBER,
    WhoAmI(WhoAmIResponse) = WHO_AM_I,
}

/// A packet of a server behind its first: header and record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub header: ReplyHeader,
    pub response: Response,
}

impl Reply {
    /// A packet's body as the reply to a request of type `kind`, or as the notification that its xid says
    /// it is (`kind` then does not matter).
    pub fn decode(kind: i32, packet: Bytes) -> Result<Reply, BodyError> {
        let mut r = Reader::new(packet);
        let header = ReplyHeader::read(&mut r, "ReplyHeader")?;
        let body = r.rest();
        let response = match header {
            ReplyHeader { xid: xid::NOTIFICATION, .. } => Response::decode(op::NOTIFICATION, body)?,
            // A failed SASL step is the only error with a record.
            ReplyHeader { err, .. } if err != 0 && (kind != op::SASL || body.is_empty()) => Response::Empty,
            _ => Response::decode(kind, body)?,
        };
        Ok(Reply { header, response })
    }

    /// Writes the packet's body (not its length).
    pub fn encode(&self, out: &mut BytesMut) {
        self.header.write(out);
        self.response.encode(out);
    }
}
