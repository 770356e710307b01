//! Clients of ZooKeeper at three nodes: sessions, every reply in its frame, watches, the death of the leader.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wire::client::{
    ConnectRequest, ConnectResponse, CreateRequest, ExistsRequest, GetDataRequest, Reply, Request,
    RequestHeader, Response, SetDataRequest, SetWatches, SyncRequest, put_frame,
};
use wire::codes::xid;
use wire::{Acl, EventType, Jute, SessionId, Zxid, code};

use crate::ensemble::Ensemble;

pub struct Client {
    stream: TcpStream,
    pub session: ConnectResponse,
    last_xid: i32,
    pub last_zxid: Zxid,
}

fn frame(stream: &mut TcpStream) -> Option<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(body.into())
}

impl Client {
    /// `None`: the server does not serve (yet).
    pub fn connect(port: u16, resume: Option<&ConnectResponse>, last_zxid: Zxid) -> Option<Client> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        let mut request =
            ConnectRequest { last_zxid_seen: last_zxid, ..ConnectRequest::of_a_new_session(4000) };
        if let Some(session) = resume {
            request.session_id = session.session_id;
            request.passwd = session.passwd.clone();
        }
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| request.write(out));
        stream.write_all(&out).ok()?;
        let session = ConnectResponse::parse(frame(&mut stream)?).expect("a ConnectResponse");
        Some(Client { stream, session, last_xid: 0, last_zxid })
    }

    fn send(&mut self, xid: i32, request: &Request) {
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| {
            RequestHeader { xid, kind: request.op() }.write(out);
            request.encode(out);
        });
        self.stream.write_all(&out).expect("sent");
    }

    fn next(&mut self, kind: i32) -> Reply {
        let packet = frame(&mut self.stream).expect("a packet");
        let reply = Reply::decode(kind, packet).expect("a reply");
        self.last_zxid = self.last_zxid.max(reply.header.zxid);
        reply
    }

    pub fn ask(&mut self, request: &Request) -> Result<Response, i32> {
        self.last_xid += 1;
        self.send(self.last_xid, request);
        let reply = self.next(request.op());
        assert_eq!(reply.header.xid, self.last_xid);
        if reply.header.err == code::OK { Ok(reply.response) } else { Err(reply.header.err) }
    }

    fn event(&mut self) -> (i32, Bytes) {
        match self.next(0) {
            Reply { header, response: Response::Event(event) } if header.xid == xid::NOTIFICATION => {
                (event.kind, event.path)
            }
            other => panic!("expected an event, found {other:?}"),
        }
    }
}

fn create(path: &'static str, flags: i32) -> Request {
    let (data, acl) = (Some(Bytes::from_static(b"data")), Some(vec![Acl::open()]));
    Request::Create(CreateRequest { path: path.into(), data, acl, flags })
}

fn set(path: &'static str) -> Request {
    let data = Some(Bytes::from_static(b"more"));
    Request::SetData(SetDataRequest { path: path.into(), data, version: -1 })
}

fn get(path: &'static str) -> Request {
    Request::GetData(GetDataRequest { path: path.into(), watch: true })
}

#[test]
fn clients_of_three_nodes() {
    let mut ensemble = Ensemble::serving_clients();
    let leader = ensemble.leader();
    let (other, third) = (1 + leader % 3, 1 + (leader + 1) % 3);
    let ports: Vec<u16> = ensemble.members.iter().map(|member| member.client_port).collect();
    let connect = |ensemble: &Ensemble, sid: usize| {
        ensemble.wait("a session", |_| Client::connect(ports[sid - 1], None, Zxid::ZERO))
    };
    let mut first = connect(&ensemble, leader);
    let mut second = connect(&ensemble, other);
    assert_eq!(first.session.time_out, 4000, "20 ticks of 200 ms");
    first.ask(&create("/a", 0)).expect("created");
    assert_eq!(first.ask(&create("/a", 0)), Err(code::NODE_EXISTS));
    first.ask(&create("/mine", 1)).expect("created");
    second.ask(&Request::Sync(SyncRequest { path: "/a".into() })).expect("synced");
    second.ask(&get("/a")).expect("read");
    first.ask(&set("/a")).expect("set");
    assert_eq!(second.event(), (EventType::NodeDataChanged.number(), "/a".into()));
    second.ask(&get("/a")).expect("read");

    // The leader dies. Its client goes on with its session elsewhere, and with what belongs to it.
    ensemble.kill(leader);
    let moved = |client: &Client| {
        let (session, zxid) = (client.session.clone(), client.last_zxid);
        ensemble.wait("the session at another member", |_| {
            Client::connect(ports[third - 1], Some(&session), zxid)
        })
    };
    let mut first = moved(&first);
    assert!(first.session.time_out > 0, "the session lives");
    first.ask(&set("/mine")).expect("set");
    first.ask(&set("/a")).expect("set");
    // The other one was away from its watch meanwhile.
    let mut second = moved(&second);
    let again = SetWatches {
        relative_zxid: second.last_zxid,
        data_watches: vec!["/a".into()],
        exist_watches: Vec::new(),
        child_watches: Vec::new(),
    };
    second.send(xid::SET_WATCHES, &Request::SetWatches(again));
    assert_eq!(second.event(), (EventType::NodeDataChanged.number(), "/a".into()));
    assert_eq!(second.next(wire::op::SET_WATCHES).header.xid, xid::SET_WATCHES);

    // A wrong password, and what is no request: the connection ends, nobody else is disturbed.
    let wrong = ConnectResponse { passwd: Some(Bytes::from_static(&[7; 16])), ..second.session.clone() };
    let mut refused = Client::connect(ports[third - 1], Some(&wrong), Zxid::ZERO).expect("an answer");
    assert_eq!((refused.session.time_out, refused.session.session_id), (0, SessionId(0)));
    assert_eq!(frame(&mut refused.stream), None);
    let mut odd = Client::connect(ports[third - 1], None, Zxid::ZERO).expect("a session");
    odd.stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).expect("sent");
    assert_eq!(frame(&mut odd.stream), None);

    first.ask(&Request::CloseSession).expect("closed");
    assert_eq!(frame(&mut first.stream), None);
    let mine = Request::Exists(ExistsRequest { path: "/mine".into(), watch: false });
    second.ask(&Request::Sync(SyncRequest { path: "/".into() })).expect("synced");
    assert_eq!(second.ask(&mine), Err(code::NO_NODE));

    // Clients' bytes are inputs like any other: the recordings replay.
    for sid in [other, third] {
        assert!(ensemble.signal(sid, "-TERM").success());
        let (code, said) = crate::recordings::replay(&ensemble.recording(sid, 1));
        assert_eq!(code, Some(0), "{said}");
    }
}
