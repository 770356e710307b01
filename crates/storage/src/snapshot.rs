//! Snapshot files: `i32 "ZKSN" | i32 2 | i64 -1`, the body as on the wire, then the seal: the Adler-32
//! of everything before it as i64, and the string "/". 3.6+ may append a digest and 3.9 the last zxid,
//! each with a seal of its own. Recovery needs the body only and reads over them.

use bytes::Bytes;
use wire::{SnapshotParser, Zxid};
use zab::DiskError;

use crate::checksum::Adler32;
use crate::compression;

pub const HEADER: &[u8; 16] = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
pub(crate) const SEAL_LEN: usize = 13;

/// The seal of a file that holds `body`.
pub fn seal(body: &[u8]) -> [u8; SEAL_LEN] {
    let mut adler = Adler32::new();
    adler.write_slice(HEADER);
    adler.write_slice(body);
    seal_of(&adler)
}

pub(crate) fn seal_of(adler: &Adler32) -> [u8; SEAL_LEN] {
    let mut seal = [0; SEAL_LEN];
    seal[..8].copy_from_slice(&u64::from(adler.checksum()).to_be_bytes());
    seal[8..].copy_from_slice(b"\0\0\0\x01/");
    seal
}

/// The body of a whole, valid file (compressed ones by their names). Of another dbid it is refused; Java does
/// not look, and never writes one.
pub fn read(name: &str, bytes: Vec<u8>) -> Result<Bytes, DiskError> {
    let corrupt = |offset: usize, what: &str| DiskError::Corrupt {
        file: name.into(),
        offset: offset as u64,
        what: what.into(),
    };
    let plain = compression::plain(name, bytes).map_err(|(offset, what)| corrupt(offset as usize, &what))?;
    let bytes = Bytes::from(plain);
    if bytes.len() < HEADER.len() || bytes[..8] != HEADER[..8] {
        return Err(corrupt(0, "expected ZKSN, version 2"));
    }
    let mut parser = SnapshotParser::of(bytes.slice(HEADER.len()..));
    while parser
        .next_record()
        .map_err(|e| corrupt(HEADER.len() + parser.consumed() as usize, &e.to_string()))?
        .is_some()
    {}
    let end = HEADER.len() + parser.consumed() as usize;
    if !parser.is_complete() {
        return Err(corrupt(end, "the file ends before the end marker"));
    }
    let mut adler = Adler32::new();
    adler.write_slice(&bytes[..end]);
    let sealed = bytes.get(end..end + SEAL_LEN).ok_or_else(|| corrupt(end, "expected a seal"))?;
    if sealed != seal_of(&adler) {
        return Err(corrupt(end, "the checksum is wrong"));
    }
    // Not damage, which the checksum would have told.
    if bytes[8..HEADER.len()] != HEADER[8..] {
        let dbid = i64::from_be_bytes(bytes[8..HEADER.len()].try_into().expect("eight bytes"));
        return Err(DiskError::Refused(format!(
            "{name} is of another database: its dbid is {dbid}, and a ZooKeeper server writes -1. Move it away, or \
             name the directory that is this server's in zoo.cfg"
        )));
    }
    Ok(bytes.slice(HEADER.len()..end))
}

/// What stands behind the first seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appendix {
    pub digest: Option<TreeDigest>,
    pub last_zxid: Option<Zxid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeDigest {
    pub zxid: Zxid,
    pub version: i32,
    pub value: u64,
}

const DIGEST_LEN: usize = 20;
const LAST_ZXID_LEN: usize = 8;

/// The appendix of a file whose body is `body_len` long. Nothing but the length behind the first seal
/// tells which sections there are.
pub fn read_appendix(name: &str, bytes: &[u8], body_len: usize) -> Result<Appendix, DiskError> {
    let mut at = HEADER.len() + body_len + SEAL_LEN;
    let corrupt = |at: usize, what: &str| DiskError::Corrupt {
        file: name.into(),
        offset: at as u64,
        what: what.into(),
    };
    let (has_digest, has_last_zxid) = match bytes.len().checked_sub(at) {
        Some(0) => (false, false),
        Some(n) if n == LAST_ZXID_LEN + SEAL_LEN => (false, true),
        Some(n) if n == DIGEST_LEN + SEAL_LEN => (true, false),
        Some(n) if n == DIGEST_LEN + LAST_ZXID_LEN + 2 * SEAL_LEN => (true, true),
        _ => return Err(corrupt(at, "expected the end, a digest or a last zxid")),
    };
    let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let mut adler = Adler32::new();
    adler.write_slice(&bytes[..at]);
    let mut section = |len: usize| {
        adler.write_slice(&bytes[at..at + len]);
        let (start, seal) = (at, &bytes[at + len..at + len + SEAL_LEN]);
        if seal != seal_of(&adler) {
            return Err(corrupt(at + len, "the checksum is wrong"));
        }
        adler.write_slice(seal);
        at += len + SEAL_LEN;
        Ok(start)
    };
    let mut appendix = Appendix::default();
    if has_digest {
        let start = section(DIGEST_LEN)?;
        let version = i32::from_be_bytes(bytes[start + 8..start + 12].try_into().expect("four bytes"));
        let value = long(start + 12) as u64;
        appendix.digest = Some(TreeDigest { zxid: Zxid(long(start)), version, value });
    }
    if has_last_zxid {
        appendix.last_zxid = Some(Zxid(long(section(LAST_ZXID_LEN)?)));
    }
    Ok(appendix)
}

/// A whole file as ZooKeeper writes it.
pub fn encode(body: &[u8], appendix: &Appendix) -> Vec<u8> {
    let mut out = [HEADER.as_slice(), body].concat();
    let mut adler = Adler32::new();
    let mut sealed = 0;
    let mut seal = |out: &mut Vec<u8>| {
        adler.write_slice(&out[sealed..]);
        sealed = out.len();
        out.extend_from_slice(&seal_of(&adler));
    };
    seal(&mut out);
    if let Some(digest) = &appendix.digest {
        out.extend_from_slice(&digest.zxid.0.to_be_bytes());
        out.extend_from_slice(&digest.version.to_be_bytes());
        out.extend_from_slice(&digest.value.to_be_bytes());
        seal(&mut out);
    }
    if let Some(last_zxid) = appendix.last_zxid {
        out.extend_from_slice(&last_zxid.0.to_be_bytes());
        seal(&mut out);
    }
    out
}
