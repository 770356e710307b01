//! An installation: the history that a leader sent as a snapshot replaces the own one, whole or not at
//! all, once currentEpoch says so.
//!
//! ```text
//! installing.<zxid>.<epoch>              the snapshot, nothing was committed behind it
//! installing.<zxid>.<epoch>.<first>      the snapshot, and a log behind it that begins with <first>
//! installing.<zxid>.<epoch>.<first>.log  that log
//! ```
//!
//! None of these names means anything to recovery's other rows, or to Java. The steps, each durable
//! before the next:
//!
//! | # | step | a crash behind it |
//! |---|---|---|
//! | 1 | the log is written | a log without its snapshot is dropped |
//! | 2 | the snapshot is sealed under its name | dropped, until 3 |
//! | 3 | currentEpoch ≥ epoch | rolled forward from here |
//! | 4 | the older history is removed, logs and snapshots | the same |
//! | 5 | the log takes its name `log.<first>` | a snapshot that names a log which is not there: 4 is done, what logs there are stand behind the snapshot |
//! | 6 | the snapshot takes its name `snapshot.<zxid>` | it is the history |

use wire::{Epoch, Zxid};
use zab::{DiskError, TxnEntry};

use crate::fs::{FileSystem, write_atomically};
use crate::log_reader::{End, file_name, read_log, zxid_of_name};
use crate::recover::{Plan, is_history};
use crate::snapshot;
use crate::txn_log::{put_entry, put_header};

/// What the name of an installation's snapshot tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    pub zxid: Zxid,
    pub epoch: Epoch,
    /// The first transaction of the log behind it.
    first: Option<Zxid>,
}

/// Where the log behind an installed snapshot is.
pub enum Log {
    /// Under the installation's name, or there is none.
    Installed(Vec<TxnEntry>),
    /// It has its own name already.
    InPlace,
}

impl Install {
    pub fn new(zxid: Zxid, epoch: Epoch, log: &[TxnEntry]) -> Install {
        Install { zxid, epoch, first: log.first().map(|entry| entry.zxid) }
    }

    pub fn snapshot_name(&self) -> String {
        let name = format!("installing.{:x}.{:x}", self.zxid.0, self.epoch.0);
        self.first.map_or(name.clone(), |first| format!("{name}.{:x}", first.0))
    }

    fn log_name(&self) -> Option<String> {
        self.first.map(|_| format!("{}.log", self.snapshot_name()))
    }

    fn parse(name: &str) -> Option<Install> {
        let mut parts = name.strip_prefix("installing.")?.split('.');
        let mut hex = || Some(u64::from_str_radix(parts.next()?, 16).ok()? as i64);
        let install = Install { zxid: Zxid(hex()?), epoch: Epoch(hex()?), first: hex().map(Zxid) };
        (install.snapshot_name() == name).then_some(install)
    }

    /// Step 1.
    pub fn write_log<F: FileSystem>(&self, fs: &mut F, log: &[TxnEntry]) -> Result<(), DiskError> {
        let Some(name) = self.log_name() else { return Ok(()) };
        let mut bytes = Vec::new();
        put_header(&mut bytes);
        log.iter().for_each(|entry| put_entry(&mut bytes, &entry.txn));
        write_atomically(fs, &name, &[&bytes])
    }

    /// Steps 4 to 6. `keeps_logs`: those that end below the snapshot stay.
    pub fn finish<F: FileSystem>(&self, fs: &mut F, keeps_logs: bool) -> Result<(), DiskError> {
        for old in fs.list().into_iter().filter(|old| is_history(old)) {
            if keeps_logs && self.is_behind(fs, &old)? {
                continue;
            }
            fs.remove(&old).map_err(|e| e.in_file(&old))?;
        }
        fs.sync_dir().map_err(|e| e.in_file("the data directory"))?;
        rename(fs, &self.last_names())
    }

