//! `StoredSnapshot`: the snapshot that recovery used, read again in pieces by a leader whose state cannot
//! be written as a snapshot. The file stays as it was then: such a leader writes none.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::Zxid;
use zab::DiskError;

use crate::checksum::Adler32;
use crate::compression;
use crate::fs::FileSystem;
use crate::snapshot::{self, HEADER, SEAL_LEN, seal_of};

#[derive(Clone)]
pub struct StoredSnapshot {
    pub zxid: Zxid,
    name: String,
    body_len: u64,
    /// Checksums of the body up to an offset, for readers that go on from there.
    sums: BTreeMap<u64, Adler32>,
    /// The body of a compressed file, while it is being read.
    unpacked: Option<Bytes>,
}

impl StoredSnapshot {
    pub fn new(zxid: Zxid, name: String, body_len: u64) -> StoredSnapshot {
        let mut header = Adler32::new();
        header.write_slice(HEADER);
        StoredSnapshot { zxid, name, body_len, sums: BTreeMap::from([(0, header)]), unpacked: None }
    }

    /// Up to `length` bytes of the body. What changed since recovery looked at it is found out before
    /// the last piece is given.
    pub fn read<F: FileSystem>(&mut self, fs: &F, offset: u64, length: u64) -> Result<Bytes, DiskError> {
        let end = offset.saturating_add(length).min(self.body_len);
        let length = usize::try_from(end.saturating_sub(offset)).expect("a piece fits into memory");
        if compression::is_compressed(&self.name) {
            return self.read_compressed(fs, offset as usize, length);
        }
        let at = HEADER.len() as u64;
        let piece = self.read_exactly(fs, at + offset, length)?;
        if let Some(mut sum) = self.sums.get(&offset).cloned() {
            sum.write_slice(&piece);
            if end == self.body_len {
                let sealed = self.read_exactly(fs, at + end, SEAL_LEN)?;
                if sealed != seal_of(&sum) {
                    return Err(self.corrupt(at + end, "the checksum is wrong"));
                }
            } else {
                self.sums.insert(end, sum);
            }
        }
        Ok(Bytes::from(piece))
    }

    fn read_exactly<F: FileSystem>(&self, fs: &F, at: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let bytes = fs.read_at(&self.name, at, length).map_err(|e| e.in_file(&self.name))?;
        if bytes.len() < length {
            return Err(self.corrupt(at, "the file is shorter than it was"));
        }
        Ok(bytes)
    }

    /// A compressed file has no middle: it is unpacked once, and kept until a reader is at its end.
    fn read_compressed<F: FileSystem>(
        &mut self,
        fs: &F,
        offset: usize,
        length: usize,
    ) -> Result<Bytes, DiskError> {
        let body = match self.unpacked.take() {
            Some(body) => body,
            None => snapshot::read(&self.name, fs.read(&self.name).map_err(|e| e.in_file(&self.name))?)?,
        };
        if body.len() as u64 != self.body_len {
            return Err(self.corrupt(0, "the body is not as long as it was"));
        }
        let piece = body.slice(offset.min(body.len())..).slice(..length);
        if offset + length < body.len() {
            self.unpacked = Some(body);
        }
        Ok(piece)
    }

    fn corrupt(&self, offset: u64, what: &str) -> DiskError {
        DiskError::Corrupt { file: self.name.clone(), offset, what: what.into() }
    }
}
