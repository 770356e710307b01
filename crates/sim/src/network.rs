//! The network: TCP connections as the members see them. Byte streams in order, cut anywhere, late by
//! each link's own draws; links that hold what they carry while they are cut; connections whose other
//! end is gone without a word.

use std::collections::VecDeque;

use bytes::Bytes;
use peer::{CloseReason, ConnId, Nanos, Port};
use wire::ServerId;

use crate::draw::{Concern, Draws};

/// What travels in one direction of a connection.
#[derive(Clone, Debug)]
pub enum Segment {
    Syn {
        port: Port,
    },
    SynAck,
    Data {
        bytes: Bytes,
        notify: bool,
    },
    /// The sender closed in order, or refused, or its process is gone.
    End(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub member: usize,
    pub conn: ConnId,
    /// The process that holds this end still does.
    pub open: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Direction {
    /// Arrival of the last segment sent: nothing overtakes it.
    pub last_arrival: Nanos,
    /// Segments that arrived at a cut link, in order.
    pub held: VecDeque<Segment>,
    /// The sender's TCP will give up: a segment was swallowed.
    pub gives_up: bool,
}

/// `ends[0]` dialled.
#[derive(Clone, Debug)]
pub struct Connection {
    pub ends: [End; 2],
    pub directions: [Direction; 2],
    pub port: Port,
    /// A black hole (the how many-th): nothing arrives any more, and nobody is told.
    pub black_hole: Option<usize>,
    /// `ends[0]` belongs to no member: what is sent to it goes nowhere.
    pub nobody: bool,
    /// One end's machine lost its power, and the other has not noticed.
    pub half_open_unfelt: bool,
}

#[derive(Clone, Debug)]
pub struct Link {
    pub cut: bool,
    /// Latency in multiples of the drawn one.
    pub slow: u64,
    pub slow_unfelt: bool,
    pub draws: Draws,
    pub held_segments: u64,
    /// The line is taken by what was sent before.
    pub busy_until: Nanos,
}

/// TCP sends again for so long before it reports an error (Linux: `tcp_retries2`, minutes there).
pub const GIVES_UP_AFTER: Nanos = Nanos::from_millis(15_000);

/// Bytes: the longest piece in which a line with a rate brings a flush.
const PIECE: usize = 4096;

#[derive(Clone, Debug)]
pub struct NetworkSpec {
    pub mean_latency_ns: u64,
    /// Cut what is sent into segments.
    pub segmentation: bool,
    /// Nanoseconds that a byte takes on the line, one behind the other; 0: none.
    pub ns_per_byte: u64,
}

#[derive(Clone, Debug)]
pub struct Network {
    pub spec: NetworkSpec,
    members: usize,
    links: Vec<Link>,
    pub connections: Vec<Option<Connection>>,
    /// Black holes that have swallowed nothing yet are true.
    pub holes_unfelt: Vec<bool>,
}

impl Network {
    /// A link draws by the ids of its ends: other members coming or going leave its draws alone.
    pub fn new(seed: u64, sids: &[ServerId], spec: NetworkSpec) -> Network {
        let members = sids.len();
        let pairs =
            sids.iter().flat_map(|from| sids.iter().map(move |to| (from.0 as u64) << 32 | to.0 as u64));
        let links = pairs
            .map(|entity| Link {
                cut: false,
                slow: 1,
                slow_unfelt: false,
                draws: Draws::new(seed, Concern::Network, entity),
                held_segments: 0,
                busy_until: Nanos::ZERO,
            })
            .collect();
        Network { spec, members, links, connections: Vec::new(), holes_unfelt: Vec::new() }
    }

    pub fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }

    /// Slots are not used again: what is still under way for a closed connection finds nothing.
    pub fn open(&mut self, connection: Connection) -> usize {
        self.connections.push(Some(connection));
        self.connections.len() - 1
    }

    /// When a segment of `len` bytes sent now arrives, behind what was sent before it.
    pub fn arrival(&mut self, now: Nanos, index: usize, direction: usize, len: usize) -> Option<Nanos> {
        let connection = self.connections.get(index)?.as_ref()?;
        let (from, to) = (connection.ends[direction].member, connection.ends[1 - direction].member);
        let mean = self.spec.mean_latency_ns;
        let per_byte = self.spec.ns_per_byte * len as u64;
        let link = self.link(from, to);
        let latency = link.draws.latency(mean) * link.slow;
        let sent = now.max(link.busy_until) + Nanos(per_byte * link.slow);
        link.busy_until = sent;
        let direction = &mut self.connections[index].as_mut()?.directions[direction];
        let at = (sent + Nanos(latency.max(1))).max(direction.last_arrival);
        direction.last_arrival = at;
        Some(at)
    }

    /// Whether so many bytes may arrive in pieces.
    pub fn cuts(&self, len: usize) -> bool {
        self.spec.segmentation || (self.spec.ns_per_byte > 0 && len > PIECE)
    }

    /// The pieces in which `bytes` arrive: cut at drawn places where segmentation is on; and on a line that
    /// takes its time, no piece longer than [`PIECE`], as what a line still carries must not hold back what
    /// it has brought (a reader's time-out runs from its last byte).
    pub fn cut(&mut self, from: usize, to: usize, bytes: &Bytes) -> Vec<Bytes> {
        let mut rest = bytes.clone();
        let mut pieces = Vec::new();
        if self.spec.segmentation {
            let link = self.link(from, to);
            while rest.len() > 1 && pieces.len() < 3 && link.draws.chance(400) {
                let at = 1 + link.draws.below(rest.len() as u64 - 1) as usize;
                pieces.push(rest.split_to(at));
            }
        }
        pieces.push(rest);
        if self.spec.ns_per_byte > 0 && bytes.len() > PIECE {
            pieces = pieces.into_iter().flat_map(bounded).collect();
        }
        pieces
    }
}

fn bounded(mut rest: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while rest.len() > PIECE {
        pieces.push(rest.split_to(PIECE));
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(spec: NetworkSpec, len: usize) -> Vec<usize> {
        let mut network = Network::new(1, &[ServerId(1), ServerId(2)], spec);
        let bytes: Bytes = (0..len).map(|n| n as u8).collect();
        let pieces = network.cut(0, 1, &bytes);
        assert_eq!(pieces.concat(), bytes, "nothing is lost, nothing changes places");
        pieces.iter().map(Bytes::len).collect()
    }

    fn spec(segmentation: bool, ns_per_byte: u64) -> NetworkSpec {
        NetworkSpec { mean_latency_ns: 500_000, segmentation, ns_per_byte }
    }

    #[test]
    fn a_line_with_a_rate_brings_a_long_flush_bit_by_bit() {
        assert_eq!(lengths(spec(false, 10), 2 * PIECE + 1), [PIECE, PIECE, 1]);
        assert_eq!(lengths(spec(false, 10), PIECE), [PIECE]);
        assert!(lengths(spec(true, 10), 100 * PIECE).iter().all(|&len| len <= PIECE));
    }

    #[test]
    fn a_line_without_a_rate_brings_it_at_once_or_cut_by_chance() {
        assert_eq!(lengths(spec(false, 0), 100 * PIECE), [100 * PIECE]);
        assert!(lengths(spec(true, 0), 100 * PIECE).len() <= 4);
    }
}