    /// `name` is a log, and nothing in it could be replayed over the snapshot.
    fn is_behind<F: FileSystem>(&self, fs: &F, name: &str) -> Result<bool, DiskError> {
        if zxid_of_name(name, "log").is_none() {
            return Ok(false);
        }
        let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
        Ok(file.entries.iter().all(|(_, entry)| entry.zxid <= self.zxid))
    }

    /// Steps 5 and 6.
    fn last_names(&self) -> Vec<(String, String)> {
        let log = self.log_name().zip(self.first).map(|(name, first)| (name, file_name("log", first)));
        log.into_iter().chain([(self.snapshot_name(), file_name("snapshot", self.zxid))]).collect()
    }
}

/// Each rename durable before the next.
pub fn rename<F: FileSystem>(fs: &mut F, names: &[(String, String)]) -> Result<(), DiskError> {
    for (from, to) in names {
        fs.rename(from, to).map_err(|e| e.in_file(to))?;
        fs.sync_dir().map_err(|e| e.in_file("the data directory"))?;
    }
    Ok(())
}

/// A file of an installation, its snapshot or its log.
pub(crate) fn is_part(name: &str) -> bool {
    Install::parse(name.strip_suffix(".log").unwrap_or(name)).is_some()
}

/// The files of installations that no currentEpoch up to `current` has put into effect.
pub fn waiting(names: &[String], current: Epoch) -> Vec<String> {
    let waits = |name: &&String| {
        let install = Install::parse(name.strip_suffix(".log").unwrap_or(name));
        install.is_some_and(|install| install.epoch > current)
    };
    names.iter().filter(waits).cloned().collect()
}

/// Rows B and C of recovery: the snapshot of an installation that took effect, and where its log is.
pub fn find_install<F: FileSystem>(
    fs: &F,
    names: &[String],
    current: Option<Epoch>,
    plan: &mut Plan,
) -> Result<Option<Log>, DiskError> {
    let mut installs = names.iter().filter_map(|name| Install::parse(name));
    let took_effect = |install: &Install| current.is_some_and(|current| current >= install.epoch);
    let Some(install) = installs.rfind(took_effect) else {
        plan.remove.extend(names.iter().filter(|name| is_part(name)).cloned());
        return Ok(None);
    };
    let name = install.snapshot_name();
    let body = snapshot::read(&name, fs.read(&name).map_err(|e| e.in_file(&name))?)?;
    plan.recovered.snapshot_bytes = body.len() as u64;
    plan.recovered.snapshot = Some((install.zxid, body));
    plan.snapshot_name = file_name("snapshot", install.zxid);
    plan.roll_forward = install.last_names();
    plan.roll_forward.retain(|(from, _)| names.contains(from));
    let own = |name: &String| plan.roll_forward.iter().any(|(from, _)| from == name);
    plan.remove.extend(names.iter().filter(|name| is_part(name) && !own(name)).cloned());
    if let Some((log, first)) = install.log_name().zip(install.first)
        && !names.contains(&log)
    {
        let in_place = file_name("log", first);
        if names.contains(&in_place) {
            return Ok(Some(Log::InPlace));
        }
        return Err(DiskError::Refused(format!("{name} is there, but neither {log} nor {in_place}")));
    }
    plan.remove.extend(names.iter().filter(|name| is_history(name)).cloned());
    let entries = install.log_name().map_or(Ok(Vec::new()), |name| read_whole(fs, &name))?;
    Ok(Some(Log::Installed(entries)))
}

/// A log that was durable before anything counted on it: nothing in it may be damaged.
fn read_whole<F: FileSystem>(fs: &F, name: &str) -> Result<Vec<TxnEntry>, DiskError> {
    let file = read_log(name, fs.read_padded(name).map_err(|e| e.in_file(name))?)?;
    if file.reason != End::Eof {
        let what = format!("expected an intact entry, found damage ({:?})", file.reason);
        return Err(DiskError::Corrupt { file: name.into(), offset: file.end, what });
    }
    Ok(file.entries.into_iter().map(|(_, entry)| entry).collect())
}
