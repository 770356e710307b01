//! `RealFs`: the data directories behind storage's file-system trait. Logs lie in `dataLogDir/version-2`,
//! everything else (snapshots and the epoch files) in `dataDir/version-2`, as ZooKeeper has it
//! (`FileTxnSnapLog`, `QuorumPeer.writeLongToFile`). Configurations lie beside `zoo.cfg`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::SeekFrom;
use storage::config_file::PREFIX;
use storage::{FileSystem, FsError};
use wire::ServerId;

use crate::zoo_cfg::dynamic;

/// Why the directories were not taken.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    #[error("{}: {why}; expected {key} to be a directory that this process may create files in", path.display())]
    NotWritable { key: &'static str, path: PathBuf, why: io::Error },
    #[error(
        "{}: {why}; expected the directory of zoo.cfg to be one that this process may create files in, as \
         reconfigEnabled=true (the members of a reconfiguration are kept beside zoo.cfg)",
        path.display()
    )]
    NoConfigs { path: PathBuf, why: io::Error },
    /// `LogDirContentCheckException`
    #[error(
        "{}: the log directory holds the snapshot {name}; is dataLogDir right, and was it dataDir before? \
         Move the snapshot.* files to {}, or set dataLogDir to what it was",
        path.display(), other.display()
    )]
    SnapshotsInLogDir { path: PathBuf, name: String, other: PathBuf },
    /// `SnapDirContentCheckException`
    #[error(
        "{}: the snapshot directory holds the log {name}; was dataLogDir added or changed? Move the log.* files \
         to {}, or set dataLogDir to what it was",
        path.display(), other.display()
    )]
    LogsInSnapDir { path: PathBuf, name: String, other: PathBuf },
}

/// Clones are handles to the same directories; each thread of the disk has one.
#[derive(Clone, Debug)]
pub struct RealFs {
    snap_dir: PathBuf,
    log_dir: PathBuf,
    /// Files that are being written, one of each kind (log, snapshot, ...), until they are renamed or
    /// removed. Shared, so that no clone writes to a file that another one replaced.
    open: Arc<Mutex<BTreeMap<String, Arc<File>>>>,
    /// Where configurations are kept.
    config: Option<ConfigPath>,
}

#[derive(Clone, Debug)]
struct ConfigPath {
    zoo_cfg: PathBuf,
    my_id: ServerId,
    /// Names beside it are not durable yet.
    changed: bool,
}

fn failed(name: &str) -> impl Fn(io::Error) -> FsError {
    move |error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::error!(file = name, %error, "disk");
        }
        match error.kind() {
            io::ErrorKind::NotFound => FsError::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FsError::NoSpace,
            _ => FsError::Io,
        }
    }
}

fn is_log(name: &str) -> bool {
    name.starts_with("log.")
}

/// A log, or what becomes one by a rename: the log of an installation (and its `.tmp`).
fn lies_in_log_dir(name: &str) -> bool {
    is_log(name) || (name.starts_with("installing.") && name.trim_end_matches(".tmp").ends_with(".log"))
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snapshot.")
}

