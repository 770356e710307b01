//! A small language for the checkers' tests: runs of an ensemble in the words of the protocol, each
//! turned into the observations that a host would feed.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use wire::txn::SetDataTxn;
use wire::{Epoch, ServerId, SessionId, Txn, TxnBody, TxnHeader, Zxid, op};
use zab::{EpochFile, Event, LearnerType, Nanos, QuorumVerifier, Recovered, Role, TxnEntry, txn_digest};

use crate::checkers::Checkers;
use crate::observation::{ClientObservation, EnsembleSpec, FinalState, MemberSpec, Observation, Outcome};

pub(crate) fn z(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// Who asked for the transaction at a zxid, unless a test says otherwise.
fn asked_by(zxid: Zxid) -> (SessionId, i32) {
    (SessionId(77), (zxid.epoch().0 as i32) * 1000 + (zxid.counter() % 1000) as i32)
}

pub(crate) fn entry(zxid: Zxid) -> TxnEntry {
    let (session, cxid) = asked_by(zxid);
    entry_of(zxid, session, cxid, op::SET_DATA, b"/a=1")
}

pub(crate) fn entry_of(zxid: Zxid, session: SessionId, cxid: i32, kind: i32, body: &[u8]) -> TxnEntry {
    let mut txn = BytesMut::new();
    TxnHeader { client_id: session, cxid, zxid, time_ms: 0, kind }.encode(&mut txn);
    txn.put_slice(body);
    TxnEntry { zxid, txn: txn.freeze() }
}

/// A reconfig with this configuration.
pub(crate) fn reconfig(zxid: Zxid, text: Bytes) -> TxnEntry {
    let (session, cxid) = asked_by(zxid);
    let header = TxnHeader { client_id: session, cxid, zxid, time_ms: 0, kind: op::RECONFIG };
    let set = SetDataTxn { path: "/zookeeper/config".into(), data: Some(text), version: -1 };
    TxnEntry { zxid, txn: Txn::new(header, TxnBody::SetData(set), None).to_bytes() }
}

pub(crate) fn digest(zxid: Zxid) -> u64 {
    txn_digest(&entry(zxid).txn)
}

/// What the test believes to be on a member's disk, page cache included.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    log: Vec<Zxid>,
    snapshot: Option<Zxid>,
    pub accepted: i64,
    current: i64,
}

#[derive(Clone)]
pub(crate) struct Run {
    pub checkers: Checkers,
    disks: Vec<Disk>,
    /// By whatever member.
    written: BTreeMap<Zxid, TxnEntry>,
    leader: i64,
    epoch: i64,
    learners: Vec<i64>,
    now: u64,
}

impl Run {
    fn of(voters: i64, observers: i64, waived: &[&str], jumps: bool) -> Run {
        let members = (1..=voters + observers)
            .map(|sid| MemberSpec {
                sid: ServerId(sid),
                learner_type: if sid <= voters { LearnerType::Participant } else { LearnerType::Observer },
            })
            .collect();
        let spec = EnsembleSpec {
            tree: false,
            members,
            verifier: QuorumVerifier::Majority { voters: (1..=voters).map(ServerId).collect() },
            waived: waived.iter().map(ToString::to_string).collect(),
            allow_zxid_jumps: jumps,
        };
        let mut run = Run {
            checkers: Checkers::new(&spec),
            disks: vec![Disk::default(); (voters + observers) as usize],
            written: BTreeMap::new(),
            leader: 0,
            epoch: 0,
            learners: Vec::new(),
            now: 0,
        };
        for sid in 1..=voters + observers {
            run.boot(sid);
        }
        run
    }

    pub fn booted(voters: i64) -> Run {
        Run::of(voters, 0, &[], false)
    }
    pub fn waiving(voters: i64, codes: &[&str]) -> Run {
        Run::of(voters, 0, codes, false)
    }
    pub fn with_observers(voters: i64, observers: i64) -> Run {
        Run::of(voters, observers, &[], false)
    }
    pub fn jumping(voters: i64) -> Run {
        Run::of(voters, 0, &[], true)
    }
    /// Server 1 leads all others.
    pub fn established(voters: i64, epoch: i64) -> Run {
        let mut run = Run::booted(voters);
        let learners: Vec<i64> = (2..=voters).collect();
        run.establish(1, epoch, &learners);
        run
    }

