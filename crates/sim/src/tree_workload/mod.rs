//! Clients of the data tree, over ZooKeeper's own protocol: sessions that last, watches, every operation,
//! reconnects to other members, silence, and now and then a packet that no decent client sends. The runner
//! hands them timers and bytes; checkers hear what they asked and were told. What is around them is a
//! `ClientWorld`: the simulator's, or `cargo xtask chaos` with real sockets.

mod client_world;
mod requests;
mod zoo_client;

use std::collections::BTreeMap;

use bytes::Bytes;
use peer::Nanos;
use wire::client::Request;
use wire::{ServerId, code, op};

pub use self::client_world::ClientWorld;
use self::requests::Generator;
use self::zoo_client::{Answer, Stage, ZooClient};
use crate::draw::{Concern, Draws};
use crate::run::TreeStats;
use crate::workload::WorkloadSpec;
use crate::world::LinkId;

#[derive(Clone, Debug)]
struct Actor {
    zoo: ZooClient,
    draws: Draws,
    /// It says nothing before.
    quiet_until: Nanos,
    retry_at: Nanos,
    ask_at: Nanos,
    /// Directories that it has yet to make sure of.
    to_make: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct TreeWorkload {
    spec: WorkloadSpec,
    actors: Vec<Actor>,
    members: Vec<ServerId>,
    stopped: bool,
    values: u64,
    pub acknowledged: u64,
    pub unknown: u64,
    /// Replies by request type and error code, for reports and tests.
    answers: BTreeMap<(i32, i32), u64>,
    pub only: Option<ServerId>,
}

/// The kind of its timers, beside those of the register workload.
pub const TICK: u64 = 3;
const TICK_EVERY: Nanos = Nanos::from_millis(20);

impl TreeWorkload {
    pub fn new(seed: u64, spec: WorkloadSpec, members: &[ServerId]) -> TreeWorkload {
        let through: Vec<ServerId> = if spec.through.is_empty() {
            members.to_vec()
        } else {
            spec.through.iter().map(|sid| ServerId(*sid)).collect()
        };
        let actor = |i: u32| Actor {
            zoo: ZooClient::new(u64::from(i), spec.session_timeout_ms),
            draws: Draws::new(seed, Concern::Clients, u64::from(i)),
            quiet_until: Nanos::ZERO,
            retry_at: Nanos::ZERO,
            ask_at: Nanos::ZERO,
            to_make: requests::dirs().collect(),
        };
        let actors = (0..spec.clients).map(actor).collect();
        TreeWorkload {
            spec,
            actors,
            members: through,
            stopped: false,
            values: 0,
            acknowledged: 0,
            unknown: 0,
            answers: BTreeMap::new(),
            only: None,
        }
    }

    pub fn start(&mut self, world: &mut impl ClientWorld) {
        for i in 0..self.actors.len() {
            let delay =
                Nanos::from_millis(self.spec.start_ms) + Nanos(self.actors[i].draws.below(50_000_000));
            world.timer(world.now() + delay, TreeWorkload::tick_of(i));
        }
    }

    pub fn clients(&self) -> usize {
        self.actors.len()
    }

    /// The timer by which a client lives: each time it asks for the next one.
    pub fn tick_of(client: usize) -> u64 {
        TICK << 56 | client as u64
    }

    pub fn stop(&mut self) {
        self.stopped = true;
    }

    pub fn reconnect_all(&mut self, world: &mut impl ClientWorld) {
        for i in 0..self.actors.len() {
            self.lose(world, i, false);
        }
    }

    pub fn writes_in_flight(&self) -> usize {
        let pending = self.actors.iter().flat_map(|actor| &actor.zoo.pending);
        pending.filter(|asked| op::is_write(asked.kind)).count()
    }

    pub fn stats(&self) -> TreeStats {
        let sum = |of: fn(&ZooClient) -> u64| self.actors.iter().map(|actor| of(&actor.zoo)).sum();
        TreeStats {
            answers: self.answers.clone(),
            notifications: sum(|zoo| zoo.notified),
            expirations: sum(|zoo| zoo.expirations),
            unjust_expirations: sum(|zoo| zoo.unjust_expirations),
            connections: sum(|zoo| u64::from(zoo.attempt)),
            resumed: sum(|zoo| zoo.resumed),
        }
    }

    pub fn on_timer(&mut self, world: &mut impl ClientWorld, timer: u64) {
        let i = (timer & 0xffff_ffff) as usize;
        world.timer(world.now() + TICK_EVERY, timer);
        let connect_timeout = Nanos::from_millis(self.spec.request_timeout_ms);
        let actor = &mut self.actors[i];
        if world.now() < actor.quiet_until {
            return;
        }
        if !actor.zoo.tick(world, connect_timeout) {
            return self.wait_to_retry(world, i);
        }
        match actor.zoo.stage {
            Stage::Down if world.now() >= actor.retry_at && !self.stopped => self.connect(world, i),
            Stage::Down | Stage::Connecting => {}
            Stage::Open if self.stopped => {}
            Stage::Open => {
                self.misbehave(world, i);
                self.ask(world, i);
            }
        }
    }

