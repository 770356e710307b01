//! Discovery, the leader's side: three gates, each a quorum of voters that this leader counts
//! (`getEpochToPropose`, `waitForEpochAck`, `waitForNewLeaderAck`). Observers never count
//! (ZOOKEEPER-2959).
//!
//! **Epochs are not to be burnt.** Java proposes one above the largest accepted epoch that any hello states;
//! a single one that states 0x7ffffffe leads the ensemble to its last epoch, behind which zxids are
//! negative. A member that did accept such an epoch must indeed refuse a lower one, so its hello cannot
//! simply be dropped: with its like it may be the quorum. Ours climbs by at most `MAX_EPOCH_STEP` an attempt:
//!
//! * It is safe. Whatever is proposed is above what this leader accepted itself, and the gate that counts
//!   is the next one: each of a quorum accepts an epoch above all that it accepted before, or refuses.
//! * It goes on. Members whose epochs lie further above refuse this attempt; where they are needed for a
//!   quorum it fails, and the next begins a step higher, until they are reached.
//! * A hello costs at most one step of 2^20, of 2^31 epochs there are. An established leader does not yield
//!   to an epoch that its successor could not reach with one step either, so a member with a damaged
//!   epoch file stays outside (as a ZooKeeper leader would leave it) and disturbs nobody.
//!
//! Honest epochs are as far apart as attempts to lead have failed in a row without this member.

use std::collections::BTreeSet;

use wire::{Epoch, LearnerInfo, Packet, ServerId, Zxid};

use super::learner_handler::Phase as H;
use super::session_tracker::SessionTracker;
use super::{Leader, Phase, StateSummary};
use crate::context::{Ctx, Io, Leave, RoleResult};
use crate::disk::{DiskDone, DiskOp, EpochFile};
use crate::event::Event;
use crate::io::ConnId;
use crate::learner::PROTOCOL_VERSION;
use crate::quorum_verifier::QuorumVerifier;
use crate::state_machine::StateMachine;
use crate::switches::Switch;

/// How far above its own accepted epoch a leader proposes at most.
const MAX_EPOCH_STEP: i64 = 1 << 20;

/// More proposals than this are not under way to a learner that synchronises.
const MAX_EARLY_ACKS: usize = 100_000;

impl<S: StateMachine> Leader<S> {
    pub(super) fn on_hello(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        conn: ConnId,
        participant: bool,
        accepted: Zxid,
        info: &LearnerInfo,
    ) -> RoleResult {
        if info.config_version() > ctx.io.ensemble.latest().version.0 {
            self.drop_learner(ctx, conn, "a later configuration than the leader's".into());
            return Ok(());
        }
        let pre_1_0 = info.protocol() < PROTOCOL_VERSION;
        if pre_1_0 && !ctx.io.config.settings.allow_pre_1_0 {
            self.drop_learner(ctx, conn, "protocol version below 0x10000".into());
            return Ok(());
        }
        if accepted.epoch().0 >= i64::from(i32::MAX) {
            self.drop_learner(ctx, conn, format!("no epoch is above the accepted {}", accepted.epoch()));
            return Ok(());
        }
        let sid = info.sid().unwrap_or_else(|| {
            self.followers_without_id -= 1;
            ServerId(self.followers_without_id)
        });
        if sid == ctx.io.sid() || sid == ServerId::NONE {
            self.drop_learner(ctx, conn, format!("sid {sid} is no learner's"));
            return Ok(());
        }
        let older = self.handlers.values().find(|h| h.sid == sid && h.conn != conn).map(|h| h.conn);
        if let Some(older) = older {
            self.drop_learner(ctx, older, format!("learner {sid} connected again"));
        }
        let Some(handler) = self.handlers.get_mut(&conn) else { return Ok(()) };
        handler.sid = sid;
        handler.participant = participant;
        handler.pre_1_0 = pre_1_0;
        handler.phase = H::AwaitingEpoch;
        let settings = &ctx.io.config.settings;
        handler.stream.set_limit(settings.max_record());
        handler.read_deadline = ctx.io.now.mono + settings.init_time();
        handler.tick_of_next_ack_deadline =
            self.tick + u64::from(settings.init_limit) + u64::from(settings.sync_limit);
        if pre_1_0 {
            // It knows no ACKEPOCH: its hello is taken for one when the epoch is proposed.
            ctx.io.mark("leader: learner of before 1.0");
            handler.early_acks.push(accepted);
        }
        match self.phase {
            Phase::Discovery { .. } => self.count_accepted_epoch(ctx, sid, accepted.epoch()),
            Phase::AcceptingEpoch { .. } => {}
            Phase::AwaitingEpochAcks { epoch, .. }
            | Phase::WritingCurrentEpoch { epoch, .. }
            | Phase::AwaitingNewLeaderAcks { epoch, .. }
            | Phase::Established { epoch } => {
                self.yield_to_accepted(ctx, sid, epoch, accepted.epoch())?;
                self.send_leader_info(ctx, conn, epoch);
            }
        }
        Ok(())
    }