    // --- feeding

    pub fn observe(&mut self, sid: i64, observation: &Observation<'_>) {
        self.now += 1;
        self.checkers.observe(Nanos(self.now), ServerId(sid), observation);
    }
    pub fn event(&mut self, sid: i64, event: Event) {
        self.observe(sid, &Observation::Event(&event));
    }
    pub fn disk(&mut self, sid: i64) -> &mut Disk {
        &mut self.disks[(sid - 1) as usize]
    }

    // --- life

    fn recovered(&self, sid: i64) -> Recovered {
        let disk = &self.disks[(sid - 1) as usize];
        Recovered {
            snapshot: disk.snapshot.map(|zxid| (zxid, Bytes::new())),
            log: disk
                .log
                .iter()
                .filter(|zxid| Some(**zxid) > disk.snapshot)
                .map(|zxid| self.written.get(zxid).cloned().unwrap_or_else(|| entry(*zxid)))
                .collect(),
            before_snapshot: Vec::new(),
            accepted_epoch: Epoch(disk.accepted),
            current_epoch: Epoch(disk.current),
            snapshot_bytes: 0,
            untrusted_empty: false,
            warnings: Vec::new(),
        }
    }
    pub fn boot(&mut self, sid: i64) {
        self.observe(sid, &Observation::Booted);
        self.reload(sid);
    }
    /// The answer of a Load, and a look for a leader.
    pub fn reload(&mut self, sid: i64) {
        let recovered = self.recovered(sid);
        self.observe(sid, &Observation::Recovered(&recovered));
        self.event(sid, Event::RoleChanged { role: Role::Looking });
    }
    pub fn crash(&mut self, sid: i64) {
        self.learners.retain(|learner| *learner != sid);
        self.observe(sid, &Observation::Crashed { power_loss: true });
    }
    pub fn kill(&mut self, sid: i64) {
        self.learners.retain(|learner| *learner != sid);
        self.observe(sid, &Observation::Crashed { power_loss: false });
    }
    pub fn restart(&mut self, sid: i64) {
        self.crash(sid);
        self.boot(sid);
    }
    pub fn role_left(&mut self, sid: i64) {
        self.learners.retain(|learner| *learner != sid);
        self.event(sid, Event::RoleLeft { role: Role::Following, reason: "test".into() });
    }
    /// Everybody leaves its role and reads its disk again.
    pub fn leave_all(&mut self) {
        for sid in 1..=self.disks.len() as i64 {
            self.role_left(sid);
            self.reload(sid);
        }
    }

    // --- recoveries of a dead member's disk

    pub fn recover_only(&mut self, sid: i64, log: &[Zxid]) {
        self.disk(sid).log = log.to_vec();
        let recovered = self.recovered(sid);
        self.observe(sid, &Observation::Recovered(&recovered));
    }
    pub fn recover_snapshot(&mut self, sid: i64, snapshot: Zxid, log: &[Zxid]) {
        self.disk(sid).snapshot = Some(snapshot);
        self.recover_only(sid, log);
    }
    pub fn recover_other_bytes(&mut self, sid: i64, zxid: Zxid) {
        let mut recovered = self.recovered(sid);
        let at = recovered.log.iter().position(|entry| entry.zxid == zxid).expect("in the log");
        recovered.log[at].txn = Bytes::from_static(b"something else, longer than a header is");
        self.observe(sid, &Observation::Recovered(&recovered));
    }
    pub fn recover_epochs(&mut self, sid: i64, accepted: i64, current: i64) {
        let disk = self.disk(sid);
        (disk.accepted, disk.current) = (accepted, current);
        let recovered = self.recovered(sid);
        self.observe(sid, &Observation::Recovered(&recovered));
    }
    pub fn recovered_tree(&mut self, sid: i64, zxid: Zxid, tree: u64) {
        self.observe(sid, &Observation::RecoveredTree { zxid, tree });
    }

