//! A small model of Zab under random crashes, elections and delays. While it is correct it must never
//! be reported; with one mistake in it, it must. It keeps pointers into histories where a real member
//! has queues, so that every step of every member interleaves with every other.

use bytes::Bytes;
use wire::{Epoch, ServerId, Zxid};
use zab::{Event, Recovered, Role, SyncMode};

use crate::observation::{FinalState, Observation};
use crate::testing::{Run, digest, entry, tree_at, z};

/// One mistake each (`known-bugs`, section 5, and others as small).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    AckBeforeSync,
    CommitAtOneLess,
    AnybodyLeads,
    EpochUsedAgain,
    AcceptedEpochNotSynced,
    TailKept,
    AckSurvivesResync,
    SnapshotNotSynced,
    DeliveredTwice,
    DeliveredAhead,
    OldRoleAppends,
}

#[derive(Clone, Debug, Default)]
struct Node {
    up: bool,
    /// In the page cache: history, and how much of it is durable.
    log: Vec<Zxid>,
    durable: usize,
    /// Logged (an event) and not yet appended.
    queued: Vec<Zxid>,
    snapshot: Option<Zxid>,
    /// What the snapshot holds.
    inside: Vec<Zxid>,
    accepted: i64,
    current: i64,
    /// In the present epoch: leader, and how far it acknowledged and delivered.
    leader: Option<usize>,
    acked: usize,
    delivered: usize,
}

struct Model {
    run: Run,
    nodes: Vec<Node>,
    seed: u64,
    mistake: Option<Mistake>,
    /// The leader's history, with what is only proposed.
    leader: Option<usize>,
    epoch: i64,
    history: Vec<Zxid>,
    committed: usize,
    counted: Vec<usize>,
}

fn sid(node: usize) -> i64 {
    node as i64 + 1
}

impl Model {
    fn new(voters: usize, seed: u64, mistake: Option<Mistake>) -> Model {
        let mut model = Model {
            run: Run::booted(voters as i64),
            nodes: vec![Node { up: true, ..Node::default() }; voters],
            seed,
            mistake,
            leader: None,
            epoch: 0,
            history: Vec::new(),
            committed: 0,
            counted: vec![0; voters],
        };
        model.elect();
        model
    }

