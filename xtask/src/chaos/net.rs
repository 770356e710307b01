//! The network between members. Either of two: real, where each member has a network namespace of its own; or, where
//! such may not be made, loopback with proxies of ours.

pub mod namespaces;
pub mod proxies;

use std::net::IpAddr;

use super::faults::Fault;
use crate::Done;
use crate::interop::ensemble::Ensemble;

/// From whom to whom; numbers of members from 1 up.
pub type Way = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// On loopback.
    Proxies,
    /// A bridge, and a namespace for each member (Linux, iproute2, root or user namespaces).
    Namespaces,
}

/// What is done to it lasts until it is taken back, or until everything is healed.
pub trait Net {
    fn members(&self) -> usize;

    /// The members, which do not run yet, and the witness behind them, get their places in it.
    fn connect(&mut self, ensemble: &mut Ensemble) -> Done;

    /// Where clients reach this member.
    fn address(&self, sid: usize) -> IpAddr;

    /// Why it cannot do what this fault needs.
    fn lacks(&self, fault: Fault) -> Option<String>;

    /// What is sent this way does not arrive. Through proxies it waits; a real network loses it.
    fn hold(&self, way: Way, held: bool) -> Done;

    /// What is sent this way comes so late.
    fn delay(&self, way: Way, ms: u64) -> Done;

    /// Ends the connections between two members.
    fn cut(&self, a: usize, b: usize) -> Done;

    /// Nobody hears of this member, and it of nobody, its clients included.
    fn unplug(&self, sid: usize, unplugged: bool) -> Done;

    /// The machine of a member that was unplugged and killed has forgotten its connections: nobody will be told of
    /// their end.
    fn forget(&self, sid: usize) -> Done;

    /// Only so many kilobits a second go to this member; what waits too long is lost.
    fn narrow(&self, sid: usize, kbit: u64) -> Done;

    /// What clients that have ended sent, and is still under way, will not arrive.
    fn end_clients(&self) -> Done;

    /// As at the beginning.
    fn heal(&self) -> Done;

    /// What it did so far, for people. An error if it was to lose something, and lost nothing.
    fn account(&self) -> Result<String, String>;

    fn ways(&self) -> Vec<Way> {
        let all = 1..=self.members();
        all.clone().flat_map(|a| all.clone().map(move |b| (a, b))).filter(|(a, b)| a != b).collect()
    }
}
