//! `half-shutdown` (ZOOKEEPER-4712): the log writer of a role that was left, which lives on. Owned by the
//! peer. Without the switch there is none: what a role had queued for the log ends with the role.

use zab::processors::SyncRequestProcessor;
use zab::{DiskDone, Io, Switch, Switches};

#[derive(Clone)]
pub(crate) struct OldWriter {
    lives_on: bool,
    writer: Option<SyncRequestProcessor>,
}

impl OldWriter {
    pub fn new(switches: Switches) -> OldWriter {
        OldWriter { lives_on: switches.has(Switch::HalfShutdown), writer: None }
    }

    /// Right: what is queued is dropped. Wrong: it waits for the disk, whatever comes next.
    pub fn take_over(&mut self, writer: SyncRequestProcessor) {
        self.writer = Some(writer).filter(|_| self.lives_on);
    }

    /// A sync of it ended: the next batch is scheduled. Who asked for it is gone.
    pub fn on_disk(&mut self, io: &mut Io<'_>, done: &DiskDone) {
        if let Some(writer) = &mut self.writer
            && writer.on_disk(io, done).is_err()
        {
            self.writer = None;
        }
    }

    pub fn run(&mut self, io: &mut Io<'_>) {
        if let Some(writer) = &mut self.writer {
            writer.run(io);
        }
    }
}
