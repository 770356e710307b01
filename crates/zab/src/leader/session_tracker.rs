//! `SessionTracker`: the leader's clock over sessions, and which member speaks for each. Sessions end
//! by the leader's word alone.

use std::collections::BTreeMap;

use wire::SessionId;

use crate::io::ConnId;
use crate::time::Nanos;

/// Who may write for a session: the leader's own clients, or the learner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Local,
    Learner(ConnId),
}

#[derive(Clone, Debug)]
struct Tracked {
    timeout_ms: i32,
    expires: Nanos,
    owner: Option<Owner>,
    closing: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SessionTracker {
    sessions: BTreeMap<SessionId, Tracked>,
}

impl SessionTracker {
    pub fn track(&mut self, session: SessionId, timeout_ms: i32, owner: Option<Owner>, now: Nanos) {
        let expires = now + Nanos::from_millis(u64::from(timeout_ms.max(0).unsigned_abs()));
        self.sessions.insert(session, Tracked { timeout_ms, expires, owner, closing: false });
    }

    pub fn tracks(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// False for a session that is unknown or closing. The timeout is what its connection was given: another than
    /// at first where it was renewed.
    pub fn touch(&mut self, session: SessionId, timeout_ms: i32, now: Nanos) -> bool {
        match self.sessions.get_mut(&session) {
            Some(tracked) if !tracked.closing => {
                tracked.timeout_ms = timeout_ms;
                tracked.expires =
                    now + Nanos::from_millis(u64::from(tracked.timeout_ms.max(0).unsigned_abs()));
                true
            }
            _ => false,
        }
    }

    pub fn set_owner(&mut self, session: SessionId, owner: Owner) {
        if let Some(tracked) = self.sessions.get_mut(&session) {
            tracked.owner = Some(owner);
        }
    }

    /// `checkSession`: `Err` with ZooKeeper's code where `from` may not write for the session.
    pub fn check(&mut self, session: SessionId, from: Owner) -> Result<(), i32> {
        match self.sessions.get_mut(&session) {
            None => Err(wire::code::SESSION_EXPIRED),
            Some(tracked) if tracked.closing => Err(wire::code::SESSION_EXPIRED),
            Some(tracked) => match tracked.owner {
                None => {
                    tracked.owner = Some(from);
                    Ok(())
                }
                Some(owner) if owner == from => Ok(()),
                Some(_) => Err(wire::code::SESSION_MOVED),
            },
        }
    }

    /// From here on the session accepts no further request (ZOOKEEPER-1208).
    pub fn closing(&mut self, session: SessionId) {
        if let Some(tracked) = self.sessions.get_mut(&session) {
            tracked.closing = true;
        }
    }

    pub fn remove(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// When each ends if nothing is heard of it.
    pub fn expiries(&self) -> impl Iterator<Item = (SessionId, Nanos)> {
        self.sessions.iter().map(|(session, tracked)| (*session, tracked.expires))
    }

    /// Sessions whose time is over and which are not closing yet.
    pub fn expired(&self, now: Nanos) -> Vec<SessionId> {
        self.sessions
            .iter()
            .filter(|(_, tracked)| !tracked.closing && tracked.expires <= now)
            .map(|(session, _)| *session)
            .collect()
    }
}
