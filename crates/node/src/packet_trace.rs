//! Packets in words, for the log level `trace` (target `packets`). The machines give and take bytes: here
//! they are read once more, by `wire`, for the log alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use peer::{ConnId, Port};
use tracing::Level;
use wire::election::{ElectionInbound, ElectionStream};
use wire::{Direction, Inbound, QuorumStream};

enum Stream {
    Quorum(Box<QuorumStream>),
    Election(ElectionStream),
    /// It could not be read any more.
    Lost,
}

struct Both {
    received: Stream,
    sent: Stream,
}

pub struct PacketTrace {
    /// `ZooTrace`'s: packets between servers and their PINGs are printed where their bits are set.
    pub mask: i64,
    connections: BTreeMap<ConnId, Both>,
}

const SERVER_PACKET: i64 = 1 << 4;
const SERVER_PING: i64 = 1 << 7;
/// Java's, and PINGs.
const DEFAULT_MASK: i64 = 306 | SERVER_PING;

impl Default for PacketTrace {
    fn default() -> PacketTrace {
        PacketTrace { mask: DEFAULT_MASK, connections: BTreeMap::new() }
    }
}

impl PacketTrace {
    fn on() -> bool {
        tracing::enabled!(target: "packets", Level::TRACE)
    }

    pub fn opened(&mut self, conn: ConnId, port: Port, dialled: bool) {
        if !Self::on() {
            return;
        }
        let quorum = |direction| Stream::Quorum(Box::new(QuorumStream::new(direction)));
        let hello_first = |first| {
            Stream::Election(if first { ElectionStream::accepted() } else { ElectionStream::dialled() })
        };
        let both = match (port, dialled) {
            (Port::Quorum, true) => {
                Both { received: quorum(Direction::ToLearner), sent: quorum(Direction::ToLeader) }
            }
            (Port::Quorum, false) => {
                Both { received: quorum(Direction::ToLeader), sent: quorum(Direction::ToLearner) }
            }
            (Port::Election, dialled) => Both { received: hello_first(!dialled), sent: hello_first(dialled) },
        };
        self.connections.insert(conn, both);
    }

    pub fn closed(&mut self, conn: ConnId) {
        self.connections.remove(&conn);
    }

    pub fn received(&mut self, conn: ConnId, bytes: &Bytes) {
        if let Some(both) = self.connections.get_mut(&conn) {
            both.received.tell(self.mask, conn, "received", bytes);
        }
    }

    pub fn sent(&mut self, conn: ConnId, bytes: &Bytes) {
        if let Some(both) = self.connections.get_mut(&conn) {
            both.sent.tell(self.mask, conn, "sent", bytes);
        }
    }
}

fn bit(packet: &wire::Packet) -> i64 {
    if matches!(packet, wire::Packet::Ping { .. }) { SERVER_PING } else { SERVER_PACKET }
}

impl Stream {
    fn tell(&mut self, mask: i64, conn: ConnId, way: &str, bytes: &Bytes) {
        let conn = format!("{:x}", conn.0);
        match self {
            Stream::Quorum(stream) => stream.feed(bytes.clone()),
            Stream::Election(stream) => stream.feed(bytes.clone()),
            Stream::Lost => return,
        }
        loop {
            match self.next(mask) {
                Ok(Some(text)) if text.is_empty() => {}
                Ok(Some(text)) => tracing::trace!(target: "packets", conn, "{way} {text}"),
                Ok(None) => return,
                Err(why) => {
                    tracing::trace!(target: "packets", conn, "{way} what is no packet: {why}");
                    *self = Stream::Lost;
                    return;
                }
            }
        }
    }

    /// The next item in words; empty where it is not worth a line.
    fn next(&mut self, mask: i64) -> Result<Option<String>, String> {
        Ok(match self {
            Stream::Quorum(stream) => stream.next().map_err(|e| e.to_string())?.map(|item| match item {
                Inbound::Packet(packet) if mask & bit(&packet) == 0 => String::new(),
                Inbound::Packet(packet) => packet.to_string(),
                Inbound::Snapshot(_) | Inbound::SnapshotBytes(_) => String::new(),
                Inbound::SnapshotEnd => "the end of the snapshot".into(),
            }),
            Stream::Election(stream) => stream.next().map_err(|e| e.to_string())?.map(|item| match item {
                ElectionInbound::Hello(hello) => format!("hello of {}", hello.sid),
                ElectionInbound::Notification(Ok(notification)) => format!("notification {notification}"),
                ElectionInbound::Notification(Err(why)) => format!("a notification without sense: {why}"),
            }),
            Stream::Lost => None,
        })
    }
}
