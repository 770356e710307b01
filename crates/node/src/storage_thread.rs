//! The disk, on a thread of its own: operations in, completions out, in order.

use std::sync::mpsc;
use std::thread;

use peer::{DiskDone, DiskOp, Input, OpId};
use storage::{Storage, StorageSettings};
use tokio::sync::mpsc::UnboundedSender;

use crate::host::Happened;
use crate::real_fs::RealFs;

pub struct StorageThread {
    ops: mpsc::Sender<(OpId, DiskOp)>,
    thread: thread::JoinHandle<()>,
}

impl StorageThread {
    pub fn start(fs: RealFs, settings: StorageSettings, answers: UnboundedSender<Happened>) -> StorageThread {
        let (ops, inbox) = mpsc::channel::<(OpId, DiskOp)>();
        let thread = thread::spawn(move || {
            let mut storage = Storage::new(fs, settings);
            while let Ok((id, op)) = inbox.recv() {
                let result = storage.execute(&op);
                if op.answers() || result.is_err() {
                    let done = Input::Disk(DiskDone { id, result });
                    if answers.send(Happened::Input(done)).is_err() {
                        return;
                    }
                }
            }
        });
        StorageThread { ops, thread }
    }

    pub fn execute(&self, id: OpId, op: DiskOp) {
        // The thread ends only with the host.
        let _ = self.ops.send((id, op));
    }

    /// Carry out what was asked for, then end.
    pub fn finish(self) {
        drop(self.ops);
        let _ = self.thread.join();
    }
}
