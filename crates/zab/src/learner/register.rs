//! Discovery, the learner's side: connect, FOLLOWERINFO, LEADERINFO, ACKEPOCH.
//!
//! | LEADERINFO's epoch | answer |
//! |---|---|
//! | above acceptedEpoch | write it durably, then ACKEPOCH with currentEpoch |
//! | equal | ACKEPOCH with -1: this promise was given before, it must not count twice |
//! | below | the leader is refused |
//!
//! **After a TRUNC that the disk cannot carry out** (no record has its zxid, or no snapshot is old enough)
//! Java ends its process, and comes to the same TRUNC again and again until the leader has written in its
//! epoch. Ours registers once more with the same leader and, where the epoch is equal, states -1 as its
//! last zxid: no history holds it, so every leader answers SNAP.
//!
//! Nothing is lost by that. What a learner states is what a leader judges its own history by, but an
//! ACKEPOCH with epoch -1 is neither compared nor counted (`waitForEpochAck`). The leader that sent TRUNC
//! has its quorum: of promises that stated true zxids, ours perhaps among them, given before. None of them
//! had a better history, so what is committed is in the leader's. Votes state the true zxid always, and so does ACKEPOCH for an epoch
//! that was not accepted before. The history on disk stays until the snapshot is durable and currentEpoch
//! says so, as with any SNAP, and NEWLEADER is acknowledged afterwards.

use wire::{Direction, Epoch, LearnerInfo, Packet, QuorumStream, Zxid};

use super::{Learner, Phase};
use crate::config::{Config, Settings};
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskOp, EpochFile, OpId};
use crate::event::Event;
use crate::io::{CloseReason, ConnId, Port};
use crate::state_machine::StateMachine;
use crate::switches::Switch;
use crate::time::Nanos;

/// Protocol version of a leader and a learner since 1.0.
pub const PROTOCOL_VERSION: i32 = 0x10000;

fn knows_pre_1_0(settings: &Settings) -> bool {
    settings.allow_pre_1_0 || settings.learner_protocol < PROTOCOL_VERSION
}

/// After so many dials that were refused; `None`: no more. A follower decides a moment before its leader does, who
/// does not listen yet: Java's fixed wait is then the longest part of a fail-over behind `finalizeWait`.
fn wait_before_retry(config: &Config, tries: u32) -> Option<Nanos> {
    let (settings, slow) = (&config.settings, config.switches.slow_as_released());
    let last = settings.connect_retry_delay;
    let first = if slow { last } else { settings.connect_first_retry };
    let sooner = std::iter::successors(Some(first), |wait| Some(*wait + *wait));
    let sooner = sooner.take_while(|wait| *wait > Nanos::ZERO && *wait < last);
    let waits = sooner.chain(std::iter::repeat_n(last, settings.connect_tries.saturating_sub(1) as usize));
    waits.into_iter().nth(tries.checked_sub(1)? as usize)
}

impl<S: StateMachine> Learner<S> {
    pub(super) fn connect(&mut self, ctx: &mut Ctx<'_, S>) {
        let dial = ctx.io.connect(self.leader, Port::Quorum);
        if let Phase::Connecting { conn, tries, retry_at, .. } = &mut self.phase {
            *conn = Some(dial);
            *tries += 1;
            *retry_at = Nanos::NEVER;
        }
    }

    /// TRUNC cannot be carried out and has changed nothing: the same leader again, over a new connection.
    pub(super) fn register_again(&mut self, ctx: &mut Ctx<'_, S>, why: String) {
        ctx.io.mark("learner: cannot truncate");
        self.cannot_truncate = true;
        if let Some(conn) = self.conn.take() {
            ctx.io.drop_connection(conn, Some(self.leader), why);
        }
        let settings = &ctx.io.config.settings;
        self.stream = QuorumStream::with_limit(Direction::ToLearner, settings.max_record());
        self.out.clear();
        let now = ctx.io.now.mono;
        self.phase =
            Phase::Connecting { conn: None, tries: 0, retry_at: now, give_up: now + settings.init_time() };
        self.connect(ctx);
    }

