//! The host: one loop around one peer. Inputs come from sockets, the disk's thread, deadlines and the
//! submitter; outputs are carried out in order.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use peer::{
    ClientOutput, ConnId, Event, Halt, Input, Member, Nanos, Now, Outbox, Output, Peer, Port, State,
    StateKind, Task,
};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::connections::{Connections, Room};
use crate::disk_threads::DiskThreads;
use crate::event_log::EventLog;
use crate::four_letter_words;
use crate::http;
use crate::metrics::Metrics;
use crate::packet_trace::PacketTrace;
use crate::real_fs::{DirError, RealFs};
use crate::recorder::Recorder;
use crate::submitter::Submitter;
use crate::view::{Conf, Question, View};
use crate::zoo_cfg::{Address, ConfigError, Server, ZooCfg};
use wire::ServerId;

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error("{what}: {why}")]
    Io { what: String, why: io::Error },
    #[error("a thread of the disk died; what it was asked for is unknown")]
    DiskThreadDied,
    #[error("the member gave up: {0}")]
    Halted(Halt),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub config: PathBuf,
    /// Requests come from standard input, acknowledgements go to standard output. The member then replicates
    /// registers, which these requests set, and no data tree.
    pub submit: bool,
    /// Everything that goes into the machine and comes out goes to this (new) file too.
    pub record: Option<PathBuf>,
}

/// What reaches the loop.
pub enum Happened {
    Input(Input),
    Received {
        conn: ConnId,
        bytes: Bytes,
        _room: Room,
    },
    Accepted {
        stream: TcpStream,
        port: Port,
        _room: Room,
    },
    /// A client at the client port, and what it has said.
    Client {
        stream: TcpStream,
        from: SocketAddr,
        said: Bytes,
        _room: Room,
    },
    Dialled {
        conn: peer::ConnId,
        stream: TcpStream,
    },
    Line(String),
    Asked(Question),
    DiskThreadDied,
}

/// So much is taken from the inbox before tasks and deadlines have their turn.
const BATCH: usize = 1024;
/// So long tasks have their turn. A snapshot is one that schedules itself until it is complete, a slice at a time.
const TASKS_TIME: Duration = Duration::from_micros(200);

/// Run a node until it is told to stop (SIGTERM, SIGINT) or gives up.
pub fn run(options: &Options) -> Result<(), NodeError> {
    let cfg = ZooCfg::load(&options.config)?;
    for note in &cfg.notes {
        tracing::info!(key = note.key, why = note.why, "key not honoured");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| NodeError::Io { what: "the runtime".into(), why })?;
    let ended = runtime.block_on(async { Host::start(cfg, options).await?.run().await });
    // A name that is being resolved, or a read of standard input, is not waited for.
    runtime.shutdown_background();
    ended
}

struct Host {
    cfg: ZooCfg,
    peer: Peer<State>,
    started: Instant,
    inbox: UnboundedReceiver<Happened>,
    connections: Connections,
    disk: DiskThreads,
    tasks: VecDeque<Task>,
    outbox: Outbox,
    submitter: Option<Submitter>,
    recorder: Option<Recorder>,
    packets: PacketTrace,
    log: EventLog,
    conf: Arc<Conf>,
    /// Clients' connections.
    remotes: BTreeMap<ConnId, SocketAddr>,
    metrics: Metrics,
    halted: Option<Halt>,
}

