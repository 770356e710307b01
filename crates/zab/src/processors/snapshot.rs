//! `SnapshotTaker`: a fuzzy snapshot of the state, one slice at a time while changes go on. Named by
//! the last processed zxid at its beginning; replaying the log from there gives the state.

use bytes::BytesMut;
use wire::Zxid;

use crate::context::{Ctx, Io, Leave};
use crate::disk::{DiskDone, DiskOp, OpId};
use crate::event::Event;
use crate::io::Task;
use crate::state_machine::StateMachine;

#[derive(Clone, Debug)]
enum Phase<C> {
    Idle,
    Writing { zxid: Zxid, cursor: C, bytes: u64 },
    Finishing { zxid: Zxid, op: OpId, bytes: u64 },
}

#[derive(Clone, Debug)]
pub struct SnapshotTaker<S: StateMachine> {
    phase: Phase<S::SnapshotCursor>,
}

impl<S: StateMachine> SnapshotTaker<S> {
    pub fn new() -> SnapshotTaker<S> {
        SnapshotTaker { phase: Phase::Idle }
    }

    /// Roll the log and begin, unless one is being taken. Of a state that is not whole none is taken.
    pub fn begin(&mut self, ctx: &mut Ctx<'_, S>) {
        if !matches!(self.phase, Phase::Idle) {
            return;
        }
        ctx.io.disk(DiskOp::Roll);
        if !ctx.db.state.is_whole() {
            return ctx.io.warn("no snapshot: the history holds records of another state machine");
        }
        let (zxid, cursor) = (ctx.db.last_processed, ctx.db.state.snapshot_begin());
        self.phase = Phase::Writing { zxid, cursor, bytes: 0 };
        ctx.io.schedule(Task::Snapshot);
    }

    /// `Task::Snapshot`: one slice.
    pub fn run(&mut self, ctx: &mut Ctx<'_, S>) {
        let Phase::Writing { zxid, cursor, bytes } = &mut self.phase else { return };
        let zxid = *zxid;
        let mut slice = BytesMut::new();
        let complete = ctx.db.state.snapshot_slice(cursor, ctx.io.config.settings.snapshot_slice, &mut slice);
        *bytes += slice.len() as u64;
        let bytes = *bytes;
        ctx.io.disk(DiskOp::SnapshotSlice { zxid, bytes: slice.freeze() });
        if complete {
            let op = ctx.io.disk(DiskOp::SnapshotFinish { zxid });
            self.phase = Phase::Finishing { zxid, op, bytes };
        } else {
            ctx.io.schedule(Task::Snapshot);
        }
    }

    /// True where `done` was this snapshot's.
    pub fn on_disk(&mut self, ctx: &mut Ctx<'_, S>, done: &DiskDone) -> Result<bool, Leave> {
        let Phase::Finishing { zxid, op, bytes } = self.phase else { return Ok(false) };
        if op != done.id {
            return Ok(false);
        }
        self.phase = Phase::Idle;
        match &done.result {
            Ok(_) => {
                (ctx.db.snapshot_zxid, ctx.db.snapshot_bytes) = (zxid, bytes);
                ctx.io.event(Event::SnapshotTaken { zxid });
                Ok(true)
            }
            Err(error) => Err(Leave::Disk(error.clone())),
        }
    }

    /// The role ends.
    pub fn abandon(&mut self, io: &mut Io<'_>) {
        if let Phase::Writing { zxid, .. } = self.phase {
            io.disk(DiskOp::SnapshotAbandon { zxid });
        }
        self.phase = Phase::Idle;
    }
}

impl<S: StateMachine> Default for SnapshotTaker<S> {
    fn default() -> Self {
        SnapshotTaker::new()
    }
}
