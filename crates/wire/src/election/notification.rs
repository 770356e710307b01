//! Notifications: the votes of FastLeaderElection, in all their historical layouts.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{Epoch, ServerId, Zxid};
use crate::jute::{Error, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ServerState {
    Looking = 0,
    Following = 1,
    Leading = 2,
    Observing = 3,
}

/// What stands behind the vote.
///
/// | bytes | releases | layout |
/// |---|---|---|
/// | 28 | before 3.4 | no peer epoch: it is epoch(zxid) |
/// | 36 | 3.4.0 to 3.4.5 | peer epoch |
/// | 40 | 3.4.6 to 3.4.14 | peer epoch, version 1 |
/// | 44+n | 3.5+ | peer epoch, version 2, configuration text |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    NoEpoch,
    NoVersion,
    V1 { version: i32 },
    V2 { version: i32, config: Bytes },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub state: ServerState,
    pub leader: ServerId,
    pub zxid: Zxid,
    /// `electionEpoch`: the sender's logical clock.
    pub round: i64,
    pub peer_epoch: Epoch,
    pub layout: Layout,
}

impl Notification {
    /// Version 0 for senders that a 3.5+ receiver takes for old (28, 36, 40 bytes).
    pub fn version(&self) -> i32 {
        match &self.layout {
            Layout::V2 { version, .. } => *version,
            _ => 0,
        }
    }

    /// A whole frame without its length.
    pub fn decode(frame: Bytes) -> Result<Notification, Error> {
        let length = frame.len();
        let malformed = |expected| Error::Malformed { what: "notification", expected };
        if length < 28 {
            return Err(malformed("at least 28 bytes"));
        }
        let mut r = Reader::new(frame);
        let state = match r.i32("state")? {
            0 => ServerState::Looking,
            1 => ServerState::Following,
            2 => ServerState::Leading,
            3 => ServerState::Observing,
            _ => return Err(malformed("a state of 0 to 3")),
        };
        let leader = ServerId(r.i64("leader")?);
        let zxid = Zxid(r.i64("zxid")?);
        let round = r.i64("round")?;
        if length == 28 {
            let peer_epoch = zxid.epoch();
            return Ok(Notification { state, leader, zxid, round, peer_epoch, layout: Layout::NoEpoch });
        }
        if length < 36 {
            return Err(malformed("28, 36, 40 or at least 44 bytes"));
        }
        let peer_epoch = Epoch(r.i64("peer epoch")?);
        let layout = match length {
            36 => Layout::NoVersion,
            40 => Layout::V1 { version: r.i32("version")? },
            44.. => {
                let version = r.i32("version")?;
                let n = r.i32("config length")?;
                if usize::try_from(n) != Ok(r.remaining()) {
                    return Err(malformed("a configuration text as long as its length says"));
                }
                Layout::V2 { version, config: r.rest() }
            }
            _ => return Err(malformed("28, 36, 40 or at least 44 bytes")),
        };
        Ok(Notification { state, leader, zxid, round, peer_epoch, layout })
    }

    /// With its length in front.
    pub fn encode_framed(&self, out: &mut BytesMut) {
        let length = match &self.layout {
            Layout::NoEpoch => 28,
            Layout::NoVersion => 36,
            Layout::V1 { .. } => 40,
            Layout::V2 { config, .. } => 44 + config.len(),
        };
        out.put_i32(i32::try_from(length).expect("a short configuration"));
        out.put_i32(self.state as i32);
        out.put_i64(self.leader.0);
        out.put_i64(self.zxid.0);
        out.put_i64(self.round);
        if self.layout == Layout::NoEpoch {
            return;
        }
        out.put_i64(self.peer_epoch.0);
        match &self.layout {
            Layout::NoEpoch | Layout::NoVersion => {}
            Layout::V1 { version } => out.put_i32(*version),
            Layout::V2 { version, config } => {
                out.put_i32(*version);
                out.put_i32(config.len() as i32);
                out.extend_from_slice(config);
            }
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerState::Looking => "LOOKING",
            ServerState::Following => "FOLLOWING",
            ServerState::Leading => "LEADING",
            ServerState::Observing => "OBSERVING",
        })
    }
}

/// `LOOKING leader=2 zxid=0x0 round=1 epoch=0`
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notification { state, leader, zxid, round, peer_epoch, .. } = self;
        if *leader == ServerId::NONE {
            return write!(f, "{state} leader=none round={round}");
        }
        write!(f, "{state} leader={leader} zxid={zxid} round={round} epoch={peer_epoch}")
    }
}

/// Reads what `Display` prints. The layout is that of 3.5+ with an empty configuration (or `config=`, with `|` for its
/// line ends), or by its length: `layout=28`, `36`, `40`.
impl FromStr for Notification {
    type Err = String;
    fn from_str(text: &str) -> Result<Notification, String> {
        let mut words = text.split_whitespace();
        let state = match words.next() {
            Some("LOOKING") => ServerState::Looking,
            Some("FOLLOWING") => ServerState::Following,
            Some("LEADING") => ServerState::Leading,
            Some("OBSERVING") => ServerState::Observing,
            other => return Err(format!("expected a server state, found {other:?}")),
        };
        let mut n = Notification {
            state,
            leader: ServerId::NONE,
            zxid: Zxid::MIN,
            round: 0,
            peer_epoch: Epoch(i64::MIN),
            layout: Layout::V2 { version: 2, config: Bytes::new() },
        };
        for word in words {
            match word.split_once('=').ok_or(format!("expected key=value, found {word}"))? {
                ("leader", "none") => {}
                ("leader", v) => n.leader = ServerId(crate::text::long(v)?),
                ("zxid", v) => n.zxid = Zxid(crate::text::long(v)?),
                ("round", v) => n.round = crate::text::long(v)?,
                ("epoch", v) => n.peer_epoch = Epoch(crate::text::long(v)?),
                ("layout", "28") => n.layout = Layout::NoEpoch,
                ("layout", "36") => n.layout = Layout::NoVersion,
                ("layout", "40") => n.layout = Layout::V1 { version: 1 },
                ("config", text) => {
                    n.layout = Layout::V2 { version: 2, config: Bytes::from(text.replace('|', "\n")) };
                }
                (key, _) => return Err(format!("unknown field {key}")),
            }
        }
        Ok(n)
    }
}
