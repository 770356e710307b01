//! Every record against a second statement of its layout: random values of that layout are read, named
//! and written back to the same bytes; what is cut short or changed gives a value or an error.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use wire::client::*;
use wire::txn::*;
use wire::{
    Acl, ClientInfo, FileHeader, Id, Jute, OpCode, Reader, Stat, StatPersisted, Txn, Value, ZxidDigest, op,
};

/// Random bytes of a given layout, from a seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn long(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.long() % n
    }
    fn bytes(&mut self, out: &mut BytesMut) {
        let n = self.below(9);
        out.put_i32(n as i32);
        (0..n).for_each(|_| out.put_u8(self.long() as u8));
    }
    fn vector(&mut self, out: &mut BytesMut, layout: &str) {
        let n = self.below(4);
        out.put_i32(n as i32);
        (0..n).for_each(|_| self.fields(out, layout));
    }

    /// `name:type` words; of a type the first letter counts:
    /// `i`nt, `l`ong, `z` boolean, `s`tring, `b`uffer or null, `n`ullable string, `S` strings, `A`CLs or
    /// null, `T` Stat, `I`d, `C`lient infos, `X` transactions. `-` stands for no record.
    fn fields(&mut self, out: &mut BytesMut, layout: &str) {
        for field in layout.split_whitespace().filter(|field| *field != "-") {
            let (_, kind) = field.split_once(':').expect("name:type");
            match kind {
                "i" => out.put_i32(self.long() as i32),
                "l" => out.put_u64(self.long()),
                "z" => out.put_u8(self.below(2) as u8),
                "b" | "n" | "A" if self.below(4) == 0 => out.put_i32(-1),
                "s" | "b" | "n" => self.bytes(out),
                "S" => self.vector(out, "item:s"),
                "A" => self.vector(out, ACL),
                "T" => self.fields(out, STAT),
                "I" => self.fields(out, ID),
                "C" => self.vector(out, "authScheme:s user:s"),
                "X" => self.vector(out, "type:i data:b"),
                other => panic!("no type {other}"),
            }
        }
    }
}

const ID: &str = "scheme:s id:s";
const ACL: &str = "perms:i id:I";
const STAT: &str = "czxid:l mzxid:l ctime:l mtime:l version:i cversion:i aversion:i ephemeralOwner:l \
                    dataLength:i numChildren:i pzxid:l";
const STAT_PERSISTED: &str =
    "czxid:l mzxid:l ctime:l mtime:l version:i cversion:i aversion:i ephemeralOwner:l pzxid:l";

/// `bytes` of `layout` are an `R`, of which the names are the layout's; no beginning of them is one.
fn check<R: Jute>(layout: &str, seed: u64) {
    let mut bytes = BytesMut::new();
    Draw(seed).fields(&mut bytes, layout);
    let bytes = bytes.freeze();
    let record = R::parse(bytes.clone()).unwrap_or_else(|why| panic!("{layout}: {why}"));
    assert_eq!(record.to_bytes(), bytes, "{layout}");

    let type_name = std::any::type_name::<R>().rsplit("::").next().expect("a name");
    let Value::Record(name, fields) = record.value() else { panic!("{type_name} is no record") };
    assert_eq!(name, type_name);
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let expected: Vec<&str> = layout.split_whitespace().filter_map(|f| Some(f.split_once(':')?.0)).collect();
    assert_eq!(names, expected, "{name}");

    for cut in 0..bytes.len() {
        let why = R::parse(bytes.slice(..cut)).err().unwrap_or_else(|| panic!("{name} of {cut} bytes"));
        assert!(why.is_short() && why.to_string().contains('.'), "{name}: {why}");
    }
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.get_mut(seed as usize % bytes.len()) {
        *byte ^= 1 << (seed % 8);
    }
    if let Ok(other) = R::parse(changed.into()) {
        assert!(R::parse(other.to_bytes()).is_ok(), "{name}");
    }
}

const PATH: &str = "path:s";
const WATCH: &str = "path:s watch:z";
const VERSION: &str = "path:s version:i";
const KIND: &str = "path:s type:i";

