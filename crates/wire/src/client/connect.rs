//! The first packet of each side. Clients of before 3.4 leave out `readOnly`, and expect an answer
//! without it.

use bytes::{Bytes, BytesMut};

use crate::ids::{SessionId, Zxid};
use crate::jute::{Error, Reader};
use crate::record::{Jute, Value};

/// 45 bytes with a password of 16, 44 without `readOnly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Ignored by servers.
    pub protocol_version: i32,
    /// A server that has seen less closes the connection.
    pub last_zxid_seen: Zxid,
    /// Milliseconds wished for.
    pub time_out: i32,
    /// 0 for a new session.
    pub session_id: SessionId,
    /// Null is as good as any for a new session.
    pub passwd: Option<Bytes>,
    /// `None`: the byte is absent.
    pub read_only: Option<bool>,
}

/// 37 bytes with a password of 16, 36 without `readOnly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    pub protocol_version: i32,
    /// Milliseconds granted; 0 if the session has expired or the password was wrong.
    pub time_out: i32,
    pub session_id: SessionId,
    pub passwd: Option<Bytes>,
    /// Whether this server is read-only; `None` for a client that did not ask.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Of a client that has no session and has seen nothing. `time_out`: milliseconds.
    pub fn of_a_new_session(time_out: i32) -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            time_out,
            session_id: SessionId(0),
            passwd: None,
            read_only: Some(false),
        }
    }
}

impl Jute for ConnectRequest {
    fn read(r: &mut Reader, _what: &'static str) -> Result<Self, Error> {
        Ok(ConnectRequest {
            protocol_version: r.i32("ConnectRequest.protocolVersion")?,
            last_zxid_seen: Zxid(r.i64("ConnectRequest.lastZxidSeen")?),
            time_out: r.i32("ConnectRequest.timeOut")?,
            session_id: SessionId(r.i64("ConnectRequest.sessionId")?),
            passwd: r.buffer("ConnectRequest.passwd")?,
            read_only: read_only(r)?,
        })
    }
    fn write(&self, out: &mut BytesMut) {
        self.protocol_version.write(out);
        self.last_zxid_seen.write(out);
        self.time_out.write(out);
        self.session_id.write(out);
        self.passwd.write(out);
        write_read_only(self.read_only, out);
    }
    fn value(&self) -> Value {
        Value::Record(
            "ConnectRequest",
            vec![
                ("protocolVersion", self.protocol_version.value()),
                ("lastZxidSeen", self.last_zxid_seen.value()),
                ("timeOut", self.time_out.value()),
                ("sessionId", self.session_id.value()),
                ("passwd", self.passwd.value()),
                ("readOnly", self.read_only.map_or(Value::Null, Value::Bool)),
            ],
        )
    }
}

impl Jute for ConnectResponse {
    fn read(r: &mut Reader, _what: &'static str) -> Result<Self, Error> {
        Ok(ConnectResponse {
            protocol_version: r.i32("ConnectResponse.protocolVersion")?,
            time_out: r.i32("ConnectResponse.timeOut")?,
            session_id: SessionId(r.i64("ConnectResponse.sessionId")?),
            passwd: r.buffer("ConnectResponse.passwd")?,
            read_only: read_only(r)?,
        })
    }
    fn write(&self, out: &mut BytesMut) {
        self.protocol_version.write(out);
        self.time_out.write(out);
        self.session_id.write(out);
        self.passwd.write(out);
        write_read_only(self.read_only, out);
    }
    fn value(&self) -> Value {
        Value::Record(
            "ConnectResponse",
            vec![
                ("protocolVersion", self.protocol_version.value()),
                ("timeOut", self.time_out.value()),
                ("sessionId", self.session_id.value()),
                ("passwd", self.passwd.value()),
                ("readOnly", self.read_only.map_or(Value::Null, Value::Bool)),
            ],
        )
    }
}

/// The record ends with its packet: nothing left means that the byte was not sent.
fn read_only(r: &mut Reader) -> Result<Option<bool>, Error> {
    if r.remaining() == 0 { Ok(None) } else { r.bool("readOnly").map(Some) }
}

fn write_read_only(read_only: Option<bool>, out: &mut BytesMut) {
    if let Some(read_only) = read_only {
        read_only.write(out);
    }
}
