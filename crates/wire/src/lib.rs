//! Bytes to records and back: jute, quorum packets, election notifications, the client protocol,
//! transactions and snapshot records, as ZooKeeper's servers speak and store them. Pure: every parser is
//! total, any bytes give a value or an error, in bounded memory.

pub mod client;
pub mod codec;
pub mod codes;
mod data;
pub mod election;
mod ids;
pub mod jute;
mod packet;
pub mod path;
mod record;
mod snapshot;
mod stream;
mod text;
pub mod txn;

pub use codec::Direction;
pub use codes::{AddWatchMode, CreateMode, ErrorCode, EventType, OpCode, WatcherType, code, op};
pub use data::{Acl, ClientInfo, Id, Stat, StatPersisted};
pub use ids::{Epoch, ServerId, SessionId, Zxid};
pub use jute::{Error, Reader};
pub use packet::{ForwardedRequest, LearnerInfo, Packet, QuorumPacket};
pub use record::{Jute, NullableString, Value};
pub use snapshot::{FileHeader, SnapshotParser, SnapshotRecord, SnapshotWriter, ZxidDigest};
pub use stream::{Inbound, QuorumStream, SNAPSHOT_SIGNATURE};
pub use txn::{Txn, TxnBody, TxnDigest, TxnHeader};
