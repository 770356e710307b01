//! Reads. Paths are not validated: an invalid one is a missing node.

use bytes::Bytes;
use wire::client::{
    BodyError, ErrorResponse, ExistsResponse, GetACLResponse, GetAllChildrenNumberResponse,
    GetChildren2Response, GetChildrenResponse, GetDataResponse, GetEphemeralsResponse, MultiResponse, Op,
    OpResult, Request, Response, SetWatches2, SyncResponse, WhoAmIResponse,
};
use wire::codes::perms;
use wire::{AddWatchMode, ClientInfo, Id, WatcherType, code, op};
use zab::ReadRequest;

use crate::acl::{check_acl, masked};
use crate::data_tree::{DataTree, NodeId};
use crate::settings::Settings;
use crate::watch::{Table, Watches};

pub(crate) struct Answer {
    pub result: Result<Response, i32>,
    /// The watch that the request leaves, whatever its result (exists of a missing node fails and watches).
    pub watch: Option<(Table, Bytes)>,
}

/// These change watches and nothing else, and need a connection.
pub(crate) fn is_watch_request(kind: i32) -> bool {
    let set = matches!(kind, op::SET_WATCHES | op::SET_WATCHES2 | op::ADD_WATCH);
    set || matches!(kind, op::CHECK_WATCHES | op::REMOVE_WATCHES)
}

fn decode(request: &ReadRequest<'_>) -> Result<Request, i32> {
    Request::decode(request.op, request.body.clone()).map_err(|why| match why {
        BodyError::Unimplemented(_) => code::UNIMPLEMENTED,
        BodyError::Malformed(_) => code::MARSHALLING_ERROR,
    })
}

pub(crate) fn answer(tree: &DataTree, settings: &Settings, request: &ReadRequest<'_>) -> Answer {
    let mut watch = None;
    let result =
        decode(request).and_then(|decoded| Reading { tree, settings, request }.read(decoded, &mut watch));
    Answer { result, watch }
}

struct Reading<'a> {
    tree: &'a DataTree,
    settings: &'a Settings,
    request: &'a ReadRequest<'a>,
}

