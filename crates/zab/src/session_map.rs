//! `SessionMap`: values by session, one hash away. Its order is that of insertions and removals: sort what goes out.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;
use wire::SessionId;

pub(crate) type SessionMap<V> = IndexMap<SessionId, V, BuildHasherDefault<SessionHasher>>;

/// A fixed hash of session ids: equal on every machine and in every run. Members give the ids, not clients. Checkers
/// have it too.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionHasher(u64);

impl Hasher for SessionHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn write_i64(&mut self, id: i64) {
        let mixed = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}
