//! Snapshot files: `i32 "ZKSN" | i32 2 | i64 -1`, the body as on the wire, then the seal: the Adler-32
//! of everything before it as i64, and the string "/". (3.6+ may append a digest and the last zxid,
//! each with a seal of its own; they are read over.)

use bytes::Bytes;
use wire::SnapshotParser;
use zab::DiskError;

pub const HEADER: &[u8; 16] = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
const SEAL_LEN: usize = 13;

/// The seal of a file that holds `body`.
pub fn seal(body: &[u8]) -> [u8; SEAL_LEN] {
    let mut adler = adler2::Adler32::new();
    adler.write_slice(HEADER);
    adler.write_slice(body);
    let mut seal = [0; SEAL_LEN];
    seal[..8].copy_from_slice(&u64::from(adler.checksum()).to_be_bytes());
    seal[8..].copy_from_slice(b"\0\0\0\x01/");
    seal
}

/// The body of a whole, valid file.
pub fn read(name: &str, bytes: Vec<u8>) -> Result<Bytes, DiskError> {
    let corrupt = |offset: usize, what: &str| DiskError::Corrupt {
        file: name.into(),
        offset: offset as u64,
        what: what.into(),
    };
    let bytes = Bytes::from(bytes);
    if bytes.len() < HEADER.len() || bytes[..8] != HEADER[..8] {
        return Err(corrupt(0, "expected ZKSN, version 2"));
    }
    let mut parser = SnapshotParser::new();
    parser.feed(bytes.slice(HEADER.len()..));
    while parser
        .next_record()
        .map_err(|e| corrupt(HEADER.len() + parser.consumed() as usize, &e.to_string()))?
        .is_some()
    {}
    let end = HEADER.len() + parser.consumed() as usize;
    if !parser.is_complete() {
        return Err(corrupt(end, "the file ends before the end marker"));
    }
    let mut adler = adler2::Adler32::new();
    adler.write_slice(&bytes[..end]);
    let sealed = bytes.get(end..end + SEAL_LEN).ok_or_else(|| corrupt(end, "expected a seal"))?;
    if sealed[..8] != u64::from(adler.checksum()).to_be_bytes() || &sealed[8..] != b"\0\0\0\x01/" {
        return Err(corrupt(end, "the checksum is wrong"));
    }
    Ok(bytes.slice(HEADER.len()..end))
}
