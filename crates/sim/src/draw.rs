//! Draws. A stream of them depends on the seed, the concern and the entity alone: what one link, disk
//! or client draws never depends on what the others drew, so that taking one fault or message away
//! leaves the rest of a run as it was.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a draw is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Concern {
    World = 1,
    Network = 2,
    Disk = 3,
    Crash = 4,
    Tasks = 5,
    Workload = 6,
    Faults = 7,
    Clock = 8,
    Peer = 9,
    ClientNetwork = 10,
    Clients = 11,
    State = 12,
    Reconfigs = 13,
}

#[derive(Clone, Debug)]
pub struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    pub fn new(seed: u64, concern: Concern, entity: u64) -> Draws {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(concern as u64).to_le_bytes());
        key[16..24].copy_from_slice(&entity.to_le_bytes());
        Draws { rng: ChaCha8Rng::from_seed(key) }
    }

    pub fn any(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.any()) * u128::from(n)) >> 64) as u64
    }

    /// From `from` to `to`, both included.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        debug_assert!(from <= to, "an empty range");
        from + self.below(to - from + 1)
    }

    /// True `milli` times in a thousand.
    pub fn chance(&mut self, milli: u64) -> bool {
        self.below(1000) < milli
    }

    /// Around `mean`: mostly near it, at times several times as long.
    pub fn latency(&mut self, mean: u64) -> u64 {
        let base = self.range(mean / 2, mean);
        match self.below(100) {
            0..=79 => base,
            80..=96 => base * 3,
            _ => base * 10,
        }
    }
}
