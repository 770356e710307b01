//! The disk, on threads of its own, one a lane: operations in, completions out, in order within a lane. A
//! snapshot that takes long holds up no sync. An operation that needs all lanes comes behind everything
//! that was asked before it, in whatever lane, and before everything that is asked after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use peer::{DiskDone, DiskOp, Input, Lane, OpId};
use storage::{
    AllLanes, Answer, EpochLane, FileSystem, LogLane, SnapshotLane, StorageSettings, needs_all_lanes,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::host::Happened;
use crate::metrics::DiskTimes;

/// What the lanes keep. Each thread takes its own; one whose operation needs them all waits until the others
/// stand still.
struct Lanes {
    settings: StorageSettings,
    times: DiskTimes,
    log: Mutex<LogLane>,
    epochs: Mutex<EpochLane>,
    snapshots: Mutex<SnapshotLane>,
}

/// A panic ends the process (see `Watch`): what it left behind is not looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    fn execute<F: FileSystem>(&self, fs: &mut F, op: &DiskOp) -> Answer {
        if needs_all_lanes(op) {
            return AllLanes {
                fs,
                settings: &self.settings,
                log: &mut lock(&self.log),
                epochs: &mut lock(&self.epochs),
                snapshots: &mut lock(&self.snapshots),
            }
            .execute(op);
        }
        match op.lane() {
            Lane::Log => lock(&self.log).execute(fs, &self.settings, op),
            Lane::Epoch => lock(&self.epochs).execute(fs, op),
            Lane::Snapshot => lock(&self.snapshots).execute(fs, &self.settings, op),
        }
    }
}

/// Tells the host when a lane's thread ends by a panic: nobody would answer any more.
struct Watch(UnboundedSender<Happened>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Happened::DiskThreadDied);
        }
    }
}

enum Job {
    Do(OpId, DiskOp),
    /// Another lane's operation needs this one: say that everything before is done, and stand still until
    /// that operation is, which shows in the end of `until`.
    StandStill {
        said: mpsc::Sender<()>,
        until: mpsc::Receiver<()>,
    },
    /// The operation that needs the others; they stand still when each has said so.
    Alone {
        id: OpId,
        op: DiskOp,
        others: [(mpsc::Receiver<()>, mpsc::Sender<()>); 2],
    },
}

struct LaneThread {
    jobs: mpsc::Sender<Job>,
    /// Its other end goes with the thread.
    ended: mpsc::Receiver<()>,
}

/// Time for what is under way when the node stops. A database that is being read takes longer, and nobody waits
/// for it; what is not done then is what a crash leaves.
const LAST: Duration = Duration::from_secs(5);

impl LaneThread {
    fn start<F>(name: &str, mut fs: F, lanes: Arc<Lanes>, answers: UnboundedSender<Happened>) -> LaneThread
    where
        F: FileSystem + Send + 'static,
    {
        let (jobs, inbox) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let work = move || {
            let _end: mpsc::Sender<()> = end;
            let watch = Watch(answers);
            while let Ok(job) = inbox.recv() {
                let (id, op) = match &job {
                    Job::Do(id, op) => (*id, op),
                    Job::StandStill { said, until } => {
                        let _ = said.send(());
                        // It ends when the other lane lets go of its end.
                        let _ = until.recv();
                        continue;
                    }
                    Job::Alone { id, op, others } => {
                        for (stands_still, _) in others {
                            let _ = stands_still.recv();
                        }
                        (*id, op)
                    }
                };
                let began = Instant::now();
                let result = lanes.execute(&mut fs, op);
                lanes.times.add(op, began.elapsed());
                if op.answers() || result.is_err() {
                    let done = Input::Disk(DiskDone { id, result });
                    if watch.0.send(Happened::Input(done)).is_err() {
                        return;
                    }
                }
            }
        };
        thread::Builder::new().name(name.into()).spawn(work).expect("the system starts a thread");
        LaneThread { jobs, ended }
    }
}

