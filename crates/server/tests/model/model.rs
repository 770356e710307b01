//! The model: a sorted map of nodes, changed by one request at a time, with nothing kept that can be counted.
//! It shares no code with the server but the records.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::client::{
    Create2Response, CreateRequest, CreateResponse, ErrorResponse, MultiResponse, Op, OpResult, Request,
    Response, SetACLResponse, SetDataResponse,
};
use wire::{Acl, Id, Stat, Zxid};

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub data: Option<Bytes>,
    pub acl: Vec<Acl>,
    pub czxid: i64,
    pub mzxid: i64,
    pub pzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub aversion: i32,
    /// How many children were ever made.
    pub made: i32,
    pub owner: i64,
}

#[derive(Clone, Debug)]
pub struct Model {
    /// By path; the root is "".
    pub nodes: BTreeMap<String, Node>,
    pub sessions: BTreeMap<i64, i32>,
}

pub struct Who<'a> {
    pub session: i64,
    pub auth: &'a [Id],
    pub zxid: i64,
    pub time: i64,
}

const CONTAINER: i64 = i64::MIN;

fn parent_of(path: &str) -> String {
    path[..path.rfind('/').expect("a slash")].to_owned()
}

fn is_session(owner: i64) -> bool {
    owner != 0 && owner != CONTAINER && (owner as u64) >> 56 != 0xff
}

fn plain(time: i64, zxid: i64) -> Node {
    Node {
        data: Some(Bytes::new()),
        acl: vec![Acl::open()],
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: time,
        mtime: time,
        version: 0,
        aversion: 0,
        made: 0,
        owner: 0,
    }
}

impl Model {
    pub fn new() -> Model {
        let mut nodes = BTreeMap::new();
        for path in ["", "/zookeeper", "/zookeeper/quota"] {
            nodes.insert(path.to_owned(), plain(0, 0));
        }
        let acl = vec![Acl { perms: 1, id: Id::of("world", "anyone") }];
        nodes.insert("/zookeeper/config".into(), Node { acl, aversion: -1, ..plain(0, 0) });
        Model { nodes, sessions: BTreeMap::new() }
    }

    pub fn children(&self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let names = self.nodes.keys().filter_map(|other| other.strip_prefix(&below));
        names.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    pub fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = self.children(path).len() as i32;
        Stat {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(node.mzxid),
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            // Creations and deletions.
            cversion: node.made + (node.made - children),
            aversion: node.aversion,
            ephemeral_owner: if is_session(node.owner) { node.owner } else { 0 },
            data_length: node.data.as_ref().map_or(0, Bytes::len) as i32,
            num_children: children,
            pzxid: Zxid(node.pzxid),
        }
    }

    /// 3.9's digest, bit by bit.
    pub fn digest(&self) -> u64 {
        let mut sum = 0u64;
        for (path, node) in &self.nodes {
            if path.starts_with("/zookeeper/") {
                continue;
            }
            let mut bytes = path.clone().into_bytes();
            bytes.extend_from_slice(node.data.as_deref().unwrap_or_default());
            for long in [node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime] {
                bytes.extend_from_slice(&long.to_be_bytes());
            }
            for int in [node.version, node.made, node.aversion] {
                bytes.extend_from_slice(&int.to_be_bytes());
            }
            bytes.extend_from_slice(&node.owner.to_be_bytes());
            let mut crc = !0u32;
            for byte in bytes {
                crc ^= u32::from(byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                }
            }
            sum = sum.wrapping_add(u64::from(!crc));
        }
        sum
    }

    fn may(&self, who: &Who<'_>, path: &str, perm: i32) -> Result<(), i32> {
        let allowed = self.nodes[path].acl.iter().any(|acl| {
            acl.perms & perm != 0 && (acl.id == Id::of("world", "anyone") || who.auth.contains(&acl.id))
        });
        if allowed { Ok(()) } else { Err(-102) }
    }