    /// A member that accepted a later epoch (of a leader that never came to lead) must refuse this one,
    /// again and again. Only a new election, with a later epoch, takes it in.
    fn yield_to_accepted(
        &self,
        ctx: &mut Ctx<'_, S>,
        sid: ServerId,
        epoch: Epoch,
        accepted: Epoch,
    ) -> RoleResult {
        let config = ctx.io.config;
        if accepted <= epoch
            || !ctx.io.ensemble.is_member(sid)
            || config.switches.has(Switch::IgnoreHigherAcceptedEpoch)
        {
            return Ok(());
        }
        if accepted.0 >= epoch.0 + MAX_EPOCH_STEP {
            ctx.io
                .warn(format!("{sid} states the accepted epoch {accepted}: out of reach, it stays outside"));
            return Ok(());
        }
        ctx.io.mark("leader: a member has accepted a later epoch");
        Err(Leave::Because(format!("{sid} has accepted epoch {accepted}, epoch {epoch} cannot take it in")))
    }

    /// `getEpochToPropose`. The largest accepted epoch counts from anybody, the quorum from voters.
    pub(super) fn count_accepted_epoch(&mut self, ctx: &mut Ctx<'_, S>, sid: ServerId, accepted: Epoch) {
        let Phase::Discovery { .. } = self.phase else { return };
        let highest = Epoch(ctx.epochs.accepted.0 + MAX_EPOCH_STEP);
        if accepted >= highest {
            ctx.io.mark("leader: an accepted epoch out of reach");
        }
        self.next_epoch = self.next_epoch.max(accepted.next().min(highest));
        let config = ctx.io.config;
        insert_member(&ctx.io, &mut self.connecting, sid);
        if self.connecting.contains(&config.sid) && is_quorum(&ctx.io, &self.connecting) {
            let epoch = self.next_epoch;
            let op = ctx.io.disk(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, epoch));
            if ctx.io.config.switches.has(Switch::EpochMemoryFirst) {
                ctx.epochs.accepted = epoch;
            }
            self.phase = Phase::AcceptingEpoch { op, epoch };
            // Right: durable first, told afterwards. Wrong (ZOOKEEPER-1291): told while it is written.
            if config.switches.has(Switch::LeaderAcceptsEpochLate) {
                self.accepting_late = Some(op);
                self.propose_epoch(ctx, epoch);
            }
        }
    }

    /// One of the leader's own epoch files is durable.
    pub(super) fn on_epoch_written(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> RoleResult {
        if let Err(error) = &done.result {
            // Wrong: an exception of this attempt, and the epoch in memory stays.
            let accepting = matches!(self.phase, Phase::AcceptingEpoch { op, .. } if op == done.id);
            return Err(if accepting && ctx.io.config.switches.has(Switch::EpochMemoryFirst) {
                Leave::Because(format!("acceptedEpoch is not written: {error}"))
            } else {
                Leave::Disk(error.clone())
            });
        }
        let deadline = ctx.io.now.mono + ctx.io.config.settings.init_time();
        if self.accepting_late == Some(done.id) {
            self.accepting_late = None;
            ctx.epochs.accepted = self.next_epoch;
            self.write_current_epoch(ctx);
            return Ok(());
        }
        if self.keeping_config == Some(done.id) {
            self.keeping_config = None;
            self.write_current_epoch(ctx);
            return Ok(());
        }
        match self.phase {
            Phase::AcceptingEpoch { op, epoch } if op == done.id => {
                ctx.epochs.accepted = epoch;
                self.propose_epoch(ctx, epoch);
                Ok(())
            }
            Phase::WritingCurrentEpoch { op, epoch } if op == Some(done.id) => {
                ctx.epochs.current = epoch;
                self.phase = Phase::AwaitingNewLeaderAcks { epoch, deadline };
                let waiting: Vec<(ConnId, Zxid)> = self
                    .handlers
                    .values()
                    .filter_map(|h| match h.phase {
                        H::AwaitingEpochQuorum { peer_last_zxid } => Some((h.conn, peer_last_zxid)),
                        _ => None,
                    })
                    .collect();
                for (conn, peer_last_zxid) in waiting {
                    self.synchronise(ctx, conn, peer_last_zxid);
                }
                self.count_new_leader_ack(ctx, ctx.io.config.sid);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn propose_epoch(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch) {
        let deadline = ctx.io.now.mono + ctx.io.config.settings.init_time();
        self.phase = Phase::AwaitingEpochAcks { epoch, deadline };
        ctx.io.event(Event::EpochProposed { epoch });
        self.version_config(ctx, epoch);
        // Right: the last zxid moves to the epoch when it is established. Wrong (ZOOKEEPER-790): now.
        if ctx.io.config.switches.has(Switch::ZxidRaisedBeforeEstablished) {
            ctx.db.last_processed = epoch.first_zxid();
        }
        let waiting: Vec<ConnId> =
            self.handlers.values().filter(|h| matches!(h.phase, H::AwaitingEpoch)).map(|h| h.conn).collect();
        for conn in waiting {
            self.send_leader_info(ctx, conn, epoch);
        }
        self.count_epoch_ack(ctx, ctx.io.config.sid);
    }

    fn send_leader_info(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, epoch: Epoch) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        if handler.pre_1_0 {
            // `StateSummary(epoch(zxid), zxid)` from its hello stands for ACKEPOCH.
            let zxid = handler.early_acks.pop().unwrap_or(Zxid::ZERO);
            handler.phase = H::AwaitingAckEpoch;
            return self.on_ack_epoch(ctx, conn, zxid, zxid.epoch());
        }
        handler.phase = H::AwaitingAckEpoch;
        let to = handler.sid;
        handler
            .queue(&mut ctx.io, &Packet::LeaderInfo { zxid: epoch.first_zxid(), protocol: PROTOCOL_VERSION });
        ctx.io.event(Event::LeaderInfoSent { epoch, to });
    }

    /// `waitForEpochAck`: a learner with a better history than the leader's is refused; it must win
    /// the next election. Epoch -1 ("accepted before") and zxid -1 (an emptied disk) do not count.
    pub(super) fn on_ack_epoch(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        conn: ConnId,
        last_zxid: Zxid,
        current_epoch: Epoch,
    ) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        let sid = handler.sid;
        handler.phase = H::AwaitingEpochQuorum { peer_last_zxid: last_zxid };
        match self.phase {
            Phase::AwaitingEpochAcks { .. } => {
                if current_epoch != Epoch::NONE {
                    let theirs = StateSummary { current_epoch, last_zxid };
                    if theirs > self.summary {
                        ctx.io.event(Event::LearnerAhead {
                            learner: sid,
                            epoch: current_epoch,
                            zxid: last_zxid,
                        });
                        self.give_way(ctx, sid);
                        return self.drop_learner(ctx, conn, "learner is ahead of the leader".into());
                    }
                    if last_zxid != Zxid::NONE {
                        self.count_epoch_ack(ctx, sid);
                    }
                }
            }
            Phase::WritingCurrentEpoch { .. } => {}
            Phase::AwaitingNewLeaderAcks { .. } | Phase::Established { .. } => {
                self.synchronise(ctx, conn, last_zxid);
            }
            Phase::Discovery { .. } | Phase::AcceptingEpoch { .. } => {
                unreachable!("no LEADERINFO left before the epoch was durable")
            }
        }
    }

    /// A voter is ahead of a leader that nobody has voted for: an election will find the one to follow, at once and not when
    /// this attempt's time is over.
    fn give_way(&mut self, ctx: &Ctx<'_, S>, to: ServerId) {
        if let Phase::AwaitingEpochAcks { deadline, .. } = &mut self.phase
            && self.designated
            && ctx.io.ensemble.is_voter(to)
        {
            *deadline = ctx.io.now.mono;
        }
    }

    fn count_epoch_ack(&mut self, ctx: &mut Ctx<'_, S>, sid: ServerId) {
        let Phase::AwaitingEpochAcks { epoch, .. } = self.phase else { return };
        let config = ctx.io.config;
        insert_member(&ctx.io, &mut self.electing, sid);
        let complete = self.electing.contains(&config.sid) && is_quorum(&ctx.io, &self.electing);
        if complete {
            ctx.io.event(Event::EpochAcked { epoch });
        }
        // Right: wait for a quorum. Wrong (ZOOKEEPER-1192): for what holds already, the leader's own call
        // comes back at once.
        if complete || config.switches.has(Switch::EpochAckWaitsOnWrongFlag) {
            self.phase = Phase::WritingCurrentEpoch { op: None, epoch };
            self.write_current_epoch(ctx);
        }
    }

    /// The epoch is acknowledged. (Nothing else is under way then, but for what the switch at
    /// `count_accepted_epoch` lets be late.)
    fn write_current_epoch(&mut self, ctx: &mut Ctx<'_, S>) {
        if let Phase::WritingCurrentEpoch { op: op @ None, epoch } = &mut self.phase
            && self.accepting_late.is_none()
            && self.keeping_config.is_none()
        {
            *op = Some(ctx.io.disk(DiskOp::WriteEpoch(EpochFile::CurrentEpoch, *epoch)));
        }
    }

    pub(super) fn on_new_leader_ack(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, zxid: Zxid) -> RoleResult {
        let (Phase::AwaitingNewLeaderAcks { epoch, .. } | Phase::Established { epoch }) = self.phase else {
            unreachable!("NEWLEADER leaves only when currentEpoch is durable")
        };
        let Some(handler) = self.handlers.get_mut(&conn) else { return Ok(()) };
        if zxid != epoch.first_zxid() {
            // Releases with ZOOKEEPER-4685 let ACKs of proposals overtake the ACK of NEWLEADER.
            ctx.io.mark("leader: ACK of a proposal before the ACK of NEWLEADER");
            handler.early_acks.push(zxid);
            if handler.early_acks.len() > MAX_EARLY_ACKS {
                self.drop_learner(ctx, conn, "ACKs without end before that of NEWLEADER".into());
            }
            return Ok(());
        }
        let sid = handler.sid;
        handler.phase = H::AwaitingUpToDate;
        ctx.io.event(Event::NewLeaderAcked { epoch, by: sid });
        if let Phase::Established { epoch } = self.phase {
            self.send_up_to_date(ctx, conn, epoch);
        } else {
            self.count_new_leader_ack(ctx, sid);
        }
        Ok(())
    }

    fn count_new_leader_ack(&mut self, ctx: &mut Ctx<'_, S>, sid: ServerId) {
        let Phase::AwaitingNewLeaderAcks { epoch, .. } = self.phase else { return };
        insert_member(&ctx.io, &mut self.new_leader_acks, sid);
        if is_quorum(&ctx.io, &self.new_leader_acks) {
            self.establish(ctx, epoch);
        }
    }

    /// `startZkServer`: only now does the last zxid move to the new epoch (ZOOKEEPER-790).
    fn establish(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch) {
        self.phase = Phase::Established { epoch };
        ctx.io.event(Event::Established { epoch });
        let first = epoch.first_zxid();
        self.last_committed = first;
        ctx.db.last_processed = first;
        self.proposals.begin_behind(match ctx.io.config.settings.initial_zxid {
            Some(counter) => Zxid::new(epoch, counter),
            None => first,
        });
        self.clients.serve(&ctx.io, self.proposals.last_proposed());
        self.tracker = SessionTracker::new(ctx.io.config.settings.half_tick());
        for (session, timeout_ms) in ctx.db.state.sessions() {
            self.tracker.track(session, timeout_ms, None, ctx.io.now.mono);
        }
        self.orphans = ctx.db.state.orphans();
        self.activate_config(ctx);
        ctx.init_config();
        let acked: Vec<ConnId> = self
            .handlers
            .values()
            .filter(|h| matches!(h.phase, H::AwaitingUpToDate))
            .map(|h| h.conn)
            .collect();
        for conn in acked {
            self.send_up_to_date(ctx, conn, epoch);
        }
    }

    fn send_up_to_date(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, epoch: Epoch) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        let settings = &ctx.io.config.settings;
        handler.phase = H::Synced;
        handler.tick_of_next_ack_deadline = self.tick + u64::from(settings.sync_limit);
        handler.read_deadline = ctx.io.now.mono + settings.sync_time();
        // What it was sent while it synchronised is timed from here on.
        if let Some((_, since)) = &mut handler.oldest_unacked {
            *since = ctx.io.now.mono;
        }
        handler.queue(&mut ctx.io, &Packet::UpToDate);
        let (to, early) = (handler.sid, std::mem::take(&mut handler.early_acks));
        ctx.io.event(Event::UpToDateSent { epoch, to });
        for zxid in early {
            self.on_ack(ctx, conn, zxid);
        }
    }

    /// A gate's time is over.
    pub(super) fn give_up(&self, ctx: &Ctx<'_, S>) -> Leave {
        let voters = self.handlers.values().filter(|h| h.participant).map(|h| h.sid);
        let present: std::collections::BTreeSet<ServerId> =
            voters.chain(std::iter::once(ctx.io.sid())).collect();
        let enough = ctx.io.ensemble.contains_quorum(present);
        Leave::Because(match self.phase {
            Phase::Discovery { .. } | Phase::AwaitingEpochAcks { .. } if self.designated => {
                "it was designated, and no quorum follows it".into()
            }
            Phase::Discovery { .. } => "no quorum of accepted epochs within initLimit".into(),
            Phase::AwaitingEpochAcks { .. } => "no quorum of ACKEPOCHs within initLimit".into(),
            _ if enough => {
                "no quorum acknowledged NEWLEADER: enough followers present; initLimit may be too small"
                    .into()
            }
            _ => "no quorum acknowledged NEWLEADER within initLimit".into(),
        })
    }
}

/// Strangers are in none of the sets.
fn insert_member(io: &Io<'_>, set: &mut BTreeSet<ServerId>, sid: ServerId) {
    if io.ensemble.is_member(sid) {
        set.insert(sid);
    }
}

/// Is one of the three sets complete? Right: a quorum of voters is in it, whoever else is. Wrong
/// (ZOOKEEPER-2959): the majority verifier looks at the number of ids alone, observers' too.
fn is_quorum(io: &Io<'_>, set: &BTreeSet<ServerId>) -> bool {
    match &io.ensemble.active().verifier {
        QuorumVerifier::Majority { voters } if io.config.switches.has(Switch::ObserversCount) => {
            set.len() > voters.len() / 2
        }
        _ => io.ensemble.contains_quorum(set.iter().copied()),
    }
}
