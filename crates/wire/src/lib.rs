//! Bytes to records and back: jute, quorum packets, election notifications, transactions and
//! snapshot records, as ZooKeeper's servers speak and store them. Pure: every parser is total, any
//! bytes give a value or an error, in bounded memory.

pub mod codec;
pub mod election;
mod ids;
pub mod jute;
mod packet;
mod snapshot;
mod stream;
mod text;
pub mod txn;

pub use codec::Direction;
pub use ids::{Epoch, ServerId, SessionId, Zxid};
pub use jute::{Error, Id, Reader};
pub use packet::{ForwardedRequest, LearnerInfo, Packet, QuorumPacket};
pub use snapshot::{Acl, SnapshotParser, SnapshotRecord, SnapshotWriter, StatPersisted};
pub use stream::{Inbound, QuorumStream, SNAPSHOT_SIGNATURE};
pub use txn::{Txn, TxnBody, TxnHeader, code, op};
