//! Configurations, the leader's side (ZOOKEEPER-107; `PrepRequestProcessor.pRequest2Txn`, `Leader.propose`,
//! `tryToCommit`, `getDesignatedLeader`). One is under way at a time.
//!
//! A client's reconfig is refused, in this order:
//!
//! | where | with |
//! |---|---|
//! | `reconfigEnabled` is not true | ReconfigDisabled |
//! | the session is closing, or moved | SessionExpired, SessionMoved |
//! | a configuration is seen that is not active | ReconfigInProgress |
//! | the active configuration has a version beyond the history | BadVersion |
//! | it asks for what cannot be (`reconfig_request`) | BadVersion, BadArguments |
//! | no quorum of the next configuration is connected and synced | NewConfigNoQuorum |
//! | the client may not write to `/zookeeper/config` | NoAuth |
//!
//! Else it is kept, then logged and proposed. It commits, and what is proposed behind it, with quorums of both
//! configurations; what was proposed before it needs one of the active configuration only. Once it is committed:
//!
//! | the leader is in the next configuration | leads on |
//! |---|---|
//! | a voter, at the same address | this one |
//! | otherwise | the designated one: a voter of the next configuration that has acknowledged the reconfig |
//!
//! Behind a reconfig that ends its time a leader proposes nothing more: whoever has acknowledged that one then has all, and
//! nobody is ahead of the designated leader. (Java proposes on, commits none of it, and designates who has acknowledged most
//! of it, as far as it has heard; a voter that has more makes that one wait for initLimit.) It goes when its learners have
//! gone: they close the connections, so that they have its last commit.
//!
//! What a new leader finds unfinished it finishes with NEWLEADER (`Leader.lead`, `startZkServer`; ZOOKEEPER-1324). To
//! learners that come later NEWLEADER brings the active configuration, and a PROPOSAL the one under way. (Java's brings
//! that one at once, and its learners make it active with UPTODATE, committed or not.)

use std::collections::BTreeSet;

use wire::client::ReconfigRequest;
use wire::{Epoch, Jute, Reader, ServerId, TxnHeader, Zxid, code, op};

use super::broadcast::Request;
use super::{Leader, Phase};
use crate::config::View;
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskOp, OpId, TxnEntry};
use crate::ensemble::{Activation, ConfigFile};
use crate::event::Event;
use crate::processors::proposal::Proposal;
use crate::reconfig_request::next_view;
use crate::state_machine::StateMachine;
use crate::time::Nanos;

/// Another server leads on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retirement {
    /// This one goes then at the latest.
    at: Nanos,
    /// The designated one, if any.
    leader: Option<ServerId>,
}

impl<S: StateMachine> Leader<S> {
    /// A configuration of files only gets the version of the first NEWLEADER that agrees on it, so that it counts more than
    /// what is in the file of who wants to join (ZOOKEEPER-1783).
    pub(super) fn version_config(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch) {
        let latest = ctx.io.ensemble.latest();
        if !ctx.io.config.settings.reconfig_enabled || latest.version.0 > 0 {
            return;
        }
        let view = View { version: epoch.first_zxid(), ..latest.clone() };
        self.keeping_config = Some(see(ctx, &view));
    }

    /// A quorum of both configurations has acknowledged NEWLEADER, which brought the later one.
    pub(super) fn activate_config(&mut self, ctx: &mut Ctx<'_, S>) {
        let view = ctx.io.ensemble.latest().clone();
        self.activate(ctx, &view, None);
    }

    /// The next configuration, where the request is a reconfig and the leader may.
    pub(super) fn next_config(
        &self,
        ctx: &Ctx<'_, S>,
        zxid: Zxid,
        request: &Request,
    ) -> Option<Result<View, i32>> {
        let asked = request.op == op::RECONFIG && ctx.io.config.settings.reconfig_enabled;
        asked.then(|| self.checked_config(ctx, zxid, request))
    }

    fn checked_config(&self, ctx: &Ctx<'_, S>, zxid: Zxid, request: &Request) -> Result<View, i32> {
        let (ensemble, settings) = (&ctx.io.ensemble, &ctx.io.config.settings);
        if ensemble.pending().is_some() {
            return Err(code::RECONFIG_IN_PROGRESS);
        }
        // Of a file from elsewhere, or of a history that was set back: nobody would take the next one for a later one.
        if zxid <= ensemble.active().version {
            return Err(code::BAD_VERSION);
        }
        let mut reader = Reader::new(request.body.clone());
        let asked = ReconfigRequest::read(&mut reader, "reconfig").map_err(|_| code::MARSHALLING_ERROR)?;
        let view = next_view(&asked, ensemble.active(), zxid, settings.standalone_enabled)?;
        if !view.verifier.contains_quorum(self.synced_voters(ctx)) {
            return Err(code::NEW_CONFIG_NO_QUORUM);
        }
        Ok(view)
    }

