//! `ClientWorld`: what clients of the tree need around them: the simulator's world, or a host with real sockets
//! and clocks.

use bytes::Bytes;
use checker::TreeObservation;
use peer::Nanos;
use wire::ServerId;

use crate::world::{LinkId, World};

pub trait ClientWorld {
    fn now(&self) -> Nanos;
    /// `TreeWorkload::on_timer` with this id then.
    fn timer(&mut self, at: Nanos, id: u64);
    /// A connection to a member's client port; it counts as there at once.
    fn dial_client_port(&mut self, client: u64, to: ServerId) -> LinkId;
    fn client_sends(&mut self, link: LinkId, bytes: Bytes);
    /// The client lets go; it hears nothing more of this connection.
    fn client_closes(&mut self, link: LinkId);
    /// What is under way and what comes is swallowed, both ways.
    fn lose_client_link(&mut self, link: LinkId);
    /// For the checkers.
    fn tell(&mut self, observation: &TreeObservation<'_>);
}

impl ClientWorld for World {
    fn now(&self) -> Nanos {
        self.now
    }
    fn timer(&mut self, at: Nanos, id: u64) {
        World::timer(self, at, id);
    }
    fn dial_client_port(&mut self, client: u64, to: ServerId) -> LinkId {
        World::dial_client_port(self, client, to)
    }
    fn client_sends(&mut self, link: LinkId, bytes: Bytes) {
        World::client_sends(self, link, bytes);
    }
    fn client_closes(&mut self, link: LinkId) {
        World::client_closes(self, link);
    }
    fn lose_client_link(&mut self, link: LinkId) {
        World::lose_client_link(self, link);
    }
    fn tell(&mut self, observation: &TreeObservation<'_>) {
        let now = self.now;
        self.checkers.tree(now, observation);
    }
}