impl LaneThread {
    /// What tells that it stands still, and what lets it go on when it is dropped.
    fn stand_still(&self) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (said, stands_still) = mpsc::channel();
        let (go_on, until) = mpsc::channel();
        let _ = self.jobs.send(Job::StandStill { said, until });
        (stands_still, go_on)
    }
}

pub struct DiskThreads {
    log: LaneThread,
    epochs: LaneThread,
    snapshots: LaneThread,
}

impl DiskThreads {
    /// Clones of `fs` are handles to the same files.
    pub fn start<F>(
        fs: &F,
        settings: StorageSettings,
        times: &DiskTimes,
        answers: &UnboundedSender<Happened>,
    ) -> DiskThreads
    where
        F: FileSystem + Clone + Send + 'static,
    {
        let lanes = Arc::new(Lanes {
            settings,
            times: times.clone(),
            log: Mutex::default(),
            epochs: Mutex::default(),
            snapshots: Mutex::default(),
        });
        let start = |name: &str| LaneThread::start(name, fs.clone(), Arc::clone(&lanes), answers.clone());
        DiskThreads { log: start("disk-log"), epochs: start("disk-epoch"), snapshots: start("disk-snapshot") }
    }

    pub fn execute(&self, id: OpId, op: DiskOp) {
        let (lane, others) = match op.lane() {
            Lane::Log => (&self.log, [&self.epochs, &self.snapshots]),
            Lane::Epoch => (&self.epochs, [&self.log, &self.snapshots]),
            Lane::Snapshot => (&self.snapshots, [&self.log, &self.epochs]),
        };
        let job = if needs_all_lanes(&op) {
            Job::Alone { id, op, others: others.map(LaneThread::stand_still) }
        } else {
            Job::Do(id, op)
        };
        // The thread ends only with the host, or by a panic that the host is told of.
        let _ = lane.jobs.send(job);
    }

