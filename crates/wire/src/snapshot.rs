//! The snapshot body as it goes over the wire and stands in snapshot files:
//!
//! ```text
//! i32 n | n x { i64 session, i32 timeout }
//! i32 n | n x { i64 key, vector<ACL> }
//! { ustring path, buffer data, i64 acl, StatPersisted(60 bytes) } ...   parents first, root ""
//! ustring "/"
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::data::{Acl, StatPersisted};
use crate::ids::{SessionId, Zxid};
use crate::jute::{Error, Reader, put_buffer};
use crate::record::{Jute, records};

records! {
    /// The head of a log ("ZKLG", dbid 0) or a snapshot file ("ZKSN", dbid -1): 16 bytes.
    #[derive(Copy)]
    FileHeader {
        magic: i32,
        /// 2; nobody checks it.
        version: i32,
        dbid: i64,
    }

    /// The digest section of a snapshot file (3.6+), with a seal behind it: 20 bytes.
    #[derive(Copy)]
    ZxidDigest {
        /// The last transaction in the digest.
        zxid: Zxid,
        /// Of the algorithm: 2.
        digest_version "digestVersion": i32,
        digest: i64,
    }
}

impl FileHeader {
    /// "ZKLG", the magic of transaction logs.
    pub const LOG: FileHeader = FileHeader { magic: i32::from_be_bytes(*b"ZKLG"), version: 2, dbid: 0 };
    /// "ZKSN", the magic of snapshots.
    pub const SNAPSHOT: FileHeader = FileHeader { magic: i32::from_be_bytes(*b"ZKSN"), version: 2, dbid: -1 };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRecord {
    Session { id: SessionId, timeout_ms: i32 },
    AclEntry { key: i64, acl: Vec<Acl> },
    Node { path: Bytes, data: Option<Bytes>, acl_key: i64, stat: StatPersisted },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    Complete,
}

/// Reads a body record by record from chunks cut anywhere.
#[derive(Clone, Debug)]
pub struct SnapshotParser {
    section: Section,
    buffer: Bytes,
    /// So many bytes at the front of `buffer` were read and not taken.
    read: usize,
    consumed: u64,
    max_buffer: usize,
}

impl Default for SnapshotParser {
    fn default() -> Self {
        SnapshotParser::new()
    }
}

impl SnapshotParser {
    pub fn new() -> SnapshotParser {
        SnapshotParser {
            section: Section::SessionCount,
            buffer: Bytes::new(),
            read: 0,
            consumed: 0,
            max_buffer: crate::jute::DEFAULT_MAX_BUFFER,
        }
    }
    /// Of one that comes in parts, with buffers and strings up to `max_buffer`.
    pub fn with_limit(max_buffer: usize) -> SnapshotParser {
        SnapshotParser { max_buffer, ..SnapshotParser::new() }
    }
    /// Of one that is here.
    pub fn of(body: Bytes) -> SnapshotParser {
        let mut parser = SnapshotParser::with_limit(crate::jute::DEFAULT_MAX_BUFFER.max(body.len()));
        parser.feed(body);
        parser
    }
    /// What was read before and not taken is forgotten.
    pub fn feed(&mut self, chunk: Bytes) {
        self.take_read();
        self.buffer = join(std::mem::take(&mut self.buffer), chunk);
    }
    /// The bytes read since this was last asked (or something was fed), as they came.
    pub fn take_read(&mut self) -> Bytes {
        self.buffer.split_to(std::mem::take(&mut self.read))
    }
    pub fn is_complete(&self) -> bool {
        self.section == Section::Complete
    }
    /// Bytes of the body read so far; after completion, its length.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }
    /// What was fed and belongs to what follows the body.
    pub fn into_rest(mut self) -> Bytes {
        self.take_read();
        self.buffer
    }

    /// The next record; `None` where more bytes are needed or the body is complete.
    pub fn next_record(&mut self) -> Result<Option<SnapshotRecord>, Error> {
        loop {
            let mut reader = Reader::with_limit(self.buffer.slice(self.read..), self.max_buffer);
            let step = match self.step(&mut reader) {
                Err(e) if e.is_short() => return Ok(None),
                other => other?,
            };
            let read = self.buffer.len() - reader.remaining();
            self.consumed += (read - self.read) as u64;
            self.read = read;
            let (section, record) = step;
            self.section = section;
            if record.is_some() || self.is_complete() {
                return Ok(record);
            }
        }
    }

