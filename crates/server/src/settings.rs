//! What `zoo.cfg` says about the database and the processors. Everything that changes what a transaction
//! *does* is not here: members with different settings must come to the same tree.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `extendedTypesEnabled`: nodes with a TTL can be made.
    pub extended_types: bool,
    /// `enforceQuota`: hard limits refuse what exceeds them.
    pub enforce_quota: bool,
    /// `skipACL`.
    pub skip_acl: bool,
    /// Bytes of the longest transaction that this server proposes: of a record on the wire and in a log, which is
    /// twice `jute.maxbuffer`.
    pub max_txn: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            extended_types: false,
            enforce_quota: false,
            skip_acl: false,
            max_txn: wire::jute::DEFAULT_MAX_BUFFER,
        }
    }
}
