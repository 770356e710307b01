//! What real clients and servers said to each other on the client port decodes into typed records, and
//! encodes to the same bytes again.

mod common;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use common::{Frame, files, frames};
use wire::client::{
    BodyError, ClientInbound, ClientStream, ConnectRequest, ConnectResponse, DEFAULT_JUTE_MAXBUFFER,
    FrameStream, Reply, Request, RequestHeader, Response, put_frame,
};
use wire::codes::{EventType, xid};
use wire::{ErrorCode, Jute, OpCode, Reader, code, op};

/// Types of requests whose replies are to come, by connection and xid.
type Asked = BTreeMap<(u64, i32), VecDeque<i32>>;

fn body(frame: &Frame) -> Bytes {
    frame.bytes.slice(4..)
}

fn framed(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    put_frame(&mut out, write);
    out
}

fn name_of(kind: i32) -> String {
    OpCode::of(kind).map_or(kind.to_string(), |op| op.name().to_owned())
}

/// The request in the frame, encoded again; or why there is none.
fn request(frame: &Frame, asked: &mut Asked) -> Result<BytesMut, (i32, BodyError)> {
    let mut r = Reader::new(body(frame));
    let header = RequestHeader::read(&mut r, "RequestHeader").expect("a header");
    asked.entry((frame.conn, header.xid)).or_default().push_back(header.kind);
    assert_eq!(name_of(header.kind), frame.name);
    let request = Request::decode(header.kind, r.rest()).map_err(|why| (header.xid, why))?;
    assert_eq!(request.op(), header.kind);
    Ok(framed(|out| {
        header.write(out);
        request.encode(out);
    }))
}

fn reply(frame: &Frame, asked: &mut Asked) -> Reply {
    let header = Reply::decode(op::PING, body(frame)).expect("a header").header;
    let kind = match asked.get_mut(&(frame.conn, header.xid)) {
        _ if header.xid == xid::NOTIFICATION => op::NOTIFICATION,
        asked => asked.and_then(VecDeque::pop_front).expect("a request"),
    };
    Reply::decode(kind, body(frame)).unwrap_or_else(|why| panic!("{}: {why}", frame.name))
}

#[test]
fn every_packet() {
    let mut names = BTreeMap::<String, u32>::new();
    let mut errors = BTreeMap::<ErrorCode, u32>::new();
    let mut refused = Vec::new();
    let mut events = BTreeMap::<EventType, u32>::new();
    for file in files("client") {
        let mut asked = Asked::new();
        // Those that do not decode, and what real servers answered.
        let mut odd = BTreeMap::new();
        for frame in frames(&file) {
            let again = match frame.name.as_str() {
                "connectRequest" => {
                    let connect = ConnectRequest::parse(body(&frame)).expect("a ConnectRequest");
                    framed(|out| connect.write(out))
                }
                "connectResponse" => {
                    let connect = ConnectResponse::parse(body(&frame)).expect("a ConnectResponse");
                    framed(|out| connect.write(out))
                }
                _ if frame.dir == ">" => match request(&frame, &mut asked) {
                    Ok(again) => again,
                    Err((xid, why)) => {
                        odd.insert((frame.conn, xid), why);
                        continue;
                    }
                },
                _ => {
                    let reply = reply(&frame, &mut asked);
                    *errors.entry(ErrorCode::of(reply.header.err).expect("a known error")).or_default() += 1;
                    if let Response::Event(event) = &reply.response {
                        assert_eq!(event.state, 3);
                        *events.entry(EventType::of(event.kind).expect("a known type")).or_default() += 1;
                    }
                    if let Some(why) = odd.remove(&(frame.conn, reply.header.xid)) {
                        refused.push((why, reply.header.err));
                    }
                    framed(|out| reply.encode(out))
                }
            };
            assert_eq!(again, frame.bytes, "{}: {}", file.display(), frame.name);
            *names.entry(frame.name).or_default() += 1;
        }
        assert!(odd.is_empty(), "{odd:?} without an answer");
        assert!(asked.values().all(VecDeque::is_empty), "{}: {asked:?}", file.display());
    }
    // What does not decode is the unknown operation alone, once in each recording.
    assert_eq!(refused, vec![(BodyError::Unimplemented(99), code::UNIMPLEMENTED); 6]);
    // All operations of clients but sasl and reconfig, with their replies; connecting; notifications and the
    // reply to 99.
    assert_eq!(names.len(), 2 * 26 + 2 + 2, "{names:?}");
    assert_eq!(errors.len(), 13, "{errors:?}");
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(names.values().sum::<u32>() > 1500, "{names:?}");
}

/// Each connection's bytes, cut at places that change from chunk to chunk, give its packets back.
#[test]
fn streams_cut_anywhere() {
    let mut packets = 0;
    for file in files("client") {
        let mut streams: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for frame in frames(&file).into_iter().filter(|f| f.dir == ">") {
            streams.entry(frame.conn).or_default().extend_from_slice(&frame.bytes);
        }
        for (conn, bytes) in streams {
            let mut stream = ClientStream::new(DEFAULT_JUTE_MAXBUFFER);
            let mut again = BytesMut::new();
            let mut step = conn as usize % 7;
            let mut at = 0;
            while at < bytes.len() {
                step = step * 11 % 173 + 1;
                let to = (at + step).min(bytes.len());
                stream.feed(Bytes::copy_from_slice(&bytes[at..to]));
                at = to;
                while let Some(inbound) = stream.next().expect("packets") {
                    packets += 1;
                    put_frame(&mut again, |out| match inbound {
                        ClientInbound::Connect(connect) => connect.write(out),
                        ClientInbound::Request { header, body } => {
                            header.write(out);
                            out.extend_from_slice(&body);
                        }
                    });
                }
            }
            assert_eq!(stream.buffered(), 0);
            assert_eq!(again, bytes, "{} conn {conn}", file.display());
        }
    }
    assert!(packets > 700, "{packets}");
}

