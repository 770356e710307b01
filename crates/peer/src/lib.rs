//! `Peer`: one ensemble member as one sans-IO machine: election, role and recovery, with one
//! input and one output type, and the typed events that it reports. Hosts (the simulator, the
//! node) call it; it calls nobody.
//!
//! ```text
//! host: peer.handle(now, input, &mut outbox); carry out the outbox in order; drain it
//!       call again with Input::Deadline at peer.next_deadline()
//! ```

mod old_writer;
mod peer;
pub mod recording;
mod state;

pub use peer::{Deadline, Peer, Status};
pub use server::Settings as TreeSettings;
pub use server::{AvgMinMax, BufferStats, CnxnStats, ServerStats, Stats};
pub use state::{State, StateCursor, StateKind};
pub use zab::leader::LeaderStatus;
pub use zab::register_map::RegisterMap;
pub use zab::{
    ClientId, ClientInput, ClientOutput, CloseReason, Config, ConfigFile, ConnId, DiskAnswer, DiskDone,
    DiskError, DiskOp, Ensemble, EpochFile, Event, Halt, Input, Lane, LearnerType, LogTail, MAX_VOTERS,
    Member, Nanos, Now, OpId, Outbox, Output, Port, QuorumVerifier, Recovered, Role, Settings, StateMachine,
    Switch, Switches, SyncMode, SyncTable, Task, TxnEntry, View, parse_config_text, server_line, txn_digest,
};
