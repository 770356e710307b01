//! Invariants of Zab and of its clients as incremental folds over what members tell and what their
//! disks would recover to. Hosts feed `Checkers`; the checkers never look into a machine, so the same
//! ones judge simulated members and real processes.
//!
//! ```text
//! observation ─▶ checkers ─▶ invariants::* (one idea a file) ─▶ report
//!                   └─▶ ghost: members (log, disk, D[p]), epochs (lead, I[e], B[e]), C
//! ```

mod checkers;
mod client_history;
mod ghost;
mod history;
mod invariants;
pub mod observation;
mod quorum;
mod report;
#[cfg(test)]
mod soak;
mod table;
#[cfg(test)]
mod testing;
mod tree;
mod tree_clients;
mod txns;

pub use checkers::Checkers;
pub use observation::{
    ClientObservation, EnsembleSpec, FinalState, FreshWrite, MemberSpec, Observation, Outcome,
    TreeObservation,
};
pub use report::Violation;
pub use table::INVARIANTS;
