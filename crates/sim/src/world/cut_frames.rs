//! Connections that end amid what was sent: of the next bytes on one of them a part arrives, the rest never.

use super::*;

/// A cut that waits for the member to send something.
#[derive(Clone, Debug)]
pub(super) struct FrameCut {
    /// Indices of members; any if `None`.
    to: Option<usize>,
    port: Option<Port>,
    keep_milli: u64,
}

impl World {
    /// What `from` sends next to `to` (anybody if `None`), on a connection to this port (any if `None`),
    /// arrives in part, and the connection is reset. The next one takes the place of one that still waits.
    pub fn cut_frame(&mut self, from: ServerId, to: Option<ServerId>, port: Option<Port>, keep_milli: u64) {
        self.faults.inject(FaultKind::CutFrame);
        let to = to.map(|sid| self.index(sid));
        let from = self.index(from);
        self.members[from].frame_cut = Some(FrameCut { to, port, keep_milli: keep_milli.min(1000) });
    }

    /// True: a cut waited for this, and `bytes` are sent as far as it lets them.
    pub(super) fn sends_in_part(
        &mut self,
        member: usize,
        (connection, end): (usize, usize),
        bytes: &Bytes,
    ) -> bool {
        let Some(c) = &self.network.connections[connection] else { return false };
        let applies = |cut: &FrameCut| {
            cut.to.is_none_or(|to| to == c.ends[1 - end].member) && cut.port.is_none_or(|port| port == c.port)
        };
        if c.nobody || bytes.len() < 2 || !self.members[member].frame_cut.as_ref().is_some_and(applies) {
            return false;
        }
        let Some(cut) = self.members[member].frame_cut.take() else { return false };
        self.faults.effect(FaultKind::CutFrame);
        let most = bytes.len() - 1;
        let part = bytes.slice(..(1 + (most - 1) * cut.keep_milli as usize / 1000).min(most));
        let len = part.len();
        self.transmit(connection, end, Segment::Data { bytes: part, notify: false }, len);
        self.transmit(connection, end, Segment::End(CloseReason::Reset), 0);
        self.transmit(connection, 1 - end, Segment::End(CloseReason::Reset), 0);
        true
    }

    /// No cut waits any more.
    pub(super) fn forget_frame_cuts(&mut self) {
        for m in &mut self.members {
            m.frame_cut = None;
        }
    }
}
