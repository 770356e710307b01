//! The simulated disks' time: operations wait in their lane, take as long as the disk's draws say, and
//! are then carried out by `storage` over the member's `SimFs`.

use super::processes::new_state;
use super::*;

impl World {
    pub(super) fn start_lane(&mut self, member: usize, lane: usize) {
        let mean = self.spec.disk.mean_sync_ns;
        loop {
            let m = &mut self.members[member];
            if m.lane_busy[lane] {
                return;
            }
            let Some((_, op)) = m.lanes[lane].front() else { return };
            if op.answers() {
                let latency = m.disk_draws.latency(mean) * m.disk_slow;
                if m.disk_slow > 1 {
                    self.faults.first_effect(FaultKind::SlowDisk, &mut m.disk_slow_unfelt);
                }
                m.lane_busy[lane] = true;
                let incarnation = m.incarnation;
                let at = self.now + Nanos(latency.max(1));
                if m.crash_amid_write.is_some() && !op.only_reads() && !op.recovers() {
                    let amid = self.now + Nanos(m.crash_draws.below(latency.max(1)));
                    self.queue.push(amid, What::Crash { member, incarnation });
                }
                self.queue.push(at, What::DiskDone { member, incarnation, lane });
                return;
            }
            let (id, op) = m.lanes[lane].pop_front().expect("looked at above");
            self.execute(member, id, &op);
        }
    }

    pub(super) fn disk_done(&mut self, member: usize, lane: usize) {
        let m = &mut self.members[member];
        m.lane_busy[lane] = false;
        let Some((id, op)) = m.lanes[lane].pop_front() else { return };
        self.execute(member, id, &op);
        self.start_lane(member, lane);
    }

    pub(super) fn execute(&mut self, member: usize, id: OpId, op: &DiskOp) {
        let felt = self.members[member].storage.fs.faults_felt();
        let result = self.members[member].storage.execute(op);
        if result.is_err() {
            self.count_disk_faults(member, felt);
        }
        if result == Err(DiskError::Killed) {
            // What stands behind it in its lane was not begun.
            self.members[member].lanes[lane_index(op.lane())].clear();
            return self.crash_inside_call(member);
        }
        if self.check {
            self.observe_disk(member, op, &result);
        }
        if op.answers() || result.is_err() {
            self.ready.push_back((member, Input::Disk(DiskDone { id, result })));
        }
    }

    pub(super) fn observe_disk(
        &mut self,
        member: usize,
        op: &DiskOp,
        result: &Result<DiskAnswer, DiskError>,
    ) {
        let Ok(answer) = result else { return };
        match op {
            DiskOp::Append(entries) => self.observe(member, &Observation::Appended(entries)),
            DiskOp::Sync => self.observe(member, &Observation::Synced),
            DiskOp::Truncate(zxid) => self.observe(member, &Observation::Truncated(*zxid)),
            DiskOp::WriteEpoch(file, epoch) => {
                self.observe(member, &Observation::EpochWritten(*file, *epoch));
                if *file == EpochFile::CurrentEpoch
                    && let Some((zxid, of)) = self.members[member].installing
                    && *epoch >= of
                {
                    self.members[member].installing = None;
                    let installed = Observation::Installed { zxid, epoch: of, log: &[], effective: true };
                    self.observe(member, &installed);
                }
            }
            DiskOp::SnapshotFinish { zxid } => self.observe(member, &Observation::SnapshotDurable(*zxid)),
            DiskOp::Install { zxid, epoch, log } => {
                let effective = !self.members[member].storage.install_pending();
                if !effective {
                    self.members[member].installing = Some((*zxid, *epoch));
                }
                let (zxid, epoch) = (*zxid, *epoch);
                self.observe(member, &Observation::Installed { zxid, epoch, log, effective });
            }
            DiskOp::Load | DiskOp::FastForward { .. } => self.observe_recovery(member, answer),
            _ => {}
        }
    }

    fn observe_recovery(&mut self, member: usize, answer: &DiskAnswer) {
        if let DiskAnswer::Loaded(recovered) = answer {
            // An install that was waiting for currentEpoch is dropped by recovery.
            self.members[member].installing = None;
            return self.observe(member, &Observation::Recovered(recovered));
        }
        // Whatever was read of the disk: memory must be what recovery would give.
        match self.members[member].storage.recover_readonly() {
            Ok(recovered) => {
                let (zxid, tree) = (recovered.last_zxid(), self.tree_of(member, &recovered));
                self.observe(member, &Observation::Recovered(&recovered));
                self.observe(member, &Observation::RecoveredTree { zxid, tree });
            }
            Err(_) => self.observe(member, &Observation::Unrecoverable),
        }
    }

    /// The digest of the state that a member with this disk would have.
    fn tree_of(&self, member: usize, recovered: &Recovered) -> u64 {
        let config = &self.members[member].config;
        let state = new_state(self.spec.state, config.settings.max_record());
        let mut db = zab::ZkDatabase::new(state, config.settings.commit_log_count);
        db.load(recovered).expect("what was loaded once loads again");
        zab::StateMachine::digest(&db.state)
    }
}

pub(super) fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Log => 0,
        Lane::Epoch => 1,
        Lane::Snapshot => 2,
    }
}

#[cfg(test)]
mod tests {
    use peer::{ConfigFile, Switches};
    use storage::FileSystem;

    use super::*;
    use crate::run::{Options, Runner};
    use crate::swarm::plan;

    /// A process dies inside an operation: what waits behind it in the lane never begins.
    #[test]
    fn nothing_overtakes_what_the_process_died_in() {
        let mut runner = Runner::new(&plan(1, Switches::NONE), Options::default());
        let world = &mut runner.world;
        while world.now < Nanos::from_millis(100) {
            world.next(Nanos::from_millis(100));
        }
        let text = world.members[0].config.view.text();
        let write = |file, seq| {
            let op = DiskOp::WriteConfig { file, version: Zxid(1), text: text.clone() };
            (OpId { generation: u32::MAX, seq }, op)
        };
        let mut lane: VecDeque<_> = [write(ConfigFile::Active, 1), write(ConfigFile::Seen, 2)].into();
        world.members[0].lanes[0].clear();
        world.members[0].lane_busy[0] = true;
        std::mem::swap(&mut world.members[0].lanes[0], &mut lane);
        world.crash_at_call(ServerId(1), false, 0);
        world.disk_done(0, 0);
        assert!(!world.is_up(ServerId(1)));
        let seen = world.members[0].storage.fs.read(config_file::SEEN);
        assert!(seen.is_err(), "the second one was begun");
    }
}
