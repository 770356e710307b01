//! Recovery: what a disk holds for a member that starts. A plan is made by reading only (`recover`,
//! which checkers call too), and `Storage` carries it out durably before it answers `Load`.
//!
//! | # | found | done |
//! |---|---|---|
//! | A | nothing at all | an empty database: `snapshot.0`, both epochs 0 |
//! | B | an install of epoch E, valid, currentEpoch ≥ E | it had taken effect: it is the whole history |
//! | C | an install, else, or a part of one | dropped: nobody counted on it |
//! | D | log entries, no valid snapshot | refused: missing data is not an empty database (ZOOKEEPER-2325) |
//! | E | snapshots or log entries of an epoch above currentEpoch | cut: never acknowledged |
//! | F | damage in the last log that looks torn | cut, with a warning |
//! | G | other damage, or damage before the last log | refused: it may have been acknowledged |
//! | H | an epoch file is missing | currentEpoch is epoch(last zxid), acceptedEpoch is currentEpoch |
//! | I | acceptedEpoch < currentEpoch | refused |
//! | J | behind the snapshot, zxids missing inside an epoch | refused: they may have been acknowledged |
//! | K | a snapshot of another database, by its dbid | refused: an older one would hide that it is the wrong directory |
//!
//! Row J: a leader proposes consecutive zxids, and a member logs all of them or gets a snapshot above those
//! that it missed. So the log may have holes below the snapshot, but behind it, and between it and the first
//! record, none inside an epoch: a file or its end is gone, or a newer snapshot is that held what is missing.
//! (A crash leaves no such hole: a log is durable before the next one begins.) Where an epoch begins is not
//! asked; a leader may be told to begin above 1 (`testingonly.initialZxid`), and so the first counter behind a
//! snapshot of an epoch's very beginning may be any. Java replays over the hole.

use bytes::{Bytes, BytesMut};
use wire::{Epoch, SnapshotWriter, StatPersisted, Zxid};
use zab::{DiskError, EpochFile, Recovered, Switch, TxnEntry};

use crate::compression::snapshot_zxid;
use crate::epoch;
use crate::fs::FileSystem;
use crate::install::{self, find_install};
use crate::installed::Snapshots;
use crate::log_reader::{End, HEADER_LEN, file_name, read_log, zxid_of_name};
use crate::snapshot;
use crate::storage::StorageSettings;

/// What recovery would answer, and what it has to change on the disk for that.
#[derive(Clone, Debug)]
pub struct Plan {
    pub recovered: Recovered,
    pub remove: Vec<String>,
    pub cut: Vec<(String, u64)>,
    /// Row B: rename each to its last name, in order, after everything else is removed.
    pub roll_forward: Vec<(String, String)>,
    /// The file that the snapshot was read from, by its name at the end.
    pub snapshot_name: String,
    /// Row A.
    pub first_start: bool,
}

/// The body of an empty tree, as Java's 3.4 writes it: no sessions, no ACLs, the root, `/zookeeper` and its
/// `quota`. A Java server adds only `/zookeeper/config` (3.5+) to what a snapshot holds.
pub fn empty_body() -> Bytes {
    let mut body = BytesMut::new();
    SnapshotWriter::count(&mut body, 0);
    SnapshotWriter::count(&mut body, 0);
    for path in ["", "/zookeeper", "/zookeeper/quota"] {
        SnapshotWriter::node(&mut body, path.as_bytes(), Some(b""), -1, &StatPersisted::default());
    }
    SnapshotWriter::end(&mut body);
    body.freeze()
}

/// What `recover(disk)` is: the history with which a member would come back.
pub fn recover<F: FileSystem>(fs: &F, commit_log_count: usize) -> Result<Recovered, DiskError> {
    let settings = StorageSettings { commit_log_count, ..StorageSettings::default() };
    plan(fs, &settings).map(|plan| plan.recovered)
}

