//! Transaction log, snapshots, epoch files and recovery in ZooKeeper's own file formats, over a small
//! file-system trait. Hosts drive a `Storage` with the `DiskOp`s that a member asks for.

pub mod compression;
pub mod epoch;
pub mod fs;
mod install;
pub mod log_reader;
pub mod recover;
pub mod snapshot;
mod snapshot_writer;
mod storage;
mod stored_snapshot;
pub mod txn_log;

pub use fs::{FileSystem, FsError, MemFs};
pub use recover::recover;
pub use storage::{Storage, StorageSettings};
