//! Numbers with names: operations, errors, watch events, modes. An enum each, and constants where the
//! number travels on as a number. Unknown numbers stay representable: records hold `i32`.

/// An enum of numbers of the wire, with ZooKeeper's names.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $number:literal $text:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant = $number, )*
        }

        impl $name {
            pub const ALL: &[$name] = &[$( $name::$variant, )*];

            /// The one with this number.
            pub const fn of(number: i32) -> Option<$name> {
                match number {
                    $( $number => Some($name::$variant), )*
                    _ => None,
                }
            }
            pub const fn number(self) -> i32 {
                self as i32
            }
            /// ZooKeeper's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $( $name::$variant => $text, )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// Types of requests and transactions (`ZooDefs.OpCode`).
    OpCode {
        /// Never a request.
        Notification = 0 "notification",
        Create = 1 "create",
        Delete = 2 "delete",
        Exists = 3 "exists",
        GetData = 4 "getData",
        SetData = 5 "setData",
        GetACL = 6 "getACL",
        SetACL = 7 "setACL",
        GetChildren = 8 "getChildren",
        Sync = 9 "sync",
        Ping = 11 "ping",
        GetChildren2 = 12 "getChildren2",
        /// Inside a multi only.
        Check = 13 "check",
        Multi = 14 "multi",
        Create2 = 15 "create2",
        Reconfig = 16 "reconfig",
        CheckWatches = 17 "checkWatches",
        RemoveWatches = 18 "removeWatches",
        CreateContainer = 19 "createContainer",
        /// From the leader's container manager only.
        DeleteContainer = 20 "deleteContainer",
        CreateTTL = 21 "createTTL",
        MultiRead = 22 "multiRead",
        Auth = 100 "auth",
        SetWatches = 101 "setWatches",
        Sasl = 102 "sasl",
        GetEphemerals = 103 "getEphemerals",
        GetAllChildrenNumber = 104 "getAllChildrenNumber",
        SetWatches2 = 105 "setWatches2",
        AddWatch = 106 "addWatch",
        WhoAmI = 107 "whoAmI",
        /// Between servers and in logs: a client connects instead.
        CreateSession = -10 "createSession",
        CloseSession = -11 "closeSession",
        /// The transaction of a request that failed; the result of an operation that failed.
        Error = -1 "error",
    }
}

/// The numbers of [`OpCode`].
pub mod op {
    use super::OpCode;

    pub const NOTIFICATION: i32 = OpCode::Notification.number();
    pub const CREATE: i32 = OpCode::Create.number();
    pub const DELETE: i32 = OpCode::Delete.number();
    pub const EXISTS: i32 = OpCode::Exists.number();
    pub const GET_DATA: i32 = OpCode::GetData.number();
    pub const SET_DATA: i32 = OpCode::SetData.number();
    pub const GET_ACL: i32 = OpCode::GetACL.number();
    pub const SET_ACL: i32 = OpCode::SetACL.number();
    pub const GET_CHILDREN: i32 = OpCode::GetChildren.number();
    pub const SYNC: i32 = OpCode::Sync.number();
    pub const PING: i32 = OpCode::Ping.number();
    pub const GET_CHILDREN2: i32 = OpCode::GetChildren2.number();
    pub const CHECK: i32 = OpCode::Check.number();
    pub const MULTI: i32 = OpCode::Multi.number();
    pub const CREATE2: i32 = OpCode::Create2.number();
    pub const RECONFIG: i32 = OpCode::Reconfig.number();
    pub const CHECK_WATCHES: i32 = OpCode::CheckWatches.number();
    pub const REMOVE_WATCHES: i32 = OpCode::RemoveWatches.number();
    pub const CREATE_CONTAINER: i32 = OpCode::CreateContainer.number();
    pub const DELETE_CONTAINER: i32 = OpCode::DeleteContainer.number();
    pub const CREATE_TTL: i32 = OpCode::CreateTTL.number();
    pub const MULTI_READ: i32 = OpCode::MultiRead.number();
    pub const AUTH: i32 = OpCode::Auth.number();
    pub const SET_WATCHES: i32 = OpCode::SetWatches.number();
    pub const SASL: i32 = OpCode::Sasl.number();
    pub const GET_EPHEMERALS: i32 = OpCode::GetEphemerals.number();
    pub const GET_ALL_CHILDREN_NUMBER: i32 = OpCode::GetAllChildrenNumber.number();
    pub const SET_WATCHES2: i32 = OpCode::SetWatches2.number();
    pub const ADD_WATCH: i32 = OpCode::AddWatch.number();
    pub const WHO_AM_I: i32 = OpCode::WhoAmI.number();
    pub const CREATE_SESSION: i32 = OpCode::CreateSession.number();
    pub const CLOSE_SESSION: i32 = OpCode::CloseSession.number();
    pub const ERROR: i32 = OpCode::Error.number();

