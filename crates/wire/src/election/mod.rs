//! The election port: the hello that opens a connection, and framed notifications. Used by
//! `QuorumCnxManager`.

mod hello;
mod notification;
mod stream;

pub use hello::{Hello, HelloLayout};
pub use notification::{Layout, Notification, ServerState};
pub use stream::{ElectionInbound, ElectionStream};

/// Longest hello address and longest frame that are taken.
pub const MAX_HELLO_ADDRESS: i32 = 2048;
pub const MAX_FRAME: i32 = 524_288;
