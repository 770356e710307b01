//! Long random sequences of requests give the same replies, stats, reads and digests as a simple model; with
//! requests prepared before earlier ones are applied, and with snapshots that are written meanwhile, loaded
//! and followed by the log.
#![allow(clippy::disallowed_methods)]

mod model;
mod requests;

use bytes::{Bytes, BytesMut};
use model::{Model, Who};
use requests::{Draw, SESSIONS, auth_of};
use server::data_tree::{Cursor, NodeId, ROOT, Walk};
use server::{ReadRequest, Settings, ZooKeeperServer};
use wire::client::{Request, Response};
use wire::{SessionId, SnapshotParser, SnapshotRecord, SnapshotWriter, Zxid, code, op};
use zab::{StateMachine, WriteRequest};

struct Run {
    draw: Draw,
    model: Model,
    server: ZooKeeperServer,
    /// What was prepared and is not applied, with the reply that the model gives.
    prepared: Vec<(Zxid, Bytes, Result<Bytes, i32>, Request)>,
    log: Vec<(Zxid, Bytes)>,
    zxid: i64,
    time: i64,
    /// A snapshot on its way: where it is, what is written, and the zxid that it is named by.
    snapshot: Option<(Progress, BytesMut, Zxid)>,
    snapshots: u32,
    refused: u32,
}

/// How a snapshot is written: by the server; or as Java does it, with the nodes that were made after it began.
enum Progress {
    Ours(Cursor),
    Java(Bytes),
}

/// Sessions, lists and the root.
fn java_begins(server: &ZooKeeperServer, out: &mut BytesMut) {
    let db = server.database();
    SnapshotWriter::count(out, db.sessions().len());
    for (id, timeout_ms) in db.sessions() {
        SnapshotWriter::record(out, &SnapshotRecord::Session { id, timeout_ms });
    }
    SnapshotWriter::count(out, db.tree.acls().count());
    for (key, acl) in db.tree.acls() {
        SnapshotWriter::record(out, &SnapshotRecord::AclEntry { key, acl: acl.clone() });
    }
    java_node(server, ROOT, b"", out);
}

fn java_node(server: &ZooKeeperServer, id: NodeId, path: &[u8], out: &mut BytesMut) {
    let tree = &server.database().tree;
    let node = tree.node(id);
    SnapshotWriter::node(out, path, node.data(), tree.acl_key(id), &node.stat());
}

impl Progress {
    fn write(&mut self, server: &ZooKeeperServer, max: usize, out: &mut BytesMut) -> bool {
        let last = match self {
            Progress::Ours(cursor) => return server.snapshot_slice(cursor, max, out),
            Progress::Java(last) => last,
        };
        let mut walk = Walk::behind(&server.database().tree, last);
        for _ in 0..=max / 100 {
            let Some((id, path)) = walk.next_node() else {
                SnapshotWriter::end(out);
                return true;
            };
            *last = Bytes::copy_from_slice(path);
            java_node(server, id, last, out);
        }
        false
    }
}

fn encoded(result: &Result<Response, i32>) -> Result<Bytes, i32> {
    let mut out = BytesMut::new();
    result.as_ref().map_err(|err| *err)?.encode(&mut out);
    Ok(out.freeze())
}

impl Run {
    fn new(seed: u64) -> Run {
        let settings = Settings { extended_types: true, ..Settings::default() };
        Run {
            draw: Draw::new(seed),
            model: Model::new(),
            server: ZooKeeperServer::new(settings),
            prepared: Vec::new(),
            log: Vec::new(),
            zxid: 1 << 32,
            time: 1_700_000_000_000,
            snapshot: None,
            snapshots: 0,
            refused: 0,
        }
    }

    fn step(&mut self) {
        match self.draw.below(100) {
            0..60 => self.write(),
            60..75 => self.apply(1),
            75..80 => self.apply(usize::MAX),
            80..84 => self.slice(),
            84..97 if self.prepared.is_empty() => self.read(),
            97 if self.prepared.is_empty() => self.same_tree(),
            _ => {}
        }
    }

    fn write(&mut self) {
        let session = SESSIONS[self.draw.below(SESSIONS.len() as u64) as usize];
        let known = self.model.sessions.contains_key(&session);
        let request = match (known, self.draw.below(60)) {
            (false, _) => self.draw.create_session(),
            (true, 0) => Request::CloseSession,
            (true, _) => self.draw.write(&self.model),
        };
        (self.zxid, self.time) = (self.zxid + 1, self.time + self.draw.below(5) as i64);
        let auth = auth_of(session);
        let who = Who { session, auth: &auth, zxid: self.zxid, time: self.time };
        let expected = encoded(&self.model.write(&who, &request));
        let mut body = BytesMut::new();
        request.encode(&mut body);
        let write = WriteRequest {
            session: SessionId(session),
            cxid: 7,
            op: request.op(),
            body: &body.freeze(),
            auth: &auth,
            session_error: None,
            config: None,
        };
        let txn = self.server.prepare(Zxid(self.zxid), self.time, &write);
        self.prepared.push((Zxid(self.zxid), txn, expected, request));
    }

    fn apply(&mut self, count: usize) {
        for (zxid, txn, expected, request) in self.prepared.drain(..count.min(self.prepared.len())) {
            let applied = self.server.apply(zxid, &txn);
            assert_eq!(applied.result, expected, "{zxid} {request:?}");
            assert_eq!(self.server.database().digest_mismatches(), 0, "{zxid} {request:?}");
            self.refused += u32::from(expected.is_err());
            self.log.push((zxid, txn));
        }
    }

