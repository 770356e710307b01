//! `Checkers`: all invariants over one run. Hosts feed it; it asks nobody. This file hands each
//! observation to the invariants that it touches and keeps the ghost state; what must hold is told in
//! `invariants`.

use wire::{Epoch, ServerId, TxnHeader, Zxid, op};
use zab::{EpochFile, Event, Nanos, Recovered, Role, TxnEntry, txn_digest};

use crate::client_history::ClientHistory;
use crate::ghost::{Ghost, Member};
use crate::history::History;
use crate::invariants::{
    assertions, commit_consistency, committed_log_monotonicity, configurations, convergence, durability,
    epoch_monotonicity, epoch_quorum, gap, history_consistency, initial_history, integrity, leadership,
    primary_order, process_consistency, total_order, tree_equality, zxid_uniqueness,
};
use crate::observation::{ClientObservation, EnsembleSpec, FinalState, Observation, TreeObservation};
use crate::report::{Report, Violation};
use crate::tree::TreeCheckers;
use crate::tree_clients::TreeClients;
use crate::txns::{BROADCAST, GENESIS, HEADER};

#[derive(Clone, Debug)]
pub struct Checkers {
    report: Report,
    ghost: Ghost,
    clients: ClientHistory,
    /// Where the state is a tree.
    tree: Option<Box<(TreeCheckers, TreeClients)>>,
}

impl Checkers {
    pub fn new(spec: &EnsembleSpec) -> Checkers {
        Checkers {
            report: Report::new(spec.waived.clone()),
            ghost: Ghost::new(spec),
            clients: if spec.tree { ClientHistory::of_tree() } else { ClientHistory::default() },
            tree: spec.tree.then(|| Box::new((TreeCheckers::new(), TreeClients::default()))),
        }
    }

    /// Something happened at a member. Members that the ensemble does not know are ignored.
    pub fn observe(&mut self, at: Nanos, member: ServerId, observation: &Observation<'_>) {
        self.report.now = at;
        let Some(m) = self.ghost.index(member) else { return };
        match *observation {
            Observation::Event(event) => self.event(m, event),
            Observation::Appended(entries) => self.appended(m, entries),
            Observation::Synced => self.synced(m),
            Observation::Booted => {
                self.ghost.members[m].up = true;
                self.ghost.members[m].last_step = "booted";
            }
            Observation::Crashed { power_loss } => self.crashed(m, power_loss),
            Observation::Recovered(recovered) => self.recovered(m, recovered),
            Observation::Unrecoverable => self.disk_is_nothing(m, true),
            Observation::DiskDamaged => self.disk_is_nothing(m, false),
            Observation::Truncated(zxid) => self.truncated(m, zxid),
            Observation::Installed { zxid, log, effective, .. } => self.installed(m, zxid, log, effective),
            Observation::EpochWritten(file, epoch) => self.epoch_written(m, file, epoch),
            Observation::SnapshotDurable(zxid) => self.snapshot_durable(m, zxid),
            Observation::RecoveredTree { zxid, tree } => {
                self.ghost.members[m].recovered_tree = Some((zxid, tree));
                tree_equality::reached(&mut self.ghost, m, zxid, tree, &mut self.report);
            }
        }
    }

    /// Something happened at a client.
    pub fn client(&mut self, at: Nanos, observation: &ClientObservation<'_>) {
        self.report.now = at;
        self.clients.observe(&self.ghost, observation, &mut self.report);
    }

    /// Something happened at a client of the data tree.
    pub fn tree(&mut self, at: Nanos, observation: &TreeObservation<'_>) {
        self.report.now = at;
        let Some(tree) = &mut self.tree else { return };
        let (checkers, clients) = &mut **tree;
        clients.translate(observation, |translated| {
            self.clients.observe(&self.ghost, translated, &mut self.report);
        });
        checkers.observe(observation, &mut self.report);
    }

    /// The run is over.
    pub fn finish(&mut self, at: Nanos, end: &FinalState) {
        self.report.now = at;
        convergence::check(&self.ghost, end, &mut self.report);
        self.clients.finish(&self.ghost, &mut self.report);
    }