    /// This server and the followers in step, members or not (`isQuorumSynced`). One that has not heard yet that it observes
    /// does not count, unlike in Java: it comes back as an observer, and acknowledges nothing more.
    fn synced_voters(&self, ctx: &Ctx<'_, S>) -> BTreeSet<ServerId> {
        let stays = |h: &&super::LearnerHandler<_>| !ctx.io.ensemble.active().observes(h.sid);
        let live = |h: &&super::LearnerHandler<_>| h.tick_of_next_ack_deadline >= self.tick;
        let followers =
            self.handlers.values().filter(|h| h.participant && h.is_synced()).filter(live).filter(stays);
        followers.map(|h| h.sid).chain(std::iter::once(ctx.io.sid())).collect()
    }

    /// The transaction is about to be logged and proposed: if it is the reconfig, its configuration is kept before it.
    pub(super) fn see_reconfig(&mut self, ctx: &mut Ctx<'_, S>, entry: &TxnEntry, view: &View) {
        if TxnHeader::peek(&entry.txn).is_none_or(|header| header.kind != op::RECONFIG) {
            return;
        }
        see(ctx, view);
        self.proposals.voters_are(ctx.io.ensemble.voters());
    }

    /// The reconfig is committed. Gives who leads from now on.
    pub(super) fn commit_reconfig(&mut self, ctx: &mut Ctx<'_, S>, reconfig: &Proposal) -> ServerId {
        let view = ctx.io.ensemble.latest().clone();
        let designated = self.designated_leader(ctx, reconfig, &view);
        self.activate(ctx, &view, Some(designated));
        designated
    }

    fn designated_leader(&self, ctx: &Ctx<'_, S>, reconfig: &Proposal, next: &View) -> ServerId {
        let own = ctx.io.sid();
        if ctx.io.ensemble.leads_on(next, own) {
            return own;
        }
        // Nothing is behind it that one of them may have and another not. None where this server is all of the next quorum,
        // at another address.
        let acked = self.proposals.acknowledged_by(reconfig).into_iter();
        acked.filter(|sid| *sid != own).find(|sid| next.is_voter(*sid)).unwrap_or(own)
    }

    fn activate(&mut self, ctx: &mut Ctx<'_, S>, view: &View, designated: Option<ServerId>) {
        let activation = ctx.io.ensemble.activate(view, Some(ctx.io.sid()), designated);
        if activation == Activation::Known {
            return;
        }
        let (file, version) = (ConfigFile::Active, view.version);
        ctx.io.disk(DiskOp::WriteConfig { file, version, text: view.text() });
        ctx.io.event(Event::config_activated(view));
        self.proposals.voters_are(ctx.io.ensemble.voters());
        if activation == Activation::Major {
            assert_eq!(self.proposals.outstanding_len(), 0, "nothing is proposed behind the end");
            let at = ctx.io.now.mono + ctx.io.config.settings.sync_time();
            self.retires = Some(Retirement { at, leader: designated });
        }
    }

    /// It leads on no more, or will not once the reconfig is committed that is proposed: what it proposed now it could
    /// not commit (`allowedToCommit`).
    pub(super) fn is_at_its_end(&self, ctx: &Ctx<'_, S>) -> bool {
        let ensemble = &ctx.io.ensemble;
        self.is_retired()
            || ensemble.pending().is_some() && !ensemble.leads_on(ensemble.latest(), ctx.io.sid())
    }

    /// It only waits for its learners to go.
    pub(super) fn is_retired(&self) -> bool {
        self.retires.is_some()
    }

    /// A learner has gone, or time has: who is retired goes without a quorum of learners, or when they had time.
    pub(super) fn check_retired(&mut self, ctx: &mut Ctx<'_, S>) -> RoleResult {
        let (Some(Retirement { at, leader }), Phase::Established { .. }) = (self.retires, self.phase) else {
            return Ok(());
        };
        let left = at <= ctx.io.now.mono || self.check_quorum(ctx).is_err();
        if left { Err(Leave::Reconfigured { why: "another server leads on".into(), leader }) } else { Ok(()) }
    }
}

fn see<S: StateMachine>(ctx: &mut Ctx<'_, S>, view: &View) -> OpId {
    let new = ctx.io.ensemble.see(view);
    assert!(new, "configuration {} is later than every other", view.version);
    ctx.io.event(Event::config_seen(view));
    let (file, version) = (ConfigFile::Seen, view.version);
    ctx.io.disk(DiskOp::WriteConfig { file, version, text: view.text() })
}
