//! The four kinds of create.

use bytes::Bytes;
use wire::client::{CreateRequest, CreateTTLRequest};
use wire::codes::perms;
use wire::path::validate_path;
use wire::txn::{CreateContainerTxn, CreateTTLTxn, CreateTxn};
use wire::{CreateMode, StatPersisted, TxnBody, code, op};

use super::{ChangeRecord, Ctx, PrepRequestProcessor, Prepared, check_quota};
use crate::acl::fixup_acl;
use crate::data_tree::{CONTAINER_OWNER, EphemeralType, listed_len, split};

pub(super) fn without_ttl(create: CreateTTLRequest) -> (CreateRequest, i64) {
    let CreateTTLRequest { path, data, acl, flags, ttl } = create;
    (CreateRequest { path, data, acl, flags }, ttl)
}

/// The mode that the flags ask for, with the owner of the node; 0 stands for the session in ephemeral modes.
///
/// | flags, type, ttl | |
/// |---|---|
/// | none of 0 to 6 | BadArguments |
/// | with TTL (5, 6), which is not enabled | Unimplemented |
/// | with TTL, in another type than createTTL, or the ttl out of range | BadArguments |
/// | createTTL without | BadArguments: Java makes a transaction of it that ends every server |
/// | container (4) in another type than createContainer, or the reverse | BadArguments: Java's servers disagree about the node |
fn mode(kind: i32, flags: i32, ttl: Option<i64>, extended_types: bool) -> Result<(CreateMode, i64), i32> {
    let mode = CreateMode::of(flags).ok_or(code::BAD_ARGUMENTS)?;
    if mode.is_ttl() {
        if !extended_types {
            return Err(code::UNIMPLEMENTED);
        }
        let owner = ttl.and_then(EphemeralType::ttl_owner).ok_or(code::BAD_ARGUMENTS)?;
        return Ok((mode, owner));
    }
    if kind == op::CREATE_TTL || mode.is_container() != (kind == op::CREATE_CONTAINER) {
        return Err(code::BAD_ARGUMENTS);
    }
    Ok((mode, if mode.is_container() { CONTAINER_OWNER } else { 0 }))
}

impl PrepRequestProcessor {
    /// `pRequest2TxnCreate`. `ttl` is there in a createTTL.
    pub(super) fn create(
        &mut self,
        ctx: &Ctx<'_>,
        kind: i32,
        create: CreateRequest,
        ttl: Option<i64>,
    ) -> Prepared {
        let (mode, mut owner) = mode(kind, create.flags, ttl, ctx.settings.extended_types)?;
        self.check_session(ctx)?;
        if mode.is_ephemeral() {
            self.check_global_session(ctx)?;
            owner = ctx.request.session.0;
        }
        let (parent_path, _) =
            split(&create.path).filter(|_| !create.path.contains(&0)).ok_or(code::BAD_ARGUMENTS)?;
        let acl = fixup_acl(ctx.request.auth, create.acl.as_ref())?;
        let mut parent = self.changes.get(ctx.tree, parent_path)?;
        self.check_acl(ctx, parent_path, &parent, perms::CREATE)?;
        let before = parent.stat();
        let path = match mode.is_sequential() {
            true => Bytes::from([&create.path[..], format!("{:010}", before.cversion).as_bytes()].concat()),
            false => create.path.clone(),
        };
        validate_path(&path).map_err(|_| code::BAD_ARGUMENTS)?;
        if self.changes.exists(ctx.tree, &path) {
            return Err(code::NODE_EXISTS);
        }
        if EphemeralType::of(before.ephemeral_owner).is_session() {
            return Err(code::NO_CHILDREN_FOR_EPHEMERALS);
        }
        if mode.is_ephemeral() {
            self.check_ephemerals(ctx, &path)?;
        }
        check_quota(ctx, &path, 1, create.data.as_ref().map_or(0, Bytes::len) as i64)?;

        let parent_c_version = before.cversion.wrapping_add(1);
        let stat = parent.stat_mut();
        // As the tree will take it: where the number wraps around, the parent keeps its counters.
        if parent_c_version > before.cversion {
            (stat.cversion, stat.pzxid) = (parent_c_version, ctx.zxid);
        }
        parent.child_count += 1;
        self.changes.add(ctx.tree, ctx.zxid, parent_path, parent);
        let stat = StatPersisted {
            czxid: ctx.zxid,
            mzxid: ctx.zxid,
            ctime: ctx.time_ms,
            mtime: ctx.time_ms,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: owner,
            pzxid: ctx.zxid,
        };
        let node = ChangeRecord::created(stat, acl.clone(), create.data.clone());
        self.changes.add(ctx.tree, ctx.zxid, &path, node);
        let (data, acl) = (create.data, Some(acl));
        let body = match kind {
            op::CREATE_CONTAINER => {
                TxnBody::CreateContainer(CreateContainerTxn { path, data, acl, parent_c_version })
            }
            op::CREATE_TTL => {
                let ttl = ttl.unwrap_or_default();
                TxnBody::CreateTTL(CreateTTLTxn { path, data, acl, parent_c_version, ttl })
            }
            _ => {
                let ephemeral = mode.is_ephemeral();
                TxnBody::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version })
            }
        };
        Ok((kind, body))
    }

    /// A session that nobody knows must not own nodes: nothing would ever take them away.
    fn check_global_session(&self, ctx: &Ctx<'_>) -> Result<(), i32> {
        let session = ctx.request.session;
        if ctx.db.session_timeout(session).is_some() || self.opening.contains_key(&session) {
            Ok(())
        } else {
            Err(code::SESSION_EXPIRED)
        }
    }

    /// The end of a session lists its nodes, and must not be too long to be read: an ensemble of Java servers
    /// does not get over that (ZOOKEEPER-4306). Ephemerals beyond are refused as if there were a quota.
    fn check_ephemerals(&self, ctx: &Ctx<'_>, path: &[u8]) -> Result<(), i32> {
        let before = self.changes.ephemerals_listed_len(ctx.tree, ctx.request.session.0);
        if before + listed_len(path) > ctx.max_listed() { Err(code::QUOTA_EXCEEDED) } else { Ok(()) }
    }
}
