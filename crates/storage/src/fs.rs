//! The file system as storage needs it: one flat directory (`version-2`). Hosts implement it.

use std::collections::BTreeMap;

use zab::DiskError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FsError {
    #[error("no such file")]
    NotFound,
    #[error("input/output error")]
    Io,
    #[error("no space left")]
    NoSpace,
    /// Only in simulation: the process dies at this call.
    #[error("killed")]
    Killed,
}

impl FsError {
    pub fn in_file(self, name: &str) -> DiskError {
        match self {
            FsError::NotFound => DiskError::Io(format!("{name}: no such file")),
            FsError::Io => DiskError::Io(name.into()),
            FsError::NoSpace => DiskError::NoSpace(name.into()),
            FsError::Killed => DiskError::Killed,
        }
    }
}

/// Bytes become durable by `sync`, names (create, rename, remove) by `sync_dir`.
pub trait FileSystem {
    fn list(&self) -> Vec<String>;
    fn read(&self, name: &str) -> Result<Vec<u8>, FsError>;
    /// As `read`, of a file that may be padded with zeros: of those at its end all but 512 may be left out.
    fn read_padded(&self, name: &str) -> Result<Vec<u8>, FsError> {
        self.read(name)
    }
    /// Fewer bytes than asked for only where the file ends.
    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError>;
    fn len(&self, name: &str) -> Result<u64, FsError>;
    /// An empty file; an existing one is emptied.
    fn create(&mut self, name: &str) -> Result<(), FsError>;
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError>;
    /// Cut, or extend with zeros that take no space.
    fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError>;
    fn sync(&mut self, name: &str) -> Result<(), FsError>;
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError>;
    fn remove(&mut self, name: &str) -> Result<(), FsError>;
    fn sync_dir(&mut self) -> Result<(), FsError>;
    /// The next start takes the members from this file (`dynamicConfigFile`): durable when it returns. A host that has
    /// no `zoo.cfg` keeps the name alone, in a file that is called so.
    fn start_with_config(&mut self, name: &str) -> Result<(), FsError>
    where
        Self: Sized,
    {
        replace(self, "zoo.cfg", &[name.as_bytes()])
    }
}

/// Write, fsync, rename, fsync the directory: the file is there whole or not at all.
pub fn write_atomically<F: FileSystem>(fs: &mut F, name: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
    replace(fs, name, parts).map_err(|e| e.in_file(name))
}

fn replace<F: FileSystem>(fs: &mut F, name: &str, parts: &[&[u8]]) -> Result<(), FsError> {
    let tmp = format!("{name}.tmp");
    fs.create(&tmp)?;
    let mut offset = 0;
    for part in parts {
        fs.write_at(&tmp, offset, part)?;
        offset += part.len() as u64;
    }
    fs.sync(&tmp)?;
    fs.rename(&tmp, name)?;
    fs.sync_dir()
}

/// What of `file` lies in these bounds.
pub fn part(file: &[u8], offset: u64, length: usize) -> &[u8] {
    let start = usize::try_from(offset).map_or(file.len(), |offset| offset.min(file.len()));
    &file[start..file.len().min(start.saturating_add(length))]
}

/// A file system in memory on which everything is durable at once. For tests.
#[derive(Clone, Debug, Default)]
pub struct MemFs {
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemFs {
    fn file(&mut self, name: &str) -> Result<&mut Vec<u8>, FsError> {
        self.files.get_mut(name).ok_or(FsError::NotFound)
    }
}

impl FileSystem for MemFs {
    fn list(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
    fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        self.files.get(name).cloned().ok_or(FsError::NotFound)
    }
    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        let file = self.files.get(name).ok_or(FsError::NotFound)?;
        Ok(part(file, offset, length).to_vec())
    }
    fn len(&self, name: &str) -> Result<u64, FsError> {
        self.files.get(name).map(|f| f.len() as u64).ok_or(FsError::NotFound)
    }
    fn create(&mut self, name: &str) -> Result<(), FsError> {
        self.files.insert(name.into(), Vec::new());
        Ok(())
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        let file = self.file(name)?;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError> {
        self.file(name)?.resize(len as usize, 0);
        Ok(())
    }
    fn sync(&mut self, name: &str) -> Result<(), FsError> {
        self.file(name).map(|_| ())
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
        let file = self.files.remove(from).ok_or(FsError::NotFound)?;
        self.files.insert(to.into(), file);
        Ok(())
    }
    fn remove(&mut self, name: &str) -> Result<(), FsError> {
        self.files.remove(name).map(|_| ()).ok_or(FsError::NotFound)
    }
    fn sync_dir(&mut self) -> Result<(), FsError> {
        Ok(())
    }
}
