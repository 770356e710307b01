//! What clients of the data tree ask: every operation, over few paths, with values that occur once, so that
//! checkers can tell which write a read saw.

use bytes::Bytes;
use wire::client::{
    AddWatchRequest, CheckVersionRequest, CheckWatchesRequest, CreateRequest, CreateTTLRequest,
    DeleteRequest, ExistsRequest, GetACLRequest, GetAllChildrenNumberRequest, GetChildren2Request,
    GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, MultiRequest, Op, ReconfigRequest,
    RemoveWatchesRequest, Request, SetACLRequest, SetDataRequest, SyncRequest,
};
use wire::codes::perms;
use wire::{Acl, NullableString};

use crate::draw::Draws;
use crate::workload::WorkloadSpec;

/// Directories, and nodes in each.
const DIRS: u64 = 3;
const NODES: u64 = 4;

pub fn dirs() -> impl Iterator<Item = String> {
    (0..DIRS).map(|dir| format!("/d{dir}")).chain(["/q".into(), "/acl".into()])
}

pub fn create(path: String, value: &str, flags: i32) -> CreateRequest {
    CreateRequest {
        path: path.into(),
        data: Some(Bytes::copy_from_slice(value.as_bytes())),
        acl: Some(vec![Acl::open()]),
        flags,
    }
}

/// Draws requests for one client.
pub struct Generator<'a> {
    pub draws: &'a mut Draws,
    /// The value for a write, which no other has.
    pub value: String,
}

