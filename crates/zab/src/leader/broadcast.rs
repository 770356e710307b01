//! Broadcast, the leader's side: Prep, Proposal, Ack, Commit, ToBeApplied; and what learners send once
//! they are up to date.

use bytes::Bytes;
use wire::txn::touched_sessions;
use wire::{Id, Packet, ServerId, SessionId, TxnHeader, Zxid, code, op};

use super::session_tracker::Owner;
use super::{Leader, Phase};
use crate::config::View;
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskDone, TxnEntry};
use crate::event::Event;
use crate::io::{ClientInput, ConnId};
use crate::learner::refuse;
use crate::processors::client_sessions::ClientAction;
use crate::processors::{LocalRequest, PendingSync};
use crate::state_machine::{StateMachine, WriteRequest};
use crate::switches::Switch;

/// A write on its way to `Prep`.
pub(super) struct Request {
    pub session: SessionId,
    pub cxid: i32,
    pub op: i32,
    pub body: Bytes,
    pub auth: Vec<Id>,
    pub from: Owner,
}

impl<S: StateMachine> Leader<S> {
    pub(super) fn on_broadcast(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, packet: Packet) -> RoleResult {
        let tick = self.tick;
        let Some(handler) = self.handlers.get_mut(&conn) else { return Ok(()) };
        handler.tick_of_next_ack_deadline = tick + u64::from(ctx.io.config.settings.sync_limit);
        match packet {
            Packet::Ack { zxid } => self.on_ack(ctx, conn, zxid),
            Packet::Ping { touched, .. } => {
                for (session, timeout_ms) in touched_sessions(&touched.unwrap_or_default()) {
                    self.tracker.touch(session, timeout_ms, ctx.io.now.mono);
                }
            }
            Packet::Revalidate { session, timeout_ms } => {
                let valid = self.tracker.touch(session, timeout_ms, ctx.io.now.mono);
                if valid {
                    self.tracker.set_owner(session, Owner::Learner(conn));
                }
                handler.queue(&mut ctx.io, &Packet::Revalidated { session, valid });
            }
            Packet::Request(request) => {
                if request.op == op::SYNC {
                    self.process_sync(ctx, PendingSync::Learner(conn));
                    return Ok(());
                }
                if !op::is_write(request.op) {
                    // Its own to answer: no learner forwards it, and nothing would come of it.
                    ctx.io.warn(format!("request of type {} from a learner ignored", request.op));
                    return Ok(());
                }
                let from = Owner::Learner(conn);
                let wire::ForwardedRequest { session, cxid, op, body, authinfo } = request;
                let auth = authinfo.unwrap_or_default();
                return self.submit(ctx, &Request { session, cxid, op, body, auth, from });
            }
            Packet::Unknown(raw) => ctx.io.warn(format!("unknown packet type {} ignored", raw.kind)),
            packet => self.drop_learner(ctx, conn, format!("not for a leader: {packet}")),
        }
        Ok(())
    }

    /// Prep and Proposal: the next zxid, the transaction, the proposal.
    pub(super) fn submit(&mut self, ctx: &mut Ctx<'_, S>, request: &Request) -> RoleResult {
        let Phase::Established { .. } = self.phase else {
            unreachable!("requests come from clients and synced learners of an established leader")
        };
        // The client is told nothing, and asks the next leader.
        if self.is_at_its_end(ctx) {
            return Ok(());
        }
        let rolls = ctx.io.config.switches.has(Switch::CounterRollsIntoEpoch);
        let Some(zxid) = self.proposals.next_zxid(rolls) else {
            ctx.io.mark("leader: zxid counter at its end");
            return Err(Leave::RollOver);
        };
        let session_error = self.check_session(ctx, request).err();
        let next_config = self.next_config(ctx, zxid, request);
        let write = WriteRequest {
            session: request.session,
            cxid: request.cxid,
            op: request.op,
            body: &request.body,
            auth: &request.auth,
            session_error,
            config: next_config.as_ref().map(|next| next.as_ref().map(View::text).map_err(|code| *code)),
        };
        let txn = ctx.db.state.prepare(zxid, ctx.io.now.wall_ms, &write);
        let entry = TxnEntry { zxid, txn };
        if let Some(Ok(view)) = &next_config {
            self.see_reconfig(ctx, &entry, view);
        }
        // Right: a session whose end is prepared accepts nothing more. Wrong: it does until its end commits.
        if request.op == op::CLOSE_SESSION && ctx.io.config.switches.has(Switch::CreateAfterClose) {
            self.tracker.stays_open(request.session);
            ctx.db.state.stays_open(request.session);
        }
        self.propose(ctx, entry);
        Ok(())
    }

