//! `AckRequestProcessor`: behind a leader's SyncRequestProcessor. What its own log holds durably counts
//! as its acknowledgement, like that of any other voter, and not before.

use wire::Zxid;

use super::ProposalRequestProcessor;
use crate::context::Io;
use crate::event::Event;

#[derive(Clone, Copy, Debug, Default)]
pub struct AckRequestProcessor;

impl AckRequestProcessor {
    /// `durable`: what one group commit made durable, in order.
    pub fn process(self, io: &mut Io<'_>, proposals: &mut ProposalRequestProcessor, durable: &[Zxid]) {
        let by = io.sid();
        for &zxid in durable {
            if proposals.ack(by, zxid) {
                io.event(Event::AckCounted { zxid, by });
            }
        }
    }
}