    fn acl(who: &Who<'_>, acl: Option<&Vec<Acl>>) -> Result<Vec<Acl>, i32> {
        let mut list: Vec<Acl> = Vec::new();
        for entry in acl.into_iter().flatten() {
            if entry.id.scheme == "auth" {
                let mine: Vec<&Id> = who.auth.iter().filter(|id| id.scheme == "digest").collect();
                if mine.is_empty() {
                    return Err(-114);
                }
                list.extend(mine.into_iter().map(|id| Acl { perms: entry.perms, id: id.clone() }));
            } else if entry.id.scheme == "world" || entry.id.scheme == "digest" {
                list.push(entry.clone());
            } else {
                return Err(-114);
            }
        }
        if list.is_empty() { Err(-114) } else { Ok(list) }
    }

    fn bump(version: i32, expected: i32) -> Result<i32, i32> {
        if expected == -1 || expected == version { Ok(version + 1) } else { Err(-103) }
    }

    fn create(&mut self, who: &Who<'_>, kind: i32, r: &CreateRequest, ttl: i64) -> Result<String, i32> {
        let owner = match (kind, r.flags) {
            (1 | 15, 0 | 2) => 0,
            (1 | 15, 1 | 3) => who.session,
            (19, 4) => CONTAINER,
            (21, 5 | 6) if ttl > 0 => 0xff << 56 | ttl,
            _ => return Err(-8),
        };
        if !self.sessions.contains_key(&who.session) {
            return Err(-112);
        }
        let mut path = String::from_utf8(r.path.to_vec()).expect("UTF-8");
        if !path.contains('/') || path.contains('\0') {
            return Err(-8);
        }
        let acl = Model::acl(who, r.acl.as_ref())?;
        let parent = parent_of(&path);
        if !self.nodes.contains_key(&parent) {
            return Err(-101);
        }
        self.may(who, &parent, 4)?;
        if matches!(r.flags, 2 | 3 | 6) {
            path += &format!("{:010}", self.nodes[&parent].made);
        }
        if path == "/" {
            return Err(-110);
        }
        if path.ends_with('/')
            || path.contains("//")
            || path.split('/').any(|name| name == "." || name == "..")
        {
            return Err(-8);
        }
        if self.nodes.contains_key(&path) {
            return Err(-110);
        }
        if is_session(self.nodes[&parent].owner) {
            return Err(-108);
        }
        let above = self.nodes.get_mut(&parent).expect("looked up");
        above.made += 1;
        above.pzxid = who.zxid;
        self.nodes
            .insert(path.clone(), Node { data: r.data.clone(), acl, owner, ..plain(who.time, who.zxid) });
        Ok(path)
    }

    fn remove(&mut self, who: &Who<'_>, path: &str) {
        self.nodes.remove(path);
        self.nodes.get_mut(&parent_of(path)).expect("a parent").pzxid = who.zxid;
    }

    fn delete(&mut self, who: &Who<'_>, path: &str, version: i32) -> Result<(), i32> {
        if !self.sessions.contains_key(&who.session) {
            return Err(-112);
        }
        let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        if !path.contains('/') || special.contains(&path) {
            return Err(-8);
        }
        let parent = parent_of(path);
        if !self.nodes.contains_key(&parent) {
            return Err(-101);
        }
        self.may(who, &parent, 8)?;
        let node = self.nodes.get(path).ok_or(-101)?;
        Model::bump(node.version, version)?;
        if !self.children(path).is_empty() {
            return Err(-111);
        }
        self.remove(who, path);
        Ok(())
    }

    fn find(&self, who: &Who<'_>, path: &str) -> Result<String, i32> {
        if !self.sessions.contains_key(&who.session) {
            return Err(-112);
        }
        if path.is_empty()
            || !path.starts_with('/')
            || (path.len() > 1 && path.ends_with('/'))
            || path.contains("//")
        {
            return Err(-8);
        }
        let path = if path == "/" { "" } else { path };
        if self.nodes.contains_key(path) { Ok(path.to_owned()) } else { Err(-101) }
    }

