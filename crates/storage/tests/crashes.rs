//! A crash, or a failure, at every call to the file system: what a member finds afterwards is the state
//! before the operation, the state after it, or a step between that lost nothing it must keep.

mod common;

use std::collections::BTreeSet;

use common::crash_fs::{CrashFs, Fate};
use common::{
    disk, entries, history, install_ops, log_file, settings, snapshot_file, snapshot_ops, storage, zxid,
};
use storage::config_file::{SEEN, active_name};
use storage::{FsError, MemFs, Storage, recover};
use wire::{Epoch, Zxid};
use zab::{ConfigFile, DiskAnswer, DiskError, DiskOp, EpochFile, Recovered, TxnEntry};

const FATES: u64 = 40;

/// What a member comes back with, as far as it matters to others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    history: Vec<Zxid>,
    accepted: Epoch,
    current: Epoch,
}

fn state(recovered: &Recovered) -> State {
    State {
        history: history(recovered),
        accepted: recovered.accepted_epoch,
        current: recovered.current_epoch,
    }
}

fn state_of(disk: &MemFs) -> State {
    match recover(disk, settings().commit_log_count) {
        Ok(recovered) => state(&recovered),
        Err(error) => panic!("refused after a crash: {error}; files {:?}", disk.files.keys()),
    }
}

fn load<F: storage::FileSystem>(storage: &mut Storage<F>) -> Result<Recovered, DiskError> {
    match storage.execute(&DiskOp::Load)? {
        DiskAnswer::Loaded(recovered) => Ok(*recovered),
        other => panic!("{other:?} of a Load"),
    }
}

/// The state of `disk`, from a Load that itself dies at every call once.
fn state_after_crashes_in_load(disk: &MemFs, fate: Fate) -> State {
    let expected = state_of(disk);
    for calls in 0.. {
        let mut fs = CrashFs::new(disk);
        fs.calls_left = calls;
        let mut storage = storage(fs);
        let outcome = load(&mut storage);
        assert_eq!(state_of(&storage.fs.after(fate)), expected, "Load died after {calls} calls, {fate:?}");
        match outcome {
            Err(error) => assert_eq!(error, DiskError::Killed),
            Ok(recovered) => {
                assert_eq!(state(&recovered), expected);
                // What a member votes with is durable.
                assert_eq!(state_of(&storage.fs.after(Fate::Lost)), expected);
                return expected;
            }
        }
    }
    unreachable!("some number of calls is enough")
}

fn fates() -> impl Iterator<Item = Fate> {
    [Fate::Kept, Fate::Lost].into_iter().chain((0..FATES).map(Fate::Mixed))
}

/// Run `setup` safely, then `ops` with a crash after each number of calls. `allowed(done, state)` judges
/// what is found, where the first `done` operations were answered. Gives the states seen.
fn crash_everywhere(
    start: &MemFs,
    setup: &[DiskOp],
    ops: &[DiskOp],
    allowed: impl Fn(usize, &State) -> bool,
) -> BTreeSet<State> {
    let mut ready = storage(CrashFs::new(start));
    load(&mut ready).expect("a good disk");
    for op in setup {
        ready.execute(op).expect("set up");
    }
    let mut seen = BTreeSet::new();
    for calls in 0.. {
        let mut dying = ready.clone();
        dying.fs.calls_left = calls;
        let done = ops.iter().take_while(|op| dying.execute(op).is_ok()).count();
        let check = |found: &State, how: &str| {
            assert!(allowed(done, found), "{how} after {calls} calls, {done} operations done: {found:?}");
        };
        for fate in fates() {
            let found = state_after_crashes_in_load(&dying.fs.after(fate), fate);
            check(&found, &format!("{fate:?}"));
            seen.insert(found);
        }

        // An error instead of a crash: the same process reads its disk again, and may lose power then.
        let mut failing = ready.clone();
        failing.fs.calls_left = calls;
        failing.fs.failure = FsError::NoSpace;
        let failed = ops.iter().find_map(|op| failing.execute(op).err());
        assert_eq!(failed.is_some(), done < ops.len(), "dies and fails at the same call");
        assert!(failed.is_none_or(|error| matches!(error, DiskError::NoSpace(_))));
        failing.fs.calls_left = u32::MAX;
        let found = state(&load(&mut failing).expect("the disk is well again"));
        check(&found, "failed");
        assert_eq!(state_of(&failing.fs.after(Fate::Lost)), found);

        if done == ops.len() {
            return seen;
        }
    }
    unreachable!("some number of calls is enough")
}