    /// A piece of a snapshot; where it ends, it and the log behind it make an equal server.
    fn slice(&mut self) {
        let Some((progress, body, _)) = &mut self.snapshot else {
            let zxid = self.log.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            let mut body = BytesMut::new();
            let progress = if self.draw.below(2) == 0 {
                Progress::Ours(self.server.snapshot_begin())
            } else {
                java_begins(&self.server, &mut body);
                Progress::Java(Bytes::new())
            };
            self.snapshot = Some((progress, body, zxid));
            return;
        };
        if !progress.write(&self.server, 1 + self.draw.below(600) as usize, body) {
            return;
        }
        let (_, body, named) = self.snapshot.take().expect("it is there");
        let mut other = ZooKeeperServer::new(Settings::default());
        other.clear();
        let mut parser = SnapshotParser::new();
        parser.feed(body.freeze());
        while let Some(record) = parser.next_record().expect("a record") {
            other.restore(record).expect("a tree");
        }
        assert!(parser.is_complete());
        for (zxid, txn) in self.log.iter().filter(|(zxid, _)| *zxid > named) {
            other.apply(*zxid, txn);
        }
        let (a, b) = (self.server.database(), other.database());
        assert_eq!((a.digest(), b.digest_mismatches()), (b.digest(), 0), "a snapshot of {named}");
        assert_eq!(a.tree.approximate_data_size(), b.tree.approximate_data_size());
        assert!(a.sessions().eq(b.sessions()));
        assert!(a.tree.sessions_with_ephemerals().eq(b.tree.sessions_with_ephemerals()));
        assert!(a.tree.containers().eq(b.tree.containers()) && a.tree.ttls().eq(b.tree.ttls()));
        self.snapshots += 1;
    }

    fn read(&mut self) {
        let session = SESSIONS[self.draw.below(SESSIONS.len() as u64) as usize];
        let (request, expected) = self.draw.read(&self.model, session);
        let mut body = BytesMut::new();
        request.encode(&mut body);
        let (body, auth) = (body.freeze(), auth_of(session));
        let read = ReadRequest {
            client: None,
            session: SessionId(session),
            op: request.op(),
            body: &body,
            auth: &auth,
        };
        assert_eq!(self.server.read_request(&read), encoded(&expected), "{request:?}");
    }

    /// Every node and every stat.
    fn same_tree(&self) {
        assert_eq!(self.server.outstanding_changes(), 0);
        let tree = &self.server.database().tree;
        let mut walk = Walk::new(tree);
        let mut count = 0;
        while let Some((id, path)) = walk.next_node() {
            let path = std::str::from_utf8(path).expect("UTF-8");
            let node = &self.model.nodes[path];
            assert_eq!(tree.stat(id), self.model.stat(path), "{path}");
            assert_eq!(tree.node(id).data(), node.data.as_deref(), "{path}");
            assert_eq!(tree.acl(id), node.acl, "{path}");
            assert_eq!(tree.node(id).owner(), node.owner, "{path}");
            count += 1;
        }
        assert_eq!((count, tree.node_count()), (self.model.nodes.len(), count));
        assert_eq!(tree.tree_digest(), self.model.digest());
        let bytes =
            |(path, node): (&String, &model::Node)| path.len() + node.data.as_ref().map_or(0, Bytes::len);
        assert_eq!(tree.approximate_data_size(), self.model.nodes.iter().map(bytes).sum::<usize>() as u64);
        let sessions = self.server.database().sessions().map(|(id, timeout)| (id.0, timeout));
        assert!(sessions.eq(self.model.sessions.iter().map(|(id, timeout)| (*id, *timeout))));
    }
}

#[test]
fn the_server_is_as_the_model() {
    let (mut snapshots, mut refused, mut nodes) = (0, 0, 0);
    for seed in 0..40 {
        let mut run = Run::new(seed);
        for _ in 0..3000 {
            run.step();
        }
        run.apply(usize::MAX);
        run.same_tree();
        snapshots += run.snapshots;
        refused += run.refused;
        nodes += run.model.nodes.len();
    }
    assert!(snapshots > 200 && refused > 5000 && nodes > 40 * 20, "{snapshots} {refused} {nodes}");
}

/// What was prepared and will never be applied is forgotten: the same requests again give what they gave.
#[test]
fn prepared_and_forgotten() {
    let mut run = Run::new(7);
    for _ in 0..2000 {
        run.step();
    }
    run.apply(usize::MAX);
    let (model, digest) = (run.model.clone(), run.server.digest());
    let zxid = run.zxid;
    for _ in 0..20 {
        run.write();
    }
    run.server.role_ended();
    run.prepared.clear();
    assert_eq!(run.server.digest(), digest);
    (run.model, run.zxid) = (model, zxid);
    for _ in 0..2000 {
        run.step();
    }
    run.apply(usize::MAX);
    run.same_tree();
}

#[test]
fn an_unknown_operation_is_an_error_transaction() {
    let mut server = ZooKeeperServer::new(Settings::default());
    for (kind, expected) in [(99, code::UNIMPLEMENTED), (op::EXISTS, code::MARSHALLING_ERROR)] {
        let body = Bytes::new();
        let write = WriteRequest {
            session: SessionId(1),
            cxid: 1,
            op: kind,
            body: &body,
            auth: &[],
            session_error: None,
            config: None,
        };
        let txn = server.prepare(Zxid(1), 1, &write);
        assert_eq!(server.apply(Zxid(1), &txn).result, Err(expected));
    }
}