    /// What the client that wrote is answered.
    pub fn write(&mut self, who: &Who<'_>, request: &Request) -> Result<Response, i32> {
        let text = |path: &Bytes| String::from_utf8(path.to_vec()).expect("UTF-8");
        Ok(match request {
            Request::Multi(multi) => Response::Multi(self.multi(who, &multi.ops)),
            Request::Create(r) => {
                Response::Create(CreateResponse { path: self.create(who, 1, r, -1)?.into() })
            }
            Request::Create2(r) => self.create2(who, 15, r, -1)?,
            Request::CreateContainer(r) => self.create2(who, 19, r, -1)?,
            Request::CreateTTL(r) => {
                let (path, data, acl, flags) = (r.path.clone(), r.data.clone(), r.acl.clone(), r.flags);
                self.create2(who, 21, &CreateRequest { path, data, acl, flags }, r.ttl)?
            }
            Request::Delete(r) => {
                self.delete(who, &text(&r.path), r.version)?;
                Response::Empty
            }
            Request::SetData(r) => {
                let path = self.find(who, &text(&r.path))?;
                self.may(who, &path, 2)?;
                let node = self.nodes.get_mut(&path).expect("found");
                node.version = Model::bump(node.version, r.version)?;
                node.data.clone_from(&r.data);
                (node.mzxid, node.mtime) = (who.zxid, who.time);
                Response::SetData(SetDataResponse { stat: self.stat(&path) })
            }
            Request::SetACL(r) => {
                let path = self.find(who, &text(&r.path));
                let acl = match path {
                    Err(-8) | Err(-112) => return Err(path.unwrap_err()),
                    _ => Model::acl(who, r.acl.as_ref())?,
                };
                let path = path?;
                self.may(who, &path, 16)?;
                let node = self.nodes.get_mut(&path).expect("found");
                node.aversion = Model::bump(node.aversion, r.version)?;
                node.acl = acl;
                Response::SetACL(SetACLResponse { stat: self.stat(&path) })
            }
            Request::CreateSession(r) => {
                self.sessions.insert(who.session, r.time_out);
                Response::Empty
            }
            Request::CloseSession => {
                let own = self.nodes.iter().filter(|(_, node)| node.owner == who.session);
                for path in own.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
                    self.remove(who, &path);
                }
                self.sessions.remove(&who.session);
                Response::Empty
            }
            other => panic!("{other:?}"),
        })
    }

    fn create2(&mut self, who: &Who<'_>, kind: i32, r: &CreateRequest, ttl: i64) -> Result<Response, i32> {
        let path = self.create(who, kind, r, ttl)?;
        Ok(Response::Create2(Create2Response { stat: self.stat(&path), path: path.into() }))
    }

    fn multi(&mut self, who: &Who<'_>, ops: &[Op]) -> MultiResponse {
        let before = self.clone();
        let mut results = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let result = match op {
                Op::Create(r) if r.flags == 4 => self.write(who, &Request::CreateContainer(r.clone())),
                Op::Create(r) => self.write(who, &Request::Create(r.clone())),
                Op::Create2(r) => self.write(who, &Request::Create2(r.clone())),
                Op::CreateContainer(r) => self.write(who, &Request::CreateContainer(r.clone())),
                Op::CreateTTL(r) => self.write(who, &Request::CreateTTL(r.clone())),
                Op::Delete(r) => self.write(who, &Request::Delete(r.clone())),
                Op::SetData(r) => self.write(who, &Request::SetData(r.clone())),
                Op::Check(r) => {
                    let path = String::from_utf8(r.path.to_vec()).expect("UTF-8");
                    let found = self.find(who, &path).and_then(|path| {
                        self.may(who, &path, 1)?;
                        Model::bump(self.nodes[&path].version, r.version)
                    });
                    found.map(|_| Response::AddWatch(ErrorResponse { err: 0 }))
                }
                other => panic!("{other:?}"),
            };
            results.push(match result {
                Ok(Response::Create(r)) => OpResult::Create(r),
                Ok(Response::Create2(r)) => OpResult::Create2(r),
                Ok(Response::SetData(r)) => OpResult::SetData(r),
                Ok(Response::Empty) => OpResult::Delete,
                Ok(_) => OpResult::Check,
                Err(err) => {
                    *self = before;
                    let code = |other: usize| {
                        if other < at {
                            0
                        } else if other == at {
                            err
                        } else {
                            -2
                        }
                    };
                    let all = (0..ops.len()).map(|n| OpResult::Error(ErrorResponse { err: code(n) }));
                    return MultiResponse { results: all.collect() };
                }
            });
        }
        MultiResponse { results }
    }
}