    /// Becomes a transaction: what `FollowerRequestProcessor` ships to the leader, sync excepted.
    pub fn is_write(op: i32) -> bool {
        matches!(
            op,
            CREATE
                | CREATE2
                | CREATE_TTL
                | CREATE_CONTAINER
                | DELETE
                | DELETE_CONTAINER
                | SET_DATA
                | RECONFIG
                | SET_ACL
                | MULTI
                | CHECK
                | CREATE_SESSION
                | CLOSE_SESSION
        )
    }
}

codes! {
    /// Error codes (`KeeperException.Code`): from -100 down a client's doing, above it the system's.
    ErrorCode {
        Ok = 0 "Ok",
        SystemError = -1 "SystemError",
        /// Of an operation of a multi behind the one that failed.
        RuntimeInconsistency = -2 "RuntimeInconsistency",
        DataInconsistency = -3 "DataInconsistency",
        /// Made by clients, as OperationTimeout, InvalidCallback and RequestTimeout.
        ConnectionLoss = -4 "ConnectionLoss",
        /// A request that cannot be decoded.
        MarshallingError = -5 "MarshallingError",
        Unimplemented = -6 "Unimplemented",
        OperationTimeout = -7 "OperationTimeout",
        BadArguments = -8 "BadArguments",
        UnknownSession = -12 "UnknownSession",
        NewConfigNoQuorum = -13 "NewConfigNoQuorum",
        ReconfigInProgress = -14 "ReconfigInProgress",
        APIError = -100 "APIError",
        NoNode = -101 "NoNode",
        NoAuth = -102 "NoAuth",
        BadVersion = -103 "BadVersion",
        NoChildrenForEphemerals = -108 "NoChildrenForEphemerals",
        NodeExists = -110 "NodeExists",
        NotEmpty = -111 "NotEmpty",
        SessionExpired = -112 "SessionExpired",
        InvalidCallback = -113 "InvalidCallback",
        InvalidACL = -114 "InvalidACL",
        AuthFailed = -115 "AuthFailed",
        /// Never in a reply: the connection is closed instead.
        SessionMoved = -118 "SessionMoved",
        NotReadOnly = -119 "NotReadOnly",
        EphemeralOnLocalSession = -120 "EphemeralOnLocalSession",
        NoWatcher = -121 "NoWatcher",
        RequestTimeout = -122 "RequestTimeout",
        ReconfigDisabled = -123 "ReconfigDisabled",
        SessionClosedRequireSaslAuth = -124 "SessionClosedRequireSaslAuth",
        QuotaExceeded = -125 "QuotaExceeded",
        ThrottledOp = -127 "ThrottledOp",
    }
}

/// The numbers of those [`ErrorCode`]s that servers send or log.
pub mod code {
    use super::ErrorCode;

    pub const OK: i32 = ErrorCode::Ok.number();
    pub const RUNTIME_INCONSISTENCY: i32 = ErrorCode::RuntimeInconsistency.number();
    pub const MARSHALLING_ERROR: i32 = ErrorCode::MarshallingError.number();
    pub const UNIMPLEMENTED: i32 = ErrorCode::Unimplemented.number();
    pub const BAD_ARGUMENTS: i32 = ErrorCode::BadArguments.number();
    pub const UNKNOWN_SESSION: i32 = ErrorCode::UnknownSession.number();
    pub const NEW_CONFIG_NO_QUORUM: i32 = ErrorCode::NewConfigNoQuorum.number();
    pub const RECONFIG_IN_PROGRESS: i32 = ErrorCode::ReconfigInProgress.number();
    pub const NO_NODE: i32 = ErrorCode::NoNode.number();
    pub const NO_AUTH: i32 = ErrorCode::NoAuth.number();
    pub const BAD_VERSION: i32 = ErrorCode::BadVersion.number();
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = ErrorCode::NoChildrenForEphemerals.number();
    pub const NODE_EXISTS: i32 = ErrorCode::NodeExists.number();
    pub const NOT_EMPTY: i32 = ErrorCode::NotEmpty.number();
    pub const SESSION_EXPIRED: i32 = ErrorCode::SessionExpired.number();
    pub const INVALID_ACL: i32 = ErrorCode::InvalidACL.number();
    pub const AUTH_FAILED: i32 = ErrorCode::AuthFailed.number();
    pub const SESSION_MOVED: i32 = ErrorCode::SessionMoved.number();
    pub const NOT_READ_ONLY: i32 = ErrorCode::NotReadOnly.number();
    pub const EPHEMERAL_ON_LOCAL_SESSION: i32 = ErrorCode::EphemeralOnLocalSession.number();
    pub const NO_WATCHER: i32 = ErrorCode::NoWatcher.number();
    pub const RECONFIG_DISABLED: i32 = ErrorCode::ReconfigDisabled.number();
    pub const SESSION_CLOSED_REQUIRE_SASL_AUTH: i32 = ErrorCode::SessionClosedRequireSaslAuth.number();
    pub const QUOTA_EXCEEDED: i32 = ErrorCode::QuotaExceeded.number();
    pub const THROTTLED_OP: i32 = ErrorCode::ThrottledOp.number();
}

