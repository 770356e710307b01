//! Runs that would never end, or would eat the machine: a loop in which time does not advance, and
//! memory without bound. The world stops and the runner reports them as failures of the seed.

use super::*;

/// Inputs within one second of simulated time. A steady load of 64 requests in flight makes 180,000.
const EVENTS_A_SECOND: u64 = 1_000_000;
/// Bytes on all disks, where the run is not meant to write more (`DiskSpec::most_bytes`).
pub const DISK_BYTES: u64 = 256 << 20;
/// Entries in the queue, and inputs that wait for paused members.
const WAITING: usize = 500_000;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runaway {
    /// More inputs than any second holds: time does not advance.
    Loop,
    /// Queues or disks grow without bound.
    Memory,
}

impl Runaway {
    /// Its code, as that of an invariant.
    pub fn code(self) -> &'static str {
        match self {
            Runaway::Loop => "RUN-LOOP",
            Runaway::Memory => "RUN-MEMORY",
        }
    }
    pub fn detail(self) -> &'static str {
        match self {
            Runaway::Loop => "the members go on without time advancing",
            Runaway::Memory => "queues or disks outgrow their bound",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Watchdog {
    second: u64,
    events: u64,
    found: Option<Runaway>,
}

impl World {
    pub fn runaway(&self) -> Option<Runaway> {
        self.watchdog.found
    }

    #[inline]
    pub(super) fn watch_for_runaways(&mut self) {
        self.watchdog.events += 1;
        if self.now.0 - self.watchdog.second >= SECOND {
            self.watchdog.second = self.now.0 / SECOND * SECOND;
            self.watchdog.events = 0;
            self.watch_memory();
        } else if self.watchdog.events > EVENTS_A_SECOND {
            self.watchdog.found = Some(Runaway::Loop);
        }
    }

    #[cold]
    fn watch_memory(&mut self) {
        let held: usize = self.members.iter().map(|m| m.held.len()).sum();
        let disks: u64 = self.members.iter().map(|m| m.storage.fs.bytes()).sum();
        if self.queue.len() + held > WAITING || disks > self.spec.disk.most_bytes {
            self.watchdog.found = Some(Runaway::Memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Options, Runner};
    use crate::swarm::plan;
    use peer::Switches;

    #[test]
    fn a_loop_without_time_is_found_and_reported() {
        let mut runner = Runner::new(&plan(1, Switches::NONE), Options::default());
        runner.world.watchdog.events = EVENTS_A_SECOND;
        while runner.advance().is_some() {}
        let outcome = runner.finish();
        assert_eq!(outcome.violations.last().map(|v| v.invariant), Some("RUN-LOOP"));
        assert!(outcome.stats.simulated_ms < 1000);
    }

    #[test]
    fn queues_without_bound_are_found() {
        let mut runner = Runner::new(&plan(1, Switches::NONE), Options::default());
        for _ in 0..=WAITING {
            runner.world.queue.push(Nanos::NEVER, What::Boot { member: 0 });
        }
        while runner.advance().is_some() {}
        assert_eq!(runner.world.runaway(), Some(Runaway::Memory));
    }

    #[test]
    fn disks_without_bound_are_found() {
        let mut spec = plan(1, Switches::NONE);
        assert_eq!(spec.world.disk.most_bytes, DISK_BYTES);
        spec.world.disk.most_bytes = 1000;
        let mut runner = Runner::new(&spec, Options::default());
        while runner.advance().is_some() {}
        assert_eq!(runner.world.runaway(), Some(Runaway::Memory));
    }
}
