//! The host: one loop around one peer. Inputs come from sockets, the disk's thread, deadlines and the
//! submitter; outputs are carried out in order.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peer::{ClientOutput, Event, Input, Nanos, Now, Outbox, Output, Peer, Port, RegisterMap, Task};
use storage::StorageSettings;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::connections::Connections;
use crate::real_fs::RealFs;
use crate::status::{Status, serve_status};
use crate::storage_thread::StorageThread;
use crate::submitter::Submitter;
use crate::zoo_cfg::{ConfigError, ZooCfg};

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{what}: {why}")]
    Io { what: String, why: io::Error },
    #[error("the member gave up: {0}")]
    Halted(String),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub config: PathBuf,
    /// Requests come from standard input, acknowledgements go to standard output.
    pub submit: bool,
}

/// What reaches the loop.
pub enum Happened {
    Input(Input),
    Accepted { stream: TcpStream, port: Port },
    Dialled { conn: peer::ConnId, stream: TcpStream },
    Line(String),
    Status(tokio::sync::oneshot::Sender<Status>),
}

/// Run a node until it is told to stop (SIGTERM, SIGINT) or gives up.
pub fn run(options: &Options) -> Result<(), NodeError> {
    let cfg = ZooCfg::load(&options.config)?;
    for key in &cfg.ignored {
        tracing::info!(key, "key not honoured yet");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| NodeError::Io { what: "the runtime".into(), why })?;
    runtime.block_on(async { Host::start(cfg, options).await?.run().await })
}

struct Host {
    cfg: ZooCfg,
    peer: Peer<RegisterMap>,
    started: Instant,
    inbox: UnboundedReceiver<Happened>,
    connections: Connections,
    storage: StorageThread,
    tasks: VecDeque<Task>,
    outbox: Outbox,
    submitter: Option<Submitter>,
    status: Status,
    halted: Option<String>,
}

impl Host {
    async fn start(cfg: ZooCfg, options: &Options) -> Result<Host, NodeError> {
        let (happened, inbox) = unbounded_channel();
        let dir = cfg.data_dir.join("version-2");
        let what = dir.display().to_string();
        let fs = RealFs::open(dir).map_err(|why| NodeError::Io { what, why })?;
        let storage = StorageThread::start(fs, StorageSettings::default(), happened.clone());
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let peer = Peer::new(cfg.config(seed ^ u64::from(std::process::id())), RegisterMap::new());
        if let Some(port) = cfg.client_port {
            serve_status(port, happened.clone())
                .await
                .map_err(|why| NodeError::Io { what: format!("client port {port}"), why })?;
        }
        let submitter = options.submit.then(|| Submitter::start(happened.clone()));
        Ok(Host {
            status: Status::new(&cfg),
            cfg,
            peer,
            started: Instant::now(),
            inbox,
            connections: Connections::new(happened),
            storage,
            tasks: VecDeque::new(),
            outbox: Vec::new(),
            submitter,
            halted: None,
        })
    }