fn every_record(seed: u64) {
    check::<Id>(ID, seed);
    check::<Acl>(ACL, seed);
    check::<Stat>(STAT, seed);
    check::<StatPersisted>(STAT_PERSISTED, seed);
    check::<ClientInfo>("authScheme:s user:s", seed);
    check::<FileHeader>("magic:i version:i dbid:l", seed);
    check::<ZxidDigest>("zxid:l digestVersion:i digest:l", seed);

    check::<RequestHeader>("xid:i type:i", seed);
    check::<ReplyHeader>("xid:i zxid:l err:i", seed);
    check::<MultiHeader>("type:i done:z err:i", seed);
    check::<AuthPacket>("type:i scheme:s auth:b", seed);
    check::<CreateRequest>("path:s data:b acl:A flags:i", seed);
    check::<CreateTTLRequest>("path:s data:b acl:A flags:i ttl:l", seed);
    check::<DeleteRequest>(VERSION, seed);
    check::<ExistsRequest>(WATCH, seed);
    check::<GetDataRequest>(WATCH, seed);
    check::<SetDataRequest>("path:s data:b version:i", seed);
    check::<GetACLRequest>(PATH, seed);
    check::<SetACLRequest>("path:s acl:A version:i", seed);
    check::<GetChildrenRequest>(WATCH, seed);
    check::<GetChildren2Request>(WATCH, seed);
    check::<SyncRequest>(PATH, seed);
    check::<CheckVersionRequest>(VERSION, seed);
    check::<ReconfigRequest>("joiningServers:n leavingServers:n newMembers:n curConfigId:l", seed);
    check::<CheckWatchesRequest>(KIND, seed);
    check::<RemoveWatchesRequest>(KIND, seed);
    check::<AddWatchRequest>("path:s mode:i", seed);
    check::<SetWatches>("relativeZxid:l dataWatches:S existWatches:S childWatches:S", seed);
    check::<SetWatches2>(
        "relativeZxid:l dataWatches:S existWatches:S childWatches:S persistentWatches:S \
         persistentRecursiveWatches:S",
        seed,
    );
    check::<GetSASLRequest>("token:b", seed);
    check::<SetSASLRequest>("token:b", seed);
    check::<GetEphemeralsRequest>("prefixPath:n", seed);
    check::<GetAllChildrenNumberRequest>(PATH, seed);
    check::<CreateSessionRequest>("timeOut:i", seed);
    check::<DeleteContainerRequest>(PATH, seed);
    check::<GetMaxChildrenRequest>(PATH, seed);
    check::<SetMaxChildrenRequest>("path:s max:i", seed);

    check::<CreateResponse>(PATH, seed);
    check::<Create2Response>("path:s stat:T", seed);
    check::<ExistsResponse>("stat:T", seed);
    check::<GetDataResponse>("data:b stat:T", seed);
    check::<SetDataResponse>("stat:T", seed);
    check::<GetACLResponse>("acl:A stat:T", seed);
    check::<SetACLResponse>("stat:T", seed);
    check::<GetChildrenResponse>("children:S", seed);
    check::<GetChildren2Response>("children:S stat:T", seed);
    check::<SyncResponse>(PATH, seed);
    check::<SetSASLResponse>("token:b", seed);
    check::<GetEphemeralsResponse>("ephemerals:S", seed);
    check::<GetAllChildrenNumberResponse>("totalNumber:i", seed);
    check::<WhoAmIResponse>("clientInfo:C", seed);
    check::<ErrorResponse>("err:i", seed);
    check::<WatcherEvent>("type:i state:i path:s", seed);
    check::<GetMaxChildrenResponse>("max:i", seed);

    check::<TxnHeader>("clientId:l cxid:i zxid:l time:l type:i", seed);
    check::<TxnDigest>("version:i treeDigest:l", seed);
    check::<CreateTxn>("path:s data:b acl:A ephemeral:z parentCVersion:i", seed);
    check::<CreateTxnV0>("path:s data:b acl:A ephemeral:z", seed);
    check::<CreateTTLTxn>("path:s data:b acl:A parentCVersion:i ttl:l", seed);
    check::<CreateContainerTxn>("path:s data:b acl:A parentCVersion:i", seed);
    check::<DeleteTxn>(PATH, seed);
    check::<SetDataTxn>("path:s data:b version:i", seed);
    check::<CheckVersionTxn>(VERSION, seed);
    check::<SetACLTxn>("path:s acl:A version:i", seed);
    check::<SetMaxChildrenTxn>("path:s max:i", seed);
    check::<CreateSessionTxn>("timeOut:i", seed);
    check::<CloseSessionTxn>("paths2Delete:S", seed);
    check::<ErrorTxn>("err:i", seed);
    check::<SubTxn>("type:i data:b", seed);
    check::<MultiTxn>("txns:X", seed);
}

