//! The museum: of each historical switch the bug of ZooKeeper that it is, where in the protocol it sits, what
//! it breaks, and which releases had it. `vivarium bugs` prints it; a profile is computed from it.
//!
//! The stories are at the switches themselves ([`Switch`]).

use super::releases::{Range, Release};
use super::{Switch, Switches};

/// Where in the protocol a bug sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Election,
    Discovery,
    Synchronisation,
    Broadcast,
    Storage,
    Sessions,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Election => "election",
            Phase::Discovery => "discovery",
            Phase::Synchronisation => "synchronisation",
            Phase::Broadcast => "broadcast",
            Phase::Storage => "storage",
            Phase::Sessions => "sessions",
        }
    }
}

/// A bug that ZooKeeper had, or has.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its number in the museum. A letter behind it: the sibling of the bug of that number.
    pub id: &'static str,
    pub switch: Switch,
    /// The issue that tells it, and those that opened or refined it.
    pub issues: &'static [&'static str],
    pub phase: Phase,
    /// The invariants that it breaks; the first is the one that usually shows first.
    pub breaks: &'static [&'static str],
    /// Switches without which it does not show.
    pub needs: &'static [Switch],
    /// None: it was mended before the release that would have had it.
    pub releases: &'static [Range],
}

impl Bug {
    /// The switches of a run that shows it.
    pub fn switches(&self) -> Switches {
        self.needs.iter().copied().fold(Switches::NONE.with(self.switch), Switches::with)
    }

    pub fn in_release(&self, release: Release) -> bool {
        self.releases.iter().any(|range| range.contains(release))
    }
}

impl Switch {
    /// The bug that it is, if it is history.
    pub fn bug(self) -> Option<&'static Bug> {
        BUGS.iter().find(|bug| bug.switch == self)
    }
}

/// All that a release had.
pub fn profile(release: Release) -> Switches {
    BUGS.iter().filter(|bug| bug.in_release(release)).map(|bug| bug.switch).collect()
}

const fn r(major: u8, minor: u8, patch: u8) -> Release {
    Release { major, minor, patch }
}

const fn from_to(from: Release, to: Release) -> Range {
    Range { from, to }
}

const FIRST: Release = r(0, 0, 0);
/// The last release of a line, whatever its number.
const LAST: u8 = u8::MAX;
/// Not mended in any release so far.
const OPEN: Release = r(LAST, LAST, LAST);

