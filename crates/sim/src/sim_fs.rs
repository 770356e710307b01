//! `SimFs`: a file system that knows what was synced. A process kill keeps everything; power loss
//! takes unsynced bytes sector by sector, and unsynced names (create, rename, remove) from some point
//! on.

use std::collections::BTreeMap;

use storage::fs::part;
use storage::{FileSystem, FsError};

use crate::draw::Draws;

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
struct Inode {
    /// Bytes written; the file goes on with zeros up to `len`.
    data: Vec<u8>,
    len: u64,
    /// Written since the last sync, as one range; later writes only extend it.
    dirty: Option<(usize, usize)>,
    synced_len: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link { name: String, inode: usize },
    Unlink { name: String },
}

impl NameChange {
    fn carry_out(self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Link { name, inode } => {
                names.insert(name, inode);
            }
            NameChange::Unlink { name } => {
                names.remove(&name);
            }
        }
    }
}

/// How much of what was not synced survives a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    All,
    /// Each sector on its own.
    Some,
    /// Everything up to some byte.
    Torn,
}

#[derive(Clone, Debug, Default)]
pub struct SimFs {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    /// The process dies after so many changing calls.
    pub calls_left: Option<u32>,
    /// The next so many syncs fail.
    pub failing_syncs: u32,
    pub syncs_failed: u64,
    /// No space: whatever takes some fails.
    pub full: bool,
    pub refused_for_space: u64,
    /// The next so many calls that change something fail.
    pub failing_writes: u32,
    pub writes_failed: u64,
    /// The next write ends after this part of it (of a thousand), with "no space".
    pub short_write: Option<u64>,
    pub writes_cut: u64,
    /// Changing calls so far.
    pub calls: u64,
}

impl SimFs {
    /// Failed syncs, refusals for space, failed and cut writes so far.
    pub fn faults_felt(&self) -> [u64; 4] {
        [self.syncs_failed, self.refused_for_space, self.writes_failed, self.writes_cut]
    }

