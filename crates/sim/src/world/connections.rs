//! The simulated connections: what members dial, send and close becomes segments that arrive, wait at
//! a cut link, or find nobody.

use super::*;
use crate::network::GIVES_UP_AFTER;

impl World {
    pub(super) fn connect(&mut self, member: usize, conn: ConnId, to: ServerId, port: Port) {
        let Some(to) = self.members.iter().position(|m| m.sid == to) else {
            return self.connect_to_nobody(member, conn);
        };
        let connection = self.network.open(Connection {
            ends: [End { member, conn, open: true }, End { member: to, conn: ConnId(0), open: false }],
            directions: [Direction::default(), Direction::default()],
            port,
            black_hole: None,
            nobody: false,
            half_open_unfelt: false,
        });
        self.members[member].conns.insert(conn, (connection, 0));
        self.transmit(connection, 0, Segment::Syn { port }, 0);
    }

    /// A configuration may name a server that is not there: its host refuses.
    fn connect_to_nobody(&mut self, member: usize, conn: ConnId) {
        self.members[member].dials_nobody.insert(conn);
        let incarnation = self.members[member].incarnation;
        let at = self.now + Nanos(self.spec.network.mean_latency_ns);
        self.queue.push(at, What::Nobody { member, incarnation, conn });
    }

    pub(super) fn refused_by_nobody(&mut self, member: usize, incarnation: u32, conn: ConnId) {
        let m = &mut self.members[member];
        if m.incarnation == incarnation && m.dials_nobody.remove(&conn) {
            self.ready.push_back((member, Input::Closed { conn, reason: CloseReason::Refused }));
        }
    }

    pub(super) fn transmit(&mut self, connection: usize, direction: usize, segment: Segment, len: usize) {
        if let Some(at) = self.network.arrival(self.now, connection, direction, len) {
            self.queue.push(at, What::Arrive { connection, direction, segment });
        }
    }

    pub(super) fn send(&mut self, member: usize, conn: ConnId, bytes: Bytes, notify: bool) {
        let Some(&(connection, end)) = self.members[member].conns.get(&conn) else {
            return self.send_to_client(member, conn, bytes, notify);
        };
        if self.sends_in_part(member, (connection, end), &bytes) {
            return;
        }
        let Some(c) = &self.network.connections[connection] else { return };
        let to = c.ends[1 - end].member;
        let len = bytes.len();
        if !self.network.cuts(len) {
            return self.transmit(connection, end, Segment::Data { bytes, notify }, len);
        }
        let pieces = self.network.cut(member, to, &bytes);
        let last = pieces.len() - 1;
        for (i, piece) in pieces.into_iter().enumerate() {
            let len = piece.len();
            let segment = Segment::Data { bytes: piece, notify: notify && i == last };
            self.transmit(connection, end, segment, len);
        }
    }

    pub(super) fn close(&mut self, member: usize, conn: ConnId, reason: CloseReason) {
        if let Some((connection, end)) = self.members[member].conns.remove(&conn) {
            self.end_connection(connection, end, reason);
        } else if !self.members[member].dials_nobody.remove(&conn) {
            self.close_to_client(member, conn, reason);
        }
    }

    /// One end lets go; the other hears of it behind what was sent.
    pub(super) fn end_connection(&mut self, connection: usize, end: usize, reason: CloseReason) {
        if let Some(c) = self.network.connections[connection].as_mut() {
            c.ends[end].open = false;
            self.transmit(connection, end, Segment::End(reason), 0);
        }
    }

