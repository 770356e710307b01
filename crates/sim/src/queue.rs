//! The event queue: by time, then by order of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use peer::Nanos;

/// When something is due, its ordinal (no two are equal), and where it waits.
type Due = (Nanos, u64, u32);

/// The heap orders small keys; what they stand for waits in slots and is moved twice only.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<Due>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    seq: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), seq: 0 }
    }
    pub fn push(&mut self, at: Nanos, event: E) {
        self.seq += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 events wait")
        });
        self.slots[slot as usize] = Some(event);
        self.heap.push(Reverse((at, self.seq, slot)));
    }
    pub fn pop(&mut self) -> Option<(Nanos, E)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(|event| (at, event))
    }
    pub fn len(&self) -> usize {
        self.heap.len()
    }
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
    pub fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Queue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_by_order_of_scheduling_whatever_slots_are_free() {
        let mut queue = Queue::new();
        for (at, event) in [(5, "d"), (1, "a"), (5, "e"), (2, "b")] {
            queue.push(Nanos(at), event);
        }
        assert_eq!((queue.pop(), queue.pop()), (Some((Nanos(1), "a")), Some((Nanos(2), "b"))));
        // These take the free slots, the later of the two first.
        queue.push(Nanos(5), "f");
        queue.push(Nanos(3), "c");
        assert_eq!((queue.len(), queue.next_at()), (4, Some(Nanos(3))));
        let rest: Vec<&str> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(rest, ["c", "d", "e", "f"]);
        assert!(queue.is_empty() && queue.slots.len() == 4);
    }
}
