//! The seeded discrete-event simulator: virtual clock, network and disks around real members, with
//! faults, clients, scenarios and the swarm. One seed is one run, single-threaded.

pub mod draw;
pub mod enumerate;
pub mod faults;
pub mod network;
mod operator;
pub mod plan;
pub mod queue;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod signature;
pub mod sim_fs;
pub mod swarm;
pub mod trace;
pub mod tree_workload;
pub mod workload;
pub mod world;
