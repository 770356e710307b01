//! The actions of a plan, carried out on the world.

use wire::NullableString;
use wire::client::ReconfigRequest;

use super::*;

impl Runner {
    fn who(&self, who: &Who, it: Option<ServerId>) -> Option<ServerId> {
        let with =
            |role: Role| self.world.member_ids().into_iter().find(|sid| self.world.role(*sid) == Some(role));
        match who {
            Who::Id(id) => Some(ServerId(*id)),
            Who::Named(Named::It) => it,
            Who::Named(Named::Leader) => with(Role::Leading),
            Who::Named(Named::Follower) => with(Role::Following),
        }
    }

    pub fn act(&mut self, actions: &[Action], it: Option<ServerId>) {
        for action in actions {
            self.act_one(action, it);
        }
    }

    fn act_one(&mut self, action: &Action, it: Option<ServerId>) {
        self.tell(Told::Action(action.clone()));
        let all = self.world.member_ids();
        let one = |runner: &Runner, who: &Who| runner.who(who, it);
        match action {
            Action::Kill { member, amid_write, calls } | Action::PowerLoss { member, amid_write, calls } => {
                let power = matches!(action, Action::PowerLoss { .. });
                match (one(self, member), calls) {
                    (Some(sid), Some(calls)) => self.world.crash_at_call(sid, power, *calls),
                    (Some(sid), None) if *amid_write => self.world.crash_amid_write(sid, power),
                    (Some(sid), None) => self.world.crash(sid, power),
                    (None, _) => {}
                }
            }
            Action::Start { member } => {
                if let Some(sid) = one(self, member) {
                    self.world.boot(sid, self.world.now);
                }
            }
            Action::Pause { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.pause(sid, millis(*ms));
                }
            }
            Action::Partition { from, to, one_way } => {
                for a in from.iter().filter_map(|who| one(self, who)).collect::<Vec<_>>() {
                    for b in to.iter().filter_map(|who| one(self, who)).collect::<Vec<_>>() {
                        if a != b {
                            self.world.cut_link(a, b);
                            if !one_way {
                                self.world.cut_link(b, a);
                            }
                        }
                    }
                }
            }
            Action::Isolate { member } => {
                if let Some(sid) = one(self, member) {
                    for other in all.into_iter().filter(|other| *other != sid) {
                        self.world.cut_link(sid, other);
                        self.world.cut_link(other, sid);
                    }
                }
            }
            Action::Heal {} => self.world.heal(),
            Action::Reset { a, b } => {
                if let (Some(a), Some(b)) = (one(self, a), one(self, b)) {
                    self.world.reset(a, b);
                }
            }
            Action::CutFrame { from, to, port, keep_milli } => {
                let other = to.as_ref().map(|who| one(self, who));
                // Who is named and is nobody is not anybody.
                if let (Some(from), None | Some(Some(_))) = (one(self, from), other) {
                    self.world.cut_frame(from, other.flatten(), *port, *keep_milli);
                }
            }
            Action::BlackHole { a, b } => {
                if let (Some(a), Some(b)) = (one(self, a), one(self, b)) {
                    self.world.black_hole(a, b);
                }
            }
            Action::RefuseConnects { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.refuse_connects(sid, millis(*ms));
                }
            }
            Action::SlowLink { from, to, factor, ms } => {
                if let (Some(from), Some(to)) = (one(self, from), one(self, to)) {
                    self.world.slow_link(from, to, *factor, millis(*ms));
                }
            }
            Action::SlowDisk { member, factor, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.slow_disk(sid, *factor, millis(*ms));
                }
            }
            Action::FailSync { member, count } => {
                if let Some(sid) = one(self, member) {
                    self.world.fail_syncs(sid, *count);
                }
            }
            Action::DiskFull { .. }
            | Action::FailWrite { .. }
            | Action::ShortWrite { .. }
            | Action::BitRot { .. }
            | Action::ReplaceDisk { .. } => self.act_on_disk(action, it),
            Action::ConnectionStorm { member, count, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.connection_storm(sid, *count, millis(*ms));
                }
            }
            Action::SlowProcess { member, pause_ms, run_ms, times } => {
                if let Some(sid) = one(self, member) {
                    self.world.slow_process(sid, millis(*pause_ms), millis(*run_ms), *times);
                }
            }
            Action::ClockJump { member, ms } => {
                if let Some(sid) = one(self, member) {
                    self.world.jump_clock(sid, *ms);
                }
            }
            Action::MoveClients { member } => {
                self.workload.only = one(self, member);
                self.workload.reconnect_all(&mut self.world);
                let only = self.workload.only;
                self.tree_load(|load, world| {
                    load.only = only;
                    load.reconnect_all(world);
                });
            }
            Action::Reconfig { .. } => self.reconfigure(action, it),
            Action::StopWorkload {} => {
                self.workload.stop();
                self.tree_load(|load, _| load.stop());
            }
        }
    }

    fn reconfigure(&mut self, action: &Action, it: Option<ServerId>) {
        let Action::Reconfig { voters, observers, leave, all, from, text, through } = action else { return };
        let ids = |who: &[Who]| who.iter().filter_map(|who| self.who(who, it)).collect::<Vec<_>>();
        let line = |sid: ServerId, role: &str| format!("server.{sid}=10.0.0.{sid}:2888:3888:{role};2181");
        let votes = ids(voters).into_iter().map(|sid| line(sid, "participant"));
        let observes = ids(observers).into_iter().map(|sid| line(sid, "observer"));
        let joining: Vec<String> = votes.chain(observes).chain(text.clone()).collect();
        let leaving: Vec<String> = ids(leave).iter().map(ServerId::to_string).collect();
        let list = |items: &[String]| NullableString((!items.is_empty()).then(|| items.join(",").into()));
        let none = || NullableString(None);
        let request = ReconfigRequest {
            joining_servers: if *all { none() } else { list(&joining) },
            leaving_servers: if *all { none() } else { list(&leaving) },
            new_members: if *all { list(&joining) } else { none() },
            cur_config_id: from.unwrap_or(-1),
        };
        let through = through.as_ref().and_then(|who| self.who(who, it));
        self.operator.ask(&mut self.world, &request, through);
    }

    fn act_on_disk(&mut self, action: &Action, it: Option<ServerId>) {
        match action {
            Action::DiskFull { member, ms } => {
                if let Some(sid) = self.who(member, it) {
                    self.world.fill_disk(sid, millis(*ms));
                }
            }
            Action::FailWrite { member, count } => {
                if let Some(sid) = self.who(member, it) {
                    self.world.fail_writes(sid, *count);
                }
            }
            Action::ShortWrite { member, keep_milli } => {
                if let Some(sid) = self.who(member, it) {
                    self.world.cut_write(sid, *keep_milli);
                }
            }
            Action::BitRot { member } => self.world.rot(ServerId(*member)),
            Action::ReplaceDisk { member } => self.world.replace_disk(ServerId(*member)),
            _ => {}
        }
    }
}
