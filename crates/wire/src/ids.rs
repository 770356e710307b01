//! Server ids, epochs, zxids and session ids, as types of their own. Used by every crate.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `myid` of an ensemble member (Java `long`). Unknown learners get negative ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub i64);

impl ServerId {
    /// The id in an observer's vote for nobody (`Long.MIN_VALUE`).
    pub const NONE: ServerId = ServerId(i64::MIN);
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An epoch number. `-1` stands for "none"; epochs of zxids are the (signed) upper 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    pub const NONE: Epoch = Epoch(-1);
    /// The zxid that opens this epoch: `E<<32|0`. No transaction carries it.
    pub fn first_zxid(self) -> Zxid {
        Zxid::new(self, 0)
    }
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A transaction id: epoch in the upper, counter in the lower 32 bits, compared as signed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zxid(pub i64);

impl Zxid {
    /// "No zxid": REQUEST, REVALIDATE, UPTODATE, and an empty, untrusted database.
    pub const NONE: Zxid = Zxid(-1);
    pub const ZERO: Zxid = Zxid(0);
    /// The zxid in an observer's vote for nobody.
    pub const MIN: Zxid = Zxid(i64::MIN);
    pub const MAX: Zxid = Zxid(i64::MAX);
    /// The counter a leader never proposes: it resigns instead (ZOOKEEPER-1277).
    pub const ROLL_OVER: u32 = u32::MAX;

    pub fn new(epoch: Epoch, counter: u32) -> Zxid {
        Zxid((epoch.0 << 32) | i64::from(counter))
    }
    /// Arithmetic shift, as Java's `ZxidUtils.getEpochFromZxid`.
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> 32)
    }
    pub fn counter(self) -> u32 {
        self.0 as u32
    }
    /// The next zxid of the same epoch. The counter must not be at its end.
    pub fn next(self) -> Zxid {
        debug_assert!(self.counter() != u32::MAX, "zxid counter rolls into the epoch");
        Zxid(self.0 + 1)
    }
    /// True where `self` may directly follow `prev` in a history: its successor, or a later epoch.
    pub fn follows(self, prev: Zxid) -> bool {
        self.0 == prev.0.wrapping_add(1) || self.epoch() > prev.epoch()
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Zxid::NONE => f.write_str("-1"),
            Zxid::MIN => f.write_str("min"),
            z => write!(f, "{:#x}", z.0),
        }
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A session id; its top byte is the low byte of the server that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Java's longs are.
    #[test]
    fn zxids_are_signed() {
        for (zxid, epoch, counter) in [
            (Zxid::ZERO, 0, 0),
            (Zxid(0x1_ffff_ffff), 1, u32::MAX),
            (Zxid(0x7fff_ffff_0000_0001), 0x7fff_ffff, 1),
            (Zxid::NONE, -1, u32::MAX),
            (Zxid::MIN, -0x8000_0000, 0),
        ] {
            assert_eq!((zxid.epoch(), zxid.counter()), (Epoch(epoch), counter), "{zxid}");
            assert_eq!(Zxid::new(Epoch(epoch), counter), zxid);
        }
        assert!(Zxid::MIN < Zxid::NONE && Zxid::NONE < Zxid::ZERO);
    }

    #[test]
    fn what_follows() {
        let z = |epoch: i64, counter| Zxid::new(Epoch(epoch), counter);
        assert!(z(1, 2).follows(z(1, 1)) && z(2, 1).follows(z(1, 9)) && z(3, 5).follows(z(1, 9)));
        assert!(!z(1, 1).follows(z(1, 1)) && !z(1, 3).follows(z(1, 1)) && !z(1, 9).follows(z(2, 1)));
    }
}
