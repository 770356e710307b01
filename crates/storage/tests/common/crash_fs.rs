//! A file system that dies, or fails, at its n-th changing call, and the disks that a power loss may
//! leave of it.

use std::collections::BTreeMap;

use storage::{FileSystem, FsError, MemFs};

const SECTOR: usize = 512;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The process was killed: the page cache lives.
    Kept,
    Lost,
    /// Each sector, each length and each change of a name by the dice of this seed.
    Mixed(u64),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Debug)]
pub struct CrashFs {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    /// The call after so many fails, and all after it.
    pub calls_left: u32,
    pub failure: FsError,
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

impl CrashFs {
    /// `disk`, all of it durable.
    pub fn new(disk: &MemFs) -> CrashFs {
        let mut fs = CrashFs {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            calls_left: u32::MAX,
            failure: FsError::Killed,
        };
        for (index, (name, bytes)) in disk.files.iter().enumerate() {
            fs.inodes.push(Inode { now: bytes.clone(), durable: bytes.clone() });
            fs.names.insert(name.clone(), index);
        }
        fs.durable_names.clone_from(&fs.names);
        fs
    }

    /// What the next process finds.
    pub fn after(&self, fate: Fate) -> MemFs {
        let mut dice = match fate {
            Fate::Kept => return self.disk(&self.names, |inode| inode.now.clone()),
            Fate::Lost => return self.disk(&self.durable_names, |inode| inode.durable.clone()),
            Fate::Mixed(seed) => Dice(seed),
        };
        let mut names = self.durable_names.clone();
        for change in &self.name_changes {
            if dice.below(2) == 0 {
                change.carry_out(&mut names);
            }
        }
        self.disk(&names, |inode| inode.mixed(&mut dice))
    }

    fn disk(&self, names: &BTreeMap<String, usize>, mut bytes: impl FnMut(&Inode) -> Vec<u8>) -> MemFs {
        let files = names.iter().map(|(name, index)| (name.clone(), bytes(&self.inodes[*index]))).collect();
        MemFs { files }
    }

    fn call(&mut self) -> Result<(), FsError> {
        match self.calls_left.checked_sub(1) {
            None => Err(self.failure.clone()),
            Some(left) => {
                self.calls_left = left;
                Ok(())
            }
        }
    }

    fn inode(&mut self, name: &str) -> Result<&mut Inode, FsError> {
        let index = *self.names.get(name).ok_or(FsError::NotFound)?;
        Ok(&mut self.inodes[index])
    }

    fn change(&mut self, change: NameChange) {
        change.carry_out(&mut self.names);
        self.name_changes.push(change);
    }
}

impl NameChange {
    fn carry_out(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            // Atomic; nothing where what it renames was never there.
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Inode {
    fn mixed(&self, dice: &mut Dice) -> Vec<u8> {
        if self.now.len() < self.durable.len() {
            // Cut: it happened or not.
            return if dice.below(2) == 0 { self.now.clone() } else { self.durable.clone() };
        }
        let mut old = self.durable.clone();
        old.resize(self.now.len(), 0);
        let mut bytes = self.now.clone();
        for from in (0..bytes.len()).step_by(SECTOR) {
            if dice.below(2) == 0 {
                let sector = from..(from + SECTOR).min(bytes.len());
                bytes[sector.clone()].copy_from_slice(&old[sector]);
            }
        }
        if dice.below(2) == 0 {
            bytes.truncate(self.durable.len());
        }
        bytes
    }
}

impl FileSystem for CrashFs {
    fn list(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }
    fn read(&self, name: &str) -> Result<Vec<u8>, FsError> {
        self.names.get(name).map(|index| self.inodes[*index].now.clone()).ok_or(FsError::NotFound)
    }
    fn read_at(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        Ok(storage::fs::part(&self.read(name)?, offset, length).to_vec())
    }
    fn len(&self, name: &str) -> Result<u64, FsError> {
        self.read(name).map(|bytes| bytes.len() as u64)
    }
    fn create(&mut self, name: &str) -> Result<(), FsError> {
        self.call()?;
        self.inodes.push(Inode::default());
        self.change(NameChange::Create(name.into(), self.inodes.len() - 1));
        Ok(())
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        self.call()?;
        let file = &mut self.inode(name)?.now;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        file.resize(file.len().max(end), 0);
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&mut self, name: &str, len: u64) -> Result<(), FsError> {
        self.call()?;
        self.inode(name)?.now.resize(len as usize, 0);
        Ok(())
    }
    fn sync(&mut self, name: &str) -> Result<(), FsError> {
        self.call()?;
        let inode = self.inode(name)?;
        inode.durable.clone_from(&inode.now);
        Ok(())
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
        self.call()?;
        self.inode(from)?;
        self.change(NameChange::Rename(from.into(), to.into()));
        Ok(())
    }
    fn remove(&mut self, name: &str) -> Result<(), FsError> {
        self.call()?;
        self.inode(name)?;
        self.change(NameChange::Remove(name.into()));
        Ok(())
    }
    fn sync_dir(&mut self) -> Result<(), FsError> {
        self.call()?;
        self.durable_names.clone_from(&self.names);
        self.name_changes.clear();
        Ok(())
    }
}