impl Generator<'_> {
    fn dir(&mut self) -> String {
        format!("/d{}", self.draws.below(DIRS))
    }

    fn path(&mut self) -> String {
        let dir = self.dir();
        format!("{dir}/n{}", self.draws.below(NODES))
    }

    fn ephemeral(&mut self) -> String {
        let dir = self.dir();
        format!("{dir}/e{}", self.draws.below(NODES))
    }

    fn any(&mut self) -> String {
        match self.draws.below(4) {
            0 => self.dir(),
            1 => self.ephemeral(),
            _ => self.path(),
        }
    }

    fn version(&mut self) -> i32 {
        if self.draws.chance(800) { -1 } else { self.draws.below(4) as i32 }
    }

    pub fn request(&mut self, spec: &WorkloadSpec) -> Request {
        let pick = self.draws.below(1000);
        let reads = spec.reads_milli.max(300);
        if pick < reads {
            self.read()
        } else if pick < reads + spec.syncs_milli {
            Request::Sync(SyncRequest { path: self.path().into() })
        } else if pick < reads + spec.syncs_milli + spec.closes_milli {
            Request::CloseSession
        } else {
            self.write()
        }
    }

    fn read(&mut self) -> Request {
        let watch = self.draws.chance(350);
        match self.draws.below(100) {
            0..=24 => Request::GetData(GetDataRequest { path: self.any().into(), watch }),
            25..=44 => Request::Exists(ExistsRequest { path: self.any().into(), watch }),
            45..=56 => Request::GetChildren(GetChildrenRequest { path: self.dir().into(), watch }),
            57..=68 => Request::GetChildren2(GetChildren2Request { path: self.dir().into(), watch }),
            pick @ 69..=73 => {
                let path = self.path();
                Request::GetACL(GetACLRequest { path: if pick == 69 { "/acl".into() } else { path.into() } })
            }
            74..=77 => Request::GetEphemerals(GetEphemeralsRequest { prefix_path: NullableString(None) }),
            78..=80 => Request::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: self.dir().into() }),
            81..=85 => Request::MultiRead(MultiRequest {
                ops: vec![
                    Op::GetData(GetDataRequest { path: self.path().into(), watch: false }),
                    Op::GetChildren(GetChildrenRequest { path: self.dir().into(), watch: false }),
                ],
            }),
            86..=92 => {
                let mode = self.draws.below(2) as i32;
                let path = if mode == 1 { self.dir() } else { self.any() };
                Request::AddWatch(AddWatchRequest { path: path.into(), mode })
            }
            93..=95 => {
                let kind = self.draws.range(1, 5) as i32;
                Request::RemoveWatches(RemoveWatchesRequest { path: self.any().into(), kind })
            }
            96..=97 => {
                let kind = self.draws.range(1, 5) as i32;
                Request::CheckWatches(CheckWatchesRequest { path: self.any().into(), kind })
            }
            98 => Request::WhoAmI,
            _ => Request::GetData(GetDataRequest { path: "/zookeeper/config".into(), watch: false }),
        }
    }

    fn write(&mut self) -> Request {
        let value = self.value.clone();
        match self.draws.below(100) {
            0..=29 => Request::SetData(self.set_data()),
            pick @ 30..=44 => {
                let mut asked = create(self.path(), &value, 0);
                // One in five cannot be read.
                if pick < 33 {
                    asked.acl = Some(vec![Acl { perms: perms::ALL & !perms::READ, ..Acl::open() }]);
                }
                Request::Create(asked)
            }
            45..=57 => Request::Delete(self.delete()),
            58..=67 => Request::Create2(create(self.ephemeral(), &value, 1)),
            68..=74 => Request::Create(create("/q/s-".into(), &value, 2 + self.draws.below(2) as i32)),
            75..=77 => Request::CreateContainer(create(self.path(), &value, 4)),
            78..=80 => {
                let CreateRequest { path, data, acl, .. } = create(self.path(), &value, 0);
                let ttl = self.draws.range(100, 20_000) as i64;
                Request::CreateTTL(CreateTTLRequest { path, data, acl, flags: 5, ttl })
            }
            81..=92 => self.multi(),
            pick @ 93..=95 => {
                let acl = vec![Acl { perms: 1 + self.draws.below(31) as i32, ..Acl::open() }];
                let path = if pick == 93 { "/acl" } else { "/d1/n1" };
                Request::SetACL(SetACLRequest { path: path.into(), acl: Some(acl), version: -1 })
            }
            96 => Request::Reconfig(ReconfigRequest {
                joining_servers: NullableString(None),
                leaving_servers: NullableString(Some("3".into())),
                new_members: NullableString(None),
                cur_config_id: -1,
            }),
            _ => self.refused(),
        }
    }

    fn set_data(&mut self) -> SetDataRequest {
        let (path, version) = (if self.draws.chance(800) { self.path() } else { self.any() }, self.version());
        SetDataRequest { path: path.into(), data: Some(self.value.clone().into()), version }
    }

    fn delete(&mut self) -> DeleteRequest {
        let path = if self.draws.chance(700) { self.path() } else { self.ephemeral() };
        DeleteRequest { path: path.into(), version: self.version() }
    }

    fn multi(&mut self) -> Request {
        let ops = (0..self.draws.range(1, 4)).map(|_| match self.draws.below(5) {
            0 => {
                let value = self.value.clone();
                Op::Create(create(self.path(), &value, 0))
            }
            1 => {
                let value = self.value.clone();
                Op::Create2(create(self.ephemeral(), &value, 1))
            }
            2 => Op::Delete(self.delete()),
            3 => Op::Check(CheckVersionRequest { path: self.path().into(), version: self.version() }),
            _ => Op::SetData(self.set_data()),
        });
        Request::Multi(MultiRequest { ops: ops.collect() })
    }

    /// Well-formed and never right: what a create asks for and its type disagree (trap 21 of the reference).
    fn refused(&mut self) -> Request {
        let value = self.value.clone();
        if self.draws.chance(500) {
            let CreateRequest { path, data, acl, .. } = create(self.path(), &value, 0);
            Request::CreateTTL(CreateTTLRequest { path, data, acl, flags: 0, ttl: -1 })
        } else {
            Request::Create(create(self.path(), &value, 4))
        }
    }
}