/// snapshot.0 and 1.1 to 1.6 in two logs, epoch 1.
fn two_logs() -> MemFs {
    disk(
        1,
        &[
            ("snapshot.0", snapshot_file(Zxid::ZERO)),
            ("log.100000001", log_file(&entries(1, 1..=3))),
            ("log.100000004", log_file(&entries(1, 4..=6))),
        ],
    )
}

fn upto(counter: u32) -> Vec<Zxid> {
    std::iter::once(Zxid::ZERO).chain((1..=counter).map(|counter| zxid(1, counter))).collect()
}

fn is_epoch_1(state: &State) -> bool {
    (state.accepted, state.current) == (Epoch(1), Epoch(1))
}

/// A whole history `0, 1.1, …` with at least `least` and at most `most` transactions.
fn is_prefix(state: &State, least: u32, most: u32) -> bool {
    is_epoch_1(state) && (least..=most).any(|counter| state.history == upto(counter))
}

#[test]
fn first_start() {
    let empty = State { history: vec![Zxid::ZERO], accepted: Epoch(0), current: Epoch(0) };
    for fate in fates() {
        assert_eq!(state_after_crashes_in_load(&MemFs::default(), fate), empty);
    }
}

#[test]
fn append_and_sync() {
    let ops = [
        DiskOp::Append(entries(1, 7..=9)),
        DiskOp::Sync,
        DiskOp::Append(entries(1, 10..=30)),
        DiskOp::Append(entries(1, 31..=31)),
        DiskOp::Sync,
    ];
    let seen = crash_everywhere(&two_logs(), &[], &ops, |done, state| {
        let (least, most) = match done {
            0 => (6, 9),
            1 => (6, 9),
            2 => (9, 30),
            3 => (9, 31),
            4 => (9, 31),
            _ => (31, 31),
        };
        is_prefix(state, least, most)
    });
    assert!(seen.len() > 5, "lost sectors leave many ends: {}", seen.len());
}

#[test]
fn roll() {
    // The rolled log is not synced before the next one has bytes of its own.
    let setup = [DiskOp::Append(entries(1, 7..=8)), DiskOp::Sync];
    let ops = [
        DiskOp::Append(entries(1, 9..=20)),
        DiskOp::Roll,
        DiskOp::Append(entries(1, 21..=30)),
        DiskOp::Roll,
        DiskOp::Append(entries(1, 31..=31)),
        DiskOp::Sync,
    ];
    let seen = crash_everywhere(&two_logs(), &setup, &ops, |done, state| {
        is_prefix(state, if done == ops.len() { 31 } else { 8 }, 31)
    });
    assert!(seen.len() > 5);
}

#[test]
fn write_epoch() {
    let ops = [
        DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(12)),
        DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(12)),
    ];
    let seen = crash_everywhere(&two_logs(), &[], &ops, |done, state| {
        let epochs = (state.accepted, state.current);
        let steps = [(Epoch(1), Epoch(1)), (Epoch(12), Epoch(1)), (Epoch(12), Epoch(12))];
        state.history == upto(6) && steps[done..].iter().take(2).any(|step| *step == epochs)
    });
    assert_eq!(seen.len(), 3);
}

/// What the next start finds is always the configuration that was seen, or that one active: `zoo.cfg` names it.
#[test]
fn write_config() {
    let text = b"server.1=h:1:2:participant\nversion=1a";
    let write = |file| DiskOp::WriteConfig { file, version: Zxid(0x1a), text: text.to_vec().into() };
    let name = active_name(Zxid(0x1a));
    let found = |disk: &MemFs| {
        let whole = |name: &str, end: &[u8]| disk.files.get(name).is_some_and(|bytes| bytes.ends_with(end));
        let named = disk.files.get("zoo.cfg").is_some_and(|bytes| *bytes == name.as_bytes());
        (whole(SEEN, b"version=1a"), named.then(|| whole(&name, b"participant")))
    };
    for fate in fates() {
        for calls in 0.. {
            let mut storage = storage(CrashFs::new(&MemFs::default()));
            storage.execute(&write(ConfigFile::Seen)).expect("written");
            storage.fs.calls_left = calls;
            let outcome = storage.execute(&write(ConfigFile::Active));
            let (seen, active) = found(&storage.fs.after(fate));
            assert!(
                active != Some(false),
                "died after {calls} calls, {fate:?}: zoo.cfg names what is not there"
            );
            assert!(seen || active.is_some(), "died after {calls} calls, {fate:?}");
            match outcome {
                Err(error) => assert_eq!(error, DiskError::Killed),
                Ok(_) => {
                    assert_eq!((seen, active), (false, Some(true)));
                    break;
                }
            }
        }
    }
}

