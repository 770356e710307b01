//! `SessionIds`: the ids that a member gives to new sessions, in one role. Owned by `ClientSessions`.
//!
//! ```text
//! sid, low byte | epoch, folded to 16 bits | counter, 32 bits | 8 bits that differ from role to role
//! ```
//!
//! An id must never come twice: requests are known by their session and cxid. Java's count up from the clock
//! at the start of the server (`SessionTrackerImpl.initializeNextSessionId`), and come again where that
//! clock is set back. Only the first byte means anything to others, so ours count from what no clock can set
//! back: the history. A role serves clients from a zxid on, that of the last transaction it was given while
//! it synchronised, or its epoch's beginning; the id's counter is that zxid's, and one more for each session.
//!
//! Why that is enough: opening a session takes a zxid. A member that served from `z` and opened `m` sessions
//! that were committed gave the ids `z+1` to `z+m` for them (requests are lost from the end only), and when
//! it serves again in the same epoch, the history that it synchronised with goes to `z+m` at least. This
//! holds for a disk that was lost or rolled back, too. (What the clock says and which sessions a snapshot
//! still holds does not matter: a session may have ended, and its transactions be gone behind a snapshot.)
//!
//! What was asked in a former role and is still on its way, unseen by the history that this one synchronised
//! with, is kept apart by the last 8 bits, of the clock; and a leader of ours refuses to open a session that
//! it tracks already.

use wire::{ServerId, SessionId, Zxid};

#[derive(Clone, Copy, Debug, Default)]
pub struct SessionIds {
    last: u64,
}

impl SessionIds {
    /// A role begins to serve, with the history up to `from`.
    pub fn serving_from(sid: ServerId, from: Zxid, wall_ms: i64, generation: u32) -> SessionIds {
        let epoch = from.epoch().0 as u64;
        let folded = (epoch ^ epoch >> 16) & 0xffff;
        let role = (wall_ms as u64).wrapping_add(u64::from(generation)) & 0xff;
        SessionIds {
            last: (sid.0 as u64 & 0xff) << 56 | folded << 40 | u64::from(from.counter()) << 8 | role,
        }
    }

    pub fn give(&mut self) -> SessionId {
        self.last += 1 << 8;
        SessionId(self.last as i64)
    }
}

#[cfg(test)]
mod tests {
    use wire::Epoch;

    use super::*;

    fn from(epoch: i64, counter: u32) -> SessionIds {
        SessionIds::serving_from(ServerId(2), Zxid::new(Epoch(epoch), counter), 0x1234, 1)
    }

    #[test]
    fn the_layout() {
        let mut ids = from(5, 7);
        assert_eq!(ids.give(), SessionId(0x0200_0500_0000_0835));
        assert_eq!(ids.give(), SessionId(0x0200_0500_0000_0935));
    }

    /// The same moment on the same clock: what was committed in between tells the roles apart.
    #[test]
    fn a_later_role_gives_other_ids() {
        let mut first = from(5, 7);
        let given: Vec<SessionId> = (0..3).map(|_| first.give()).collect();
        for mut later in [from(5, 10), from(6, 0), from(5 + (1 << 16), 7), from(5 + (1 << 20), 7)] {
            for _ in 0..3 {
                assert!(!given.contains(&later.give()));
            }
        }
    }
}
