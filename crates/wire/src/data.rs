//! Records of `org.apache.zookeeper.data`, which requests, transactions and snapshots share.

use bytes::{Bytes, BytesMut};

use crate::codes::perms;
use crate::ids::Zxid;
use crate::jute::{Error, Reader};
use crate::record::{Jute, Value, records};

/// A scheme and an id of a client, kept as bytes: Java writes strings that are not always valid
/// UTF-8. Null is read as empty: clients write `auth:` so, of which the id does not matter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Id {
    pub scheme: Bytes,
    pub id: Bytes,
}

impl Jute for Id {
    fn read(r: &mut Reader, _what: &'static str) -> Result<Self, Error> {
        let scheme = r.buffer("Id.scheme")?.unwrap_or_default();
        Ok(Id { scheme, id: r.buffer("Id.id")?.unwrap_or_default() })
    }
    fn write(&self, out: &mut BytesMut) {
        self.scheme.write(out);
        self.id.write(out);
    }
    fn value(&self) -> Value {
        Value::Record("Id", vec![("scheme", self.scheme.value()), ("id", self.id.value())])
    }
}

records! {
    /// What (`perms`, a sum of `codes::perms`) is allowed to whom.
    Acl {
        perms: i32,
        id: Id,
    }

    /// What a client is told of a node: 68 bytes. Times are milliseconds since 1970.
    #[derive(Copy, Default)]
    Stat {
        czxid: Zxid,
        mzxid: Zxid,
        ctime: i64,
        mtime: i64,
        version: i32,
        /// For clients: twice the stored one less the number of children.
        cversion: i32,
        aversion: i32,
        /// The session, or 0: containers and TTL nodes show 0 too.
        ephemeral_owner "ephemeralOwner": i64,
        data_length "dataLength": i32,
        num_children "numChildren": i32,
        pzxid: Zxid,
    }

    /// What is stored of a node beside its data and ACL: 60 bytes.
    #[derive(Copy, Default)]
    StatPersisted {
        czxid: Zxid,
        mzxid: Zxid,
        ctime: i64,
        mtime: i64,
        version: i32,
        /// The number of creations below the node.
        cversion: i32,
        aversion: i32,
        /// The session; `i64::MIN` for containers, `0xff << 56 | ttl` for TTL nodes.
        ephemeral_owner "ephemeralOwner": i64,
        pzxid: Zxid,
    }

    /// An entry of the answer to whoAmI.
    ClientInfo {
        auth_scheme "authScheme": Bytes,
        /// A user name, or what the scheme has instead (an address for `ip`).
        user: Bytes,
    }
}

impl Id {
    pub const fn of(scheme: &'static str, id: &'static str) -> Id {
        Id { scheme: Bytes::from_static(scheme.as_bytes()), id: Bytes::from_static(id.as_bytes()) }
    }
    /// `world:anyone` (`ANYONE_ID_UNSAFE`).
    pub const fn anyone() -> Id {
        Id::of("world", "anyone")
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lossy = |bytes| String::from_utf8_lossy(bytes);
        write!(f, "{}:{}", lossy(&self.scheme), lossy(&self.id))
    }
}

impl Acl {
    /// Everything to everybody: the one entry of `OPEN_ACL_UNSAFE`.
    pub const fn open() -> Acl {
        Acl { perms: perms::ALL, id: Id::anyone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kazoo writes `auth:`.
    #[test]
    fn an_id_that_is_null_is_empty() {
        let bytes = b"\0\0\0\x1f\0\0\0\x04auth\xff\xff\xff\xff";
        let acl = Acl::parse(Bytes::from_static(bytes)).expect("an entry");
        assert_eq!(acl, Acl { perms: perms::ALL, id: Id::of("auth", "") });
        let null = Id::parse(Bytes::from_static(&[0xff; 8])).expect("an id");
        assert_eq!(null, Id::of("", ""));
        Id::parse(Bytes::from_static(b"\xff\xff\xff\xfe\xff\xff\xff\xff")).expect_err("a length of -2");
    }
}
