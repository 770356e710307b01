//! TCP: what the peer dials, accepts, sends and closes, and what comes in. Bytes and nothing else.
//!
//! Memory is bounded a connection: reading waits until the loop has taken what was read (`READ_BUDGET`), a
//! connection whose other side takes nothing is ended when too much waits (`WRITE_LIMIT`), and what is still
//! to be written when it is closed has `LINGER` to go out.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use peer::{CloseReason, ConnId, Input, Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

use crate::host::Happened;
use crate::zoo_cfg::Address;

/// A dial is given up after so long where nobody answers, all addresses of a name together.
const DIAL_TIME: Duration = Duration::from_secs(5);
/// Bytes that one read takes at most.
const CHUNK: usize = 16 * 1024;
/// Reads of one connection that may wait for the loop.
const READ_BUDGET: usize = 16;
/// Bytes that may wait for a slow reader when more comes. What the peer sends in one go may be longer (a
/// DIFF); it then waits for the transport itself.
const WRITE_LIMIT: usize = 64 << 20;
/// Packets of one connection that go out together, and bytes from which on no more are added: what is being written
/// counts as waiting until all of it is out.
const GATHERED: usize = 64;
const GATHERED_BYTES: usize = 256 * 1024;
/// Time to write out what was sent before a close.
const LINGER: Duration = Duration::from_secs(5);
/// Accepted connections of a port that may wait for the loop.
const ACCEPT_BUDGET: usize = 64;

/// Held until the loop has taken what it came with.
pub struct Room(#[allow(dead_code)] OwnedSemaphorePermit);

pub async fn room(budget: &Arc<Semaphore>) -> Room {
    Room(Arc::clone(budget).acquire_owned().await.expect("budgets are never closed"))
}

struct Write {
    bytes: Bytes,
    notify: bool,
}

struct Writer {
    queue: UnboundedSender<Write>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    /// Dropped when the connection is closed.
    _open: oneshot::Sender<()>,
}

struct Connection {
    /// `None`: the dial is under way.
    writer: Option<Writer>,
    /// The dial, or the reader.
    task: Option<JoinHandle<()>>,
    /// May the reader read?
    reading: watch::Sender<bool>,
}

impl Connection {
    fn new(task: Option<JoinHandle<()>>) -> Connection {
        Connection { writer: None, task, reading: watch::Sender::new(true) }
    }
}

pub struct Connections {
    happened: UnboundedSender<Happened>,
    connections: BTreeMap<ConnId, Connection>,
    listeners: BTreeMap<u8, JoinHandle<()>>,
    next_accepted: u64,
}

impl Connections {
    pub fn new(happened: UnboundedSender<Happened>) -> Connections {
        Connections { happened, connections: BTreeMap::new(), listeners: BTreeMap::new(), next_accepted: 0 }
    }

    /// False for what comes of a connection that was closed by us.
    pub fn knows(&self, conn: ConnId) -> bool {
        self.connections.contains_key(&conn)
    }

    pub async fn listen(&mut self, port: Port, host: Option<&str>, number: u16) -> io::Result<()> {
        let listener = bind(host, number).await?;
        let happened = self.happened.clone();
        let task = tokio::spawn(async move {
            let budget = Arc::new(Semaphore::new(ACCEPT_BUDGET));
            loop {
                let room = room(&budget).await;
                let stream = accept(&listener).await;
                if happened.send(Happened::Accepted { stream, port, _room: room }).is_err() {
                    return;
                }
            }
        });
        self.listeners.insert(port as u8, task);
        Ok(())
    }

    /// The port is free again when this returns.
    pub async fn stop_listening(&mut self, port: Port) {
        if let Some(task) = self.listeners.remove(&(port as u8)) {
            task.abort();
            let _ = task.await;
        }
    }

    pub fn accepted(&mut self, stream: TcpStream) -> ConnId {
        self.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.next_accepted);
        self.connections.insert(conn, Connection::new(None));
        self.attach(conn, stream);
        conn
    }

    pub fn dial(&mut self, conn: ConnId, address: Address) {
        let happened = self.happened.clone();
        let task = tokio::spawn(async move {
            let dialled = tokio::time::timeout(DIAL_TIME, dial(&address)).await;
            let _ = happened.send(match dialled {
                Ok(Ok(stream)) => Happened::Dialled { conn, stream },
                Ok(Err(error)) => {
                    tracing::debug!(%address, "dial failed: {error}");
                    closed(conn, &error)
                }
                Err(_) => {
                    tracing::debug!(%address, "dial not answered");
                    Happened::Input(Input::Closed { conn, reason: CloseReason::Unreachable })
                }
            });
        });
        self.connections.insert(conn, Connection::new(Some(task)));
    }

    /// There is no address.
    pub fn cannot_dial(&mut self, conn: ConnId) {
        self.connections.insert(conn, Connection::new(None));
        let _ = self.happened.send(Happened::Input(Input::Closed { conn, reason: CloseReason::Unreachable }));
    }

    /// The stream's two directions run on tasks of their own.
    pub fn attach(&mut self, conn: ConnId, stream: TcpStream) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let _ = stream.set_nodelay(true);
        let (reading, writing) = stream.into_split();
        let (queue, to_write) = unbounded_channel();
        let (open, closed) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        connection.task =
            Some(tokio::spawn(read(conn, reading, connection.reading.subscribe(), self.happened.clone())));
        // A close does not abort it: what was sent before goes out.
        let write = write(conn, writing, to_write, Arc::clone(&waiting), self.happened.clone());
        connection.writer = Some(Writer { queue, waiting, _open: open });
        tokio::spawn(async move {
            let too_late = async {
                let _ = closed.await;
                tokio::time::sleep(LINGER).await;
            };
            tokio::select! {
                () = write => {}
                () = too_late => tracing::debug!(conn = conn.0, "closed with bytes that nobody took"),
            }
        });
    }

    pub fn send(&mut self, conn: ConnId, bytes: Bytes, notify: bool) {
        let Some(Connection { writer: Some(writer), .. }) = self.connections.get(&conn) else { return };
        if writer.waiting.load(Ordering::Relaxed) > WRITE_LIMIT {
            tracing::warn!(conn = conn.0, "connection ended: its other side takes no bytes");
            let _ = self.happened.send(Happened::Input(Input::Closed { conn, reason: CloseReason::Reset }));
            return;
        }
        writer.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        let _ = writer.queue.send(Write { bytes, notify });
    }

    /// Take no more bytes from it, or go on.
    pub fn read(&mut self, conn: ConnId, on: bool) {
        if let Some(connection) = self.connections.get(&conn) {
            connection.reading.send_replace(on);
        }
    }

    pub fn close(&mut self, conn: ConnId) {
        if let Some(task) = self.connections.remove(&conn).and_then(|connection| connection.task) {
            task.abort();
        }
    }
}

