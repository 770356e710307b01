//! Zab, ZooKeeper's atomic broadcast, as pure state machines: election, leader, learner handler,
//! learner (follower, observer) and the request processors they need. No IO, no clock, no
//! randomness: `crates/README.md` tells how a host drives them.

pub mod config;
mod config_text;
pub mod context;
pub mod database;
pub mod disk;
pub mod election;
pub mod ensemble;
pub mod event;
pub mod hex;
pub mod io;
pub mod leader;
pub mod learner;
pub mod marks;
pub mod processors;
pub mod quorum_verifier;
mod reconfig_request;
pub mod register_map;
pub mod server_line;
mod session_map;
pub mod standalone;
pub mod state_machine;
pub mod switches;
pub mod time;

pub use config::{Config, Epochs, LearnerType, Member, Settings, SyncTable, View};
pub use config_text::{MAX_VOTERS, parse_config_text};
pub use context::{Ctx, Ids, Io, Leave, RoleResult};
pub use database::{CommittedLog, ZkDatabase};
pub use disk::{
    DiskAnswer, DiskDone, DiskError, DiskOp, EpochFile, Lane, LogTail, OpId, Recovered, TxnEntry,
};
pub use ensemble::{Activation, ConfigFile, Ensemble};
pub use event::{Event, Role, SyncMode, txn_digest};
pub use io::{
    ClientId, ClientInput, ClientOutput, CloseReason, ConnId, Halt, Input, Outbox, Output, Port, Task,
};
pub use quorum_verifier::QuorumVerifier;
pub use session_map::SessionHasher;
pub use state_machine::{Applied, Notification, ReadRequest, StateMachine, WriteRequest};
pub use switches::{Switch, Switches};
pub use time::{Nanos, Now};
