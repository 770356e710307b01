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

#[derive(Default)]
pub struct PacketTrace {
    connections: BTreeMap<ConnId, Both>,
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
            both.received.tell(conn, "received", bytes);
        }
    }

    pub fn sent(&mut self, conn: ConnId, bytes: &Bytes) {
        if let Some(both) = self.connections.get_mut(&conn) {
            both.sent.tell(conn, "sent", bytes);
        }
    }
}

impl Stream {
    fn tell(&mut self, conn: ConnId, way: &str, bytes: &Bytes) {
        let conn = format!("{:x}", conn.0);
        match self {
            Stream::Quorum(stream) => stream.feed(bytes.clone()),
            Stream::Election(stream) => stream.feed(bytes.clone()),
            Stream::Lost => return,
        }
        loop {
            match self.next() {
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
    fn next(&mut self) -> Result<Option<String>, String> {
        Ok(match self {
            Stream::Quorum(stream) => stream.next().map_err(|e| e.to_string())?.map(|item| match item {
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
