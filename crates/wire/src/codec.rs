//! `QuorumPacket` and `Packet` to bytes and back. Called by the stream decoder and by senders.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{Epoch, ServerId, SessionId, Zxid};
use crate::jute::{self, Error, Reader, put_buffer, put_ids};
use crate::packet::{ForwardedRequest, LearnerInfo, Packet, QuorumPacket};

/// Packet types of the wire.
pub mod kind {
    pub const REQUEST: i32 = 1;
    pub const PROPOSAL: i32 = 2;
    pub const ACK: i32 = 3;
    pub const COMMIT: i32 = 4;
    pub const PING: i32 = 5;
    pub const REVALIDATE: i32 = 6;
    pub const SYNC: i32 = 7;
    pub const INFORM: i32 = 8;
    pub const COMMITANDACTIVATE: i32 = 9;
    pub const NEWLEADER: i32 = 10;
    pub const FOLLOWERINFO: i32 = 11;
    pub const UPTODATE: i32 = 12;
    pub const DIFF: i32 = 13;
    pub const TRUNC: i32 = 14;
    pub const SNAP: i32 = 15;
    pub const OBSERVERINFO: i32 = 16;
    pub const LEADERINFO: i32 = 17;
    pub const ACKEPOCH: i32 = 18;
    pub const INFORMANDACTIVATE: i32 = 19;
}

/// Who reads the stream: some types mean something else in the other direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToLeader,
    ToLearner,
}

impl QuorumPacket {
    pub fn decode(reader: &mut Reader) -> Result<QuorumPacket, Error> {
        Ok(QuorumPacket {
            kind: reader.i32("packet type")?,
            zxid: Zxid(reader.i64("packet zxid")?),
            data: reader.buffer("packet data")?,
            authinfo: reader.ids("packet authinfo")?,
        })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.kind);
        out.put_i64(self.zxid.0);
        put_buffer(out, self.data.as_deref());
        put_ids(out, self.authinfo.as_deref());
    }
}

fn malformed<T>(what: &'static str, expected: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { what, expected })
}

/// A record inside `data` is closed: what is too short there will not grow.
fn closed<T>(result: Result<T, Error>, what: &'static str, expected: &'static str) -> Result<T, Error> {
    result.or_else(|e| if e.is_short() { malformed(what, expected) } else { Err(e) })
}

