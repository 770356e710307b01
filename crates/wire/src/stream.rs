//! `QuorumStream`: packets (and the raw snapshot behind SNAP) out of a TCP stream cut anywhere.
//! Each side of a quorum connection owns one.
//!
//! No packet is longer than 20 bytes and two buffers of the limit (data, authinfo): that, and what came
//! with its last bytes, is the most that waits here.

use bytes::Bytes;

use crate::codec::Direction;
use crate::jute::{DEFAULT_MAX_BUFFER, Error, Reader};
use crate::packet::Packet;
use crate::snapshot::{SnapshotParser, SnapshotRecord, join};

/// What ends a snapshot on the wire.
pub const SNAPSHOT_SIGNATURE: &[u8] = b"BenWasHere";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    Packet(Packet),
    Snapshot(SnapshotRecord),
    /// The bytes of the records that came before, as they came: the body, piece by piece.
    SnapshotBytes(Bytes),
    /// The end marker and the signature were read.
    SnapshotEnd,
}

#[derive(Clone, Debug)]
enum Mode {
    Packets,
    Snapshot(Box<SnapshotParser>),
    Signature,
}

#[derive(Clone, Debug)]
pub struct QuorumStream {
    direction: Direction,
    mode: Mode,
    buffer: Bytes,
    max_buffer: usize,
    /// Bytes that the packet at the front needs at least: it is not looked at again before.
    wanted: usize,
}

impl QuorumStream {
    pub fn new(direction: Direction) -> QuorumStream {
        QuorumStream {
            direction,
            mode: Mode::Packets,
            buffer: Bytes::new(),
            max_buffer: DEFAULT_MAX_BUFFER,
            wanted: 1,
        }
    }
    pub fn with_limit(direction: Direction, max_buffer: usize) -> QuorumStream {
        QuorumStream { max_buffer, ..QuorumStream::new(direction) }
    }

    /// From now on buffers and strings up to `max_buffer`.
    pub fn set_limit(&mut self, max_buffer: usize) {
        self.max_buffer = max_buffer;
    }

    pub fn feed(&mut self, chunk: Bytes) {
        match &mut self.mode {
            Mode::Snapshot(parser) => parser.feed(chunk),
            _ => self.buffer = join(std::mem::take(&mut self.buffer), chunk),
        }
    }

    /// The next item; `None` where more bytes are needed. After an error the stream is unusable.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Inbound>, Error> {
        match &mut self.mode {
            Mode::Packets => self.next_packet(),
            Mode::Snapshot(parser) => {
                if let Some(record) = parser.next_record()? {
                    return Ok(Some(Inbound::Snapshot(record)));
                }
                let read = parser.take_read();
                if !read.is_empty() {
                    return Ok(Some(Inbound::SnapshotBytes(read)));
                }
                if !parser.is_complete() {
                    return Ok(None);
                }
                let Mode::Snapshot(parser) = std::mem::replace(&mut self.mode, Mode::Signature) else {
                    unreachable!("matched above")
                };
                self.buffer = parser.into_rest();
                self.next_signature()
            }
            Mode::Signature => self.next_signature(),
        }
    }

    fn next_packet(&mut self) -> Result<Option<Inbound>, Error> {
        if self.buffer.len() < self.wanted {
            return Ok(None);
        }
        let mut reader = Reader::with_limit(self.buffer.clone(), self.max_buffer);
        let packet = match Packet::decode(&mut reader, self.direction) {
            Err(Error::Short { needed, .. }) => {
                self.wanted = self.buffer.len() + needed;
                return Ok(None);
            }
            other => other?,
        };
        self.wanted = 1;
        self.buffer = reader.rest();
        if matches!(packet, Packet::Snap { .. }) {
            let mut parser = SnapshotParser::with_limit(self.max_buffer);
            parser.feed(std::mem::take(&mut self.buffer));
            self.mode = Mode::Snapshot(Box::new(parser));
        }
        Ok(Some(Inbound::Packet(packet)))
    }

    fn next_signature(&mut self) -> Result<Option<Inbound>, Error> {
        let mut reader = Reader::with_limit(self.buffer.clone(), SNAPSHOT_SIGNATURE.len());
        let signature = match reader.string("snapshot signature") {
            Err(e) if e.is_short() => return Ok(None),
            other => other?,
        };
        if signature != SNAPSHOT_SIGNATURE {
            return Err(Error::Malformed { what: "snapshot signature", expected: "BenWasHere" });
        }
        self.buffer = reader.rest();
        self.mode = Mode::Packets;
        Ok(Some(Inbound::SnapshotEnd))
    }
}
