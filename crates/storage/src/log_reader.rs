//! Reading transaction logs:
//!
//! ```text
//! FileHeader  i32 "ZKLG" | i32 version 2 | i64 dbid           16 bytes
//! entry       i64 adler32 of the payload | i32 length | payload | u8 'B'
//! zeros       up to the preallocated size
//! ```

use bytes::Bytes;
use wire::{TxnHeader, Zxid};
use zab::{DiskError, TxnEntry};

use crate::checksum::adler32;
pub const MAGIC: &[u8; 4] = b"ZKLG";
pub const HEADER_LEN: usize = 16;
pub const END_OF_ENTRY: u8 = b'B';
/// Checksum and length of an entry.
const BEFORE_PAYLOAD: usize = 12;
/// Longest entry, `jute.maxbuffer` with its extra allowance, where nobody raised it. An intact one may be longer.
const MAX_ENTRY: usize = 2_097_150;
/// A disk writes sectors: what was lost of an unsynced write reads as zeros, sector by sector.
const SECTOR: usize = 512;

/// Why reading of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Padding (or a record of which the length never arrived).
    Zeros,
    /// The file ends at an entry's border.
    Eof,
    /// The file ends inside an entry, or an entry's end byte is missing.
    Partial,
    /// Checksum, length or header is wrong.
    Crc,
    /// Shorter than its header.
    NoHeader,
}

#[derive(Clone, Debug)]
pub struct LogFile {
    /// Entries and the offset at which each begins.
    pub entries: Vec<(u64, TxnEntry)>,
    /// Offset behind the last intact entry.
    pub end: u64,
    pub reason: End,
    /// The damage at `end` looks like sectors of an unsynced write that never arrived.
    pub torn: bool,
}

/// `log.<hex>` or `snapshot.<hex>`: the zxid of the name, if it is written as we write it.
pub fn zxid_of_name(name: &str, prefix: &str) -> Option<Zxid> {
    let hex = name.strip_prefix(prefix)?.strip_prefix('.')?;
    let as_written = hex == "0" || !hex.starts_with('0');
    let digits = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (as_written && digits).then(|| u64::from_str_radix(hex, 16).ok())?.map(|zxid| Zxid(zxid as i64))
}

pub fn file_name(prefix: &str, zxid: Zxid) -> String {
    format!("{prefix}.{:x}", zxid.0)
}

pub fn read_log(name: &str, bytes: Vec<u8>) -> Result<LogFile, DiskError> {
    let bytes = Bytes::from(bytes);
    let mut file = LogFile { entries: Vec::new(), end: HEADER_LEN as u64, reason: End::Eof, torn: false };
    if header_never_arrived(&bytes) {
        return Ok(LogFile { end: 0, reason: End::NoHeader, torn: true, ..file });
    }
    if &bytes[..4] != MAGIC {
        return Err(DiskError::Corrupt { file: name.into(), offset: 0, what: "expected ZKLG".into() });
    }
    let mut at = HEADER_LEN;
    loop {
        file.end = at as u64;
        let (reason, entry_end) = match read_entry(&bytes, at, usize::MAX) {
            Ok((entry, next)) => {
                file.entries.push((at as u64, entry));
                at = next;
                continue;
            }
            Err(ended) => ended,
        };
        file.reason = reason;
        let last = file.entries.last().map_or(Zxid::MIN, |(_, entry)| entry.zxid);
        let longest = file.entries.iter().map(|(_, entry)| entry.txn.len()).max().unwrap_or(0);
        file.torn = looks_torn(&bytes, at, reason, entry_end, last, longest.max(MAX_ENTRY));
        if reason == End::Zeros && !file.torn && written(&bytes) > at {
            // Not padding: a length that became zero.
            file.reason = End::Crc;
        }
        let_go_of_padding(&mut file, &bytes);
        return Ok(file);
    }
}

/// The entries of a part of a log; `None` where anything else than whole ones is there.
pub fn read_part(bytes: Vec<u8>) -> Option<Vec<TxnEntry>> {
    let bytes = Bytes::from(bytes);
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (entry, next) = read_entry(&bytes, at, usize::MAX).ok()?;
        entries.push(entry);
        at = next;
    }
    Some(entries)
}

/// Entries share the memory of their file. Of 64 MiB that are preallocated little may be written, and members keep
/// entries of many files.
fn let_go_of_padding(file: &mut LogFile, bytes: &Bytes) {
    let end = file.end as usize;
    if bytes.len() <= 2 * end {
        return;
    }
    let written = Bytes::copy_from_slice(&bytes[..end]);
    for (at, entry) in &mut file.entries {
        let begin = *at as usize + BEFORE_PAYLOAD;
        entry.txn = written.slice(begin..begin + entry.txn.len());
    }
}