    pub fn fast_forwarded(&mut self, sid: i64, last_zxid: Zxid, tree: u64) {
        let epoch = Epoch(1);
        let (accepted_epoch, current_epoch) = (epoch, epoch);
        let event = Event::FastForwarded { last_zxid, transactions: 0, accepted_epoch, current_epoch, tree };
        self.event(sid, event);
    }

    // --- discovery and synchronisation

    pub fn role_leading(&mut self, sid: i64) {
        self.event(sid, Event::RoleChanged { role: Role::Leading });
    }
    pub fn accept_epoch(&mut self, sid: i64, epoch: i64) {
        if self.disk(sid).accepted < epoch {
            self.disk(sid).accepted = epoch;
            self.observe(sid, &Observation::EpochWritten(EpochFile::AcceptedEpoch, Epoch(epoch)));
        }
    }
    pub fn enter_epoch(&mut self, sid: i64, epoch: i64) {
        if self.disk(sid).current < epoch {
            self.disk(sid).current = epoch;
            self.observe(sid, &Observation::EpochWritten(EpochFile::CurrentEpoch, Epoch(epoch)));
        }
    }
    /// Discovery is over, NEWLEADER goes out.
    pub fn lead(&mut self, sid: i64, epoch: i64) {
        self.role_leading(sid);
        self.accept_epoch(sid, epoch);
        self.event(sid, Event::EpochProposed { epoch: Epoch(epoch) });
        self.event(sid, Event::EpochAcked { epoch: Epoch(epoch) });
        self.enter_epoch(sid, epoch);
        let to = ServerId(if sid == 1 { 2 } else { 1 });
        self.event(sid, Event::NewLeaderSent { epoch: Epoch(epoch), to });
    }
    pub fn connect(&mut self, sid: i64, leader: i64) {
        self.event(sid, Event::RoleChanged { role: Role::Following });
        self.event(sid, Event::ConnectedToLeader { leader: ServerId(leader) });
    }
    /// Synchronised by nothing at all, up to the ACK of NEWLEADER.
    pub fn follow(&mut self, sid: i64, leader: i64, epoch: i64) {
        self.connect(sid, leader);
        self.sync_with(sid, epoch, &[]);
    }
    /// Committed transactions of a synchronisation, then the ACK of NEWLEADER.
    pub fn sync_with(&mut self, sid: i64, epoch: i64, zxids: &[Zxid]) {
        self.accept_epoch(sid, epoch);
        for zxid in zxids {
            self.log(sid, *zxid);
            self.append_sync(sid, *zxid);
            self.deliver(sid, *zxid);
        }
        self.enter_epoch(sid, epoch);
        self.event(sid, Event::NewLeaderAckSent { epoch: Epoch(epoch) });
    }
    pub fn up_to_date(&mut self, sid: i64, epoch: i64) {
        self.learners.push(sid);
        self.event(sid, Event::UpToDate { epoch: Epoch(epoch) });
    }
    pub fn established_event(&mut self, sid: i64, epoch: i64) {
        (self.leader, self.epoch) = (sid, epoch);
        self.event(sid, Event::Established { epoch: Epoch(epoch) });
    }
    /// `sid` establishes `epoch` with learners that have what it has.
    pub fn establish(&mut self, sid: i64, epoch: i64, learners: &[i64]) {
        self.learners.clear();
        self.lead(sid, epoch);
        for learner in learners {
            self.follow(*learner, sid, epoch);
        }
        self.established_event(sid, epoch);
        for learner in learners {
            self.up_to_date(*learner, epoch);
        }
    }
    /// All leave their roles, and `sid` leads everybody.
    pub fn new_leader(&mut self, sid: i64, epoch: i64) {
        let others: Vec<i64> = (1..=self.disks.len() as i64).filter(|other| *other != sid).collect();
        self.new_leader_with(sid, epoch, &others);
    }
    pub fn new_leader_with(&mut self, sid: i64, epoch: i64, learners: &[i64]) {
        for member in learners.iter().chain([&sid]) {
            self.role_left(*member);
            self.reload(*member);
        }
        self.establish(sid, epoch, learners);
    }
    /// A member that has everything joins.
    pub fn join(&mut self, sid: i64, leader: i64, epoch: i64) {
        self.follow(sid, leader, epoch);
        self.up_to_date(sid, epoch);
    }
    pub fn restore_with_tree(&mut self, sid: i64, zxid: Zxid, tree: u64) {
        self.event(sid, Event::Restored { zxid, tree });
    }
    pub fn restore(&mut self, sid: i64, zxid: Zxid) {
        self.restore_with_tree(sid, zxid, tree_at(zxid));
    }
    pub fn install(&mut self, sid: i64, zxid: Zxid, epoch: i64) {
        let epoch = Epoch(epoch);
        self.observe(sid, &Observation::Installed { zxid, epoch, log: &[], effective: false });
        self.observe(sid, &Observation::Installed { zxid, epoch, log: &[], effective: true });
        let disk = self.disk(sid);
        disk.snapshot = Some(zxid);
        disk.log.clear();
    }
    /// SNAP at `zxid`, up to the ACK of NEWLEADER.
    pub fn snapshot_sync(&mut self, sid: i64, epoch: i64, zxid: Zxid) {
        self.restore(sid, zxid);
        self.install(sid, zxid, epoch);
        self.sync_with(sid, epoch, &[]);
    }
    pub fn truncate(&mut self, sid: i64, zxid: Zxid) {
        self.disk(sid).log.retain(|logged| *logged <= zxid);
        self.observe(sid, &Observation::Truncated(zxid));
    }