#[test]
fn the_first_word_is_seen_until_the_first_packet_is() {
    let mut stream = ClientStream::new(100);
    stream.feed(Bytes::from_static(b"ru"));
    assert_eq!(stream.first_word(), None);
    stream.feed(Bytes::from_static(b"ok"));
    assert_eq!(stream.first_word(), Some(*b"ruok"));
    assert!(stream.next().is_err(), "a length of 1920298859");

    let connect = Bytes::from_static(&[0; 44]);
    let mut stream = ClientStream::new(100);
    stream.feed(framed(|out| out.extend_from_slice(&connect)).freeze());
    assert_eq!(stream.first_word(), Some([0, 0, 0, 44]));
    let Ok(Some(ClientInbound::Connect(connect))) = stream.next() else { panic!("a ConnectRequest") };
    // Null and empty passwords differ, and 16 bytes behind an empty one are the readOnly byte and a rest.
    assert_eq!((connect.passwd, connect.read_only), (Some(Bytes::new()), Some(false)));
    stream.feed(Bytes::from_static(b"\0\0\0\x08ruokstat"));
    assert_eq!(stream.first_word(), None);
    let Ok(Some(ClientInbound::Request { header, body })) = stream.next() else { panic!("a request") };
    assert_eq!((header.kind, body.len()), (i32::from_be_bytes(*b"stat"), 0));
}

/// | length | |
/// |---|---|
/// | below 0 | refused |
/// | 0 to `jute.maxbuffer` | waited for |
/// | above | refused, before anything of it came |
#[test]
fn lengths() {
    for (length, good) in [(-1, false), (i32::MIN, false), (0, true), (0xf_ffff, true), (0x10_0000, false)] {
        let mut stream = FrameStream::new(DEFAULT_JUTE_MAXBUFFER);
        stream.feed(Bytes::copy_from_slice(&i32::to_be_bytes(length)));
        assert_eq!(stream.next().is_ok(), good, "{length}");
    }
    // A body of nothing has no header.
    let mut stream = ClientStream::new(DEFAULT_JUTE_MAXBUFFER);
    stream.feed(Bytes::from_static(&[0; 4]));
    assert!(stream.next().is_err());
}

/// A packet that lies whole in its chunk is a slice of it, whatever stands around it.
#[test]
fn whole_packets_are_not_copied() {
    let chunk = Bytes::from_static(b"\0\0\0\x02ab\0\0\0\x03cde\0\0\0\x04f");
    let mut stream = FrameStream::new(100);
    stream.feed(chunk.clone());
    for at in [4, 10] {
        let packet = stream.next().expect("no error").expect("a packet");
        assert_eq!(packet.as_ptr(), chunk[at..].as_ptr());
    }
    assert_eq!(stream.next(), Ok(None));
    stream.feed(Bytes::from_static(b"ghi\0\0\0\0\0"));
    assert_eq!(stream.next().expect("no error").expect("a packet"), &b"fghi"[..]);
    assert_eq!(stream.next().expect("no error").expect("a packet"), &b""[..]);
    assert_eq!((stream.next(), stream.buffered()), (Ok(None), 1));
}

/// Reads and writes in one multi, unknown operations, and modes that need a ttl they do not have.
#[test]
fn multis_that_no_server_decodes() {
    let header = |kind: i32| [&kind.to_be_bytes()[..], &[0, 0xff, 0xff, 0xff, 0xff]].concat();
    let end = [&[0xff; 4][..], &[1, 0xff, 0xff, 0xff, 0xff]].concat();
    let path = b"\0\0\0\x02/a";
    let delete = [&header(op::DELETE)[..], path, &[0xff; 4]].concat();
    let get = [&header(op::GET_DATA)[..], path, &[1]].concat();
    let create = |kind: i32, flags: i32| {
        [&header(kind)[..], path, &[0xff; 4], &[0xff; 4], &flags.to_be_bytes()].concat()
    };
    let multi =
        |parts: &[&[u8]]| Request::decode(op::MULTI, [&parts.concat()[..], &end].concat().into()).is_ok();
    assert!(multi(&[]) && multi(&[&delete, &delete]) && multi(&[&get, &get]));
    assert!(!multi(&[&delete, &get]) && !multi(&[&get, &delete]));
    for kind in [op::CREATE, op::CREATE2, op::CREATE_CONTAINER] {
        let decodes: Vec<i32> = (-1..9).filter(|flags| multi(&[&create(kind, *flags)])).collect();
        assert_eq!(decodes, [0, 1, 2, 3, 4], "{kind}");
    }
    for kind in [op::EXISTS, op::MULTI, op::ERROR, op::NOTIFICATION, 10, 99] {
        assert!(!multi(&[&[&header(kind)[..], path, &[0; 4]].concat()]), "{kind}");
    }
    // Without an end.
    assert!(Request::decode(op::MULTI, delete.into()).is_err());
}

/// The path of a deleteContainer, as 3.9 and as releases before it send it.
#[test]
fn delete_container_of_both_kinds() {
    for body in [&b"\0\0\0\x02/c"[..], b"/c"] {
        let request = Request::decode(op::DELETE_CONTAINER, Bytes::copy_from_slice(body)).expect("a path");
        let Request::DeleteContainer(delete) = &request else { panic!("{request:?}") };
        assert_eq!(delete.path, &b"/c"[..]);
        let mut again = BytesMut::new();
        request.encode(&mut again);
        assert_eq!(again, &b"\0\0\0\x02/c"[..]);
    }
}