    /// What was found so far, in the order of finding.
    pub fn violations(&self) -> &[Violation] {
        self.report.violations()
    }

    fn event(&mut self, m: usize, event: &Event) {
        match *event {
            // The hot ones first, as they come in a broadcast.
            Event::Proposed { zxid, digest } => self.proposed(m, zxid, digest),
            Event::Logged { zxid, digest } => self.logged(m, zxid, digest),
            Event::AckSent { zxid } => self.ack_sent(m, zxid),
            Event::AckCounted { zxid, by } => {
                if let Some(by) = self.ghost.index(by) {
                    assertions::ack_counted(&self.ghost, m, by, zxid, &mut self.report);
                }
            }
            Event::Committed { zxid, digest } => self.committed(m, zxid, digest),
            Event::Delivered { zxid, digest, tree } => self.delivered(m, zxid, digest, tree),
            Event::RoleChanged { role } => self.role_changed(m, role),
            Event::RoleLeft { .. } => self.role_left(m),
            Event::ElectionStarted { .. } => self.step(m, "looked for a leader"),
            Event::ConnectedToLeader { leader } => {
                self.ghost.members[m].leader = self.ghost.index(leader);
                self.step(m, "connected to its leader");
            }
            Event::AckEpochSent { .. } => self.step(m, "acknowledged the epoch"),
            Event::SyncStarted { .. } => self.step(m, "began to synchronise"),
            Event::EpochProposed { .. } => self.step(m, "proposed an epoch"),
            Event::EpochAcked { epoch } => {
                self.leads(m, epoch, "has a quorum");
                self.step(m, "had its epoch acknowledged");
            }
            Event::SyncChosen { learner, .. } => {
                let g = &self.ghost;
                let through = |epoch| g.committed_through(epoch);
                let known = g.members[m].established.map_or(g.committed.last(), through);
                if let Some(learner) = self.ghost.index(learner) {
                    self.ghost.members[learner].sync_point = Some(known);
                }
            }
            Event::ConfigSeen { ref view, .. } => configurations::seen(&mut self.ghost, view),
            Event::ConfigActivated { ref view, .. } => {
                configurations::activated(&mut self.ghost, m, view, &mut self.report);
            }
            Event::NewLeaderSent { epoch, .. } => self.new_leader_sent(m, epoch),
            Event::Established { epoch } => self.established(m, epoch),
            Event::NewLeaderAckSent { epoch } => self.new_leader_ack_sent(m, epoch),
            Event::UpToDate { epoch } => self.up_to_date(m, epoch),
            Event::Restored { zxid, tree } => self.restored(m, zxid, tree),
            Event::FastForwarded { last_zxid, tree, .. } => {
                tree_equality::fast_forwarded(&mut self.ghost, m, last_zxid, tree, &mut self.report);
            }
            Event::Exception { ref what } => assertions::exception(&self.ghost, m, what, &mut self.report),
            _ => {}
        }
    }

    fn step(&mut self, m: usize, what: &'static str) {
        self.ghost.members[m].last_step = what;
    }

    // --- life of a member

    fn role_changed(&mut self, m: usize, role: Role) {
        self.ghost.members[m].enter_role(role);
        self.step(m, "entered its role");
    }

    fn role_left(&mut self, m: usize) {
        // An operation on the disk may have failed half-way.
        let synchronising = self.ghost.members[m].is_synchronising();
        self.ghost.members[m].disk.being_replaced |= synchronising;
        self.ghost.members[m].enter_role(Role::Looking);
        self.step(m, "left its role");
    }

    fn crashed(&mut self, m: usize, power_loss: bool) {
        let member = &mut self.ghost.members[m];
        // The process may have died inside a truncation or an installation.
        member.disk.being_replaced |= member.is_synchronising();
        // ... or have finished a snapshot that it told nobody of.
        member.disk.fuzzy_at_crash = member.delivered.max(member.fuzzy_until);
        member.enter_role(Role::Looking);
        member.up = false;
        member.power_lost = power_loss;
        member.life = None;
        member.last_step = "crashed";
    }

