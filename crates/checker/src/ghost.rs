//! The ghost state that the invariants are about (`known-bugs`, 1.1): for each member its history,
//! its disk and what it delivered; for each epoch who leads it and what was broadcast; and `C`.
//! `checkers` keeps it up to date and asks the invariants about it.

use wire::{Epoch, ServerId, Zxid};
use zab::Role;

use crate::history::{History, end_before};
use crate::observation::EnsembleSpec;
use crate::quorum::Configuration;
use crate::txns::{Attempt, Epochs};

/// What a member's disk stands for.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Everything appended (page cache included) or inside the newest snapshot.
    pub history: History,
    /// The log is durable through here.
    pub durable: Zxid,
    /// The newest durable snapshot that recovery would use.
    pub snapshot: Zxid,
    pub accepted: Epoch,
    pub current: Epoch,
    /// `dur[p]` ends here: durable, and not above currentEpoch's epoch.
    pub covered: Zxid,
    /// A snapshot from the leader that waits for currentEpoch: its zxid, what was appended since, and
    /// how much of that is durable.
    pub installing: Option<(Zxid, History, Zxid)>,
    /// The process died while its history was being replaced by its leader's: recovery finds the one
    /// or the other.
    pub being_replaced: bool,
    /// A fault took away what was promised; nothing counts before the next recovery.
    pub damaged: bool,
    /// Snapshots, with the last transaction that they may hold effects of.
    pub fuzzy: Vec<(Zxid, Zxid)>,
    /// The same for one that was finished in the moment of a crash, so that nobody told of it.
    pub fuzzy_at_crash: Zxid,
}

impl Disk {
    fn new() -> Disk {
        Disk {
            history: History::default(),
            durable: Zxid::ZERO,
            snapshot: Zxid::ZERO,
            accepted: Epoch::NONE,
            current: Epoch::NONE,
            covered: Zxid::ZERO,
            installing: None,
            being_replaced: false,
            damaged: false,
            fuzzy: Vec::new(),
            fuzzy_at_crash: Zxid::MIN,
        }
    }

    /// Recompute `covered` after anything durable changed.
    #[inline]
    pub fn settle(&mut self) {
        let through = self.durable.max(self.snapshot);
        self.covered = if through.epoch() <= self.current {
            through
        } else {
            // The part above currentEpoch is cut by recovery: nobody was told about it.
            self.history.prev(self.current.next().first_zxid()).unwrap_or(self.history.base()).min(through)
        };
        if self.damaged {
            self.covered = Zxid::MIN;
        }
    }

    /// `cov(p,t)`.
    #[inline]
    pub fn covers(&self, zxid: Zxid) -> bool {
        zxid <= self.covered
            && (self.history.holds(zxid) || (zxid <= self.snapshot && zxid > self.history.last()))
    }

    /// The first of `other`'s transactions in `(after, through]` that is not covered.
    pub fn first_uncovered(&self, other: &History, after: Zxid, through: Zxid) -> Option<Zxid> {
        let logged = self.covered.min(self.history.last());
        let missing = self.history.first_missing(other, after, through.min(logged));
        // Above the log, a newer snapshot stands for everything up to its zxid.
        let floor = after.max(logged).max(self.snapshot.min(self.covered));
        missing.or_else(|| other.next(floor).filter(|zxid| *zxid <= through))
    }
}