/// What does not fit is told as such, whatever it is that is in the way; the reconfig, which is next, is not logged then.
#[test]
fn a_configuration_that_is_not_kept() {
    let mut storage = storage(CrashFs::new(&MemFs::default()));
    (storage.fs.calls_left, storage.fs.failure) = (0, FsError::NoSpace);
    let (file, version) = (ConfigFile::Seen, Zxid(1));
    let outcome = storage.execute(&DiskOp::WriteConfig { file, version, text: Default::default() });
    assert!(matches!(outcome, Err(DiskError::ConfigNotKept(why)) if why.contains(SEEN)));
    (storage.fs.calls_left, storage.fs.failure) = (u32::MAX, FsError::NoSpace);
    assert!(storage.execute(&DiskOp::Append(entries(1, 1..=1))).is_err());
    let loaded = storage.execute(&DiskOp::Load).expect("loaded");
    assert!(matches!(loaded, DiskAnswer::Loaded(recovered) if recovered.log.is_empty()));
    assert!(storage.execute(&DiskOp::Append(entries(1, 1..=1))).is_ok());
}

#[test]
fn snapshot() {
    let setup = [DiskOp::Append(entries(1, 7..=8)), DiskOp::Sync];
    let mut ops = snapshot_ops(zxid(1, 7));
    ops.extend([DiskOp::Append(entries(1, 9..=9)), DiskOp::Sync]);
    crash_everywhere(&two_logs(), &setup, &ops, |done, state| {
        // With the snapshot at 1.7 the history before it is the committed log: it has no zxid 0.
        let trim = |state: &State| {
            let history = state.history.iter().copied().filter(|zxid| *zxid != Zxid::ZERO).collect();
            State { history, ..state.clone() }
        };
        let synced = if done == ops.len() { 9 } else { 8 };
        let ends = (synced..=9).map(|end| upto(end)[1..].to_vec());
        is_epoch_1(state) && ends.into_iter().any(|end| trim(state).history == end)
    });
}

#[test]
fn truncate() {
    let mut start = two_logs();
    start.files.insert("log.100000007".into(), log_file(&entries(1, 7..=9)));
    // To the middle of each log, to their borders and to the very end.
    for target in 1..=9 {
        let ops = [DiskOp::Truncate(zxid(1, target))];
        let seen = crash_everywhere(&start, &[], &ops, |done, state| {
            is_prefix(state, target, if done == 1 { target } else { 9 })
        });
        let whole = seen.iter().any(|state| state.history == upto(9));
        assert!(whole, "to 1.{target}: never before");
        assert!(seen.iter().any(|state| state.history == upto(target)), "to 1.{target}: never after");
    }
}

#[test]
fn truncate_with_a_newer_snapshot() {
    let mut start = two_logs();
    start.files.insert("snapshot.100000005".into(), snapshot_file(zxid(1, 5)));
    let ops = [DiskOp::Truncate(zxid(1, 2)), DiskOp::Append(entries(1, 3..=3)), DiskOp::Sync];
    let own = |counter: u32| upto(counter)[1..].to_vec();
    crash_everywhere(&start, &[], &ops, |done, state| {
        let without_zero: Vec<Zxid> =
            state.history.iter().copied().filter(|zxid| *zxid != Zxid::ZERO).collect();
        let ends = match done {
            0 => 2..=6,
            3 => 3..=3,
            _ => 2..=3,
        };
        is_epoch_1(state) && ends.into_iter().any(|end| without_zero == own(end))
    });
}

fn epoch_ops(epoch: i64) -> [DiskOp; 2] {
    [EpochFile::AcceptedEpoch, EpochFile::CurrentEpoch].map(|file| DiskOp::WriteEpoch(file, Epoch(epoch)))
}

/// What an installation at `zxid` with `log` behind it leaves.
fn installed(zxid: Zxid, log: &[TxnEntry]) -> Vec<Zxid> {
    std::iter::once(zxid).chain(log.iter().map(|entry| entry.zxid)).collect()
}