    // --- broadcast

    fn proposed(&mut self, m: usize, zxid: Zxid, digest: u64) {
        let epoch = zxid.epoch();
        let attempt = self.ghost.attempt(m);
        let state = self.ghost.epochs.get(epoch);
        let prev = state.broadcast.last();
        if state.broadcaster != Some(attempt) {
            self.first_broadcast(m, epoch);
        }
        zxid_uniqueness::seen(&mut self.ghost, m, zxid, digest, BROADCAST, &mut self.report);
        if let Some(tree) = &mut self.tree {
            tree.0.proposed(self.report.now, zxid);
        }
        if zxid <= prev {
            primary_order::steps_back(&self.ghost, m, "broadcast", prev, zxid, &mut self.report);
            return;
        }
        gap::broadcast(&self.ghost, m, prev, zxid, &mut self.report);
        self.ghost.epochs.get(epoch).broadcast.push(zxid);
    }

    #[cold]
    fn first_broadcast(&mut self, m: usize, epoch: Epoch) {
        self.leads(m, epoch, "broadcasts in");
        primary_order::first_broadcast(&self.ghost, m, epoch, &mut self.report);
        let attempt = self.ghost.attempt(m);
        self.ghost.epochs.get(epoch).broadcaster = Some(attempt);
    }

    fn logged(&mut self, m: usize, zxid: Zxid, digest: u64) {
        zxid_uniqueness::seen(&mut self.ghost, m, zxid, digest, 0, &mut self.report);
        let (g, report) = (&self.ghost, &mut self.report);
        let member = &g.members[m];
        let prev = member.log.last();
        if zxid <= prev {
            // An observer may have applied it before.
            if member.role != Role::Observing || !member.log.holds(zxid) {
                primary_order::steps_back(g, m, "log", prev, zxid, report);
            }
            return;
        }
        gap::after(g, m, "log", prev, zxid, report);
        if let Some(epoch) = member.new_leader_acked {
            history_consistency::logged(g, m, epoch, prev, zxid, report);
        }
        self.ghost.members[m].log.push(zxid);
    }

    fn ack_sent(&mut self, m: usize, zxid: Zxid) {
        if zxid.counter() == 0 {
            return;
        }
        assertions::ack_sent(&self.ghost, m, zxid, &mut self.report);
        let member = &mut self.ghost.members[m];
        member.max_acked = member.max_acked.max(zxid);
    }

    fn committed(&mut self, m: usize, zxid: Zxid, digest: u64) {
        zxid_uniqueness::seen(&mut self.ghost, m, zxid, digest, 0, &mut self.report);
        let epoch = zxid.epoch();
        let attempt = self.ghost.attempt(m);
        let state = self.ghost.epochs.get(epoch);
        if state.established != Some(attempt) {
            leadership::commits_unestablished(&self.ghost, m, epoch, &mut self.report);
        }
        let (g, report) = (&self.ghost, &mut self.report);
        if g.newest_led > epoch {
            initial_history::late_commit(g, m, zxid, report);
        }
        let last = g.committed.last();
        if last.epoch() > epoch || (zxid <= last && g.newest_led > epoch && g.committed.holds(zxid)) {
            // A later epoch is established: its initial history was held against this one.
            return;
        }
        let floor = last.max(epoch.first_zxid());
        let expected = g.epochs.peek(epoch).and_then(|state| state.broadcast.next(floor));
        assertions::commits(g, m, expected, zxid, report);
        durability::decided(g, m, zxid, report);
        self.ghost.committed.push(zxid);
        configurations::committed(&mut self.ghost, m, zxid, &mut self.report);
        self.clients.committed(&self.ghost, m, zxid, &mut self.report);
        if let Some(tree) = &mut self.tree {
            tree.0.committed(self.ghost.sid(m), zxid, &mut self.report);
        }
    }

