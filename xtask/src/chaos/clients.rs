//! The simulator's clients of the tree over real sockets. What they ask and hear becomes a history, for the judge.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use checker::TreeObservation;
use sim::tree_workload::{ClientWorld, TreeWorkload};
use sim::workload::WorkloadSpec;
use sim::world::LinkId;
use wire::client::{Request, Response, WatcherEvent};
use wire::{ServerId, SessionId, Zxid};
use zab::Nanos;

/// What a client told, with what it lent.
#[derive(Clone, Debug)]
pub enum Told {
    Connecting {
        client: u64,
        attempt: u32,
        session: SessionId,
        last_zxid: Zxid,
    },
    Connected {
        client: u64,
        attempt: u32,
        session: SessionId,
        timeout_ms: i32,
    },
    Expired {
        client: u64,
        attempt: u32,
        session: SessionId,
    },
    Disconnected {
        client: u64,
        attempt: u32,
        session: SessionId,
    },
    Asked {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
        request: Request,
    },
    Answered {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
        zxid: Zxid,
        request: Request,
        result: Result<Response, i32>,
    },
    Notified {
        client: u64,
        attempt: u32,
        session: SessionId,
        zxid: Zxid,
        event: WatcherEvent,
    },
    Nonsense {
        client: u64,
        attempt: u32,
        session: SessionId,
        xid: i32,
    },
}

/// In the order of time, which counts from 1970.
pub type History = Vec<(Nanos, Told)>;

/// All clients, on a thread of theirs.
pub struct Clients {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Report>,
}

pub struct Report {
    pub history: History,
    pub acknowledged: u64,
    pub unknown: u64,
    pub notifications: u64,
    pub connections: u64,
    pub expirations: u64,
}

enum Happened {
    Bytes(usize, Bytes),
    Closed(usize),
}

struct Link {
    client: u64,
    /// Towards the member; `None` once it is over.
    to_send: Option<Sender<Bytes>>,
    /// For the thread of the connection, which ends it.
    over: Arc<AtomicBool>,
    lost: bool,
}

struct Real {
    ports: Vec<SocketAddr>,
    links: Vec<Link>,
    timers: Vec<(Nanos, u64)>,
    happened: Sender<Happened>,
    history: History,
    last: Nanos,
}

pub fn now() -> Nanos {
    Nanos(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
}

impl Clients {
    /// `ports`: the members' client ports, in their order.
    pub fn start(seed: u64, spec: WorkloadSpec, ports: Vec<SocketAddr>) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stop);
        let thread = std::thread::spawn(move || run(seed, spec, ports, &told_to_stop));
        Clients { stop, thread }
    }

    /// They ask nothing more, hear what is under way, and end.
    pub fn finish(self) -> Result<Report, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the clients panicked".into())
    }
}

/// Time for the last answers.
const LAST: Duration = Duration::from_secs(3);

fn run(seed: u64, spec: WorkloadSpec, ports: Vec<SocketAddr>, told_to_stop: &AtomicBool) -> Report {
    let (happened, inbox) = channel();
    let members: Vec<ServerId> = (1..=ports.len() as i64).map(ServerId).collect();
    let mut real =
        Real { ports, links: Vec::new(), timers: Vec::new(), happened, history: Vec::new(), last: now() };
    // The workload's clock and this one are the same.
    let spec = WorkloadSpec { start_ms: real.last.0 / 1_000_000, ..spec };
    let mut workload = TreeWorkload::new(seed, spec, &members);
    for client in 0..workload.clients() {
        real.timers.push((real.last, TreeWorkload::tick_of(client)));
    }
    let mut ends: Option<Nanos> = None;
    loop {
        if told_to_stop.load(Ordering::Relaxed) && ends.is_none() {
            workload.stop();
            ends = Some(Nanos(now().0 + LAST.as_nanos() as u64));
        }
        if ends.is_some_and(|ends| ends < now()) {
            break;
        }
        hear(&mut real, &mut workload, &inbox);
        let due = |real: &Real| real.timers.iter().position(|(at, _)| *at <= now());
        while let Some(at) = due(&real) {
            let (_, id) = real.timers.swap_remove(at);
            workload.on_timer(&mut real, id);
        }
    }
    let stats = workload.stats();
    for link in &mut real.links {
        link.end();
    }
    Report {
        history: real.history,
        acknowledged: workload.acknowledged,
        unknown: workload.unknown,
        notifications: stats.notifications,
        connections: stats.connections,
        expirations: stats.expirations,
    }
}

