//! `SnapshotWriter`: the snapshot file that is being written, slice by slice, with no more of it in
//! memory than its checksum. Until it is sealed it has a name that recovery removes.

use wire::Zxid;
use zab::{DiskError, Switch};

use crate::checksum::Adler32;
use crate::fs::{FileSystem, FsError};
use crate::log_reader::file_name;
use crate::snapshot::{HEADER, seal_of};
use crate::storage::StorageSettings;

#[derive(Clone)]
struct Open {
    zxid: Zxid,
    tmp: String,
    position: u64,
    adler: Adler32,
}

#[derive(Clone, Default)]
pub struct SnapshotWriter {
    open: Option<Open>,
    /// A write failed: the file is never sealed.
    failed: bool,
}

fn tmp_name(zxid: Zxid) -> String {
    format!("{}.tmp", file_name("snapshot", zxid))
}

impl SnapshotWriter {
    /// The next piece of the body.
    pub fn append<F: FileSystem>(&mut self, fs: &mut F, zxid: Zxid, bytes: &[u8]) -> Result<(), DiskError> {
        if self.failed {
            return Err(failed_before(zxid));
        }
        let result = self.try_append(fs, zxid, bytes);
        self.failed = result.is_err();
        result.map_err(|e| e.in_file(&tmp_name(zxid)))
    }

    fn try_append<F: FileSystem>(&mut self, fs: &mut F, zxid: Zxid, bytes: &[u8]) -> Result<(), FsError> {
        let open = match &mut self.open {
            Some(open) if open.zxid == zxid => open,
            _ => {
                let tmp = tmp_name(zxid);
                fs.create(&tmp)?;
                fs.write_at(&tmp, 0, HEADER)?;
                let mut adler = Adler32::new();
                adler.write_slice(HEADER);
                self.open.insert(Open { zxid, tmp, position: HEADER.len() as u64, adler })
            }
        };
        fs.write_at(&open.tmp, open.position, bytes)?;
        open.position += bytes.len() as u64;
        open.adler.write_slice(bytes);
        Ok(())
    }

    /// All slices are written: the file takes the name `name`, durably and whole.
    pub fn seal<F: FileSystem>(
        &mut self,
        fs: &mut F,
        settings: &StorageSettings,
        zxid: Zxid,
        name: &str,
    ) -> Result<(), DiskError> {
        let open = self.open.take().filter(|open| open.zxid == zxid && !self.failed);
        let Some(open) = open else { return Err(failed_before(zxid)) };
        let tmp = &open.tmp;
        let mut seal = || {
            fs.write_at(tmp, open.position, &seal_of(&open.adler))?;
            // Wrong (ZOOKEEPER-2872): the name is durable, what it names is not.
            if !settings.switches.has(Switch::SnapshotNotSynced) {
                fs.sync(tmp)?;
            }
            fs.rename(tmp, name)?;
            fs.sync_dir()
        };
        seal().map_err(|e| e.in_file(name))
    }

    /// Nobody wants it any more.
    pub fn abandon<F: FileSystem>(&mut self, fs: &mut F) -> Result<(), DiskError> {
        let Some(open) = std::mem::take(self).open else { return Ok(()) };
        fs.remove(&open.tmp).map_err(|e| e.in_file(&open.tmp))
    }
}

fn failed_before(zxid: Zxid) -> DiskError {
    DiskError::Io(format!("{} (not all of it was written)", tmp_name(zxid)))
}
