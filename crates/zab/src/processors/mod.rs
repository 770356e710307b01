//! Request processors, by ZooKeeper's names, composed by the roles:
//!
//! ```text
//! leader    Prep -> Proposal -> Commit -> ToBeApplied -> Final     Proposal also feeds Sync -> Ack
//! follower  FollowerRequest -> Commit -> Final                     PROPOSALs feed Sync -> SendAck
//! observer  ObserverRequest -> Commit -> Final                     INFORMs feed Sync
//! ```

pub mod client_sessions;
pub mod commit;
pub mod snapshot;
pub mod sync;

pub use client_sessions::ClientSessions;
pub use commit::{CommitProcessor, LocalRequest};
pub use snapshot::SnapshotTaker;
pub use sync::SyncRequestProcessor;
