//! `ServerCnxn`: the server's end of one client's connection: bytes in, what the member is asked; what it
//! answers, bytes out. Owned by `ServerCnxnFactory`, which the peer owns.
//!
//! ```text
//! AwaitsConnect --ConnectRequest--> Connecting --Connected--> Open --> closed
//! ```
//!
//! While `Connecting` nothing more is read: what a client sent behind its ConnectRequest waits.

mod digest_auth;
mod factory;
mod password;
mod stats;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use wire::client::{
    AuthPacket, ClientInbound, ClientStream, ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader,
    SetSASLResponse, put_frame,
};
use wire::codes::xid;
use wire::{Id, Jute, SessionId, Zxid, code, op};
use zab::{ClientId, ClientInput, ClientOutput, Nanos, Settings};

use crate::zookeeper_server::is_client_request;

pub use digest_auth::generate_digest;
pub use factory::ServerCnxnFactory;
pub use password::{check_passwd, generate_passwd};
pub use stats::{AvgMinMax, BufferStats, CnxnStats, ServerStats, Stats};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AwaitsConnect,
    Connecting,
    Open,
}

/// What a connection wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Ask(ClientInput),
    Say(Bytes),
    /// `last_words` go out before.
    Close {
        last_words: Bytes,
        reason: String,
    },
}

#[derive(Clone, Debug)]
pub struct ServerCnxn {
    client: ClientId,
    stream: ClientStream,
    stage: Stage,
    /// The first is its address.
    auth: Vec<Id>,
    super_digest: Option<String>,
    /// The client of 3.4 and later, which reads the `readOnly` byte.
    reads_read_only: bool,
    timeout_ms: i32,
    heard: Nanos,
    /// Bytes of each request that is not answered, in the order of the answers.
    outstanding: VecDeque<usize>,
    outstanding_bytes: usize,
    /// What comes before the next packet.
    then: VecDeque<Step>,
    /// The transport was told to read.
    reading: bool,
}

/// A connection that has no session is given up after so long (`zookeeper.nio.sessionlessCnxnTimeout`).
const SESSIONLESS: Nanos = Nanos::from_millis(10_000);
/// Bytes that are read ahead while requests wait for their turn.
const READ_AHEAD: usize = 64 * 1024;

impl ServerCnxn {
    /// `from`: the client's address, which is its identity of scheme `ip`.
    pub fn new(client: ClientId, from: &str, settings: &Settings, now: Nanos) -> ServerCnxn {
        let ip = Id { scheme: Bytes::from_static(b"ip"), id: Bytes::copy_from_slice(from.as_bytes()) };
        ServerCnxn {
            client,
            stream: ClientStream::new(settings.jute_maxbuffer),
            super_digest: settings.super_digest.clone(),
            stage: Stage::AwaitsConnect,
            auth: vec![ip],
            reads_read_only: false,
            timeout_ms: 0,
            heard: now,
            outstanding: VecDeque::new(),
            outstanding_bytes: 0,
            then: VecDeque::new(),
            reading: true,
        }
    }

    pub(crate) fn address(&self) -> &str {
        self.auth.first().and_then(|ip| std::str::from_utf8(&ip.id).ok()).unwrap_or_default()
    }

    pub(crate) fn received(&mut self, now: Nanos, bytes: Bytes) {
        self.heard = now;
        self.stream.feed(bytes);
    }

    /// Nothing was heard for as long as its session lives without a word, or it never had one.
    pub(crate) fn is_idle(&self, now: Nanos) -> bool {
        let patience = match self.stage {
            Stage::Open => Nanos::from_millis(u64::from(self.timeout_ms.max(0).unsigned_abs())),
            Stage::AwaitsConnect | Stage::Connecting => SESSIONLESS,
        };
        self.heard + patience < now
    }

    /// Requests that wait for their answers, and their bytes.
    pub(crate) fn outstanding(&self) -> (usize, usize) {
        (self.outstanding.len(), self.outstanding_bytes)
    }

    /// The next packet's wish, if there is a packet and its time has come. `throttled`: those who wait for an
    /// answer have to.
    pub(crate) fn next(&mut self, throttled: bool) -> Option<Step> {
        if let Some(step) = self.then.pop_front() {
            return Some(step);
        }
        if self.waits(throttled) {
            return None;
        }
        match self.stream.next() {
            Ok(None) => None,
            Ok(Some(ClientInbound::Connect(connect))) => Some(self.on_connect(&connect)),
            Ok(Some(ClientInbound::Request { header, body })) => Some(self.on_request(header, body)),
            Err(why) => Some(close(why.to_string())),
        }
    }

    fn waits(&self, throttled: bool) -> bool {
        self.stage == Stage::Connecting || throttled && !self.outstanding.is_empty()
    }

    /// Something was asked, and it waits for no other reason than that too much is under way.
    pub(crate) fn is_held_back(&self) -> bool {
        self.stage != Stage::Connecting && !self.outstanding.is_empty() && self.stream.buffered() > 0
    }

    /// What the transport is to be told, once `next` has nothing more: to stop when enough is read ahead, to go
    /// on when that is worked on.
    pub(crate) fn reading(&mut self, throttled: bool) -> Option<bool> {
        let wanted = !(self.waits(throttled) && self.stream.buffered() >= READ_AHEAD);
        (std::mem::replace(&mut self.reading, wanted) != wanted).then_some(wanted)
    }