codes! {
    /// What a watch saw (`Watcher.Event.EventType`).
    EventType {
        /// A change of the connection's state; no server sends it.
        None = -1 "None",
        NodeCreated = 1 "NodeCreated",
        NodeDeleted = 2 "NodeDeleted",
        NodeDataChanged = 3 "NodeDataChanged",
        NodeChildrenChanged = 4 "NodeChildrenChanged",
        /// These three are made by clients.
        DataWatchRemoved = 5 "DataWatchRemoved",
        ChildWatchRemoved = 6 "ChildWatchRemoved",
        PersistentWatchRemoved = 7 "PersistentWatchRemoved",
    }
}

codes! {
    /// The state in a watch event (`Watcher.Event.KeeperState`); servers always send SyncConnected.
    KeeperState {
        Unknown = -1 "Unknown",
        Disconnected = 0 "Disconnected",
        NoSyncConnected = 1 "NoSyncConnected",
        SyncConnected = 3 "SyncConnected",
        AuthFailed = 4 "AuthFailed",
        ConnectedReadOnly = 5 "ConnectedReadOnly",
        SaslAuthenticated = 6 "SaslAuthenticated",
        Closed = 7 "Closed",
        Expired = -112 "Expired",
    }
}

codes! {
    /// Which watches checkWatches and removeWatches mean (`Watcher.WatcherType`).
    WatcherType {
        Children = 1 "Children",
        Data = 2 "Data",
        Any = 3 "Any",
        /// Since 3.9, as the next.
        Persistent = 4 "Persistent",
        PersistentRecursive = 5 "PersistentRecursive",
    }
}

codes! {
    /// `AddWatchMode`.
    AddWatchMode {
        Persistent = 0 "PERSISTENT",
        PersistentRecursive = 1 "PERSISTENT_RECURSIVE",
    }
}

codes! {
    /// The flags of a create (`CreateMode`). There is no sequential container.
    CreateMode {
        Persistent = 0 "PERSISTENT",
        Ephemeral = 1 "EPHEMERAL",
        PersistentSequential = 2 "PERSISTENT_SEQUENTIAL",
        EphemeralSequential = 3 "EPHEMERAL_SEQUENTIAL",
        Container = 4 "CONTAINER",
        PersistentWithTTL = 5 "PERSISTENT_WITH_TTL",
        PersistentSequentialWithTTL = 6 "PERSISTENT_SEQUENTIAL_WITH_TTL",
    }
}

impl CreateMode {
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, CreateMode::Ephemeral | CreateMode::EphemeralSequential)
    }
    pub const fn is_sequential(self) -> bool {
        use CreateMode::{EphemeralSequential, PersistentSequential, PersistentSequentialWithTTL};
        matches!(self, PersistentSequential | EphemeralSequential | PersistentSequentialWithTTL)
    }
    pub const fn is_container(self) -> bool {
        matches!(self, CreateMode::Container)
    }
    pub const fn is_ttl(self) -> bool {
        matches!(self, CreateMode::PersistentWithTTL | CreateMode::PersistentSequentialWithTTL)
    }
}

/// Permissions of an ACL (`ZooDefs.Perms`): a sum of these.
pub mod perms {
    pub const READ: i32 = 1;
    pub const WRITE: i32 = 2;
    pub const CREATE: i32 = 4;
    pub const DELETE: i32 = 8;
    pub const ADMIN: i32 = 16;
    pub const ALL: i32 = 31;
}

/// `xid`s with a meaning; a client's own requests count up from 1.
pub mod xid {
    pub const NOTIFICATION: i32 = -1;
    pub const PING: i32 = -2;
    pub const AUTH: i32 = -4;
    pub const SET_WATCHES: i32 = -8;
}
