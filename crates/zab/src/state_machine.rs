//! What the protocol replicates, seen from the protocol: a state machine behind a trait.
//!
//! Transactions are opaque bytes here (`TxnHeader | body | [TxnDigest]`); only the session
//! queries look inside, and they are the machine's.

use bytes::{Bytes, BytesMut};
use wire::client::WatcherEvent;
use wire::{Id, SessionId, SnapshotRecord, Zxid};

use crate::config::View;
use crate::io::ClientId;

/// What `apply` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Reply record for the client that asked, or ZooKeeper's error code.
    pub result: Result<Bytes, i32>,
}

/// A write on its way to becoming a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRequest<'a> {
    pub session: SessionId,
    pub cxid: i32,
    pub op: i32,
    pub body: &'a Bytes,
    /// Who the client is, for ACLs. Empty where the leader itself asks.
    pub auth: &'a [Id],
    /// The session is not known to the leader, is closing, or moved: an error transaction with
    /// this code is made instead.
    pub session_error: Option<i32>,
    /// Of a reconfig: the text of the next configuration, or why there is none. None where this server does not
    /// reconfigure.
    pub config: Option<Result<Bytes, i32>>,
}

/// A read with everything that an answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest<'a> {
    /// The connection, to which watches belong; without one none are left.
    pub client: Option<ClientId>,
    pub session: SessionId,
    pub op: i32,
    pub body: &'a Bytes,
    pub auth: &'a [Id],
}

/// An event on its way to a client: to be sent before the reply to anything that came later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub client: ClientId,
    /// Of the transaction that fired it; -1 for what a reconnecting client missed.
    pub zxid: Zxid,
    pub event: WatcherEvent,
}

pub trait StateMachine: Clone {
    /// Position in a snapshot that is being written while changes go on.
    type SnapshotCursor: Clone;

    /// Prep: the transaction for a write at `zxid`, with header. A write that cannot be done gives
    /// an error transaction (type -1) that takes its zxid like any other. Sees the changes of
    /// transactions prepared and not yet applied.
    fn prepare(&mut self, zxid: Zxid, wall_ms: i64, request: &WriteRequest<'_>) -> Bytes;
    /// Only with `create-after-close`: the session whose closeSession was prepared last goes on until that is
    /// applied.
    fn stays_open(&mut self, _session: SessionId) {}
    /// What belongs to a role ends with it: what was prepared and never applied, clients and their watches.
    fn role_ended(&mut self);
    /// Apply a committed (or recovered) transaction. Idempotent under replay over a fuzzy snapshot.
    fn apply(&mut self, zxid: Zxid, txn: &Bytes) -> Applied;
    /// Only with `zxid-before-multi-done`: apply the first of several parts of a transaction; `apply` comes for
    /// it in another step, and finds that part done. False where it has one part: nothing is done.
    fn apply_first_part(&mut self, _zxid: Zxid, _txn: &Bytes) -> bool {
        false
    }
    /// Answer a read: the reply record or an error code.
    fn read(&self, op: i32, body: &Bytes) -> Result<Bytes, i32>;
    /// The same for a client that is connected here, who may leave watches.
    fn read_request(&mut self, request: &ReadRequest<'_>) -> Result<Bytes, i32> {
        self.read(request.op, request.body)
    }
    /// What a sync is answered, once everything before it is applied.
    fn synced(&self, _body: &Bytes) -> Result<Bytes, i32> {
        Ok(Bytes::new())
    }
    /// Who a client is now: what it may see of events from here on.
    fn client_is(&mut self, _client: ClientId, _auth: &[Id]) {}
    /// A connection is gone, and what belonged to it.
    fn client_gone(&mut self, _client: ClientId) {}
    /// Events since this was last asked, in the order in which they are to be sent: before the reply to the
    /// write that fired them, and to whatever is answered later.
    fn take_notifications(&mut self) -> Vec<Notification> {
        Vec::new()
    }
    /// The configuration of the ensemble (version 0), where clients can read it. It is each member's own, in no
    /// transaction and in no digest (`ZKDatabase.initConfigInZKDatabase`). Told when a state was loaded or came as a
    /// snapshot, and when clients begin to be served. None: its place is there all the same.
    fn init_config(&mut self, _view: Option<&View>, _wall_ms: i64) {}

    /// What `init_config` or a reconfig of the history has put there; None where there is no such place.
    fn config(&self) -> Option<Bytes> {
        None
    }
    /// Sessions that own something and are not among `sessions`. A new leader closes them.
    fn orphans(&self) -> Vec<SessionId> {
        Vec::new()
    }
    /// Bodies of deleteContainer requests for nodes that have had their time. The leader asks, and makes them.
    fn due_containers(&self, _wall_ms: i64) -> Vec<Bytes> {
        Vec::new()
    }
    /// A digest of the whole state, sessions included, kept incrementally. Where the state is not whole,
    /// of that part of it which follows from the history however it came, as snapshot or as log.
    fn digest(&self) -> u64;

    /// False where the history held records of another state machine: the disk keeps them, the state does
    /// not, and so it must not be written or sent as a snapshot. Then `prepare` knows how to open and to
    /// close sessions, and makes an error transaction of everything else.
    fn is_whole(&self) -> bool;

    /// Timeout in ms of a session that is in the state.
    fn session_timeout(&self, session: SessionId) -> Option<i32>;
    fn sessions(&self) -> Vec<(SessionId, i32)>;

    fn snapshot_begin(&self) -> Self::SnapshotCursor;
    /// Append at least one record and up to about `max` bytes of snapshot body (as on the wire, end
    /// marker included, "BenWasHere" not) to `out`. True when the body is complete.
    fn snapshot_slice(&self, cursor: &mut Self::SnapshotCursor, max: usize, out: &mut BytesMut) -> bool;
    /// An empty state, to be filled by `restore`.
    fn clear(&mut self);
    fn restore(&mut self, record: SnapshotRecord) -> Result<(), String>;
}
