//! The node: the second host beside the simulator, and as thin. Real TCP, real files, real clocks around
//! the same `Peer`; it decides nothing about the protocol. Called by `vivarium node`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a host: sockets, files, clocks, threads

mod connections;
mod disk_threads;
mod environment;
mod event_log;
mod four_letter_words;
mod host;
mod http;
mod java_date;
mod metrics;
mod packet_trace;
mod real_fs;
mod recorder;
mod submitter;
#[cfg(test)]
mod test_member;
mod version;
mod view;
pub mod zoo_cfg;

pub use host::{NodeError, Options, run};
pub use real_fs::{DirError, RealFs};
pub use version::VERSION;
pub use zoo_cfg::ZooCfg;
