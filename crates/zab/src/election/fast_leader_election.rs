//! `Election`: FastLeaderElection. Decides which member the peer leads with or follows, and answers
//! those who look while we do not. Called by the peer.

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use wire::election::{Layout, Notification, ServerState};
use wire::{Epoch, ServerId, Zxid};

use super::quorum_cnx_manager::QuorumCnxManager;
use super::vote::{Received, Vote, may_lead};
use crate::config::LearnerType;
use crate::config_text::parse_config_text;
use crate::context::Io;
use crate::disk::DiskOp;
use crate::ensemble::{Activation, ConfigFile};
use crate::event::{Event, Role};
use crate::io::{Input, Output, Port};
use crate::switches::Switch;
use crate::time::Nanos;

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub role: Role,
    pub vote: Vote,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Not looking; the state says what we do instead (`Looking`: the member has left a role and has
    /// not begun to look, so it says nothing).
    Settled(ServerState),
    /// An observer waits a little before it looks, so that the voters are done first.
    Waiting { until: Nanos },
    /// `finalize`: a quorum agrees; wait until then for a better vote.
    Looking { notify_at: Nanos, interval: Nanos, finalize: Option<Nanos> },
}

#[derive(Clone, Debug)]
pub struct Election {
    cnx: QuorumCnxManager,
    phase: Phase,
    /// The logical clock. In memory only.
    round: i64,
    /// What we look with.
    history: (Zxid, Epoch),
    /// What we would propose for ourselves.
    initial: Vote,
    /// The proposal while looking, the decided vote afterwards.
    vote: Vote,
    recvset: BTreeMap<ServerId, Received>,
    outofelection: BTreeMap<ServerId, Received>,
    /// Messages not yet counted; those to ourselves skip the network.
    heard: VecDeque<(ServerId, Notification)>,
    /// The last message of each voter that looked while we did not, and when it came.
    heard_settled: BTreeMap<ServerId, (Nanos, Notification)>,
    waits: u64,
    refused: Option<String>,
}

impl Election {
    /// `seed`: of an observer's waits.
    pub fn new(seed: u64) -> Election {
        Election {
            cnx: QuorumCnxManager::default(),
            phase: Phase::Settled(ServerState::Looking),
            round: 0,
            history: (Zxid::ZERO, Epoch(0)),
            initial: Vote::none(0),
            vote: Vote::none(0),
            recvset: BTreeMap::new(),
            outofelection: BTreeMap::new(),
            heard: VecDeque::new(),
            heard_settled: BTreeMap::new(),
            waits: seed,
            refused: None,
        }
    }

    pub fn start_listening(&mut self, io: &mut Io<'_>) {
        io.out.push(Output::Listen(Port::Election));
    }

    pub fn owns(&self, conn: crate::io::ConnId) -> bool {
        self.cnx.owns(conn)
    }

    pub fn state(&self) -> ServerState {
        match &self.phase {
            Phase::Settled(state) => *state,
            Phase::Waiting { .. } | Phase::Looking { .. } => ServerState::Looking,
        }
    }

    pub fn round(&self) -> i64 {
        self.round
    }

    pub fn vote(&self) -> Vote {
        self.vote
    }

    /// After synchronisation the own vote carries the established epoch, so that late joiners hear
    /// the same from everybody (ZOOKEEPER-1732).
    pub fn raise_vote_epoch(&mut self, epoch: Epoch) {
        self.vote.epoch = epoch;
    }

    /// A role was left and the member does not look yet: it says nothing, rather than something old.
    pub fn leave(&mut self) {
        self.phase = Phase::Settled(ServerState::Looking);
    }

    /// Begin to look for a leader. A decision never comes at once: it waits for `finalizeWait`.
    pub fn look(&mut self, io: &mut Io<'_>, last_zxid: Zxid, current_epoch: Epoch) {
        self.round += 1;
        self.history = (last_zxid, current_epoch);
        let observer = io.ensemble.learner_type() == LearnerType::Observer;
        self.initial = self.initial_vote(io);
        self.vote = self.initial;
        self.recvset.clear();
        self.outofelection.clear();
        self.heard.clear();
        io.event(Event::ElectionStarted { round: self.round });
        if observer {
            // A linear congruential step over the seed material that the host drew.
            self.waits =
                self.waits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let wait = Nanos::from_millis((self.waits >> 33) % 200);
            self.phase = Phase::Waiting { until: io.now.mono + wait };
        } else {
            self.begin(io);
        }
    }

