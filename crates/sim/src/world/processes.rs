//! Processes of the simulated members: boot, kill, power loss, pause, and their clocks.

use peer::{LearnerType, Member, QuorumVerifier, View};

use super::*;

/// Of a process that starts.
pub(super) fn new_state(kind: StateKind, max_txn: usize) -> State {
    State::new(kind, server::Settings { extended_types: true, max_txn, ..server::Settings::default() })
}

/// A server that left and is to be added again is given a file with the members and itself, by whoever operates it, as
/// ZooKeeper's documentation says: without itself in the file it does not start.
fn list_itself(config: &mut Config, first: &View) {
    let (sid, active) = (config.sid, config.view.version);
    let seen = config.seen_view.as_ref().filter(|seen| seen.version > active);
    let listed = |view: &View| view.members.contains_key(&sid);
    if listed(&config.view) || seen.is_some_and(listed) {
        return;
    }
    let itself = Member { learner_type: LearnerType::Participant, ..first.members[&sid].clone() };
    config.view.members.insert(sid, itself);
    match &mut config.view.verifier {
        QuorumVerifier::Majority { voters } => _ = voters.insert(sid),
        // In a group of its own.
        QuorumVerifier::Hierarchical { group_of, .. } => _ = group_of.insert(sid, 1000 + sid.0),
    }
    config.view.version = Zxid::ZERO;
}

impl World {
    pub fn boot(&mut self, sid: ServerId, at: Nanos) {
        let member = self.index(sid);
        self.queue.push(at.max(self.now), What::Boot { member });
    }

    pub(super) fn boot_now(&mut self, member: usize) {
        if self.members[member].peer.is_some() {
            return;
        }
        self.observe(member, &Observation::Booted);
        let m = &mut self.members[member];
        m.incarnation += 1;
        m.deadline_at = Nanos::NEVER;
        let mut config = m.config.clone();
        config.seed = m.seed_draws.any();
        // As `zoo.cfg` would be read.
        if config.settings.reconfig_enabled {
            let (active, seen) = config_file::kept(&m.storage.fs).expect("what it wrote can be read");
            config.view = active.unwrap_or(config.view);
            config.seen_view = seen;
            list_itself(&mut config, &m.config.view);
        }
        let max_txn = config.settings.max_record();
        m.peer = Some(Peer::new(config, new_state(self.spec.state, max_txn)));
        self.ready.push_back((member, Input::Boot));
        self.run_ready();
    }

    /// The member crashes while its disk next works on something.
    pub fn crash_amid_write(&mut self, sid: ServerId, power: bool) {
        let member = self.index(sid);
        if self.members[member].peer.is_some() {
            self.members[member].crash_amid_write = Some(power);
        }
    }

    /// The member crashes after so many more calls of its file system that change something.
    pub fn crash_at_call(&mut self, sid: ServerId, power: bool, calls: u32) {
        let member = self.index(sid);
        let m = &mut self.members[member];
        if m.peer.is_some() {
            m.crash_at_call = Some(power);
            m.storage.fs.calls_left = Some(calls);
        }
    }

    /// A file-system call was refused: the process died there.
    pub(super) fn crash_inside_call(&mut self, member: usize) {
        if let Some(power) = self.members[member].crash_at_call.take() {
            self.crash_now(member, power);
        }
    }

    pub fn crash(&mut self, sid: ServerId, power: bool) {
        let member = self.index(sid);
        self.crash_now(member, power);
        self.run_ready();
    }

    fn crash_now(&mut self, member: usize, power: bool) {
        if self.members[member].peer.is_none() {
            return;
        }
        let kind = if power { FaultKind::PowerLoss } else { FaultKind::Kill };
        self.faults.inject(kind);
        let m = &mut self.members[member];
        let loss = power.then(|| match m.crash_draws.below(3) {
            0 => Loss::All,
            1 => Loss::Some,
            _ => Loss::Torn,
        });
        self.die(member, Some((kind, loss)));
    }

    /// The process ends: by a crash, or (no crash) because the member halted.
    pub(super) fn die(&mut self, member: usize, crash: Option<(FaultKind, Option<Loss>)>) {
        self.say(member, || "dies".into());
        let power = matches!(crash, Some((_, Some(_))));
        let interrupted = self.interrupt_operations(member, crash.is_some());
        let m = &mut self.members[member];
        m.peer = None;
        m.incarnation += 1;
        m.listening = [false; 2];
        m.held.clear();
        m.dials_nobody.clear();
        m.paused_until = Nanos::ZERO;
        m.installing = None;
        m.crash_amid_write = None;
        m.crash_at_call = None;
        m.slow_process = None;
        m.storage.forget_memory();
        let mut lost = 0;
        if let Some((_, Some(loss))) = crash {
            lost = m.storage.fs.lose_power(loss, &mut m.crash_draws);
        }
        m.storage.fs.calls_left = None;
        if let Some((kind, _)) = crash
            && (interrupted || lost > 0 || (kind == FaultKind::Kill && !m.conns.is_empty()))
        {
            self.faults.effect(kind);
        }
        for (conn, (connection, end)) in std::mem::take(&mut self.members[member].conns) {
            let _ = conn;
            if power {
                // Nobody tells the other side: it is half open.
                self.faults.inject(FaultKind::HalfOpen);
                if let Some(c) = self.network.connections[connection].as_mut() {
                    c.ends[end].open = false;
                    c.half_open_unfelt = true;
                }
            } else {
                self.end_connection(connection, end, CloseReason::Reset);
            }
        }
        self.client_conns_die(member, power);
        self.observe(member, &Observation::Crashed { power_loss: power });
        match self.members[member].storage.recover_readonly() {
            Ok(recovered) => self.observe(member, &Observation::Recovered(&recovered)),
            Err(why) => {
                self.say(member, || format!("the disk would refuse: {why}"));
                self.observe(member, &Observation::Unrecoverable);
            }
        }
    }

