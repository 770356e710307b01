//! Applying transactions (`DataTree.processTxn`). They are absolute: no expected version is compared here,
//! and nothing but a missing parent or node, or a node that is there already, keeps one from its effect.
//! What fails is a result, never a stop.
//!
//! A log is replayed over a snapshot that may hold effects of what is replayed. That gives the same tree,
//! because
//!
//! | replayed | over | |
//! |---|---|---|
//! | create | the node, or a later one of that name | gets the ACL, and the parent its counters if they are behind |
//! | delete | nothing | the parent's pzxid all the same |
//! | delete | a node with children made later | they go too, and come again behind it |
//! | setData, setACL | a newer value | the older one, until the newer comes |
//!
//! Java repairs the parent's counters for create only, not for create2, createTTL and createContainer.

use bytes::Bytes;
use wire::txn::{
    CreateContainerTxn, CreateTTLTxn, CreateTxn, CreateTxnV0, DeleteTxn, ErrorTxn, MultiTxn, SetACLTxn,
    SetDataTxn, SubTxn,
};
use wire::{Acl, SessionId, Stat, StatPersisted, Txn, TxnBody, TxnHeader, Zxid, code, op};

use super::node::ROOT;
use super::{CONTAINER_OWNER, ChangeListener, DataTree, EphemeralType, NodeId, split};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessTxnResult {
    /// Type of the transaction; -1 for a part of a multi that failed.
    pub kind: i32,
    pub err: i32,
    pub path: Bytes,
    /// As of just after the change; not of a plain create.
    pub stat: Option<Stat>,
    pub multi: Vec<ProcessTxnResult>,
}

/// What all kinds of create have in common.
struct Create<'a> {
    path: &'a [u8],
    data: Option<&'a [u8]>,
    acl: Option<&'a Vec<Acl>>,
    owner: i64,
    parent_c_version: i32,
}

type Outcome = Result<Option<Stat>, i32>;

impl DataTree {
    pub fn process_txn(&mut self, txn: &Txn, listener: &mut impl ChangeListener) -> ProcessTxnResult {
        let result = self.process(&txn.header, &txn.body, listener);
        // After the change: a snapshot that is named by this must not lack it.
        self.last_zxid = self.last_zxid.max(txn.header.zxid);
        result
    }

