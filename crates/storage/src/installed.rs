//! Where the logs of a data directory do not meet. A member that got a snapshot from its leader may keep the logs
//! below it (Java does, and so may a directory that Java wrote), though they end before that snapshot: read
//! as if adjacent they are a history with a hole (ZOOKEEPER-2099). Inside an epoch the missing counters show it.
//! Across epochs only the snapshot does: its zxid lies between two records that otherwise follow each other. (Purging
//! keeps no log below the oldest snapshot, so it is there.) Recovery and reading for a DIFF ask here.

use wire::Zxid;

use crate::compression::snapshot_zxid;

/// The zxids of all snapshots of a directory, ascending.
pub struct Snapshots(Vec<Zxid>);

impl Snapshots {
    pub fn among(names: &[String]) -> Snapshots {
        let mut zxids: Vec<Zxid> = names.iter().filter_map(|name| snapshot_zxid(name)).collect();
        zxids.sort();
        Snapshots(zxids)
    }

    /// True where nothing is missing between two records of the logs.
    pub fn adjacent(&self, before: Zxid, next: Zxid) -> bool {
        let above = self.0.partition_point(|snapshot| *snapshot <= before);
        next.follows(before) && self.0.get(above).is_none_or(|snapshot| *snapshot >= next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_adjacent_where_no_snapshot_stands_between_them() {
        let names =
            ["snapshot.0", "snapshot.100000002", "snapshot.200000000", "log.100000001"].map(String::from);
        let snapshots = Snapshots::among(&names);
        let adjacent = |before, next| snapshots.adjacent(Zxid(before), Zxid(next));
        assert!(adjacent(0x1_0000_0001, 0x1_0000_0002), "a snapshot of the record itself");
        assert!(adjacent(0x1_0000_0002, 0x1_0000_0003));
        assert!(!adjacent(0x1_0000_0001, 0x1_0000_0003), "a counter is missing");
        assert!(
            !adjacent(0x1_0000_0002, 0x2_0000_0001),
            "what epoch 1 had behind it, only the snapshot knows"
        );
        assert!(adjacent(0x2_0000_0005, 0x3_0000_0001), "no snapshot between");
    }
}