    pub(super) fn arrive(&mut self, connection: usize, direction: usize, segment: Segment) {
        let Some(c) = &self.network.connections[connection] else { return };
        if c.nobody && direction == 1 {
            return self.arrive_nowhere(connection, &segment);
        }
        if let Some(hole) = c.black_hole {
            self.swallow(hole, connection, direction, &segment);
            return;
        }
        let (from, to) = (c.ends[direction], c.ends[1 - direction]);
        let link = self.network.link(from.member, to.member);
        if link.cut {
            link.held_segments += 1;
            if link.held_segments == 1 {
                self.faults.effect(FaultKind::Partition);
            }
            let c = self.network.connections[connection].as_mut().expect("looked at above");
            c.directions[direction].held.push_back(segment);
            return;
        }
        if link.slow > 1 {
            self.faults.first_effect(FaultKind::SlowLink, &mut link.slow_unfelt);
        }
        match segment {
            Segment::Syn { port } => self.arrive_syn(connection, to.member, from, port),
            Segment::SynAck => {
                if to.open {
                    self.ready.push_back((to.member, Input::Connected { conn: to.conn }));
                }
            }
            Segment::Data { bytes, notify } => {
                if to.open {
                    if notify && from.open {
                        self.ready.push_back((from.member, Input::Drained { conn: from.conn }));
                    }
                    self.ready.push_back((to.member, Input::Received { conn: to.conn, bytes }));
                } else if from.open && self.members[to.member].peer.is_some() {
                    let c = self.network.connections[connection].as_mut().expect("looked at above");
                    self.faults.first_effect(FaultKind::HalfOpen, &mut c.half_open_unfelt);
                    // The process that held this end is gone: its host answers with a reset.
                    self.transmit(connection, 1 - direction, Segment::End(CloseReason::Reset), 0);
                } else if from.open {
                    // The host is down: TCP sends it again until the host answers.
                    let segment = Segment::Data { bytes, notify };
                    let at = self.now + Nanos::from_millis(1000);
                    self.queue.push(at, What::Arrive { connection, direction, segment });
                }
            }
            Segment::End(reason) => self.arrive_end(connection, to, reason),
        }
    }