fn is_config(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn kind(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn list(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

impl RealFs {
    /// One directory (`version-2`) for everything. It is made where it is missing.
    pub fn open(dir: PathBuf) -> Result<RealFs, DirError> {
        RealFs::open_two(dir.clone(), dir)
    }

    /// Directories (`version-2`) for snapshots and for logs. They are made where they are missing, and
    /// refused where they hold each other's files: a history of which a part is not seen is a lost one.
    pub fn open_two(snap_dir: PathBuf, log_dir: PathBuf) -> Result<RealFs, DirError> {
        make_writable("dataDir", &snap_dir)?;
        make_writable("dataLogDir", &log_dir)?;
        if snap_dir != log_dir {
            if let Some(name) = list(&log_dir).into_iter().find(|name| is_snapshot(name)) {
                return Err(DirError::SnapshotsInLogDir { path: log_dir, name, other: snap_dir });
            }
            if let Some(name) = list(&snap_dir).into_iter().find(|name| is_log(name)) {
                return Err(DirError::LogsInSnapDir { path: snap_dir, name, other: log_dir });
            }
        }
        Ok(RealFs { snap_dir, log_dir, open: Arc::default(), config: None })
    }

    /// Configurations are kept beside this `zoo.cfg`, which then names one of them. For a member of an ensemble that
    /// reconfigures.
    pub fn with_config(self, zoo_cfg: &Path, my_id: ServerId) -> Result<RealFs, DirError> {
        let zoo_cfg = std::path::absolute(zoo_cfg).unwrap_or_else(|_| zoo_cfg.into());
        // Of a link both: what it names is edited, what is seen lies beside the link.
        let target = fs::canonicalize(&zoo_cfg).unwrap_or_else(|_| zoo_cfg.clone());
        for file in [&zoo_cfg, &target] {
            let dir = file.parent().unwrap_or(Path::new("/"));
            probe(dir).map_err(|why| DirError::NoConfigs { path: dir.into(), why })?;
        }
        Ok(RealFs { config: Some(ConfigPath { zoo_cfg, my_id, changed: false }), ..self })
    }

    fn path(&self, name: &str) -> PathBuf {
        match &self.config {
            Some(config) if is_config(name) => dynamic::path_of(&config.zoo_cfg, name),
            _ if lies_in_log_dir(name) => self.log_dir.join(name),
            _ => self.snap_dir.join(name),
        }
    }

    fn changes_name(&mut self, name: &str) {
        if let Some(config) = self.config.as_mut().filter(|_| is_config(name)) {
            config.changed = true;
        }
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Arc<File>>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self, name: &str) -> Result<Arc<File>, FsError> {
        if let Some(file) = self.with_open(|open| open.get(name).cloned()) {
            return Ok(file);
        }
        let file = OpenOptions::new().read(true).write(true).open(self.path(name)).map_err(failed(name))?;
        Ok(Arc::new(file))
    }

    fn forget(&self, names: &[&str]) {
        self.with_open(|open| {
            for name in names {
                open.remove(*name);
            }
        });
    }
}

/// The directory is there, and a file can be made in it.
fn make_writable(key: &'static str, dir: &Path) -> Result<(), DirError> {
    fs::create_dir_all(dir).and_then(|()| probe(dir)).map_err(|why| DirError::NotWritable {
        key,
        path: dir.into(),
        why,
    })
}

fn probe(dir: &Path) -> io::Result<()> {
    let probe = dir.join("probe.tmp");
    File::create(&probe).and_then(|_| fs::remove_file(&probe))
}

/// What the file holds; of a hole at its end `PADDING` bytes.
fn read_data(file: &File) -> io::Result<Vec<u8>> {
    const PADDING: u64 = 4096;
    let size = file.metadata()?.len();
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < size {
        // A file system that knows no holes calls everything data; nothing but holes left is ENXIO.
        let begin = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            Err(rustix::io::Errno::NXIO) => break,
            Err(_) => at,
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(begin)).unwrap_or(size).min(size);
        bytes.resize(end as usize, 0);
        file.read_exact_at(&mut bytes[begin as usize..], begin)?;
        at = end;
    }
    bytes.resize((at + PADDING).min(size) as usize, 0);
    Ok(bytes)
}

impl FileSystem for RealFs {
    fn list(&self) -> Vec<String> {
        let mut names = list(&self.snap_dir);
        if self.log_dir != self.snap_dir {
            names.extend(list(&self.log_dir).into_iter().filter(|name| lies_in_log_dir(name)));
        }
        names.sort();
        names
    }
    fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        fs::read(self.path(name)).map_err(failed(name))
    }
    /// Of the 64 MiB that a log is preallocated most is a hole, which takes long to read.
    fn read_padded(&self, name: &str) -> Result<Vec<u8>, FsError> {
        read_data(&File::open(self.path(name)).map_err(failed(name))?).map_err(failed(name))
    }
    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        let file = File::open(self.path(name)).map_err(failed(name))?;
        let size = file.metadata().map_err(failed(name))?.len();
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        file.read_exact_at(&mut bytes, offset).map_err(failed(name))?;
        Ok(bytes)
    }
    fn len(&self, name: &str) -> Result<u64, FsError> {
        fs::metadata(self.path(name)).map(|meta| meta.len()).map_err(failed(name))
    }
    fn create(&mut self, name: &str) -> Result<(), FsError> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        let file = options.open(self.path(name)).map_err(failed(name))?;
        self.with_open(|open| {
            open.retain(|other, _| kind(other) != kind(name));
            open.insert(name.into(), Arc::new(file));
        });
        Ok(())
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        self.file(name)?.write_all_at(bytes, offset).map_err(failed(name))
    }
    fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError> {
        self.file(name)?.set_len(len).map_err(failed(name))
    }
    fn sync(&mut self, name: &str) -> Result<(), FsError> {
        self.file(name)?.sync_all().map_err(failed(name))
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
        self.forget(&[from, to]);
        self.changes_name(to);
        fs::rename(self.path(from), self.path(to)).map_err(failed(from))
    }
    fn remove(&mut self, name: &str) -> Result<(), FsError> {
        self.forget(&[name]);
        self.changes_name(name);
        fs::remove_file(self.path(name)).map_err(failed(name))
    }
    fn sync_dir(&mut self) -> Result<(), FsError> {
        let sync = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all());
        if let Some(config) = self.config.as_mut().filter(|config| config.changed) {
            dynamic::sync_dir_of(&config.zoo_cfg).map_err(failed("zoo.cfg"))?;
            config.changed = false;
        }
        sync(&self.snap_dir).map_err(failed("the data directory"))?;
        if self.log_dir == self.snap_dir {
            return Ok(());
        }
        sync(&self.log_dir).map_err(failed("the log directory"))
    }
    fn start_with_config(&mut self, name: &str) -> Result<(), FsError> {
        let Some(config) = &self.config else { return Ok(()) };
        let dynamic = self.path(name);
        dynamic::start_with(&config.zoo_cfg, &dynamic, config.my_id).map_err(failed("zoo.cfg"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().expect("a directory");
        let (snaps, logs) = (root.path().join("data/version-2"), root.path().join("log/version-2"));
        (root, snaps, logs)
    }

    #[test]
    fn logs_lie_in_their_own_directory() {
        let (_root, snaps, logs) = dirs();
        let mut fs = RealFs::open_two(snaps.clone(), logs.clone()).expect("new directories");
        for name in ["log.100000001", "snapshot.0", "currentEpoch.tmp"] {
            fs.create(name).expect("created");
            fs.write_at(name, 0, b"bytes").expect("written");
            fs.sync(name).expect("synced");
        }
        fs.rename("currentEpoch.tmp", "currentEpoch").expect("renamed");
        fs.create("installing.5.1.6.log.tmp").expect("created");
        fs.rename("installing.5.1.6.log.tmp", "installing.5.1.6.log").expect("renamed");
        assert!(logs.join("installing.5.1.6.log").exists(), "a rename to log.6 stays in one directory");
        assert!(fs.list().contains(&"installing.5.1.6.log".to_owned()));
        fs.remove("installing.5.1.6.log").expect("removed");
        fs.sync_dir().expect("synced");
        assert_eq!(fs.list(), ["currentEpoch", "log.100000001", "snapshot.0"]);
        assert!(logs.join("log.100000001").exists());
        assert!(snaps.join("snapshot.0").exists() && snaps.join("currentEpoch").exists());
        fs.remove("log.100000001").expect("removed");
        assert_eq!(list(&logs), Vec::<String>::new());
    }

    /// Files with holes at the beginning, amid the data and at the end.
    #[test]
    fn holes_are_zeros_and_few_of_those_at_the_end_are_read() {
        let (_root, snaps, _) = dirs();
        let mut fs = RealFs::open(snaps).expect("a new directory");
        fs.create("log.1").expect("created");
        assert_eq!(fs.read_padded("log.1"), Ok(Vec::new()));
        for (offset, bytes) in [(100_000, &b"first"[..]), (1_000_000, b"second"), (1_000_006, b"third")] {
            fs.write_at("log.1", offset, bytes).expect("written");
            assert_eq!(fs.read_padded("log.1"), fs.read("log.1"));
        }
        fs.set_len("log.1", 64 << 20).expect("longer");
        let (whole, read) = (fs.read("log.1").expect("read"), fs.read_padded("log.1").expect("read"));
        assert!(whole.starts_with(&read) && read.len() >= 1_000_011 + 512);
        assert!(read.len() < 2 << 20, "{} bytes were read", read.len());
        fs.create("log.2").expect("created");
        fs.set_len("log.2", 1 << 20).expect("longer");
        assert_eq!(fs.read_padded("log.2"), Ok(vec![0; 4096]));
    }

    #[test]
    fn configurations_lie_beside_zoo_cfg_which_names_one() {
        let (root, snaps, _) = dirs();
        let cfg = root.path().join("my.cfg");
        fs::write(&cfg, "dataDir=/d\nserver.1=h:1:2\n").expect("written");
        let fs = RealFs::open(snaps.clone()).expect("a new directory");
        let fs = fs.with_config(&cfg, ServerId(1)).expect("a directory to write in");
        let mut storage = storage::Storage::new(fs, storage::StorageSettings::default());
        let text = bytes::Bytes::from_static(b"server.1=h:1:2:participant\nversion=1a");
        let mut write = |file| {
            let op = peer::DiskOp::WriteConfig { file, version: wire::Zxid(0x1a), text: text.clone() };
            storage.execute(&op).expect("written");
        };
        write(peer::ConfigFile::Seen);
        let next = root.path().join("my.cfg.dynamic.next");
        assert_eq!(fs::read_to_string(&next).expect("a file"), "server.1=h:1:2:participant\nversion=1a");
        write(peer::ConfigFile::Active);
        let dynamic = root.path().join("my.cfg.dynamic.1a");
        assert_eq!(fs::read_to_string(&dynamic).expect("a file"), "server.1=h:1:2:participant");
        let named = format!("dynamicConfigFile={}\ndataDir=/d\n", dynamic.display());
        assert_eq!(fs::read_to_string(&cfg).expect("a file"), named);
        assert!(!next.exists() && list(&snaps).is_empty());
    }

    #[test]
    fn a_clone_writes_to_no_file_that_another_replaced() {
        let (_root, snaps, _) = dirs();
        let mut one = RealFs::open(snaps).expect("a new directory");
        let mut two = one.clone();
        one.create("log.1").expect("created");
        two.remove("log.1").expect("removed");
        two.create("log.1").expect("created again");
        one.write_at("log.1", 0, b"new").expect("written");
        assert_eq!(two.read("log.1"), Ok(b"new".to_vec()));
    }

    /// | in the log directory | in the snapshot directory | |
    /// |---|---|---|
    /// | a snapshot | | refused |
    /// | | a log | refused |
    /// | a snapshot | a log, and both are one directory | taken |
    #[test]
    fn each_others_files_are_refused() {
        let (_root, snaps, logs) = dirs();
        fs::create_dir_all(&snaps).expect("made");
        fs::create_dir_all(&logs).expect("made");
        fs::write(logs.join("snapshot.5"), b"").expect("written");
        let why = RealFs::open_two(snaps.clone(), logs.clone()).expect_err("a snapshot").to_string();
        assert!(why.contains("the log directory holds the snapshot snapshot.5"), "{why}");
        fs::rename(logs.join("snapshot.5"), snaps.join("snapshot.5")).expect("moved");
        fs::write(snaps.join("log.5"), b"").expect("written");
        let why = RealFs::open_two(snaps.clone(), logs).expect_err("a log").to_string();
        assert!(why.contains("the snapshot directory holds the log log.5"), "{why}");
        RealFs::open(snaps).expect("one directory may hold both");
    }

    #[test]
    fn a_directory_that_is_a_file_is_told() {
        let (_root, snaps, logs) = dirs();
        fs::create_dir_all(snaps.parent().expect("a parent")).expect("made");
        fs::write(&snaps, b"").expect("written");
        let why = RealFs::open_two(snaps, logs).expect_err("a file").to_string();
        assert!(why.contains("expected dataDir to be a directory"), "{why}");
    }
}
