//! Metrics: what the host counts, and everything by ZooKeeper's names (`ServerMetrics`, `registerMetrics`), for
//! `mntr`, the admin server and Prometheus. Times are in milliseconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peer::{AvgMinMax, BufferStats, DiskOp, Event, Nanos, Output, Role, SyncMode};

use crate::view::View;

/// Which part of the protocol is under way (`QuorumPeer.ZabState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZabState {
    #[default]
    Election,
    Discovery,
    Synchronization,
    Broadcast,
}

impl ZabState {
    pub fn name(self) -> &'static str {
        match self {
            ZabState::Election => "election",
            ZabState::Discovery => "discovery",
            ZabState::Synchronization => "synchronization",
            ZabState::Broadcast => "broadcast",
        }
    }
}

/// What the disk's threads measure.
#[derive(Clone, Debug, Default)]
pub struct DiskTimes(Arc<Mutex<[AvgMinMax; 2]>>);

impl DiskTimes {
    pub fn add(&self, op: &DiskOp, took: Duration) {
        let which = match op {
            DiskOp::Sync => 0,
            DiskOp::Load => 1,
            _ => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[which].add(took.as_millis() as u64);
    }

    /// Syncs, and loads of the database.
    fn get(&self) -> [AvgMinMax; 2] {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }
}

#[derive(Debug, Default)]
pub struct Metrics {
    pub disk: DiskTimes,
    pub zab_state: ZabState,
    pub proposal_sizes: BufferStats,
    pub bytes_received: u64,
    counts: Counts,
    leads: bool,
    leads_since: Nanos,
    election_began: Option<Nanos>,
    election_time: AvgMinMax,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    looking: u64,
    diff: u64,
    snap: u64,
    commits: u64,
    proposals: u64,
    expired: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    /// Goes up and down.
    Gauge(i64),
    /// The same, as Java's `double`.
    Float(f64),
    Counter(u64),
    Summary(AvgMinMax),
}

impl Metrics {
    /// What the member wants done tells what it does.
    pub fn output(&mut self, now: Nanos, output: &Output) {
        match output {
            Output::Event(event) => self.event(now, event),
            // A leader appends what it proposes.
            Output::Disk { op: DiskOp::Append(entries), .. } if self.leads => {
                entries.iter().for_each(|entry| self.proposal_sizes.add(entry.txn.len()));
            }
            _ => {}
        }
    }

    fn event(&mut self, now: Nanos, event: &Event) {
        match event {
            Event::RoleChanged { role } => self.role_changed(now, *role),
            Event::ElectionStarted { .. } => self.election_began = Some(now),
            Event::ElectionDecided { .. } => {
                if let Some(began) = self.election_began.take() {
                    self.election_time.add(now.0.saturating_sub(began.0) / 1_000_000);
                }
            }
            Event::EpochAcked { .. } | Event::SyncStarted { .. } => {
                self.zab_state = ZabState::Synchronization;
            }
            Event::Established { .. } | Event::UpToDate { .. } => self.zab_state = ZabState::Broadcast,
            Event::SyncChosen { mode: SyncMode::Snap, .. } => self.counts.snap += 1,
            Event::SyncChosen { .. } => self.counts.diff += 1,
            Event::Proposed { .. } => self.counts.proposals += 1,
            Event::Committed { .. } => self.counts.commits += 1,
            Event::SessionExpired { .. } => self.counts.expired += 1,
            _ => {}
        }
    }

    fn role_changed(&mut self, now: Nanos, role: Role) {
        self.zab_state = if role == Role::Looking { ZabState::Election } else { ZabState::Discovery };
        self.counts.looking += u64::from(role == Role::Looking);
        self.leads = role == Role::Leading;
        if self.leads {
            (self.leads_since, self.proposal_sizes) = (now, BufferStats::default());
        }
    }

