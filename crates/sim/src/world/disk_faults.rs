//! Faults of the simulated disks: slow, failing, full, rotting, replaced.

use super::*;

impl World {
    pub fn slow_disk(&mut self, sid: ServerId, factor: u64, duration: Nanos) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::SlowDisk);
        let m = &mut self.members[member];
        (m.disk_slow, m.disk_slow_unfelt) = (factor, true);
        self.queue.push(self.now + duration, What::DiskFast { member });
    }

    pub fn fail_syncs(&mut self, sid: ServerId, count: u32) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::FailedSync);
        self.members[member].storage.fs.failing_syncs = count;
    }

    pub fn fail_writes(&mut self, sid: ServerId, count: u32) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::FailedWrite);
        self.members[member].storage.fs.failing_writes = count;
    }

    pub fn cut_write(&mut self, sid: ServerId, keep_milli: u64) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::ShortWrite);
        self.members[member].storage.fs.short_write = Some(keep_milli.min(1000));
    }

    pub fn fill_disk(&mut self, sid: ServerId, duration: Nanos) {
        let member = self.index(sid);
        self.faults.inject(FaultKind::DiskFull);
        let m = &mut self.members[member];
        m.storage.fs.full = true;
        m.disk_full_until = self.now + duration;
        self.queue.push(m.disk_full_until, What::DiskFreed { member });
    }

    pub(super) fn disk_freed(&mut self, member: usize) {
        let m = &mut self.members[member];
        if m.disk_full_until <= self.now {
            m.storage.fs.full = false;
        }
    }

    /// A bit flips in a log or snapshot of a member that is down.
    pub fn rot(&mut self, sid: ServerId) {
        let member = self.index(sid);
        if !self.may_lose_disk(member) {
            return;
        }
        self.faults.inject(FaultKind::BitRot);
        let m = &mut self.members[member];
        if let Some(file) = m.storage.fs.rot(&mut m.crash_draws) {
            (m.rotten, m.lost_disk) = (true, true);
            self.say(member, || format!("a bit of {file} rots"));
            self.faults.effect(FaultKind::BitRot);
            self.observe_damage(member);
        }
    }

    /// A member that is down gets an empty disk. It is known not to be its first: empty means lost.
    pub fn replace_disk(&mut self, sid: ServerId) {
        let member = self.index(sid);
        if !self.may_lose_disk(member) {
            return;
        }
        self.faults.inject(FaultKind::ReplacedDisk);
        let m = &mut self.members[member];
        let settings = self.spec.disk.storage_settings(&m.config, false);
        if m.storage.fs.bytes() > 0 {
            self.faults.effect(FaultKind::ReplacedDisk);
        }
        m.storage = Storage::new(SimFs::default(), settings);
        (m.rotten, m.lost_disk) = (false, true);
        self.observe_damage(member);
    }

    /// And no leader has brought it up to date since.
    pub fn has_lost_disk(&self, sid: ServerId) -> bool {
        self.members[self.index(sid)].lost_disk
    }

    /// Within the fault budget: it is down, and a quorum of the others holds whatever its disk does.
    fn may_lose_disk(&self, member: usize) -> bool {
        let m = &self.members[member];
        let lost_before: Vec<ServerId> = self.members.iter().filter(|m| m.lost_disk).map(|m| m.sid).collect();
        m.peer.is_none() && self.check && self.checkers.can_lose_disk(m.sid, &lost_before)
    }

    fn observe_damage(&mut self, member: usize) {
        self.observe(member, &Observation::DiskDamaged);
        match self.members[member].storage.recover_readonly() {
            Ok(recovered) => self.observe(member, &Observation::Recovered(&recovered)),
            Err(_) => self.observe(member, &Observation::Unrecoverable),
        }
    }

    /// Its disk has rotted, and it is down: nobody may expect it back with this disk.
    pub fn is_rotten(&self, sid: ServerId) -> bool {
        let m = &self.members[self.index(sid)];
        m.rotten && m.peer.is_none()
    }

    /// What `storage` ran into during an operation.
    pub(super) fn count_disk_faults(&mut self, member: usize, before: [u64; 4]) {
        let kinds =
            [FaultKind::FailedSync, FaultKind::DiskFull, FaultKind::FailedWrite, FaultKind::ShortWrite];
        let after = self.members[member].storage.fs.faults_felt();
        for (kind, (before, after)) in kinds.into_iter().zip(before.into_iter().zip(after)) {
            if after > before {
                self.faults.effect(kind);
            }
        }
    }
}
