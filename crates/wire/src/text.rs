//! Packets as text: what transcripts and traces print, and what conversation tests type.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};

use crate::codes::{OpCode, op};
use crate::ids::{Epoch, ServerId, SessionId, Zxid};
use crate::packet::{LearnerInfo, Packet};
use crate::txn::{CreateSessionTxn, MultiTxn, SetDataTxn, Txn, TxnBody, TxnHeader};

/// A decimal or `0x` number, with sign; `min` for `Long.MIN_VALUE`.
pub(crate) fn long(text: &str) -> Result<i64, String> {
    if text == "min" {
        return Ok(i64::MIN);
    }
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).map(|n| n as i64).map_err(|e| e.to_string()),
        None => text.parse::<i64>().map_err(|e| e.to_string()),
    };
    parsed.map_err(|e| format!("{text}: {e}"))
}

/// A transaction in a few words.
struct TxnText<'a>(&'a Bytes);

impl fmt::Display for TxnText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(txn) = Txn::decode(self.0) else { return write!(f, "({} bytes)", self.0.len()) };
        body_text(f, txn.header.kind, &txn.body)?;
        write!(f, " session={} cxid={}", txn.header.client_id, txn.header.cxid)
    }
}

fn body_text(f: &mut fmt::Formatter<'_>, kind: i32, body: &TxnBody) -> fmt::Result {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let data = |bytes: &Option<Bytes>| bytes.as_ref().map_or(String::new(), data_text);
    let name = OpCode::of(kind).map_or("", OpCode::name);
    match body {
        TxnBody::Create(txn) => write!(f, "{name} {}={}", text(&txn.path), data(&txn.data)),
        TxnBody::CreateV0(txn) => write!(f, "{name} {}={}", text(&txn.path), data(&txn.data)),
        TxnBody::CreateTTL(txn) => {
            write!(f, "{name} {}={} ttl={}", text(&txn.path), data(&txn.data), txn.ttl)
        }
        TxnBody::CreateContainer(txn) => write!(f, "{name} {}={}", text(&txn.path), data(&txn.data)),
        TxnBody::Delete(txn) => write!(f, "{name} {}", text(&txn.path)),
        TxnBody::SetData(txn) => write!(f, "{name} {}={}", text(&txn.path), data(&txn.data)),
        TxnBody::SetACL(txn) => write!(f, "{name} {} version={}", text(&txn.path), txn.version),
        TxnBody::CheckVersion(txn) => write!(f, "{name} {} version={}", text(&txn.path), txn.version),
        TxnBody::CreateSession(txn) => write!(f, "{name} timeout={}", txn.time_out),
        TxnBody::CloseSession(txn) => {
            write!(f, "{name} paths={}", txn.as_ref().map_or(0, |txn| txn.paths2_delete.len()))
        }
        TxnBody::Error(txn) => write!(f, "{name} {}", txn.err),
        TxnBody::Multi(multi) => multi_text(f, multi),
        TxnBody::Other(body) => write!(f, "type={kind} ({} bytes)", body.len()),
    }
}

/// Data that is text, as it is; of other data the length.
fn data_text(data: &Bytes) -> String {
    match std::str::from_utf8(data) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("({} bytes)", data.len()),
    }
}

/// `multi [create /a=x, delete /b]`.
fn multi_text(f: &mut fmt::Formatter<'_>, multi: &MultiTxn) -> fmt::Result {
    f.write_str("multi [")?;
    for (n, part) in multi.txns.iter().enumerate() {
        f.write_str(if n == 0 { "" } else { ", " })?;
        match part.body() {
            Ok(Some(body)) => body_text(f, part.kind, &body)?,
            Ok(None) => f.write_str("error")?,
            Err(_) => write!(f, "type={} malformed", part.kind)?,
        }
    }
    f.write_str("]")
}

