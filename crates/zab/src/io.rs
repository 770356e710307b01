//! Inputs and outputs of a member: the one seam between the machines and their hosts.
//!
//! A host calls `Peer::handle(now, input, &mut outbox)` for everything that happens and then
//! carries out the outbox in order. It calls again with `Input::Deadline` when
//! `Peer::next_deadline()` has come.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::{Id, ServerId, SessionId, Zxid};

use crate::disk::{DiskDone, DiskOp, OpId};
use crate::event::Event;

/// A connection as one member knows it. Hosts number accepted connections with the top bit set,
/// the member numbers those that it dials from 1 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(pub u64);

impl ConnId {
    pub const ACCEPTED: u64 = 1 << 63;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    Election,
    Quorum,
}

/// A client's connection to this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u64);

/// Work that Java does on a thread of its own. The node runs it at once, the simulator may delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// A LearnerHandler's sender: write out what is queued for this learner.
    LearnerSender(ConnId),
    /// SyncRequestProcessor: hand queued transactions to the disk, one group commit.
    SyncProcessor,
    /// CommitProcessor: apply what is committed, answer local clients.
    CommitProcessor,
    /// Write the next slice of a snapshot (to the disk).
    Snapshot,
    /// Write the next slice of a snapshot to this learner.
    SnapshotSender(ConnId),
    /// Only where that is a step of its own (`sync-range-not-atomic`): a learner that was told what is
    /// committed begins to get what is proposed.
    StartForwarding(ConnId),
}

/// Why a connection ended, as the host saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloseReason {
    /// The other side closed in order (FIN).
    Eof,
    Reset,
    /// A dial was answered by a refusal.
    Refused,
    /// A dial was never answered.
    Unreachable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The process starts.
    Boot,
    Accepted {
        conn: ConnId,
        port: Port,
    },
    /// A client connected (to the client port, whatever its name is here). `from`: its address in words.
    ClientAccepted {
        conn: ConnId,
        from: String,
    },
    Connected {
        conn: ConnId,
    },
    /// The connection is gone; also the answer to a failed `Connect`. Never follows our `Close`.
    Closed {
        conn: ConnId,
        reason: CloseReason,
    },
    Received {
        conn: ConnId,
        #[serde(with = "crate::hex")]
        bytes: Bytes,
    },
    /// Everything sent on `conn` up to the `Send` with `notify` was taken by the transport.
    Drained {
        conn: ConnId,
    },
    Disk(DiskDone),
    Client(ClientInput),
    Run(Task),
    Deadline,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Output {
    /// Accept connections on this port from now on.
    Listen(Port),
    /// Stop accepting; dials are refused. Connections stay.
    StopListening(Port),
    Connect {
        conn: ConnId,
        to: ServerId,
        port: Port,
    },
    /// `notify`: answer with `Input::Drained` when the transport took this.
    Send {
        conn: ConnId,
        #[serde(with = "crate::hex")]
        bytes: Bytes,
        notify: bool,
    },
    Close {
        conn: ConnId,
    },
    /// Read this client's connection, or leave what comes with the transport until told otherwise. What was
    /// read already may still be handed over. A connection begins with `on`.
    Reading {
        conn: ConnId,
        on: bool,
    },
    Disk {
        id: OpId,
        op: DiskOp,
    },
    Client(ClientOutput),
    Schedule(Task),
    Event(Event),
    /// The member gives up for good: the process ends.
    Halt {
        why: Halt,
    },
}

/// Why a member gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Halt {
    /// A disk that failed, or files that it must not go on with.
    #[error("{0}")]
    Disk(String),
    /// A configuration that it must not go by, or could not keep.
    #[error("{0}")]
    Config(String),
}

/// A client's side of its connection. `op` and `body` are ZooKeeper's (REQUEST payload).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientInput {
    /// A new session, or (`resume`) an existing one on this member.
    Connect {
        client: ClientId,
        resume: Option<SessionId>,
        timeout_ms: i32,
        last_zxid: Zxid,
        /// Who the client is: `ip` and its address (Java gives it to every connection), and what else the
        /// host knows. Every request of the connection carries it to the leader.
        auth: Vec<Id>,
    },
    /// The client proved to be somebody more (`addAuthInfo`).
    AddAuth {
        client: ClientId,
        id: Id,
    },
    Request {
        client: ClientId,
        cxid: i32,
        op: i32,
        #[serde(with = "crate::hex")]
        body: Bytes,
    },
    Ping {
        client: ClientId,
    },
    Disconnect {
        client: ClientId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ClientOutput {
    Connected {
        client: ClientId,
        session: SessionId,
        timeout_ms: i32,
    },
    /// The session is expired or unknown.
    Expired {
        client: ClientId,
    },
    /// `result`: the reply record, or ZooKeeper's error code.
    Reply {
        client: ClientId,
        cxid: i32,
        zxid: Zxid,
        result: Result<Bytes, i32>,
    },
    /// A watch fired. `event`: the `WatcherEvent` record.
    Notification {
        client: ClientId,
        zxid: Zxid,
        #[serde(with = "crate::hex")]
        event: Bytes,
    },
    /// The member does not serve, or left the role in which it served.
    Disconnected {
        client: ClientId,
    },
}

impl ClientOutput {
    pub fn client(&self) -> ClientId {
        let (ClientOutput::Connected { client, .. }
        | ClientOutput::Expired { client }
        | ClientOutput::Reply { client, .. }
        | ClientOutput::Notification { client, .. }
        | ClientOutput::Disconnected { client }) = self;
        *client
    }
}

pub type Outbox = Vec<Output>;
