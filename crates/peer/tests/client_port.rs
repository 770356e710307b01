//! The client port of a member that is its own ensemble, over the tree: how many clients it takes, and how much of
//! what they ask it works on at a time.
#![allow(clippy::disallowed_methods)]

mod common;

use bytes::BytesMut;
use common::alone::{Server, auth, conn, create, exists, framed};
use peer::{Input, Settings};
use server::server_cnxn::generate_digest;
use wire::client::{ConnectRequest, CreateRequest, Request, SetACLRequest, SetDataRequest, put_frame};
use wire::codes::xid;
use wire::{Acl, Id, Jute, code};

#[test]
fn clients_of_one_address() {
    let settings = Settings { max_client_cnxns: 2, max_cnxns: 4, ..Settings::default() };
    let mut server = Server::new(settings);
    for number in 1..=3 {
        server.accept(number, "10.0.0.1");
    }
    assert_eq!(server.closed, [conn(3)], "the third of one address");
    server.accept(4, "10.0.0.2");
    server.accept(5, "10.0.0.3");
    server.accept(6, "10.0.0.4");
    assert_eq!(server.closed, [conn(3), conn(6)], "the fifth of all");
    // What one of them says that is closed, disturbs nobody.
    server.say(3, framed(1, &exists("/", false)));
    server.input(Input::Closed { conn: conn(1), reason: peer::CloseReason::Eof });
    server.connect(7, "10.0.0.1");
    assert_eq!(server.closed.len(), 2, "one went, another comes");
    assert_eq!(server.ask(7, &exists("/", false)).err, code::OK);
}

/// While the disk is slow, writes wait for it. No more of them than the limit, and one a connection, are taken; a
/// client that sends on is not read. All are answered in the end, in order.
#[test]
fn requests_under_way_are_bounded() {
    let settings = Settings { global_outstanding_limit: 10, ..Settings::default() };
    let mut server = Server::new(settings);
    server.connect(1, "10.0.0.1");
    server.connect(2, "10.0.0.2");
    server.slow = Some(Vec::new());
    let writes = |from: i32, size: usize| {
        let mut bytes = BytesMut::new();
        for xid in from..from + 200 {
            bytes.extend_from_slice(&framed(xid, &create(&format!("/{xid}"), size)));
        }
        bytes
    };
    server.say(1, writes(1000, 1000));
    let outstanding = |server: &Server| server.peer.status().leader.expect("it leads").outstanding;
    assert_eq!(outstanding(&server), 11, "the first that is above the limit waits with those behind it");
    assert_eq!(server.reading, [(conn(1), false)]);
    // Another one has its one request.
    server.say(2, writes(2000, 10));
    assert_eq!(outstanding(&server), 12);
    assert_eq!(server.reading.len(), 1, "what waits of it is short");
    // What was under way before it stopped.
    server.say(1, writes(1200, 1000));
    assert_eq!((outstanding(&server), server.reading.len()), (12, 1));

    server.is_fast();
    assert_eq!(server.reading, [(conn(1), false), (conn(1), true)]);
    for (number, xids) in [(1, 1000..1400), (2, 2000..2200)] {
        let replies = server.replies(number);
        assert!(replies.iter().map(|reply| reply.xid).eq(xids), "of {number}: {replies:?}");
        assert!(replies.iter().all(|reply| reply.err == code::OK));
    }
    // Nothing is left of the count, and a connection that ends takes its own along.
    server.slow = Some(Vec::new());
    server.say(1, writes(1400, 10));
    server.input(Input::Closed { conn: conn(1), reason: peer::CloseReason::Eof });
    server.say(2, writes(2200, 10));
    server.is_fast();
    assert_eq!(server.replies(2).len(), 200);
}