    pub(super) fn arrive_syn(&mut self, connection: usize, member: usize, from: End, port: Port) {
        let m = &mut self.members[member];
        if m.peer.is_none() || !m.listening[port as usize] {
            self.transmit(connection, 1, Segment::End(CloseReason::Refused), 0);
            return;
        }
        if m.refuses_until > self.now {
            self.faults.first_effect(FaultKind::RefusedConnect, &mut m.refuses_unfelt);
            self.transmit(connection, 1, Segment::End(CloseReason::Refused), 0);
            return;
        }
        if !from.open {
            return;
        }
        m.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | m.next_accepted);
        m.conns.insert(conn, (connection, 1));
        let c = self.network.connections[connection].as_mut().expect("a connection that arrives");
        c.ends[1] = End { member, conn, open: true };
        self.transmit(connection, 1, Segment::SynAck, 0);
        self.ready.push_back((member, Input::Accepted { conn, port }));
    }

    pub(super) fn arrive_end(&mut self, connection: usize, to: End, reason: CloseReason) {
        if to.open {
            self.members[to.member].conns.remove(&to.conn);
            let c = self.network.connections[connection].as_mut().expect("a connection that arrives");
            for end in &mut c.ends {
                if end.member == to.member && end.conn == to.conn {
                    end.open = false;
                }
            }
            self.ready.push_back((to.member, Input::Closed { conn: to.conn, reason }));
        }
        let c = self.network.connections[connection].as_ref().expect("a connection that arrives");
        if !c.ends[0].open && !c.ends[1].open {
            self.network.connections[connection] = None;
        }
    }

    /// Nothing passes from `from` to `to` until `heal`.
    pub fn cut_link(&mut self, from: ServerId, to: ServerId) {
        let (from, to) = (self.index(from), self.index(to));
        self.faults.inject(FaultKind::Partition);
        self.network.link(from, to).cut = true;
    }

    /// All links pass again; what was held arrives late, in order.
    pub fn heal(&mut self) {
        self.forget_frame_cuts();
        let n = self.members.len();
        for from in 0..n {
            for to in 0..n {
                let link = self.network.link(from, to);
                link.cut = false;
                link.held_segments = 0;
                link.slow = 1;
            }
        }
        for connection in 0..self.network.connections.len() {
            for direction in 0..2 {
                let Some(c) = self.network.connections[connection].as_mut() else { continue };
                // Ahead of what is still under way: the stream keeps its order.
                let held = std::mem::take(&mut c.directions[direction].held);
                for segment in held {
                    self.arrive(connection, direction, segment);
                }
            }
        }
        self.run_ready();
    }

    pub fn slow_link(&mut self, from: ServerId, to: ServerId, factor: u64, duration: Nanos) {
        let (from, to) = (self.index(from), self.index(to));
        self.faults.inject(FaultKind::SlowLink);
        let link = self.network.link(from, to);
        (link.slow, link.slow_unfelt) = (factor, true);
        self.queue.push(self.now + duration, What::LinkFast { from, to });
    }

    /// So many connections from nobody, on both ports in turn; they say nothing and end after a while.
    pub fn connection_storm(&mut self, sid: ServerId, count: u32, duration: Nanos) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::ConnectionStorm);
        if self.members[member].peer.is_some() {
            self.faults.effect(FaultKind::ConnectionStorm);
        }
        for i in 0..count {
            let port = if i % 2 == 0 { Port::Election } else { Port::Quorum };
            let connection = self.network.open(Connection {
                ends: [
                    End { member, conn: ConnId(0), open: true },
                    End { member, conn: ConnId(0), open: false },
                ],
                directions: [Direction::default(), Direction::default()],
                port,
                black_hole: None,
                nobody: true,
                half_open_unfelt: false,
            });
            self.transmit(connection, 0, Segment::Syn { port }, 0);
            self.queue.push(self.now + duration, What::StormEnds { connection });
        }
    }

    fn arrive_nowhere(&mut self, connection: usize, segment: &Segment) {
        if matches!(segment, Segment::End(_)) {
            self.network.connections[connection] = None;
        }
    }

    /// Connections to the member are refused for a while.
    pub fn refuse_connects(&mut self, sid: ServerId, duration: Nanos) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::RefusedConnect);
        let m = &mut self.members[member];
        (m.refuses_until, m.refuses_unfelt) = (self.now + duration, true);
    }

    /// Every connection of the moment between two members is a black hole from now on.
    pub fn black_hole(&mut self, a: ServerId, b: ServerId) {
        let (a, b) = (self.index(a), self.index(b));
        self.faults.inject(FaultKind::BlackHole);
        let hole = self.network.holes_unfelt.len();
        self.network.holes_unfelt.push(true);
        for c in self.network.connections.iter_mut().flatten() {
            let between = [c.ends[0].member, c.ends[1].member];
            if between == [a, b] || between == [b, a] {
                c.black_hole.get_or_insert(hole);
            }
        }
    }

    fn swallow(&mut self, hole: usize, connection: usize, end: usize, segment: &Segment) {
        self.faults.first_effect(FaultKind::BlackHole, &mut self.network.holes_unfelt[hole]);
        let c = self.network.connections[connection].as_mut().expect("a connection that arrives");
        // Who waits in vain: who sent this, or whose data this reset would have answered.
        let waiting = match segment {
            Segment::Data { .. } | Segment::Syn { .. } => end,
            Segment::End(CloseReason::Reset) => 1 - end,
            Segment::SynAck | Segment::End(_) => return,
        };
        if !std::mem::replace(&mut c.directions[waiting].gives_up, true) {
            self.queue.push(self.now + GIVES_UP_AFTER, What::GiveUp { connection, end: waiting });
        }
    }

    pub(super) fn give_up(&mut self, connection: usize, end: usize) {
        let Some(c) = self.network.connections[connection].as_mut() else { return };
        let End { member, conn, open } = c.ends[end];
        c.ends[end].open = false;
        if open && self.members[member].conns.remove(&conn).is_some() {
            self.ready.push_back((member, Input::Closed { conn, reason: CloseReason::Reset }));
        }
    }

    /// Every connection between two members is reset.
    pub fn reset(&mut self, a: ServerId, b: ServerId) {
        let (a, b) = (self.index(a), self.index(b));
        self.faults.inject(FaultKind::Reset);
        let mut any = false;
        for connection in 0..self.network.connections.len() {
            let Some(c) = &self.network.connections[connection] else { continue };
            let ends = c.ends;
            let between = [ends[0].member, ends[1].member];
            if between != [a, b] && between != [b, a] {
                continue;
            }
            any = true;
            for end in ends.into_iter().filter(|end| end.open) {
                self.members[end.member].conns.remove(&end.conn);
                self.ready
                    .push_back((end.member, Input::Closed { conn: end.conn, reason: CloseReason::Reset }));
            }
            self.network.connections[connection] = None;
        }
        if any {
            self.faults.effect(FaultKind::Reset);
        }
        self.run_ready();
    }
}