    /// What is with the disk is done in part: the first operation of each lane up to a drawn call.
    pub(super) fn interrupt_operations(&mut self, member: usize, crash: bool) -> bool {
        let mut interrupted = false;
        for lane in 0..3 {
            let m = &mut self.members[member];
            m.lane_busy[lane] = false;
            let Some((_, op)) = m.lanes[lane].pop_front() else { continue };
            m.lanes[lane].clear();
            if crash && op.answers() && !op.only_reads() && !op.recovers() {
                interrupted = true;
                let calls =
                    m.crash_draws.below(if matches!(op, DiskOp::Install { .. }) { 16 } else { 8 }) as u32;
                m.storage.fs.calls_left = Some(calls);
                let _ = m.storage.execute(&op);
                m.storage.fs.calls_left = None;
            }
        }
        interrupted
    }

    pub fn pause(&mut self, sid: ServerId, duration: Nanos) {
        let member = self.index(sid);
        if self.members[member].peer.is_none() {
            return;
        }
        self.faults.inject(FaultKind::Pause);
        let m = &mut self.members[member];
        let until = (self.now + duration).max(m.paused_until);
        (m.paused_until, m.pause_unfelt) = (until, true);
        self.queue.push(until, What::Resume { member });
    }

    /// The process stands still and runs in turns, so many times.
    pub fn slow_process(&mut self, sid: ServerId, pause: Nanos, run: Nanos, times: u32) {
        let member = self.index(sid);
        let m = &mut self.members[member];
        if m.peer.is_none() || times == 0 {
            return;
        }
        self.faults.inject(FaultKind::SlowProcess);
        m.slow_process = Some((pause, run, times));
        let incarnation = m.incarnation;
        self.stand_still(member, incarnation);
    }

    pub(super) fn stand_still(&mut self, member: usize, incarnation: u32) {
        let m = &mut self.members[member];
        let Some((pause, run, times)) = m.slow_process else { return };
        if m.incarnation != incarnation || m.peer.is_none() {
            return;
        }
        m.slow_process = (times > 1).then_some((pause, run, times - 1));
        let until = self.now + pause;
        if until > m.paused_until {
            m.paused_until = until;
            self.queue.push(until, What::Resume { member });
        }
        self.faults.effect(FaultKind::SlowProcess);
    }

    /// After a stand-still: until the next one.
    pub(super) fn run_slowly(&mut self, member: usize) {
        let m = &self.members[member];
        if let Some((_, run, _)) = m.slow_process {
            let incarnation = m.incarnation;
            self.queue.push(self.now + run, What::StandStill { member, incarnation });
        }
    }

    /// No fault goes on at this member.
    pub fn calm(&mut self, sid: ServerId) {
        let member = self.index(sid);
        let m = &mut self.members[member];
        m.disk_slow = 1;
        m.crash_amid_write = None;
        m.slow_process = None;
        m.storage.fs.full = false;
        m.storage.fs.failing_writes = 0;
        m.storage.fs.short_write = None;
        if m.crash_at_call.take().is_some() {
            m.storage.fs.calls_left = None;
        }
        m.refuses_until = Nanos::ZERO;
        m.storage.fs.failing_syncs = 0;
        if m.paused_until > Nanos::ZERO {
            m.paused_until = self.now;
            self.queue.push(self.now, What::Resume { member });
        }
    }

    /// With what a member would come back that starts now, if it would.
    pub fn recover(&self, sid: ServerId) -> Option<Recovered> {
        self.members[self.index(sid)].storage.recover_readonly().ok()
    }

    /// Why a member that is down would not start.
    pub fn refusal(&self, sid: ServerId) -> Option<String> {
        let m = &self.members[self.index(sid)];
        if m.peer.is_some() {
            return None;
        }
        Some(match m.storage.recover_readonly() {
            Err(why) => why.to_string(),
            Ok(_) => "it halted".into(),
        })
    }

    pub fn jump_clock(&mut self, sid: ServerId, by_ms: i64) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::ClockJump);
        self.faults.effect(FaultKind::ClockJump);
        self.members[member].wall_offset_ms += by_ms;
    }
}
