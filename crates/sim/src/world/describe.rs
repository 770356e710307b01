//! Inputs and outputs in words, for `--trace`.

use std::fmt;

use peer::{Event, Input, Nanos, Output};
use serde::Serialize;
use wire::ServerId;

/// One input or output of one member.
#[derive(Clone, Debug, Serialize)]
pub struct TraceLine {
    #[serde(rename = "at_ns")]
    pub at: Nanos,
    pub member: ServerId,
    /// In words.
    pub line: String,
    /// An output that is an event, with its fields.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14} {} {}", self.at.to_string(), self.member, self.line)
    }
}

pub(super) fn describe_input(input: &Input) -> String {
    match input {
        Input::Received { conn, bytes } => format!("received {} bytes on {:#x}", bytes.len(), conn.0),
        Input::Disk(done) => match &done.result {
            Ok(_) => format!("disk done {}", done.id.seq),
            Err(e) => format!("disk failed {}: {e}", done.id.seq),
        },
        input => format!("{input:?}"),
    }
}

pub(super) fn describe_output(output: &Output) -> String {
    match output {
        Output::Send { conn, bytes, .. } => {
            for direction in [wire::Direction::ToLearner, wire::Direction::ToLeader] {
                let mut stream = wire::QuorumStream::new(direction);
                stream.feed(bytes.clone());
                let mut packets = Vec::new();
                while let Ok(Some(wire::Inbound::Packet(packet))) = stream.next() {
                    if matches!(packet, wire::Packet::Unknown(_)) {
                        packets.clear();
                        break;
                    }
                    packets.push(packet.to_string());
                }
                if !packets.is_empty() {
                    return format!("send on {:#x}: {}", conn.0, packets.join(" | "));
                }
            }
            format!("send {} bytes on {:#x}", bytes.len(), conn.0)
        }
        Output::Disk { id, op } => format!("disk {} {}", id.seq, op.name()),
        output => format!("{output:?}"),
    }
}