impl fmt::Display for LearnerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LearnerInfo::Absent => f.write_str("info=null"),
            LearnerInfo::Sid(sid) => write!(f, "sid={sid}"),
            LearnerInfo::V34 { sid, protocol } => write!(f, "sid={sid} protocol={protocol:#x}"),
            LearnerInfo::V35 { sid, protocol, config_version } => {
                write!(f, "sid={sid} protocol={protocol:#x} config={config_version}")
            }
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packet::Request(r) => {
                write!(f, "REQUEST session={} cxid={} type={}", r.session, r.cxid, r.op)?;
                match &r.authinfo {
                    None => f.write_str(" auth=null"),
                    Some(ids) => ids.iter().try_for_each(|id| write!(f, " auth={id}")),
                }
            }
            Packet::Proposal { zxid, txn } => write!(f, "PROPOSAL {zxid} {}", TxnText(txn)),
            Packet::Ack { zxid } => write!(f, "ACK {zxid}"),
            Packet::Commit { zxid } => write!(f, "COMMIT {zxid}"),
            Packet::Ping { zxid, touched: None } => write!(f, "PING {zxid}"),
            Packet::Ping { zxid, touched: Some(table) } => {
                write!(f, "PING {zxid} touched={}", table.len() / 12)
            }
            Packet::Revalidate { session, timeout_ms } => {
                write!(f, "REVALIDATE session={session} timeout={timeout_ms}")
            }
            Packet::Revalidated { session, valid } => write!(f, "REVALIDATE session={session} valid={valid}"),
            Packet::Sync { zxid } => write!(f, "SYNC {zxid}"),
            Packet::Inform { zxid, txn } => write!(f, "INFORM {zxid} {}", TxnText(txn)),
            Packet::CommitAndActivate { zxid, leader } => {
                write!(f, "COMMITANDACTIVATE {zxid} leader={leader}")
            }
            Packet::NewLeader { zxid, config: None } => write!(f, "NEWLEADER {zxid}"),
            Packet::NewLeader { zxid, config: Some(c) } => write!(f, "NEWLEADER {zxid} config={}B", c.len()),
            Packet::FollowerInfo { accepted, info } => write!(f, "FOLLOWERINFO accepted={accepted} {info}"),
            Packet::UpToDate => f.write_str("UPTODATE"),
            Packet::Diff { zxid } => write!(f, "DIFF {zxid}"),
            Packet::Trunc { zxid } => write!(f, "TRUNC {zxid}"),
            Packet::Snap { zxid } => write!(f, "SNAP {zxid}"),
            Packet::ObserverInfo { accepted, info } => write!(f, "OBSERVERINFO accepted={accepted} {info}"),
            Packet::LeaderInfo { zxid, protocol } => {
                write!(f, "LEADERINFO epoch={} protocol={protocol:#x}", zxid.epoch())
            }
            Packet::AckEpoch { last_zxid, current_epoch } => {
                write!(f, "ACKEPOCH last={last_zxid} current={current_epoch}")
            }
            Packet::InformAndActivate { zxid, leader, txn } => {
                write!(f, "INFORMANDACTIVATE {zxid} leader={leader} {}", TxnText(txn))
            }
            Packet::Unknown(raw) => write!(f, "type={} {}", raw.kind, raw.zxid),
        }
    }
}

/// Fields of a line: the words without `=` in order, and those with.
struct Words<'a> {
    plain: Vec<&'a str>,
    keyed: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Words<'a> {
        let mut words = Words { plain: Vec::new(), keyed: Vec::new() };
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(pair) if !word.starts_with('/') => words.keyed.push(pair),
                _ => words.plain.push(word),
            }
        }
        words
    }
    fn keyed(&self, key: &str) -> Result<i64, String> {
        self.optional(key)?.ok_or_else(|| format!("expected {key}=number"))
    }
    fn optional(&self, key: &str) -> Result<Option<i64>, String> {
        self.keyed.iter().find(|(k, _)| *k == key).map(|(_, v)| long(v)).transpose()
    }
    /// `config=`, with `|` for its line ends.
    fn config(&self) -> Option<Bytes> {
        let text = self.keyed.iter().find(|(k, _)| *k == "config").map(|(_, v)| v.replace('|', "\n"));
        text.map(Bytes::from)
    }
    fn zxid(&self) -> Result<Zxid, String> {
        long(self.plain.first().ok_or("expected a zxid")?).map(Zxid)
    }
}

fn learner_info(words: &Words<'_>) -> Result<LearnerInfo, String> {
    let Some(sid) = words.optional("sid")? else { return Ok(LearnerInfo::Absent) };
    let sid = ServerId(sid);
    let Some(protocol) = words.optional("protocol")? else { return Ok(LearnerInfo::Sid(sid)) };
    let protocol = protocol as i32;
    Ok(match words.optional("config")? {
        None => LearnerInfo::V34 { sid, protocol },
        Some(config_version) => LearnerInfo::V35 { sid, protocol, config_version },
    })
}