    // --- broadcast

    pub fn propose_by(&mut self, sid: i64, zxid: Zxid) {
        self.event(sid, Event::Proposed { zxid, digest: digest(zxid) });
    }
    pub fn propose(&mut self, zxid: Zxid) {
        self.propose_by(self.leader, zxid);
    }
    pub fn log_with_digest(&mut self, sid: i64, zxid: Zxid, digest: u64) {
        self.event(sid, Event::Logged { zxid, digest });
    }
    pub fn log(&mut self, sid: i64, zxid: Zxid) {
        self.log_with_digest(sid, zxid, digest(zxid));
    }
    pub fn append_entry(&mut self, sid: i64, entry: TxnEntry) {
        self.disk(sid).log.push(entry.zxid);
        self.written.insert(entry.zxid, entry.clone());
        self.observe(sid, &Observation::Appended(&[entry]));
    }
    pub fn append(&mut self, sid: i64, zxid: Zxid) {
        self.append_entry(sid, entry(zxid));
    }
    pub fn append_sync(&mut self, sid: i64, zxid: Zxid) {
        self.append(sid, zxid);
        self.observe(sid, &Observation::Synced);
    }
    pub fn log_and_ack(&mut self, sid: i64, zxid: Zxid) {
        self.log(sid, zxid);
        self.append_sync(sid, zxid);
        if sid != self.leader {
            self.event(sid, Event::AckSent { zxid });
        }
        self.event(self.leader, Event::AckCounted { zxid, by: ServerId(sid) });
    }
    pub fn log_and_ack_all(&mut self, zxid: Zxid) {
        for sid in self.live() {
            self.log_and_ack(sid, zxid);
        }
    }
    pub fn commit_by(&mut self, sid: i64, zxid: Zxid) {
        self.event(sid, Event::Committed { zxid, digest: digest(zxid) });
    }
    pub fn commit(&mut self, zxid: Zxid) {
        self.commit_by(self.leader, zxid);
    }
    pub fn deliver_with_tree(&mut self, sid: i64, zxid: Zxid, tree: u64) {
        self.event(sid, Event::Delivered { zxid, digest: digest(zxid), tree });
    }
    pub fn deliver(&mut self, sid: i64, zxid: Zxid) {
        self.deliver_with_tree(sid, zxid, tree_at(zxid));
    }
    fn live(&self) -> Vec<i64> {
        [self.leader].into_iter().chain(self.learners.iter().copied()).collect()
    }
    /// A whole write: proposed, logged and acknowledged by all, committed, delivered.
    pub fn write(&mut self, zxid: Zxid) {
        self.propose(zxid);
        self.log_and_ack_all(zxid);
        self.commit(zxid);
        for sid in self.live() {
            self.deliver(sid, zxid);
        }
    }
    pub fn propose_entry(&mut self, entry: &TxnEntry) {
        let (zxid, digest) = (entry.zxid, txn_digest(&entry.txn));
        self.event(self.leader, Event::Proposed { zxid, digest });
    }
    /// Logged and synced.
    pub fn log_entry(&mut self, sid: i64, entry: &TxnEntry) {
        self.log_with_digest(sid, entry.zxid, txn_digest(&entry.txn));
        self.append_entry(sid, entry.clone());
        self.observe(sid, &Observation::Synced);
    }
    pub fn commit_entry(&mut self, entry: &TxnEntry) {
        let (zxid, digest) = (entry.zxid, txn_digest(&entry.txn));
        self.event(self.leader, Event::Committed { zxid, digest });
    }
    pub fn deliver_entry(&mut self, sid: i64, entry: &TxnEntry) {
        let (zxid, digest) = (entry.zxid, txn_digest(&entry.txn));
        self.event(sid, Event::Delivered { zxid, digest, tree: tree_at(zxid) });
    }
    /// A write of this session.
    pub fn write_entry(&mut self, entry: &TxnEntry) {
        let (zxid, digest) = (entry.zxid, txn_digest(&entry.txn));
        self.event(self.leader, Event::Proposed { zxid, digest });
        for sid in self.live() {
            self.event(sid, Event::Logged { zxid, digest });
            self.append_entry(sid, entry.clone());
            self.observe(sid, &Observation::Synced);
        }
        self.event(self.leader, Event::Committed { zxid, digest });
        for sid in self.live() {
            self.event(sid, Event::Delivered { zxid, digest, tree: tree_at(zxid) });
        }
    }

