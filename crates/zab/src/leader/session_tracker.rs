//! `SessionTracker`: the leader's clock over sessions, and which member speaks for each. Sessions end
//! by the leader's word alone.

use wire::SessionId;

use super::expiry_queue::ExpiryQueue;
use crate::io::ConnId;
use crate::session_map::SessionMap;
use crate::time::Nanos;

/// Who may write for a session: the leader's own clients, or the learner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Local,
    Learner(ConnId),
}

#[derive(Clone, Debug)]
struct Tracked {
    timeout_ms: i32,
    expires: Nanos,
    /// The bucket of the queue that it is in.
    bucket: u64,
    owner: Option<Owner>,
    closing: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SessionTracker {
    sessions: SessionMap<Tracked>,
    queue: ExpiryQueue,
}

impl SessionTracker {
    /// `look_every`: how often somebody asks what has expired.
    pub fn new(look_every: Nanos) -> SessionTracker {
        SessionTracker { sessions: SessionMap::default(), queue: ExpiryQueue::new(look_every) }
    }

    pub fn track(&mut self, session: SessionId, timeout_ms: i32, owner: Option<Owner>, now: Nanos) {
        let expires = now + Nanos::from_millis(u64::from(timeout_ms.max(0).unsigned_abs()));
        let bucket = self.queue.bucket(expires);
        self.queue.put(bucket, session);
        self.sessions.insert(session, Tracked { timeout_ms, expires, bucket, owner, closing: false });
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
                let bucket = self.queue.bucket(tracked.expires);
                if bucket < tracked.bucket {
                    tracked.bucket = bucket;
                    self.queue.put(bucket, session);
                }
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

    /// Only with `create-after-close`: it does until its closeSession commits.
    pub fn stays_open(&mut self, session: SessionId) {
        if let Some(tracked) = self.sessions.get_mut(&session) {
            tracked.closing = false;
        }
    }

    pub fn remove(&mut self, session: SessionId) {
        self.sessions.swap_remove(&session);
    }

    /// When each ends if nothing is heard of it.
    pub fn expiries(&self) -> impl Iterator<Item = (SessionId, Nanos)> {
        self.sessions.iter().map(|(session, tracked)| (*session, tracked.expires))
    }

    /// Sessions whose time is over and which are not closing, by id. Each is told once: close it.
    pub fn expired(&mut self, now: Nanos) -> Vec<SessionId> {
        let mut expired = Vec::new();
        for (bucket, sessions) in self.queue.take_due(now) {
            for session in sessions {
                let Some(tracked) = self.sessions.get_mut(&session) else { continue };
                if tracked.closing || tracked.bucket != bucket {
                    continue;
                }
                if tracked.expires <= now {
                    expired.push(session);
                } else {
                    tracked.bucket = self.queue.bucket(tracked.expires);
                    self.queue.put(tracked.bucket, session);
                }
            }
        }
        expired.sort_unstable();
        expired.dedup();
        expired
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ms(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    /// Beside one that looks at every session each time.
    #[test]
    fn each_expires_when_its_time_is_over() {
        let mut tracker = SessionTracker::new(ms(500));
        let mut plain: BTreeMap<SessionId, Nanos> = BTreeMap::new();
        let mut random = 1_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut told = 0;
        for step in 1..20_000_u64 {
            let (now, session) = (ms(step * 50), SessionId(next(300) as i64));
            let timeout_ms = [1000, 4000, 700, 20_000][next(4) as usize];
            let expires = now + ms(timeout_ms as u64);
            if !tracker.tracks(session) && !plain.contains_key(&session) {
                tracker.track(session, timeout_ms, None, now);
                plain.insert(session, expires);
            } else if next(20) == 0 {
                tracker.remove(session);
                plain.remove(&session);
            } else {
                assert!(tracker.touch(session, timeout_ms, now));
                plain.insert(session, expires);
            }
            if step % 10 == 0 {
                let over = plain.iter().filter(|(_, expires)| **expires <= now).map(|(id, _)| *id);
                let over: Vec<SessionId> = over.collect();
                assert_eq!(tracker.expired(now), over, "at {now:?}");
                for session in over {
                    told += 1;
                    tracker.closing(session);
                    tracker.remove(session);
                    plain.remove(&session);
                }
            }
        }
        assert!(told > 100, "{told}");
    }

    /// However often they are touched, the queue has each once.
    #[test]
    fn a_touch_adds_nothing() {
        let mut tracker = SessionTracker::new(ms(1000));
        for id in 0..100 {
            tracker.track(SessionId(id), 4000, None, ms(0));
        }
        for at in 0..10_000 {
            tracker.touch(SessionId(at % 100), 4000, ms(at as u64));
            if at % 1000 == 0 {
                assert!(tracker.expired(ms(at as u64)).is_empty());
                assert_eq!(tracker.queue.len(), 100);
            }
        }
    }

    /// Nor where it ends sooner than before, now and then.
    #[test]
    fn places_in_the_queue_that_were_left() {
        let mut tracker = SessionTracker::new(ms(1000));
        tracker.track(SessionId(1), 20_000, None, ms(0));
        for at in (0..1_000_000).step_by(500) {
            tracker.touch(SessionId(1), if at % 5000 == 0 { 1000 } else { 20_000 }, ms(at));
            assert!(tracker.expired(ms(at)).is_empty());
        }
        assert!(tracker.queue.len() < 10, "{} entries", tracker.queue.len());
    }

    #[test]
    fn a_closing_session_is_not_told_again() {
        let mut tracker = SessionTracker::new(ms(500));
        tracker.track(SessionId(1), 1000, None, ms(0));
        assert!(tracker.expired(ms(500)).is_empty());
        assert_eq!(tracker.expired(ms(1000)), [SessionId(1)]);
        tracker.closing(SessionId(1));
        assert!(!tracker.touch(SessionId(1), 1000, ms(1100)));
        assert!(tracker.expired(ms(9000)).is_empty());
    }
}