impl LearnerInfo {
    fn parse(data: Option<Bytes>) -> Result<LearnerInfo, Error> {
        let Some(data) = data else { return Ok(LearnerInfo::Absent) };
        let length = data.len();
        let mut r = Reader::new(data);
        Ok(match length {
            8 => LearnerInfo::Sid(ServerId(r.i64("sid")?)),
            12 => LearnerInfo::V34 { sid: ServerId(r.i64("sid")?), protocol: r.i32("protocol")? },
            20.. => LearnerInfo::V35 {
                sid: ServerId(r.i64("sid")?),
                protocol: r.i32("protocol")?,
                config_version: r.i64("config version")?,
            },
            _ => return malformed("LearnerInfo", "null, 8, 12 or 20 bytes"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        match *self {
            LearnerInfo::Absent => out.put_i32(-1),
            LearnerInfo::Sid(sid) => {
                out.put_i32(8);
                out.put_i64(sid.0);
            }
            LearnerInfo::V34 { sid, protocol } => {
                out.put_i32(12);
                out.put_i64(sid.0);
                out.put_i32(protocol);
            }
            LearnerInfo::V35 { sid, protocol, config_version } => {
                out.put_i32(20);
                out.put_i64(sid.0);
                out.put_i32(protocol);
                out.put_i64(config_version);
            }
        }
    }

    /// Null data stands for no id; anything shorter than 12 bytes for protocol version 1.
    pub fn sid(&self) -> Option<ServerId> {
        match *self {
            LearnerInfo::Absent => None,
            LearnerInfo::Sid(sid) | LearnerInfo::V34 { sid, .. } | LearnerInfo::V35 { sid, .. } => Some(sid),
        }
    }
    pub fn protocol(&self) -> i32 {
        match *self {
            LearnerInfo::Absent | LearnerInfo::Sid(_) => 1,
            LearnerInfo::V34 { protocol, .. } | LearnerInfo::V35 { protocol, .. } => protocol,
        }
    }
    pub fn config_version(&self) -> i64 {
        match *self {
            LearnerInfo::V35 { config_version, .. } => config_version,
            _ => 0,
        }
    }
}

impl Packet {
    pub fn decode(reader: &mut Reader, direction: Direction) -> Result<Packet, Error> {
        Packet::parse(QuorumPacket::decode(reader)?, direction)
    }

    pub fn parse(raw: QuorumPacket, direction: Direction) -> Result<Packet, Error> {
        use Direction::{ToLeader, ToLearner};
        let QuorumPacket { kind, zxid, data, authinfo } = raw;
        let txn =
            |data: Option<Bytes>, what| data.ok_or(Error::Malformed { what, expected: "a transaction" });
        Ok(match (kind, direction) {
            (kind::REQUEST, ToLeader) => Packet::Request(parse_request(data, authinfo)?),
            (kind::PROPOSAL, ToLearner) => Packet::Proposal { zxid, txn: txn(data, "PROPOSAL")? },
            (kind::ACK, ToLeader) => Packet::Ack { zxid },
            (kind::COMMIT, ToLearner) => Packet::Commit { zxid },
            (kind::PING, ToLearner) => Packet::Ping { zxid, touched: data },
            (kind::PING, ToLeader) => match data {
                Some(table) if table.len() % 12 == 0 => Packet::Ping { zxid, touched: Some(table) },
                _ => return malformed("PING", "a table of 12 bytes a session, not null"),
            },
            (kind::REVALIDATE, ToLeader) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let expected = "12 bytes: session, timeout";
                Packet::Revalidate {
                    session: SessionId(closed(r.i64("session"), "REVALIDATE", expected)?),
                    timeout_ms: closed(r.i32("timeout"), "REVALIDATE", expected)?,
                }
            }
            (kind::REVALIDATE, ToLearner) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let expected = "9 bytes: session, valid";
                Packet::Revalidated {
                    session: SessionId(closed(r.i64("session"), "REVALIDATE", expected)?),
                    valid: closed(r.bool("valid"), "REVALIDATE", expected)?,
                }
            }
            (kind::SYNC, ToLearner) => Packet::Sync { zxid },
            (kind::INFORM, ToLearner) => Packet::Inform { zxid, txn: txn(data, "INFORM")? },
            (kind::COMMITANDACTIVATE, ToLearner) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let leader = closed(r.i64("leader"), "COMMITANDACTIVATE", "8 bytes: designated leader")?;
                Packet::CommitAndActivate { zxid, leader: ServerId(leader) }
            }
            (kind::INFORMANDACTIVATE, ToLearner) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let leader = closed(r.i64("leader"), "INFORMANDACTIVATE", "designated leader, transaction")?;
                Packet::InformAndActivate { zxid, leader: ServerId(leader), txn: r.rest() }
            }
            (kind::NEWLEADER, ToLearner) => Packet::NewLeader { zxid, config: data },
            (kind::FOLLOWERINFO, ToLeader) => {
                Packet::FollowerInfo { accepted: zxid, info: LearnerInfo::parse(data)? }
            }
            (kind::OBSERVERINFO, ToLeader) => {
                Packet::ObserverInfo { accepted: zxid, info: LearnerInfo::parse(data)? }
            }
            (kind::UPTODATE, ToLearner) => Packet::UpToDate,
            (kind::DIFF, ToLearner) => Packet::Diff { zxid },
            (kind::TRUNC, ToLearner) => Packet::Trunc { zxid },
            (kind::SNAP, ToLearner) => Packet::Snap { zxid },
            (kind::LEADERINFO, ToLearner) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let protocol = closed(r.i32("protocol"), "LEADERINFO", "4 bytes: protocol version")?;
                Packet::LeaderInfo { zxid, protocol }
            }
            (kind::ACKEPOCH, ToLeader) => {
                let mut r = Reader::new(data.unwrap_or_default());
                let epoch = closed(r.i32("epoch"), "ACKEPOCH", "4 bytes: current epoch")?;
                Packet::AckEpoch { last_zxid: zxid, current_epoch: Epoch(i64::from(epoch)) }
            }
            _ => Packet::Unknown(QuorumPacket { kind, zxid, data, authinfo }),
        })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        // Once, not field by field.
        out.reserve(self.usual_len());
        let head = |out: &mut BytesMut, kind: i32, zxid: Zxid| {
            out.put_i32(kind);
            out.put_i64(zxid.0);
        };
        let plain = |out: &mut BytesMut, kind: i32, zxid: Zxid| {
            head(out, kind, zxid);
            out.put_i32(-1);
        };
        match self {
            Packet::Request(request) => {
                head(out, kind::REQUEST, Zxid::NONE);
                out.put_i32(16 + i32::try_from(request.body.len()).expect("a request below 2 GiB"));
                out.put_i64(request.session.0);
                out.put_i32(request.cxid);
                out.put_i32(request.op);
                out.extend_from_slice(&request.body);
                return put_ids(out, request.authinfo.as_deref());
            }
            Packet::Proposal { zxid, txn } => {
                head(out, kind::PROPOSAL, *zxid);
                put_buffer(out, Some(txn));
            }
            Packet::Ack { zxid } => plain(out, kind::ACK, *zxid),
            Packet::Commit { zxid } => plain(out, kind::COMMIT, *zxid),
            Packet::Ping { zxid, touched } => {
                head(out, kind::PING, *zxid);
                put_buffer(out, touched.as_deref());
            }
            Packet::Revalidate { session, timeout_ms } => {
                head(out, kind::REVALIDATE, Zxid::NONE);
                out.put_i32(12);
                out.put_i64(session.0);
                out.put_i32(*timeout_ms);
            }
            Packet::Revalidated { session, valid } => {
                head(out, kind::REVALIDATE, Zxid::NONE);
                out.put_i32(9);
                out.put_i64(session.0);
                out.put_u8(u8::from(*valid));
            }
            Packet::Sync { zxid } => plain(out, kind::SYNC, *zxid),
            Packet::Inform { zxid, txn } => {
                head(out, kind::INFORM, *zxid);
                put_buffer(out, Some(txn));
            }
            Packet::CommitAndActivate { zxid, leader } => {
                head(out, kind::COMMITANDACTIVATE, *zxid);
                out.put_i32(8);
                out.put_i64(leader.0);
            }
            Packet::InformAndActivate { zxid, leader, txn } => {
                head(out, kind::INFORMANDACTIVATE, *zxid);
                out.put_i32(8 + i32::try_from(txn.len()).expect("a transaction below 2 GiB"));
                out.put_i64(leader.0);
                out.extend_from_slice(txn);
            }
            Packet::NewLeader { zxid, config } => {
                head(out, kind::NEWLEADER, *zxid);
                put_buffer(out, config.as_deref());
            }
            Packet::FollowerInfo { accepted, info } => {
                head(out, kind::FOLLOWERINFO, *accepted);
                info.encode(out);
            }
            Packet::ObserverInfo { accepted, info } => {
                head(out, kind::OBSERVERINFO, *accepted);
                info.encode(out);
            }
            Packet::UpToDate => plain(out, kind::UPTODATE, Zxid::NONE),
            Packet::Diff { zxid } => plain(out, kind::DIFF, *zxid),
            Packet::Trunc { zxid } => plain(out, kind::TRUNC, *zxid),
            Packet::Snap { zxid } => plain(out, kind::SNAP, *zxid),
            Packet::LeaderInfo { zxid, protocol } => {
                head(out, kind::LEADERINFO, *zxid);
                out.put_i32(4);
                out.put_i32(*protocol);
            }
            Packet::AckEpoch { last_zxid, current_epoch } => {
                head(out, kind::ACKEPOCH, *last_zxid);
                out.put_i32(4);
                out.put_i32(current_epoch.0 as i32);
            }
            Packet::Unknown(raw) => return raw.encode(out),
        }
        jute::put_ids(out, None);
    }
}