/// The layouts of a type's request, reply and transaction.
const OPERATIONS: &[(i32, &str, &str, &str)] = &[
    (op::CREATE, "p:s d:b a:A f:i", "p:s", "p:s d:b a:A e:z c:i"),
    (op::CREATE2, "p:s d:b a:A f:i", "p:s s:T", "p:s d:b a:A e:z c:i"),
    (op::CREATE_CONTAINER, "p:s d:b a:A f:i", "p:s s:T", "p:s d:b a:A c:i"),
    (op::CREATE_TTL, "p:s d:b a:A f:i t:l", "p:s s:T", "p:s d:b a:A c:i t:l"),
    (op::DELETE, "p:s v:i", "", "p:s"),
    (op::DELETE_CONTAINER, "p:s", "", "p:s"),
    (op::EXISTS, "p:s w:z", "s:T", "-"),
    (op::GET_DATA, "p:s w:z", "d:b s:T", "-"),
    (op::SET_DATA, "p:s d:b v:i", "s:T", "p:s d:b v:i"),
    (op::GET_ACL, "p:s", "a:A s:T", "-"),
    (op::SET_ACL, "p:s a:A v:i", "s:T", "p:s a:A v:i"),
    (op::GET_CHILDREN, "p:s w:z", "c:S", "-"),
    (op::GET_CHILDREN2, "p:s w:z", "c:S s:T", "-"),
    (op::SYNC, "p:s", "p:s", "-"),
    (op::PING, "", "", "-"),
    (op::CHECK, "p:s v:i", "", "p:s v:i"),
    (op::RECONFIG, "j:n l:n m:n i:l", "d:b s:T", "p:s d:b v:i"),
    (op::CHECK_WATCHES, "p:s t:i", "", "-"),
    (op::REMOVE_WATCHES, "p:s t:i", "", "-"),
    (op::AUTH, "t:i s:s a:b", "", "-"),
    (op::SET_WATCHES, "z:l d:S e:S c:S", "", "-"),
    (op::SET_WATCHES2, "z:l d:S e:S c:S p:S r:S", "", "-"),
    (op::ADD_WATCH, "p:s m:i", "e:i", "-"),
    (op::SASL, "t:b", "t:b", "-"),
    (op::GET_EPHEMERALS, "p:n", "e:S", "-"),
    (op::GET_ALL_CHILDREN_NUMBER, "p:s", "n:i", "-"),
    (op::WHO_AM_I, "", "c:C", "-"),
    (op::CLOSE_SESSION, "", "", "p:S"),
    (op::CREATE_SESSION, "t:i", "-", "t:i"),
    (op::NOTIFICATION, "-", "t:i s:i p:s", "-"),
    (op::ERROR, "-", "-", "e:i"),
    (op::MULTI, "", "", "t:X"),
    (op::MULTI_READ, "", "", "-"),
];

fn bytes_of(layout: &str, seed: u64) -> Bytes {
    let mut out = BytesMut::new();
    Draw(seed).fields(&mut out, layout);
    out.freeze()
}