pub fn plan<F: FileSystem>(fs: &F, settings: &StorageSettings) -> Result<Plan, DiskError> {
    let mut names = fs.list();
    names.sort();
    let current = epoch::read(fs, EpochFile::CurrentEpoch)?;
    let accepted = epoch::read(fs, EpochFile::AcceptedEpoch)?;
    // Row E. Wrong (ZOOKEEPER-1653): nothing is cut, and what stands above currentEpoch is refused.
    let refuses_above = settings.switches.has(Switch::SnapshotThenEpochUnmarked);
    let cut_above = current.filter(|_| !refuses_above);
    let mut plan = Plan {
        recovered: Recovered {
            snapshot: None,
            log: Vec::new(),
            before_snapshot: Vec::new(),
            accepted_epoch: Epoch(0),
            current_epoch: Epoch(0),
            snapshot_bytes: 0,
            untrusted_empty: false,
            warnings: Vec::new(),
        },
        remove: names.iter().filter(|name| name.ends_with(".tmp")).cloned().collect(),
        cut: Vec::new(),
        roll_forward: Vec::new(),
        snapshot_name: file_name("snapshot", Zxid::ZERO),
        first_start: false,
    };
    let entries = match find_install(fs, &names, current, &mut plan)? {
        Some(install::Log::Installed(entries)) => entries,
        Some(install::Log::InPlace) => {
            read_logs(fs, &names, cut_above, settings.commit_log_count, &mut plan)?
        }
        None => {
            find_snapshot(fs, &names, cut_above, &mut plan)?;
            read_logs(fs, &names, cut_above, settings.commit_log_count, &mut plan)?
        }
    };
    match &plan.recovered.snapshot {
        None if entries.is_empty() => {
            plan.first_start = true;
            plan.recovered.snapshot_bytes = empty_body().len() as u64;
            plan.recovered.snapshot = Some((Zxid::ZERO, empty_body()));
        }
        // Wrong (ZOOKEEPER-2325): what the snapshots held is taken for empty.
        None if settings.switches.has(Switch::MissingSnapshotsMeanEmpty) => {
            plan.recovered.snapshot_bytes = empty_body().len() as u64;
            plan.recovered.snapshot = Some((Zxid::ZERO, empty_body()));
            split_at_snapshot(entries, settings, &Snapshots::among(&names), &mut plan.recovered);
        }
        None => {
            return Err(DiskError::Refused("no snapshot found, but there are log entries".into()));
        }
        Some(_) => split_at_snapshot(entries, settings, &Snapshots::among(&names), &mut plan.recovered),
    }
    let last_epoch = plan.recovered.last_zxid().epoch();
    plan.recovered.current_epoch = current.unwrap_or(last_epoch);
    if refuses_above && last_epoch > plan.recovered.current_epoch {
        return Err(DiskError::Refused(format!(
            "currentEpoch {} is older than the last zxid {}",
            plan.recovered.current_epoch,
            plan.recovered.last_zxid()
        )));
    }
    plan.recovered.accepted_epoch = accepted.unwrap_or(plan.recovered.current_epoch);
    if plan.recovered.accepted_epoch < plan.recovered.current_epoch {
        return Err(DiskError::Refused(format!(
            "acceptedEpoch {} is below currentEpoch {}",
            plan.recovered.accepted_epoch, plan.recovered.current_epoch
        )));
    }
    Ok(plan)
}

pub(crate) fn is_history(name: &str) -> bool {
    zxid_of_name(name, "log").is_some() || snapshot_zxid(name).is_some()
}

/// The newest valid snapshot that currentEpoch allows; those above it go (row E), and one of another database
/// ends the search (row K).
fn find_snapshot<F: FileSystem>(
    fs: &F,
    names: &[String],
    current: Option<Epoch>,
    plan: &mut Plan,
) -> Result<(), DiskError> {
    let mut snapshots: Vec<(Zxid, &String)> =
        names.iter().filter_map(|name| Some((snapshot_zxid(name)?, name))).collect();
    snapshots.sort();
    for (zxid, name) in snapshots.into_iter().rev() {
        if current.is_some_and(|current| zxid.epoch() > current) {
            plan.remove.push(name.clone());
            continue;
        }
        let read = fs.read(name).map_err(|e| e.in_file(name)).and_then(|bytes| snapshot::read(name, bytes));
        match read {
            Ok(body) => {
                plan.recovered.snapshot_bytes = body.len() as u64;
                plan.recovered.snapshot = Some((zxid, body));
                plan.snapshot_name.clone_from(name);
                return Ok(());
            }
            Err(refused @ DiskError::Refused(_)) => return Err(refused),
            Err(why) => plan.recovered.warnings.push(format!("snapshot not used: {why}")),
        }
    }
    Ok(())
}

