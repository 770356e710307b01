//! How a learner is brought up to date (`LearnerHandler.syncFollower`), as a pure function. Called
//! by the leader when a learner's ACKEPOCH was accepted.
//!
//! `P`: the learner's last zxid. `LP`: zxid of the leader's applied state. `[min, max]`: the committed
//! log in memory (both LP where it is empty; max is the last *committed*, applied or not).
//!
//! 3.5 to 3.9:
//!
//! | # | condition, in this order | result | forward from |
//! |---|---|---|---|
//! | 1 | forceSnapshotSync | SNAP | LP |
//! | 2 | P = LP | empty DIFF(P) | P |
//! | 3 | P > max, counter(P) ≠ 0, counter(max) ≠ 0 | TRUNC(max) | max |
//! | 4 | min ≤ P ≤ max | from the committed log, see `queue_committed` | last queued |
//! | 5 | P < min, DIFF from disk not disabled | from the log on disk, then the committed log | last queued |
//! | 6 | otherwise | SNAP | LP |
//!
//! Row 3 asks one thing more than Java does: that max is a transaction. Where the leader's history ends at
//! an epoch's beginning (0 included; it came as a snapshot), no learner has a record to keep: ours could
//! not cut, and Java's would keep the first record behind max and call itself equal. They get SNAP.
//!
//! 3.4.7 to 3.4.14 (ZOOKEEPER-2033):
//!
//! | # | condition, in this order | result | forward from |
//! |---|---|---|---|
//! | a | P = LP | empty DIFF(P) | P |
//! | b | min ≤ P ≤ max | DIFF(max), or TRUNC to the last common one, then what follows | last queued |
//! | c | P > max | TRUNC(max) | max |
//! | d | P < min, or nothing in memory | SNAP | LP |

use wire::Zxid;