/// What comes within a few milliseconds.
fn hear(real: &mut Real, workload: &mut TreeWorkload, inbox: &Receiver<Happened>) {
    let mut next = inbox.recv_timeout(Duration::from_millis(2));
    loop {
        match next {
            Ok(Happened::Bytes(link, bytes)) if real.listens(link) => {
                workload.on_bytes(real, real.links[link].client, LinkId(link), bytes);
            }
            Ok(Happened::Closed(link)) if real.listens(link) => {
                real.links[link].end();
                workload.on_closed(real, real.links[link].client, LinkId(link));
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
        next = inbox.recv_timeout(Duration::ZERO);
    }
}

impl Link {
    fn end(&mut self) {
        self.to_send = None;
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Real {
    fn listens(&self, link: usize) -> bool {
        self.links[link].to_send.is_some() && !self.links[link].lost
    }
}

impl ClientWorld for Real {
    fn now(&self) -> Nanos {
        now()
    }

    fn timer(&mut self, at: Nanos, id: u64) {
        self.timers.push((at, id));
    }

    fn dial_client_port(&mut self, client: u64, to: ServerId) -> LinkId {
        let (to_send, sends) = channel();
        let link = self.links.len();
        let over = Arc::new(AtomicBool::new(false));
        self.links.push(Link { client, to_send: Some(to_send), over: Arc::clone(&over), lost: false });
        let (port, happened) = (self.ports[to.0 as usize - 1], self.happened.clone());
        std::thread::spawn(move || connection(link, port, &sends, &over, &happened));
        LinkId(link)
    }

    fn client_sends(&mut self, link: LinkId, bytes: Bytes) {
        let link = &self.links[link.0];
        if let Some(to_send) = link.to_send.as_ref().filter(|_| !link.lost) {
            let _ = to_send.send(bytes);
        }
    }

    fn client_closes(&mut self, link: LinkId) {
        self.links[link.0].end();
    }

    fn lose_client_link(&mut self, link: LinkId) {
        self.links[link.0].lost = true;
    }

    fn tell(&mut self, observation: &TreeObservation<'_>) {
        if let TreeObservation::Asked { request, .. } | TreeObservation::Answered { request, .. } =
            observation
            && asks_for_configuration(request)
        {
            return;
        }
        self.last = self.last.max(now());
        self.history.push((self.last, Told::of(observation)));
    }
}

/// Each member has another one here: it names proxies.
fn asks_for_configuration(request: &Request) -> bool {
    matches!(request, Request::GetData(get) if get.path == b"/zookeeper/config"[..])
}

/// Sends what is to be sent; a thread of its own reads. It ends with the link, which closes the socket.
fn connection(
    link: usize,
    port: SocketAddr,
    sends: &Receiver<Bytes>,
    over: &AtomicBool,
    happened: &Sender<Happened>,
) {
    let dialled = TcpStream::connect_timeout(&port, Duration::from_secs(2));
    let both = dialled.and_then(|stream| Ok((stream.try_clone()?, stream)));
    let Ok((mut reading, mut stream)) = both else {
        let _ = happened.send(Happened::Closed(link));
        return;
    };
    let _ = (stream.set_nodelay(true), stream.set_write_timeout(Some(Duration::from_secs(5))));
    let of_reader = happened.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read) = reading.read(&mut buffer)
            && read > 0
        {
            if of_reader.send(Happened::Bytes(link, Bytes::copy_from_slice(&buffer[..read]))).is_err() {
                return;
            }
        }
        let _ = of_reader.send(Happened::Closed(link));
    });
    while !over.load(Ordering::Relaxed) {
        let Ok(bytes) = sends.recv() else { break };
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

impl Told {
    fn of(observation: &TreeObservation<'_>) -> Told {
        match *observation {
            TreeObservation::Connecting { client, attempt, session, last_zxid } => {
                Told::Connecting { client, attempt, session, last_zxid }
            }
            TreeObservation::Connected { client, attempt, session, timeout_ms } => {
                Told::Connected { client, attempt, session, timeout_ms }
            }
            TreeObservation::Expired { client, attempt, session } => {
                Told::Expired { client, attempt, session }
            }
            TreeObservation::Disconnected { client, attempt, session } => {
                Told::Disconnected { client, attempt, session }
            }
            TreeObservation::Asked { client, attempt, session, xid, request } => {
                Told::Asked { client, attempt, session, xid, request: request.clone() }
            }
            TreeObservation::Answered { client, attempt, session, xid, zxid, request, result } => {
                let (request, result) = (request.clone(), result.cloned());
                Told::Answered { client, attempt, session, xid, zxid, request, result }
            }
            TreeObservation::Notified { client, attempt, session, zxid, event } => {
                Told::Notified { client, attempt, session, zxid, event: event.clone() }
            }
            TreeObservation::Nonsense { client, attempt, session, xid } => {
                Told::Nonsense { client, attempt, session, xid }
            }
        }
    }

    pub fn observation(&self) -> TreeObservation<'_> {
        match self {
            Told::Connecting { client, attempt, session, last_zxid } => TreeObservation::Connecting {
                client: *client,
                attempt: *attempt,
                session: *session,
                last_zxid: *last_zxid,
            },
            Told::Connected { client, attempt, session, timeout_ms } => TreeObservation::Connected {
                client: *client,
                attempt: *attempt,
                session: *session,
                timeout_ms: *timeout_ms,
            },
            Told::Expired { client, attempt, session } => {
                TreeObservation::Expired { client: *client, attempt: *attempt, session: *session }
            }
            Told::Disconnected { client, attempt, session } => {
                TreeObservation::Disconnected { client: *client, attempt: *attempt, session: *session }
            }
            Told::Asked { client, attempt, session, xid, request } => TreeObservation::Asked {
                client: *client,
                attempt: *attempt,
                session: *session,
                xid: *xid,
                request,
            },
            Told::Answered { client, attempt, session, xid, zxid, request, result } => {
                TreeObservation::Answered {
                    client: *client,
                    attempt: *attempt,
                    session: *session,
                    xid: *xid,
                    zxid: *zxid,
                    request,
                    result: result.as_ref().map_err(|err| *err),
                }
            }
            Told::Notified { client, attempt, session, zxid, event } => TreeObservation::Notified {
                client: *client,
                attempt: *attempt,
                session: *session,
                zxid: *zxid,
                event,
            },
            Told::Nonsense { client, attempt, session, xid } => {
                TreeObservation::Nonsense { client: *client, attempt: *attempt, session: *session, xid: *xid }
            }
        }
    }
}
