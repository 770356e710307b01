//! Records of `org.apache.zookeeper.proto` (but connect and multi, which have modules of their own).

use bytes::Bytes;

use crate::data::{Acl, ClientInfo, Stat};
use crate::ids::Zxid;
use crate::record::{NullableString, records};

records! {
    /// Before each request but the first.
    #[derive(Copy)]
    RequestHeader {
        /// Echoed in the reply; see `codes::xid` for those with a meaning.
        xid: i32,
        /// An `OpCode`.
        kind "type": i32,
    }

    /// Before each reply but the first.
    #[derive(Copy)]
    ReplyHeader {
        xid: i32,
        /// What the server has applied when it answers.
        zxid: Zxid,
        /// An `ErrorCode`; if it is not 0, no record follows (but that of a failed SASL step).
        err: i32,
    }

    /// Type 100.
    AuthPacket {
        /// Ignored.
        kind "type": i32,
        scheme: Bytes,
        auth: Option<Bytes>,
    }

    /// Types 1, 15 and 19.
    CreateRequest {
        path: Bytes,
        data: Option<Bytes>,
        /// Null is refused as empty is, with InvalidACL.
        acl: Option<Vec<Acl>>,
        /// A `CreateMode`.
        flags: i32,
    }

    /// Type 21.
    CreateTTLRequest {
        path: Bytes,
        data: Option<Bytes>,
        acl: Option<Vec<Acl>>,
        flags: i32,
        /// Milliseconds since the last change, 1 to 0xffffffffff.
        ttl: i64,
    }

    DeleteRequest {
        path: Bytes,
        /// The version expected, -1 for any; here and in the others.
        version: i32,
    }

    ExistsRequest {
        path: Bytes,
        watch: bool,
    }

    GetDataRequest {
        path: Bytes,
        watch: bool,
    }

    SetDataRequest {
        path: Bytes,
        data: Option<Bytes>,
        version: i32,
    }

    GetACLRequest {
        path: Bytes,
    }

    SetACLRequest {
        path: Bytes,
        acl: Option<Vec<Acl>>,
        /// The *ACL* version expected, -1 for any.
        version: i32,
    }

    GetChildrenRequest {
        path: Bytes,
        watch: bool,
    }

    GetChildren2Request {
        path: Bytes,
        watch: bool,
    }

    SyncRequest {
        path: Bytes,
    }

    /// Inside a multi only.
    CheckVersionRequest {
        path: Bytes,
        version: i32,
    }

    /// Either the first two (which to add or change, which ids to remove) or the third (all members).
    ReconfigRequest {
        joining_servers "joiningServers": NullableString,
        leaving_servers "leavingServers": NullableString,
        new_members "newMembers": NullableString,
        /// The version of the configuration expected, -1 for any.
        cur_config_id "curConfigId": i64,
    }

    CheckWatchesRequest {
        path: Bytes,
        /// A `WatcherType`.
        kind "type": i32,
    }

    RemoveWatchesRequest {
        path: Bytes,
        /// A `WatcherType`.
        kind "type": i32,
    }

    AddWatchRequest {
        path: Bytes,
        /// An `AddWatchMode`.
        mode: i32,
    }

    /// Sent after a reconnect: what changed behind `relativeZxid` fires at once.
    SetWatches {
        relative_zxid "relativeZxid": Zxid,
        data_watches "dataWatches": Vec<Bytes>,
        exist_watches "existWatches": Vec<Bytes>,
        child_watches "childWatches": Vec<Bytes>,
    }

    SetWatches2 {
        relative_zxid "relativeZxid": Zxid,
        data_watches "dataWatches": Vec<Bytes>,
        exist_watches "existWatches": Vec<Bytes>,
        child_watches "childWatches": Vec<Bytes>,
        persistent_watches "persistentWatches": Vec<Bytes>,
        persistent_recursive_watches "persistentRecursiveWatches": Vec<Bytes>,
    }

    GetSASLRequest {
        token: Option<Bytes>,
    }

    GetEphemeralsRequest {
        /// Null, blank and "/" mean all of the session's.
        prefix_path "prefixPath": NullableString,
    }

    GetAllChildrenNumberRequest {
        path: Bytes,
    }

    /// The body of createSession between servers (a client sends a ConnectRequest).
    CreateSessionRequest {
        /// Milliseconds.
        time_out "timeOut": i32,
    }

    CreateResponse {
        path: Bytes,
    }

    Create2Response {
        path: Bytes,
        stat: Stat,
    }

    ExistsResponse {
        stat: Stat,
    }

    GetDataResponse {
        data: Option<Bytes>,
        stat: Stat,
    }

    SetDataResponse {
        stat: Stat,
    }

    GetACLResponse {
        acl: Option<Vec<Acl>>,
        stat: Stat,
    }

    SetACLResponse {
        stat: Stat,
    }

    GetChildrenResponse {
        /// Names, not paths.
        children: Vec<Bytes>,
    }

    GetChildren2Response {
        children: Vec<Bytes>,
        stat: Stat,
    }

    SyncResponse {
        path: Bytes,
    }

    SetSASLResponse {
        token: Option<Bytes>,
    }

    GetEphemeralsResponse {
        ephemerals: Vec<Bytes>,
    }

    GetAllChildrenNumberResponse {
        total_number "totalNumber": i32,
    }

    WhoAmIResponse {
        client_info "clientInfo": Vec<ClientInfo>,
    }

    /// A failed operation of a multi; the answer to addWatch, with 0.
    #[derive(Copy)]
    ErrorResponse {
        err: i32,
    }

    /// A notification, behind a ReplyHeader with xid -1.
    WatcherEvent {
        /// An `EventType`.
        kind "type": i32,
        /// A `KeeperState`, from servers always 3.
        state: i32,
        path: Bytes,
    }

    /// These four are declared by ZooKeeper and used by no operation.
    GetMaxChildrenRequest {
        path: Bytes,
    }

    GetMaxChildrenResponse {
        max: i32,
    }

    SetMaxChildrenRequest {
        path: Bytes,
        max: i32,
    }

    SetSASLRequest {
        token: Option<Bytes>,
    }
}