fn every_operation(seed: u64) {
    for &(kind, request, response, txn) in OPERATIONS {
        let name = OpCode::of(kind).expect("a type");
        if ![op::MULTI, op::MULTI_READ].contains(&kind) {
            let bytes = bytes_of(request, seed);
            match Request::decode(kind, bytes.clone()) {
                Ok(decoded) => {
                    let mut again = BytesMut::new();
                    decoded.encode(&mut again);
                    assert_eq!((again.freeze(), decoded.op()), (bytes, kind), "{name}");
                }
                Err(why) => assert_eq!((request, why), ("-", BodyError::Unimplemented(kind)), "{name}"),
            }
            let bytes = if response == "-" { Bytes::new() } else { bytes_of(response, seed) };
            match Response::decode(kind, bytes.clone()) {
                Ok(decoded) => {
                    let mut again = BytesMut::new();
                    decoded.encode(&mut again);
                    assert_eq!(again.freeze(), bytes, "{name}");
                }
                Err(why) => assert_eq!((response, why), ("-", BodyError::Unimplemented(kind)), "{name}"),
            }
        }
        let mut bytes = BytesMut::new();
        Draw(seed).fields(&mut bytes, "s:l c:i z:l t:l");
        bytes.put_i32(kind);
        Draw(seed).fields(&mut bytes, if txn == "-" { "s:s" } else { txn });
        let digest = seed.is_multiple_of(2) && txn != "-";
        Draw(seed).fields(&mut bytes, if digest { "v:i d:l" } else { "" });
        let bytes = bytes.freeze();
        let decoded = Txn::decode(&bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(decoded.to_bytes(), bytes, "{name}");
        // Two empty paths are bytes that a digest has too: `txns.rs` has the rule.
        assert!(decoded.digest.is_some() == digest || kind == op::CLOSE_SESSION, "{name}");
        assert_eq!(matches!(decoded.body, wire::TxnBody::Other(_)), txn == "-", "{name}");
    }
}

#[test]
fn the_table_has_every_operation() {
    let mut listed: Vec<i32> = OPERATIONS.iter().map(|row| row.0).collect();
    let mut all: Vec<i32> = OpCode::ALL.iter().map(|op| op.number()).collect();
    listed.sort_unstable();
    all.sort_unstable();
    assert_eq!(listed, all);
}

fn acls() -> impl Strategy<Value = Option<Vec<Acl>>> {
    let one = any::<i32>().prop_map(|perms| Acl { perms, id: Id::anyone() });
    prop::option::of(prop::collection::vec(one, 0..3))
}

fn text() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from)
}

fn create() -> impl Strategy<Value = CreateRequest> {
    (text(), prop::option::of(text()), acls(), 0..5i32).prop_map(|(path, data, acl, flags)| CreateRequest {
        path,
        data,
        acl,
        flags,
    })
}

fn writes() -> impl Strategy<Value = Op> {
    prop_oneof![
        create().prop_map(Op::Create),
        create().prop_map(Op::Create2),
        create().prop_map(Op::CreateContainer),
        (create(), any::<i64>()).prop_map(|(CreateRequest { path, data, acl, flags }, ttl)| {
            Op::CreateTTL(CreateTTLRequest { path, data, acl, flags, ttl })
        }),
        (text(), any::<i32>()).prop_map(|(path, version)| Op::Delete(DeleteRequest { path, version })),
        (text(), any::<i32>()).prop_map(|(path, version)| Op::SetData(SetDataRequest {
            path,
            data: None,
            version
        })),
        (text(), any::<i32>()).prop_map(|(path, version)| Op::Check(CheckVersionRequest { path, version })),
    ]
}

fn reads() -> impl Strategy<Value = Op> {
    (text(), any::<bool>(), any::<bool>()).prop_map(|(path, watch, children)| match children {
        true => Op::GetChildren(GetChildrenRequest { path, watch }),
        false => Op::GetData(GetDataRequest { path, watch }),
    })
}

fn results() -> impl Strategy<Value = OpResult> {
    let stat = any::<i32>().prop_map(|version| Stat { version, ..Stat::default() });
    prop_oneof![
        text().prop_map(|path| OpResult::Create(CreateResponse { path })),
        (text(), stat.clone()).prop_map(|(path, stat)| OpResult::Create2(Create2Response { path, stat })),
        Just(OpResult::Delete),
        stat.clone().prop_map(|stat| OpResult::SetData(SetDataResponse { stat })),
        Just(OpResult::Check),
        prop::collection::vec(text(), 0..4)
            .prop_map(|children| OpResult::GetChildren(GetChildrenResponse { children })),
        (prop::option::of(text()), stat)
            .prop_map(|(data, stat)| OpResult::GetData(GetDataResponse { data, stat })),
        any::<i32>().prop_map(|err| OpResult::Error(ErrorResponse { err })),
    ]
}