    fn delivered(&mut self, m: usize, zxid: Zxid, digest: u64, tree: u64) {
        zxid_uniqueness::seen(&mut self.ghost, m, zxid, digest, 0, &mut self.report);
        tree_equality::reached(&mut self.ghost, m, zxid, tree, &mut self.report);
        integrity::broadcast(&mut self.ghost, m, zxid, &mut self.report);
        let member = &mut self.ghost.members[m];
        if member.role == Role::Observing && zxid > member.log.last() {
            // An observer may keep no log; its history is what it applied.
            member.log.push(zxid);
        }
        if member.is_synchronising() {
            member.pending.push(zxid);
        } else {
            self.enter_delivered(m, zxid);
        }
    }

    /// `zxid` enters `D[p]`.
    fn enter_delivered(&mut self, m: usize, zxid: Zxid) {
        let (g, report) = (&self.ghost, &mut self.report);
        let member = &g.members[m];
        let prev = member.delivered;
        if zxid <= prev {
            self.delivered_behind(m, zxid);
            return;
        }
        let adjacent = zxid.0 == prev.0 + 1 && g.committed.holds(zxid) && prev.counter() != 0;
        if !adjacent && !primary_order::leaves_a_hole(g, m, prev, zxid, report) {
            total_order::next_of_committed(g, m, prev, zxid, report);
        }
        let member = &mut self.ghost.members[m];
        member.delivered = zxid;
        member.life = Some((member.life.map_or(zxid, |(first, _)| first), zxid));
    }

    /// Not above what was delivered: the recovered tail, now known to be committed, or an error.
    fn delivered_behind(&mut self, m: usize, zxid: Zxid) {
        let (g, report) = (&self.ghost, &mut self.report);
        let member = &g.members[m];
        let recovered = member.log.holds(zxid) && member.life.is_none_or(|(_, last)| last < zxid);
        if recovered {
            total_order::next_of_committed(g, m, Zxid(zxid.0 - 1), zxid, report);
            let member = &mut self.ghost.members[m];
            member.life = Some((member.life.map_or(zxid, |(first, _)| first), zxid));
        } else if !integrity::twice(g, m, zxid, report) {
            primary_order::steps_back(g, m, "delivery", member.delivered, zxid, report);
        }
    }

    /// The member's disk may be lost within the fault budget: a quorum of others holds, durably,
    /// everything that it holds and everything committed, and has accepted its epochs. Those in `lost_before`
    /// have lost their disks before and were not brought up to date since: they stand in for nobody, and nor does
    /// who synchronises, for what it has it may have been told to cut.
    pub fn can_lose_disk(&self, sid: ServerId, lost_before: &[ServerId]) -> bool {
        let g = &self.ghost;
        let Some(m) = g.index(sid) else { return false };
        let lost = &g.members[m].disk;
        let accepted = g.members.iter().map(|member| member.disk.accepted).max().unwrap_or(Epoch::NONE);
        let stands_in = |member: &Member| {
            let disk = &member.disk;
            let all_of = |history: &History| {
                disk.first_uncovered(history, history.base().max(Zxid::ZERO), history.last()).is_none()
            };
            member.sid != sid
                && !lost_before.contains(&member.sid)
                && !disk.damaged
                && !member.is_synchronising()
                && !disk.being_replaced
                && disk.accepted >= accepted
                && disk.current >= lost.current
                && all_of(&lost.history)
                && all_of(&g.committed)
        };
        let standing_in = g.mask_where(|_, member| stands_in(member));
        std::iter::once(&g.config).chain(&g.seen).all(|config| config.has_quorum(standing_in))
    }

    // --- discovery and synchronisation

    fn leads(&mut self, m: usize, epoch: Epoch, how: &str) {
        leadership::leads(&mut self.ghost, m, epoch, how, &mut self.report);
    }

    fn new_leader_sent(&mut self, m: usize, epoch: Epoch) {
        self.leads(m, epoch, "sends NEWLEADER");
        self.fix_initial_history(m, epoch);
        self.step(m, "sent NEWLEADER");
    }

