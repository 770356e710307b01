//! The leader's clock: PINGs every half tick, time-outs, stepping down without a quorum, expiry.

use bytes::Bytes;
use wire::{Packet, ServerId, SessionId, op};

use super::broadcast::Request;
use super::learner_handler::Phase as H;
use super::session_tracker::Owner;
use super::{Leader, Phase};
use crate::context::{Ctx, Leave, RoleResult};
use crate::event::Event;
use crate::io::ConnId;
use crate::state_machine::StateMachine;

/// Half ticks between looks for containers and nodes with a TTL: a minute, at the default tick
/// (`znode.container.checkIntervalMs`).
pub(crate) const CONTAINER_CHECK: u64 = 60;

impl<S: StateMachine> Leader<S> {
    pub(super) fn on_deadline(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        let now = ctx.io.now.mono;
        if let Phase::Discovery { deadline }
        | Phase::AwaitingEpochAcks { deadline, .. }
        | Phase::AwaitingNewLeaderAcks { deadline, .. } = self.phase
            && deadline <= now
        {
            return Err(self.give_up(ctx));
        }
        if self.half_tick_at <= now {
            self.half_tick_at = now + ctx.io.config.settings.half_tick();
            self.on_half_tick(ctx)?;
        }
        Ok(())
    }

    fn on_half_tick(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        self.half_ticks += 1;
        self.drop_late_learners(ctx);
        // The tick stands still during discovery and synchronisation.
        if let Phase::Established { .. } = self.phase
            && self.half_ticks.is_multiple_of(2)
        {
            self.tick += 1;
            self.check_quorum(ctx)?;
        }
        for handler in self.handlers.values_mut().filter(|h| h.is_sending()) {
            handler.queue(&mut ctx.io, &Packet::Ping { zxid: self.proposals.last_proposed(), touched: None });
        }
        if let Phase::Established { .. } = self.phase {
            self.check_retired(ctx)?;
            self.close_orphans(ctx)?;
            self.expire_sessions(ctx)?;
            if self.half_ticks.is_multiple_of(CONTAINER_CHECK) {
                self.delete_containers(ctx)?;
            }
        }
        Ok(())
    }

    /// `ContainerManager`: what nobody needs any more goes, by transactions of no session.
    fn delete_containers(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        for body in ctx.db.state.due_containers(ctx.io.now.wall_ms) {
            let (session, op) = (SessionId(0), op::DELETE_CONTAINER);
            let request = Request { session, cxid: 0, op, body, auth: Vec::new(), from: Owner::Local };
            self.submit(ctx, &request)?;
        }
        Ok(())
    }

    /// Read time-outs, and `SyncLimitCheck`: a proposal that a learner has not acknowledged for T *
    /// syncLimit ends its connection.
    fn drop_late_learners(&mut self, ctx: &mut Ctx<'_, S>) {
        let now = ctx.io.now.mono;
        let sync_time = ctx.io.config.settings.sync_time();
        let late: Vec<(ConnId, &'static str)> = self
            .handlers
            .values()
            .filter_map(|h| {
                let unacked =
                    h.is_synced() && h.oldest_unacked.is_some_and(|(_, since)| since + sync_time <= now);
                if h.read_deadline <= now {
                    Some((h.conn, "read time-out"))
                } else if h.queue_is_too_long() {
                    Some((h.conn, "it reads too slowly, its queue is too long"))
                } else {
                    unacked.then_some((h.conn, "no ACK within syncLimit"))
                }
            })
            .collect();
        for (conn, why) in late {
            self.drop_learner(ctx, conn, why.into());
        }
    }

    /// {self} and the learners that answered in time must be a quorum.
    pub(super) fn check_quorum(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        let tick = self.tick;
        let synced: std::collections::BTreeSet<ServerId> = self
            .handlers
            .values()
            .filter(|h| !matches!(h.phase, H::Hello) && h.tick_of_next_ack_deadline >= tick)
            .map(|h| h.sid)
            .chain(std::iter::once(ctx.io.config.sid))
            .collect();
        if ctx.io.ensemble.contains_quorum(synced.iter().copied()) {
            return Ok(());
        }
        ctx.io.mark("leader: no quorum of live learners");
        let synced: Vec<String> = synced.iter().map(ServerId::to_string).collect();
        Err(Leave::Because(format!("not sufficient followers synced, only {}", synced.join(", "))))
    }

    fn expire_sessions(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        let now = ctx.io.now.mono;
        for (session, timeout_ms) in self.clients.drain_touched() {
            self.tracker.touch(session, timeout_ms, now);
        }
        for session in self.tracker.expired(now) {
            ctx.io.event(Event::SessionExpired { session });
            self.close_session(ctx, session)?;
        }
        Ok(())
    }

    /// Java takes what they own out of the new leader's tree alone (`loadData`), where a DIFF does not tell
    /// learners of it.
    fn close_orphans(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        for session in std::mem::take(&mut self.orphans) {
            ctx.io.warn(format!("session {session} is not known, and owns nodes: it is closed"));
            self.close_session(ctx, session)?;
        }
        Ok(())
    }

    fn close_session(&mut self, ctx: &mut Ctx<'_, S>, session: SessionId) -> RoleResult {
        let (cxid, op, body, auth) = (0, op::CLOSE_SESSION, Bytes::new(), Vec::new());
        self.submit(ctx, &Request { session, cxid, op, body, auth, from: Owner::Local })
    }
}