    fn process(
        &mut self,
        header: &TxnHeader,
        body: &TxnBody,
        listener: &mut impl ChangeListener,
    ) -> ProcessTxnResult {
        let mut multi = Vec::new();
        let mut of = Bytes::new();
        let outcome = match body {
            TxnBody::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version }) => {
                of.clone_from(path);
                let owner = if *ephemeral { header.client_id.0 } else { 0 };
                let (data, acl, parent_c_version) = (data.as_deref(), acl.as_ref(), *parent_c_version);
                self.create(header, &Create { path, data, acl, owner, parent_c_version }, listener)
            }
            TxnBody::CreateV0(CreateTxnV0 { path, data, acl, ephemeral }) => {
                of.clone_from(path);
                let owner = if *ephemeral { header.client_id.0 } else { 0 };
                let (data, acl) = (data.as_deref(), acl.as_ref());
                self.create(header, &Create { path, data, acl, owner, parent_c_version: -1 }, listener)
            }
            TxnBody::CreateTTL(CreateTTLTxn { path, data, acl, parent_c_version, ttl }) => {
                of.clone_from(path);
                let (data, acl, parent_c_version) = (data.as_deref(), acl.as_ref(), *parent_c_version);
                // Out of range it ends a Java server, at every start again.
                EphemeralType::ttl_owner(*ttl).ok_or(code::BAD_ARGUMENTS).and_then(|owner| {
                    self.create(header, &Create { path, data, acl, owner, parent_c_version }, listener)
                })
            }
            TxnBody::CreateContainer(CreateContainerTxn { path, data, acl, parent_c_version }) => {
                of.clone_from(path);
                let (data, acl, parent_c_version) = (data.as_deref(), acl.as_ref(), *parent_c_version);
                let owner = CONTAINER_OWNER;
                self.create(header, &Create { path, data, acl, owner, parent_c_version }, listener)
            }
            TxnBody::Delete(DeleteTxn { path }) => {
                of.clone_from(path);
                self.delete(path, header.zxid, listener)
            }
            TxnBody::SetData(SetDataTxn { path, data, version }) => {
                of.clone_from(path);
                self.set_data(header, path, data.as_deref(), *version, listener)
            }
            TxnBody::SetACL(SetACLTxn { path, acl, version }) => {
                of.clone_from(path);
                self.set_acl(path, acl.as_ref(), *version)
            }
            TxnBody::CheckVersion(check) => {
                of.clone_from(&check.path);
                Ok(None)
            }
            TxnBody::CloseSession(close) => {
                let listed = close.as_ref().map_or(&[][..], |close| &close.paths2_delete);
                self.kill_session(header.client_id, header.zxid, listed, listener);
                Ok(None)
            }
            TxnBody::Error(ErrorTxn { err }) => Err(*err),
            TxnBody::Multi(txn) => {
                multi = self.multi(header, txn, listener);
                multi.iter().find(|part| part.err != 0).map_or(Ok(None), |part| Err(part.err))
            }
            TxnBody::CreateSession(_) => Ok(None),
            TxnBody::Other(_) => Err(code::UNIMPLEMENTED),
        };
        let err = outcome.err().unwrap_or(code::OK);
        ProcessTxnResult { kind: header.kind, err, path: of, stat: outcome.ok().flatten(), multi }
    }

    /// All, or nothing if one of them failed when the multi was made: 0 for those before, their codes for it
    /// and those behind.
    fn multi(
        &mut self,
        header: &TxnHeader,
        txn: &MultiTxn,
        listener: &mut impl ChangeListener,
    ) -> Vec<ProcessTxnResult> {
        if txn.failed() {
            return failed_multi(txn);
        }
        let begun = self.begun.take().filter(|(zxid, _)| *zxid == header.zxid);
        let mut results = Vec::from_iter(begun.map(|(_, first)| first));
        for part in &txn.txns[results.len()..] {
            results.push(self.part(header, part, listener));
        }
        results
    }

    fn part(
        &mut self,
        header: &TxnHeader,
        part: &SubTxn,
        listener: &mut impl ChangeListener,
    ) -> ProcessTxnResult {
        let header = TxnHeader { kind: part.kind, ..*header };
        match part.body() {
            // A multi in a multi is none that a server makes.
            Ok(Some(TxnBody::Multi(_) | TxnBody::CloseSession(_)) | None) | Err(_) => {
                error_part(code::MARSHALLING_ERROR)
            }
            Ok(Some(body)) => self.process(&header, &body, listener),
        }
    }

    /// Only with `zxid-before-multi-done`: the first part of a multi now, the rest with `process_txn`. False
    /// where it is not one of several parts.
    pub fn process_first_part(&mut self, txn: &Txn, listener: &mut impl ChangeListener) -> bool {
        let TxnBody::Multi(multi) = &txn.body else { return false };
        if multi.failed() || multi.txns.len() < 2 {
            return false;
        }
        let first = self.part(&txn.header, &multi.txns[0], listener);
        self.begun = Some((txn.header.zxid, first));
        true
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        create: &Create<'_>,
        listener: &mut impl ChangeListener,
    ) -> Outcome {
        let Create { path, data, acl, owner, parent_c_version } = *create;
        let (parent_path, name) = split(path).ok_or(code::BAD_ARGUMENTS)?;
        if name.is_empty() {
            return Err(code::BAD_ARGUMENTS);
        }
        let parent = self.find(parent_path).ok_or(code::NO_NODE)?;
        let slot = self.acls.add(acl);
        let existing = self.child(parent, name);
        self.raise_counters(parent, parent_path, parent_c_version, header.zxid);
        if let Some(existing) = existing {
            self.set_acl_slot(existing, path, slot);
            return Err(code::NODE_EXISTS);
        }
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            ctime: header.time_ms,
            mtime: header.time_ms,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: owner,
            pzxid: header.zxid,
        };
        let id = self.put(parent, path, data, slot, &stat);
        // Of the node as it was asked for: statistics of a quota are counted behind that.
        let stat = (header.kind != op::CREATE).then(|| self.stat(id));
        self.quota_created(path, data.map_or(0, <[u8]>::len) as i64);
        let parent_name = if parent == ROOT { b"/" } else { parent_path };
        listener.created(path, self.acl(id), parent_name, self.acl(parent));
        Ok(stat)
    }

    /// cversion and pzxid of a parent, only upwards. A record of before 3.4 has no number: one more.
    fn raise_counters(&mut self, id: NodeId, path: &[u8], to: i32, zxid: Zxid) {
        let now = self.nodes.get(id).cversion();
        let to = if to == -1 { now.wrapping_add(1) } else { to };
        if to > now {
            let rare = self.nodes.get_mut(id).rare_mut();
            (rare.cversion, rare.pzxid) = (to, zxid);
            self.redigest(id, path);
        }
    }

    fn delete(&mut self, path: &[u8], zxid: Zxid, listener: &mut impl ChangeListener) -> Outcome {
        let (parent_path, name) = split(path).ok_or(code::BAD_ARGUMENTS)?;
        if name.is_empty() {
            return Err(code::BAD_ARGUMENTS);
        }
        let parent = self.find(parent_path).ok_or(code::NO_NODE)?;
        if zxid > self.nodes.get(parent).pzxid() {
            self.nodes.get_mut(parent).rare_mut().pzxid = zxid;
            self.redigest(parent, parent_path);
        }
        let id = self.child(parent, name).ok_or(code::NO_NODE)?;
        let acl = self.acl(id).to_vec();
        self.take_out(id, path);
        let parent_name = if parent == ROOT { b"/" } else { parent_path };
        listener.deleted(path, &acl, parent_name, self.acl(parent));
        Ok(None)
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &[u8],
        data: Option<&[u8]>,
        version: i32,
        listener: &mut impl ChangeListener,
    ) -> Outcome {
        let id = self.find(path).ok_or(code::NO_NODE)?;
        let more = self.replace_data(id, data);
        let node = self.nodes.get_mut(id);
        (node.version, node.mzxid, node.mtime) = (version, header.zxid, header.time_ms);
        self.redigest(id, path);
        let stat = self.stat(id);
        self.quota_changed(path, 0, more);
        listener.data_changed(path, self.acl(id));
        Ok(Some(stat))
    }

    fn set_acl(&mut self, path: &[u8], acl: Option<&Vec<Acl>>, version: i32) -> Outcome {
        let id = self.find(path).ok_or(code::NO_NODE)?;
        let slot = self.acls.add(acl);
        self.set_acl_slot(id, path, slot);
        self.nodes.get_mut(id).aversion = version;
        self.redigest(id, path);
        Ok(Some(self.stat(id)))
    }

    /// The listed nodes in their order, whoever owns them, then what the session still has here. (Before 3.6
    /// there is no list.)
    fn kill_session(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        listed: &[Bytes],
        listener: &mut impl ChangeListener,
    ) {
        let mut own = self.ephemerals.of(session.0).cloned().unwrap_or_default();
        for path in listed {
            own.remove(path);
            // One that is gone already is no matter.
            _ = self.delete(path, zxid, listener);
        }
        for path in own {
            _ = self.delete(&path, zxid, listener);
        }
    }
}

fn error_part(err: i32) -> ProcessTxnResult {
    ProcessTxnResult { kind: op::ERROR, err, path: Bytes::new(), stat: None, multi: Vec::new() }
}

fn failed_multi(txn: &MultiTxn) -> Vec<ProcessTxnResult> {
    let mut failed = false;
    let parts = txn.txns.iter().map(|part| {
        let err = match part.kind {
            // The data may still be the operation's; its beginning is no code then.
            op::ERROR => match part.data.as_deref() {
                Some(&[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]),
                _ if failed => code::RUNTIME_INCONSISTENCY,
                _ => code::OK,
            },
            _ if failed => code::RUNTIME_INCONSISTENCY,
            _ => code::OK,
        };
        failed |= err != code::OK;
        error_part(err)
    });
    parts.collect()
}