impl Packet {
    /// Bytes that the encoding takes, but for ids and what is unknown.
    fn usual_len(&self) -> usize {
        /// Type, zxid, and the lengths of data and authinfo.
        const FIXED: usize = 20;
        FIXED
            + match self {
                Packet::Request(request) => 16 + request.body.len(),
                Packet::Proposal { txn, .. } | Packet::Inform { txn, .. } => txn.len(),
                Packet::InformAndActivate { txn, .. } => 8 + txn.len(),
                Packet::Ping { touched: data, .. } | Packet::NewLeader { config: data, .. } => {
                    data.as_ref().map_or(0, Bytes::len)
                }
                Packet::FollowerInfo { .. } | Packet::ObserverInfo { .. } => 20,
                Packet::Revalidate { .. } | Packet::Revalidated { .. } => 12,
                _ => 8,
            }
    }
}

fn parse_request(data: Option<Bytes>, authinfo: Option<Vec<jute::Id>>) -> Result<ForwardedRequest, Error> {
    let mut r = Reader::new(data.unwrap_or_default());
    let expected = "at least 16 bytes: session, cxid, type";
    Ok(ForwardedRequest {
        session: SessionId(closed(r.i64("session"), "REQUEST", expected)?),
        cxid: closed(r.i32("cxid"), "REQUEST", expected)?,
        op: closed(r.i32("type"), "REQUEST", expected)?,
        body: r.rest(),
        authinfo,
    })
}
