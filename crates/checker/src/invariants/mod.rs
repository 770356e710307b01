//! The invariants, one idea a file; the definitions are `known-bugs` 1.2 and 1.3. Each file tells what
//! must hold, from which observations it is judged, and what looks like a violation and is none.

pub(crate) mod assertions;
pub(crate) mod commit_consistency;
pub(crate) mod committed_log_monotonicity;
pub(crate) mod configurations;
pub(crate) mod convergence;
pub(crate) mod durability;
pub(crate) mod epoch_monotonicity;
pub(crate) mod epoch_quorum;
pub(crate) mod gap;
pub(crate) mod history_consistency;
pub(crate) mod initial_history;
pub(crate) mod integrity;
pub(crate) mod leadership;
pub(crate) mod primary_order;
pub(crate) mod process_consistency;
pub(crate) mod total_order;
pub(crate) mod tree_equality;
pub(crate) mod zxid_uniqueness;
