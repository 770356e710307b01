//! SNAP where the leader's state is not whole: its history holds records of another state machine, which
//! only the disk has. The learner is sent that history as the leader itself came to it:
//!
//! 1. the snapshot that was loaded, from the disk, in pieces;
//! 2. PROPOSAL and COMMIT of the log behind it;
//! 3. what is outstanding, and from there on everything that is proposed.
//!
//! The disk answers late, so the second and third come in one step when the log was read: what was
//! committed meanwhile is in the committed log by then.

use bytes::{Bytes, BytesMut};
use wire::{SNAPSHOT_SIGNATURE, Zxid};

use super::Leader;
use super::learner_handler::Phase as H;
use crate::context::Ctx;
use crate::disk::{DiskOp, TxnEntry};
use crate::io::{ConnId, Task};
use crate::state_machine::StateMachine;

impl<S: StateMachine> Leader<S> {
    pub(super) fn send_stored_snapshot(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let (snapshot, length) = (ctx.db.snapshot_zxid, ctx.db.snapshot_bytes);
        let phase = H::SendingStoredSnapshot { snapshot, offset: 0, length };
        self.begin_snapshot(ctx, conn, snapshot, phase);
    }

    /// `Task::SnapshotSender`: ask for the next piece.
    pub(super) fn read_stored_piece(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId) {
        let Some(handler) = self.handlers.get(&conn) else { return };
        let H::SendingStoredSnapshot { snapshot, offset, .. } = handler.phase else { return };
        let length = ctx.io.config.settings.snapshot_slice.max(1) as u64;
        self.ask_disk(ctx, conn, DiskOp::ReadSnapshot { zxid: snapshot, offset, length });
    }

    pub(super) fn send_stored_piece(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, piece: Bytes) {
        let Some(handler) = self.handlers.get_mut(&conn) else { return };
        let H::SendingStoredSnapshot { snapshot, offset, length } = &mut handler.phase else { return };
        *offset += piece.len() as u64;
        let (snapshot, complete) = (*snapshot, offset >= length);
        handler.write(&mut ctx.io, piece);
        // Its answer is waited for from the end of the snapshot on, however long that takes.
        handler.read_deadline = ctx.io.now.mono + ctx.io.config.settings.init_time();
        if complete {
            let mut signature = BytesMut::new();
            wire::jute::put_buffer(&mut signature, Some(SNAPSHOT_SIGNATURE));
            handler.write(&mut ctx.io, signature.freeze());
            self.read_log_behind(ctx, conn, snapshot);
        } else if !handler.is_blocked() {
            ctx.io.schedule(Task::SnapshotSender(conn));
        }
    }

    /// What the committed log has forgotten of the history behind the snapshot is on the disk.
    fn read_log_behind(&mut self, ctx: &mut Ctx<'_, S>, conn: ConnId, snapshot: Zxid) {
        let reaches = ctx.db.committed_log.min().is_none_or(|min| min.0 <= snapshot.0 + 1);
        if reaches {
            return self.send_log_behind(ctx, conn, snapshot, Some(Vec::new()));
        }
        let through = ctx.db.committed_log.min().unwrap_or(snapshot);
        ctx.io.mark("leader: log behind the stored snapshot read");
        self.ask_disk(ctx, conn, DiskOp::ReadLogBehind { snapshot, through });
        if let Some(handler) = self.handlers.get_mut(&conn) {
            handler.phase = H::ReadingLogBehind { snapshot };
        }
    }

    /// `from_disk` and the committed log are the whole history behind the snapshot, unless so much was
    /// committed while the disk was busy that they do not meet: then it is asked again.
    pub(super) fn send_log_behind(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        conn: ConnId,
        snapshot: Zxid,
        from_disk: Option<Vec<TxnEntry>>,
    ) {
        let Some(from_disk) = from_disk else {
            let why = format!("the log behind the stored snapshot {snapshot} cannot be read, or has a gap");
            return self.drop_learner(ctx, conn, why);
        };
        let known = from_disk.last().map_or(snapshot, |last| last.zxid);
        if ctx.db.committed_log.min().is_some_and(|min| min.0 > known.0 + 1) {
            return self.read_log_behind(ctx, conn, snapshot);
        }
        let from_memory: Vec<TxnEntry> =
            ctx.db.committed_log.iter().filter(|entry| entry.zxid > known).cloned().collect();
        let last = from_memory.last().map_or(known, |last| last.zxid);
        if let Some(handler) = self.handlers.get(&conn) {
            self.proposals.forget_acks(handler.sid);
        }
        self.send_committed(ctx, conn, &from_disk);
        self.send_committed(ctx, conn, &from_memory);
        self.start_forwarding(ctx, conn, last);
        self.finish_sync(ctx, conn);
    }
}
