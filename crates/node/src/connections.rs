//! TCP: what the peer dials, accepts, sends and closes, and what comes in. Bytes and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peer::{CloseReason, ConnId, Input, Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::host::Happened;

/// A dial is given up after so long where nobody answers.
const DIAL_TIME: Duration = Duration::from_secs(5);

struct Write {
    bytes: Bytes,
    notify: bool,
}

struct Connection {
    /// `None`: the dial is under way.
    writer: Option<UnboundedSender<Write>>,
    tasks: Vec<JoinHandle<()>>,
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

    pub async fn listen(&mut self, port: Port, address: &str) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        let happened = self.happened.clone();
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        if happened.send(Happened::Accepted { stream, port }).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        self.listeners.insert(port as u8, task);
        Ok(())
    }

    pub fn stop_listening(&mut self, port: Port) {
        if let Some(task) = self.listeners.remove(&(port as u8)) {
            task.abort();
        }
    }

    pub fn accepted(&mut self, stream: TcpStream) -> ConnId {
        self.next_accepted += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.next_accepted);
        self.connections.insert(conn, Connection { writer: None, tasks: Vec::new() });
        self.attach(conn, stream);
        conn
    }

    pub fn dial(&mut self, conn: ConnId, address: String) {
        let happened = self.happened.clone();
        let task = tokio::spawn(async move {
            let dialled = tokio::time::timeout(DIAL_TIME, TcpStream::connect(address)).await;
            let _ = happened.send(match dialled {
                Ok(Ok(stream)) => Happened::Dialled { conn, stream },
                Ok(Err(error)) => closed(conn, &error),
                Err(_) => Happened::Input(Input::Closed { conn, reason: CloseReason::Unreachable }),
            });
        });
        self.connections.insert(conn, Connection { writer: None, tasks: vec![task] });
    }

    /// The stream's two directions run on tasks of their own.
    pub fn attach(&mut self, conn: ConnId, stream: TcpStream) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let _ = stream.set_nodelay(true);
        let (reading, writing) = stream.into_split();
        let (writer, queue) = unbounded_channel();
        connection.writer = Some(writer);
        connection.tasks.push(tokio::spawn(read(conn, reading, self.happened.clone())));
        // Not among the tasks that a close aborts: what was sent before it goes out.
        tokio::spawn(write(conn, writing, queue, self.happened.clone()));
    }

    pub fn send(&mut self, conn: ConnId, bytes: Bytes, notify: bool) {
        if let Some(Connection { writer: Some(writer), .. }) = self.connections.get(&conn) {
            let _ = writer.send(Write { bytes, notify });
        }
    }

    pub fn close(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.remove(&conn) {
            for task in connection.tasks {
                task.abort();
            }
        }
    }
}

fn closed(conn: ConnId, error: &io::Error) -> Happened {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => CloseReason::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::Reset,
        _ => CloseReason::Unreachable,
    };
    Happened::Input(Input::Closed { conn, reason })
}

async fn read(conn: ConnId, mut reading: OwnedReadHalf, happened: UnboundedSender<Happened>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(16 * 1024);
        let input = match reading.read_buf(&mut buffer).await {
            Ok(0) => Happened::Input(Input::Closed { conn, reason: CloseReason::Eof }),
            Ok(_) => Happened::Input(Input::Received { conn, bytes: buffer.split().freeze() }),
            Err(error) => closed(conn, &error),
        };
        let over = matches!(input, Happened::Input(Input::Closed { .. }));
        if happened.send(input).is_err() || over {
            return;
        }
    }
}

async fn write(
    conn: ConnId,
    mut writing: OwnedWriteHalf,
    mut queue: UnboundedReceiver<Write>,
    happened: UnboundedSender<Happened>,
) {
    while let Some(Write { bytes, notify }) = queue.recv().await {
        if let Err(error) = writing.write_all(&bytes).await {
            let _ = happened.send(closed(conn, &error));
            return;
        }
        if notify {
            let _ = happened.send(Happened::Input(Input::Drained { conn }));
        }
    }
    let _ = writing.shutdown().await;
}