/// What a client sends behind its ConnectRequest waits for the session.
#[test]
fn what_comes_before_the_session() {
    let mut server = Server::new(Settings::default());
    server.slow = Some(Vec::new());
    server.accept(1, "10.0.0.1");
    let connect = ConnectRequest::of_a_new_session(30_000);
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, |out| connect.write(out));
    server.say(1, bytes);
    server.say(1, framed(1, &create("/a", 100_000)));
    assert_eq!(server.reading, [(conn(1), false)]);
    server.is_fast();
    assert_eq!(server.reading, [(conn(1), false), (conn(1), true)]);
    server.packet(1).expect("a ConnectResponse");
    assert_eq!(server.replies(1).iter().map(|reply| (reply.xid, reply.err)).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn the_superuser() {
    let digest = String::from_utf8(generate_digest(b"super:secret")).expect("text");
    for (super_digest, words, err) in [
        (Some(digest.clone()), "super:secret", code::OK),
        (Some(digest), "super:other", code::NO_AUTH),
        (None, "super:secret", code::NO_AUTH),
    ] {
        let mut server = Server::new(Settings { super_digest, ..Settings::default() });
        server.connect(1, "10.0.0.1");
        let nobody = Acl { perms: 31, id: Id::of("digest", "nobody:hash=") };
        assert_eq!(server.ask(1, &create("/a", 1)).err, code::OK);
        let close_it =
            Request::SetACL(SetACLRequest { path: "/a".into(), acl: Some(vec![nobody]), version: -1 });
        assert_eq!(server.ask(1, &close_it).err, code::OK);
        let set = Request::SetData(SetDataRequest { path: "/a".into(), data: None, version: -1 });
        assert_eq!(server.ask(1, &set).err, code::NO_AUTH);
        server.say(1, auth(xid::AUTH, "digest", words));
        let told: Vec<_> = server.replies(1).iter().map(|reply| (reply.xid, reply.err)).collect();
        assert_eq!(told, [(xid::AUTH, code::OK)], "one answer");
        assert_eq!(server.ask(1, &set).err, err, "{words}");
        let config = Request::SetData(SetDataRequest {
            path: "/zookeeper/config".into(),
            data: Some("mine".into()),
            version: -1,
        });
        assert_eq!(server.ask(1, &config).err, err);
    }
}

/// With the request's xid (`ZooKeeperServer.processPacket`). Java's client and the C client number no auth packet and
/// send -4; others do number it, and end the connection over an answer to nothing that they asked.
#[test]
fn an_auth_packet_is_answered_by_its_number() {
    let mut server = Server::new(Settings::default());
    server.connect(1, "10.0.0.1");
    for (xid, scheme, err) in
        [(38, "digest", code::OK), (39, "ip", code::OK), (40, "x509", code::AUTH_FAILED)]
    {
        server.say(1, auth(xid, scheme, "me:secret"));
        let told: Vec<_> = server.replies(1).iter().map(|reply| (reply.xid, reply.err)).collect();
        assert_eq!(told, [(xid, err)], "{scheme}");
    }
    assert_eq!(server.closed, [conn(1)], "who fails to prove it is closed");
}

/// An event is for those who may read the node now, also where they proved it after they left the watch.
#[test]
fn who_proves_to_be_somebody_is_told_at_once() {
    for proves in [true, false] {
        let mut server = Server::new(Settings::default());
        server.connect(1, "10.0.0.1");
        server.connect(2, "10.0.0.2");
        assert_eq!(server.ask(1, &exists("/a", true)).err, code::NO_NODE);
        if proves {
            server.say(1, auth(xid::AUTH, "digest", "user:word"));
            server.replies(1);
        }
        let user = String::from_utf8(generate_digest(b"user:word")).expect("text");
        let acl = Some(vec![Acl { perms: 1, id: Id { scheme: "digest".into(), id: user.into() } }]);
        let made = Request::Create(CreateRequest { path: "/a".into(), data: None, acl, flags: 0 });
        assert_eq!(server.ask(2, &made).err, code::OK);
        let told: Vec<i32> = server.replies(1).iter().map(|reply| reply.xid).collect();
        assert_eq!(told, if proves { vec![xid::NOTIFICATION] } else { vec![] });
    }
}

/// As with `readonlymode.enabled=false`, ZooKeeper's default: who would take read-only service is refused as everybody
/// is.
#[test]
fn without_a_quorum_nobody_is_served() {
    let mut server = Server::without_a_quorum(Settings::default());
    for (number, read_only) in [(1, Some(true)), (2, Some(false)), (3, None)] {
        server.accept(number, "10.0.0.1");
        let connect = ConnectRequest { read_only, ..ConnectRequest::of_a_new_session(30_000) };
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, |out| connect.write(out));
        server.say(number, bytes);
        assert!(server.closed.contains(&conn(number)), "{read_only:?}");
        assert!(!server.sent.contains_key(&conn(number)), "{read_only:?}: no word is said");
    }
}