/// Behind this offset there are only zeros. Files are preallocated: most of one may be zeros.
fn written(bytes: &[u8]) -> usize {
    const STRIDE: usize = 64;
    let mut end = bytes.len();
    while end >= STRIDE && bytes[end - STRIDE..end] == [0; STRIDE] {
        end -= STRIDE;
    }
    bytes[..end].iter().rposition(|b| *b != 0).map_or(0, |last| last + 1)
}

/// The header never arrived, or a part of it and nothing behind it: nothing of this file was ever synced.
fn header_never_arrived(bytes: &[u8]) -> bool {
    let zero = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
    if bytes.len() < HEADER_LEN || zero(&bytes[..HEADER_LEN]) {
        return true;
    }
    let part = || {
        let arrived = written(bytes);
        arrived < MAGIC.len() && bytes[..arrived] == MAGIC[..arrived]
    };
    zero(&bytes[MAGIC.len()..HEADER_LEN]) && part()
}

/// What is seen at an entry's place, in this order:
///
/// | seen | end |
/// |---|---|
/// | nothing left | eof |
/// | less than checksum and length left | partial |
/// | length 0 | zeros |
/// | a length below 0 or above `limit` | crc |
/// | a length above `MAX_ENTRY`, and no intact entry of it | crc |
/// | fewer bytes than the length | partial |
/// | another byte than 'B' behind the payload | partial |
/// | checksum or transaction header wrong | crc |
///
/// With an end comes the offset behind the entry as far as it is known: behind the file where the file
/// ends inside the entry.
fn read_entry(bytes: &Bytes, at: usize, limit: usize) -> Result<(TxnEntry, usize), (End, usize)> {
    let left = bytes.len() - at;
    if left == 0 {
        return Err((End::Eof, at));
    }
    if left < 12 {
        return Err((End::Partial, bytes.len() + 1));
    }
    let crc = u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let length = i32::from_be_bytes(bytes[at + 8..at + 12].try_into().expect("four bytes"));
    if length == 0 {
        return Err((End::Zeros, at + 12));
    }
    let length = usize::try_from(length).ok().filter(|n| *n <= limit).ok_or((End::Crc, at + 12))?;
    let (start, end) = (at + 12, at + 12 + length);
    let partial = |end| if length > MAX_ENTRY { (End::Crc, at + 12) } else { (End::Partial, end) };
    if bytes.len() <= end {
        return Err(partial(bytes.len() + 1));
    }
    if bytes[end] != END_OF_ENTRY {
        return Err(partial(end + 1));
    }
    let txn = bytes.slice(start..end);
    let header = TxnHeader::peek(&txn);
    match header {
        Some(header) if crc == u64::from(adler32(&txn)) => Ok((TxnEntry { zxid: header.zxid, txn }, end + 1)),
        _ if length > MAX_ENTRY => Err((End::Crc, at + 12)),
        _ => Err((End::Crc, end + 1)),
    }
}

/// Can the damage from `start` on be what is left of an unsynced write? Entries that are intact behind it
/// may have been acknowledged, and so may what is damaged: then only a lost sector between tells of a
/// write. Else the end decides: the file ends inside the entry, or the entry's end is zero and so is all
/// behind it. `limit`: length of the longest entry that is looked for.
fn looks_torn(bytes: &Bytes, start: usize, reason: End, end: usize, last: Zxid, limit: usize) -> bool {
    let written = written(bytes);
    if reason == End::Eof || (reason == End::Zeros && written <= start) {
        return false;
    }
    let intact = |at: &usize| read_entry(bytes, *at, limit).is_ok_and(|(entry, _)| entry.zxid > last);
    match (start + 1..written).find(intact) {
        Some(next) => lost_sector(bytes, start, next),
        None => reason == End::Zeros || written < end || lost_sector(bytes, start, end),
    }
}

/// Is one of the sectors under `start..end` zero, from `start` on?
fn lost_sector(bytes: &[u8], start: usize, end: usize) -> bool {
    let mut sector = start / SECTOR * SECTOR;
    while sector < end {
        let range = sector.max(start)..(sector + SECTOR).min(bytes.len());
        // The upper half of the checksum is zero in every entry: no sign of a loss.
        if range.end > start + 4 && bytes[range].iter().all(|b| *b == 0) {
            return true;
        }
        sector += SECTOR;
    }
    false
}