    /// `srst`
    pub fn reset(&mut self) {
        (self.counts, self.election_time) = (Counts::default(), AvgMinMax::default());
        (self.bytes_received, self.proposal_sizes) = (0, BufferStats::default());
        self.disk.reset();
    }
}

/// All, in ZooKeeper's order: what `dumpMonitorValues` tells, gauges, counters, summaries.
pub fn samples(view: &View<'_>) -> Vec<(&'static str, Value)> {
    let mut samples = vec![
        ("version", Value::Text(crate::version::zookeeper_version())),
        ("server_state", Value::Text(view.mode().into())),
        // Not ZooKeeper's.
        ("current_epoch", Value::Gauge(view.status.epoch.0)),
        ("last_zxid", Value::Text(view.status.last_zxid.to_string())),
    ];
    if !view.is_alone() {
        samples.push(("peer_state", Value::Text(peer_state(view))));
    }
    server_gauges(view, &mut samples);
    tree_gauges(view, &mut samples);
    leader_gauges(view, &mut samples);
    counters(view, &mut samples);
    let [fsync, load] = view.metrics.disk.get();
    let server = &view.peer.clients().server;
    samples.extend([
        ("fsynctime", Value::Summary(fsync)),
        ("dbinittime", Value::Summary(load)),
        ("election_time", Value::Summary(view.metrics.election_time)),
        ("readlatency", Value::Summary(server.read_latency)),
        ("updatelatency", Value::Summary(server.update_latency)),
    ]);
    samples
}

/// `QuorumPeer.getDetailedPeerState`
fn peer_state(view: &View<'_>) -> String {
    let role = match view.status.role {
        Role::Looking => "looking",
        Role::Following => "following",
        Role::Leading => "leading",
        Role::Observing => "observing",
        Role::Standalone => return "standalone".into(),
    };
    match view.metrics.zab_state {
        ZabState::Election => role.into(),
        state => format!("{role} - {}", state.name()),
    }
}

fn server_gauges(view: &View<'_>, samples: &mut Vec<(&'static str, Value)>) {
    let clients = view.peer.clients();
    let server = &clients.server;
    samples.extend([
        ("avg_latency", Value::Float(to_4_places(server.latency.avg()))),
        ("max_latency", Value::Gauge(server.latency.max() as i64)),
        ("min_latency", Value::Gauge(server.latency.min() as i64)),
        ("packets_received", Value::Gauge(server.packets_received as i64)),
        ("packets_sent", Value::Gauge(server.packets_sent as i64)),
        ("num_alive_connections", Value::Gauge(clients.cnxns().len() as i64)),
        ("outstanding_requests", Value::Gauge(view.outstanding() as i64)),
        ("uptime", Value::Gauge((view.now.mono.0 / 1_000_000) as i64)),
        ("last_client_response_size", Value::Gauge(server.responses.last)),
        ("max_client_response_size", Value::Gauge(server.responses.max)),
        ("min_client_response_size", Value::Gauge(server.responses.min)),
    ]);
    if let Some((open, limit)) = file_descriptors() {
        samples.push(("open_file_descriptor_count", Value::Gauge(open)));
        samples.push(("max_file_descriptor_count", Value::Gauge(limit)));
    }
}

fn tree_gauges(view: &View<'_>, samples: &mut Vec<(&'static str, Value)>) {
    samples.push(("znode_count", Value::Gauge(view.nodes() as i64)));
    let Some(server) = view.tree() else { return };
    let (tree, watches) = (&server.database().tree, server.watches());
    let ephemerals: usize = tree.sessions_with_ephemerals().map(|(_, paths)| paths.len()).sum();
    let watch_count = watches.data_table().len() + watches.child_table().len();
    samples.extend([
        ("watch_count", Value::Gauge(watch_count as i64)),
        ("ephemerals_count", Value::Gauge(ephemerals as i64)),
        ("approximate_data_size", Value::Gauge(tree.approximate_data_size() as i64)),
        ("global_sessions", Value::Gauge(server.database().sessions().len() as i64)),
    ]);
}

fn leader_gauges(view: &View<'_>, samples: &mut Vec<(&'static str, Value)>) {
    let Some(leader) = &view.status.leader else { return };
    let (metrics, gauge) = (&view.metrics, |count: usize| Value::Gauge(count as i64));
    let uptime = view.now.mono.0.saturating_sub(metrics.leads_since.0) / 1_000_000;
    samples.extend([
        ("learners", gauge(leader.learners)),
        ("synced_followers", gauge(leader.synced_followers)),
        ("synced_observers", gauge(leader.synced_observers)),
        ("pending_syncs", gauge(leader.pending_syncs)),
        ("leader_uptime", Value::Gauge(uptime as i64)),
        ("last_proposal_size", Value::Gauge(metrics.proposal_sizes.last)),
        ("max_proposal_size", Value::Gauge(metrics.proposal_sizes.max)),
        ("min_proposal_size", Value::Gauge(metrics.proposal_sizes.min)),
    ]);
}

fn counters(view: &View<'_>, samples: &mut Vec<(&'static str, Value)>) {
    let counts = &view.metrics.counts;
    samples.extend([
        ("looking_count", Value::Counter(counts.looking)),
        ("diff_count", Value::Counter(counts.diff)),
        ("snap_count", Value::Counter(counts.snap)),
        ("commit_count", Value::Counter(counts.commits)),
        ("proposal_count", Value::Counter(counts.proposals)),
        ("stale_sessions_expired", Value::Counter(counts.expired)),
        ("connection_request_count", Value::Counter(view.peer.clients().server.connection_requests)),
        ("bytes_received_count", Value::Counter(view.metrics.bytes_received)),
    ]);
    if let Some(server) = view.tree() {
        let mismatches = server.database().digest_mismatches();
        samples.push(("digest_mismatches_count", Value::Counter(mismatches)));
    }
}

/// As `AvgMinMaxCounter.getAvg` rounds.
pub fn to_4_places(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// How many are open, and the limit. `None` where the system has no `/proc`.
fn file_descriptors() -> Option<(i64, i64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some((open as i64, limit.split_whitespace().next()?.parse().unwrap_or(i64::MAX)))
}
