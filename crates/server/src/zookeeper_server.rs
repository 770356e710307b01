//! `ZooKeeperServer`: database, Prep, Final and watches as one state machine, for the protocol to drive.

use bytes::{Bytes, BytesMut};
use wire::client::{DeleteContainerRequest, Response};
use wire::{Id, Jute, SessionId, SnapshotRecord, Txn, TxnBody, TxnHeader, Zxid, code, op};
use zab::state_machine::{Applied, StateMachine, WriteRequest};
use zab::{ClientId, View};

use crate::container_manager;
use crate::data_tree::Cursor;
use crate::final_processor::{Answer, ReadRequest, answer, is_watch_request, reply};
use crate::prep::PrepRequestProcessor;
use crate::settings::Settings;
use crate::watch::{Notification, Triggers, Watches};
use crate::zk_database::ZkDatabase;

#[derive(Clone, Debug)]
pub struct ZooKeeperServer {
    settings: Settings,
    db: ZkDatabase,
    prep: PrepRequestProcessor,
    watches: Watches,
    /// A record came that no release knows: what it did to the tree of those who wrote it is not known here.
    foreign: bool,
}

impl ZooKeeperServer {
    /// With the tree of a fresh server.
    pub fn new(settings: Settings) -> ZooKeeperServer {
        ZooKeeperServer::of(settings, ZkDatabase::new())
    }

    fn of(settings: Settings, db: ZkDatabase) -> ZooKeeperServer {
        let (prep, watches) = (PrepRequestProcessor::default(), Watches::default());
        ZooKeeperServer { settings, db, prep, watches, foreign: false }
    }

    pub fn database(&self) -> &ZkDatabase {
        &self.db
    }

    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Changes that are prepared and not applied.
    pub fn outstanding_changes(&self) -> usize {
        self.prep.outstanding_changes()
    }

    /// Answers a read of a client that is connected here, and leaves its watch.
    pub fn read_request(&mut self, request: &ReadRequest<'_>) -> Result<Bytes, i32> {
        if let Some(client) = request.client {
            self.watches.client_is(client, request.auth);
            if is_watch_request(request.op) {
                return self
                    .watches
                    .request(&self.db.tree, client, request)
                    .map(|response| encoded(&response));
            }
        }
        let Answer { result, watch } = answer(&self.db.tree, &self.settings, request);
        if let (Some(client), Some((table, path))) = (request.client, watch) {
            self.watches.add(table, &path, client);
        }
        result.map(|response| encoded(&response))
    }

    /// A connection is gone.
    pub fn client_gone(&mut self, client: ClientId) {
        self.watches.remove_client(client);
    }

    /// Events since this was last asked, in the order in which they are to be sent: before the reply to the
    /// write that fired them, and to whatever is answered later.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.watches.take_notifications()
    }
}

/// Enough for most records without what lists and data take.
const A_STAT_AND_MORE: usize = 96;

fn encoded(response: &Response) -> Bytes {
    let data = match response {
        Response::GetData(got) => got.data.as_ref().map_or(0, Bytes::len),
        _ => 0,
    };
    // Once, not field by field.
    let mut out = BytesMut::with_capacity(A_STAT_AND_MORE + data);
    response.encode(&mut out);
    out.freeze()
}

/// May a client send a request of this type (`Request.isValid`)? Others are answered with Unimplemented, and
/// the connection is closed. Two that Java obeys are refused: createSession, which it answers with a second
/// ConnectResponse, and deleteContainer, which deletes without asking who sent it.
pub fn is_client_request(kind: i32) -> bool {
    let servers_own =
        matches!(kind, op::NOTIFICATION | op::ERROR | op::CHECK | op::CREATE_SESSION | op::DELETE_CONTAINER);
    wire::OpCode::of(kind).is_some() && !servers_own
}

impl StateMachine for ZooKeeperServer {
    type SnapshotCursor = Cursor;

    fn prepare(&mut self, zxid: Zxid, wall_ms: i64, request: &WriteRequest<'_>) -> Bytes {
        self.prep.request_to_txn(&self.db, &self.settings, zxid, wall_ms, request)
    }

