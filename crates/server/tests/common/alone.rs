//! A server alone, for tests that ask it one thing after another.

use bytes::{Bytes, BytesMut};
use server::{ReadRequest, Settings, ZooKeeperServer};
use wire::client::{CreateRequest, CreateTTLRequest, DeleteRequest, Request, Response, SetDataRequest};
use wire::{Acl, Id, Jute, SessionId, TxnHeader, Zxid, op};
use zab::{ClientId, StateMachine, WriteRequest};

pub const SESSION: SessionId = SessionId(0x100);

/// One that prepares and applies, as a standalone server does.
pub struct Server {
    pub server: ZooKeeperServer,
    pub zxid: Zxid,
    pub auth: Vec<Id>,
    /// What a leader would make of a reconfig.
    pub config: Option<Result<Bytes, i32>>,
}

pub fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn body(request: &Request) -> Bytes {
    let mut out = BytesMut::new();
    request.encode(&mut out);
    out.freeze()
}

pub fn create(path: &str, flags: i32) -> CreateRequest {
    CreateRequest { path: text(path), data: Some(text("x")), acl: Some(vec![Acl::open()]), flags }
}

pub fn create_ttl(path: &str, flags: i32, ttl: i64) -> CreateTTLRequest {
    let CreateRequest { path, data, acl, flags } = create(path, flags);
    CreateTTLRequest { path, data, acl, flags, ttl }
}

pub fn set(path: &str, data: &str) -> Request {
    Request::SetData(SetDataRequest { path: text(path), data: Some(text(data)), version: -1 })
}

pub fn delete(path: &str) -> Request {
    Request::Delete(DeleteRequest { path: text(path), version: -1 })
}

impl Server {
    pub fn new(settings: Settings) -> Server {
        let server = ZooKeeperServer::new(settings);
        let mut server =
            Server { server, zxid: Zxid(1 << 32), auth: vec![Id::of("ip", "127.0.0.1")], config: None };
        let opened = server.raw(SESSION, op::CREATE_SESSION, &4000.to_bytes());
        assert_eq!(opened, Ok(Bytes::new()));
        server
    }

    pub fn prepare(&mut self, session: SessionId, kind: i32, body: &Bytes) -> (Zxid, Bytes) {
        self.zxid = self.zxid.next();
        let write = WriteRequest {
            session,
            cxid: 1,
            op: kind,
            body,
            auth: &self.auth,
            session_error: None,
            config: self.config.clone(),
        };
        (self.zxid, self.server.prepare(self.zxid, 1_700_000_000_000, &write))
    }

    pub fn raw(&mut self, session: SessionId, kind: i32, body: &Bytes) -> Result<Bytes, i32> {
        let (zxid, txn) = self.prepare(session, kind, body);
        let header = TxnHeader::peek(&txn).expect("a header");
        assert_eq!((header.zxid, header.client_id), (zxid, session), "every write takes its zxid");
        self.server.apply(zxid, &txn).result
    }

    pub fn write(&mut self, request: &Request) -> Result<Response, i32> {
        let kind = request.op();
        self.raw(SESSION, kind, &body(request)).map(|reply| Response::decode(kind, reply).expect("a reply"))
    }

    pub fn create(&mut self, path: &str) {
        self.write(&Request::Create(create(path, 0))).expect("created");
    }

    pub fn read(&mut self, client: u64, request: &Request) -> Result<Response, i32> {
        let (kind, body) = (request.op(), body(request));
        let read = ReadRequest {
            client: Some(ClientId(client)),
            session: SESSION,
            op: kind,
            body: &body,
            auth: &self.auth,
        };
        self.server.read_request(&read).map(|reply| Response::decode(kind, reply).expect("a reply"))
    }

    /// `client type path`, in order.
    pub fn events(&mut self) -> Vec<String> {
        let event = |n: server::Notification| {
            let kind = wire::EventType::of(n.event.kind).expect("a type");
            assert!(n.event.state == 3 && n.zxid <= self.zxid);
            let missed = if n.zxid == Zxid::NONE { " missed" } else { "" };
            format!("{} {kind} {}{missed}", n.client.0, String::from_utf8_lossy(&n.event.path))
        };
        self.server.take_notifications().into_iter().map(event).collect()
    }

    pub fn data(&self, path: &str) -> String {
        let tree = &self.server.database().tree;
        let id = tree.find(path.as_bytes()).expect("a node");
        String::from_utf8_lossy(tree.node(id).data().unwrap_or_default()).into_owned()
    }

    pub fn mismatches(&self) -> u64 {
        self.server.database().digest_mismatches()
    }
}
