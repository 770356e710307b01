//! `View`: what a node knows about itself, for whoever asks: four-letter words, admin commands, metrics. A
//! question is a function that is carried out by the host's loop, between two inputs.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peer::{CnxnStats, ConnId, Now, Peer, Role, State};
use server::ZooKeeperServer;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use wire::SessionId;

use crate::host::Happened;
use crate::metrics::Metrics;
use crate::packet_trace::PacketTrace;
use crate::zoo_cfg::ZooCfg;

pub type Question = Box<dyn FnOnce(&mut View<'_>) + Send>;

pub struct View<'a> {
    pub peer: &'a mut Peer<State>,
    pub status: peer::Status,
    pub now: Now,
    pub conf: Arc<Conf>,
    /// Addresses of the clients' connections.
    pub remotes: &'a BTreeMap<ConnId, SocketAddr>,
    pub metrics: &'a mut Metrics,
    pub packets: &'a mut PacketTrace,
}

/// What the configuration files said.
#[derive(Clone, Debug)]
pub struct Conf {
    pub cfg: ZooCfg,
    /// The file as it was at the start.
    pub initial: String,
}

/// What the directories hold. Read outside the host's loop.
#[derive(Clone, Debug, Default)]
pub struct Dirs {
    /// Bytes in the files.
    pub snap_size: u64,
    pub log_size: u64,
    /// Zxid and time, in milliseconds since 1970, of the latest snapshot.
    pub last_snapshot: Option<(u64, u64)>,
}

impl Conf {
    pub fn new(cfg: &ZooCfg) -> Arc<Conf> {
        let initial = fs::read_to_string(&cfg.path).unwrap_or_default();
        Arc::new(Conf { cfg: cfg.clone(), initial })
    }

    pub fn dirs(&self) -> Dirs {
        let (snaps, logs) = (self.cfg.snap_dir(), self.cfg.log_dir());
        Dirs { snap_size: size(&snaps), log_size: size(&logs), last_snapshot: last_snapshot(&snaps) }
    }
}

pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// There are no directories in it.
fn size(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|meta| meta.len()).sum()
}

fn last_snapshot(dir: &Path) -> Option<(u64, u64)> {
    let entries = fs::read_dir(dir).ok()?.filter_map(Result::ok);
    let snapshots = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let zxid = name.strip_prefix("snapshot.")?.split('.').next()?;
        let at = entry.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((u64::from_str_radix(zxid, 16).ok()?, at.as_millis() as u64))
    });
    snapshots.max()
}

impl View<'_> {
    pub fn mode(&self) -> &'static str {
        match self.status.role {
            Role::Looking => "looking",
            Role::Following => "follower",
            Role::Leading => "leader",
            Role::Observing => "observer",
            Role::Standalone => "standalone",
        }
    }

    /// With `--submit` there is no tree.
    pub fn tree(&self) -> Option<&ZooKeeperServer> {
        self.peer.state().tree()
    }

    /// It is no member of an ensemble.
    pub fn is_alone(&self) -> bool {
        self.conf.cfg.is_standalone()
    }

    pub fn nodes(&self) -> usize {
        self.peer.state().node_count()
    }

    /// Connections of clients with their addresses.
    pub fn connections(&self) -> impl Iterator<Item = (SocketAddr, &CnxnStats)> {
        let clients = self.peer.clients().cnxns();
        clients.filter_map(|(conn, stats)| Some((*self.remotes.get(&conn)?, stats)))
    }

    /// The session that a client of a watch has.
    pub fn session_of(&self, client: peer::ClientId) -> SessionId {
        self.peer.clients().cnxn(ConnId(client.0)).map_or(SessionId(0), |stats| stats.session)
    }

    /// Requests under way: of clients here, and of all that are proposed where this member leads.
    pub fn outstanding(&self) -> usize {
        let here = self.peer.clients().cnxns().map(|(_, stats)| stats.outstanding()).sum();
        self.status.leader.map_or(0, |leader| leader.outstanding).max(here)
    }

    /// As `java.util.Date` would have it: when `mono` of the host's clock was or will be.
    pub fn wall_ms(&self, mono: peer::Nanos) -> i64 {
        self.now.wall_ms + (mono.0 as i64 - self.now.mono.0 as i64) / 1_000_000
    }
}

/// Asks the host's loop; `None` where it has ended.
pub async fn ask<T: Send + 'static>(
    happened: &UnboundedSender<Happened>,
    question: impl FnOnce(&mut View<'_>) -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let question: Question = Box::new(move |view| {
        let _ = answer.send(question(view));
    });
    happened.send(Happened::Asked(question)).ok()?;
    answered.await.ok()
}