    /// `processConnectRequest`. Whether its zxid is too new is for the member to say.
    fn on_connect(&mut self, connect: &ConnectRequest) -> Step {
        self.reads_read_only = connect.read_only.is_some();
        let session = connect.session_id;
        let resume = (session != SessionId(0)).then_some(session);
        if resume.is_some() && !check_passwd(session, connect.passwd.as_deref()) {
            let last_words = self.connect_response(SessionId(0), 0);
            return Step::Close { last_words, reason: format!("wrong password for session {session}") };
        }
        self.stage = Stage::Connecting;
        Step::Ask(ClientInput::Connect {
            client: self.client,
            resume,
            timeout_ms: connect.time_out,
            last_zxid: connect.last_zxid_seen,
            auth: self.auth.clone(),
        })
    }

    /// `processPacket`. What is not for the processors is answered here, and may overtake what they answer.
    fn on_request(&mut self, header: RequestHeader, body: Bytes) -> Step {
        match header.kind {
            op::AUTH => self.on_auth(header.xid, body),
            // Without a login configured: no token, and no error.
            op::SASL => {
                let mut record = BytesMut::new();
                SetSASLResponse { token: None }.write(&mut record);
                Step::Say(reply(header.xid, Zxid::ZERO, code::OK, &record))
            }
            kind if !is_client_request(kind) => {
                let last_words = reply(header.xid, Zxid::NONE, code::UNIMPLEMENTED, b"");
                Step::Close { last_words, reason: format!("a request of type {kind}") }
            }
            kind => {
                let cxid = if kind == op::PING { xid::PING } else { header.xid };
                self.outstanding.push_back(body.len());
                self.outstanding_bytes += body.len();
                Step::Ask(ClientInput::Request { client: self.client, cxid, op: kind, body })
            }
        }
    }

    fn on_auth(&mut self, xid: i32, body: Bytes) -> Step {
        let packet = match AuthPacket::parse(body) {
            Ok(packet) => packet,
            Err(why) => return close(format!("auth packet: {why}")),
        };
        let auth = packet.auth.unwrap_or_default();
        let id = match &packet.scheme[..] {
            b"digest" => Some(self.on_digest(generate_digest(&auth))),
            // What it said does not matter: its address is known.
            b"ip" => self.auth.first().map(|ip| ip.id.clone()),
            _ => None,
        };
        match id {
            None => Step::Close {
                last_words: reply(xid, Zxid::ZERO, code::AUTH_FAILED, b""),
                reason: format!("no authentication by {}", String::from_utf8_lossy(&packet.scheme)),
            },
            Some(id) => {
                self.then.push_back(Step::Say(reply(xid, Zxid::ZERO, code::OK, b"")));
                self.is_also(Id { scheme: packet.scheme, id })
            }
        }
    }

    fn is_also(&self, id: Id) -> Step {
        Step::Ask(ClientInput::AddAuth { client: self.client, id })
    }

    /// Who proves to be the superuser is that as well (`DigestAuthenticationProvider.handleAuthentication`).
    fn on_digest(&mut self, digest: Vec<u8>) -> Bytes {
        if self.super_digest.as_ref().is_some_and(|of| of.as_bytes() == digest) {
            let superuser = Id { scheme: Bytes::from_static(b"super"), id: Bytes::new() };
            self.then.push_back(self.is_also(superuser));
        }
        Bytes::from(digest)
    }

    /// What the member told this client.
    pub(crate) fn on_output(&mut self, output: ClientOutput) -> Step {
        if let ClientOutput::Reply { .. } = output {
            self.outstanding_bytes -= self.outstanding.pop_front().unwrap_or(0);
        }
        match output {
            ClientOutput::Connected { session, timeout_ms, .. } => {
                (self.stage, self.timeout_ms) = (Stage::Open, timeout_ms);
                Step::Say(self.connect_response(session, timeout_ms))
            }
            ClientOutput::Expired { .. } if self.stage == Stage::Connecting => Step::Close {
                last_words: self.connect_response(SessionId(0), 0),
                reason: "its session has expired".into(),
            },
            ClientOutput::Expired { .. } => close("its session is closed".into()),
            ClientOutput::Disconnected { .. } => close("this member does not serve it (any more)".into()),
            // No reply: the session is another connection's.
            ClientOutput::Reply { result: Err(code::SESSION_MOVED), .. } => {
                close("its session has moved to another server".into())
            }
            ClientOutput::Reply { cxid, zxid, result: Ok(record), .. } => {
                Step::Say(reply(cxid, zxid, code::OK, &record))
            }
            ClientOutput::Reply { cxid, zxid, result: Err(err), .. } => {
                Step::Say(reply(cxid, zxid, err, b""))
            }
            ClientOutput::Notification { zxid, event, .. } => {
                Step::Say(reply(xid::NOTIFICATION, zxid, code::OK, &event))
            }
        }
    }

    /// `finishSessionInit`; with a time-out of 0 the session is refused.
    fn connect_response(&self, session_id: SessionId, time_out: i32) -> Bytes {
        let passwd = if time_out > 0 { generate_passwd(session_id) } else { [0; 16] };
        let response = ConnectResponse {
            protocol_version: 0,
            time_out,
            session_id,
            passwd: Some(Bytes::copy_from_slice(&passwd)),
            read_only: self.reads_read_only.then_some(false),
        };
        let mut out = BytesMut::new();
        put_frame(&mut out, |out| response.write(out));
        out.freeze()
    }
}

fn close(reason: String) -> Step {
    Step::Close { last_words: Bytes::new(), reason }
}

fn reply(xid: i32, zxid: Zxid, err: i32, record: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(20 + record.len());
    put_frame(&mut out, |out| {
        ReplyHeader { xid, zxid, err }.write(out);
        out.extend_from_slice(record);
    });
    out.freeze()
}
