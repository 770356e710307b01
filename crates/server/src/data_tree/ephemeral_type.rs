//! `EphemeralType`: what kind of node the owner field tells.

/// Of containers.
pub const CONTAINER_OWNER: i64 = i64::MIN;
/// Longest TTL, in milliseconds.
pub const MAX_TTL: i64 = 0xff_ffff_ffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EphemeralType {
    Persistent,
    /// Goes with the session of this id.
    Session(i64),
    /// To be deleted by the leader once it has no children any more.
    Container,
    /// To be deleted by the leader if unchanged and without children for so many milliseconds.
    Ttl(i64),
}

impl EphemeralType {
    /// | owner | |
    /// |---|---|
    /// | 0 | persistent |
    /// | `i64::MIN` | container |
    /// | top byte 0xff, then 16 bits 0 | TTL, milliseconds in the low 40 bits |
    /// | other | the session's |
    ///
    /// Java reads the third row as a session's where `extendedTypesEnabled` is off; here that setting only
    /// decides whether such nodes can be made, so that members agree about those that are there.
    pub fn of(owner: i64) -> EphemeralType {
        match owner {
            0 => EphemeralType::Persistent,
            CONTAINER_OWNER => EphemeralType::Container,
            _ if (owner as u64) >> 40 == 0xff_0000 => EphemeralType::Ttl(owner & MAX_TTL),
            _ => EphemeralType::Session(owner),
        }
    }

    /// The owner field of a node with this TTL; `None` where it is out of range (Java's servers die of it).
    pub fn ttl_owner(ttl: i64) -> Option<i64> {
        (1..=MAX_TTL).contains(&ttl).then_some(0xff << 56 | ttl)
    }

    pub fn is_session(self) -> bool {
        matches!(self, EphemeralType::Session(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        assert_eq!(EphemeralType::of(0), EphemeralType::Persistent);
        assert_eq!(EphemeralType::of(i64::MIN), EphemeralType::Container);
        assert_eq!(EphemeralType::of(0x1000_0278_6880_0000), EphemeralType::Session(0x1000_0278_6880_0000));
        let owner = EphemeralType::ttl_owner(5000).expect("in range");
        assert_eq!(owner as u64, 0xff00_0000_0000_1388);
        assert_eq!(EphemeralType::of(owner), EphemeralType::Ttl(5000));
        // Another feature number: a session of server 255.
        assert!(EphemeralType::of(0xff << 56 | 1 << 40 | 7).is_session());
        for ttl in [0, -1, MAX_TTL + 1, i64::MIN] {
            assert_eq!(EphemeralType::ttl_owner(ttl), None);
        }
    }
}