/// Ghost of one member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub sid: ServerId,
    /// Its process runs.
    pub up: bool,
    /// The last crash took the power.
    pub power_lost: bool,
    /// Its disk was never read yet.
    pub fresh: bool,
    pub role: Role,
    /// How often it entered LEADING.
    pub attempts: u32,
    pub leader: Option<usize>,
    /// In its present role it acknowledged NEWLEADER of this epoch.
    pub new_leader_acked: Option<Epoch>,
    pub up_to_date: Option<Epoch>,
    /// It leads, and the epoch is established.
    pub established: Option<Epoch>,
    /// `log[p]`: handed to the disk or recovered, as its process sees it.
    pub log: History,
    /// End of `D[p]`: recovered, restored or delivered through here.
    pub delivered: Zxid,
    /// First and last transaction delivered (not recovered) in this life.
    pub life: Option<(Zxid, Zxid)>,
    /// Delivered while synchronising: enters `D[p]` at UPTODATE.
    pub pending: Vec<Zxid>,
    /// Trees below this zxid may hold effects of later transactions (a fuzzy snapshot).
    pub fuzzy_until: Zxid,
    /// The last state told in its present role, and after which zxid.
    pub last_tree: Option<(Zxid, u64)>,
    /// What recovery would fold from its disk, until memory is told.
    pub recovered_tree: Option<(Zxid, u64)>,
    pub disk: Disk,
    /// The highest proposal it ever acknowledged.
    pub max_acked: Zxid,
    /// Where `C` ended, as far as epochs up to its leader's had a say in it, when that one last decided how to
    /// synchronise it.
    pub sync_point: Option<Zxid>,
    /// The last event that tells how far it came, in words.
    pub last_step: &'static str,
}

impl Member {
    /// It learns from a leader and is not up to date yet.
    #[inline]
    pub fn is_synchronising(&self) -> bool {
        matches!(self.role, Role::Following | Role::Observing) && self.up_to_date.is_none()
    }

    pub fn enter_role(&mut self, role: Role) {
        self.role = role;
        self.attempts += u32::from(role == Role::Leading);
        self.leader = None;
        self.new_leader_acked = None;
        self.up_to_date = None;
        self.established = None;
        self.last_tree = None;
        self.pending.clear();
    }

