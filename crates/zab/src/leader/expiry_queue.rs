//! `ExpiryQueue`: sessions in buckets by the time at which somebody has to look at them (`ExpiryQueue` of 3.5+). A
//! touch leaves a session where it stands, unless it now ends sooner; when the bucket's time has come, the
//! tracker looks when it really ends, and puts it into a later one. So each session is looked at once in its
//! timeout, and a touch costs nothing here.

use std::collections::BTreeMap;

use wire::SessionId;

use crate::time::Nanos;

#[derive(Clone, Debug)]
pub(super) struct ExpiryQueue {
    /// Length of a bucket's time.
    width: Nanos,
    buckets: BTreeMap<u64, Vec<SessionId>>,
}

impl ExpiryQueue {
    pub fn new(width: Nanos) -> ExpiryQueue {
        ExpiryQueue { width: Nanos(width.0.max(1)), buckets: BTreeMap::new() }
    }

    /// The number of the bucket in which `expires` lies.
    pub fn bucket(&self, expires: Nanos) -> u64 {
        expires.0 / self.width.0
    }

    pub fn put(&mut self, bucket: u64, session: SessionId) {
        self.buckets.entry(bucket).or_default().push(session);
    }

    /// Everything in buckets whose time has begun, with the bucket's number. A session may be in several: the
    /// one that it was put into last counts.
    pub fn take_due(&mut self, now: Nanos) -> Vec<(u64, Vec<SessionId>)> {
        let later = self.buckets.split_off(&(self.bucket(now) + 1));
        std::mem::replace(&mut self.buckets, later).into_iter().collect()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.buckets.values().map(Vec::len).sum()
    }
}