    /// For itself, or for nobody. Who votes in the pending configuration only may lead, too, in every other round: it may
    /// have more than anybody who votes in the active one, and without it there may be no quorum; or those who do not know
    /// that configuration, and would not have it, may be needed. (In Java it votes for others, who may refuse it then.)
    fn initial_vote(&self, io: &Io<'_>) -> Vote {
        let (zxid, epoch) = self.history;
        let observer = io.ensemble.learner_type() == LearnerType::Observer;
        // One of weight 0 says so, too, as in Java: nobody takes its vote over, but all hear of its round.
        let votes = io.ensemble.active().is_voter(io.sid()) || may_lead(io, io.sid(), self.round);
        if observer || !votes {
            return Vote::none(self.round);
        }
        Vote { leader: io.sid(), zxid, round: self.round, epoch }
    }

    fn begin(&mut self, io: &mut Io<'_>) {
        let interval = io.config.settings.min_notification_interval;
        self.phase = Phase::Looking { notify_at: io.now.mono + interval, interval, finalize: None };
        self.send_notifications(io);
        self.hear_again(io);
        let decided = self.count_heard(io);
        debug_assert!(decided.is_none(), "own LOOKING votes decide at the finalize deadline only");
    }

    /// Who lost the same leader a moment earlier has told us its vote already, and says nothing more before its
    /// notification interval is over: half of a fail-over, if nobody remembers. (Java's queue outlives a role, too,
    /// but a member that has not noticed takes nothing in.) Older ones are of an election that is over.
    fn hear_again(&mut self, io: &Io<'_>) {
        let interval = io.config.settings.min_notification_interval;
        for (sid, (at, n)) in std::mem::take(&mut self.heard_settled) {
            if at + interval > io.now.mono {
                self.heard.push_back((sid, n));
            }
        }
    }

    pub fn next_deadline(&self) -> (Nanos, &'static str) {
        let (at, why) = match &self.phase {
            Phase::Settled(_) => (Nanos::NEVER, "settled"),
            Phase::Waiting { until } => (*until, "observer waits before it looks"),
            Phase::Looking { finalize: Some(until), .. } => (*until, "finalizeWait"),
            Phase::Looking { notify_at, .. } => (*notify_at, "notification interval"),
        };
        let cnx = self.cnx.next_deadline();
        if cnx < at { (cnx, "election connection") } else { (at, why) }
    }

    /// Everything on the election port, and deadlines. Gives a decision when the election ended.
    pub fn handle(&mut self, io: &mut Io<'_>, input: Input) -> Option<Decision> {
        match input {
            Input::Accepted { conn, .. } => self.cnx.on_accepted(io, conn),
            Input::Connected { conn } => self.cnx.on_connected(io, conn),
            Input::Closed { conn, .. } => {
                let lost = self.cnx.on_closed(io, conn);
                if lost {
                    self.notify_soon(io);
                }
            }
            Input::Drained { conn } => self.cnx.on_drained(io, conn),
            Input::Received { conn, bytes } => {
                let mut heard = Vec::new();
                self.cnx.on_received(io, conn, bytes, &mut heard);
                self.heard.extend(heard);
                return self.count_heard(io);
            }
            Input::Deadline => return self.on_deadline(io),
            _ => {}
        }
        None
    }

    /// A connection was lost, and with it perhaps the last notification: the next one follows soon. Java waits
    /// for its interval, which has grown to a minute where a member has looked for long, and each half-open
    /// connection that it meets costs it another.
    fn notify_soon(&mut self, io: &Io<'_>) {
        if let Phase::Looking { notify_at, .. } = &mut self.phase {
            *notify_at = (*notify_at).min(io.now.mono + io.config.settings.min_notification_interval);
        }
    }

