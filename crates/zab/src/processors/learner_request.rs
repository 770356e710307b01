//! `LearnerRequestProcessor`: a learner's forwarding (`FollowerRequestProcessor`,
//! `ObserverRequestProcessor`). Writes, syncs, the opening and closing of sessions go to the leader as
//! REQUEST; SYNC comes back without an id, so the syncs under way are matched in their order.

use std::collections::VecDeque;

use wire::{ForwardedRequest, Packet, SessionId, op};

use super::LocalRequest;

#[derive(Clone, Debug, Default)]
pub struct LearnerRequestProcessor {
    pending_syncs: VecDeque<(SessionId, i32)>,
}

impl LearnerRequestProcessor {
    /// The REQUEST that asks the leader; `None` where this member answers by itself. CommitProcessor
    /// must have the request first: the commit that comes back looks for it there.
    pub fn forward(&mut self, request: &LocalRequest) -> Option<Packet> {
        if !request.needs_leader() {
            return None;
        }
        let LocalRequest { session, cxid, op, .. } = *request;
        if op == op::SYNC {
            self.pending_syncs.push_back((session, cxid));
        }
        let body = request.body.clone();
        // Never null: a Java leader that looks at ACLs would fail.
        let authinfo = Some(request.auth.clone());
        Some(Packet::Request(ForwardedRequest { session, cxid, op, body, authinfo }))
    }

    /// SYNC came: session and cxid of the oldest sync under way.
    pub fn synced(&mut self) -> Option<(SessionId, i32)> {
        self.pending_syncs.pop_front()
    }
}
