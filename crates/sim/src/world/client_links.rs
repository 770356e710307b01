//! Connections of clients that speak ZooKeeper's protocol: byte streams between a client outside the ensemble
//! and a member's client port, late and cut like those between members, by draws of the client's own.

use std::collections::BTreeMap;

use super::*;

/// A client's end of a connection, as the workload knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub usize);

#[derive(Clone, Debug)]
pub(super) enum Carried {
    Dial,
    Bytes(Bytes),
    End(CloseReason),
}

#[derive(Clone, Debug)]
struct ClientLink {
    client: u64,
    member: usize,
    /// The member's name for it, while it holds its end.
    conn: Option<ConnId>,
    /// The client holds its end.
    open: bool,
    /// Nothing arrives any more, and nobody is told.
    black_hole: bool,
    /// The member does not read: what arrived for it since.
    unread: Option<Vec<Carried>>,
    /// Arrival of what was sent last, to the member and to the client: nothing overtakes it.
    last_arrival: [Nanos; 2],
}

#[derive(Clone, Debug, Default)]
pub(super) struct ClientLinks {
    links: Vec<ClientLink>,
    /// Latencies and cuts, by client.
    draws: BTreeMap<u64, Draws>,
}

const TO_MEMBER: usize = 0;
const TO_CLIENT: usize = 1;

impl World {
    /// A client dials a member's client port.
    pub fn dial_client_port(&mut self, client: u64, to: ServerId) -> LinkId {
        let member = self.index(to);
        let link = LinkId(self.client_links.links.len());
        let last_arrival = [self.now; 2];
        self.client_links.links.push(ClientLink {
            client,
            member,
            conn: None,
            open: true,
            black_hole: false,
            unread: None,
            last_arrival,
        });
        self.carry(link, TO_MEMBER, Carried::Dial);
        link
    }

    pub fn client_sends(&mut self, link: LinkId, bytes: Bytes) {
        for piece in self.cut_for_client(link, bytes) {
            self.carry(link, TO_MEMBER, Carried::Bytes(piece));
        }
    }

    /// The client lets go; it hears nothing more of this connection.
    pub fn client_closes(&mut self, link: LinkId) {
        self.client_links.links[link.0].open = false;
        self.carry(link, TO_MEMBER, Carried::End(CloseReason::Eof));
    }

    /// What is under way and what comes is swallowed, both ways.
    pub fn lose_client_link(&mut self, link: LinkId) {
        self.faults.inject(FaultKind::BlackHole);
        self.faults.effect(FaultKind::BlackHole);
        self.client_links.links[link.0].black_hole = true;
    }

    fn draws_of(&mut self, link: LinkId) -> &mut Draws {
        let client = self.client_links.links[link.0].client;
        let seed = self.spec.seed;
        self.client_links
            .draws
            .entry(client)
            .or_insert_with(|| Draws::new(seed, Concern::ClientNetwork, client))
    }

    fn cut_for_client(&mut self, link: LinkId, bytes: Bytes) -> Vec<Bytes> {
        let segmentation = self.network.spec.segmentation;
        let draws = self.draws_of(link);
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while segmentation && rest.len() > 1 && pieces.len() < 3 && draws.chance(200) {
            let at = 1 + draws.below(rest.len() as u64 - 1) as usize;
            pieces.push(rest.split_to(at));
        }
        pieces.push(rest);
        pieces
    }

    fn carry(&mut self, link: LinkId, direction: usize, carried: Carried) {
        let mean = self.network.spec.mean_latency_ns;
        let latency = self.draws_of(link).latency(mean).max(1);
        let last = &mut self.client_links.links[link.0].last_arrival[direction];
        let at = (self.now + Nanos(latency)).max(*last);
        *last = at;
        self.queue.push(at, What::ClientArrive { link, to_member: direction == TO_MEMBER, carried });
    }

