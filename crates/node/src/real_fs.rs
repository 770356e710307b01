//! `RealFs`: the data directory (`dataDir/version-2`) behind storage's file-system trait.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use storage::{FileSystem, FsError};

#[derive(Debug)]
pub struct RealFs {
    dir: PathBuf,
    /// Files that were written to, until they are renamed or removed.
    open: BTreeMap<String, File>,
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

impl RealFs {
    /// The directory is made where it is missing.
    pub fn open(dir: PathBuf) -> io::Result<RealFs> {
        fs::create_dir_all(&dir)?;
        Ok(RealFs { dir, open: BTreeMap::new() })
    }

    fn file(&mut self, name: &str) -> Result<&File, FsError> {
        if !self.open.contains_key(name) {
            let path = self.dir.join(name);
            let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed(name))?;
            self.open.insert(name.into(), file);
        }
        Ok(&self.open[name])
    }
}

impl FileSystem for RealFs {
    fn list(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
    fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        fs::read(self.dir.join(name)).map_err(failed(name))
    }
    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        let file = File::open(self.dir.join(name)).map_err(failed(name))?;
        let size = file.metadata().map_err(failed(name))?.len();
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        file.read_exact_at(&mut bytes, offset).map_err(failed(name))?;
        Ok(bytes)
    }
    fn len(&self, name: &str) -> Result<u64, FsError> {
        fs::metadata(self.dir.join(name)).map(|meta| meta.len()).map_err(failed(name))
    }
    fn create(&mut self, name: &str) -> Result<(), FsError> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        let file = options.open(self.dir.join(name)).map_err(failed(name))?;
        self.open.insert(name.into(), file);
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
        self.open.remove(from);
        self.open.remove(to);
        fs::rename(self.dir.join(from), self.dir.join(to)).map_err(failed(from))
    }
    fn remove(&mut self, name: &str) -> Result<(), FsError> {
        self.open.remove(name);
        fs::remove_file(self.dir.join(name)).map_err(failed(name))
    }
    fn sync_dir(&mut self) -> Result<(), FsError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("the data directory"))
    }
}