/// Logs behind the snapshot at 2.4: none, some, and one of several epochs.
fn logs_behind() -> [Vec<TxnEntry>; 3] {
    [Vec::new(), entries(2, 5..=30), [entries(2, 5..=6), entries(3, 1..=2)].concat()]
}

/// The snapshot and the log behind it, or the older history: never one without the other, and nothing of
/// both.
#[test]
fn install() {
    for log in logs_behind() {
        let snapshot = zxid(2, 4);
        let [accepted, current] = epoch_ops(3);
        let mut ops = install_ops(snapshot, 3, &log);
        let history = installed(snapshot, &log);
        let before = State { history: upto(6), accepted: Epoch(3), current: Epoch(1) };
        let after = State { history, accepted: Epoch(3), current: Epoch(3) };

        // Of an epoch that is current already: at once.
        let old = State { current: Epoch(3), ..before.clone() };
        let seen =
            crash_everywhere(&two_logs(), &[accepted.clone(), current.clone()], &ops, |done, state| {
                *state == after || (done < ops.len() && *state == old)
            });
        assert_eq!(seen.len(), 2);

        ops.push(current);
        let seen = crash_everywhere(&two_logs(), &[accepted], &ops, |done, state| {
            *state == after || (done < ops.len() && *state == before)
        });
        assert_eq!(seen.len(), 2);
    }
}

/// The log behind an installed snapshot holds transactions of epochs that the older history has too:
/// rolled back, they are not in it.
#[test]
fn install_over_a_history_of_the_same_epoch() {
    let snapshot = zxid(1, 3);
    let log = entries(1, 4..=9);
    let [accepted, current] = epoch_ops(2);
    let mut ops = install_ops(snapshot, 2, &log);
    ops.push(current);
    let before = State { history: upto(6), accepted: Epoch(2), current: Epoch(1) };
    let after = State { history: installed(snapshot, &log), accepted: Epoch(2), current: Epoch(2) };
    let seen = crash_everywhere(&two_logs(), &[accepted], &ops, |done, state| {
        *state == after || (done < ops.len() && *state == before)
    });
    assert_eq!(seen.len(), 2);
}

/// What was appended and synced behind an installation stays.
#[test]
fn after_an_install() {
    for log in logs_behind() {
        let snapshot = zxid(2, 4);
        let [accepted, current] = epoch_ops(3);
        let mut setup = vec![accepted];
        setup.extend(install_ops(snapshot, 3, &log));
        // The log behind the snapshot may go to 3.2.
        let next =
            log.last().filter(|last| last.zxid.epoch() == Epoch(3)).map_or(1, |last| last.zxid.counter() + 1);
        setup.extend([current, DiskOp::Append(entries(3, next..=next + 1)), DiskOp::Sync]);
        let ops = [DiskOp::Append(entries(3, next + 2..=next + 2)), DiskOp::Sync];
        let more = [next, next + 1, next + 2].map(|counter| zxid(3, counter)).to_vec();
        let all = [installed(snapshot, &log), more].concat();
        crash_everywhere(&two_logs(), &setup, &ops, |done, state| {
            let least = all.len() - usize::from(done < 2);
            (least..=all.len()).any(|n| state.history == all[..n]) && state.current == Epoch(3)
        });
    }
}

/// Only the latest install counts: an older one that was never activated must not come back.
#[test]
fn a_second_install() {
    for (old_log, new_log) in
        [(vec![], vec![]), (entries(2, 5..=6), vec![]), (entries(2, 5..=6), entries(3, 2..=3))]
    {
        let (old, new) = (zxid(2, 4), zxid(3, 1));
        let [accepted, current] = epoch_ops(3);
        let mut setup = vec![accepted];
        setup.extend(install_ops(old, 2, &old_log));
        let mut ops = install_ops(new, 3, &new_log);
        let after = installed(new, &new_log);
        let next = after.last().map_or(0, |last| last.counter() + 1);
        ops.extend([current, DiskOp::Append(entries(3, next..=next)), DiskOp::Sync]);
        let more = [after.clone(), vec![zxid(3, next)]].concat();
        crash_everywhere(&two_logs(), &setup, &ops, |done, state| match done {
            0..=3 => state.history == upto(6) || state.history == after,
            6 => state.history == more,
            _ => state.history == after || state.history == more,
        });
    }
}