/// The log entries that count, ascending. Of the logs that end before the snapshot as many as fill the committed
/// log are read, and no more: a directory may hold years of them. Damage there ends what is taken of them.
fn read_logs<F: FileSystem>(
    fs: &F,
    names: &[String],
    current: Option<Epoch>,
    commit_log_count: usize,
    plan: &mut Plan,
) -> Result<Vec<TxnEntry>, DiskError> {
    let mut logs: Vec<(Zxid, &String)> =
        names.iter().filter_map(|name| Some((zxid_of_name(name, "log")?, name))).collect();
    logs.sort();
    let snapshot = plan.recovered.snapshot.as_ref().map(|(zxid, _)| *zxid);
    let begins = snapshot.and_then(|snapshot| logs.iter().rposition(|(first, _)| *first <= snapshot));
    let behind = logs.split_off(begins.unwrap_or(0));
    let mut entries = read_logs_behind(fs, behind, snapshot, current, plan)?;
    for (_, name) in logs.into_iter().rev() {
        let before = entries.iter().filter(|entry| Some(entry.zxid) <= snapshot).count();
        if before >= commit_log_count {
            break;
        }
        let Ok(file) = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?) else { break };
        let first = entries.first().map(|entry| entry.zxid);
        let older = file.entries.into_iter().map(|(_, entry)| entry);
        let mut older: Vec<TxnEntry> =
            older.filter(|entry| first.is_none_or(|first| entry.zxid < first)).collect();
        if !matches!(file.reason, End::Eof | End::Zeros) || file.torn || older.is_empty() {
            break;
        }
        older.append(&mut entries);
        entries = older;
    }
    Ok(entries)
}

/// Those of the logs that may hold what stands behind the snapshot; rows E, F and G.
fn read_logs_behind<F: FileSystem>(
    fs: &F,
    logs: Vec<(Zxid, &String)>,
    snapshot: Option<Zxid>,
    current: Option<Epoch>,
    plan: &mut Plan,
) -> Result<Vec<TxnEntry>, DiskError> {
    let mut entries: Vec<TxnEntry> = Vec::new();
    let mut cut_here = false;
    let count = logs.len();
    for (index, (_, name)) in logs.into_iter().enumerate() {
        if cut_here {
            plan.remove.push(name.clone());
            continue;
        }
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
        let last_file = index + 1 == count;
        match file.reason {
            End::NoHeader if last_file => plan.remove.push(name.clone()),
            End::Eof | End::Zeros if !file.torn => {}
            reason if last_file && file.torn => {
                plan.recovered
                    .warnings
                    .push(format!("{name}: torn at offset {} ({reason:?}), cut there", file.end));
                plan.cut.push((name.clone(), file.end));
            }
            reason => {
                return Err(DiskError::Corrupt {
                    file: name.clone(),
                    offset: file.end,
                    what: format!("expected an intact entry, found damage ({reason:?})"),
                });
            }
        }
        for (offset, entry) in file.entries {
            if current.is_some_and(|current| entry.zxid.epoch() > current) {
                let why = "above currentEpoch, so never acknowledged";
                plan.recovered
                    .warnings
                    .push(format!("{name}: cut at offset {offset}: {} is {why}", entry.zxid));
                if offset == HEADER_LEN as u64 {
                    plan.remove.push(name.clone());
                } else {
                    plan.cut.push((name.clone(), offset));
                }
                cut_here = true;
                break;
            }
            let last = entries.last().map(|last| last.zxid);
            // A zxid that is not above the last is a repetition (Java warns and writes it).
            if last.is_some_and(|last| entry.zxid <= last) {
                continue;
            }
            if let Some(before) = missing_before(entry.zxid, last, snapshot) {
                return Err(DiskError::Corrupt {
                    file: name.clone(),
                    offset,
                    what: format!("expected the transaction behind {before}, found {}", entry.zxid),
                });
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Row J: the end of the history that is there before `zxid`, where something between them is missing.
fn missing_before(zxid: Zxid, last: Option<Zxid>, snapshot: Option<Zxid>) -> Option<Zxid> {
    let snapshot = snapshot.filter(|snapshot| *snapshot < zxid)?;
    let before = last.map_or(snapshot, |last| last.max(snapshot));
    (before.counter() != 0 && !zxid.follows(before)).then_some(before)
}

/// What stands behind the snapshot is replayed; what stands before it without a gap fills the
/// committed log.
fn split_at_snapshot(
    mut entries: Vec<TxnEntry>,
    settings: &StorageSettings,
    snapshots: &Snapshots,
    recovered: &mut Recovered,
) {
    let Some((snapshot, _)) = recovered.snapshot else { return };
    let behind = entries.partition_point(|entry| entry.zxid <= snapshot);
    recovered.log = entries.split_off(behind);
    // Logs that end before the snapshot do not lead up to it: what is missing came with it from a leader.
    let leads_up_to_it = entries.last().is_some_and(|last| last.zxid == snapshot);
    if !leads_up_to_it || settings.switches.install_keeps_logs() {
        return;
    }
    let mut from = entries.len();
    while from > 0
        && entries.len() - from < settings.commit_log_count
        && (from == entries.len() || snapshots.adjacent(entries[from - 1].zxid, entries[from].zxid))
    {
        from -= 1;
    }
    recovered.before_snapshot = entries.split_off(from);
}
