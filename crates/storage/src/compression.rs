//! Compressed snapshot files, as `zookeeper.snapshot.compression.method` of 3.6+ writes them: `.gz`, and
//! `.snappy` in the framing of snappy-java. They are read; we write none.
//!
//! ```text
//! .snappy   82 "SNAPPY" 00 | i32 version | i32 compatible version | ( i32 length | raw snappy block ) ...
//! ```

use std::io::Read;

use wire::Zxid;

use crate::log_reader::zxid_of_name;

const SNAPPY_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const SNAPPY_HEADER: usize = 16;
/// No block of snappy grows by more than this (64 bytes out of a copy of three).
const SNAPPY_RATIO: usize = 32;

/// The zxid in the name of a snapshot, compressed or not.
pub fn snapshot_zxid(name: &str) -> Option<Zxid> {
    let plain = name.strip_suffix(".gz").or(name.strip_suffix(".snappy")).unwrap_or(name);
    zxid_of_name(plain, "snapshot")
}

pub fn is_compressed(name: &str) -> bool {
    name.ends_with(".gz") || name.ends_with(".snappy")
}

/// What the file says when it is not compressed. Errors are told with what was expected, and where.
pub fn plain(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, (u64, String)> {
    if name.ends_with(".gz") {
        gunzip(&bytes)
    } else if name.ends_with(".snappy") {
        unsnap(&bytes)
    } else {
        Ok(bytes)
    }
}

/// Deflate expands at most 1032 to 1, so the output is bounded by the file.
fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, (u64, String)> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut out = Vec::new();
    match decoder.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(why) => Err((0, format!("expected a gzip file: {why}"))),
    }
}

fn unsnap(bytes: &[u8]) -> Result<Vec<u8>, (u64, String)> {
    let wrong = |at: usize, what: &str| (at as u64, what.to_owned());
    if bytes.len() < SNAPPY_HEADER || &bytes[..8] != SNAPPY_MAGIC {
        return Err(wrong(0, "expected a snappy-java stream"));
    }
    let mut out = Vec::new();
    let mut at = SNAPPY_HEADER;
    while at < bytes.len() {
        let length = bytes.get(at..at + 4).ok_or_else(|| wrong(at, "expected the length of a block"))?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let block = bytes.get(at + 4..).and_then(|rest| rest.get(..length));
        let block = block.ok_or_else(|| wrong(at, "the file ends inside a block"))?;
        let claimed = snap::raw::decompress_len(block).map_err(|e| wrong(at, &e.to_string()))?;
        if claimed > SNAPPY_RATIO * (length + 1) {
            return Err(wrong(at, "a block claims to be larger than it can be"));
        }
        let block = snap::raw::Decoder::new().decompress_vec(block).map_err(|e| wrong(at, &e.to_string()))?;
        out.extend_from_slice(&block);
        at += 4 + length;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["snapshot.1f", "snapshot.1f.gz", "snapshot.1f.snappy"] {
            assert_eq!(snapshot_zxid(name), Some(Zxid(0x1f)), "{name}");
        }
        for name in ["snapshot.1f.tmp", "snapshot.gz", "log.1f.gz", "snapshot.1f.gz.gz"] {
            assert_eq!(snapshot_zxid(name), None, "{name}");
        }
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let mut file = SNAPPY_MAGIC.to_vec();
        file.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        for (tail, at, what) in [
            (&[0, 0][..], 16, "the length of a block"),
            (&[0, 0, 0, 9, 1], 16, "ends inside a block"),
            // One byte that claims to be four gigabytes.
            (&[0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f], 16, "larger than it can be"),
        ] {
            let (offset, why) = plain("snapshot.1.snappy", [&file, tail].concat()).expect_err(what);
            assert_eq!(offset, at);
            assert!(why.contains(what), "{why}");
        }
        assert!(plain("snapshot.1.snappy", b"short".to_vec()).is_err());
        assert!(plain("snapshot.1.gz", b"no gzip".to_vec()).is_err());
    }
}