    /// A new life begins with this history, flagged "recovered".
    pub fn begin_life(&mut self, history: History) {
        self.delivered = history.last();
        self.log = history;
        self.life = None;
        self.pending.clear();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Ghost {
    pub members: Vec<Member>,
    /// The one that a leader made active last.
    pub config: Configuration,
    /// In which epoch.
    pub configured_in: Epoch,
    /// What was proposed later, or agreed on with NEWLEADER, and may be active one day.
    pub seen: Vec<Configuration>,
    /// Versions that leaders have made active.
    pub activated: Vec<Zxid>,
    pub allow_zxid_jumps: bool,
    pub epochs: Epochs,
    /// `C`.
    pub committed: History,
    /// The highest epoch whose leader sent NEWLEADER.
    pub newest_led: Epoch,
}

impl Ghost {
    pub fn new(spec: &EnsembleSpec) -> Ghost {
        let members: Vec<Member> = spec
            .members
            .iter()
            .map(|member| Member {
                sid: member.sid,
                up: false,
                power_lost: false,
                fresh: true,
                role: Role::Looking,
                attempts: 0,
                leader: None,
                new_leader_acked: None,
                up_to_date: None,
                established: None,
                log: History::default(),
                delivered: Zxid::ZERO,
                life: None,
                pending: Vec::new(),
                fuzzy_until: Zxid::MIN,
                last_tree: None,
                recovered_tree: None,
                disk: Disk::new(),
                max_acked: Zxid::MIN,
                sync_point: None,
                last_step: "never started",
            })
            .collect();
        Ghost {
            config: Configuration::first(&spec.verifier, &spec.members),
            configured_in: Epoch::NONE,
            seen: Vec::new(),
            activated: Vec::new(),
            members,
            allow_zxid_jumps: spec.allow_zxid_jumps,
            epochs: Epochs::default(),
            committed: History::default(),
            newest_led: Epoch::NONE,
        }
    }

    #[inline]
    pub fn index(&self, sid: ServerId) -> Option<usize> {
        self.members.iter().position(|m| m.sid == sid)
    }

    pub fn attempt(&self, member: usize) -> Attempt {
        Attempt { member, number: self.members[member].attempts }
    }

    pub fn sid(&self, member: usize) -> ServerId {
        self.members[member].sid
    }

    /// Voters of the active configuration for which `holds` is true, as a mask.
    #[inline]
    pub fn voters_where(&self, holds: impl Fn(&Member) -> bool) -> u64 {
        let voters = self.config.voters;
        self.mask_where(|at, member| voters & 1 << at != 0 && holds(member))
    }

    #[inline]
    pub fn mask_where(&self, holds: impl Fn(usize, &Member) -> bool) -> u64 {
        let mut mask = 0;
        for (at, member) in self.members.iter().enumerate() {
            if holds(at, member) {
                mask |= 1 << at;
            }
        }
        mask
    }

    pub fn sids(&self) -> Vec<ServerId> {
        self.members.iter().map(|member| member.sid).collect()
    }

    /// Sids of a mask, for reports.
    pub fn names(&self, mask: u64) -> String {
        let sids: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .filter(|(at, _)| mask & (1 << at) != 0)
            .map(|(_, m)| m.sid.to_string())
            .collect();
        format!("{{{}}}", sids.join(", "))
    }

    /// What a snapshot at `zxid` on `m`'s disk stands for, as far as it is known.
    pub fn content_on_disk(&self, m: usize, zxid: Zxid) -> History {
        let member = &self.members[m];
        // A snapshot of its own may be ahead of the log; one at an epoch's beginning is not.
        let begins_epoch = member.disk.snapshot == zxid && zxid.counter() == 0;
        if begins_epoch || known(&member.disk.history, zxid) {
            member.disk.history.through(zxid)
        } else if known(&member.log, zxid) {
            member.log.through(zxid)
        } else {
            self.content_committed(zxid)
        }
    }

    /// What a snapshot at `zxid` from `m`'s leader stands for, as far as it is known.
    pub fn content_from_leader(&self, m: usize, zxid: Zxid) -> History {
        match self.members[m].leader.map(|leader| &self.members[leader].log) {
            Some(log) if known(log, zxid) || zxid.counter() == 0 => log.through(zxid),
            _ => self.content_committed(zxid),
        }
    }

    fn content_committed(&self, zxid: Zxid) -> History {
        if known(&self.committed, zxid) || zxid.counter() == 0 && self.committed.base() < zxid {
            self.committed.through(zxid)
        } else {
            History::starting_at(zxid)
        }
    }

    /// The transaction before `zxid` in the broadcast order of its epoch.
    pub fn broadcast_before(&self, zxid: Zxid) -> Option<Zxid> {
        self.epochs.peek(zxid.epoch())?.broadcast.prev(zxid)
    }

    /// `zxid` names a transaction: an epoch's beginning and "no zxid" do not.
    pub fn is_txn(zxid: Zxid) -> bool {
        zxid > Zxid::ZERO && zxid.counter() != 0
    }

    /// The last transaction of an epoch below `epoch` that was committed by the authority of an epoch
    /// below it. Where a later epoch is established already, its `I[e]` may hold more, which a leader
    /// that was late need not have.
    pub fn committed_below(&self, epoch: Epoch) -> Zxid {
        self.committed_up_to(end_before(epoch), epoch)
    }

    /// The last transaction that was committed by the authority of epochs up to this one.
    pub fn committed_through(&self, epoch: Epoch) -> Zxid {
        self.committed_up_to(Zxid::MAX, epoch)
    }

    /// Before epochs above `epoch` had a say.
    fn committed_up_to(&self, end: Zxid, epoch: Epoch) -> Zxid {
        let later = self.epochs.above(epoch).iter().filter_map(|state| state.committed_before).min();
        let end = end.min(later.unwrap_or(Zxid::MAX)).min(self.committed.last());
        if self.committed.holds(end) { end } else { self.committed.prev(end).unwrap_or(Zxid::ZERO) }
    }

    /// `zxid` is no transaction, or it is committed.
    pub fn is_committed_position(&self, zxid: Zxid) -> bool {
        !Ghost::is_txn(zxid) || self.committed.holds(zxid)
    }
}

/// `zxid` is one of the history's own transactions.
fn known(history: &History, zxid: Zxid) -> bool {
    zxid > history.base() && history.holds(zxid)
}
