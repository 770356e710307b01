//! `State`: which database a member replicates: ZooKeeper's, or the register map, with which protocol bugs are
//! hunted fastest. Hosts choose.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use server::ZooKeeperServer;
use wire::{Id, SessionId, SnapshotRecord, Zxid};
use zab::register_map::{self, RegisterMap};
use zab::state_machine::{Applied, Notification, ReadRequest, StateMachine, WriteRequest};
use zab::{ClientId, View};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StateKind {
    #[default]
    Registers,
    Tree,
}

#[derive(Clone)]
pub enum State {
    Registers(RegisterMap),
    Tree(Box<ZooKeeperServer>),
}

#[derive(Clone)]
pub enum StateCursor {
    Registers(register_map::Cursor),
    Tree(<ZooKeeperServer as StateMachine>::SnapshotCursor),
}

impl State {
    /// `settings` are the tree's.
    pub fn new(kind: StateKind, settings: server::Settings) -> State {
        match kind {
            StateKind::Registers => State::Registers(RegisterMap::new()),
            StateKind::Tree => State::Tree(Box::new(ZooKeeperServer::new(settings))),
        }
    }

    pub fn registers() -> State {
        State::Registers(RegisterMap::new())
    }

    /// Nodes or registers.
    pub fn node_count(&self) -> usize {
        match self {
            State::Registers(map) => map.len(),
            State::Tree(server) => server.database().tree.node_count(),
        }
    }

    pub fn tree(&self) -> Option<&ZooKeeperServer> {
        match self {
            State::Registers(_) => None,
            State::Tree(server) => Some(server),
        }
    }
}

/// The same call on whichever it is.
macro_rules! either {
    ($state:expr, $it:ident => $call:expr) => {
        match $state {
            State::Registers($it) => $call,
            State::Tree($it) => $call,
        }
    };
}

impl StateMachine for State {
    type SnapshotCursor = StateCursor;

    fn prepare(&mut self, zxid: Zxid, wall_ms: i64, request: &WriteRequest<'_>) -> Bytes {
        either!(self, it => it.prepare(zxid, wall_ms, request))
    }
    fn stays_open(&mut self, session: SessionId) {
        either!(self, it => it.stays_open(session));
    }
    fn role_ended(&mut self) {
        either!(self, it => it.role_ended());
    }
    fn apply(&mut self, zxid: Zxid, txn: &Bytes) -> Applied {
        either!(self, it => it.apply(zxid, txn))
    }
    fn apply_first_part(&mut self, zxid: Zxid, txn: &Bytes) -> bool {
        either!(self, it => it.apply_first_part(zxid, txn))
    }
    fn read(&self, op: i32, body: &Bytes) -> Result<Bytes, i32> {
        either!(self, it => it.read(op, body))
    }
    fn read_request(&mut self, request: &ReadRequest<'_>) -> Result<Bytes, i32> {
        either!(self, it => it.read_request(request))
    }
    fn synced(&self, body: &Bytes) -> Result<Bytes, i32> {
        either!(self, it => it.synced(body))
    }
    fn client_is(&mut self, client: ClientId, auth: &[Id]) {
        either!(self, it => it.client_is(client, auth));
    }
    fn client_gone(&mut self, client: ClientId) {
        either!(self, it => it.client_gone(client));
    }
    fn take_notifications(&mut self) -> Vec<Notification> {
        either!(self, it => it.take_notifications())
    }
    fn init_config(&mut self, view: Option<&View>, wall_ms: i64) {
        either!(self, it => it.init_config(view, wall_ms));
    }
    fn config(&self) -> Option<Bytes> {
        either!(self, it => it.config())
    }
    fn orphans(&self) -> Vec<SessionId> {
        either!(self, it => it.orphans())
    }
    fn due_containers(&self, wall_ms: i64) -> Vec<Bytes> {
        either!(self, it => it.due_containers(wall_ms))
    }
    fn digest(&self) -> u64 {
        either!(self, it => it.digest())
    }
    fn is_whole(&self) -> bool {
        either!(self, it => it.is_whole())
    }
    fn session_timeout(&self, session: SessionId) -> Option<i32> {
        either!(self, it => it.session_timeout(session))
    }
    fn sessions(&self) -> Vec<(SessionId, i32)> {
        either!(self, it => it.sessions())
    }
    fn snapshot_begin(&self) -> StateCursor {
        match self {
            State::Registers(map) => StateCursor::Registers(map.snapshot_begin()),
            State::Tree(server) => StateCursor::Tree(server.snapshot_begin()),
        }
    }
    fn snapshot_slice(&self, cursor: &mut StateCursor, max: usize, out: &mut BytesMut) -> bool {
        match (self, cursor) {
            (State::Registers(map), StateCursor::Registers(cursor)) => map.snapshot_slice(cursor, max, out),
            (State::Tree(server), StateCursor::Tree(cursor)) => server.snapshot_slice(cursor, max, out),
            _ => unreachable!("a cursor is of the state that gave it"),
        }
    }
    fn clear(&mut self) {
        either!(self, it => it.clear());
    }
    fn restore(&mut self, record: SnapshotRecord) -> Result<(), String> {
        either!(self, it => it.restore(record))
    }
}
