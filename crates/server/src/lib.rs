//! The ZooKeeper database and its request processors, without IO: a state machine behind
//! `zab::StateMachine`, for the simulator and the node alike.

pub mod data_tree;
mod zk_database;

pub use data_tree::{ChangeListener, DataTree, EphemeralType, ProcessTxnResult};
pub use zk_database::ZkDatabase;
