//! `TxnLog`: the log file that is being written. A restart never appends to an existing file.

use wire::Zxid;
use zab::{DiskError, TxnEntry};

use crate::checksum::adler32;
use crate::fs::{FileSystem, FsError};
use crate::log_reader::{END_OF_ENTRY, HEADER_LEN, MAGIC, file_name};

/// The header of a new log; dbid is 0, as ZooKeeper writes it.
pub fn put_header(out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&2i32.to_be_bytes());
    out.extend_from_slice(&0i64.to_be_bytes());
}

pub fn put_entry(out: &mut Vec<u8>, txn: &[u8]) {
    let crc = u64::from(adler32(txn));
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&(txn.len() as i32).to_be_bytes());
    out.extend_from_slice(txn);
    out.push(END_OF_ENTRY);
}

#[derive(Clone, Debug)]
struct Open {
    name: String,
    position: u64,
    /// Size of the file, preallocated zeros included.
    size: u64,
    /// The directory entry is not durable yet.
    new: bool,
    /// Where records stand, one in about `MARK_EVERY` bytes: what is looked for is near one of them.
    marks: Vec<(Zxid, u64)>,
}

const MARK_EVERY: u64 = 256 << 10;

/// A part of the log that is being written, whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub name: String,
    pub offset: u64,
    pub length: usize,
}

#[derive(Clone, Debug, Default)]
pub struct TxnLog {
    open: Option<Open>,
    /// Rolled files whose bytes or names may not be durable yet.
    unsynced: Vec<Open>,
    /// A write failed: what the file holds is unknown until the next Load.
    failed: bool,
    buffer: Vec<u8>,
}

impl TxnLog {
    pub fn append<F: FileSystem>(
        &mut self,
        fs: &mut F,
        entries: &[TxnEntry],
        prealloc: u64,
    ) -> Result<(), DiskError> {
        let Some(first) = entries.first() else { return Ok(()) };
        if self.failed {
            return Err(DiskError::Io("transaction log (a former write failed)".into()));
        }
        let result = self.try_append(fs, first.zxid, entries, prealloc);
        self.finish(result)
    }

    fn finish(&mut self, result: Result<(), FsError>) -> Result<(), DiskError> {
        result.map_err(|e| {
            self.failed = true;
            let name = self.open.as_ref().map_or("transaction log", |open| open.name.as_str());
            e.in_file(name)
        })
    }

    fn try_append<F: FileSystem>(
        &mut self,
        fs: &mut F,
        first: Zxid,
        entries: &[TxnEntry],
        prealloc: u64,
    ) -> Result<(), FsError> {
        self.buffer.clear();
        if self.open.is_none() {
            // The rolled files first: a new one beside an old one without its end would be a gap.
            self.sync_rolled(fs)?;
            let name = file_name("log", first);
            fs.create(&name)?;
            self.open = Some(Open { name, position: 0, size: 0, new: true, marks: Vec::new() });
            put_header(&mut self.buffer);
            debug_assert_eq!(self.buffer.len(), HEADER_LEN);
        }
        let header = self.buffer.len() as u64;
        for entry in entries {
            put_entry(&mut self.buffer, &entry.txn);
        }
        let open = self.open.as_mut().expect("opened above");
        let end = open.position + self.buffer.len() as u64;
        if prealloc > 0 && end + 4096 >= open.size {
            open.size = end + prealloc;
            fs.set_len(&open.name, open.size)?;
        }
        fs.write_at(&open.name, open.position, &self.buffer)?;
        let first_at = open.position + header;
        if open.marks.last().is_none_or(|(_, last)| first_at >= last + MARK_EVERY) {
            open.marks.push((first, first_at));
        }
        open.position = end;
        Ok(())
    }

    pub fn sync<F: FileSystem>(&mut self, fs: &mut F) -> Result<(), DiskError> {
        if self.failed {
            return Err(DiskError::Io("transaction log (a former write failed)".into()));
        }
        let result = self.try_sync(fs);
        self.finish(result)
    }

    fn try_sync<F: FileSystem>(&mut self, fs: &mut F) -> Result<(), FsError> {
        self.sync_rolled(fs)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        fs.sync(&open.name)?;
        if std::mem::take(&mut open.new) { fs.sync_dir() } else { Ok(()) }
    }

    fn sync_rolled<F: FileSystem>(&mut self, fs: &mut F) -> Result<(), FsError> {
        for rolled in self.unsynced.drain(..) {
            fs.sync(&rolled.name)?;
            if rolled.new {
                fs.sync_dir()?;
            }
        }
        Ok(())
    }

    /// From some record at or below `zxid` to the end of what was appended: not much more than what stands behind
    /// `zxid`. `None` where that record is not in the file that is being written.
    pub fn written_since(&self, zxid: Zxid) -> Option<Written> {
        let Open { name, position, marks, .. } = self.open.as_ref()?;
        let mark = marks.partition_point(|(first, _)| *first <= zxid).checked_sub(1)?;
        let offset = marks[mark].1;
        Some(Written { name: name.clone(), offset, length: (position - offset) as usize })
    }

    /// Bytes in the file that is being written.
    pub fn written(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.position)
    }

    /// Nothing more is written until the next Load.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The next append begins a new file.
    pub fn roll(&mut self) {
        if let Some(open) = self.open.take() {
            self.unsynced.push(open);
        }
    }

    /// Forget the files: they were recovered, truncated or replaced.
    pub fn reset(&mut self) {
        *self = TxnLog::default();
    }
}