    pub(super) fn client_arrive(&mut self, link: LinkId, to_member: bool, carried: Carried) {
        let of = &mut self.client_links.links[link.0];
        let ClientLink { client, member, conn, open, black_hole, .. } = *of;
        if black_hole {
            return;
        }
        if !to_member {
            if !open {
                return;
            }
            self.happened.push_back(match carried {
                Carried::Bytes(bytes) => Happened::ClientBytes { client, link, bytes },
                Carried::Dial => unreachable!("members dial no clients"),
                Carried::End(_) => {
                    self.client_links.links[link.0].open = false;
                    Happened::ClientClosed { client, link }
                }
            });
            return;
        }
        if let (Some(unread), Some(_)) = (&mut of.unread, conn) {
            return unread.push(carried);
        }
        match (carried, conn) {
            (Carried::Dial, _) => self.client_dials(link, member, client),
            (Carried::Bytes(bytes), Some(conn)) => {
                self.ready.push_back((member, Input::Received { conn, bytes }));
            }
            // The process that held this end is gone: its host answers with a reset, if there is a host.
            (Carried::Bytes(_), None) if self.members[member].peer.is_some() => {
                self.carry(link, TO_CLIENT, Carried::End(CloseReason::Reset));
            }
            (Carried::End(reason), Some(conn)) => {
                self.forget_client_conn(member, conn);
                self.ready.push_back((member, Input::Closed { conn, reason }));
            }
            (Carried::Bytes(_) | Carried::End(_), None) => {}
        }
    }

    /// A member stops reading a client's connection, or reads on.
    pub(super) fn read_client(&mut self, member: usize, conn: ConnId, on: bool) {
        let Some(link) = self.members[member].client_conns.get(&conn).copied() else { return };
        let unread = &mut self.client_links.links[link.0].unread;
        if !on {
            unread.get_or_insert_default();
            return;
        }
        for carried in unread.take().unwrap_or_default() {
            self.client_arrive(link, true, carried);
        }
    }

    fn client_dials(&mut self, link: LinkId, member: usize, client: u64) {
        let now = self.now;
        let m = &mut self.members[member];
        if m.peer.is_none() || m.refuses_until > now {
            return self.carry(link, TO_CLIENT, Carried::End(CloseReason::Refused));
        }
        m.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | m.next_accepted);
        m.client_conns.insert(conn, link);
        self.client_links.links[link.0].conn = Some(conn);
        let from = format!("10.1.0.{}", client + 1);
        self.ready.push_back((member, Input::ClientAccepted { conn, from }));
    }

    fn forget_client_conn(&mut self, member: usize, conn: ConnId) -> Option<LinkId> {
        let link = self.members[member].client_conns.remove(&conn)?;
        self.client_links.links[link.0].conn = None;
        Some(link)
    }

    pub(super) fn send_to_client(&mut self, member: usize, conn: ConnId, bytes: Bytes, notify: bool) {
        let Some(link) = self.members[member].client_conns.get(&conn).copied() else { return };
        for piece in self.cut_for_client(link, bytes) {
            self.carry(link, TO_CLIENT, Carried::Bytes(piece));
        }
        if notify {
            self.ready.push_back((member, Input::Drained { conn }));
        }
    }

    pub(super) fn close_to_client(&mut self, member: usize, conn: ConnId, reason: CloseReason) {
        if let Some(link) = self.forget_client_conn(member, conn) {
            self.carry(link, TO_CLIENT, Carried::End(reason));
        }
    }

    /// The member's process is gone; with its machine, nobody tells the clients.
    pub(super) fn client_conns_die(&mut self, member: usize, power: bool) {
        for (conn, link) in std::mem::take(&mut self.members[member].client_conns) {
            let _ = conn;
            self.client_links.links[link.0].conn = None;
            if !power {
                self.carry(link, TO_CLIENT, Carried::End(CloseReason::Reset));
            }
        }
    }
}