    fn fix_initial_history(&mut self, m: usize, epoch: Epoch) {
        if self.ghost.epochs.get(epoch).initial.is_some() {
            return;
        }
        let initial = self.ghost.members[m].log.clone();
        initial_history::fixed(&self.ghost, m, epoch, &initial, &mut self.report);
        self.ghost.epochs.get(epoch).initial = Some(initial);
        self.ghost.newest_led = self.ghost.newest_led.max(epoch);
    }

    fn established(&mut self, m: usize, epoch: Epoch) {
        self.leads(m, epoch, "establishes");
        leadership::establishes(&mut self.ghost, m, epoch, &mut self.report);
        self.fix_initial_history(m, epoch);
        initial_history::leader_complete(&self.ghost, m, epoch, &mut self.report);
        epoch_quorum::established(&self.ghost, m, epoch, &mut self.report);
        self.commit_initial_history(m, epoch);
        let member = &mut self.ghost.members[m];
        member.established = Some(epoch);
        member.delivered = member.log.last();
        member.last_step = "established its epoch";
    }

    /// `I[e]` is committed with the epoch that begins with it.
    fn commit_initial_history(&mut self, m: usize, epoch: Epoch) {
        let state = self.ghost.epochs.get(epoch);
        let initial = state.initial.clone().unwrap_or_default();
        let committed = &mut self.ghost.committed;
        let before = committed.last();
        state.committed_before = Some(before);
        if initial.base() > before {
            // History behind a snapshot whose content nobody told.
            *committed = initial;
        } else {
            committed.extend(&initial);
        }
        let mut last = before;
        while let Some(zxid) = self.ghost.committed.next(last) {
            configurations::committed(&mut self.ghost, m, zxid, &mut self.report);
            self.clients.committed(&self.ghost, m, zxid, &mut self.report);
            if let Some(tree) = &mut self.tree {
                tree.0.committed(self.ghost.sid(m), zxid, &mut self.report);
            }
            last = zxid;
        }
        durability::all(&self.ghost, m, &mut self.report);
    }

    fn new_leader_ack_sent(&mut self, m: usize, epoch: Epoch) {
        assertions::new_leader_ack_sent(&self.ghost, m, epoch, &mut self.report);
        history_consistency::acknowledged(&self.ghost, m, epoch, &mut self.report);
        tree_equality::acknowledged(&mut self.ghost, m, &mut self.report);
        self.ghost.members[m].new_leader_acked = Some(epoch);
        self.step(m, "acknowledged NEWLEADER");
    }

    fn up_to_date(&mut self, m: usize, epoch: Epoch) {
        let member = &mut self.ghost.members[m];
        member.up_to_date = Some(epoch);
        let pending = std::mem::take(&mut member.pending);
        for zxid in pending {
            self.enter_delivered(m, zxid);
        }
        if commit_consistency::enters(&self.ghost, m, epoch, &mut self.report) {
            process_consistency::up_to_date(&self.ghost, m, epoch, &mut self.report);
        }
        self.step(m, "is up to date");
    }

    fn restored(&mut self, m: usize, zxid: Zxid, tree: u64) {
        committed_log_monotonicity::memory_ends_at(&self.ghost, m, zxid, &mut self.report);
        tree_equality::restored(&mut self.ghost, m, zxid);
        tree_equality::reached(&mut self.ghost, m, zxid, tree, &mut self.report);
        let content = self.ghost.content_from_leader(m, zxid);
        self.ghost.members[m].begin_life(content);
        self.ghost.members[m].delivered = zxid;
        self.step(m, "restored a snapshot");
    }

    // --- disk

    fn appended(&mut self, m: usize, entries: &[TxnEntry]) {
        for entry in entries {
            self.learn_header(m, entry);
            assertions::appended(&self.ghost, m, entry.zxid, &mut self.report);
            let disk = &mut self.ghost.members[m].disk;
            if let Some((_, since, _)) = &mut disk.installing {
                since.push(entry.zxid);
            }
            let last = disk.history.last();
            let inside_snapshot = entry.zxid <= disk.snapshot && disk.history.holds(entry.zxid);
            if entry.zxid > last {
                disk.history.push(entry.zxid);
            } else if !inside_snapshot && disk.installing.is_none() {
                primary_order::steps_back(&self.ghost, m, "disk", last, entry.zxid, &mut self.report);
            }
        }
    }