impl Host {
    async fn start(cfg: ZooCfg, options: &Options) -> Result<Host, NodeError> {
        let (happened, inbox) = unbounded_channel();
        let mut fs = RealFs::open_two(cfg.snap_dir(), cfg.log_dir())?;
        if cfg.reconfigures() {
            fs = fs.with_config(&cfg.path, cfg.my_id)?;
        }
        let metrics = Metrics::default();
        let disk = DiskThreads::start(&fs, cfg.storage(), &metrics.disk, &happened);
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let mut config = cfg.config(seed ^ u64::from(std::process::id()));
        // Only a replay compares them.
        config.settings.event_digests = options.record.is_some();
        let state = if options.submit { StateKind::Registers } else { StateKind::Tree };
        let recorder = match &options.record {
            None => None,
            Some(path) => {
                Some(Recorder::create(path, &config, state, &cfg.tree()).map_err(|why| NodeError::Io {
                    what: format!("{}: expected a new file that can be written", path.display()),
                    why,
                })?)
            }
        };
        let conf = Conf::new(&cfg);
        serve(&conf, &happened).await?;
        let state = State::new(state, cfg.tree());
        let submitter = options.submit.then(|| Submitter::start(happened.clone()));
        Ok(Host {
            conf,
            cfg,
            peer: Peer::new(config, state),
            started: Instant::now(),
            inbox,
            connections: Connections::new(happened),
            disk,
            tasks: VecDeque::new(),
            outbox: Vec::new(),
            submitter,
            recorder,
            packets: PacketTrace::default(),
            log: EventLog::default(),
            remotes: BTreeMap::new(),
            metrics,
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
                }
                () = tokio::time::sleep(until) => self.input(Input::Deadline).await?,
                // Connections have had their turn.
                () = tokio::task::yield_now(), if !self.tasks.is_empty() => {}
                _ = terminate.recv() => {
                    tracing::info!("SIGTERM: stopping");
                    break;
                }
                _ = interrupt.recv() => {
                    tracing::info!("SIGINT: stopping");
                    break;
                }
            }
            // What came together is worked on together: one flush, one group commit.
            for _ in 0..BATCH {
                let Ok(happened) = self.inbox.try_recv() else { break };
                self.happened(happened).await?;
            }
            let began = Instant::now();
            while let Some(task) = self.tasks.pop_front() {
                self.input(Input::Run(task)).await?;
                if began.elapsed() >= TASKS_TIME {
                    break;
                }
            }
        }
        if !self.disk.finish() {
            tracing::warn!("the disk is still at work; the next start finds what is done of it");
        }
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
                if let Input::Drained { conn } | Input::Closed { conn, .. } = &input
                    && !self.connections.knows(*conn)
                {
                    return Ok(());
                }
                if let Input::Closed { conn, reason } = &input {
                    self.log.closed(*conn, *reason);
                    self.close(*conn);
                }
                self.input(input).await
            }
            Happened::Received { conn, bytes, .. } => {
                if !self.connections.knows(conn) {
                    return Ok(());
                }
                if self.remotes.contains_key(&conn) {
                    self.metrics.bytes_received += bytes.len() as u64;
                }
                self.packets.received(conn, &bytes);
                self.input(Input::Received { conn, bytes }).await
            }
            Happened::Accepted { stream, port, .. } => {
                let conn = self.connections.accepted(stream);
                self.packets.opened(conn, port, false);
                self.input(Input::Accepted { conn, port }).await
            }
            Happened::Client { stream, from, said, .. } => {
                let conn = self.connections.accepted(stream);
                self.remotes.insert(conn, from);
                self.metrics.bytes_received += said.len() as u64;
                let from = from.ip().to_canonical().to_string();
                self.input(Input::ClientAccepted { conn, from }).await?;
                self.input(Input::Received { conn, bytes: said }).await
            }
            Happened::Dialled { conn, stream } => {
                if !self.connections.knows(conn) {
                    return Ok(());
                }
                self.connections.attach(conn, stream);
                self.log.connected(conn);
                self.input(Input::Connected { conn }).await
            }
            Happened::Line(line) => {
                let inputs = self.submitter.as_mut().map(|s| s.on_line(&line)).unwrap_or_default();
                self.clients(inputs).await
            }
            Happened::Asked(question) => {
                question(&mut self.view());
                Ok(())
            }
            Happened::DiskThreadDied => Err(NodeError::DiskThreadDied),
        }
    }

    fn view(&mut self) -> View<'_> {
        let now = self.now();
        View {
            status: self.peer.status(),
            peer: &mut self.peer,
            now,
            conf: Arc::clone(&self.conf),
            remotes: &self.remotes,
            metrics: &mut self.metrics,
            packets: &mut self.packets,
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
            if let Some(recorder) = &mut self.recorder {
                recorder.input(now, &input);
            }
            self.peer.handle(now, input, &mut outbox);
            if let Some(recorder) = &mut self.recorder {
                recorder.outputs(&outbox);
            }
            for output in outbox.drain(..) {
                self.metrics.output(now.mono, &output);
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
            Output::StopListening(port) => self.connections.stop_listening(port).await,
            Output::Connect { conn, to, port } => self.dial(conn, to, port),
            Output::Send { conn, bytes, notify } => {
                self.packets.sent(conn, &bytes);
                self.connections.send(conn, bytes, notify);
            }
            Output::Close { conn } => self.close(conn),
            Output::Reading { conn, on } => self.connections.read(conn, on),
            Output::Disk { id, op } => self.disk.execute(id, op),
            Output::Schedule(task) => self.tasks.push_back(task),
            Output::Event(event) => {
                self.log.event(&event);
                if let Event::ConfigActivated { .. } = event {
                    self.compare_addresses();
                }
            }
            Output::Halt { why } => self.halted = Some(why),
            Output::Client(_) => unreachable!("taken by the caller"),
        }
        Ok(())
    }

    /// The configuration may have changed since the peer asked, and what a server says of itself may be no address.
    fn dial(&mut self, conn: ConnId, to: ServerId, port: Port) {
        let ensemble = self.peer.ensemble();
        let address = match port {
            Port::Election => ensemble.election_address(to),
            Port::Quorum => ensemble.quorum_address(to),
        };
        let address = address.map(str::parse::<Address>);
        self.log.dialled(conn, to, port);
        self.packets.opened(conn, port, true);
        match address {
            Some(Ok(address)) => self.connections.dial(conn, address),
            _ => self.connections.cannot_dial(conn),
        }
    }

    /// Where this member listens for elections and clients is not changed while it runs.
    fn compare_addresses(&self) {
        let own = self.cfg.own_server().map(Server::member);
        let new = self.peer.ensemble().active().members.get(&self.cfg.my_id);
        let moves = |(own, new): (&Member, &Member)| {
            let port = |at: &String| at.parse::<Address>().ok().map(|at| at.port);
            let client = new.client_address.as_ref().map(port);
            own.election_address != new.election_address
                || client.is_some_and(|port| port != self.cfg.client_port)
        };
        if own.as_ref().zip(new).is_some_and(moves) {
            tracing::warn!(
                "this server's own addresses are others in it: start it again, and it listens there"
            );
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.packets.closed(conn);
        self.remotes.remove(&conn);
        self.log.forget(conn);
        self.connections.close(conn);
    }

    async fn listen(&mut self, port: Port) -> Result<(), NodeError> {
        let own = self.cfg.own_server().expect("who is alone listens for no member");
        let now = self.peer.ensemble().quorum_address(self.cfg.my_id).and_then(|at| at.parse().ok());
        let address = match port {
            Port::Election => own.election_address(),
            Port::Quorum => now.unwrap_or_else(|| own.quorum_address()),
        };
        let host = (!self.cfg.listen_on_all).then_some(address.host.as_str());
        let bound = self.connections.listen(port, host, address.port).await;
        bound.map_err(|why| not_bound(format!("{port:?} port {address} of server.{}", self.cfg.my_id), why))
    }
}