/// `setData /path=value session=.. cxid=..`, `createSession timeout=..` or `reconfig config=..`, as a transaction.
fn txn(zxid: Zxid, words: &Words<'_>) -> Result<Bytes, String> {
    let (kind, body) = match words.plain.get(1..).unwrap_or_default() {
        ["setData", assignment] => {
            let (path, value) = assignment.split_once('=').ok_or("expected /path=value")?;
            let data = Some(Bytes::copy_from_slice(value.as_bytes()));
            let path = Bytes::copy_from_slice(path.as_bytes());
            (op::SET_DATA, TxnBody::SetData(SetDataTxn { path, data, version: 0 }))
        }
        ["createSession"] => {
            let time_out = words.keyed("timeout")? as i32;
            (op::CREATE_SESSION, TxnBody::CreateSession(CreateSessionTxn { time_out }))
        }
        ["reconfig"] => {
            let path = Bytes::from_static(b"/zookeeper/config");
            (op::RECONFIG, TxnBody::SetData(SetDataTxn { path, data: words.config(), version: 0 }))
        }
        other => {
            return Err(format!(
                "expected `setData /path=value`, `createSession` or `reconfig`, found {other:?}"
            ));
        }
    };
    let header = TxnHeader {
        client_id: SessionId(words.optional("session")?.unwrap_or(0)),
        cxid: words.optional("cxid")?.unwrap_or(0) as i32,
        zxid,
        time_ms: 0,
        kind,
    };
    let mut out = BytesMut::new();
    Txn::new(header, body, None).encode(&mut out);
    Ok(out.freeze())
}

impl FromStr for Packet {
    type Err = String;
    fn from_str(text: &str) -> Result<Packet, String> {
        let (name, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let words = Words::of(rest);
        Ok(match name {
            "FOLLOWERINFO" => {
                Packet::FollowerInfo { accepted: Zxid(words.keyed("accepted")?), info: learner_info(&words)? }
            }
            "OBSERVERINFO" => {
                Packet::ObserverInfo { accepted: Zxid(words.keyed("accepted")?), info: learner_info(&words)? }
            }
            "LEADERINFO" => Packet::LeaderInfo {
                zxid: Epoch(words.keyed("epoch")?).first_zxid(),
                protocol: words.optional("protocol")?.unwrap_or(0x10000) as i32,
            },
            "ACKEPOCH" => Packet::AckEpoch {
                last_zxid: Zxid(words.keyed("last")?),
                current_epoch: Epoch(words.keyed("current")?),
            },
            "PROPOSAL" => Packet::Proposal { zxid: words.zxid()?, txn: txn(words.zxid()?, &words)? },
            "INFORM" => Packet::Inform { zxid: words.zxid()?, txn: txn(words.zxid()?, &words)? },
            "ACK" => Packet::Ack { zxid: words.zxid()? },
            "COMMIT" => Packet::Commit { zxid: words.zxid()? },
            "PING" => Packet::Ping {
                zxid: words.zxid()?,
                touched: words.optional("touched")?.map(|n| Bytes::from(vec![0; 12 * n as usize])),
            },
            "REVALIDATE" => {
                let session = SessionId(words.keyed("session")?);
                match words.keyed.iter().find(|(k, _)| *k == "valid") {
                    Some((_, valid)) => Packet::Revalidated { session, valid: *valid == "true" },
                    None => Packet::Revalidate { session, timeout_ms: words.keyed("timeout")? as i32 },
                }
            }
            "SYNC" => Packet::Sync { zxid: words.zxid()? },
            "COMMITANDACTIVATE" => {
                Packet::CommitAndActivate { zxid: words.zxid()?, leader: ServerId(words.keyed("leader")?) }
            }
            "INFORMANDACTIVATE" => Packet::InformAndActivate {
                zxid: words.zxid()?,
                leader: ServerId(words.keyed("leader")?),
                txn: txn(words.zxid()?, &words)?,
            },
            "NEWLEADER" => Packet::NewLeader { zxid: words.zxid()?, config: words.config() },
            "UPTODATE" => Packet::UpToDate,
            "DIFF" => Packet::Diff { zxid: words.zxid()? },
            "TRUNC" => Packet::Trunc { zxid: words.zxid()? },
            "SNAP" => Packet::Snap { zxid: words.zxid()? },
            other => return Err(format!("no packet is called {other}")),
        })
    }
}