use crate::config::{Settings, SyncTable};
use crate::database::CommittedLog;
use crate::disk::TxnEntry;
use crate::event::SyncMode;
use crate::switches::{Switch, Switches};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncPlan {
    /// DIFF or TRUNC, then PROPOSAL and COMMIT of each.
    Stream {
        mode: SyncMode,
        op: SyncOp,
        txns: Vec<TxnEntry>,
        forward_from: Zxid,
    },
    Snap {
        forward_from: Zxid,
    },
    /// Ask the disk for the log behind `after` first, then decide with `with_disk_log`.
    ReadLog {
        after: Zxid,
        through: Zxid,
        size_limit: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOp {
    Diff(Zxid),
    Trunc(Zxid),
}

pub struct SyncInputs<'a> {
    pub peer_last_zxid: Zxid,
    pub last_processed: Zxid,
    pub log: &'a CommittedLog,
    pub snapshot_bytes: u64,
    pub settings: &'a Settings,
    pub switches: Switches,
}

pub fn decide(inputs: &SyncInputs<'_>) -> SyncPlan {
    let SyncInputs { peer_last_zxid: p, last_processed: lp, log, settings, switches, .. } = *inputs;
    let (min, max) = (log.min().unwrap_or(lp), log.max().unwrap_or(lp));
    let snap = SyncPlan::Snap { forward_from: lp };
    if settings.force_snapshot_sync {
        return snap;
    }
    // Right: equal is equal, tested first. Wrong (ZOOKEEPER-2033): tested last, and only where nothing is in
    // memory, so that the end of a committed log of the epoch before decides.
    let equal_last = switches.has(Switch::TruncAtEpochStart);
    if p == lp && (!equal_last || log.is_empty()) {
        return SyncPlan::Stream {
            mode: SyncMode::EmptyDiff,
            op: SyncOp::Diff(p),
            txns: Vec::new(),
            forward_from: p,
        };
    }
    let v34 = settings.sync_table == SyncTable::V34;
    let ahead = if v34 || equal_last { !log.is_empty() } else { p.counter() != 0 && max.counter() != 0 };
    if p > max && ahead {
        return trunc(max);
    }
    if min <= p && p <= max && !log.is_empty() {
        // Right: P must be in the history, else it is cut. Wrong (ZOOKEEPER-1154): what is above P follows it.
        if switches.has(Switch::DiffWithoutTrunc) {
            return diff_above(log, p, max);
        }
        let rules = Rules { any_epoch: v34 || equal_last, cuts_epoch_start: equal_last };
        return queue_committed(log.iter(), p, max, rules).unwrap_or(snap);
    }
    if p < min && !v34 && settings.snapshot_size_factor_milli >= 0 {
        // Java clamps a factor above one to its default.
        let factor = match settings.snapshot_size_factor_milli {
            f if f > 1000 => 330,
            f => f,
        };
        let size_limit = inputs.snapshot_bytes * factor.unsigned_abs() / 1000;
        return SyncPlan::ReadLog { after: p, through: min, size_limit };
    }
    snap
}

/// Case 5, once the disk has answered: `from_disk` begins with the last record at or before P. What
/// was committed since the question is in the committed log.
pub fn with_disk_log(inputs: &SyncInputs<'_>, from_disk: Option<Vec<TxnEntry>>) -> SyncPlan {
    let snap = SyncPlan::Snap { forward_from: inputs.last_processed };
    let Some(from_disk) = from_disk else { return snap };
    let (Some(min), Some(max)) = (inputs.log.min(), inputs.log.max()) else { return snap };
    // Both sources overlap in `min`, or there is a gap between them (ZOOKEEPER-2418).
    let short = from_disk.last().is_none_or(|last| last.zxid < min);
    if short && !inputs.switches.has(Switch::DiskDiffShort) {
        return snap;
    }
    let all = from_disk.iter().filter(|entry| entry.zxid < min).chain(inputs.log.iter());
    match queue_committed(all, inputs.peer_last_zxid, max, Rules::default()) {
        Some(SyncPlan::Stream { mode: SyncMode::Diff, op, txns, forward_from }) => {
            SyncPlan::Stream { mode: SyncMode::DiskDiff, op, txns, forward_from }
        }
        Some(plan) => plan,
        None => snap,
    }
}

fn trunc(to: Zxid) -> SyncPlan {
    SyncPlan::Stream { mode: SyncMode::Trunc, op: SyncOp::Trunc(to), txns: Vec::new(), forward_from: to }
}

/// Everything above P, without a question whether P is in the history.
fn diff_above(log: &CommittedLog, p: Zxid, max: Zxid) -> SyncPlan {
    let txns: Vec<TxnEntry> = log.iter().filter(|entry| entry.zxid > p).cloned().collect();
    SyncPlan::Stream { mode: SyncMode::Diff, op: SyncOp::Diff(max), txns, forward_from: max }
}

#[derive(Clone, Copy, Default)]
struct Rules {
    /// TRUNC may cross epochs (3.4).
    any_epoch: bool,
    /// An epoch's beginning is a zxid like any other (ZOOKEEPER-2033).
    cuts_epoch_start: bool,
}

/// `queueCommittedProposals`: P is in the history (DIFF), opens an epoch (DIFF), or lies between two
/// transactions of one epoch (TRUNC to the one before it). `None`: it lies in an epoch of which the
/// history has nothing to cut to; TRUNC must not cross epochs.
fn queue_committed<'a>(
    history: impl Iterator<Item = &'a TxnEntry>,
    p: Zxid,
    last_committed: Zxid,
    rules: Rules,
) -> Option<SyncPlan> {
    let opens_epoch = p.counter() == 0 && !rules.cuts_epoch_start;
    let mut before: Option<Zxid> = None;
    let mut op = None;
    let mut txns: Vec<TxnEntry> = Vec::new();
    for entry in history {
        if entry.zxid < p {
            before = Some(entry.zxid);
            continue;
        }
        if op.is_none() {
            if entry.zxid == p || opens_epoch {
                op = Some((SyncMode::Diff, SyncOp::Diff(last_committed)));
            } else {
                let to = before?;
                if !rules.any_epoch && (entry.zxid.epoch() != p.epoch() || to.epoch() != p.epoch()) {
                    return None;
                }
                op = Some((SyncMode::TruncDiff, SyncOp::Trunc(to)));
            }
        }
        if entry.zxid > p {
            txns.push(entry.clone());
        }
    }
    let (mode, op) = op.or(opens_epoch.then_some((SyncMode::Diff, SyncOp::Diff(last_committed))))?;
    let forward_from = txns.last().map_or(p, |last| last.zxid);
    Some(SyncPlan::Stream { mode, op, txns, forward_from })
}