    fn draw(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn is_quorum(&self, count: usize) -> bool {
        count > self.nodes.len() / 2
    }

    fn reload(&mut self, node: usize) {
        let at = &mut self.nodes[node];
        let late = std::mem::take(&mut at.queued);
        if at.log.len() < at.inside.len() {
            at.log = at.inside.clone();
        }
        at.durable = at.log.len();
        at.leader = None;
        let recovered = self.recover(node);
        self.run.observe(sid(node), &Observation::Recovered(&recovered));
        self.run.event(sid(node), Event::RoleChanged { role: Role::Looking });
        if self.errs(Mistake::OldRoleAppends) {
            self.nodes[node].queued = late;
            self.append(node);
        }
    }

    fn recover(&self, node: usize) -> Recovered {
        let at = &self.nodes[node];
        let behind = |zxid: &&Zxid| at.snapshot.is_none_or(|snapshot| **zxid > snapshot);
        Recovered {
            snapshot: at.snapshot.map(|zxid| (zxid, Bytes::new())),
            log: at.log.iter().filter(behind).map(|zxid| entry(*zxid)).collect(),
            before_snapshot: Vec::new(),
            accepted_epoch: Epoch(at.accepted),
            current_epoch: Epoch(at.current),
            snapshot_bytes: 0,
            untrusted_empty: false,
            warnings: Vec::new(),
        }
    }

    fn crash(&mut self, node: usize) {
        if !self.nodes[node].up {
            return;
        }
        let power_loss = self.draw(2) == 0;
        let survives = self.draw(3);
        let errs_accepted = self.errs(Mistake::AcceptedEpochNotSynced);
        let errs_snapshot = self.errs(Mistake::SnapshotNotSynced);
        let at = &mut self.nodes[node];
        at.up = false;
        at.leader = None;
        at.queued.clear();
        if power_loss {
            let torn = at.durable + survives.min(at.log.len() - at.durable);
            at.log.truncate(torn);
            at.durable = torn;
        }
        if errs_snapshot && power_loss && at.snapshot.is_some() {
            // The file is empty, and the log before it was thrown away.
            at.snapshot = None;
            at.log.retain(|zxid| !at.inside.contains(zxid));
            at.durable = at.log.len();
            at.inside.clear();
        } else if at.log.len() < at.inside.len() {
            at.log = at.inside.clone();
            at.durable = at.log.len();
        }
        if errs_accepted && power_loss {
            at.accepted = at.current;
        }
        self.run.observe(sid(node), &Observation::Crashed { power_loss });
        let recovered = self.recover(node);
        self.run.observe(sid(node), &Observation::Recovered(&recovered));
        if self.leader == Some(node) {
            self.leader = None;
        }
    }

    fn boot(&mut self, node: usize) {
        if !self.nodes[node].up {
            self.nodes[node].up = true;
            self.run.observe(sid(node), &Observation::Booted);
            self.reload(node);
        }
    }

    fn leave(&mut self, node: usize) {
        if self.nodes[node].leader.take().is_none() {
            return;
        }
        self.run.event(sid(node), Event::RoleLeft { role: Role::Following, reason: "soak".into() });
        // An append that was in flight may still be carried out.
        if self.draw(2) == 0 {
            self.append(node);
        }
        self.reload(node);
    }

    fn elect(&mut self) {
        let mut members: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].up).collect();
        while members.len() > 1 && self.is_quorum(members.len() - 1) && self.draw(2) == 0 {
            let out = self.draw(members.len());
            members.remove(out);
        }
        if !self.is_quorum(members.len()) {
            return;
        }
        for node in members.clone() {
            self.leave(node);
        }
        let key = |node: &usize| {
            let at = &self.nodes[*node];
            (at.current, at.log.last().copied().unwrap_or(Zxid::ZERO), *node)
        };
        let mut leader = *members.iter().max_by_key(|node| key(node)).expect("a quorum");
        if self.errs(Mistake::AnybodyLeads) {
            leader = members[self.draw(members.len())];
        }
        let raise = i64::from(!self.errs(Mistake::EpochUsedAgain) || self.epoch == 0);
        let epoch = raise + members.iter().map(|node| self.nodes[*node].accepted).max().expect("a quorum");
        self.leader = Some(leader);
        self.epoch = epoch;
        for node in &members {
            self.nodes[*node].accepted = epoch;
            self.run.accept_epoch(sid(*node), epoch);
        }
        self.run.role_leading(sid(leader));
        self.run.event(sid(leader), Event::EpochAcked { epoch: Epoch(epoch) });
        self.history = self.nodes[leader].log.clone();
        self.nodes[leader].current = epoch;
        self.nodes[leader].leader = Some(leader);
        self.run.enter_epoch(sid(leader), epoch);
        if self.draw(8) == 0 {
            // Gives up before it is established.
            self.sync(members[0], true);
            return self.fail_to_establish(leader, &members);
        }
        for node in &members {
            self.sync(*node, true);
        }
        self.establish(leader, &members);
    }

    fn fail_to_establish(&mut self, leader: usize, members: &[usize]) {
        self.leader = None;
        for node in members {
            if *node == leader || self.nodes[*node].leader.is_some() {
                self.nodes[*node].leader = Some(leader);
                self.leave(*node);
            }
        }
    }

    fn establish(&mut self, leader: usize, members: &[usize]) {
        let epoch = Epoch(self.epoch);
        self.run.event(sid(leader), Event::Established { epoch });
        self.committed = self.history.len();
        let end = self.history.len();
        self.counted = vec![0; self.nodes.len()];
        for node in members {
            self.nodes[*node].delivered = end;
            self.nodes[*node].acked = end;
            if *node != leader {
                self.run.event(sid(*node), Event::UpToDate { epoch });
            }
        }
    }

    /// One learner is synchronised through what is committed, up to its ACK of NEWLEADER.
    fn sync(&mut self, node: usize, founding: bool) {
        let Some(leader) = self.leader.filter(|leader| *leader != node) else { return };
        let through = if founding { self.history.len() } else { self.committed };
        let (epoch, learner) = (Epoch(self.epoch), ServerId(sid(node)));
        self.run.connect(sid(node), sid(leader));
        let zxid = self.history[..through].last().copied().unwrap_or(Zxid::ZERO);
        let mine = self.nodes[node].log.last().copied().unwrap_or(Zxid::ZERO);
        let chosen = Event::SyncChosen { learner, mode: SyncMode::Diff, peer_last_zxid: mine, zxid };
        self.run.event(sid(leader), chosen);
        self.run.event(sid(leader), Event::NewLeaderSent { epoch, to: learner });
        let target: Vec<Zxid> = self.history[..through].to_vec();
        let common = self.nodes[node].log.iter().zip(&target).take_while(|(a, b)| a == b).count();
        if !target.is_empty() && self.draw(4) == 0 {
            self.install(node, *target.last().expect("not empty"));
            self.nodes[node].log = target.clone();
            self.nodes[node].inside = target;
        } else {
            if common < self.nodes[node].log.len() && !(self.errs(Mistake::TailKept) && common == through) {
                let last = target[..common].last().copied().unwrap_or(z(0, 0));
                if self.nodes[node].snapshot.is_some_and(|snapshot| snapshot > last) {
                    self.nodes[node].snapshot = None;
                    self.nodes[node].inside.clear();
                }
                self.nodes[node].log.truncate(common);
                self.run.observe(sid(node), &Observation::Truncated(last));
            }
            for zxid in &target[common..] {
                self.run.log(sid(node), *zxid);
                self.run.append_sync(sid(node), *zxid);
                self.run.deliver(sid(node), *zxid);
                self.nodes[node].log.push(*zxid);
            }
        }
        let at = &mut self.nodes[node];
        at.durable = at.log.len();
        at.current = self.epoch;
        at.leader = Some(leader);
        at.acked = through;
        at.delivered = through;
        if founding || !self.errs(Mistake::AckSurvivesResync) {
            self.counted[node] = 0;
        }
        self.run.enter_epoch(sid(node), self.epoch);
        self.run.event(sid(node), Event::NewLeaderAckSent { epoch });
    }

    fn install(&mut self, node: usize, zxid: Zxid) {
        self.run.event(sid(node), Event::Restored { zxid, tree: tree_at(zxid) });
        let epoch = Epoch(self.epoch);
        for effective in [false, true] {
            let installed = Observation::Installed { zxid, epoch, log: &[], effective };
            self.run.observe(sid(node), &installed);
        }
        self.nodes[node].snapshot = Some(zxid);
    }

    fn join(&mut self, node: usize) {
        let Some(leader) = self.leader else { return };
        if !self.nodes[node].up || node == leader || self.nodes[node].accepted > self.epoch {
            return;
        }
        self.leave(node);
        self.nodes[node].accepted = self.epoch;
        self.run.accept_epoch(sid(node), self.epoch);
        self.sync(node, false);
        self.run.event(sid(node), Event::UpToDate { epoch: Epoch(self.epoch) });
    }

    fn propose(&mut self) {
        let Some(leader) = self.leader else { return };
        let last = self.history.last().copied().unwrap_or(Zxid::ZERO);
        let zxid = if last.epoch() == Epoch(self.epoch) { last.next() } else { z(self.epoch, 1) };
        self.history.push(zxid);
        self.run.propose_by(sid(leader), zxid);
    }

    /// In the epoch of the present leader, not in an older one of its.
    fn takes_part(&self, node: usize) -> bool {
        let at = &self.nodes[node];
        at.leader.is_some() && at.leader == self.leader && at.current == self.epoch
    }

    fn log(&mut self, node: usize) {
        if !self.takes_part(node) {
            return;
        }
        let at = self.nodes[node].log.len() + self.nodes[node].queued.len();
        if let Some(zxid) = self.history.get(at).copied() {
            self.run.log(sid(node), zxid);
            self.nodes[node].queued.push(zxid);
        }
    }

    fn append(&mut self, node: usize) {
        for zxid in std::mem::take(&mut self.nodes[node].queued) {
            self.run.append(sid(node), zxid);
            self.nodes[node].log.push(zxid);
        }
    }

    fn sync_and_ack(&mut self, node: usize) {
        if !self.nodes[node].up {
            return;
        }
        let early = self.errs(Mistake::AckBeforeSync) && self.draw(2) == 0;
        if !early {
            self.run.observe(sid(node), &Observation::Synced);
        }
        let at = &mut self.nodes[node];
        if !early {
            at.durable = at.log.len();
        }
        let Some(leader) = at.leader else { return };
        let acks: Vec<Zxid> = at.log[at.acked.min(at.log.len())..].to_vec();
        at.acked = at.log.len();
        if leader != node {
            for zxid in acks {
                self.run.event(sid(node), Event::AckSent { zxid });
            }
        }
    }

    /// The leader reads the ACKs that are on their way, and commits what a quorum acknowledged.
    fn count(&mut self, node: usize) {
        let Some(leader) = self.leader.filter(|_| self.takes_part(node)) else { return };
        for at in self.committed.max(self.counted[node])..self.nodes[node].acked {
            let zxid = self.history[at];
            self.run.event(sid(leader), Event::AckCounted { zxid, by: ServerId(sid(node)) });
        }
        self.counted[node] = self.nodes[node].acked;
        let extra = usize::from(self.errs(Mistake::CommitAtOneLess));
        while self.committed < self.history.len()
            && self.is_quorum(extra + self.counted.iter().filter(|at| **at > self.committed).count())
        {
            let zxid = self.history[self.committed];
            self.run.event(sid(leader), Event::Committed { zxid, digest: digest(zxid) });
            self.committed += 1;
        }
    }

    fn deliver(&mut self, node: usize) {
        if !self.takes_part(node) {
            return;
        }
        let ahead = self.errs(Mistake::DeliveredAhead);
        let twice = self.errs(Mistake::DeliveredTwice);
        let at = &mut self.nodes[node];
        let known = at.log.len() + at.queued.len();
        let end = if ahead { known.min(self.history.len()) } else { self.committed.min(known) };
        if at.delivered < end {
            let zxid = self.history[at.delivered];
            at.delivered += 1;
            self.run.deliver(sid(node), zxid);
            if twice {
                self.run.deliver(sid(node), zxid);
            }
        }
    }

    /// A snapshot of what is delivered, which may be ahead of the log.
    fn snapshot(&mut self, node: usize) {
        if !self.takes_part(node) || self.nodes[node].delivered == 0 {
            return;
        }
        let at = &mut self.nodes[node];
        let inside = self.history[..at.delivered].to_vec();
        let zxid = *inside.last().expect("not empty");
        if at.snapshot < Some(zxid) {
            at.snapshot = Some(zxid);
            at.inside = inside;
            self.run.observe(sid(node), &Observation::SnapshotDurable(zxid));
        }
    }

    fn step(&mut self) {
        let node = self.draw(self.nodes.len());
        match self.draw(100) {
            0 => self.crash(node),
            1 => self.elect(),
            2..5 => self.boot(node),
            5 => self.leave_one(node),
            6..9 => self.join(node),
            9 => self.snapshot(node),
            10..20 => self.propose(),
            20..40 => self.log(node),
            40..55 => self.append(node),
            55..70 => self.sync_and_ack(node),
            70..85 => self.count(node),
            _ => self.deliver(node),
        }
    }

    fn leave_one(&mut self, node: usize) {
        if self.leader == Some(node) {
            self.leader = None;
        }
        self.leave(node);
    }

    fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            self.boot(node);
        }
        self.leader = None;
        while self.leader.is_none() {
            self.elect();
        }
        let leader = self.leader.expect("elected");
        for node in (0..self.nodes.len()).filter(|node| *node != leader) {
            self.join(node);
        }
        let running = (0..self.nodes.len()).map(|node| ServerId(sid(node))).collect();
        self.run.finish(&FinalState { converged: true, running, ..FinalState::default() });
    }
}

