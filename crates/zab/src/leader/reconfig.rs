//! Configurations, the leader's side. Ours proposes no reconfig of clients (they are refused); what it finds unfinished
//! it finishes, with NEWLEADER, as Java does (`Leader.lead`, `startZkServer`; ZOOKEEPER-1324).

use wire::{Epoch, ServerId};

use super::Leader;
use crate::context::{Ctx, Leave, RoleResult};
use crate::disk::DiskOp;
use crate::ensemble::{Activation, ConfigFile};
use crate::event::Event;
use crate::state_machine::StateMachine;

impl<S: StateMachine> Leader<S> {
    /// A configuration of files only gets the version of the first NEWLEADER that agrees on it, so that it counts more than
    /// what is in the file of who wants to join (ZOOKEEPER-1783).
    pub(super) fn version_config(&mut self, ctx: &mut Ctx<'_, S>, epoch: Epoch) {
        let latest = ctx.io.ensemble.latest();
        if !ctx.io.config.settings.reconfig_enabled || latest.version.0 > 0 {
            return;
        }
        let view = crate::config::View { version: epoch.first_zxid(), ..latest.clone() };
        ctx.io.ensemble.see(&view);
        ctx.io.event(Event::ConfigSeen { version: view.version });
        let keep = DiskOp::WriteConfig { file: ConfigFile::Seen, version: view.version, text: view.text() };
        self.keeping_config = Some(ctx.io.disk(keep));
    }

    /// A quorum of both configurations has acknowledged NEWLEADER, which brought the later one.
    pub(super) fn activate_config(&mut self, ctx: &mut Ctx<'_, S>) {
        let view = ctx.io.ensemble.latest().clone();
        let own = ctx.io.sid();
        if ctx.io.ensemble.activate(&view, Some(own), None) == Activation::Known {
            return;
        }
        let (file, version) = (ConfigFile::Active, view.version);
        ctx.io.disk(DiskOp::WriteConfig { file, version, text: view.text() });
        ctx.io.event(Event::ConfigActivated { version });
    }

    /// Who is no voter of the configuration leads until its learners know of it, and no longer.
    pub(super) fn check_leads_on(&self, ctx: &Ctx<'_, S>) -> RoleResult {
        let own: ServerId = ctx.io.sid();
        if ctx.io.ensemble.active().is_voter(own) {
            return Ok(());
        }
        Err(Leave::Reconfigured("this server is no voter any more".into()))
    }
}
