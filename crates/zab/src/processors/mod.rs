//! Request processors, by ZooKeeper's names, composed by the roles:
//!
//! ```text
//! leader    Prep -> Proposal -> Commit -> ToBeApplied -> Final     Proposal also feeds Sync -> Ack
//! follower  FollowerRequest -> Commit -> Final                     PROPOSALs feed Sync -> SendAck
//! observer  ObserverRequest -> Commit -> Final                     INFORMs feed Sync
//! ```
//!
//! Prep is the state machine's `prepare`, Final its `apply` behind `CommitProcessor`. The two forwarding
//! processors are one, `LearnerRequestProcessor`.

pub mod ack;
pub mod client_sessions;
pub mod commit;
pub mod learner_request;
pub mod proposal;
pub mod send_ack;
pub mod session_ids;
pub mod snapshot;
pub mod sync;
pub mod to_be_applied;

pub use ack::AckRequestProcessor;
pub use client_sessions::ClientSessions;
pub use commit::{CommitProcessor, LocalRequest};
pub use learner_request::LearnerRequestProcessor;
pub use proposal::{PendingSync, ProposalRequestProcessor};
pub use send_ack::SendAckRequestProcessor;
pub use session_ids::SessionIds;
pub use snapshot::SnapshotTaker;
pub use sync::SyncRequestProcessor;
pub use to_be_applied::ToBeAppliedRequestProcessor;
