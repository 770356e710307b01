//! Reconfigurations of a leader (ZOOKEEPER-107), the learner's side (`Follower.processPacket`, `Learner.syncWithLeader`,
//! `QuorumPeer.processReconfig`).
//!
//! | what comes | `reconfigEnabled` | not |
//! |---|---|---|
//! | NEWLEADER with a later configuration | seen: kept before the ACK of NEWLEADER | refused if its quorums are others |
//! | NEWLEADER with an earlier one than was proposed | that is not seen any more, once its transaction is gone | |
//! | PROPOSAL of a reconfig | seen: kept before it is logged | logged like any other |
//! | its commit | active, behind the transaction; the role ends if it, or the leader, is another | refused if its quorums are others |
//! | UPTODATE | NEWLEADER's is active, as above | active in memory |
//!
//! Refused: the member stops, and says what to do. (Java goes on with the servers of its file, and counts quorums that
//! are none.) A proposal is acknowledged all the same, or the ensemble could do nothing any more; at the next start the
//! history has it (`Ctx::learn_config_of_history`). A NEWLEADER may bring a configuration that is proposed and not committed; it waits for its commit.

use bytes::Bytes;
use wire::{ServerId, Txn, TxnBody, TxnHeader, Zxid, op};

use super::Learner;
use crate::config::View;
use crate::config_text::parse_config_text;
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::{DiskOp, OpId, TxnEntry};
use crate::ensemble::{Activation, ConfigFile};
use crate::event::Event;
use crate::state_machine::StateMachine;

impl<S: StateMachine> Learner<S> {
    /// The configuration of NEWLEADER, if it is one to go by. `committed`: the last that was committed before NEWLEADER came.
    /// Java's leader looks at its own a moment before it sends NEWLEADER, and a reconfig may slip between.
    pub(super) fn config_of_new_leader(
        &self,
        ctx: &mut Ctx<'_, S>,
        text: Option<&Bytes>,
        committed: Option<View>,
    ) -> Result<Option<View>, Leave> {
        let of_text = self.config_of_text(ctx, text)?;
        let latest = of_text.into_iter().chain(committed).max_by_key(|view| view.version);
        if let Some(view) = &latest {
            refuse_if_other(ctx, view)?;
        }
        Ok(latest)
    }

    fn config_of_text(&self, ctx: &mut Ctx<'_, S>, text: Option<&Bytes>) -> Result<Option<View>, Leave> {
        // Java's rule: one byte is none.
        let Some(text) = text.filter(|text| text.len() > 1) else { return Ok(None) };
        let enabled = ctx.io.config.settings.reconfig_enabled;
        match parse_config_text(text) {
            Ok(view) if enabled || view.version > Zxid::ZERO => Ok(Some(view)),
            Ok(_) => Ok(None),
            Err(why) if enabled => Err(unreadable(&why)),
            Err(why) => {
                ctx.io.warn(format!("the configuration in NEWLEADER is ignored: {why}"));
                Ok(None)
            }
        }
    }

    /// To the log goes a reconfig: its configuration is kept before it.
    pub(super) fn see_reconfig(&self, ctx: &mut Ctx<'_, S>, entry: &TxnEntry) -> RoleResult {
        if ctx.io.config.settings.reconfig_enabled
            && let Some(view) = config_of(entry)?
            && ctx.io.ensemble.see(&view)
        {
            ctx.io.event(Event::config_seen(&view));
            keep(ctx, ConfigFile::Seen, &view);
        }
        Ok(())
    }

    /// A transaction is committed. A reconfig takes effect behind it. `designated`: who leads then, as the leader says.
    pub(super) fn on_reconfig_committed(
        &self,
        ctx: &mut Ctx<'_, S>,
        entry: &TxnEntry,
        designated: Option<ServerId>,
    ) -> RoleResult {
        match config_of(entry)? {
            Some(view) => self.activate(ctx, &view, designated),
            None => Ok(()),
        }
    }

    pub(super) fn activate(
        &self,
        ctx: &mut Ctx<'_, S>,
        view: &View,
        designated: Option<ServerId>,
    ) -> RoleResult {
        refuse_if_other(ctx, view)?;
        let activation = ctx.io.ensemble.activate(view, Some(self.leader), designated);
        if activation == Activation::Known {
            return Ok(());
        }
        keep(ctx, ConfigFile::Active, view);
        ctx.io.event(Event::config_activated(view));
        match activation {
            Activation::Major => {
                let why = format!("configuration {} is active", view.version);
                Err(Leave::Reconfigured { why, leader: designated })
            }
            Activation::Minor | Activation::Known => Ok(()),
        }
    }
}

/// NEWLEADER's, kept where it changes anything.
pub(super) fn agree<S: StateMachine>(ctx: &mut Ctx<'_, S>, view: &View) -> Option<OpId> {
    if !ctx.io.config.settings.reconfig_enabled || !ctx.io.ensemble.agree(view) {
        return None;
    }
    ctx.io.event(Event::config_seen(view));
    keep(ctx, ConfigFile::Seen, view)
}

fn keep<S: StateMachine>(ctx: &mut Ctx<'_, S>, file: ConfigFile, view: &View) -> Option<OpId> {
    let write = DiskOp::WriteConfig { file, version: view.version, text: view.text() };
    ctx.io.config.settings.reconfig_enabled.then(|| ctx.io.disk(write))
}

fn refuse_if_other<S: StateMachine>(ctx: &Ctx<'_, S>, view: &View) -> RoleResult {
    if ctx.io.config.settings.reconfig_enabled {
        return Ok(());
    }
    ctx.io.ensemble.refusal(view).map_or(Ok(()), |why| Err(Leave::RefusedConfig(why)))
}

/// Of these transactions; each configuration is later than those before it.
pub(super) fn latest_config(committed: &[TxnEntry]) -> Result<Option<View>, Leave> {
    committed.iter().rev().find_map(|entry| config_of(entry).transpose()).transpose()
}

fn unreadable(why: &str) -> Leave {
    Leave::RefusedConfig(format!("the ensemble's configuration cannot be gone by: {why}"))
}

/// Of a reconfig; None of any other transaction.
fn config_of(entry: &TxnEntry) -> Result<Option<View>, Leave> {
    if TxnHeader::peek(&entry.txn).is_none_or(|header| header.kind != op::RECONFIG) {
        return Ok(None);
    }
    let txn = Txn::decode(&entry.txn).map_err(|e| unreadable(&e.to_string()))?;
    match txn.body {
        TxnBody::SetData(set) => {
            parse_config_text(&set.data.unwrap_or_default()).map(Some).map_err(|why| unreadable(&why))
        }
        _ => unreachable!("a reconfig has the body of setData"),
    }
}