    pub(super) fn on_connected(&mut self, ctx: &mut Ctx<'_, S>, dialled: ConnId) -> RoleResult {
        let Phase::Connecting { conn: Some(conn), .. } = self.phase else { return Ok(()) };
        if conn != dialled {
            return Ok(());
        }
        self.conn = Some(conn);
        self.phase = Phase::Registering;
        self.read_deadline = ctx.io.now.mono + self.read_timeout;
        ctx.io.event(Event::ConnectedToLeader { leader: self.leader });
        let (sid, protocol) = (ctx.io.sid(), ctx.io.config.settings.learner_protocol);
        let (accepted, info) = if protocol < PROTOCOL_VERSION {
            // Before 1.0 the hello carried the last zxid.
            (self.last_zxid, LearnerInfo::V34 { sid, protocol })
        } else {
            (
                ctx.epochs.accepted.first_zxid(),
                LearnerInfo::V35 { sid, protocol, config_version: ctx.io.config_version() },
            )
        };
        let hello = if self.observer {
            Packet::ObserverInfo { accepted, info }
        } else {
            Packet::FollowerInfo { accepted, info }
        };
        self.say(&hello);
        Ok(())
    }

    pub(super) fn on_closed(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        closed: ConnId,
        reason: CloseReason,
    ) -> RoleResult {
        if self.conn == Some(closed) {
            self.conn = None;
            return Err(Leave::LostLeader(format!("connection closed ({reason:?})")));
        }
        if let Phase::Connecting { conn, tries, retry_at, .. } = &mut self.phase
            && *conn == Some(closed)
        {
            *conn = None;
            let Some(wait) = wait_before_retry(ctx.io.config, *tries) else {
                return Err(Leave::LostLeader(format!("no connection after {tries} tries")));
            };
            *retry_at = ctx.io.now.mono + wait;
        }
        Ok(())
    }

    pub(super) fn on_connect_deadline(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        let Phase::Connecting { conn, retry_at, give_up, .. } = self.phase else { return Ok(()) };
        let now = ctx.io.now.mono;
        if give_up <= now {
            return Err(Leave::LostLeader("no connection within initLimit".into()));
        }
        if conn.is_none() && retry_at <= now {
            self.connect(ctx);
        }
        Ok(())
    }

    pub(super) fn on_leader_info(&mut self, ctx: &mut Ctx<'_, S>, packet: &Packet) -> RoleResult {
        match packet {
            Packet::LeaderInfo { zxid, protocol } => {
                if *protocol < PROTOCOL_VERSION {
                    return Err(Self::out_of_phase(packet, "protocol version 0x10000 or above"));
                }
                self.accept_epoch(ctx, zxid.epoch())
            }
            Packet::NewLeader { zxid, .. } if knows_pre_1_0(&ctx.io.config.settings) => {
                ctx.io.mark("learner: leader of before 1.0");
                self.pre_1_0 = true;
                let epoch = zxid.epoch();
                let accepted = ctx.epochs.accepted;
                if epoch < accepted {
                    return Err(Leave::LowerEpoch { got: epoch, accepted });
                }
                let op = ctx.io.disk(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, epoch));
                self.phase = Phase::AcceptingEpochPre1 { op, epoch };
                Ok(())
            }
            packet => Err(Self::out_of_phase(packet, "LEADERINFO")),
        }
    }

    fn accept_epoch(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch) -> RoleResult {
        let accepted = ctx.epochs.accepted;
        if epoch > accepted {
            let op = ctx.io.disk(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, epoch));
            if ctx.io.config.switches.has(Switch::EpochMemoryFirst) {
                ctx.epochs.accepted = epoch;
            }
            self.phase = Phase::AcceptingEpoch { op, epoch, reply: ctx.epochs.current };
            Ok(())
        } else if epoch == accepted {
            ctx.io.mark("learner: epoch accepted before");
            self.ack_epoch(ctx, epoch, Epoch::NONE);
            Ok(())
        } else {
            Err(Leave::LowerEpoch { got: epoch, accepted })
        }
    }

    /// acceptedEpoch is durable.
    pub(super) fn on_epoch_accepted(&mut self, ctx: &mut Ctx<'_, S>, done: OpId) {
        match self.phase {
            Phase::AcceptingEpoch { op, epoch, reply } if op == done => {
                ctx.epochs.accepted = epoch;
                self.ack_epoch(ctx, epoch, reply);
            }
            Phase::AcceptingEpochPre1 { op, epoch } if op == done => {
                ctx.epochs.accepted = epoch;
                self.phase = Phase::AwaitingSync { epoch };
            }
            _ => {}
        }
    }

    fn ack_epoch(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch, current_epoch: Epoch) {
        // Epoch -1: not counted, so the zxid decides nothing but how we are synchronised.
        self.asks_for_snapshot = self.cannot_truncate && current_epoch == Epoch::NONE;
        let last_zxid = if self.asks_for_snapshot { Zxid::NONE } else { self.last_zxid };
        self.say(&Packet::AckEpoch { last_zxid, current_epoch });
        ctx.io.event(Event::AckEpochSent { epoch, last_zxid });
        self.phase = Phase::AwaitingSync { epoch };
    }
}
