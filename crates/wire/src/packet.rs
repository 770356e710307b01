//! Quorum packets, typed: what a leader and its learners say to each other.
//!
//! `QuorumPacket` is the raw record of the wire; `Packet` is what it means. Parsed at once on
//! arrival, so that no machine ever reads `zxid` or `data` under the wrong meaning.

use bytes::Bytes;

use crate::ids::{Epoch, ServerId, SessionId, Zxid};
use crate::jute::Id;

/// The raw record: `i32 type | i64 zxid | buffer data | vector<Id> authinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumPacket {
    pub kind: i32,
    pub zxid: Zxid,
    /// `None` is the null buffer (-1), which differs from an empty one.
    pub data: Option<Bytes>,
    pub authinfo: Option<Vec<Id>>,
}

/// LearnerInfo in FOLLOWERINFO and OBSERVERINFO, in its historical forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnerInfo {
    /// Null data (before 3.4).
    Absent,
    /// 8 bytes: the server id alone.
    Sid(ServerId),
    /// 12 bytes (3.4).
    V34 { sid: ServerId, protocol: i32 },
    /// 20 bytes (3.5+).
    V35 { sid: ServerId, protocol: i32, config_version: i64 },
}

/// A forwarded client request: `i64 session | i32 cxid | i32 type | body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    pub session: SessionId,
    pub cxid: i32,
    pub op: i32,
    pub body: Bytes,
    pub authinfo: Option<Vec<Id>>,
}

/// A quorum packet by meaning. `Display` prints it as transcripts and traces show it, and
/// `FromStr` (used by conversation tests) reads the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Request(ForwardedRequest),
    Proposal {
        zxid: Zxid,
        txn: Bytes,
    },
    Ack {
        zxid: Zxid,
    },
    Commit {
        zxid: Zxid,
    },
    /// `touched`: null from the leader; from a learner the raw touch table (12 bytes a session).
    Ping {
        zxid: Zxid,
        touched: Option<Bytes>,
    },
    /// Learner to leader: session and timeout.
    Revalidate {
        session: SessionId,
        timeout_ms: i32,
    },
    /// Leader to learner.
    Revalidated {
        session: SessionId,
        valid: bool,
    },
    Sync {
        zxid: Zxid,
    },
    Inform {
        zxid: Zxid,
        txn: Bytes,
    },
    CommitAndActivate {
        zxid: Zxid,
        leader: ServerId,
    },
    NewLeader {
        zxid: Zxid,
        config: Option<Bytes>,
    },
    FollowerInfo {
        accepted: Zxid,
        info: LearnerInfo,
    },
    UpToDate,
    Diff {
        zxid: Zxid,
    },
    Trunc {
        zxid: Zxid,
    },
    Snap {
        zxid: Zxid,
    },
    ObserverInfo {
        accepted: Zxid,
        info: LearnerInfo,
    },
    LeaderInfo {
        zxid: Zxid,
        protocol: i32,
    },
    /// `current_epoch` is -1 where the learner had accepted this epoch already.
    AckEpoch {
        last_zxid: Zxid,
        current_epoch: Epoch,
    },
    InformAndActivate {
        zxid: Zxid,
        leader: ServerId,
        txn: Bytes,
    },
    /// A type no release knows: logged and ignored by those who may.
    Unknown(QuorumPacket),
}
