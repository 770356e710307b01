//! Discovery, the learner's side: connect, FOLLOWERINFO, LEADERINFO, ACKEPOCH.
//!
//! | LEADERINFO's epoch | answer |
//! |---|---|
//! | above acceptedEpoch | write it durably, then ACKEPOCH with currentEpoch |
//! | equal | ACKEPOCH with -1: this promise was given before, it must not count twice |
//! | below | the leader is refused |

use wire::{Epoch, LearnerInfo, Packet};

use super::{Learner, Phase};
use crate::config::Settings;
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskOp, EpochFile, OpId};
use crate::event::Event;
use crate::io::{CloseReason, ConnId, Port};
use crate::state_machine::StateMachine;
use crate::time::Nanos;

/// Protocol version of a leader and a learner since 1.0.
pub const PROTOCOL_VERSION: i32 = 0x10000;

fn knows_pre_1_0(settings: &Settings) -> bool {
    settings.allow_pre_1_0 || settings.learner_protocol < PROTOCOL_VERSION
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
            (ctx.epochs.accepted.first_zxid(), LearnerInfo::V35 { sid, protocol, config_version: 0 })
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
        let settings = &ctx.io.config.settings;
        if let Phase::Connecting { conn, tries, retry_at, .. } = &mut self.phase
            && *conn == Some(closed)
        {
            *conn = None;
            if *tries >= settings.connect_tries {
                return Err(Leave::LostLeader(format!("no connection after {tries} tries")));
            }
            *retry_at = ctx.io.now.mono + settings.connect_retry_delay;
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
        let last_zxid = self.last_zxid;
        self.say(&Packet::AckEpoch { last_zxid, current_epoch });
        ctx.io.event(Event::AckEpochSent { epoch, last_zxid });
        self.phase = Phase::AwaitingSync { epoch };
    }
}