    fn check_session(&mut self, ctx: &mut Ctx<'_, S>, request: &Request) -> Result<(), i32> {
        if request.op == op::CREATE_SESSION {
            let timeout = request.body.first_chunk::<4>().ok_or(code::UNIMPLEMENTED)?;
            let timeout_ms = i32::from_be_bytes(*timeout);
            if self.tracker.tracks(request.session) {
                ctx.io.mark("leader: a session id came twice");
                return Err(code::SESSION_EXPIRED);
            }
            self.tracker.track(request.session, timeout_ms, Some(request.from), ctx.io.now.mono);
            // Right: a session is in the database when it commits; until then it is tracked. Wrong: from now on.
            if ctx.io.config.switches.has(Switch::SessionVisibleBeforeCommit) {
                ctx.db.remember_session(request.session, timeout_ms);
            }
            return Ok(());
        }
        if request.op == op::CLOSE_SESSION {
            // The last word of a session, whoever speaks it: it may have moved since, be closing or gone.
            self.tracker.closing(request.session);
            return Ok(());
        }
        if request.op == op::DELETE_CONTAINER
            && request.from == Owner::Local
            && request.session == SessionId(0)
        {
            return Ok(());
        }
        self.tracker.check(request.session, request.from)
    }

    fn propose(&mut self, ctx: &mut Ctx<'_, S>, entry: TxnEntry) {
        let zxid = entry.zxid;
        let digest = ctx.io.txn_digest(&entry.txn);
        ctx.io.event(Event::Proposed { zxid, digest });
        self.proposals.propose(entry.clone(), digest);
        let packet = Packet::Proposal { zxid, txn: entry.txn.clone() };
        for handler in self.handlers.values_mut().filter(|h| h.forwarding && h.participant) {
            handler.oldest_unacked.get_or_insert((zxid, ctx.io.now.mono));
            handler.queue(&mut ctx.io, &packet);
        }
        self.sync.submit(&mut ctx.io, entry);
    }

