//! Behaviour switches: historical (and deliberately wrong) behaviours, one each, read at the one
//! place where the behaviour differs. The empty set is the correct protocol.
//!
//! The machines and storage ask [`Switches::has`]; [`catalogue`] says of each which bug of ZooKeeper it is,
//! [`releases`] which release had it.

pub mod catalogue;
pub mod releases;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Switch {
    /// A follower acknowledges a PROPOSAL when it is handed to the disk, not when it is durable.
    /// Not history: it shows that the checkers bite.
    AckBeforeSync,
    /// A leader whose epoch is below what a member has accepted goes on leading, and the member, which
    /// must refuse it, stays outside for as long as the leader has a quorum. All releases of ZooKeeper.
    IgnoreHigherAcceptedEpoch,
    /// ZOOKEEPER-335, ZOOKEEPER-1081, ZOOKEEPER-1082. No epoch files: the new epoch is the epoch of the
    /// leader's last logged zxid plus one, nothing records that an epoch was promised, and votes compare (zxid,
    /// sid). Two leaders can use one epoch.
    EpochFromLog,
    /// ZOOKEEPER-1419. The last clause of the order of votes forgets the epoch: an equal zxid and a higher sid
    /// win even from an older epoch, so the order is not transitive and three votes can beat each other in a
    /// ring: the election never ends.
    VoteOrderPrecedence,
    /// ZOOKEEPER-1732, ZOOKEEPER-1818. A peer that looks joins an established ensemble only when a quorum of
    /// its notifications agrees on leader, zxid, round and epoch, though those that joined late keep the round
    /// and zxid of their election.
    JoinStrictMatch,
    /// ZOOKEEPER-975. An election round also ends as soon as every voter was heard, agreed or not, with one's
    /// own proposal as its result, and without waiting for a better vote. Two can go on electing themselves
    /// at once, each heard by all.
    FinishWhenAllHeard,
    /// ZOOKEEPER-3769. A notification that is too short to be one, as when its connection ends within it, ends
    /// the task that receives them, for good: the peer goes on to send, and hears no vote any more.
    BadNotificationKillsReceiver,
    /// ZOOKEEPER-1291. LEADERINFO goes out as soon as a quorum has said its accepted epoch; the leader's own
    /// acceptedEpoch is being written meanwhile, and may be lost with a quorum's ACKEPOCHs already counted.
    LeaderAcceptsEpochLate,
    /// ZOOKEEPER-2959. Any learner's id goes into the sets of those that connected, acknowledged the epoch and
    /// acknowledged NEWLEADER, and only their number is looked at: observers make a quorum.
    ObserversCount,
    /// ZOOKEEPER-1192. A leader that waits for a quorum of ACKEPOCH waits on a condition that holds already:
    /// its own call comes back at once: it writes currentEpoch and synchronises whoever comes, learners that
    /// are ahead of it too. The quorum of NEWLEADER hides most of that; two can send NEWLEADER of one epoch.
    EpochAckWaitsOnWrongFlag,
    /// ZOOKEEPER-790. The last processed zxid becomes (e, 0) when a leader begins to lead, before a quorum
    /// follows it: a failed attempt leaves a vote of (e, 0) with no history behind it. Without epoch files
    /// (`EpochFromLog`) that vote beats any history of e-1; with them a later leader of e takes the zxid for
    /// its own, and sends nothing.
    ZxidRaisedBeforeEstablished,
    /// ZOOKEEPER-3911, ZOOKEEPER-2678. The transactions of a DIFF wait in memory until UPTODATE; the ACK of
    /// NEWLEADER leaves before any of them is in the log.
    #[serde(rename = "ack-newleader-with-diff-in-memory")]
    AckNewLeaderWithDiffInMemory,
    /// ZOOKEEPER-4643. currentEpoch is written first and the transactions of the DIFF after it: a crash in
    /// between leaves a server that claims an epoch whose initial history it lacks.
    EpochBeforeHistory,
    /// ZOOKEEPER-4646, ZOOKEEPER-4785. The transactions of a DIFF are handed to the log, behind currentEpoch
    /// (as in all releases that had it), and the ACK of NEWLEADER leaves while they are in its queue.
    #[serde(rename = "ack-newleader-with-log-queued")]
    AckNewLeaderWithLogQueued,
    /// ZOOKEEPER-4685, ZOOKEEPER-3023. The log acknowledges the transactions of a DIFF by itself as they become
    /// durable, which may go out before the ACK of NEWLEADER. A Java leader takes the first ACK for that of
    /// NEWLEADER; ours keeps it until that one comes.
    ProposalAckOvertakes,
    /// ZOOKEEPER-4394. The queue of proposals is emptied at NEWLEADER; a COMMIT before UPTODATE for one of them
    /// finds nothing, and the learner dies and begins again.
    EarlyCommitFatal,
    /// ZOOKEEPER-3104. NEWLEADER is queued before the snapshot is sent, and what was proposed meanwhile comes
    /// behind it. The snapshot is fuzzy: stored as the state at z it may hold effects of later transactions.
    #[serde(rename = "newleader-before-snapshot-tail")]
    NewLeaderBeforeSnapshotTail,
    /// ZOOKEEPER-2845, ZOOKEEPER-2678. A server that leaves its role keeps its database as it is: what was
    /// logged and not committed is in the file and not in memory, and its vote and ACKEPOCH show the smaller
    /// zxid.
    ReuseDbWithoutLogTail,
    /// ZOOKEEPER-3642. A SNAP that ends before NEWLEADER leaves the received tree and its zxid in memory,
    /// though the disk has neither. (One that did not come whole is read from the disk again here.)
    KeepPartialSnap,
    /// ZOOKEEPER-2355. The last processed zxid becomes that of the DIFF packet before any of its transactions
    /// has arrived; the connection breaks, and the zxid is what the member votes and synchronises with.
    DiffRaisesZxidAtOnce,
    /// ZOOKEEPER-1154. A learner whose last zxid lies within the committed log and is not in it is sent DIFF
    /// with what is above it, instead of being cut to the last transaction in common first.
    DiffWithoutTrunc,
    /// ZOOKEEPER-1156. TRUNC(z) cuts at a wrong place: the record of z itself, and those read ahead before it,
    /// go as well.
    TruncRemovesTooMuch,
    /// ZOOKEEPER-962. Choosing what to send to a learner and registering it for what is proposed from then on
    /// are two steps; what is committed in between is in neither.
    SyncRangeNotAtomic,
    /// ZOOKEEPER-1282, ZOOKEEPER-1264. currentEpoch is written when UPTODATE arrives, after the ACK of
    /// NEWLEADER has left.
    #[serde(rename = "epoch-at-uptodate")]
    EpochAtUpToDate,
    /// ZOOKEEPER-1264. A COMMIT between the ACK of NEWLEADER and UPTODATE is applied to memory at once; the
    /// transaction is not logged.
    #[serde(rename = "commit-before-uptodate-unlogged")]
    CommitBeforeUpToDateUnlogged,
    /// ZOOKEEPER-1551. What an observer receives between its snapshot and UPTODATE is dropped.
    ObserverDropsSyncTail,
    /// ZOOKEEPER-1549. TRUNC cuts log files only: a snapshot above its zxid is what the database is then loaded
    /// from, and counts as the state at that zxid. A leader takes such a snapshot when it begins, with a tail
    /// in it that no quorum may have.
    TruncKeepsNewerSnapshot,
    /// ZOOKEEPER-2099. A leader reads its log files for a DIFF as if those before and behind an installed
    /// snapshot were adjacent. (The logs that end below a snapshot stay when it is installed, as Java's do.)
    DiskDiffOverGap,
    /// ZOOKEEPER-2418. The log files that a DIFF is read from end before the committed log in memory begins,
    /// and nobody looks.
    DiskDiffShort,
    /// ZOOKEEPER-4925. A transaction applied during synchronisation does not enter the committed log in memory,
    /// later ones do: a range that looks dense and is not. The committed log is kept from role to role, as
    /// Java's is; filled anew from the disk it would have no hole.
    SyncBypassesCommittedLog,
    /// ZOOKEEPER-4712, ZOOKEEPER-3642. The processors of a role that was left live on: what was queued for the
    /// log reaches it after the vote was cast, even after the next synchronisation.
    HalfShutdown,
    /// ZOOKEEPER-5094. A TRUNC that breaks off before NEWLEADER leaves in memory what was committed after the
    /// cut; the log has the cut only.
    KeepPartialTrunc,
    /// ZOOKEEPER-2033. That a learner's zxid is the leader's last processed one is looked at last, and (e, 0)
    /// is a zxid like others: a learner that came there by SNAP is told to truncate into epoch e-1. It cannot,
    /// and its process ends; started again it comes to the same TRUNC.
    TruncAtEpochStart,
    /// ZOOKEEPER-1653, ZOOKEEPER-2354. A crash between a snapshot of epoch e and its currentEpoch leaves a
    /// server that refuses to start, for its history is of a later epoch than its currentEpoch.
    SnapshotThenEpochUnmarked,
    /// ZOOKEEPER-1277. A leader does not resign before its counter is used up: the next zxid carries into the
    /// epoch.
    CounterRollsIntoEpoch,
    /// ZOOKEEPER-2872. A snapshot that the ACK of NEWLEADER rests on is written and not synced.
    SnapshotNotSynced,
    /// ZOOKEEPER-2325. A log without any valid snapshot is replayed on an empty tree instead of being refused.
    MissingSnapshotsMeanEmpty,
    /// ZOOKEEPER-2307. acceptedEpoch changes in memory before its file is written, and stays so when the write
    /// fails, from role to role. The next handshake finds it accepted already and writes currentEpoch only.
    EpochMemoryFirst,
    /// ZOOKEEPER-2247, ZOOKEEPER-4203. When an append or a sync fails the log's task ends; the server keeps its
    /// role and its heartbeats, and acknowledges nothing any more. A leader's own ACK is then missing for good.
    DeadLogWriterIgnored,
    /// ZOOKEEPER-3127. The last processed zxid is raised after the first part of a transaction: a snapshot
    /// begun in that moment bears a zxid whose effects it has in part only. Java's transaction is a multi; the
    /// register map has none, and shows it with the end of a session that owns several registers.
    ZxidBeforeMultiDone,
    /// ZOOKEEPER-3144. The last processed zxid is raised before the table of sessions is changed: a snapshot
    /// begun in that moment lacks the session of its zxid.
    ZxidBeforeSession,
    /// ZOOKEEPER-1367. The openings and closings of sessions that a synchronisation brings reach the data only,
    /// not the table of sessions, nor a snapshot that is taken of it.
    SyncSkipsSessionTracker,
    /// ZOOKEEPER-2926. A session is in the leader's table when its createSession is prepared: it can be in a
    /// snapshot, and never commit.
    SessionVisibleBeforeCommit,
    /// ZOOKEEPER-1208. A session takes requests until its closeSession commits: what they make when it is prepared
    /// already is not on its list of what goes with the session.
    CreateAfterClose,
}

