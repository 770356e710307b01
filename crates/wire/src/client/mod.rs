//! What clients and servers say to each other on the client port.
//!
//! Every packet, both ways, is `i32 length | body`. A client's first is a [`ConnectRequest`], all
//! others `RequestHeader | record`; a server's first is a [`ConnectResponse`], all others
//! `ReplyHeader | record`, where an error or an operation without an answer has no record.
//!
//! [`ClientStream`] cuts a client's bytes into packets; [`Request`], [`Response`] and [`Reply`] tell
//! by the operation which record a packet holds; [`MultiRequest`] and [`MultiResponse`] are lists of
//! operations with headers between them. The other records are plain ones, with ZooKeeper's names.

mod connect;
mod multi;
mod proto;
mod request;
mod response;
mod stream;

pub use connect::{ConnectRequest, ConnectResponse};
pub use multi::{MultiHeader, MultiRequest, MultiResponse, Op, OpResult};
pub use proto::*;
pub use request::{BodyError, DeleteContainerRequest, Request};
pub use response::{Reply, Response};
pub use stream::{ClientInbound, ClientStream, DEFAULT_JUTE_MAXBUFFER, FrameStream, put_frame};
