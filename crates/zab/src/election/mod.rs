//! Leader election: FastLeaderElection over the connections of QuorumCnxManager. The peer owns one
//! `Election` for the life of the process: it answers others in every state.

mod fast_leader_election;
mod quorum_cnx_manager;
mod vote;

pub use fast_leader_election::{Decision, Election};
pub use vote::Vote;
