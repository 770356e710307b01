//! The ZooKeeper database and its request processors, without IO: a state machine behind
//! `zab::StateMachine`, for the simulator and the node alike.
//!
//! ```text
//! write   PrepRequestProcessor -> (zab: Proposal, Sync, Commit) -> DataTree::process_txn -> final_processor
//! read    (zab: Commit) -> final_processor
//! ```

pub mod acl;
pub mod container_manager;
pub mod data_tree;
pub mod final_processor;
pub mod prep;
pub mod server_cnxn;
mod settings;
pub mod watch;
mod zk_database;
mod zookeeper_server;

pub use data_tree::{ChangeListener, DataTree, EphemeralType, ProcessTxnResult};
pub use final_processor::ReadRequest;
pub use server_cnxn::{AvgMinMax, BufferStats, CnxnStats, ServerCnxnFactory, ServerStats, Stats};
pub use settings::Settings;
pub use watch::{Notification, Watches};
pub use zk_database::ZkDatabase;
pub use zookeeper_server::{ZooKeeperServer, is_client_request};