    fn stays_open(&mut self, session: SessionId) {
        self.prep.stays_open(session);
    }

    fn role_ended(&mut self) {
        self.prep.forget();
        self.watches.clear();
    }

    fn apply(&mut self, zxid: Zxid, txn: &Bytes) -> Applied {
        let Ok(txn) = Txn::decode(txn) else {
            self.foreign = true;
            let header = TxnHeader::peek(txn);
            if let Some(header) = header.filter(|header| header.kind == op::CLOSE_SESSION) {
                let closed = Txn::new(header, TxnBody::CloseSession(None), None);
                self.db.process_txn(&closed, &mut ());
            }
            return Applied { result: Err(code::MARSHALLING_ERROR) };
        };
        self.foreign |= matches!(txn.body, TxnBody::Other(_));
        let watches = &mut self.watches;
        let mut triggers = Triggers { watches, zxid, skip_acl: self.settings.skip_acl };
        let result = self.db.process_txn(&txn, &mut triggers);
        self.prep.applied(&txn.header);
        Applied { result: reply(&self.db.tree, result).map(|response| encoded(&response)) }
    }

    fn apply_first_part(&mut self, zxid: Zxid, txn: &Bytes) -> bool {
        let Ok(txn) = Txn::decode(txn) else { return false };
        let watches = &mut self.watches;
        let mut triggers = Triggers { watches, zxid, skip_acl: self.settings.skip_acl };
        self.db.tree.process_first_part(&txn, &mut triggers)
    }

    /// Of a client of whom nothing is known, and who leaves no watch.
    fn read(&self, op: i32, body: &Bytes) -> Result<Bytes, i32> {
        let request = ReadRequest { client: None, session: SessionId(0), op, body, auth: &[] };
        answer(&self.db.tree, &self.settings, &request).result.map(|response| encoded(&response))
    }

    fn read_request(&mut self, request: &ReadRequest<'_>) -> Result<Bytes, i32> {
        ZooKeeperServer::read_request(self, request)
    }

    fn synced(&self, body: &Bytes) -> Result<Bytes, i32> {
        self.read(op::SYNC, body)
    }

    fn client_is(&mut self, client: ClientId, auth: &[Id]) {
        self.watches.client_is(client, auth);
    }

    fn client_gone(&mut self, client: ClientId) {
        ZooKeeperServer::client_gone(self, client);
    }

    fn take_notifications(&mut self) -> Vec<Notification> {
        ZooKeeperServer::take_notifications(self)
    }

    fn init_config(&mut self, view: Option<&View>, wall_ms: i64) {
        let Some(view) = view else { return self.db.tree.add_config_node() };
        // A foreign history may have no `/zookeeper`.
        let _ = self.db.tree.set_config(&view.text(), view.version, wall_ms);
    }

    fn config(&self) -> Option<Bytes> {
        self.db.tree.config()
    }

    fn orphans(&self) -> Vec<SessionId> {
        self.db.orphans()
    }

    fn due_containers(&self, wall_ms: i64) -> Vec<Bytes> {
        let due = container_manager::candidates(&self.db.tree, wall_ms, 0);
        let body = |path: Bytes| {
            let mut out = BytesMut::new();
            DeleteContainerRequest { path }.write(&mut out);
            out.freeze()
        };
        due.into_iter().map(body).collect()
    }

    fn digest(&self) -> u64 {
        self.db.digest()
    }

    fn is_whole(&self) -> bool {
        !self.foreign
    }

    fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.db.session_timeout(session)
    }

    fn sessions(&self) -> Vec<(SessionId, i32)> {
        self.db.sessions().collect()
    }

    fn snapshot_begin(&self) -> Cursor {
        Cursor::new(&self.db.tree)
    }

    fn snapshot_slice(&self, cursor: &mut Cursor, max: usize, out: &mut BytesMut) -> bool {
        self.db.snapshot_slice(cursor, max, out)
    }

    fn clear(&mut self) {
        *self = ZooKeeperServer::of(self.settings.clone(), ZkDatabase::bare());
    }

    fn restore(&mut self, record: SnapshotRecord) -> Result<(), String> {
        self.db.restore(record)
    }
}
