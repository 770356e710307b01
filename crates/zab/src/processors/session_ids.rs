//! `SessionIds`: the ids that this member gives to new sessions. Owned by the database, which shows it
//! every transaction and every session; asked by `ClientSessions`.
//!
//! ```text
//! sid, low byte | 56 bits, beginning at ms since 1970 << 16 and counting up     (SessionTrackerImpl)
//! ```
//!
//! An id must never come twice: a request is known by its session and cxid. In Java it does come twice
//! where a server's clock is set back across a restart. Here the next id lies above all of these:
//!
//! * the wall clock at the beginning of the role, and its generation;
//! * every id of this member in the history that it holds: sessions of the state, and the client ids of
//!   the transactions in its log, of sessions closed since too;
//! * the time of the latest transaction there, which its leader's clock gave.
//!
//! What is left: a session that has ended and of which no transaction stands in the loaded log any more, made
//! while this member's clock was ahead of the leader's, and then that clock set back. Such a session's
//! transactions lie `commitLogCount` behind the snapshot or further, and the time of a later one is
//! above its id as soon as the history has gone on for longer than the clock was ahead. Closing that too
//! takes a mark on disk for each role, which Java's servers have not got either.

use wire::{ServerId, SessionId, TxnHeader};

/// The bits below the server's.
const BITS: u32 = 56;
const MASK: u64 = (1 << BITS) - 1;

/// Serial numbers of 56 bits go round (with the milliseconds, in 2039): the later of two is the one less
/// than half a round ahead.
fn later(a: u64, b: u64) -> u64 {
    if a.wrapping_sub(b) & MASK < 1 << (BITS - 1) { a } else { b }
}

fn serial(wall_ms: i64) -> u64 {
    ((wall_ms as u64) << 16) & MASK
}

#[derive(Clone, Debug)]
pub struct SessionIds {
    /// Low byte of the server id.
    own: u8,
    /// The latest serial that was seen.
    seen: Option<u64>,
    /// Time of the latest transaction, ms since 1970.
    last_time_ms: i64,
}

impl SessionIds {
    pub fn new(sid: ServerId) -> SessionIds {
        SessionIds { own: sid.0 as u8, seen: None, last_time_ms: 0 }
    }

    /// A transaction of the history.
    pub fn see_txn(&mut self, header: &TxnHeader) {
        self.last_time_ms = self.last_time_ms.max(header.time_ms);
        self.see(header.client_id);
    }

    /// A session of the state.
    pub fn see(&mut self, session: SessionId) {
        let id = session.0 as u64;
        if id >> BITS == u64::from(self.own) {
            let serial = id & MASK;
            self.seen = Some(self.seen.map_or(serial, |seen| later(seen, serial)));
        }
    }

    /// The first serial of a role that begins now.
    pub fn first(wall_ms: i64, generation: u32) -> u64 {
        serial(wall_ms) | u64::from(generation & 0xff) << 8
    }

    /// The id behind `last`, and above everything seen.
    pub fn next(&self, last: u64) -> SessionId {
        let mut floor = last;
        // The last id of that millisecond.
        if self.last_time_ms > 0 {
            floor = later(floor, serial(self.last_time_ms) | 0xffff);
        }
        if let Some(seen) = self.seen {
            floor = later(floor, seen);
        }
        SessionId((u64::from(self.own) << BITS | (floor.wrapping_add(1) & MASK)) as i64)
    }

    /// The serial in an id.
    pub fn serial_of(session: SessionId) -> u64 {
        session.0 as u64 & MASK
    }
}

#[cfg(test)]
mod tests {
    use wire::{Zxid, op};

    use super::*;

    const NOW: i64 = 1_780_000_000_000;

    fn ids() -> SessionIds {
        SessionIds::new(ServerId(0x102))
    }

    fn txn(client_id: SessionId, time_ms: i64) -> TxnHeader {
        TxnHeader { client_id, cxid: 0, zxid: Zxid(1), time_ms, kind: op::CREATE_SESSION }
    }

    #[test]
    fn java_s_layout() {
        let id = ids().next(SessionIds::first(NOW, 3)).0 as u64;
        assert_eq!(id >> 56, 2, "the low byte of the server id");
        assert_eq!(id & MASK, ((NOW as u64) << 24 >> 8 & MASK) + 0x301);
    }

    #[test]
    fn a_clock_set_back_repeats_no_id() {
        let mut ids = ids();
        let first = ids.next(SessionIds::first(NOW, 0));
        ids.see_txn(&txn(first, NOW - 60_000));
        let again = ids.next(SessionIds::first(NOW, 0));
        assert!(again > first, "the same millisecond again");
        ids.see(again);
        assert!(ids.next(SessionIds::first(NOW - 19_000, 0)) > again, "19 s earlier");
    }

    /// The transactions of the session itself are gone: one of a later time is enough.
    #[test]
    fn the_time_of_the_latest_transaction_counts() {
        let mut ids = ids();
        let gone = ids.next(SessionIds::first(NOW, 0));
        ids.see_txn(&txn(SessionId(0x0500_0000_0000_0001), NOW + 1));
        assert!(ids.next(SessionIds::first(NOW - 19_000, 0)) > gone);
    }

    #[test]
    fn ids_of_others_do_not_count() {
        let mut ids = ids();
        ids.see(SessionId(0x03ff_ffff_ffff_ffff));
        let first = SessionIds::first(NOW, 0);
        assert_eq!(SessionIds::serial_of(ids.next(first)), first + 1);
    }

    #[test]
    fn serials_go_round() {
        let mut ids = ids();
        ids.see(SessionId(0x02ff_ffff_ffff_ffff));
        assert_eq!(ids.next(SessionIds::first(0, 0)), SessionId(0x0200_0000_0000_0001), "behind the turn");
        assert_eq!(ids.next(MASK - 5), SessionId(0x0200_0000_0000_0000), "the server's byte is left alone");
    }
}
