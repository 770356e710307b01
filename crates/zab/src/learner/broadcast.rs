//! Broadcast, the learner's side: `Follower` and `Observer` once they are up to date, and their
//! clients (`FollowerRequestProcessor`, `ObserverRequestProcessor`, `SendAckRequestProcessor`).

use wire::{Packet, ServerId, Zxid};

use super::{Learner, Phase};
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskDone, TxnEntry};
use crate::event::Event;
use crate::io::{ClientInput, ClientOutput};
use crate::processors::client_sessions::ClientAction;
use crate::state_machine::StateMachine;
use crate::switches::Switch;

impl<S: StateMachine> Learner<S> {
    pub(super) fn on_broadcast(&mut self, ctx: &mut Ctx<'_, S>, packet: Packet) -> RoleResult {
        match packet {
            Packet::Ping { zxid, .. } => {
                // Never null: a Java leader would close the connection.
                let touched = Some(self.clients.take_touched());
                self.say(&Packet::Ping { zxid, touched });
            }
            Packet::Proposal { zxid, .. } | Packet::Commit { zxid } if self.observer => {
                ctx.io.warn(format!("observer: PROPOSAL or COMMIT of {zxid} ignored"));
            }
            Packet::Proposal { zxid, txn } => {
                let entry = TxnEntry::received(zxid, txn).map_err(Leave::LostLeader)?;
                return self.on_proposal(ctx, entry);
            }
            Packet::Commit { zxid } => return self.on_commit(ctx, zxid, None),
            Packet::CommitAndActivate { zxid, leader } => return self.on_commit(ctx, zxid, Some(leader)),
            Packet::Inform { zxid, .. } | Packet::InformAndActivate { zxid, .. } => {
                let (txn, designated) = match packet {
                    Packet::Inform { txn, .. } => (txn, None),
                    Packet::InformAndActivate { txn, leader, .. } => (txn, Some(leader)),
                    _ => unreachable!("matched above"),
                };
                if !self.observer {
                    ctx.io.warn(format!("follower: INFORM of {zxid} ignored"));
                    return Ok(());
                }
                let entry = TxnEntry::received(zxid, txn).map_err(Leave::LostLeader)?;
                self.expect_next(ctx, entry.zxid)?;
                return self.on_inform(ctx, entry, designated);
            }
            Packet::Sync { .. } => match self.requests.synced() {
                Some((session, cxid)) => self.commit.release_sync(&mut ctx.io, session, cxid),
                None => ctx.io.warn("SYNC without a pending sync"),
            },
            Packet::Revalidated { session, valid } => {
                self.clients.revalidated(&mut ctx.io, session, valid);
                self.clients.forget_gone(ctx.db);
            }
            // The stream has turned to reading a snapshot: there is no way back to packets.
            Packet::Snap { .. } => {
                return Err(Self::out_of_phase(&packet, "one synchronisation"));
            }
            Packet::UpToDate => ctx.io.warn("UPTODATE after start ignored"),
            packet => ctx.io.warn(format!("ignored: {packet}")),
        }
        Ok(())
    }

    fn on_proposal(&mut self, ctx: &mut Ctx<'_, S>, entry: TxnEntry) -> RoleResult {
        self.expect_next(ctx, entry.zxid)?;
        self.log_and_ack(ctx, entry)
    }

    /// A hole in the history must not reach the log, where it would stand for something that was lost:
    /// synchronising anew fills it. Java warns and goes on.
    fn expect_next(&mut self, ctx: &mut Ctx<'_, S>, zxid: Zxid) -> RoleResult {
        let last = std::mem::replace(&mut self.last_queued, zxid);
        if last == Zxid::ZERO || zxid.follows(last) {
            return Ok(());
        }
        ctx.io.event(Event::ZxidGap { expected: Zxid(last.0.wrapping_add(1)), got: zxid });
        Err(Leave::LostLeader(format!("gap in the broadcast: {zxid} after {last}")))
    }

