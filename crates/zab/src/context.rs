//! `Ctx`: what a machine may touch while it handles one input. Built by the peer for each call.

use bytes::Bytes;
use wire::{Epoch, ServerId};

use crate::config::{Config, Epochs};
use crate::database::ZkDatabase;
use crate::disk::{DiskOp, LogTail, OpId};
use crate::ensemble::Ensemble;
use crate::event::{Event, txn_digest};
use crate::io::{ClientOutput, ConnId, Outbox, Output, Port, Task};
use crate::state_machine::StateMachine;
use crate::time::Now;

/// Numbers for connections that we dial and for disk operations, and the generation of the role.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub next_conn: u64,
    pub next_op: u64,
    /// Counts roles: raised whenever a role is entered or left.
    pub generation: u32,
    /// Disk operations that were asked for and have not been answered. A role is left, and the next
    /// vote cast, only when there are none.
    pub ops_in_flight: u32,
}

/// The part of the context that does not know the state machine; elections need no more.
pub struct Io<'a> {
    pub now: Now,
    pub out: &'a mut Outbox,
    pub ids: &'a mut Ids,
    pub config: &'a Config,
    pub ensemble: &'a mut Ensemble,
}

impl Io<'_> {
    pub fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
    /// Of a transaction, for an event; 0 where nobody compares them.
    pub fn txn_digest(&self, txn: &[u8]) -> u64 {
        if self.config.settings.event_digests { txn_digest(txn) } else { 0 }
    }
    pub fn mark(&mut self, mark: &'static str) {
        self.event(Event::Mark { mark });
    }
    pub fn warn(&mut self, what: impl Into<String>) {
        self.event(Event::Warning { what: what.into() });
    }
    pub fn connect(&mut self, to: ServerId, port: Port) -> ConnId {
        self.ids.next_conn += 1;
        let conn = ConnId(self.ids.next_conn);
        self.out.push(Output::Connect { conn, to, port });
        conn
    }
    pub fn send(&mut self, conn: ConnId, bytes: Bytes) {
        self.out.push(Output::Send { conn, bytes, notify: false });
    }
    pub fn send_notify(&mut self, conn: ConnId, bytes: Bytes) {
        self.out.push(Output::Send { conn, bytes, notify: true });
    }
    /// Read a client's connection, or stop reading it.
    pub fn reading(&mut self, conn: ConnId, on: bool) {
        self.out.push(Output::Reading { conn, on });
    }
    /// Close without a reason worth telling.
    pub fn close(&mut self, conn: ConnId) {
        self.out.push(Output::Close { conn });
    }
    /// Close and tell why.
    pub fn drop_connection(&mut self, conn: ConnId, with: Option<ServerId>, reason: impl Into<String>) {
        self.event(Event::ConnectionDropped { with, reason: reason.into() });
        self.close(conn);
    }
    pub fn schedule(&mut self, task: Task) {
        self.out.push(Output::Schedule(task));
    }
    pub fn client(&mut self, output: ClientOutput) {
        self.out.push(Output::Client(output));
    }
    /// Ask the disk. The answer carries the id; silent operations need none.
    pub fn disk(&mut self, op: DiskOp) -> OpId {
        self.ids.next_op += 1;
        let id = OpId { generation: self.ids.generation, seq: self.ids.next_op };
        if op.answers() {
            self.ids.ops_in_flight += 1;
        }
        self.out.push(Output::Disk { id, op });
        id
    }
    pub fn sid(&self) -> ServerId {
        self.config.sid
    }
    /// What this member's hello to a leader states. A leader may go by its files alone and take nobody with a later one.
    pub fn config_version(&self) -> i64 {
        let own = &self.config.view;
        if self.config.settings.reconfig_enabled { self.ensemble.active().version.0 } else { own.version.0 }
    }
    /// Requests of its clients that this member works on before it stops reading those who wait for one: its
    /// share of the ensemble's (`LeaderZooKeeperServer.getGlobalOutstandingLimit`).
    pub fn outstanding_limit(&self) -> usize {
        let others = self.ensemble.active().voters().count().saturating_sub(1);
        self.config.settings.global_outstanding_limit / others.max(1)
    }
}

/// The whole context of a role (Leader, Learner).
pub struct Ctx<'a, S> {
    pub io: Io<'a>,
    pub db: &'a mut ZkDatabase<S>,
    /// As durable on disk; a machine changes its field only on the completion of the write.
    pub epochs: &'a mut Epochs,
}

impl<S: StateMachine> Ctx<'_, S> {
    /// The answer of a `FastForward`: memory goes on.
    pub fn fast_forward(&mut self, tail: &LogTail) {
        self.db.fast_forward(tail);
        if !tail.log.is_empty() {
            self.io.mark("memory: the log had more");
        }
        self.io.event(Event::FastForwarded {
            last_zxid: self.db.last_processed,
            transactions: tail.log.len() as u32,
            accepted_epoch: tail.accepted_epoch,
            current_epoch: tail.current_epoch,
            tree: self.db.state.digest(),
        });
    }
    /// What was loaded, or came as a snapshot, has another server's configuration, or none.
    /// A configuration that the history has and no file, as another wrote it or this member did not reconfigure then. It
    /// counts like one that was proposed; so does what is committed, until somebody says so. Gives why this member must
    /// stop. To be asked before `init_config`.
    pub fn learn_config_of_history(&mut self) -> Option<String> {
        let view = crate::config_text::parse_config_text(&self.db.state.config()?).ok()?;
        if self.io.config.settings.reconfig_enabled {
            if self.io.ensemble.see(&view) {
                self.io.event(Event::config_seen(&view));
            }
            return None;
        }
        let refusal = self.io.ensemble.refusal(&view);
        if refusal.is_none() {
            self.io.ensemble.activate(&view, None, None);
        }
        refusal
    }

    pub fn init_config(&mut self) {
        let config = self.io.config;
        // A server that is alone has none.
        let view = (!config.settings.standalone).then_some(self.io.ensemble.active());
        self.db.state.init_config(view, self.io.now.wall_ms);
    }
}

/// Why a role ends. The peer shuts the role down and looks for a leader again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Leave {
    #[error("{0}")]
    Because(String),
    /// The disk failed: the member stops.
    #[error("disk failed: {0}")]
    Disk(crate::disk::DiskError),
    #[error("lost the connection to the leader: {0}")]
    LostLeader(String),
    #[error("epoch {got} is below the accepted epoch {accepted}")]
    LowerEpoch { got: Epoch, accepted: Epoch },
    /// A reconfiguration makes this member's role, or its leader, another. `leader`: who leads from now on, where the commit
    /// said so; nobody is elected then.
    #[error("reconfigured: {why}")]
    Reconfigured { why: String, leader: Option<ServerId> },
    /// The ensemble goes by a configuration that this member must not go by, or cannot read: it stops.
    #[error("{0}")]
    RefusedConfig(String),
    #[error("zxid counter rolled over, forcing an election")]
    RollOver,
}

pub type RoleResult = Result<(), Leave>;
