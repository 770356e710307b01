//! Moments of the host: the world stops just before a packet reaches a member and just before a member's
//! disk carries out an operation, so that a fault can be put exactly there. Steps that wait for
//! "received" or "diskOp" ask for it, and enumeration does.

use super::*;
use crate::plan::{Fields, has_fields};

/// What is about to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Bytes are handed to the member.
    Received { bytes: Bytes },
    /// Its disk carries out an operation that answers.
    DiskOp { op: &'static str },
}

impl Moment {
    /// As triggers see it: like an event.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Moment::Received { .. } => serde_json::json!({ "event": "received", "packet": self.label() }),
            Moment::DiskOp { op } => serde_json::json!({ "event": "diskOp", "op": op }),
        }
    }

    /// As `has_fields` of its JSON, which is not made for an operation (there are many).
    pub fn has(&self, fields: &Fields) -> bool {
        let Moment::DiskOp { op } = self else { return has_fields(&self.json(), fields) };
        fields.iter().all(|(key, value)| match key.as_str() {
            "event" => value == self.name(),
            "op" => value == op,
            _ => value.is_null(),
        })
    }

    /// The packets that the bytes hold whole, or the operation.
    pub fn label(&self) -> String {
        match self {
            Moment::Received { bytes } => packet_names(bytes),
            Moment::DiskOp { op } => (*op).to_owned(),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Moment::Received { .. } => "received",
            Moment::DiskOp { .. } => "diskOp",
        }
    }

    pub const NAMES: [&'static str; 2] = ["received", "diskOp"];
}

impl World {
    /// True: the first input that is ready is a packet, and its moment was told just now.
    pub(super) fn stops_before_packet(&mut self) -> bool {
        // Not told yet: whoever acts meanwhile (a heal, say) finds the input still waiting.
        if self.moment.is_some() {
            return true;
        }
        let told = std::mem::take(&mut self.moment_told);
        if told || !self.tell_moments {
            return false;
        }
        let Some((member, Input::Received { bytes, .. })) = self.ready.front() else { return false };
        let m = &self.members[*member];
        if m.peer.is_none() || m.paused_until > Nanos::ZERO {
            return false;
        }
        let (member, bytes) = (m.sid, bytes.clone());
        self.moment_told = true;
        self.moment = Some((member, Moment::Received { bytes }));
        true
    }

    /// True: a disk operation is done next, and its moment was told just now.
    pub(super) fn stops_before_disk(&mut self, what: &What) -> bool {
        let What::DiskDone { member, incarnation, lane } = what else { return false };
        let m = &self.members[*member];
        if !self.tell_moments || m.incarnation != *incarnation {
            return false;
        }
        let Some((_, op)) = m.lanes[*lane].front() else { return false };
        let (member, op) = (m.sid, op.name());
        self.moment = Some((member, Moment::DiskOp { op }));
        true
    }

    /// Changing file-system calls of each member so far.
    pub fn disk_calls(&self) -> Vec<(ServerId, u64)> {
        self.members.iter().map(|m| (m.sid, m.storage.fs.calls)).collect()
    }
}

/// The names of the quorum packets in `bytes`, where they begin at a packet's beginning.
fn packet_names(bytes: &Bytes) -> String {
    for direction in [wire::Direction::ToLearner, wire::Direction::ToLeader] {
        let mut stream = wire::QuorumStream::new(direction);
        stream.feed(bytes.clone());
        let mut names: Vec<String> = Vec::new();
        while let Ok(Some(wire::Inbound::Packet(packet))) = stream.next() {
            if matches!(packet, wire::Packet::Unknown(_)) {
                names.clear();
                break;
            }
            let text = packet.to_string();
            names.push(text.split([' ', '(', '{']).next().unwrap_or_default().to_owned());
        }
        if !names.is_empty() {
            names.dedup();
            return names.join("+");
        }
    }
    "other bytes".into()
}
