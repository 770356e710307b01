//! What `zoo.cfg` says about the database and the processors. Everything that changes what a transaction
//! *does* is not here: members with different settings must come to the same tree.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `extendedTypesEnabled`: nodes with a TTL can be made.
    pub extended_types: bool,
    /// `enforceQuota`: hard limits refuse what exceeds them.
    pub enforce_quota: bool,
    /// `skipACL`.
    pub skip_acl: bool,
}
