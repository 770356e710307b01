//! Draws requests that often meet: few names, few sessions, versions near those that are there.

use bytes::Bytes;
use wire::client::{
    CheckVersionRequest, CreateRequest, CreateSessionRequest, CreateTTLRequest, DeleteRequest, ExistsRequest,
    ExistsResponse, GetACLRequest, GetACLResponse, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse,
    GetChildren2Request, GetChildren2Response, GetDataRequest, GetDataResponse, GetEphemeralsRequest,
    GetEphemeralsResponse, MultiRequest, Op, Request, Response, SetACLRequest, SetDataRequest,
};
use wire::{Acl, Id, NullableString};

use crate::model::Model;

pub const SESSIONS: [i64; 5] = [0x100, 0x101, 0x200, 0x201, 0x300];

/// The last two are the same person.
pub fn auth_of(session: i64) -> Vec<Id> {
    let ip = Id::of("ip", "127.0.0.1");
    match session {
        0x100 => vec![ip],
        0x101 => vec![ip, Id::of("digest", "ann:x")],
        0x200 => vec![ip, Id::of("digest", "bob:y"), Id::of("digest", "ann:x")],
        _ => vec![ip, Id::of("digest", "bob:y")],
    }
}

pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    pub fn create_session(&mut self) -> Request {
        Request::CreateSession(CreateSessionRequest { time_out: 4000 + self.below(1000) as i32 })
    }

    fn path(&mut self, model: &Model) -> Bytes {
        const NAMES: [&str; 5] = ["a", "b", "c", "dd", "z-"];
        let mut path = match self.below(20) {
            0 => return Bytes::from_static(b"/"),
            1 => {
                return Bytes::from_static([&b"/zookeeper"[..], b"a", b"", b"/a//b"][self.below(4) as usize]);
            }
            // One that is there.
            2..12 => {
                let at = self.below(model.nodes.len() as u64) as usize;
                let path = model.nodes.keys().nth(at).expect("below the length").clone();
                if path.starts_with("/zookeeper/") { String::new() } else { path }
            }
            _ => String::new(),
        };
        if path.is_empty() || self.below(2) == 0 {
            path += "/";
            path += NAMES[self.below(5) as usize];
        }
        path.into()
    }

    fn data(&mut self) -> Option<Bytes> {
        let length = self.below(40) as usize;
        match self.below(6) {
            0 => None,
            1 => Some(Bytes::new()),
            _ => Some(Bytes::from(vec![self.below(256) as u8; length])),
        }
    }

    fn acl(&mut self) -> Option<Vec<Acl>> {
        let perms = [31, 31, 1, 3, 7, 15, 23, 29][self.below(8) as usize];
        match self.below(12) {
            0 => None,
            1 => Some(vec![]),
            2 => Some(vec![Acl { perms, id: Id::of("auth", "") }]),
            3 => Some(vec![Acl { perms, id: Id::of("digest", "ann:x") }, Acl { perms: 1, id: Id::anyone() }]),
            4 => Some(vec![Acl { perms, id: Id::of("sasl", "ann") }]),
            5 => Some(vec![Acl { perms, id: Id::anyone() }]),
            _ => Some(vec![Acl::open()]),
        }
    }

    fn version(&mut self, now: Option<i32>) -> i32 {
        match self.below(4) {
            0 => self.below(4) as i32,
            1 => now.unwrap_or(0),
            _ => -1,
        }
    }

    fn versions(&mut self, model: &Model, path: &Bytes) -> (i32, i32) {
        let node = std::str::from_utf8(path).ok().and_then(|path| model.nodes.get(path));
        let (version, aversion) = (node.map(|node| node.version), node.map(|node| node.aversion));
        (self.version(version), self.version(aversion))
    }

    fn create(&mut self, model: &Model) -> CreateRequest {
        let mut path = self.path(model);
        let flags = self.below(4) as i32;
        if flags >= 2 && self.below(5) == 0 && path.len() > 1 {
            path = Bytes::from([&path[..], b"/"].concat());
        }
        CreateRequest { path, data: self.data(), acl: self.acl(), flags }
    }

    pub fn write(&mut self, model: &Model) -> Request {
        match self.below(20) {
            0..4 => Request::Create(self.create(model)),
            4..7 => Request::Create2(self.create(model)),
            7 => {
                let flags = if self.below(5) == 0 { 0 } else { 4 };
                Request::CreateContainer(CreateRequest { flags, ..self.create(model) })
            }
            8 => Request::CreateTTL(self.create_ttl(model)),
            9..13 => Request::Delete(self.delete(model)),
            13..16 => Request::SetData(self.set_data(model)),
            16 => {
                let path = self.path(model);
                let (_, version) = self.versions(model, &path);
                Request::SetACL(SetACLRequest { path, acl: self.acl(), version })
            }
            _ => {
                let count = self.below(6);
                Request::Multi(MultiRequest { ops: (0..count).map(|_| self.operation(model)).collect() })
            }
        }
    }

    fn create_ttl(&mut self, model: &Model) -> CreateTTLRequest {
        let CreateRequest { path, data, acl, .. } = self.create(model);
        let (flags, ttl) = [(5, 1000), (6, 0xff_ffff_ffff), (5, 0), (5, -1), (0, -1)][self.below(5) as usize];
        CreateTTLRequest { path, data, acl, flags, ttl }
    }

    fn delete(&mut self, model: &Model) -> DeleteRequest {
        let path = self.path(model);
        let (version, _) = self.versions(model, &path);
        DeleteRequest { path, version }
    }

    fn set_data(&mut self, model: &Model) -> SetDataRequest {
        let path = self.path(model);
        let (version, _) = self.versions(model, &path);
        SetDataRequest { path, data: self.data(), version }
    }

    fn operation(&mut self, model: &Model) -> Op {
        match self.below(12) {
            0..3 => Op::Create(self.create(model)),
            3 => Op::Create(CreateRequest { flags: 4, ..self.create(model) }),
            4 | 5 => Op::Create2(self.create(model)),
            6 => Op::CreateContainer(CreateRequest { flags: 4, ..self.create(model) }),
            7 => Op::CreateTTL(CreateTTLRequest { flags: 5, ttl: 9, ..self.create_ttl(model) }),
            8 | 9 => Op::Delete(self.delete(model)),
            10 => Op::SetData(self.set_data(model)),
            _ => {
                let path = self.path(model);
                let (version, _) = self.versions(model, &path);
                Op::Check(CheckVersionRequest { path, version })
            }
        }
    }

    /// A read with what the model answers.
    pub fn read(&mut self, model: &Model, session: i64) -> (Request, Result<Response, i32>) {
        let path = self.path(model);
        let text = std::str::from_utf8(&path).expect("UTF-8").to_owned();
        let key = if text == "/" { String::new() } else { text };
        let node = model.nodes.get(&key).filter(|_| !path.is_empty() || key.is_empty());
        let auth = auth_of(session);
        let may = |perms: i32| match node {
            None => Err(-101),
            Some(node) => {
                let allows =
                    |acl: &Acl| acl.perms & perms != 0 && (acl.id == Id::anyone() || auth.contains(&acl.id));
                if node.acl.iter().any(allows) { Ok(node) } else { Err(-102) }
            }
        };
        let stat = || model.stat(&key);
        let below =
            |prefix: &str| model.nodes.keys().filter(|other| other.starts_with(prefix)).count() as i32;
        match self.below(6) {
            0 => {
                let answer = may(1).map(|_| Response::Exists(ExistsResponse { stat: stat() }));
                (Request::Exists(ExistsRequest { path, watch: false }), answer)
            }
            1 => {
                let data = |data| Response::GetData(GetDataResponse { data, stat: stat() });
                let answer = may(1).map(|node| data(node.data.clone()));
                (Request::GetData(GetDataRequest { path, watch: false }), answer)
            }
            2 => {
                let children = || model.children(&key).into_iter().map(Bytes::from).collect();
                let answer = may(1).map(|_| {
                    Response::GetChildren2(GetChildren2Response { children: children(), stat: stat() })
                });
                (Request::GetChildren2(GetChildren2Request { path, watch: false }), answer)
            }
            3 => {
                let answer = may(1 | 16).map(|node| {
                    let mut acl = node.acl.clone();
                    if may(16).is_err() {
                        for entry in acl.iter_mut().filter(|entry| entry.id.scheme == "digest") {
                            let user = String::from_utf8(entry.id.id.to_vec()).expect("UTF-8");
                            let user = user.split(':').next().expect("a part").to_owned();
                            entry.id.id = (user + ":x").into();
                        }
                    }
                    Response::GetACL(GetACLResponse { acl: Some(acl), stat: stat() })
                });
                (Request::GetACL(GetACLRequest { path }), answer)
            }
            4 => {
                let number = if key.is_empty() { below("/") } else { below(&format!("{key}/")) };
                let answer = may(1).map(|_| {
                    Response::GetAllChildrenNumber(GetAllChildrenNumberResponse { total_number: number })
                });
                (Request::GetAllChildrenNumber(GetAllChildrenNumberRequest { path }), answer)
            }
            _ => {
                let prefix = [None, Some("/"), Some(" "), Some("/a")][self.below(4) as usize];
                let own = model.nodes.iter().filter(|(_, node)| node.owner == session);
                let own = own.filter(|(path, _)| prefix != Some("/a") || path.starts_with("/a"));
                let ephemerals = own.map(|(path, _)| Bytes::from(path.clone())).collect();
                let request = GetEphemeralsRequest {
                    prefix_path: NullableString(prefix.map(|prefix| Bytes::from_static(prefix.as_bytes()))),
                };
                let answer = Response::GetEphemerals(GetEphemeralsResponse { ephemerals });
                (Request::GetEphemerals(request), Ok(answer))
            }
        }
    }
}