    fn connect(&mut self, world: &mut impl ClientWorld, i: usize) {
        let drawn = self.members[self.actors[i].draws.below(self.members.len() as u64) as usize];
        self.actors[i].zoo.connect(world, self.only.unwrap_or(drawn));
    }

    fn wait_to_retry(&mut self, world: &impl ClientWorld, i: usize) {
        let actor = &mut self.actors[i];
        actor.retry_at = world.now() + Nanos::from_millis(actor.draws.range(10, 300));
    }

    fn lose(&mut self, world: &mut impl ClientWorld, i: usize, link_is_gone: bool) {
        self.unknown += self.actors[i].zoo.pending.len() as u64;
        self.actors[i].zoo.disconnect(world, link_is_gone);
        self.wait_to_retry(world, i);
    }

    /// What happens to clients: they move, fall silent, or their packets vanish.
    fn misbehave(&mut self, world: &mut impl ClientWorld, i: usize) {
        let timeout = self.actors[i].zoo.timeout_ms.max(0).unsigned_abs();
        match self.actors[i].draws.below(3000) {
            0..=9 => self.lose(world, i, false),
            10..=11 => {
                if let Some(link) = self.actors[i].zoo.link {
                    world.lose_client_link(link);
                }
            }
            12..=14 => {
                // Half of them end about when the session does.
                let draws = &mut self.actors[i].draws;
                let silence = match draws.chance(500) {
                    true => u64::from(timeout) * draws.range(900, 1300) / 1000,
                    false => draws.below(2 * u64::from(timeout)),
                };
                self.actors[i].quiet_until = world.now() + Nanos::from_millis(silence);
            }
            15..=19 => self.ask_nonsense(world, i),
            _ => {}
        }
    }

    /// Requests that wedge or stop a Java server (traps 22 and 23 of the reference), and an unknown one.
    fn ask_nonsense(&mut self, world: &mut impl ClientWorld, i: usize) {
        let actor = &mut self.actors[i];
        let (kind, body): (i32, &[u8]) = match actor.draws.below(5) {
            0 => (op::DELETE_CONTAINER, b"\0\0\0\x05/d0/n"),
            1 => (op::CREATE_SESSION, b"\0\0\x27\x10"),
            2 => (op::CREATE, b"\0\0"),
            3 => (op::SET_DATA, b"\x7f\xff\xff\xff/d0"),
            _ => (99, b""),
        };
        actor.zoo.ask_raw(world, kind, body);
    }

    fn ask(&mut self, world: &mut impl ClientWorld, i: usize) {
        while self.actors[i].zoo.stage == Stage::Open
            && world.now() >= self.actors[i].ask_at
            && !self.actors[i].zoo.is_closing()
            && self.actors[i].zoo.pending.len() < self.spec.in_flight as usize
        {
            self.ask_one(world, i);
            // What comes behind a closeSession is not waited for, and must have no effect.
            while self.actors[i].zoo.is_closing() && self.actors[i].draws.chance(300) {
                self.ask_one(world, i);
            }
        }
    }

    fn ask_one(&mut self, world: &mut impl ClientWorld, i: usize) {
        self.values += 1;
        let value = format!("v{}", self.values);
        let actor = &mut self.actors[i];
        let request = match actor.to_make.pop() {
            Some(dir) => Request::Create(requests::create(dir, &value, 0)),
            None => Generator { draws: &mut actor.draws, value }.request(&self.spec),
        };
        actor.zoo.ask(world, request);
    }

    pub fn on_bytes(&mut self, world: &mut impl ClientWorld, client: u64, link: LinkId, bytes: Bytes) {
        let i = client as usize;
        if self.actors[i].zoo.link != Some(link) {
            return;
        }
        let answers = self.actors[i].zoo.on_bytes(world, bytes);
        let answered = !answers.is_empty();
        for Answer { asked, err } in answers {
            *self.answers.entry((asked.kind, err)).or_default() += 1;
            self.acknowledged += u64::from(op::is_write(asked.kind) && err == code::OK);
        }
        let actor = &mut self.actors[i];
        if actor.zoo.stage == Stage::Down {
            return self.wait_to_retry(world, i);
        }
        if answered {
            actor.ask_at = world.now() + Nanos(actor.draws.below(self.spec.think_ms * 1_000_000 + 1));
            if self.spec.think_ms == 0 && !self.stopped {
                self.ask(world, i);
            }
        }
    }

    pub fn on_closed(&mut self, world: &mut impl ClientWorld, client: u64, link: LinkId) {
        let i = client as usize;
        if self.actors[i].zoo.link == Some(link) {
            self.lose(world, i, true);
        }
    }
}