#[test]
fn a_correct_protocol_is_never_reported() {
    let mut furthest = Epoch(0);
    let mut committed = 0;
    for seed in 0..8000 {
        let voters = [1, 3, 4, 5][seed as usize % 4];
        let mut model = Model::new(voters, seed, None);
        for _ in 0..1500 {
            model.step();
            model.run.sound();
        }
        model.heal();
        model.run.sound();
        furthest = furthest.max(Epoch(model.epoch));
        committed = committed.max(model.committed);
    }
    assert!(furthest > Epoch(5) && committed > 20, "the soak elects and commits: {furthest} {committed}");
}

/// The first violation of the first seed that shows this mistake.
fn first_report(mistake: Mistake) -> String {
    for seed in 0..200 {
        let mut model = Model::new(3, seed, Some(mistake));
        for _ in 0..1500 {
            if let Some(first) = model.run.first() {
                return first.to_string();
            }
            model.step();
        }
    }
    "nothing".to_string()
}

#[test]
fn each_mistake_is_reported() {
    let expected = [
        (Mistake::AckBeforeSync, "AST-ACK"),
        (Mistake::CommitAtOneLess, "CLD"),
        (Mistake::AnybodyLeads, "IHI"),
        (Mistake::EpochUsedAgain, "LEAD"),
        (Mistake::AcceptedEpochNotSynced, "EPM"),
        (Mistake::TailKept, "PFX"),
        (Mistake::AckSurvivesResync, "CLD"),
        (Mistake::SnapshotNotSynced, "DUR"),
        (Mistake::DeliveredTwice, "INT"),
        (Mistake::DeliveredAhead, "AGR"),
        (Mistake::OldRoleAppends, "AST-ROLE"),
    ];
    let found: Vec<_> = expected.map(|(mistake, _)| (mistake, first_report(mistake))).to_vec();
    let wanted: Vec<_> = expected.map(|(mistake, code)| (mistake, code.to_string())).to_vec();
    assert_eq!(found, wanted);
}