/// In the order of their numbers.
pub const BUGS: [Bug; 42] = [
    Bug {
        id: "01",
        switch: Switch::EpochFromLog,
        issues: &["ZOOKEEPER-335", "ZOOKEEPER-1081", "ZOOKEEPER-1082"],
        phase: Phase::Election,
        breaks: &["LEAD", "ZXU", "AGR"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, LAST))],
    },
    Bug {
        id: "02",
        switch: Switch::VoteOrderPrecedence,
        issues: &["ZOOKEEPER-1419"],
        phase: Phase::Election,
        breaks: &["LV-ELECT", "LLC"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 3))],
    },
    Bug {
        id: "03",
        switch: Switch::JoinStrictMatch,
        issues: &["ZOOKEEPER-1732", "ZOOKEEPER-1818"],
        phase: Phase::Election,
        breaks: &["LV-JOIN"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 5))],
    },
    Bug {
        id: "04",
        switch: Switch::FinishWhenAllHeard,
        issues: &["ZOOKEEPER-975"],
        phase: Phase::Election,
        breaks: &["LV-ELECT", "LV-JOIN"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, LAST))],
    },
    Bug {
        id: "05",
        switch: Switch::BadNotificationKillsReceiver,
        issues: &["ZOOKEEPER-3769"],
        phase: Phase::Election,
        breaks: &["LV-ELECT", "LV-JOIN"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 5, 7)), from_to(r(3, 6, 0), r(3, 6, 0))],
    },
    Bug {
        id: "06",
        switch: Switch::LeaderAcceptsEpochLate,
        issues: &["ZOOKEEPER-1291"],
        phase: Phase::Discovery,
        breaks: &["LEAD"],
        needs: &[],
        releases: &[],
    },
    Bug {
        id: "07",
        switch: Switch::ObserversCount,
        issues: &["ZOOKEEPER-2959"],
        phase: Phase::Discovery,
        breaks: &["EPQ", "LEAD"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 12)), from_to(r(3, 5, 0), r(3, 5, 3))],
    },
    Bug {
        id: "08",
        switch: Switch::EpochAckWaitsOnWrongFlag,
        issues: &["ZOOKEEPER-1192"],
        phase: Phase::Discovery,
        breaks: &["LEAD", "IHI", "CLM", "LLC"],
        needs: &[],
        releases: &[],
    },
    Bug {
        id: "09",
        switch: Switch::ZxidRaisedBeforeEstablished,
        issues: &["ZOOKEEPER-790"],
        phase: Phase::Discovery,
        breaks: &["AST-ACK", "HIS", "LLC", "ACKD", "SES", "IHI"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 1))],
    },
    Bug {
        id: "10",
        switch: Switch::AckNewLeaderWithDiffInMemory,
        issues: &["ZOOKEEPER-3911", "ZOOKEEPER-2678"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "EPQ", "CLD", "CMT", "ACKD"],
        needs: &[],
        releases: &[
            from_to(r(3, 4, 10), r(3, 4, 14)),
            from_to(r(3, 5, 3), r(3, 5, 9)),
            from_to(r(3, 6, 0), r(3, 6, 2)),
        ],
    },
    Bug {
        id: "11",
        switch: Switch::EpochBeforeHistory,
        issues: &["ZOOKEEPER-4643"],
        phase: Phase::Synchronisation,
        breaks: &["IHI", "LLC", "CLM"],
        needs: &[],
        releases: &[
            from_to(r(3, 5, 10), r(3, 5, LAST)),
            from_to(r(3, 6, 3), r(3, 8, 4)),
            from_to(r(3, 9, 0), r(3, 9, 1)),
        ],
    },
    Bug {
        id: "12",
        switch: Switch::AckNewLeaderWithLogQueued,
        issues: &["ZOOKEEPER-4646", "ZOOKEEPER-4785"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "EPQ", "CLD", "ACKD"],
        needs: &[],
        releases: &[
            from_to(r(3, 5, 10), r(3, 5, LAST)),
            from_to(r(3, 6, 3), r(3, 8, 4)),
            from_to(r(3, 9, 0), r(3, 9, 1)),
        ],
    },
    Bug {
        id: "13",
        switch: Switch::ProposalAckOvertakes,
        issues: &["ZOOKEEPER-4685", "ZOOKEEPER-3023"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "LV-SYNC"],
        needs: &[],
        releases: &[
            from_to(r(3, 5, 10), r(3, 5, LAST)),
            from_to(r(3, 6, 3), r(3, 8, 4)),
            from_to(r(3, 9, 0), r(3, 9, 1)),
        ],
    },
    Bug {
        id: "14",
        switch: Switch::EarlyCommitFatal,
        issues: &["ZOOKEEPER-4394"],
        phase: Phase::Synchronisation,
        breaks: &["AST-NOPANIC", "AST-COMMIT", "LV-SYNC"],
        needs: &[],
        releases: &[
            from_to(r(3, 5, 10), r(3, 5, LAST)),
            from_to(r(3, 6, 3), r(3, 8, LAST)),
            from_to(r(3, 9, 0), r(3, 9, 2)),
        ],
    },
    Bug {
        id: "15",
        switch: Switch::NewLeaderBeforeSnapshotTail,
        issues: &["ZOOKEEPER-3104"],
        phase: Phase::Synchronisation,
        breaks: &["TREE", "EPH"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, LAST)), from_to(r(3, 5, 0), r(3, 5, 4))],
    },
    Bug {
        id: "16",
        switch: Switch::ReuseDbWithoutLogTail,
        issues: &["ZOOKEEPER-2845", "ZOOKEEPER-2678"],
        phase: Phase::Synchronisation,
        breaks: &["GPO", "AST-ACK", "TOT", "EPQ", "HIS", "PFX", "TREE"],
        needs: &[],
        releases: &[from_to(r(3, 4, 10), r(3, 4, 11)), from_to(r(3, 5, 3), r(3, 5, 3))],
    },
    Bug {
        id: "17",
        switch: Switch::KeepPartialSnap,
        issues: &["ZOOKEEPER-3642"],
        phase: Phase::Synchronisation,
        breaks: &["GAP", "AST-ACK", "TREE", "CLD", "CMT"],
        needs: &[],
        releases: &[
            from_to(r(3, 4, 7), r(3, 4, 14)),
            from_to(r(3, 5, 1), r(3, 5, 9)),
            from_to(r(3, 6, 0), r(3, 6, 2)),
        ],
    },
    Bug {
        id: "18",
        switch: Switch::DiffRaisesZxidAtOnce,
        issues: &["ZOOKEEPER-2355"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "PFX", "LPO"],
        needs: &[],
        releases: &[from_to(r(3, 4, 7), r(3, 4, 10)), from_to(r(3, 5, 1), r(3, 5, 3))],
    },
    Bug {
        id: "19",
        switch: Switch::DiffWithoutTrunc,
        issues: &["ZOOKEEPER-1154"],
        phase: Phase::Synchronisation,
        breaks: &["HIS", "AGR", "TREE"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 3))],
    },
    Bug {
        id: "20",
        switch: Switch::TruncRemovesTooMuch,
        issues: &["ZOOKEEPER-1156"],
        phase: Phase::Storage,
        breaks: &["TREE", "CLM", "CLD", "GAP", "DUR"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 3))],
    },
    Bug {
        id: "21",
        switch: Switch::SyncRangeNotAtomic,
        issues: &["ZOOKEEPER-962"],
        phase: Phase::Synchronisation,
        breaks: &["GAP", "LPO", "AST-PROP"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 2))],
    },
    Bug {
        id: "22",
        switch: Switch::EpochAtUpToDate,
        issues: &["ZOOKEEPER-1282"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "EPQ", "IHI"],
        needs: &[],
        releases: &[],
    },
    Bug {
        id: "22b",
        switch: Switch::CommitBeforeUpToDateUnlogged,
        issues: &["ZOOKEEPER-1264"],
        phase: Phase::Synchronisation,
        breaks: &["GAP", "AST-ACK", "IHI"],
        needs: &[],
        releases: &[from_to(r(3, 3, 3), r(3, 3, 3))],
    },
    Bug {
        id: "23",
        switch: Switch::ObserverDropsSyncTail,
        issues: &["ZOOKEEPER-1551"],
        phase: Phase::Synchronisation,
        breaks: &["GAP", "LPO", "TREE", "MONR"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 5))],
    },
    Bug {
        id: "24",
        switch: Switch::TruncKeepsNewerSnapshot,
        issues: &["ZOOKEEPER-1549"],
        phase: Phase::Storage,
        breaks: &["TREE", "AGR"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), OPEN)],
    },
    Bug {
        id: "25",
        switch: Switch::DiskDiffOverGap,
        issues: &["ZOOKEEPER-2099"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "CLM", "GAP", "LPO", "TREE"],
        needs: &[],
        releases: &[from_to(r(3, 5, 0), OPEN)],
    },
    Bug {
        id: "25b",
        switch: Switch::DiskDiffShort,
        issues: &["ZOOKEEPER-2418"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "GAP", "LPO", "TREE"],
        needs: &[],
        releases: &[from_to(r(3, 5, 0), r(3, 5, LAST))],
    },
    Bug {
        id: "26",
        switch: Switch::SyncBypassesCommittedLog,
        issues: &["ZOOKEEPER-4925"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ACK", "CLM", "GAP", "LPO", "CLD"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 9, 3))],
    },
    Bug {
        id: "27",
        switch: Switch::HalfShutdown,
        issues: &["ZOOKEEPER-4712", "ZOOKEEPER-3642"],
        phase: Phase::Synchronisation,
        breaks: &["AST-ROLE", "HIS", "PFX"],
        needs: &[],
        releases: &[
            from_to(r(3, 5, 10), r(3, 5, LAST)),
            from_to(r(3, 6, 3), r(3, 8, LAST)),
            from_to(r(3, 9, 0), r(3, 9, 2)),
        ],
    },
    Bug {
        id: "28",
        switch: Switch::KeepPartialTrunc,
        issues: &["ZOOKEEPER-5094"],
        phase: Phase::Synchronisation,
        breaks: &["GAP", "CLD", "TREE", "AST-ACK"],
        needs: &[],
        releases: &[from_to(r(3, 4, 7), r(3, 4, LAST)), from_to(r(3, 5, 1), OPEN)],
    },
    Bug {
        id: "29",
        switch: Switch::TruncAtEpochStart,
        issues: &["ZOOKEEPER-2033"],
        phase: Phase::Synchronisation,
        breaks: &["LV-START", "LV-SYNC"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 6))],
    },
    Bug {
        id: "30",
        switch: Switch::SnapshotThenEpochUnmarked,
        issues: &["ZOOKEEPER-1653", "ZOOKEEPER-2354"],
        phase: Phase::Storage,
        breaks: &["LV-START"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 4, 5)), from_to(r(3, 5, 0), OPEN)],
    },
    Bug {
        id: "31",
        switch: Switch::CounterRollsIntoEpoch,
        issues: &["ZOOKEEPER-1277"],
        phase: Phase::Broadcast,
        breaks: &["GPO", "LEAD", "ZXU", "EPM"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 4)), from_to(r(3, 4, 0), r(3, 4, 3))],
    },
    Bug {
        id: "32",
        switch: Switch::SnapshotNotSynced,
        issues: &["ZOOKEEPER-2872"],
        phase: Phase::Storage,
        breaks: &["LV-START", "CLD", "GAP"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 5, 9))],
    },
    Bug {
        id: "33",
        switch: Switch::MissingSnapshotsMeanEmpty,
        issues: &["ZOOKEEPER-2325"],
        phase: Phase::Storage,
        breaks: &["AST-ACK", "HIS", "TREE", "ACKD", "IHI"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 5, 2))],
    },
    Bug {
        id: "34",
        switch: Switch::EpochMemoryFirst,
        issues: &["ZOOKEEPER-2307"],
        phase: Phase::Storage,
        breaks: &["EPM", "LV-START"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 5, 7)), from_to(r(3, 6, 0), r(3, 6, 2))],
    },
    Bug {
        id: "35",
        switch: Switch::DeadLogWriterIgnored,
        issues: &["ZOOKEEPER-2247", "ZOOKEEPER-4203"],
        phase: Phase::Storage,
        breaks: &["LV-SERVE", "LV-STEP"],
        needs: &[],
        releases: &[from_to(r(3, 5, 1), r(3, 5, 2))],
    },
    Bug {
        id: "36",
        switch: Switch::ZxidBeforeMultiDone,
        issues: &["ZOOKEEPER-3127"],
        phase: Phase::Storage,
        breaks: &["TREE", "EPH"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 5, 4))],
    },
    Bug {
        id: "36b",
        switch: Switch::ZxidBeforeSession,
        issues: &["ZOOKEEPER-3144"],
        phase: Phase::Storage,
        breaks: &["TREE", "SES"],
        needs: &[],
        releases: &[from_to(r(3, 4, 0), r(3, 5, LAST))],
    },
    Bug {
        id: "37",
        switch: Switch::SyncSkipsSessionTracker,
        issues: &["ZOOKEEPER-1367"],
        phase: Phase::Sessions,
        breaks: &["TREE", "EPH", "SES"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 4)), from_to(r(3, 4, 0), r(3, 4, 2))],
    },
    Bug {
        id: "38",
        switch: Switch::SessionVisibleBeforeCommit,
        issues: &["ZOOKEEPER-2926"],
        phase: Phase::Sessions,
        breaks: &["TREE", "SES"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 5, LAST))],
    },
    Bug {
        id: "39",
        switch: Switch::CreateAfterClose,
        issues: &["ZOOKEEPER-1208"],
        phase: Phase::Sessions,
        breaks: &["SES", "EPH"],
        needs: &[],
        releases: &[from_to(FIRST, r(3, 3, 3))],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of some releases, apart from what only a database shows.
    #[test]
    fn profiles() {
        let rows = [
            ("3.3.1", "01 04 09 19 20 21 31 32 33 37 38 39"),
            ("3.4.3", "02 03 05 07 15 23 24 26 29 30 31 32 33 34 36 36b 38"),
            ("3.4.14", "05 10 15 17 24 26 28 32 33 34 36 36b 38"),
            ("3.5.9", "10 17 24 25 25b 26 28 30 32 36b 38"),
            ("3.6.2", "10 17 24 25 26 28 30 34"),
            ("3.8.0", "11 12 13 14 24 25 26 27 28 30"),
            ("3.9.1", "11 12 13 14 24 25 26 27 28 30"),
            ("3.8.5", "14 24 25 26 27 28 30"),
            ("3.9.2", "14 24 25 26 27 28 30"),
            ("3.9.3", "24 25 26 28 30"),
            ("3.9.4", "24 25 28 30"),
            ("3.9.5", "24 25 28 30"),
        ];
        for (name, ids) in rows {
            let release: Release = name.parse().expect("a release");
            let mut had: Vec<&str> =
                profile(release).iter().filter_map(Switch::bug).map(|bug| bug.id).collect();
            had.sort_unstable();
            assert_eq!(had.join(" "), ids, "{name}");
        }
    }

    #[test]
    fn every_switch_is_named_once_and_every_bug_is_one() {
        for (i, switch) in Switch::ALL.into_iter().enumerate() {
            assert_eq!(switch as usize, i);
            assert_eq!(Switch::named(switch.name()), Some(switch));
            let quoted = format!("\"{}\"", switch.name());
            assert_eq!(serde_json::to_string(&switch).expect("JSON"), quoted);
        }
        assert!(BUGS.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(BUGS.len() + 2, Switch::ALL.len());
        assert!(BUGS.iter().all(|bug| bug.switches().has(bug.switch) && !bug.breaks.is_empty()));
    }
}
