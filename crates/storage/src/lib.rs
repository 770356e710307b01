//! Transaction log, snapshots, epoch files and recovery in ZooKeeper's own file formats, over a small
//! file-system trait. Hosts drive a `Storage` with the `DiskOp`s that a member asks for.

mod all_lanes;
pub mod checksum;
pub mod compression;
pub mod config_file;
pub mod epoch;
mod fast_forward;
pub mod fs;
mod install;
mod installed;
mod log_lane;
pub mod log_reader;
mod purge;
pub mod recover;
pub mod snapshot;
mod snapshot_lane;
mod snapshot_writer;
mod storage;
mod stored_snapshot;
pub mod txn_log;

pub use all_lanes::{AllLanes, EpochLane, needs_all_lanes};
pub use fs::{FileSystem, FsError, MemFs};
pub use log_lane::LogLane;
pub use recover::recover;
pub use snapshot_lane::SnapshotLane;
pub use storage::{Answer, Storage, StorageSettings};