    /// Who asked for a transaction, read from its first copy.
    #[inline]
    fn learn_header(&mut self, m: usize, entry: &TxnEntry) {
        let slot = self.ghost.epochs.slot(entry.zxid);
        if slot.has(HEADER) {
            return;
        }
        if let Some(tree) = &mut self.tree {
            tree.0.learn(entry);
        }
        let Some(header) = TxnHeader::peek(&entry.txn) else { return };
        slot.flags |= HEADER;
        (slot.session, slot.cxid, slot.kind) = (header.client_id.0, header.cxid, header.kind);
        if header.kind == op::RECONFIG {
            configurations::logged(&mut self.ghost, m, entry, &mut self.report);
        }
        self.clients.prepared(self.ghost.members[m].sid, entry, &header, &mut self.report);
        if self.ghost.committed.holds(entry.zxid) {
            self.clients.committed(&self.ghost, m, entry.zxid, &mut self.report);
        }
    }

    fn synced(&mut self, m: usize) {
        let disk = &mut self.ghost.members[m].disk;
        disk.durable = disk.history.last();
        if let Some((_, since, durable)) = &mut disk.installing {
            *durable = since.last();
        }
        disk.settle();
    }

    fn truncated(&mut self, m: usize, zxid: Zxid) {
        let after = self.ghost.members[m].disk.history.through(zxid);
        committed_log_monotonicity::memory_ends_at(&self.ghost, m, zxid, &mut self.report);
        committed_log_monotonicity::replaced(&self.ghost, m, &after, &mut self.report);
        let member = &mut self.ghost.members[m];
        let disk = &mut member.disk;
        disk.durable = disk.durable.min(zxid);
        disk.snapshot = disk.snapshot.min(zxid);
        disk.history = after;
        disk.settle();
        let memory = disk.history.clone();
        member.begin_life(memory);
        durability::all(&self.ghost, m, &mut self.report);
    }

    fn installed(&mut self, m: usize, zxid: Zxid, log: &[TxnEntry], effective: bool) {
        let until = self.ghost.members[m].fuzzy_until;
        tree_equality::snapshot_on_disk(&mut self.ghost, m, zxid, until);
        if !effective || !log.is_empty() {
            let mut behind = History::starting_at(zxid);
            for entry in log {
                self.learn_header(m, entry);
                behind.push(entry.zxid);
            }
            let durable = behind.last();
            self.ghost.members[m].disk.installing = Some((zxid, behind, durable));
        }
        if !effective {
            return;
        }
        let mut after = self.content_of_install(m, zxid);
        let mut durable = zxid;
        if let Some((_, since, synced)) = &self.ghost.members[m].disk.installing {
            after.extend(since);
            durable = *synced;
        }
        committed_log_monotonicity::replaced(&self.ghost, m, &after, &mut self.report);
        let disk = &mut self.ghost.members[m].disk;
        disk.installing = None;
        (disk.history, disk.durable, disk.snapshot) = (after, durable, zxid);
        disk.settle();
        durability::all(&self.ghost, m, &mut self.report);
    }

    /// An installed snapshot is what memory was restored from.
    fn content_of_install(&self, m: usize, zxid: Zxid) -> History {
        let log = &self.ghost.members[m].log;
        if log.holds(zxid) || zxid.counter() == 0 {
            log.through(zxid)
        } else {
            self.ghost.content_from_leader(m, zxid)
        }
    }

    fn epoch_written(&mut self, m: usize, file: EpochFile, epoch: Epoch) {
        epoch_monotonicity::written(&self.ghost, m, file, epoch, &mut self.report);
        let disk = &mut self.ghost.members[m].disk;
        match file {
            EpochFile::AcceptedEpoch => disk.accepted = epoch,
            EpochFile::CurrentEpoch => disk.current = epoch,
        }
        disk.settle();
    }