impl Switch {
    pub const ALL: [Switch; 44] = [
        Switch::AckBeforeSync,
        Switch::IgnoreHigherAcceptedEpoch,
        Switch::EpochFromLog,
        Switch::VoteOrderPrecedence,
        Switch::JoinStrictMatch,
        Switch::FinishWhenAllHeard,
        Switch::BadNotificationKillsReceiver,
        Switch::LeaderAcceptsEpochLate,
        Switch::ObserversCount,
        Switch::EpochAckWaitsOnWrongFlag,
        Switch::ZxidRaisedBeforeEstablished,
        Switch::AckNewLeaderWithDiffInMemory,
        Switch::EpochBeforeHistory,
        Switch::AckNewLeaderWithLogQueued,
        Switch::ProposalAckOvertakes,
        Switch::EarlyCommitFatal,
        Switch::NewLeaderBeforeSnapshotTail,
        Switch::ReuseDbWithoutLogTail,
        Switch::KeepPartialSnap,
        Switch::DiffRaisesZxidAtOnce,
        Switch::DiffWithoutTrunc,
        Switch::TruncRemovesTooMuch,
        Switch::SyncRangeNotAtomic,
        Switch::EpochAtUpToDate,
        Switch::CommitBeforeUpToDateUnlogged,
        Switch::ObserverDropsSyncTail,
        Switch::TruncKeepsNewerSnapshot,
        Switch::DiskDiffOverGap,
        Switch::DiskDiffShort,
        Switch::SyncBypassesCommittedLog,
        Switch::HalfShutdown,
        Switch::KeepPartialTrunc,
        Switch::TruncAtEpochStart,
        Switch::SnapshotThenEpochUnmarked,
        Switch::CounterRollsIntoEpoch,
        Switch::SnapshotNotSynced,
        Switch::MissingSnapshotsMeanEmpty,
        Switch::EpochMemoryFirst,
        Switch::DeadLogWriterIgnored,
        Switch::ZxidBeforeMultiDone,
        Switch::ZxidBeforeSession,
        Switch::SyncSkipsSessionTracker,
        Switch::SessionVisibleBeforeCommit,
        Switch::CreateAfterClose,
    ];