    /// To the log; the ACK follows its fsync.
    pub(super) fn log_and_ack(&mut self, ctx: &mut Ctx<'_, S>, entry: TxnEntry) -> RoleResult {
        self.see_reconfig(ctx, &entry)?;
        let zxid = entry.zxid;
        self.pending_txns.push_back(entry.clone());
        self.sync.submit(&mut ctx.io, entry);
        // Right: SendAck stands behind the sync processor (`on_synced`). Wrong: before it.
        if ctx.io.config.switches.has(Switch::AckBeforeSync) {
            self.say(&Packet::Ack { zxid });
            ctx.io.event(Event::AckSent { zxid });
        }
        Ok(())
    }

    /// True where `done` was a group commit of the sync processor: SendAck.
    pub(super) fn on_synced(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> Result<bool, Leave> {
        let Some(durable) = self.sync.on_disk(&mut ctx.io, done)? else { return Ok(false) };
        if !self.observer && !ctx.io.config.switches.has(Switch::AckBeforeSync) {
            self.send_ack.process(&mut ctx.io, durable, &mut self.out);
        }
        if self.sync.wants_snapshot(&ctx.io) {
            self.snapshot.begin(ctx);
        }
        Ok(true)
    }

    /// `designated`: of COMMITANDACTIVATE.
    pub(super) fn on_commit(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        zxid: Zxid,
        designated: Option<ServerId>,
    ) -> RoleResult {
        match self.pending_txns.front() {
            None => {
                ctx.io.warn(format!("COMMIT {zxid} without its PROPOSAL ignored"));
                Ok(())
            }
            // Java ends its process here (exit code 12).
            Some(head) if head.zxid != zxid => {
                Err(Leave::LostLeader(format!("COMMIT {zxid}, but the oldest proposal is {}", head.zxid)))
            }
            Some(_) => {
                let entry = self.pending_txns.pop_front().expect("looked at above");
                ctx.db.remember(entry.clone());
                self.commit.commit(&mut ctx.io, entry.clone());
                self.on_reconfig_committed(ctx, &entry, designated)
            }
        }
    }

    pub(super) fn on_inform(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        entry: TxnEntry,
        designated: Option<ServerId>,
    ) -> RoleResult {
        self.see_reconfig(ctx, &entry)?;
        if ctx.io.config.settings.sync_enabled {
            self.sync.submit(&mut ctx.io, entry.clone());
        }
        ctx.db.remember(entry.clone());
        self.commit.commit(&mut ctx.io, entry.clone());
        self.on_reconfig_committed(ctx, &entry, designated)
    }

    pub(super) fn on_client(&mut self, ctx: &mut Ctx<'_, S>, input: ClientInput) -> RoleResult {
        if !matches!(self.phase, Phase::Serving) {
            refuse(ctx, &input);
            return Ok(());
        }
        match self.clients.on_input(ctx, input) {
            None => {}
            Some(ClientAction::Gone { session }) => self.commit.forget(session),
            Some(ClientAction::Revalidate { session, timeout_ms }) => {
                self.say(&Packet::Revalidate { session, timeout_ms });
            }
            Some(ClientAction::Submit(request)) => {
                let forward = self.requests.forward(&request);
                self.commit.submit_local(&mut ctx.io, ctx.db, request);
                if let Some(forward) = forward {
                    self.say(&forward);
                }
            }
        }
        Ok(())
    }
}

/// A member that does not serve sends its clients away.
pub(crate) fn refuse<S: StateMachine>(ctx: &mut Ctx<'_, S>, input: &ClientInput) {
    match *input {
        ClientInput::Connect { client, .. }
        | ClientInput::Request { client, .. }
        | ClientInput::Ping { client } => ctx.io.client(ClientOutput::Disconnected { client }),
        ClientInput::AddAuth { .. } | ClientInput::Disconnect { .. } => {}
    }
}