/// The ports that are there from the start to the end: the clients', the admin server's, Prometheus'.
async fn serve(conf: &Arc<Conf>, happened: &UnboundedSender<Happened>) -> Result<(), NodeError> {
    let cfg = &conf.cfg;
    if let Some(port) = cfg.client_port {
        let address = cfg.client_address.as_deref();
        let bound = four_letter_words::serve(address, port, Arc::clone(conf), happened.clone()).await;
        bound.map_err(|why| not_bound(format!("clientPort {port}"), why))?;
    }
    if let Some(prometheus) = cfg.http.prometheus() {
        let bound = http::serve_metrics(prometheus, happened.clone()).await;
        bound.map_err(|why| not_bound(format!("metricsProvider.httpPort {}", prometheus.port), why))?;
    }
    // Nobody asked for it by name: as Java, the server goes on without.
    if let Some(admin) = cfg.http.admin()
        && let Err(why) = http::serve_commands(admin, Arc::clone(conf), happened.clone()).await
    {
        let why = not_bound(format!("admin.serverPort {}", admin.port), why);
        tracing::warn!("no admin server: {why}; admin.enableServer=false does without it");
    }
    Ok(())
}

/// A port that cannot be listened on, with what to do.
fn not_bound(what: String, why: io::Error) -> NodeError {
    let advice = match why.kind() {
        io::ErrorKind::AddrInUse => "another process listens there; stop it, or change the port in zoo.cfg",
        io::ErrorKind::AddrNotAvailable => {
            "this is no address of this machine; correct it in zoo.cfg, or set quorumListenOnAllIPs=true"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; take a larger one",
        _ => "expected an address that this process may listen on",
    };
    NodeError::Io { what: format!("{what}: {advice}"), why }
}