    /// As scenarios and the command line say it.
    pub fn name(self) -> &'static str {
        match self {
            Switch::AckBeforeSync => "ack-before-sync",
            Switch::IgnoreHigherAcceptedEpoch => "ignore-higher-accepted-epoch",
            Switch::EpochFromLog => "epoch-from-log",
            Switch::VoteOrderPrecedence => "vote-order-precedence",
            Switch::JoinStrictMatch => "join-strict-match",
            Switch::FinishWhenAllHeard => "finish-when-all-heard",
            Switch::BadNotificationKillsReceiver => "bad-notification-kills-receiver",
            Switch::LeaderAcceptsEpochLate => "leader-accepts-epoch-late",
            Switch::ObserversCount => "observers-count",
            Switch::EpochAckWaitsOnWrongFlag => "epoch-ack-waits-on-wrong-flag",
            Switch::ZxidRaisedBeforeEstablished => "zxid-raised-before-established",
            Switch::AckNewLeaderWithDiffInMemory => "ack-newleader-with-diff-in-memory",
            Switch::EpochBeforeHistory => "epoch-before-history",
            Switch::AckNewLeaderWithLogQueued => "ack-newleader-with-log-queued",
            Switch::ProposalAckOvertakes => "proposal-ack-overtakes",
            Switch::EarlyCommitFatal => "early-commit-fatal",
            Switch::NewLeaderBeforeSnapshotTail => "newleader-before-snapshot-tail",
            Switch::ReuseDbWithoutLogTail => "reuse-db-without-log-tail",
            Switch::KeepPartialSnap => "keep-partial-snap",
            Switch::DiffRaisesZxidAtOnce => "diff-raises-zxid-at-once",
            Switch::DiffWithoutTrunc => "diff-without-trunc",
            Switch::TruncRemovesTooMuch => "trunc-removes-too-much",
            Switch::SyncRangeNotAtomic => "sync-range-not-atomic",
            Switch::EpochAtUpToDate => "epoch-at-uptodate",
            Switch::CommitBeforeUpToDateUnlogged => "commit-before-uptodate-unlogged",
            Switch::ObserverDropsSyncTail => "observer-drops-sync-tail",
            Switch::TruncKeepsNewerSnapshot => "trunc-keeps-newer-snapshot",
            Switch::DiskDiffOverGap => "disk-diff-over-gap",
            Switch::DiskDiffShort => "disk-diff-short",
            Switch::SyncBypassesCommittedLog => "sync-bypasses-committed-log",
            Switch::HalfShutdown => "half-shutdown",
            Switch::KeepPartialTrunc => "keep-partial-trunc",
            Switch::TruncAtEpochStart => "trunc-at-epoch-start",
            Switch::SnapshotThenEpochUnmarked => "snapshot-then-epoch-unmarked",
            Switch::CounterRollsIntoEpoch => "counter-rolls-into-epoch",
            Switch::SnapshotNotSynced => "snapshot-not-synced",
            Switch::MissingSnapshotsMeanEmpty => "missing-snapshots-mean-empty",
            Switch::EpochMemoryFirst => "epoch-memory-first",
            Switch::DeadLogWriterIgnored => "dead-log-writer-ignored",
            Switch::ZxidBeforeMultiDone => "zxid-before-multi-done",
            Switch::ZxidBeforeSession => "zxid-before-session",
            Switch::SyncSkipsSessionTracker => "sync-skips-session-tracker",
            Switch::SessionVisibleBeforeCommit => "session-visible-before-commit",
            Switch::CreateAfterClose => "create-after-close",
        }
    }

    /// The switch of a name.
    pub fn named(name: &str) -> Option<Switch> {
        Switch::ALL.into_iter().find(|switch| switch.name() == name)
    }
}

