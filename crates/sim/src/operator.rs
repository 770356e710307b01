//! The operator: a client that may reconfigure (`Action::Reconfig`). It asks for one configuration after another, mostly of
//! whoever leads, and again where it lost its connection: then it does not know what became of it, as real ones do not. The runner
//! hands it outputs and timers.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peer::{ClientId, ClientInput, ClientOutput, Nanos, Role};
use wire::client::ReconfigRequest;
use wire::{Id, Jute, ServerId, Zxid, code, op};

use crate::faults::FaultKind;
use crate::world::World;

/// The kind of its timers.
pub(crate) const TIMER: u64 = 0xfc;

const CLIENT: u64 = 0xffff_fff0;
const ANSWERS_WITHIN: Nanos = Nanos::from_millis(1500);
const TRIES_AGAIN_AFTER: Nanos = Nanos::from_millis(200);
/// Of one request.
const TRIES: u32 = 5;

#[derive(Clone, Debug, Default)]
pub(crate) struct Operator {
    /// What has not been answered: the first is asked for. Through this member, or the leader.
    queue: VecDeque<(Bytes, Option<ServerId>)>,
    /// Counts connections: what an older one tells is not heard.
    attempt: u32,
    member: Option<ServerId>,
    tries: u32,
    /// Answers by error code.
    pub answers: BTreeMap<i32, u64>,
}

impl Operator {
    pub fn ask(&mut self, world: &mut World, request: &ReconfigRequest, through: Option<ServerId>) {
        world.faults.inject(FaultKind::Reconfig);
        let mut body = BytesMut::new();
        request.write(&mut body);
        self.queue.push_back((body.freeze(), through));
        if self.queue.len() == 1 {
            self.connect(world);
        }
    }

    /// What it has not asked for yet it does not ask for.
    pub fn stop(&mut self) {
        self.queue.truncate(1);
        self.tries = TRIES;
    }

    pub fn is(&self, client: ClientId) -> bool {
        client.0 >> 32 == CLIENT
    }

    fn id(&self) -> ClientId {
        ClientId(CLIENT << 32 | u64::from(self.attempt))
    }

    fn connect(&mut self, world: &mut World) {
        let up = || world.member_ids().into_iter().filter(|sid| world.is_up(*sid));
        let through = self.queue.front().and_then(|(_, through)| *through).filter(|_| self.tries == 0);
        let through = through.filter(|sid| world.is_up(*sid));
        let leader = || up().find(|sid| world.role(*sid) == Some(Role::Leading));
        let member = through.or_else(leader).or_else(|| up().next());
        self.attempt += 1;
        self.member = member;
        world.timer(world.now + ANSWERS_WITHIN, TIMER << 56 | u64::from(self.attempt));
        if let Some(member) = member {
            let connect = ClientInput::Connect {
                client: self.id(),
                resume: None,
                timeout_ms: 4000,
                last_zxid: Zxid::ZERO,
                auth: vec![Id::of("super", "")],
            };
            world.client(member, connect);
        }
    }

    fn disconnect(&mut self, world: &mut World) {
        if let Some(member) = self.member.take() {
            world.client(member, ClientInput::Disconnect { client: self.id() });
        }
    }

    pub fn on_timer(&mut self, world: &mut World, timer: u64) {
        if timer & 0xffff_ffff != u64::from(self.attempt) || self.queue.is_empty() {
            return;
        }
        self.disconnect(world);
        self.tries += 1;
        if self.tries >= TRIES { self.next(world) } else { self.connect(world) }
    }

    fn next(&mut self, world: &mut World) {
        self.queue.pop_front();
        self.tries = 0;
        if !self.queue.is_empty() {
            self.connect(world);
        }
    }

    /// Gives the answer to a reconfig, if it is one.
    pub fn on_output(&mut self, world: &mut World, output: &ClientOutput) -> Option<i32> {
        let member = self.member.filter(|_| output.client() == self.id())?;
        let (body, _) = self.queue.front()?.clone();
        match output {
            ClientOutput::Connected { client, .. } => {
                let request = ClientInput::Request { client: *client, cxid: 1, op: op::RECONFIG, body };
                world.client(member, request);
            }
            ClientOutput::Reply { result, .. } => {
                let answer = result.as_ref().err().copied().unwrap_or(code::OK);
                *self.answers.entry(answer).or_default() += 1;
                if answer == code::OK {
                    world.faults.effect(FaultKind::Reconfig);
                }
                self.disconnect(world);
                self.next(world);
                return Some(answer);
            }
            ClientOutput::Disconnected { .. } | ClientOutput::Expired { .. } => {
                self.member = None;
                self.attempt += 1;
                world.timer(world.now + TRIES_AGAIN_AFTER, TIMER << 56 | u64::from(self.attempt));
            }
            ClientOutput::Notification { .. } => {}
        }
        None
    }
}
