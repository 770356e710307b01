//! The log in an operator's words: role changes, elections, epochs, how learners are synchronised, and
//! connections with the reason of their end, at `info`; what goes on inside at `debug`; each transaction's
//! way at `trace`.

use std::collections::BTreeMap;

use peer::{CloseReason, ConnId, Event, Port, Role, SyncMode};
use wire::ServerId;

#[derive(Default)]
pub struct EventLog {
    /// Connections that we dialled, with whom.
    dialled: BTreeMap<ConnId, Dialled>,
}

struct Dialled {
    to: ServerId,
    port: Port,
    connected: bool,
}

fn name(port: Port) -> &'static str {
    match port {
        Port::Election => "election",
        Port::Quorum => "quorum",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Looking => "looking for a leader",
        Role::Following => "following",
        Role::Leading => "leading",
        Role::Observing => "observing",
        Role::Standalone => "serving alone",
    }
}

fn mode(mode: SyncMode) -> &'static str {
    match mode {
        SyncMode::EmptyDiff => "nothing (it is equal)",
        SyncMode::Diff => "DIFF",
        SyncMode::DiskDiff => "DIFF from the log on disk",
        SyncMode::Trunc => "TRUNC",
        SyncMode::TruncDiff => "TRUNC and DIFF",
        SyncMode::Snap => "SNAP, the whole state",
    }
}

impl EventLog {
    pub fn dialled(&mut self, conn: ConnId, to: ServerId, port: Port) {
        self.dialled.insert(conn, Dialled { to, port, connected: false });
    }

    pub fn connected(&mut self, conn: ConnId) {
        if let Some(dialled) = self.dialled.get_mut(&conn) {
            dialled.connected = true;
            tracing::debug!("connected to the {} port of {}", name(dialled.port), dialled.to);
        }
    }

    /// The other side, or the network, ended it.
    pub fn closed(&mut self, conn: ConnId, reason: CloseReason) {
        let reason = match reason {
            CloseReason::Eof => "it was closed by the other side",
            CloseReason::Reset => "it was reset",
            CloseReason::Refused => "it was refused",
            CloseReason::Unreachable => "nobody answered",
        };
        match self.dialled.get(&conn) {
            Some(Dialled { to, port, connected: true }) => {
                tracing::info!("connection to the {} port of {to} lost: {reason}", name(*port));
            }
            Some(Dialled { to, port, .. }) => {
                tracing::debug!("no connection to the {} port of {to}: {reason}", name(*port));
            }
            None => tracing::debug!(conn = conn.0, "an accepted connection ended: {reason}"),
        }
    }

    /// It is gone, by whomever.
    pub fn forget(&mut self, conn: ConnId) {
        self.dialled.remove(&conn);
    }

    pub fn event(&mut self, event: &Event) {
        use tracing::{debug, info, trace, warn};
        match event {
            Event::Loaded { last_zxid, snapshot, accepted_epoch, current_epoch } => info!(
                "loaded: last zxid {last_zxid}, snapshot {snapshot}, acceptedEpoch {accepted_epoch}, \
                 currentEpoch {current_epoch}"
            ),
            Event::FastForwarded { last_zxid, transactions, accepted_epoch, current_epoch, .. } => info!(
                "memory goes on: {transactions} transactions read from the log, last zxid {last_zxid}, \
                 acceptedEpoch {accepted_epoch}, currentEpoch {current_epoch}"
            ),
            Event::RoleChanged { role: new } => info!("{}", role(*new)),
            Event::RoleLeft { role: old, reason } => info!("no more {}: {reason}", role(*old)),
            Event::ElectionStarted { round } => info!("election: round {round} begins"),
            Event::ElectionDecided { leader, zxid, epoch, round } => info!(
                "election: {leader} is elected in round {round} with zxid {zxid} of epoch {epoch}: a quorum \
                 votes for it, nobody better was heard of"
            ),
            Event::EpochProposed { epoch } => {
                info!("epoch {epoch} is proposed: a quorum told its accepted epochs");
            }
            Event::EpochAcked { epoch } => info!("epoch {epoch} is acknowledged by a quorum"),
            Event::LearnerAhead { learner, epoch, zxid } => {
                warn!("learner {learner} is ahead of this leader: epoch {epoch}, zxid {zxid}");
            }
            Event::SyncChosen { learner, mode: how, peer_last_zxid, zxid } => {
                info!("learner {learner} at {peer_last_zxid} is brought to {zxid} by {}", mode(*how));
            }
            Event::NewLeaderAcked { epoch, by } => info!("{by} acknowledged NEWLEADER of epoch {epoch}"),
            Event::Established { epoch } => {
                info!("epoch {epoch} is established: a quorum is synchronised");
            }
            Event::ConnectedToLeader { leader } => info!("connected to leader {leader}"),
            Event::SyncStarted { mode: how, zxid } => {
                info!("the leader synchronises us to {zxid} by {}", mode(*how));
            }
            Event::ConfigSeen { version, .. } => info!("configuration {version} is proposed"),
            Event::ConfigActivated { version, .. } => info!("configuration {version} is active"),
            Event::UpToDate { epoch } => info!("up to date in epoch {epoch}"),
            Event::SnapshotTaken { zxid } => info!("snapshot taken at {zxid}"),
            Event::Warning { what } | Event::Exception { what } => warn!("{what}"),
            Event::ConnectionDropped { with: Some(with), reason } => {
                warn!("connection with {with} ended: {reason}");
            }
            Event::ConnectionDropped { with: None, reason } => warn!("connection ended: {reason}"),
            Event::Proposed { .. }
            | Event::AckCounted { .. }
            | Event::Committed { .. }
            | Event::AckSent { .. }
            | Event::Logged { .. }
            | Event::Delivered { .. } => trace!(?event),
            event => debug!(?event),
        }
    }
}