    fn snapshot_durable(&mut self, m: usize, zxid: Zxid) {
        let until = self.ghost.members[m].delivered;
        tree_equality::snapshot_on_disk(&mut self.ghost, m, zxid, until);
        let disk = &mut self.ghost.members[m].disk;
        disk.snapshot = disk.snapshot.max(zxid);
        disk.settle();
    }

    /// The disk stands for nothing: damaged (what comes next is judged afresh), or not to be read.
    fn disk_is_nothing(&mut self, m: usize, judge: bool) {
        let disk = &mut self.ghost.members[m].disk;
        disk.damaged = true;
        disk.settle();
        if judge {
            durability::all(&self.ghost, m, &mut self.report);
        }
    }

    fn recovered(&mut self, m: usize, found: &Recovered) {
        self.know_recovered(m, found);
        epoch_monotonicity::recovered(&self.ghost, m, found, &mut self.report);
        let history = self.history_of(m, found);
        if self.ghost.members[m].disk.being_replaced {
            committed_log_monotonicity::replaced(&self.ghost, m, &history, &mut self.report);
        } else {
            durability::promised(&self.ghost, m, &history, &mut self.report);
        }
        let snapshot = found.snapshot.as_ref().map(|(zxid, _)| *zxid);
        self.take_over_disk(m, found, &history, snapshot.unwrap_or(Zxid::ZERO));
        self.ghost.members[m].begin_life(history);
        tree_equality::loaded(&mut self.ghost, m, snapshot);
        durability::all(&self.ghost, m, &mut self.report);
    }

    /// Digests and headers of everything on the disk.
    fn know_recovered(&mut self, m: usize, found: &Recovered) {
        let fresh = std::mem::take(&mut self.ghost.members[m].fresh);
        let flags = if fresh { GENESIS } else { 0 };
        for entry in found.before_snapshot.iter().chain(&found.log) {
            let digest = txn_digest(&entry.txn);
            zxid_uniqueness::seen(&mut self.ghost, m, entry.zxid, digest, flags, &mut self.report);
            self.learn_header(m, entry);
        }
    }

    /// What the recovered disk stands for. The order of its records is judged on the way.
    fn history_of(&mut self, m: usize, found: &Recovered) -> History {
        let (g, report) = (&self.ghost, &mut self.report);
        let snapshot = found.snapshot.as_ref().map(|(zxid, _)| *zxid);
        let mut history = snapshot.map_or(History::default(), |zxid| g.content_on_disk(m, zxid));
        let mut prev = snapshot.unwrap_or(Zxid::ZERO);
        for entry in &found.log {
            if entry.zxid <= prev {
                primary_order::steps_back(g, m, "recovered log", prev, entry.zxid, report);
            } else if prev != Zxid::ZERO {
                gap::after(g, m, "recovered log", prev, entry.zxid, report);
            }
            history.push(entry.zxid);
            prev = entry.zxid;
        }
        history
    }

    fn take_over_disk(&mut self, m: usize, found: &Recovered, history: &History, snapshot: Zxid) {
        let member = &mut self.ghost.members[m];
        let disk = &mut member.disk;
        // A loading member syncs what it read; what a power loss left is on the platter; only a killed
        // process leaves records and file names that are still in the page cache.
        let installed = disk.installing.as_ref().filter(|(zxid, ..)| *zxid == snapshot);
        if member.up || member.power_lost || disk.damaged {
            disk.durable = history.last();
            disk.snapshot = snapshot;
            (disk.accepted, disk.current) = (found.accepted_epoch, found.current_epoch);
        } else {
            let durable = installed.map_or(disk.durable, |(.., durable)| *durable);
            disk.snapshot = if installed.is_some() { snapshot } else { disk.snapshot.min(snapshot) };
            disk.durable = durable.min(history.last());
            disk.accepted = disk.accepted.min(found.accepted_epoch);
            disk.current = disk.current.min(found.current_epoch);
        }
        disk.being_replaced = false;
        disk.history = history.clone();
        disk.damaged = false;
        disk.installing = None;
        disk.settle();
    }
}
