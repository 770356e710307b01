//! `ZooClient`: a client library in the simulator: a session over one connection at a time, with pings,
//! time-outs, watches that it sets again after a reconnect, and the last zxid it saw. It speaks bytes to the
//! world and tells the checkers what it asked and heard; the workload decides what to ask.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use checker::TreeObservation;
use peer::Nanos;
use wire::client::{
    ConnectRequest, ConnectResponse, FrameStream, Reply, ReplyHeader, Request, RequestHeader, Response,
    SetWatches2, WatcherEvent, put_frame,
};
use wire::codes::xid;
use wire::{EventType, Jute, Reader, ServerId, SessionId, Zxid, code, op};

use super::ClientWorld;
use crate::world::LinkId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Down,
    Connecting,
    Open,
}

/// A request without its answer. `request`: none where it was no well-formed one.
#[derive(Clone, Debug)]
pub struct Asked {
    pub xid: i32,
    pub kind: i32,
    pub request: Option<Request>,
}

/// An answer, as the workload hears of it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub asked: Asked,
    pub err: i32,
}

#[derive(Clone, Debug, Default)]
struct ClientWatches {
    data: BTreeSet<Bytes>,
    exist: BTreeSet<Bytes>,
    child: BTreeSet<Bytes>,
    persistent: BTreeSet<Bytes>,
    recursive: BTreeSet<Bytes>,
}

#[derive(Clone, Debug)]
pub struct ZooClient {
    pub id: u64,
    pub stage: Stage,
    pub link: Option<LinkId>,
    /// Counts connections.
    pub attempt: u32,
    pub session: SessionId,
    passwd: Bytes,
    pub timeout_ms: i32,
    wished_timeout_ms: i32,
    last_zxid: Zxid,
    next_xid: i32,
    frames: FrameStream,
    pub pending: VecDeque<Asked>,
    /// The setWatches of this connection, until it is answered.
    setting: Option<Request>,
    watches: ClientWatches,
    last_sent: Nanos,
    last_heard: Nanos,
    /// A member answered it with its session then.
    answered_at: Nanos,
    /// Since then it was never long without an answer. (A member answers reads of one that was silent when its
    /// end is prepared already.)
    in_use_since: Nanos,
    /// Times that a session of its was refused as expired; of them, so often though it had just been heard of.
    pub expirations: u64,
    pub unjust_expirations: u64,
    pub notified: u64,
    pub resumed: u64,
    /// It closed its session: the end of the connection is in order.
    closing: bool,
}

impl ZooClient {
    pub fn new(id: u64, wished_timeout_ms: i32) -> ZooClient {
        ZooClient {
            id,
            stage: Stage::Down,
            link: None,
            attempt: 0,
            session: SessionId(0),
            passwd: Bytes::new(),
            timeout_ms: wished_timeout_ms,
            wished_timeout_ms,
            last_zxid: Zxid::ZERO,
            next_xid: 1,
            frames: FrameStream::new(usize::MAX >> 1),
            pending: VecDeque::new(),
            setting: None,
            watches: ClientWatches::default(),
            last_sent: Nanos::ZERO,
            last_heard: Nanos::ZERO,
            expirations: 0,
            unjust_expirations: 0,
            answered_at: Nanos::ZERO,
            in_use_since: Nanos::ZERO,
            notified: 0,
            resumed: 0,
            closing: false,
        }
    }

    fn timeout(&self, thirds: u64) -> Nanos {
        Nanos::from_millis(u64::from(self.timeout_ms.max(0).unsigned_abs()) * thirds / 3)
    }