    fn step(&self, r: &mut Reader) -> Result<(Section, Option<SnapshotRecord>), Error> {
        Ok(match self.section {
            Section::SessionCount => (Section::Sessions(r.i32("session count")?), None),
            Section::Sessions(n) if n <= 0 => (Section::AclCount, None),
            Section::Sessions(n) => {
                let id = SessionId(r.i64("session id")?);
                let timeout_ms = r.i32("session timeout")?;
                (Section::Sessions(n - 1), Some(SnapshotRecord::Session { id, timeout_ms }))
            }
            Section::AclCount => (Section::Acls(r.i32("ACL map count")?), None),
            Section::Acls(n) if n <= 0 => (Section::Nodes, None),
            Section::Acls(n) => {
                let key = r.i64("ACL key")?;
                let acl = Jute::read(r, "ACL vector")?;
                (Section::Acls(n - 1), Some(SnapshotRecord::AclEntry { key, acl }))
            }
            Section::Nodes => {
                let path = r.string("node path")?;
                if path.as_ref() == b"/" {
                    return Ok((Section::Complete, None));
                }
                let data = r.buffer("node data")?;
                let acl_key = r.i64("node ACL key")?;
                let stat = StatPersisted::read(r, "node stat")?;
                (Section::Nodes, Some(SnapshotRecord::Node { path, data, acl_key, stat }))
            }
            Section::Complete => (Section::Complete, None),
        })
    }
}

/// Join a rest with the next chunk; without a rest the chunk is passed through uncopied.
pub(crate) fn join(rest: Bytes, chunk: Bytes) -> Bytes {
    if rest.is_empty() {
        return chunk;
    }
    let mut joined = BytesMut::with_capacity(rest.len() + chunk.len());
    joined.extend_from_slice(&rest);
    joined.extend_from_slice(&chunk);
    joined.freeze()
}

/// Writes the parts of a body. The caller keeps their order.
pub struct SnapshotWriter;

impl SnapshotWriter {
    /// Bytes of a node beside its path and data: two lengths, the key of the ACL, and the stat.
    pub const NODE_LEN: usize = 4 + 4 + 8 + 60;

    pub fn count(out: &mut BytesMut, n: usize) {
        out.put_i32(i32::try_from(n).expect("fewer than 2^31 records"));
    }
    pub fn record(out: &mut BytesMut, record: &SnapshotRecord) {
        match record {
            SnapshotRecord::Session { id, timeout_ms } => {
                out.put_i64(id.0);
                out.put_i32(*timeout_ms);
            }
            SnapshotRecord::AclEntry { key, acl } => {
                out.put_i64(*key);
                acl.write(out);
            }
            SnapshotRecord::Node { path, data, acl_key, stat } => {
                Self::node(out, path, data.as_deref(), *acl_key, stat);
            }
        }
    }
    pub fn node(out: &mut BytesMut, path: &[u8], data: Option<&[u8]>, acl_key: i64, stat: &StatPersisted) {
        out.reserve(path.len() + data.map_or(0, <[u8]>::len) + Self::NODE_LEN);
        put_buffer(out, Some(path));
        put_buffer(out, data);
        // Put together apart, without a question for room before each field: a snapshot has many of these.
        let StatPersisted { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, pzxid } =
            *stat;
        let mut fields = [0; Self::NODE_LEN - 2 * 4];
        let (longs, rest) = fields.split_at_mut(5 * 8);
        let (ints, last) = rest.split_at_mut(3 * 4);
        for (at, long) in longs.as_chunks_mut().0.iter_mut().zip([acl_key, czxid.0, mzxid.0, ctime, mtime]) {
            *at = long.to_be_bytes();
        }
        for (at, int) in ints.as_chunks_mut().0.iter_mut().zip([version, cversion, aversion]) {
            *at = int.to_be_bytes();
        }
        for (at, long) in last.as_chunks_mut().0.iter_mut().zip([ephemeral_owner, pzxid.0]) {
            *at = long.to_be_bytes();
        }
        out.extend_from_slice(&fields);
    }
    pub fn end(out: &mut BytesMut) {
        put_buffer(out, Some(b"/"));
    }
}