    /// The leader's own log is durable.
    pub(super) fn on_synced(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> Result<bool, Leave> {
        let Some(durable) = self.sync.on_disk(&mut ctx.io, done)? else { return Ok(false) };
        self.ack.process(&mut ctx.io, &mut self.proposals, durable);
        self.try_commit(ctx);
        if self.sync.wants_snapshot(&ctx.io) {
            self.snapshot.begin(ctx);
        }
        Ok(true)
    }

    /// `processAck` of a learner.
    pub(super) fn on_ack(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, zxid: Zxid) {
        // ACKs of NEWLEADER and UPTODATE.
        if zxid.counter() == 0 {
            return;
        }
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        let by = handler.sid;
        if handler.oldest_unacked.is_some_and(|(oldest, _)| oldest <= zxid) {
            let more = self.proposals.last_proposed() > zxid;
            handler.oldest_unacked = more.then(|| (zxid.next(), ctx.io.now.mono));
        }
        if !self.proposals.ack(by, zxid) {
            if zxid > self.proposals.last_proposed() {
                ctx.io.warn(format!("ACK of {zxid}, which was never proposed, from {by}"));
            }
            return;
        }
        ctx.io.event(Event::AckCounted { zxid, by });
        self.try_commit(ctx);
    }

    /// Commit, strictly in order, what a quorum has acknowledged.
    fn try_commit(&mut self, ctx: &mut Ctx<'_, S>) {
        while let Some(proposal) = self.proposals.pop_committed(ctx.io.ensemble) {
            let zxid = proposal.entry.zxid;
            self.last_committed = zxid;
            ctx.io.event(Event::Committed { zxid, digest: proposal.digest });
            let reconfig = ctx.io.ensemble.pending() == Some(zxid);
            let leads = reconfig.then(|| self.commit_reconfig(ctx, &proposal));
            let entry = proposal.entry;
            self.tell_committed(ctx, &entry, leads);
            if let Some(header) = TxnHeader::peek(&entry.txn)
                && header.kind == op::CLOSE_SESSION
            {
                self.tracker.remove(header.client_id);
            }
            // In the committed log from the decision on: a learner's last transaction is never
            // truncated because it is not applied here yet.
            ctx.db.remember(entry.clone());
            self.to_be_applied.committed(entry.clone());
            self.commit.commit(&mut ctx.io, entry);
            self.release_syncs(ctx, zxid);
        }
    }

    /// `leads`: of a reconfig, who leads from now on.
    fn tell_committed(&mut self, ctx: &mut Ctx<'_, S>, entry: &TxnEntry, leads: Option<ServerId>) {
        let (zxid, txn) = (entry.zxid, || entry.txn.clone());
        for handler in self.handlers.values_mut().filter(|h| h.forwarding) {
            let packet = match (handler.participant, leads) {
                (true, None) => Packet::Commit { zxid },
                (true, Some(leader)) => Packet::CommitAndActivate { zxid, leader },
                (false, None) => Packet::Inform { zxid, txn: txn() },
                (false, Some(leader)) => Packet::InformAndActivate { zxid, leader, txn: txn() },
            };
            handler.queue(&mut ctx.io, &packet);
        }
    }

    fn release_syncs(&mut self, ctx: &mut Ctx<'_, S>, committed: Zxid) {
        while let Some(sync) = self.proposals.pop_released_sync(committed) {
            self.answer_sync(ctx, sync);
        }
    }

    /// `processSync`: answered behind the COMMIT of everything proposed before it.
    fn process_sync(&mut self, ctx: &mut Ctx<'_, S>, sync: PendingSync) {
        // The next leader may have committed more.
        if self.is_retired() {
            return;
        }
        if let Some(sync) = self.proposals.sync(sync) {
            self.answer_sync(ctx, sync);
        }
    }

    fn answer_sync(&mut self, ctx: &mut Ctx<'_, S>, sync: PendingSync) {
        match sync {
            PendingSync::Local(request) => {
                self.commit.release_sync(&mut ctx.io, request.session, request.cxid);
            }
            PendingSync::Learner(conn) => {
                if let Some(handler) = self.handlers.get_mut(&conn) {
                    handler.queue(&mut ctx.io, &Packet::Sync { zxid: Zxid::ZERO });
                }
            }
        }
    }

    /// Commit, ToBeApplied, Final.
    pub(super) fn run_commit_processor(&mut self, ctx: &mut Ctx<'_, S>) {
        if let Some(last) = self.commit.run(ctx, &mut self.clients) {
            self.to_be_applied.applied_through(last);
        }
    }

    pub(super) fn on_client(&mut self, ctx: &mut Ctx<'_, S>, input: ClientInput) -> RoleResult {
        let serves = matches!(self.phase, Phase::Established { .. }) && ctx.io.config.settings.leader_serves;
        if !serves {
            refuse(ctx, &input);
            return Ok(());
        }
        match self.clients.on_input(ctx, input) {
            None => Ok(()),
            Some(ClientAction::Gone { session }) => {
                self.commit.forget(session);
                Ok(())
            }
            Some(ClientAction::Revalidate { session, timeout_ms }) => {
                let valid = self.tracker.touch(session, timeout_ms, ctx.io.now.mono);
                if valid {
                    self.tracker.set_owner(session, Owner::Local);
                }
                self.clients.revalidated(&mut ctx.io, session, valid);
                Ok(())
            }
            Some(ClientAction::Submit(request)) => self.submit_local(ctx, request),
        }
    }

    fn submit_local(&mut self, ctx: &mut Ctx<'_, S>, request: LocalRequest) -> RoleResult {
        self.commit.submit_local(&mut ctx.io, ctx.db, request.clone());
        if request.op == op::SYNC {
            self.process_sync(ctx, PendingSync::Local(request));
            Ok(())
        } else if request.needs_leader() {
            let LocalRequest { session, cxid, op, body, auth, .. } = request;
            self.submit(ctx, &Request { session, cxid, op, body, auth, from: Owner::Local })
        } else {
            Ok(())
        }
    }
}