    pub fn connect(&mut self, world: &mut impl ClientWorld, to: ServerId) {
        self.attempt += 1;
        let link = world.dial_client_port(self.id, to);
        self.link = Some(link);
        self.stage = Stage::Connecting;
        self.frames = FrameStream::new(usize::MAX >> 1);
        (self.last_sent, self.last_heard) = (world.now(), world.now());
        let request = ConnectRequest {
            last_zxid_seen: self.last_zxid,
            session_id: self.session,
            passwd: Some(self.passwd.clone()),
            ..ConnectRequest::of_a_new_session(self.wished_timeout_ms)
        };
        world.tell(&TreeObservation::Connecting {
            client: self.id,
            attempt: self.attempt,
            session: self.session,
            last_zxid: self.last_zxid,
        });
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| request.write(out));
        world.client_sends(link, out.freeze());
    }

    /// Lets go of the connection (`link_is_gone`: there is none any more). What was asked may happen or not.
    pub fn disconnect(&mut self, world: &mut impl ClientWorld, link_is_gone: bool) {
        let Some(link) = self.link.take() else { return };
        if !link_is_gone {
            world.client_closes(link);
        }
        self.stage = Stage::Down;
        self.setting = None;
        self.pending.clear();
        world.tell(&TreeObservation::Disconnected {
            client: self.id,
            attempt: self.attempt,
            session: self.session,
        });
        if std::mem::take(&mut self.closing) {
            self.forget_session();
        }
    }

    fn forget_session(&mut self) {
        self.session = SessionId(0);
        self.passwd = Bytes::new();
        self.watches = ClientWatches::default();
        self.next_xid = 1;
    }

    /// Pings in time, and gives up a connection on which nothing is heard. False where it gave up.
    pub fn tick(&mut self, world: &mut impl ClientWorld, connect_timeout: Nanos) -> bool {
        let silent = world.now().saturating_sub(self.last_heard);
        match self.stage {
            Stage::Down => {}
            Stage::Connecting if silent > connect_timeout => {
                self.disconnect(world, false);
                return false;
            }
            Stage::Connecting => {}
            Stage::Open if silent > self.timeout(2) => {
                self.disconnect(world, false);
                return false;
            }
            Stage::Open => {
                if world.now().saturating_sub(self.last_sent) > self.timeout(1) {
                    self.send(world, xid::PING, op::PING, b"");
                }
            }
        }
        true
    }

    fn send(&mut self, world: &mut impl ClientWorld, xid: i32, kind: i32, body: &[u8]) {
        let Some(link) = self.link else { return };
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| {
            RequestHeader { xid, kind }.write(out);
            out.extend_from_slice(body);
        });
        self.last_sent = world.now();
        world.client_sends(link, out.freeze());
    }

    pub fn ask(&mut self, world: &mut impl ClientWorld, request: Request) {
        let mut body = BytesMut::new();
        request.encode(&mut body);
        let (xid, kind) = (self.next_xid, request.op());
        world.tell(&TreeObservation::Asked {
            client: self.id,
            attempt: self.attempt,
            session: self.session,
            xid,
            request: &request,
        });
        self.closing |= kind == op::CLOSE_SESSION;
        self.next_xid += 1;
        self.pending.push_back(Asked { xid, kind, request: Some(request) });
        self.send(world, xid, kind, &body);
    }

    /// Something that is no request.
    pub fn ask_raw(&mut self, world: &mut impl ClientWorld, kind: i32, body: &[u8]) {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.pending.push_back(Asked { xid, kind, request: None });
        self.send(world, xid, kind, body);
    }

    pub fn is_closing(&self) -> bool {
        self.closing
    }

    pub fn on_bytes(&mut self, world: &mut impl ClientWorld, bytes: Bytes) -> Vec<Answer> {
        self.last_heard = world.now();
        self.frames.feed(bytes);
        let mut answers = Vec::new();
        while self.link.is_some() {
            let Ok(Some(packet)) = self.frames.next() else { break };
            if self.stage == Stage::Connecting {
                self.on_connect_response(world, packet);
            } else {
                answers.extend(self.on_packet(world, packet));
            }
        }
        answers
    }

    fn on_connect_response(&mut self, world: &mut impl ClientWorld, packet: Bytes) {
        let Ok(response) = ConnectResponse::parse(packet) else { return self.disconnect(world, false) };
        let (client, attempt) = (self.id, self.attempt);
        if response.time_out <= 0 {
            self.expirations += 1;
            let in_use = world.now() < self.answered_at + self.timeout(2)
                && self.in_use_since + self.timeout(4) < self.answered_at;
            self.unjust_expirations += u64::from(in_use);
            world.tell(&TreeObservation::Expired { client, attempt, session: self.session });
            self.disconnect(world, false);
            return self.forget_session();
        }
        let session = response.session_id;
        if session == self.session {
            self.resumed += 1;
        } else {
            self.forget_session();
        }
        self.session = session;
        self.passwd = response.passwd.unwrap_or_default();
        self.timeout_ms = response.time_out;
        self.stage = Stage::Open;
        let timeout_ms = response.time_out;
        world.tell(&TreeObservation::Connected { client, attempt, session, timeout_ms });
        self.set_watches_again(world);
    }

    fn set_watches_again(&mut self, world: &mut impl ClientWorld) {
        let list = |set: &BTreeSet<Bytes>| set.iter().cloned().collect::<Vec<_>>();
        let watches = &self.watches;
        let set = SetWatches2 {
            relative_zxid: self.last_zxid,
            data_watches: list(&watches.data),
            exist_watches: list(&watches.exist),
            child_watches: list(&watches.child),
            persistent_watches: list(&watches.persistent),
            persistent_recursive_watches: list(&watches.recursive),
        };
        let lists = [&set.data_watches, &set.exist_watches, &set.child_watches, &set.persistent_watches];
        if lists.iter().all(|list| list.is_empty()) && set.persistent_recursive_watches.is_empty() {
            return;
        }
        let request = Request::SetWatches2(set);
        let mut body = BytesMut::new();
        request.encode(&mut body);
        world.tell(&TreeObservation::Asked {
            client: self.id,
            attempt: self.attempt,
            session: self.session,
            xid: xid::SET_WATCHES,
            request: &request,
        });
        self.setting = Some(request);
        self.send(world, xid::SET_WATCHES, op::SET_WATCHES2, &body);
    }

    fn on_packet(&mut self, world: &mut impl ClientWorld, packet: Bytes) -> Option<Answer> {
        let Ok(header) = ReplyHeader::read(&mut Reader::new(packet.clone()), "ReplyHeader") else {
            self.disconnect(world, false);
            return None;
        };
        if header.xid != xid::NOTIFICATION {
            self.note_answer(world.now());
        }
        if header.zxid > Zxid::ZERO {
            self.last_zxid = self.last_zxid.max(header.zxid);
        }
        match header.xid {
            xid::NOTIFICATION => {
                if let Ok(Reply { response: Response::Event(event), .. }) = Reply::decode(0, packet) {
                    self.on_event(world, header.zxid, &event);
                }
                None
            }
            xid::PING | xid::AUTH => None,
            xid::SET_WATCHES => {
                if let Some(request) = self.setting.take() {
                    self.answered(world, header, &request, &Response::Empty);
                }
                None
            }
            _ => self.on_reply(world, header, packet),
        }
    }

    fn note_answer(&mut self, now: Nanos) {
        if now > self.answered_at + self.timeout(2) {
            self.in_use_since = now;
        }
        self.answered_at = now;
    }

    fn on_reply(
        &mut self,
        world: &mut impl ClientWorld,
        header: ReplyHeader,
        packet: Bytes,
    ) -> Option<Answer> {
        // What is no operation is refused before its turn, and the connection ends.
        let no_operation = |asked: &Asked| asked.xid == header.xid && !server::is_client_request(asked.kind);
        let overtakes = self.pending.iter().position(no_operation);
        let asked = self.pending.remove(overtakes.unwrap_or(0)).filter(|asked| asked.xid == header.xid);
        let reply = asked.as_ref().map(|asked| Reply::decode(asked.kind, packet));
        let (Some(asked), Some(Ok(reply))) = (asked, reply) else {
            let (client, attempt, session) = (self.id, self.attempt, self.session);
            world.tell(&TreeObservation::Nonsense { client, attempt, session, xid: header.xid });
            self.disconnect(world, false);
            return None;
        };
        if let Some(request) = &asked.request {
            self.answered(world, header, request, &reply.response);
            self.note_watches(request, header.err);
        }
        Some(Answer { asked, err: header.err })
    }

    fn answered(
        &self,
        world: &mut impl ClientWorld,
        header: ReplyHeader,
        request: &Request,
        response: &Response,
    ) {
        let result = if header.err == code::OK { Ok(response) } else { Err(header.err) };
        world.tell(&TreeObservation::Answered {
            client: self.id,
            attempt: self.attempt,
            session: self.session,
            xid: header.xid,
            zxid: header.zxid,
            request,
            result,
        });
    }

    /// What a read leaves, and what removeWatches takes.
    fn note_watches(&mut self, request: &Request, err: i32) {
        let watches = &mut self.watches;
        let ok = err == code::OK;
        match request {
            Request::Exists(r) if r.watch && ok => _ = watches.data.insert(r.path.clone()),
            Request::Exists(r) if r.watch && err == code::NO_NODE => _ = watches.exist.insert(r.path.clone()),
            Request::GetData(r) if r.watch && ok => _ = watches.data.insert(r.path.clone()),
            Request::GetChildren(r) if r.watch && ok => _ = watches.child.insert(r.path.clone()),
            Request::GetChildren2(r) if r.watch && ok => _ = watches.child.insert(r.path.clone()),
            Request::AddWatch(r) if ok && r.mode == 0 => _ = watches.persistent.insert(r.path.clone()),
            Request::AddWatch(r) if ok => _ = watches.recursive.insert(r.path.clone()),
            Request::RemoveWatches(r) if ok => {
                let path = &r.path;
                if matches!(r.kind, 1 | 3) {
                    watches.child.remove(path);
                }
                if matches!(r.kind, 2 | 3) {
                    watches.data.remove(path);
                    watches.exist.remove(path);
                }
                if matches!(r.kind, 3 | 4) {
                    watches.persistent.remove(path);
                }
                if matches!(r.kind, 3 | 5) {
                    watches.recursive.remove(path);
                }
            }
            _ => {}
        }
    }

    fn on_event(&mut self, world: &mut impl ClientWorld, zxid: Zxid, event: &WatcherEvent) {
        self.notified += 1;
        let (client, attempt, session) = (self.id, self.attempt, self.session);
        world.tell(&TreeObservation::Notified { client, attempt, session, zxid, event });
        let (path, watches) = (&event.path, &mut self.watches);
        let is = |kind: EventType| event.kind == kind.number();
        if is(EventType::NodeChildrenChanged) || is(EventType::NodeDeleted) {
            watches.child.remove(path);
        }
        if !is(EventType::NodeChildrenChanged) {
            watches.data.remove(path);
            watches.exist.remove(path);
        }
    }
}