    async fn run(mut self) -> Result<(), NodeError> {
        let failed = |why| NodeError::Io { what: "signals".into(), why };
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tracing::info!(sid = self.cfg.my_id.0, "starting");
        self.input(Input::Boot).await?;
        while self.halted.is_none() {
            let until = self.until_deadline();
            tokio::select! {
                happened = self.inbox.recv() => {
                    if let Some(happened) = happened {
                        self.happened(happened).await?;
                    }
                    // What came together is worked on together: one flush, one group commit.
                    while let Ok(happened) = self.inbox.try_recv() {
                        self.happened(happened).await?;
                    }
                }
                () = tokio::time::sleep(until) => self.input(Input::Deadline).await?,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            while let Some(task) = self.tasks.pop_front() {
                self.input(Input::Run(task)).await?;
            }
        }
        self.storage.finish();
        match self.halted {
            Some(why) => Err(NodeError::Halted(why)),
            None => {
                tracing::info!("stopped");
                Ok(())
            }
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        Now { mono: Nanos(self.started.elapsed().as_nanos() as u64), wall_ms: wall }
    }

    fn until_deadline(&self) -> Duration {
        let at = self.peer.next_deadline().at;
        Duration::from_nanos(at.0.saturating_sub(self.started.elapsed().as_nanos() as u64))
            .min(Duration::from_secs(3600))
    }

    async fn happened(&mut self, happened: Happened) -> Result<(), NodeError> {
        match happened {
            Happened::Input(input) => {
                if let Input::Received { conn, .. } | Input::Drained { conn } | Input::Closed { conn, .. } =
                    &input
                    && !self.connections.knows(*conn)
                {
                    return Ok(());
                }
                if let Input::Closed { conn, .. } = &input {
                    self.connections.close(*conn);
                }
                self.input(input).await
            }
            Happened::Accepted { stream, port } => {
                let conn = self.connections.accepted(stream);
                self.input(Input::Accepted { conn, port }).await
            }
            Happened::Dialled { conn, stream } => {
                if !self.connections.knows(conn) {
                    return Ok(());
                }
                self.connections.attach(conn, stream);
                self.input(Input::Connected { conn }).await
            }
            Happened::Line(line) => {
                let inputs = self.submitter.as_mut().map(|s| s.on_line(&line)).unwrap_or_default();
                self.clients(inputs).await
            }
            Happened::Status(answer) => {
                self.status.role = self.peer.role();
                let _ = answer.send(self.status.clone());
                Ok(())
            }
        }
    }

    async fn clients(&mut self, inputs: Vec<peer::ClientInput>) -> Result<(), NodeError> {
        for input in inputs {
            self.input(Input::Client(input)).await?;
        }
        Ok(())
    }

    /// One input, and what the peer wants done. Clients answer at once, so this goes round.
    async fn input(&mut self, input: Input) -> Result<(), NodeError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now();
            let mut outbox = std::mem::take(&mut self.outbox);
            self.peer.handle(now, input, &mut outbox);
            for output in outbox.drain(..) {
                if let Output::Client(output) = output {
                    inputs.extend(self.on_client(&output).into_iter().map(Input::Client));
                } else {
                    self.output(output).await?;
                }
            }
            self.outbox = outbox;
        }
        Ok(())
    }

    fn on_client(&mut self, output: &ClientOutput) -> Vec<peer::ClientInput> {
        self.submitter.as_mut().map(|s| s.on_output(output)).unwrap_or_default()
    }

    async fn output(&mut self, output: Output) -> Result<(), NodeError> {
        match output {
            Output::Listen(port) => self.listen(port).await?,
            Output::StopListening(port) => self.connections.stop_listening(port),
            Output::Connect { conn, to, port } => {
                let address = self.cfg.servers.get(&to).map(|server| match port {
                    Port::Election => format!("{}:{}", server.host, server.election_port),
                    Port::Quorum => format!("{}:{}", server.host, server.quorum_port),
                });
                self.connections.dial(conn, address.unwrap_or_default());
            }
            Output::Send { conn, bytes, notify } => self.connections.send(conn, bytes, notify),
            Output::Close { conn } => self.connections.close(conn),
            Output::Disk { id, op } => self.storage.execute(id, op),
            Output::Schedule(task) => self.tasks.push_back(task),
            Output::Event(event) => self.event(&event),
            Output::Halt { why } => self.halted = Some(why),
            Output::Client(_) => unreachable!("taken by the caller"),
        }
        Ok(())
    }

    async fn listen(&mut self, port: Port) -> Result<(), NodeError> {
        let own = &self.cfg.servers[&self.cfg.my_id];
        let number = match port {
            Port::Election => own.election_port,
            Port::Quorum => own.quorum_port,
        };
        let address = format!("{}:{number}", own.host);
        let what = format!("{port:?} port {address}");
        self.connections.listen(port, &address).await.map_err(|why| NodeError::Io { what, why })
    }

    fn event(&mut self, event: &Event) {
        self.status.on_event(event);
        match event {
            Event::Proposed { .. }
            | Event::AckCounted { .. }
            | Event::Committed { .. }
            | Event::AckSent { .. }
            | Event::Logged { .. }
            | Event::Delivered { .. } => tracing::trace!(?event),
            Event::Mark { .. } => tracing::debug!(?event),
            Event::Warning { what } => tracing::warn!("{what}"),
            Event::ConnectionDropped { with, reason } => tracing::warn!(?with, "connection ended: {reason}"),
            event => tracing::info!(?event),
        }
    }
}