    /// Carry out what was asked for, then end. False where that takes too long.
    pub fn finish(self) -> bool {
        let until = Instant::now() + LAST;
        let lanes = [self.log, self.epochs, self.snapshots];
        let ends = lanes.map(|LaneThread { ended, .. }| ended);
        // Nothing is ever sent: it is over when the other end is gone.
        let ended = |end: &mpsc::Receiver<()>| {
            end.recv_timeout(until.saturating_duration_since(Instant::now()))
                != Err(mpsc::RecvTimeoutError::Timeout)
        };
        ends.iter().all(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;

    use bytes::Bytes;
    use peer::{DiskAnswer, EpochFile, TxnEntry};
    use storage::{FsError, MemFs};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use wire::{Epoch, Zxid};

    /// A disk of which snapshots are not written before the gate opens.
    #[derive(Clone, Default)]
    struct SlowSnapshots {
        files: Arc<Mutex<MemFs>>,
        gate: Arc<(Mutex<bool>, Condvar)>,
    }

    impl SlowSnapshots {
        fn wait(&self, name: &str) {
            if name.starts_with("snapshot.") {
                let open = lock(&self.gate.0);
                drop(self.gate.1.wait_while(open, |open| !*open));
            }
        }
        fn open(&self) {
            *lock(&self.gate.0) = true;
            self.gate.1.notify_all();
        }
    }

    impl FileSystem for SlowSnapshots {
        fn list(&self) -> Vec<String> {
            lock(&self.files).list()
        }
        fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
            lock(&self.files).read(name)
        }
        fn len(&self, name: &str) -> Result<u64, FsError> {
            lock(&self.files).len(name)
        }
        fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
            lock(&self.files).read_at(name, offset, length)
        }
        fn create(&mut self, name: &str) -> Result<(), FsError> {
            assert!(name != "log.10000dead", "on purpose: the thread dies");
            lock(&self.files).create(name)
        }
        fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
            self.wait(name);
            lock(&self.files).write_at(name, offset, bytes)
        }
        fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError> {
            lock(&self.files).set_len(name, len)
        }
        fn sync(&mut self, name: &str) -> Result<(), FsError> {
            lock(&self.files).sync(name)
        }
        fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
            lock(&self.files).rename(from, to)
        }
        fn remove(&mut self, name: &str) -> Result<(), FsError> {
            lock(&self.files).remove(name)
        }
        fn sync_dir(&mut self) -> Result<(), FsError> {
            lock(&self.files).sync_dir()
        }
    }

    struct Disk {
        threads: DiskThreads,
        answers: UnboundedReceiver<Happened>,
        asked: u64,
    }

    impl Disk {
        fn new(fs: &SlowSnapshots) -> Disk {
            let (happened, answers) = unbounded_channel();
            let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
            Disk {
                threads: DiskThreads::start(fs, settings, &DiskTimes::default(), &happened),
                answers,
                asked: 0,
            }
        }
        fn ask(&mut self, op: DiskOp) -> u64 {
            self.asked += 1;
            self.threads.execute(OpId { generation: 1, seq: self.asked }, op);
            self.asked
        }
        fn next(&mut self) -> Option<Happened> {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let next = async { tokio::time::timeout(Duration::from_secs(5), self.answers.recv()).await };
            runtime.block_on(next).ok()?
        }
        fn answer(&mut self) -> Option<(u64, Answer)> {
            match self.next() {
                Some(Happened::Input(Input::Disk(done))) => Some((done.id.seq, done.result)),
                _ => None,
            }
        }
    }

    fn entry(counter: u32) -> TxnEntry {
        let zxid = Zxid::new(Epoch(1), counter);
        let mut txn = vec![0; 36];
        txn[12..20].copy_from_slice(&zxid.0.to_be_bytes());
        txn[28..32].copy_from_slice(&(-1i32).to_be_bytes());
        TxnEntry { zxid, txn: Bytes::from(txn) }
    }

    #[test]
    fn a_slow_snapshot_holds_up_no_sync() {
        let fs = SlowSnapshots::default();
        let mut disk = Disk::new(&fs);
        fs.open();
        let load = disk.ask(DiskOp::Load);
        assert!(matches!(disk.answer(), Some((seq, Ok(DiskAnswer::Loaded(_)))) if seq == load));
        for file in [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch] {
            let epoch = disk.ask(DiskOp::WriteEpoch(file, Epoch(1)));
            assert_eq!(disk.answer(), Some((epoch, Ok(DiskAnswer::Done))));
        }
        *lock(&fs.gate.0) = false;

        let zxid = Zxid::new(Epoch(1), 1);
        disk.ask(DiskOp::Append(vec![entry(1)]));
        disk.ask(DiskOp::Roll);
        disk.ask(DiskOp::SnapshotSlice { zxid, bytes: storage::recover::empty_body() });
        let snapshot = disk.ask(DiskOp::SnapshotFinish { zxid });
        for counter in 2..5 {
            disk.ask(DiskOp::Append(vec![entry(counter)]));
            let sync = disk.ask(DiskOp::Sync);
            assert_eq!(disk.answer(), Some((sync, Ok(DiskAnswer::Done))));
        }
        let epoch = disk.ask(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2)));
        assert_eq!(disk.answer(), Some((epoch, Ok(DiskAnswer::Done))));
        assert!(!fs.list().contains(&"snapshot.100000001".into()), "the snapshot waits");

        fs.open();
        assert_eq!(disk.answer(), Some((snapshot, Ok(DiskAnswer::Done))));
        let load = disk.ask(DiskOp::Load);
        match disk.answer() {
            Some((seq, Ok(DiskAnswer::Loaded(recovered)))) if seq == load => {
                assert_eq!(recovered.last_zxid(), Zxid::new(Epoch(1), 4));
                assert_eq!(recovered.snapshot.as_ref().map(|(at, _)| *at), Some(zxid));
            }
            other => panic!("expected what was loaded, got {other:?}"),
        }
        assert!(disk.threads.finish());
    }

    /// A role that ended while a snapshot was being written: its last slices and their SnapshotAbandon answer
    /// nothing, and the Load behind them must not run before them.
    #[test]
    fn a_load_comes_behind_what_was_asked_before_it() {
        let fs = SlowSnapshots::default();
        let mut disk = Disk::new(&fs);
        let zxid = Zxid::new(Epoch(1), 1);
        disk.ask(DiskOp::SnapshotSlice { zxid, bytes: storage::recover::empty_body() });
        disk.ask(DiskOp::SnapshotAbandon { zxid });
        let load = disk.ask(DiskOp::Load);
        std::thread::sleep(Duration::from_millis(100));
        assert!(disk.answers.is_empty(), "the slice waits, and so does Load");
        fs.open();
        assert!(matches!(disk.answer(), Some((seq, Ok(DiskAnswer::Loaded(_)))) if seq == load));
        assert_eq!(fs.list(), ["acceptedEpoch", "currentEpoch", "snapshot.0"]);
        assert!(disk.threads.finish());
    }

    /// What takes for ever is not waited for; everything before it is done.
    #[test]
    fn the_end_is_bounded() {
        let fs = SlowSnapshots::default();
        let mut disk = Disk::new(&fs);
        disk.ask(DiskOp::SnapshotSlice {
            zxid: Zxid::new(Epoch(1), 1),
            bytes: storage::recover::empty_body(),
        });
        disk.ask(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(1)));
        let began = Instant::now();
        assert!(!disk.threads.finish());
        assert!(began.elapsed() < LAST + Duration::from_secs(2));
        assert_eq!(fs.list(), ["acceptedEpoch", "snapshot.100000001.tmp"]);
        fs.open();
    }

    #[test]
    fn the_death_of_a_thread_is_told() {
        let mut disk = Disk::new(&SlowSnapshots::default());
        disk.ask(DiskOp::Append(vec![entry(0xdead)]));
        assert!(matches!(disk.next(), Some(Happened::DiskThreadDied)));
        assert!(disk.threads.finish());
    }

    /// currentEpoch with an Install waits for what other lanes are doing, then replaces the history.
    #[test]
    fn what_needs_all_lanes_waits_for_them() {
        let fs = SlowSnapshots::default();
        let mut disk = Disk::new(&fs);
        fs.open();
        disk.ask(DiskOp::Load);
        assert!(disk.answer().is_some());
        disk.ask(DiskOp::Append(vec![entry(1)]));
        let zxid = Zxid::new(Epoch(1), 1);
        *lock(&fs.gate.0) = false;
        disk.ask(DiskOp::SnapshotSlice { zxid, bytes: storage::recover::empty_body() });
        let snapshot = disk.ask(DiskOp::SnapshotFinish { zxid });
        let at = Zxid::new(Epoch(2), 7);
        disk.ask(DiskOp::SnapshotSlice { zxid: at, bytes: storage::recover::empty_body() });
        let install = disk.ask(DiskOp::Install { zxid: at, epoch: Epoch(2), log: Vec::new() });
        fs.open();
        assert_eq!(disk.answer(), Some((snapshot, Ok(DiskAnswer::Done))));
        assert_eq!(disk.answer(), Some((install, Ok(DiskAnswer::Done))));
        assert!(fs.list().iter().any(|name| name.starts_with("log.")), "the older history stays");
        let epoch = disk.ask(DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(2)));
        assert_eq!(disk.answer(), Some((epoch, Ok(DiskAnswer::Done))));
        // acceptedEpoch of the first Load would be below it; the log lane begins a new file.
        assert_eq!(fs.list(), ["acceptedEpoch", "currentEpoch", "snapshot.200000007"]);
        disk.ask(DiskOp::Append(vec![entry(9)]));
        let sync = disk.ask(DiskOp::Sync);
        assert_eq!(disk.answer(), Some((sync, Ok(DiskAnswer::Done))));
        assert!(fs.list().contains(&"log.100000009".into()));
        assert!(disk.threads.finish());
    }
}