    /// Count what was heard, in order; behind a decision the rest is answered in the new state.
    fn count_heard(&mut self, io: &mut Io<'_>) -> Option<Decision> {
        let mut decided = None;
        while let Some((sid, n)) = self.heard.pop_front() {
            decided = decided.or(self.on_notification(io, sid, &n));
        }
        decided
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) -> Option<Decision> {
        let now = io.now.mono;
        if self.cnx.next_deadline() <= now {
            self.cnx.on_deadline(io);
        }
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now => self.begin(io),
            Phase::Looking { finalize: Some(until), .. } if *until <= now => {
                return Some(self.finish(io, self.vote));
            }
            Phase::Looking { notify_at, interval, finalize: None } if *notify_at <= now => {
                *interval = (*interval + *interval).min(io.config.settings.max_notification_interval);
                *notify_at = now + *interval;
                if self.cnx.nothing_delivered() {
                    self.cnx.connect_all(io);
                } else {
                    let least = io.config.settings.min_notification_interval;
                    let tried_before = *interval > least + least;
                    if tried_before {
                        self.try_another_round(io);
                    }
                    self.send_notifications(io);
                    return self.count_heard(io);
                }
            }
            _ => {}
        }
        None
    }

    /// With a configuration pending nobody was elected in this round: perhaps who may lead in the next one is.
    fn try_another_round(&mut self, io: &Io<'_>) {
        if io.ensemble.pending().is_some() {
            self.round += 1;
            self.recvset.clear();
            self.initial = self.initial_vote(io);
            self.vote = self.initial;
        }
    }

    fn send_notifications(&mut self, io: &mut Io<'_>) {
        for sid in io.ensemble.voters() {
            self.send(io, sid, self.vote, ServerState::Looking, self.round);
        }
    }

    fn send(&mut self, io: &mut Io<'_>, to: ServerId, vote: Vote, state: ServerState, round: i64) {
        let n = Notification {
            state,
            leader: vote.leader,
            zxid: vote.zxid,
            round,
            peer_epoch: vote.epoch,
            layout: Layout::V2 { version: 2, config: io.ensemble.active_text() },
        };
        if to == io.sid() {
            self.heard.push_back((to, n));
            return;
        }
        let mut frame = BytesMut::with_capacity(48 + io.ensemble.active_text().len());
        n.encode_framed(&mut frame);
        self.cnx.send(io, to, frame.freeze());
    }

    /// Who is answered, and with what (`FastLeaderElection.Messenger.WorkerReceiver`).
    ///
    /// | I am | sender | answer |
    /// |---|---|---|
    /// | silent (between roles) | anybody | none; a LOOKING voter's is kept (`hear_again`) |
    /// | an observer that waits to look | anybody | none |
    /// | LOOKING | no voter, LOOKING in a later round | none |
    /// | anything | no voter, LOOKING | my vote and state, my round, at once |
    /// | anything | no voter, settled | none |
    /// | LOOKING | LOOKING in an older round | my proposal, if I am a voter |
    /// | LOOKING | other voter | none; the vote is counted |
    /// | FOLLOWING, LEADING | LOOKING voter | my vote and state; its own is kept |
    /// | FOLLOWING, LEADING | settled voter | none |
    /// | OBSERVING | voter, LOOKING with an earlier configuration | my vote and state: it may know no other member |
    /// | OBSERVING | other voter | none |
    ///
    /// Java answers every message of who is no voter, and its observers answer every voter that is LOOKING. A voter
    /// takes nothing from an observer, so such answers are of no use; but each asks for the next, and the two keep the
    /// network busy for as long as the voter looks (50 MiB in a run of a minute were seen). So do a voter of ours and a Java
    /// observer that looks in a later round: it answers who is behind, and is answered. It learns nothing by that.
    fn on_notification(&mut self, io: &mut Io<'_>, sid: ServerId, n: &Notification) -> Option<Decision> {
        self.keep_for_later(io, sid, n);
        if self.state() == ServerState::Looking && self.learn_config(io, sid, n) {
            let (last_zxid, epoch) = self.history;
            self.look(io, last_zxid, epoch);
            return None;
        }
        match &self.phase {
            Phase::Settled(ServerState::Looking) | Phase::Waiting { .. } => None,
            _ if !io.ensemble.is_voter(sid) => {
                let would_answer = self.state() == ServerState::Looking && n.round > self.round;
                if n.state == ServerState::Looking && !would_answer {
                    self.send(io, sid, self.vote, self.state(), self.round);
                }
                None
            }
            Phase::Settled(ServerState::Observing) => {
                if n.state == ServerState::Looking && has_earlier_config(io, n) {
                    self.send(io, sid, self.vote, ServerState::Observing, self.vote.round);
                }
                None
            }
            Phase::Settled(state) => {
                if n.state == ServerState::Looking && sid != io.sid() {
                    self.send(io, sid, self.vote, *state, self.vote.round);
                }
                None
            }
            Phase::Looking { .. } => {
                let voter = io.ensemble.votes();
                if n.state == ServerState::Looking && n.round < self.round && voter && sid != io.sid() {
                    self.send(io, sid, self.vote, ServerState::Looking, self.round);
                }
                self.count(io, sid, n)
            }
        }
    }

    /// A member of ours goes by a later configuration, which is committed then. True where it has other members, and the
    /// election begins anew with them. Where we do not reconfigure, one with our quorums is taken over, in memory; with
    /// others ours are none any more, and we must elect nobody with them.
    fn learn_config(&mut self, io: &mut Io<'_>, sid: ServerId, n: &Notification) -> bool {
        let Layout::V2 { config, .. } = &n.layout else { return false };
        let silent = matches!(self.phase, Phase::Settled(_));
        if silent || config.is_empty() || *config == io.ensemble.active_text() {
            return false;
        }
        let view = match parse_config_text(config) {
            Ok(view) => view,
            Err(why) => {
                io.warn(format!("the configuration of {sid} is ignored: {why}"));
                return false;
            }
        };
        // All of ours may be gone: what lists both sides is believed.
        let lists = |sid| view.members.contains_key(&sid);
        let believed = io.ensemble.is_member(sid) || lists(sid) && lists(io.sid());
        if !believed {
            return false;
        }
        let reconfig = io.config.settings.reconfig_enabled;
        if !reconfig && let Some(why) = io.ensemble.refusal(&view) {
            self.refused = Some(why);
            return false;
        }
        let before = io.ensemble.active().clone();
        if io.ensemble.activate(&view, None, None) == Activation::Known {
            return false;
        }
        let version = view.version;
        if reconfig {
            io.disk(DiskOp::WriteConfig { file: ConfigFile::Active, version, text: view.text() });
        }
        io.event(Event::config_activated(&view));
        before.members != view.members || before.verifier != view.verifier
    }

    /// Why this member must elect nobody: it has to stop.
    pub fn take_refusal(&mut self) -> Option<String> {
        self.refused.take()
    }

    fn keep_for_later(&mut self, io: &Io<'_>, sid: ServerId, n: &Notification) {
        let both_vote = io.ensemble.is_voter(sid) && io.ensemble.votes();
        let looks = n.state == ServerState::Looking;
        let slow = io.config.switches.slow_as_released();
        if matches!(self.phase, Phase::Settled(_)) && both_vote && looks && sid != io.sid() && !slow {
            self.heard_settled.insert(sid, (io.now.mono, n.clone()));
        }
    }

    /// One step of `lookForLeader`.
    fn count(&mut self, io: &mut Io<'_>, sid: ServerId, n: &Notification) -> Option<Decision> {
        if !io.ensemble.is_voter(n.leader) {
            return None;
        }
        match n.state {
            ServerState::Looking => {
                self.count_looking(io, sid, n);
                None
            }
            ServerState::Observing => None,
            ServerState::Following | ServerState::Leading => self.count_settled(io, sid, n),
        }
    }

    fn count_looking(&mut self, io: &mut Io<'_>, sid: ServerId, n: &Notification) {
        if n.zxid == Zxid::NONE || self.initial.zxid == Zxid::NONE {
            return;
        }
        let theirs = Vote::of(n);
        let config = io.config;
        let Phase::Looking { finalize, .. } = &mut self.phase else { return };
        if finalize.is_some() {
            // While a quorum agrees, only a better vote (or a later round) reopens the election; each
            // other message begins the wait anew, as Java's poll does.
            if n.round <= self.round && !theirs.better_than(&self.vote, io) {
                if sid != io.config.sid {
                    *finalize = Some(io.now.mono + io.config.settings.finalize_wait);
                }
                return;
            }
            *finalize = None;
            io.mark("election: better vote in finalizeWait");
        }
        // Who has no vote of its own goes by the round of the first voter that it hears, though its own be later: nobody
        // hears of that one (a vote for nobody is no vote). Java's ignores them, and is ignored, for ever, where it votes in
        // a configuration that they have seen and it has not.
        let begins = self.vote.leader == ServerId::NONE;
        if n.round > self.round || begins && n.round < self.round {
            self.round = n.round;
            self.recvset.clear();
            self.initial = self.initial_vote(io);
            self.vote = if theirs.better_than(&self.initial, io) { theirs } else { self.initial };
            self.send_notifications(io);
        } else if n.round < self.round {
            return;
        } else if theirs.better_than(&self.vote, io) {
            self.vote = theirs;
            self.send_notifications(io);
        }
        self.recvset.insert(sid, Received { vote: theirs, state: ServerState::Looking, version: 0 });
        let mine = self.vote;
        let agreeing = self.recvset.iter().filter(|(_, r)| r.state == ServerState::Looking && r.vote == mine);
        // Right: a quorum for my proposal, and time for a better one to come. Wrong (ZOOKEEPER-975): or
        // every voter was heard, whatever it said; then at once.
        let wait = if config.switches.has(Switch::FinishWhenAllHeard)
            && self.recvset.len() == io.ensemble.voters().len()
        {
            Some(Nanos::ZERO)
        } else {
            let quorum = io.ensemble.contains_quorum(agreeing.map(|(sid, _)| *sid));
            quorum.then_some(config.settings.finalize_wait)
        };
        if let Some(wait) = wait
            && let Phase::Looking { finalize, .. } = &mut self.phase
        {
            *finalize = Some(io.now.mono + wait);
        }
    }

    fn count_settled(&mut self, io: &mut Io<'_>, sid: ServerId, n: &Notification) -> Option<Decision> {
        let received = Received { vote: Vote::of(n), state: n.state, version: n.version() };
        if n.round == self.round {
            self.recvset.insert(sid, Received { version: 0, ..received });
            if self.joins(io, &self.recvset, &received) {
                return Some(self.finish(io, received.vote));
            }
        }
        self.outofelection.insert(sid, received);
        if self.joins(io, &self.outofelection, &received) {
            self.round = n.round;
            io.mark("election: joined an established ensemble");
            return Some(self.finish(io, received.vote));
        }
        None
    }

    /// A quorum speaks for one leader, and the leader itself says that it leads. One of the active configuration is enough,
    /// unlike in Java: who joins decides nothing, and it is that leader's NEWLEADER that ends a proposal which this member saw
    /// and no quorum did.
    fn joins(&self, io: &Io<'_>, votes: &BTreeMap<ServerId, Received>, n: &Received) -> bool {
        let leader = n.vote.leader;
        let leader_says_so = if leader == io.sid() {
            n.vote.round == self.round
        } else {
            votes.get(&leader).is_some_and(|vote| vote.state == ServerState::Leading)
        };
        let agreeing =
            votes.iter().filter(|(_, vote)| vote.agrees_with(n, io.config.switches)).map(|(sid, _)| *sid);
        leader_says_so && io.ensemble.active().verifier.contains_quorum(agreeing)
    }

    /// A reconfiguration has named the leader, and nobody is elected (`QuorumPeer.updateVote`, `updateServerState`). It is
    /// found out as after any election whether it may lead: a learner that has more than it ends the attempt. None where
    /// it is no voter here.
    pub fn designate(
        &mut self,
        io: &mut Io<'_>,
        leader: ServerId,
        last_zxid: Zxid,
        current_epoch: Epoch,
    ) -> Option<Decision> {
        let vote = Vote { leader, zxid: last_zxid, round: self.round, epoch: current_epoch };
        io.ensemble.active().is_voter(leader).then(|| self.finish(io, vote))
    }

    fn finish(&mut self, io: &mut Io<'_>, vote: Vote) -> Decision {
        let (role, state) = if vote.leader == io.sid() {
            (Role::Leading, ServerState::Leading)
        } else if io.ensemble.learner_type() == LearnerType::Participant {
            (Role::Following, ServerState::Following)
        } else {
            (Role::Observing, ServerState::Observing)
        };
        self.vote = vote;
        self.phase = Phase::Settled(state);
        self.recvset.clear();
        self.outofelection.clear();
        let Vote { leader, zxid, round, epoch } = vote;
        io.event(Event::ElectionDecided { leader, zxid, epoch, round });
        Decision { role, vote }
    }
}

/// Where configurations are learned from notifications.
fn has_earlier_config(io: &Io<'_>, n: &Notification) -> bool {
    let Layout::V2 { config, .. } = &n.layout else { return false };
    let active = io.ensemble.active();
    io.config.settings.reconfig_enabled
        && *config != io.ensemble.active_text()
        && parse_config_text(config).is_ok_and(|theirs| theirs.version < active.version)
}
