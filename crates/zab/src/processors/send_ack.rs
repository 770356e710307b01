//! `SendAckRequestProcessor`: behind a follower's SyncRequestProcessor. What its log holds durably is
//! acknowledged to the leader, one ACK a proposal, in one flush a group commit.

use bytes::BytesMut;
use wire::{Packet, Zxid};

use crate::context::Io;
use crate::event::Event;

#[derive(Clone, Copy, Debug, Default)]
pub struct SendAckRequestProcessor;

impl SendAckRequestProcessor {
    /// `durable`: what one group commit made durable, in order; `to_leader`: what is said next.
    pub fn process(self, io: &mut Io<'_>, durable: &[Zxid], to_leader: &mut BytesMut) {
        for &zxid in durable {
            Packet::Ack { zxid }.encode(to_leader);
            io.event(Event::AckSent { zxid });
        }
    }
}