    // --- clients

    pub fn client(&mut self, observation: &ClientObservation<'_>) {
        self.now += 1;
        self.checkers.client(Nanos(self.now), observation);
    }
    pub fn invoke(&mut self, session: i64, cxid: i32, op: i32, path: &str, value: &[u8]) {
        let (client, session) = (session as u64, SessionId(session));
        self.client(&ClientObservation::Invoked { client, session, cxid, op, path, value });
    }
    pub fn reply(&mut self, session: i64, cxid: i32, zxid: Zxid, outcome: Outcome) {
        let (client, session) = (session as u64, SessionId(session));
        self.client(&ClientObservation::Replied { client, session, cxid, zxid, outcome });
    }
    pub fn unknown(&mut self, session: i64, cxid: i32) {
        let (client, session) = (session as u64, SessionId(session));
        self.client(&ClientObservation::Unknown { client, session, cxid });
    }

    // --- verdicts

    pub fn finish(&mut self, end: &FinalState) {
        self.now += 1;
        self.checkers.finish(Nanos(self.now), end);
    }
    #[track_caller]
    pub fn sound(&self) {
        assert_eq!(self.checkers.violations(), &[]);
    }
    #[track_caller]
    pub fn first_is(&self, code: &str) {
        let first = self.checkers.violations().first();
        assert_eq!(first.map(|v| v.invariant), Some(code), "{:#?}", self.checkers.violations());
        assert!(crate::INVARIANTS.iter().any(|(known, _)| *known == code), "{code} is in the table");
    }
    pub fn first(&self) -> Option<&'static str> {
        self.checkers.violations().first().map(|v| v.invariant)
    }
    pub fn details(&self) -> String {
        self.checkers.violations().iter().map(|v| v.detail.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// The state after a zxid, as healthy members have it.
pub(crate) fn tree_at(zxid: Zxid) -> u64 {
    txn_digest(&zxid.0.to_le_bytes())
}
