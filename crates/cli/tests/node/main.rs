//! The node as a process on loopback: three of them, kill -9, bad input on every port, what is wrong told.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // processes, sockets, files

mod alone;
mod bad_input;
mod clients;
mod ensemble;
mod recordings;
mod replication;
mod what_is_wrong;