fn comes_back<R: Jute + PartialEq + std::fmt::Debug>(record: &R) {
    let bytes = record.to_bytes();
    assert_eq!(R::parse(bytes.clone()).as_ref(), Ok(record));
    for cut in 0..bytes.len() {
        assert_ne!(R::parse(bytes.slice(..cut)).as_ref(), Ok(record));
    }
}

proptest! {
    #[test]
    fn records(seed in any::<u64>()) {
        every_record(seed);
        every_operation(seed);
    }

    #[test]
    fn multis(
        ops in prop_oneof![prop::collection::vec(writes(), 0..5), prop::collection::vec(reads(), 0..5)],
        results in prop::collection::vec(results(), 0..5),
    ) {
        comes_back(&MultiRequest { ops });
        comes_back(&MultiResponse { results });
    }

    #[test]
    fn connects(
        seed in any::<u64>(),
        passwd in prop::option::of(text()),
        read_only in prop::option::of(any::<bool>()),
    ) {
        let mut r = Reader::new(bytes_of("v:i z:l t:i s:l", seed));
        let request = ConnectRequest {
            protocol_version: r.i32("").expect("an int"),
            last_zxid_seen: wire::Zxid(r.i64("").expect("a long")),
            time_out: r.i32("").expect("an int"),
            session_id: wire::SessionId(r.i64("").expect("a long")),
            passwd,
            read_only,
        };
        comes_back(&request);
        let ConnectRequest { protocol_version, time_out, session_id, passwd, .. } = request;
        comes_back(&ConnectResponse { protocol_version, time_out, session_id, passwd, read_only });
    }

    /// Of each type, as request, reply and transaction, and as a client's stream in two chunks.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..120), cut in any::<usize>()) {
        let bytes = Bytes::from(bytes);
        for kind in -12..110 {
            if let Ok(request) = Request::decode(kind, bytes.clone()) {
                let mut again = BytesMut::new();
                request.encode(&mut again);
                prop_assert_eq!(Request::decode(kind, again.freeze()), Ok(request));
            }
            if let Ok(reply) = Reply::decode(kind, bytes.clone()) {
                let mut again = BytesMut::new();
                reply.encode(&mut again);
                prop_assert_eq!(Reply::decode(kind, again.freeze()), Ok(reply));
            }
            if let Ok(body) = wire::TxnBody::read(kind, &mut Reader::new(bytes.clone())) {
                let _ = body.value();
                let part = SubTxn::new(kind, &body);
                let expected = if kind == op::ERROR { None } else { Some(body) };
                // Two empty paths alone read as a digest without a record.
                prop_assert!(part.body() == Ok(expected) || kind == op::CLOSE_SESSION);
            }
        }
        let _ = wire::path::validate_path(&bytes);
        let mut stream = ClientStream::new(100);
        for chunk in [bytes.slice(..cut % (bytes.len() + 1)), bytes.slice(cut % (bytes.len() + 1)..)] {
            stream.feed(chunk);
            while let Ok(Some(_)) = stream.next() {}
        }
    }

    /// A count or a length that lies is an error, whatever it claims; nothing of that size is reserved.
    #[test]
    fn lies(claim in 2_097_151..=i32::MAX) {
        let claimed = [&claim.to_be_bytes()[..], &[0; 40]].concat();
        prop_assert!(GetChildrenResponse::parse(claimed.clone().into()).is_err());
        prop_assert!(CloseSessionTxn::parse(claimed.clone().into()).is_err());
        prop_assert!(MultiTxn::parse(claimed.clone().into()).is_err());
        prop_assert!(DeleteTxn::parse(claimed.into()).is_err());
    }
}
