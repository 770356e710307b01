//! `QuorumCnxManager`: one connection to each other server's election port, dialled by the larger
//! sid. Called by `Election` alone.
//!
//! * Each server has one outgoing slot: a newer message replaces an unsent one.
//! * The last message sent goes out again on a new connection whose slot is empty.
//! * A connection that a smaller sid dialled only wakes the larger one, which dials back.
//! * Nothing reconnects by itself: the next message to a server dials.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use wire::ServerId;
use wire::election::{ElectionInbound, ElectionStream, Hello, HelloLayout, Notification};

use crate::context::Io;
use crate::io::{ConnId, Port};
use crate::switches::Switch;
use crate::time::Nanos;

/// So many accepted connections may owe their hello; one more, and the one that waits longest is closed.
const MAX_INCOMING: usize = 128;

#[derive(Clone, Debug)]
enum Cnx {
    None,
    Dialling { conn: ConnId, give_up: Nanos },
    Up { conn: ConnId, stream: ElectionStream, busy: bool },
}

#[derive(Clone, Debug)]
struct Link {
    cnx: Cnx,
    slot: Option<Bytes>,
    last_sent: Option<Bytes>,
}

impl Link {
    fn new() -> Link {
        Link { cnx: Cnx::None, slot: None, last_sent: None }
    }
}

#[derive(Clone, Debug)]
struct Incoming {
    stream: ElectionStream,
    give_up: Nanos,
}

#[derive(Clone, Debug, Default)]
pub struct QuorumCnxManager {
    links: BTreeMap<ServerId, Link>,
    /// Accepted, hello not yet read.
    incoming: BTreeMap<ConnId, Incoming>,
    by_conn: BTreeMap<ConnId, ServerId>,
    next_deadline: Option<Nanos>,
    /// Nobody takes notifications any more; they are read and lost.
    deaf: bool,
}

impl QuorumCnxManager {
    pub fn owns(&self, conn: ConnId) -> bool {
        self.by_conn.contains_key(&conn) || self.incoming.contains_key(&conn)
    }

    /// When the earliest dial or hello has taken too long.
    pub fn next_deadline(&self) -> Nanos {
        self.next_deadline.unwrap_or(Nanos::NEVER)
    }

    fn find_deadline(&mut self) {
        let dials = self.links.values().filter_map(|link| match &link.cnx {
            Cnx::Dialling { give_up, .. } => Some(*give_up),
            _ => None,
        });
        self.next_deadline = dials.chain(self.incoming.values().map(|i| i.give_up)).min();
    }

    pub fn send(&mut self, io: &mut Io<'_>, to: ServerId, frame: Bytes) {
        let link = self.links.entry(to).or_insert_with(Link::new);
        link.slot = Some(frame);
        match link.cnx {
            Cnx::None => self.dial(io, to),
            Cnx::Dialling { .. } => {}
            Cnx::Up { .. } => flush(io, link),
        }
    }

    /// True where every server that we have something for still waits for it.
    pub fn nothing_delivered(&self) -> bool {
        self.links.values().all(|link| link.slot.is_some())
    }

    pub fn connect_all(&mut self, io: &mut Io<'_>) {
        let unconnected: Vec<ServerId> =
            self.links.iter().filter(|(_, l)| matches!(l.cnx, Cnx::None)).map(|(sid, _)| *sid).collect();
        for sid in unconnected {
            self.dial(io, sid);
        }
    }

    fn dial(&mut self, io: &mut Io<'_>, to: ServerId) {
        if io.ensemble.election_address(to).is_none() {
            return;
        }
        let conn = io.connect(to, Port::Election);
        let give_up = io.now.mono + io.config.settings.cnx_timeout;
        self.links.entry(to).or_insert_with(Link::new).cnx = Cnx::Dialling { conn, give_up };
        self.by_conn.insert(conn, to);
        self.find_deadline();
    }

    pub fn on_connected(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(&sid) = self.by_conn.get(&conn) else { return };
        let own = io.sid();
        // Who was removed says where it was: it may be added again.
        let address = io.ensemble.own_election_address().to_owned();
        let mut hello = BytesMut::new();
        Hello { layout: HelloLayout::V1, sid: own, address: Bytes::copy_from_slice(address.as_bytes()) }
            .encode(&mut hello);
        io.send(conn, hello.freeze());
        if sid > own {
            // The larger sid dials: this one was only to wake it.
            io.close(conn);
            self.forget(conn);
            return;
        }
        self.install(io, sid, conn, ElectionStream::dialled());
    }

    fn install(&mut self, io: &mut Io<'_>, sid: ServerId, conn: ConnId, stream: ElectionStream) {
        let link = self.links.entry(sid).or_insert_with(Link::new);
        if let Cnx::Dialling { conn: old, .. } | Cnx::Up { conn: old, .. } = link.cnx
            && old != conn
        {
            io.close(old);
            self.by_conn.remove(&old);
        }
        link.cnx = Cnx::Up { conn, stream, busy: false };
        if link.slot.is_none() {
            link.slot.clone_from(&link.last_sent);
        }
        flush(io, link);
        self.by_conn.insert(conn, sid);
        self.find_deadline();
    }

    pub fn on_accepted(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.incoming.len() >= MAX_INCOMING
            && let Some((&oldest, _)) = self.incoming.iter().min_by_key(|(conn, i)| (i.give_up, **conn))
        {
            self.incoming.remove(&oldest);
            io.drop_connection(oldest, None, "election: too many connections without a hello");
        }
        let give_up = io.now.mono + io.config.settings.sync_time();
        self.incoming.insert(conn, Incoming { stream: ElectionStream::accepted(), give_up });
        self.find_deadline();
    }