/// On this host's addresses; `None`: on all that the machine has, IPv6 ones too where it knows them.
pub async fn bind(host: Option<&str>, port: u16) -> io::Result<TcpListener> {
    match host {
        Some(host) => TcpListener::bind((host, port)).await,
        None => match TcpListener::bind(("::", port)).await {
            Err(why) if why.kind() != io::ErrorKind::AddrInUse => TcpListener::bind(("0.0.0.0", port)).await,
            bound => bound,
        },
    }
}

/// The next connection. An error (too many open files, say) is told and waited out.
pub async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Each address of the name has its share of the time: the first may be a black hole.
async fn dial(address: &Address) -> io::Result<TcpStream> {
    let found: Vec<_> = lookup_host((address.host.as_str(), address.port)).await?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for at in &found {
        match tokio::time::timeout(DIAL_TIME / found.len() as u32, TcpStream::connect(at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

fn closed(conn: ConnId, error: &io::Error) -> Happened {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => CloseReason::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::Reset,
        _ => CloseReason::Unreachable,
    };
    Happened::Input(Input::Closed { conn, reason })
}

async fn read(
    conn: ConnId,
    mut reading: OwnedReadHalf,
    mut may_read: watch::Receiver<bool>,
    happened: UnboundedSender<Happened>,
) {
    let budget = Arc::new(Semaphore::new(READ_BUDGET));
    let mut buffer = BytesMut::new();
    loop {
        let room = room(&budget).await;
        // The other end is with `Connections`: without it the connection is closed.
        if may_read.wait_for(|on| *on).await.is_err() {
            return;
        }
        if buffer.capacity() < CHUNK / 4 {
            buffer.reserve(CHUNK);
        }
        let read = match reading.read_buf(&mut buffer).await {
            Ok(0) => Happened::Input(Input::Closed { conn, reason: CloseReason::Eof }),
            Ok(_) => Happened::Received { conn, bytes: buffer.split().freeze(), _room: room },
            Err(error) => closed(conn, &error),
        };
        let over = matches!(read, Happened::Input(_));
        if happened.send(read).is_err() || over {
            return;
        }
    }
}

async fn write(
    conn: ConnId,
    mut writing: OwnedWriteHalf,
    mut queue: UnboundedReceiver<Write>,
    waiting: Arc<AtomicUsize>,
    happened: UnboundedSender<Happened>,
) {
    while let Some(first) = queue.recv().await {
        let (mut gathered, mut notify) = (Gathered::default(), 0);
        let mut next = Some(first);
        while let Some(write) = next {
            notify += usize::from(write.notify);
            gathered.push(write.bytes);
            next = if gathered.is_full() { None } else { queue.try_recv().ok() };
        }
        let length = gathered.remaining();
        if let Err(error) = writing.write_all_buf(&mut gathered).await {
            let _ = happened.send(closed(conn, &error));
            return;
        }
        waiting.fetch_sub(length, Ordering::Relaxed);
        for _ in 0..notify {
            let _ = happened.send(Happened::Input(Input::Drained { conn }));
        }
    }
    let _ = writing.shutdown().await;
}

/// Packets that go out in one call of the system.
#[derive(Default)]
struct Gathered {
    packets: VecDeque<Bytes>,
    bytes: usize,
}

impl Gathered {
    fn push(&mut self, packet: Bytes) {
        self.bytes += packet.len();
        self.packets.push_back(packet);
    }

    fn is_full(&self) -> bool {
        self.packets.len() >= GATHERED || self.bytes >= GATHERED_BYTES
    }
}

impl Buf for Gathered {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.packets.front().map_or(&[], |first| first)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let packets = self.packets.iter().zip(slices.iter_mut());
        packets.map(|(bytes, slice)| *slice = IoSlice::new(bytes)).count()
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.packets.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.packets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other side of a connection, and ours.
    async fn accepted() -> (TcpStream, Connections, ConnId, UnboundedReceiver<Happened>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (happened, inbox) = unbounded_channel();
        let mut connections = Connections::new(happened);
        let conn = connections.accepted(accepted.expect("accepted").0);
        (dialled.expect("connected"), connections, conn, inbox)
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("in time") });
        runtime.shutdown_background();
    }

    /// While the loop takes nothing, no more than the budget is read, however much is sent.
    #[test]
    fn a_fast_sender_waits_for_the_loop() {
        in_runtime(async {
            let (mut other, mut connections, conn, mut inbox) = accepted().await;
            let sent = tokio::spawn(async move {
                for _ in 0..1024 {
                    other.write_all(&[7; 16 * 1024]).await.expect("written");
                }
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(inbox.len() <= READ_BUDGET, "{} reads wait", inbox.len());
            assert!(!sent.is_finished(), "16 MiB fit in no socket's buffers");
            let mut got = 0;
            while got < 16 << 20 {
                match inbox.recv().await {
                    Some(Happened::Received { bytes, .. }) => got += bytes.len(),
                    _ => panic!("expected bytes"),
                }
            }
            assert_eq!(got, 16 << 20);
            connections.close(conn);
        });
    }

    /// Nothing comes of one that is not to be read, until it is to be read again.
    #[test]
    fn a_sender_waits_while_it_is_not_read() {
        in_runtime(async {
            let (mut other, mut connections, conn, mut inbox) = accepted().await;
            connections.read(conn, false);
            other.write_all(&[7; 1000]).await.expect("written");
            let mut taken = async || match inbox.recv().await {
                Some(Happened::Received { bytes, .. }) => bytes.len(),
                _ => panic!("expected bytes"),
            };
            tokio::time::timeout(Duration::from_millis(200), taken()).await.expect_err("nothing is read");
            connections.read(conn, true);
            assert_eq!(taken().await, 1000);
        });
    }

    /// A reader that takes nothing: at most the limit and one message wait, then the connection ends.
    #[test]
    fn a_reader_that_takes_nothing_is_given_up() {
        in_runtime(async {
            let (_other, mut connections, conn, mut inbox) = accepted().await;
            let bytes = Bytes::from(vec![7; 1 << 20]);
            let mut sends = 0;
            let reason = loop {
                connections.send(conn, bytes.clone(), false);
                sends += 1;
                tokio::task::yield_now().await;
                match inbox.try_recv() {
                    Ok(Happened::Input(Input::Closed { reason, .. })) => break reason,
                    _ if sends > 200 => panic!("{sends} MiB were taken"),
                    _ => {}
                }
            };
            assert_eq!(reason, CloseReason::Reset);
            connections.close(conn);
        });
    }

    /// Packets of all lengths, more than a socket takes at once: in order, each that asks is told.
    #[test]
    fn packets_that_go_out_together_stay_in_order() {
        in_runtime(async {
            let (mut other, mut connections, conn, mut inbox) = accepted().await;
            let packets: Vec<Bytes> =
                (0..3000usize).map(|n| Bytes::from(vec![n as u8; n * 7919 % 5000])).collect();
            for (n, packet) in packets.iter().enumerate() {
                connections.send(conn, packet.clone(), n % 1000 == 0);
            }
            let mut got = Vec::new();
            let sent: usize = packets.iter().map(Bytes::len).sum();
            while got.len() < sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
                other.read_buf(&mut got).await.expect("read");
            }
            assert!(got == packets.concat(), "other bytes, or another order");
            for _ in 0..3 {
                assert!(matches!(inbox.recv().await, Some(Happened::Input(Input::Drained { .. }))));
            }
            assert!(inbox.is_empty());
            connections.close(conn);
        });
    }

    /// What a slow reader has taken waits no more, however much was gathered: more may come.
    #[test]
    fn a_slow_reader_that_takes_some_is_kept() {
        in_runtime(async {
            let (mut other, mut connections, conn, mut inbox) = accepted().await;
            let packet = Bytes::from(vec![7; 1 << 20]);
            let send = |connections: &mut Connections| connections.send(conn, packet.clone(), false);
            (0..60).for_each(|_| send(&mut connections));
            let mut took = vec![0; 40 << 20];
            other.read_exact(&mut took).await.expect("read");
            (0..20).for_each(|_| send(&mut connections));
            other.read_exact(&mut took).await.expect("read");
            assert!(inbox.try_recv().is_err(), "it was given up");
        });
    }

    #[test]
    fn what_was_sent_before_a_close_goes_out() {
        in_runtime(async {
            let (mut other, mut connections, conn, _inbox) = accepted().await;
            connections.send(conn, Bytes::from(vec![7; 8 << 20]), false);
            connections.close(conn);
            let mut got = Vec::new();
            other.read_to_end(&mut got).await.expect("read");
            assert_eq!(got.len(), 8 << 20);
        });
    }

    #[test]
    fn a_dial_finds_another_address_of_a_name_and_tells_a_refusal() {
        in_runtime(async {
            let (happened, mut inbox) = unbounded_channel();
            let mut connections = Connections::new(happened);
            // Bound and let go: nobody listens there.
            let port =
                TcpListener::bind("127.0.0.1:0").await.expect("free").local_addr().expect("bound").port();
            connections.dial(ConnId(1), Address { host: "127.0.0.1".into(), port });
            match inbox.recv().await {
                Some(Happened::Input(Input::Closed { conn: ConnId(1), reason: CloseReason::Refused })) => {}
                _ => panic!("expected a refusal"),
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            // localhost may be ::1 first, where nobody listens.
            connections.dial(ConnId(2), Address { host: "localhost".into(), port });
            assert!(matches!(inbox.recv().await, Some(Happened::Dialled { conn: ConnId(2), .. })));
            connections.dial(ConnId(3), Address { host: "no.such.name.invalid".into(), port });
            match inbox.recv().await {
                Some(Happened::Input(Input::Closed {
                    conn: ConnId(3),
                    reason: CloseReason::Unreachable,
                })) => {}
                _ => panic!("expected no such name"),
            }
        });
    }

    /// A closed connection whose other side takes nothing is not kept for ever.
    #[test]
    fn a_close_waits_only_so_long() {
        in_runtime(async {
            let (mut other, mut connections, conn, _inbox) = accepted().await;
            connections.send(conn, Bytes::from(vec![7; 32 << 20]), false);
            connections.close(conn);
            tokio::time::sleep(LINGER + Duration::from_secs(1)).await;
            let mut got = 0;
            let mut buffer = vec![0; 1 << 20];
            while let Ok(read) = other.read(&mut buffer).await
                && read > 0
            {
                got += read;
            }
            assert!(got < 32 << 20, "what was not taken in time is gone");
        });
    }
}