impl Reading<'_> {
    fn read(&self, request: Request, watch: &mut Option<(Table, Bytes)>) -> Result<Response, i32> {
        Ok(match request {
            Request::Exists(exists) => {
                if exists.path.contains(&0) {
                    return Err(code::BAD_ARGUMENTS);
                }
                let found = self.tree.find(&exists.path);
                if let Some(id) = found {
                    self.check(id, perms::READ)?;
                }
                *watch = exists.watch.then(|| (Table::Data, exists.path.clone()));
                Response::Exists(ExistsResponse { stat: self.tree.stat(found.ok_or(code::NO_NODE)?) })
            }
            Request::GetData(get) => {
                let data = self.get_data(&get.path)?;
                *watch = get.watch.then(|| (Table::Data, get.path.clone()));
                Response::GetData(data)
            }
            Request::GetChildren(get) => {
                let children = self.get_children(&get.path)?;
                *watch = get.watch.then(|| (Table::Child, get.path.clone()));
                Response::GetChildren(children)
            }
            Request::GetChildren2(get) => {
                let GetChildrenResponse { children } = self.get_children(&get.path)?;
                let stat = self.tree.stat(self.readable(&get.path)?);
                *watch = get.watch.then(|| (Table::Child, get.path.clone()));
                Response::GetChildren2(GetChildren2Response { children, stat })
            }
            Request::GetACL(get) => Response::GetACL(self.get_acl(&get.path)?),
            Request::GetAllChildrenNumber(get) => {
                let number = self.tree.all_children_number(self.readable(&get.path)?);
                Response::GetAllChildrenNumber(GetAllChildrenNumberResponse { total_number: number as i32 })
            }
            Request::GetEphemerals(get) => {
                Response::GetEphemerals(self.get_ephemerals(get.prefix_path.0.as_deref()))
            }
            Request::MultiRead(multi) => {
                let results = multi.ops.iter().map(|operation| self.operation(operation));
                Response::Multi(MultiResponse { results: results.collect::<Result<_, _>>()? })
            }
            Request::WhoAmI => Response::WhoAmI(self.who_am_i()),
            Request::Sync(sync) => Response::Sync(SyncResponse { path: sync.path }),
            Request::Ping => Response::Empty,
            _ => return Err(code::UNIMPLEMENTED),
        })
    }

    fn check(&self, id: NodeId, perms: i32) -> Result<(), i32> {
        if self.settings.skip_acl { Ok(()) } else { check_acl(self.tree.acl(id), perms, self.request.auth) }
    }

    fn readable(&self, path: &[u8]) -> Result<NodeId, i32> {
        let id = self.tree.find(path).ok_or(code::NO_NODE)?;
        self.check(id, perms::READ).map(|()| id)
    }

    fn get_data(&self, path: &[u8]) -> Result<GetDataResponse, i32> {
        let id = self.readable(path)?;
        let data = self.tree.node(id).data().map(Bytes::copy_from_slice);
        Ok(GetDataResponse { data, stat: self.tree.stat(id) })
    }

    fn get_children(&self, path: &[u8]) -> Result<GetChildrenResponse, i32> {
        let id = self.readable(path)?;
        Ok(GetChildrenResponse { children: self.tree.children(id).map(Bytes::copy_from_slice).collect() })
    }

    fn get_acl(&self, path: &[u8]) -> Result<GetACLResponse, i32> {
        let id = self.tree.find(path).ok_or(code::NO_NODE)?;
        self.check(id, perms::READ | perms::ADMIN)?;
        let acl = self.tree.acl(id);
        let acl = if self.check(id, perms::ADMIN).is_ok() { acl.to_vec() } else { masked(acl) };
        Ok(GetACLResponse { acl: Some(acl), stat: self.tree.stat(id) })
    }

    /// No prefix, or a blank one, or `/`: all.
    fn get_ephemerals(&self, prefix: Option<&[u8]>) -> GetEphemeralsResponse {
        let prefix = prefix.unwrap_or_default();
        let all = matches!(prefix.trim_ascii(), b"" | b"/");
        let own = self.tree.ephemerals(self.request.session.0);
        let ephemerals = own.filter(|path| all || path.starts_with(prefix)).cloned().collect();
        GetEphemeralsResponse { ephemerals }
    }

    /// An operation of a multiRead. Each stands alone; only one that does not belong there fails all.
    fn operation(&self, operation: &Op) -> Result<OpResult, i32> {
        let result = match operation {
            Op::GetData(get) => self.get_data(&get.path).map(OpResult::GetData),
            Op::GetChildren(get) => self.get_children(&get.path).map(OpResult::GetChildren),
            _ => return Err(code::MARSHALLING_ERROR),
        };
        Ok(result.unwrap_or_else(|err| OpResult::Error(ErrorResponse { err })))
    }

    fn who_am_i(&self) -> WhoAmIResponse {
        let info = |id: &Id| {
            let digest = id.scheme == b"digest"[..];
            let user = id.id.iter().position(|byte| digest && *byte == b':');
            ClientInfo {
                auth_scheme: id.scheme.clone(),
                user: user.map_or(id.id.clone(), |at| id.id.slice(..at)),
            }
        };
        WhoAmIResponse { client_info: self.request.auth.iter().map(info).collect() }
    }
}

impl Watches {
    /// setWatches and the others that are about watches alone.
    pub(crate) fn request(
        &mut self,
        tree: &DataTree,
        client: zab::ClientId,
        request: &ReadRequest<'_>,
    ) -> Result<Response, i32> {
        let kind = |kind: i32| WatcherType::of(kind).ok_or(code::MARSHALLING_ERROR);
        match decode(request)? {
            Request::SetWatches(set) => {
                let set = SetWatches2 {
                    relative_zxid: set.relative_zxid,
                    data_watches: set.data_watches,
                    exist_watches: set.exist_watches,
                    child_watches: set.child_watches,
                    persistent_watches: Vec::new(),
                    persistent_recursive_watches: Vec::new(),
                };
                self.set_watches(tree, client, &set);
                Ok(Response::Empty)
            }
            Request::SetWatches2(set) => {
                self.set_watches(tree, client, &set);
                Ok(Response::Empty)
            }
            Request::AddWatch(add) => {
                let mode = AddWatchMode::of(add.mode).ok_or(code::MARSHALLING_ERROR)?;
                self.add_watch(&add.path, client, mode);
                Ok(Response::AddWatch(ErrorResponse { err: code::OK }))
            }
            Request::CheckWatches(check) => {
                self.check_watches(&check.path, client, kind(check.kind)?).map(|()| Response::Empty)
            }
            Request::RemoveWatches(remove) => {
                self.remove_watches(&remove.path, client, kind(remove.kind)?).map(|()| Response::Empty)
            }
            _ => Err(code::UNIMPLEMENTED),
        }
    }
}
