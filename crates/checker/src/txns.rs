//! What is known of each transaction by its zxid, and of each epoch: one table for the whole
//! ensemble, indexed by epoch and counter. Members hold positions, never copies.

use std::collections::BTreeMap;

use wire::{Epoch, Zxid};

use crate::history::History;

pub(crate) const DIGEST: u8 = 1;
pub(crate) const BROADCAST: u8 = 2;
/// On some disk when the run began.
pub(crate) const GENESIS: u8 = 4;
pub(crate) const TREE: u8 = 8;
pub(crate) const HEADER: u8 = 16;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub flags: u8,
    pub digest: u64,
    /// Digest of the state after it.
    pub tree: u64,
    pub session: i64,
    pub cxid: i32,
    pub kind: i32,
}

impl Slot {
    #[inline]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// One attempt of one server to lead: index of the member, and how often it entered LEADING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub member: usize,
    pub number: u32,
}

/// Everything about one epoch.
#[derive(Clone, Debug)]
pub(crate) struct EpochState {
    pub epoch: Epoch,
    /// `lead(e)`.
    pub lead: Vec<Attempt>,
    pub broadcaster: Option<Attempt>,
    pub established: Option<Attempt>,
    /// `I[e]`.
    pub initial: Option<History>,
    /// Where `C` ended when this epoch was established.
    pub committed_before: Option<Zxid>,
    /// `B[e]`.
    pub broadcast: History,
    /// Counter of `slots[0]`.
    first: u32,
    slots: Vec<Slot>,
    /// Counters far away from the others.
    far: BTreeMap<u32, Slot>,
}

/// Holes wider than this go to the map.
const WIDE: u32 = 4096;

impl EpochState {
    fn new(epoch: Epoch) -> EpochState {
        EpochState {
            epoch,
            lead: Vec::new(),
            broadcaster: None,
            established: None,
            initial: None,
            committed_before: None,
            broadcast: History::starting_at(epoch.first_zxid()),
            first: 0,
            slots: Vec::new(),
            far: BTreeMap::new(),
        }
    }

    #[inline]
    pub fn slot(&mut self, zxid: Zxid) -> &mut Slot {
        let at = zxid.counter().wrapping_sub(self.first) as usize;
        if at >= self.slots.len() {
            return self.new_slot(zxid.counter());
        }
        &mut self.slots[at]
    }

    pub fn peek(&self, zxid: Zxid) -> Option<&Slot> {
        let at = zxid.counter().wrapping_sub(self.first) as usize;
        self.slots.get(at).or_else(|| self.far.get(&zxid.counter()))
    }

    fn new_slot(&mut self, counter: u32) -> &mut Slot {
        if self.slots.is_empty() {
            // The counter of an ordinary epoch starts at 1, (e,0) has a state too.
            self.first = if counter < WIDE { 0 } else { counter };
        }
        let at = counter.wrapping_sub(self.first) as usize;
        if counter < self.first || at > self.slots.len() + WIDE as usize {
            return self.far.entry(counter).or_default();
        }
        if at >= self.slots.len() {
            self.slots.resize(at + 1, Slot::default());
            self.bring_near();
        }
        &mut self.slots[at]
    }

    /// Counters that were far before may be near now.
    fn bring_near(&mut self) {
        let near = self.first..=self.first.saturating_add(self.slots.len() as u32 - 1);
        while let Some((&counter, _)) = self.far.range(near.clone()).next() {
            let slot = self.far.remove(&counter).expect("just found");
            self.slots[(counter - self.first) as usize] = slot;
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs {
    /// Ascending.
    epochs: Vec<EpochState>,
    hint: usize,
}

impl Epochs {
    /// The state of an epoch, made when it is first heard of.
    #[inline]
    pub fn get(&mut self, epoch: Epoch) -> &mut EpochState {
        if self.epochs.get(self.hint).is_none_or(|state| state.epoch != epoch) {
            self.hint = self.find_or_insert(epoch);
        }
        &mut self.epochs[self.hint]
    }

    fn find_or_insert(&mut self, epoch: Epoch) -> usize {
        let at = self.epochs.partition_point(|state| state.epoch < epoch);
        if self.epochs.get(at).is_none_or(|state| state.epoch != epoch) {
            self.epochs.insert(at, EpochState::new(epoch));
        }
        at
    }

    pub fn peek(&self, epoch: Epoch) -> Option<&EpochState> {
        let at = self.epochs.partition_point(|state| state.epoch < epoch);
        self.epochs.get(at).filter(|state| state.epoch == epoch)
    }

    /// Epochs above this one, ascending.
    pub fn above(&self, epoch: Epoch) -> &[EpochState] {
        let at = self.epochs.partition_point(|state| state.epoch <= epoch);
        &self.epochs[at..]
    }

    #[inline]
    pub fn slot(&mut self, zxid: Zxid) -> &mut Slot {
        self.get(zxid.epoch()).slot(zxid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_far_and_near_are_kept_apart() {
        let mut epochs = Epochs::default();
        for counter in [5, 0, 0xffff_fff0, 4000, 100_000, 1] {
            epochs.slot(Zxid::new(Epoch(3), counter)).digest = u64::from(counter) + 1;
        }
        for counter in [5, 0, 0xffff_fff0, 4000, 100_000, 1] {
            let zxid = Zxid::new(Epoch(3), counter);
            assert_eq!(epochs.slot(zxid).digest, u64::from(counter) + 1);
            let state = epochs.peek(Epoch(3)).expect("heard of");
            assert_eq!(state.peek(zxid).expect("stored").digest, u64::from(counter) + 1);
        }
    }

    #[test]
    fn an_epoch_that_starts_high() {
        let mut epochs = Epochs::default();
        for counter in [0xffff_fff1u32, 0xffff_fff2, 1, 0] {
            epochs.slot(Zxid::new(Epoch(1), counter)).digest = u64::from(counter) + 7;
        }
        for counter in [0xffff_fff1u32, 0xffff_fff2, 1, 0] {
            assert_eq!(epochs.slot(Zxid::new(Epoch(1), counter)).digest, u64::from(counter) + 7);
        }
    }
}