/// A set of switches, given to a member's machines and storage when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches(u64);

impl Switches {
    pub const NONE: Switches = Switches(0);
    pub fn with(self, switch: Switch) -> Switches {
        Switches(self.0 | 1 << switch as u8)
    }
    pub fn has(self, switch: Switch) -> bool {
        self.0 & (1 << switch as u8) != 0
    }
    /// The releases that had these took a gap in a synchronisation with a warning: a learner logs what comes
    /// (until ZOOKEEPER-4925). Without that none of them would come further than the learner's connection.
    pub fn learner_takes_gaps(self) -> bool {
        const AMONG: [Switch; 4] = [
            Switch::SyncRangeNotAtomic,
            Switch::DiskDiffOverGap,
            Switch::DiskDiffShort,
            Switch::SyncBypassesCommittedLog,
        ];
        AMONG.into_iter().any(|switch| self.has(switch))
    }
    /// The releases that had these took the zxid of a TRUNC for where their history ends, whatever it left.
    pub fn trunc_is_believed(self) -> bool {
        self.has(Switch::TruncRemovesTooMuch) || self.has(Switch::TruncKeepsNewerSnapshot)
    }
    /// An installed snapshot leaves the logs below it, and they can be read for a DIFF (3.5 on). The committed log
    /// begins behind the snapshot that is loaded: it never leads through them.
    pub fn install_keeps_logs(self) -> bool {
        self.has(Switch::DiskDiffOverGap) || self.has(Switch::DiskDiffShort)
    }
    /// What releases did wrong is measured with their ways, where ours are quicker: a database that is read anew when
    /// a role has ended, a fixed wait between dials, a looking voter that is not remembered.
    pub fn slow_as_released(self) -> bool {
        self != Switches::NONE
    }
    pub fn iter(self) -> impl Iterator<Item = Switch> {
        Switch::ALL.into_iter().filter(move |switch| self.has(*switch))
    }
}

impl FromIterator<Switch> for Switches {
    fn from_iter<T: IntoIterator<Item = Switch>>(iter: T) -> Switches {
        iter.into_iter().fold(Switches::NONE, Switches::with)
    }
}
