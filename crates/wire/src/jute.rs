//! Jute: ZooKeeper's serialisation. Big-endian, no tags, no padding. Used by every record here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use crate::data::Id;

/// Longest buffer or string that is read: `jute.maxbuffer` plus its extra allowance (3.5+).
pub const DEFAULT_MAX_BUFFER: usize = 2_097_150;
/// Most elements of a vector. Java has no bound and would loop; no honest sender comes near.
pub const MAX_VECTOR: i32 = 1 << 20;

/// Why bytes are not the record that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes may make it whole; a record in a closed frame is malformed.
    #[error("too short: {what} needs {needed} more bytes")]
    Short { what: &'static str, needed: usize },
    #[error("Unreasonable length = {length} of {what}")]
    Length { what: &'static str, length: i64 },
    #[error("{what}: expected {expected}")]
    Malformed { what: &'static str, expected: &'static str },
}

impl Error {
    pub fn is_short(&self) -> bool {
        matches!(self, Error::Short { .. })
    }
}

/// Reads records off the front of `Bytes`; buffers are slices of it, not copies.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    max_buffer: usize,
}

impl Reader {
    pub fn new(bytes: Bytes) -> Reader {
        Reader { bytes, max_buffer: DEFAULT_MAX_BUFFER }
    }
    pub fn with_limit(bytes: Bytes, max_buffer: usize) -> Reader {
        Reader { bytes, max_buffer }
    }
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }
    /// What was not read.
    pub fn rest(self) -> Bytes {
        self.bytes
    }
    fn need(&self, what: &'static str, n: usize) -> Result<(), Error> {
        match n.checked_sub(self.bytes.len()) {
            None | Some(0) => Ok(()),
            Some(needed) => Err(Error::Short { what, needed }),
        }
    }
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.need(what, 1)?;
        Ok(self.bytes.get_u8())
    }
    /// Any non-zero byte is true.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, Error> {
        Ok(self.u8(what)? != 0)
    }
    pub fn i32(&mut self, what: &'static str) -> Result<i32, Error> {
        self.need(what, 4)?;
        Ok(self.bytes.get_i32())
    }
    pub fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.need(what, 8)?;
        Ok(self.bytes.get_i64())
    }
    pub fn take(&mut self, what: &'static str, n: usize) -> Result<Bytes, Error> {
        self.need(what, n)?;
        Ok(self.bytes.split_to(n))
    }
    /// A buffer; `None` for the null buffer. The length is checked before the bytes arrive.
    pub fn buffer(&mut self, what: &'static str) -> Result<Option<Bytes>, Error> {
        let length = self.i32(what)?;
        if length == -1 {
            return Ok(None);
        }
        match usize::try_from(length) {
            Ok(n) if n <= self.max_buffer => self.take(what, n).map(Some),
            _ => Err(Error::Length { what, length: i64::from(length) }),
        }
    }
    /// A string as bytes; null is read as an error, no record here may hold one.
    pub fn string(&mut self, what: &'static str) -> Result<Bytes, Error> {
        self.buffer(what)?.ok_or(Error::Malformed { what, expected: "a string, not null" })
    }
    /// The count of a vector; `None` for the null vector. Negative counts are empty, as in Java.
    pub fn count(&mut self, what: &'static str) -> Result<Option<i32>, Error> {
        match self.i32(what)? {
            -1 => Ok(None),
            n if n > MAX_VECTOR => Err(Error::Length { what, length: i64::from(n) }),
            n => Ok(Some(n.max(0))),
        }
    }
    pub fn ids(&mut self, what: &'static str) -> Result<Option<Vec<Id>>, Error> {
        let Some(count) = self.count(what)? else { return Ok(None) };
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(Id { scheme: self.string(what)?, id: self.string(what)? });
        }
        Ok(Some(ids))
    }
}

pub fn put_buffer(out: &mut BytesMut, buffer: Option<&[u8]>) {
    match buffer {
        None => out.put_i32(-1),
        Some(bytes) => {
            out.put_i32(i32::try_from(bytes.len()).expect("a buffer below 2 GiB"));
            out.extend_from_slice(bytes);
        }
    }
}

pub fn put_ids(out: &mut BytesMut, ids: Option<&[Id]>) {
    match ids {
        None => out.put_i32(-1),
        Some(ids) => {
            out.put_i32(i32::try_from(ids.len()).expect("few ids"));
            for id in ids {
                put_buffer(out, Some(&id.scheme));
                put_buffer(out, Some(&id.id));
            }
        }
    }
}