    /// True where an established connection was lost, and with it perhaps what was sent last.
    pub fn on_closed(&mut self, io: &Io<'_>, conn: ConnId) -> bool {
        self.incoming.remove(&conn);
        let link = self.by_conn.get(&conn).and_then(|sid| self.links.get(sid));
        if link.is_some_and(|link| matches!(&link.cnx, Cnx::Up { stream, .. } if stream.is_amid_frame())) {
            self.senseless(io);
        }
        self.forget(conn)
    }

    /// A frame that is no notification, or what came of one when its connection ended. Right: it is ignored.
    /// Wrong (ZOOKEEPER-3769): it reaches the receiver, which ends.
    fn senseless(&mut self, io: &Io<'_>) {
        self.deaf |= io.config.switches.has(Switch::BadNotificationKillsReceiver);
    }

    /// No connection `conn` any more; what is in the slot waits for the next dial. True where it had been
    /// established.
    fn forget(&mut self, conn: ConnId) -> bool {
        let mut established = false;
        if let Some(sid) = self.by_conn.remove(&conn)
            && let Some(link) = self.links.get_mut(&sid)
            && let Cnx::Dialling { conn: c, .. } | Cnx::Up { conn: c, .. } = link.cnx
            && c == conn
        {
            established = matches!(link.cnx, Cnx::Up { .. });
            link.cnx = Cnx::None;
        }
        self.find_deadline();
        established
    }

    pub fn on_drained(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some(sid) = self.by_conn.get(&conn)
            && let Some(link) = self.links.get_mut(sid)
            && let Cnx::Up { busy, .. } = &mut link.cnx
        {
            *busy = false;
            flush(io, link);
        }
    }

    pub fn on_deadline(&mut self, io: &mut Io<'_>) {
        let now = io.now.mono;
        let late: Vec<ConnId> = self
            .links
            .values()
            .filter_map(|link| match link.cnx {
                Cnx::Dialling { conn, give_up } if give_up <= now => Some(conn),
                _ => None,
            })
            .chain(self.incoming.iter().filter(|(_, i)| i.give_up <= now).map(|(conn, _)| *conn))
            .collect();
        for conn in late {
            let with = self.by_conn.get(&conn).copied();
            io.drop_connection(conn, with, "election: no connection or hello in time");
            self.incoming.remove(&conn);
            self.forget(conn);
        }
    }

    /// Bytes on `conn`: gives the notifications in them, with their sender.
    pub fn on_received(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        bytes: Bytes,
        out: &mut Vec<(ServerId, Notification)>,
    ) {
        if let Some(mut incoming) = self.incoming.remove(&conn) {
            incoming.stream.feed(bytes);
            match incoming.stream.next() {
                Ok(None) => {
                    self.incoming.insert(conn, incoming);
                }
                Ok(Some(ElectionInbound::Hello(hello))) => {
                    self.on_hello(io, conn, &hello, incoming.stream);
                    self.read(io, conn, out);
                }
                Ok(Some(ElectionInbound::Notification(_))) => unreachable!("a hello comes first"),
                Err(e) => io.drop_connection(conn, None, format!("election hello: {e}")),
            }
            self.find_deadline();
            return;
        }
        if let Some(sid) = self.by_conn.get(&conn)
            && let Some(Link { cnx: Cnx::Up { stream, .. }, .. }) = self.links.get_mut(sid)
        {
            stream.feed(bytes);
            self.read(io, conn, out);
        }
    }

    fn on_hello(&mut self, io: &mut Io<'_>, conn: ConnId, hello: &Hello, stream: ElectionStream) {
        let (sid, own) = (hello.sid, io.sid());
        if sid != own && !io.ensemble.is_member(sid) && io.config.settings.reconfig_enabled {
            io.ensemble.meet_stranger(sid, &hello.address);
        }
        if sid == own || io.ensemble.election_address(sid).is_none() {
            return io.drop_connection(conn, Some(sid), "election: hello from a sid that is no other member");
        }
        if sid > own {
            return self.install(io, sid, conn, stream);
        }
        // It dialled because it has no connection: ours, if any, is dead.
        io.close(conn);
        match self.links.get(&sid).map(|l| &l.cnx) {
            Some(Cnx::Dialling { .. }) => {}
            Some(Cnx::Up { conn: old, .. }) => {
                let old = *old;
                io.close(old);
                self.forget(old);
                self.dial(io, sid);
            }
            _ => self.dial(io, sid),
        }
    }

    fn read(&mut self, io: &mut Io<'_>, conn: ConnId, out: &mut Vec<(ServerId, Notification)>) {
        let Some(&sid) = self.by_conn.get(&conn) else { return };
        let broken = loop {
            let Some(Link { cnx: Cnx::Up { stream, .. }, .. }) = self.links.get_mut(&sid) else { return };
            match stream.next() {
                Ok(Some(ElectionInbound::Notification(_))) if self.deaf => {}
                Ok(Some(ElectionInbound::Notification(Ok(n)))) => out.push((sid, n)),
                Ok(Some(ElectionInbound::Notification(Err(e)))) => {
                    io.warn(format!("election: {e}"));
                    self.senseless(io);
                }
                Ok(Some(ElectionInbound::Hello(_))) => unreachable!("one hello a connection"),
                Ok(None) => return,
                Err(e) => break e,
            }
        };
        io.drop_connection(conn, Some(sid), format!("election frame: {broken}"));
        self.forget(conn);
    }
}

fn flush(io: &mut Io<'_>, link: &mut Link) {
    if let Cnx::Up { conn, busy, .. } = &mut link.cnx
        && !*busy
        && let Some(frame) = link.slot.take()
    {
        *busy = true;
        link.last_sent = Some(frame.clone());
        io.send_notify(*conn, frame);
    }
}