    /// Bytes written to files that still have a name.
    pub fn bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].data.len() as u64).sum()
    }

    /// These files, all of them durable.
    pub fn new(files: Option<&BTreeMap<String, Vec<u8>>>) -> SimFs {
        let mut fs = SimFs::default();
        for (name, data) in files.into_iter().flatten() {
            fs.names.insert(name.clone(), fs.inodes.len());
            let len = data.len() as u64;
            fs.inodes.push(Inode { data: data.clone(), len, dirty: None, synced_len: len });
        }
        fs.durable_names.clone_from(&fs.names);
        fs
    }

    fn inode(&self, name: &str) -> Result<usize, FsError> {
        self.names.get(name).copied().ok_or(FsError::NotFound)
    }

    fn call(&mut self) -> Result<(), FsError> {
        self.calls += 1;
        match &mut self.calls_left {
            None => Ok(()),
            Some(0) => Err(FsError::Killed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// A call that is no sync.
    fn change_call(&mut self) -> Result<(), FsError> {
        self.call()?;
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            self.writes_failed += 1;
            return Err(FsError::Io);
        }
        Ok(())
    }

    /// A call that takes space.
    fn growing_call(&mut self) -> Result<(), FsError> {
        self.change_call()?;
        if self.full {
            self.refused_for_space += 1;
            return Err(FsError::NoSpace);
        }
        Ok(())
    }

    /// Flips a bit somewhere in a log or snapshot. Its file, or `None` where there is nothing.
    pub fn rot(&mut self, draws: &mut Draws) -> Option<String> {
        let holds_history = |name: &&String| name.starts_with("log.") || name.starts_with("snapshot.");
        let files: Vec<String> = self.names.keys().filter(holds_history).cloned().collect();
        let name = files.get(draws.below(files.len() as u64) as usize)?;
        let data = &mut self.inodes[self.names[name]].data;
        let at = draws.below(data.len() as u64) as usize;
        *data.get_mut(at)? ^= 1 << draws.below(8);
        Some(name.clone())
    }

    fn sync_call(&mut self) -> Result<(), FsError> {
        self.call()?;
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            self.syncs_failed += 1;
            return Err(FsError::Io);
        }
        Ok(())
    }

    /// Power loss. Gives the number of bytes and names lost.
    pub fn lose_power(&mut self, loss: Loss, draws: &mut Draws) -> u64 {
        let mut lost = 0;
        for inode in &mut self.inodes {
            lost += inode.lose(loss, draws);
        }
        let keep = match loss {
            Loss::All => 0,
            _ => draws.below(self.name_changes.len() as u64 + 1) as usize,
        };
        lost += (self.name_changes.len() - keep) as u64;
        for change in self.name_changes.drain(..).take(keep) {
            change.carry_out(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        lost
    }
}

impl Inode {
    fn lose(&mut self, loss: Loss, draws: &mut Draws) -> u64 {
        let mut lost = 0;
        if let Some((from, to)) = self.dirty.take() {
            let kept_to = match loss {
                Loss::All => from,
                Loss::Some => to,
                Loss::Torn => from + draws.below((to - from) as u64 + 1) as usize,
            };
            lost += (to - kept_to) as u64;
            self.data[kept_to..to].fill(0);
            if loss == Loss::Some {
                let mut sector = from / SECTOR * SECTOR;
                while sector < to {
                    if draws.chance(500) {
                        let range = sector.max(from)..(sector + SECTOR).min(to);
                        lost += range.len() as u64;
                        self.data[range].fill(0);
                    }
                    sector += SECTOR;
                }
            }
        }
        if self.len > self.synced_len && (loss == Loss::All || draws.chance(500)) {
            lost += self.len - self.synced_len;
            self.len = self.synced_len;
            self.data.truncate(self.len as usize);
        }
        self.synced_len = self.len;
        lost
    }
}

impl FileSystem for SimFs {
    fn list(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        let inode = &self.inodes[self.inode(name)?];
        // Preallocated zeros matter to a reader only as far as it looks for the end.
        let padding = (inode.len as usize - inode.data.len()).min(4 * SECTOR);
        let mut bytes = inode.data.clone();
        bytes.resize(inode.data.len() + padding, 0);
        Ok(bytes)
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        Ok(part(&self.inodes[self.inode(name)?].data, offset, length).to_vec())
    }

    fn len(&self, name: &str) -> Result<u64, FsError> {
        Ok(self.inodes[self.inode(name)?].len)
    }

    fn create(&mut self, name: &str) -> Result<(), FsError> {
        self.growing_call()?;
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        self.names.insert(name.into(), inode);
        self.name_changes.push(NameChange::Link { name: name.into(), inode });
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        self.growing_call()?;
        let index = self.inode(name)?;
        let part = self.short_write.take().map(|milli| (bytes.len() as u64 * milli / 1000) as usize);
        let bytes = &bytes[..part.unwrap_or(bytes.len())];
        let inode = &mut self.inodes[index];
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        if inode.data.len() == from {
            inode.data.extend_from_slice(bytes);
        } else {
            if inode.data.len() < to {
                inode.data.resize(to, 0);
            }
            inode.data[from..to].copy_from_slice(bytes);
        }
        inode.len = inode.len.max(to as u64);
        inode.dirty = Some(match inode.dirty {
            None => (from, to),
            Some((a, b)) => (a.min(from), b.max(to)),
        });
        if part.is_some() {
            self.writes_cut += 1;
            return Err(FsError::NoSpace);
        }
        Ok(())
    }

    fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError> {
        self.change_call()?;
        let index = self.inode(name)?;
        let inode = &mut self.inodes[index];
        inode.data.truncate(len as usize);
        inode.len = len;
        inode.synced_len = inode.synced_len.min(len);
        if let Some((from, to)) = inode.dirty {
            let to = to.min(inode.data.len());
            inode.dirty = (from < to).then_some((from, to));
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> Result<(), FsError> {
        self.sync_call()?;
        let index = self.inode(name)?;
        let inode = &mut self.inodes[index];
        inode.dirty = None;
        inode.synced_len = inode.len;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
        self.change_call()?;
        let inode = self.names.remove(from).ok_or(FsError::NotFound)?;
        self.names.insert(to.into(), inode);
        self.name_changes.push(NameChange::Link { name: to.into(), inode });
        self.name_changes.push(NameChange::Unlink { name: from.into() });
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FsError> {
        self.change_call()?;
        self.names.remove(name).ok_or(FsError::NotFound)?;
        self.name_changes.push(NameChange::Unlink { name: name.into() });
        Ok(())
    }

    fn sync_dir(&mut self) -> Result<(), FsError> {
        self.sync_call()?;
        for change in self.name_changes.drain(..) {
            change.carry_out(&mut self.durable_names);
        }
        debug_assert_eq!(self.durable_names, self.names);
        Ok(())
    }
}
