//! `DigestCalculator`: a node's share of the tree's digest (3.6+). The digest is the sum of the shares,
//! modulo 2^64 (`AdHash`): a change subtracts the old share and adds the new one.

use wire::StatPersisted;

/// `DigestCalculator.DIGEST_VERSION`.
pub const DIGEST_VERSION: i32 = 2;

/// Nodes below `/zookeeper` are a server's own (quota statistics, the configuration) and do not count;
/// itself it does.
pub fn counts(path: &[u8]) -> bool {
    !path.starts_with(b"/zookeeper/")
}

/// CRC-32 over path (that of the root is empty), data and stat; the fields of the stat in another order than
/// in snapshots. ACLs and names of children are not covered.
pub fn node_digest(path: &[u8], data: Option<&[u8]>, stat: &StatPersisted) -> u32 {
    if !counts(path) {
        return 0;
    }
    let mut fields = [0u8; 60];
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    for (at, long) in longs.into_iter().enumerate() {
        fields[8 * at..8 * at + 8].copy_from_slice(&long.to_be_bytes());
    }
    for (at, int) in [stat.version, stat.cversion, stat.aversion].into_iter().enumerate() {
        fields[40 + 4 * at..44 + 4 * at].copy_from_slice(&int.to_be_bytes());
    }
    fields[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == b"/" { b"" } else { path });
    crc.update(data.unwrap_or_default());
    crc.update(&fields);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use wire::Zxid;

    use super::*;

    /// Computed by a Java server.
    #[test]
    fn known_digests() {
        let fresh = StatPersisted::default();
        let root = StatPersisted { cversion: 1, pzxid: Zxid(0x1_0000_0002), ..fresh };
        let (zxid, time) = (Zxid(0x1_0000_0002), 1_700_000_000_000);
        let a = StatPersisted { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, ..fresh };
        assert_eq!(node_digest(b"", Some(b""), &fresh), 0x0412_8908);
        assert_eq!(node_digest(b"/", None, &fresh), 0x0412_8908);
        assert_eq!(node_digest(b"/zookeeper", Some(b""), &fresh), 0x4db4_4d58);
        assert_eq!(node_digest(b"/zookeeper/quota", Some(b""), &fresh), 0);
        assert_eq!(node_digest(b"", Some(b""), &root), 0xeb02_e853);
        assert_eq!(node_digest(b"/a", Some(b"hello"), &a), 0xdaf4_f09d);
    }
}
