//! Jute: ZooKeeper's serialisation. Big-endian, no tags, no padding. Used by every record here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use crate::data::Id;

/// Longest buffer or string that is read: `jute.maxbuffer` plus its extra allowance (3.5+).
pub const DEFAULT_MAX_BUFFER: usize = 2_097_150;
/// Most elements of a vector. Java has no bound and would loop; no honest sender comes near.
pub const MAX_VECTOR: i32 = 1 << 20;
/// Two empty strings: what an `Id` takes at least.
const MIN_ID: usize = 8;

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
    /// Of a record that is whole: what it holds is no longer than itself, whatever bound it came under.
    pub fn new(bytes: Bytes) -> Reader {
        let max_buffer = DEFAULT_MAX_BUFFER.max(bytes.len());
        Reader { bytes, max_buffer }
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
    /// Ids, all of them together no longer than one buffer may be. Java asks that of each string alone and
    /// so would read without end; no honest sender's ids of one client come near. Nothing is kept before
    /// the bytes that the count asks for at least have arrived.
    pub fn ids(&mut self, what: &'static str) -> Result<Option<Vec<Id>>, Error> {
        let Some(count) = self.count(what)? else { return Ok(None) };
        let count = count.unsigned_abs() as usize;
        let least = count * MIN_ID;
        if least > self.max_buffer {
            return Err(Error::Length { what, length: count as i64 });
        }
        self.need(what, least)?;
        let mut ids = Vec::with_capacity(count);
        let mut left = self.max_buffer;
        for _ in 0..count {
            let id = Id { scheme: self.part(what, &mut left)?, id: self.part(what, &mut left)? };
            ids.push(id);
        }
        Ok(Some(ids))
    }

    /// A string of a vector that may take `left` bytes more, told by its length alone.
    fn part(&mut self, what: &'static str, left: &mut usize) -> Result<Bytes, Error> {
        let length = self.bytes.first_chunk::<4>().map(|length| i32::from_be_bytes(*length));
        if let Some(length) = length {
            let takes = 4 + usize::try_from(length).unwrap_or(0);
            *left = left.checked_sub(takes).ok_or(Error::Length { what, length: i64::from(length) })?;
        }
        self.string(what)
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
