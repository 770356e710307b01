//! `PrepRequestProcessor`: makes a transaction of every write, on the leader. It checks the request against
//! the tree and the changes that are prepared and not yet applied; a request that fails becomes an error
//! transaction, which takes its zxid like any other.

mod create;
mod multi;
mod outstanding_changes;

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::client::{BodyError, CheckVersionRequest, DeleteRequest, Request, SetACLRequest, SetDataRequest};
use wire::codes::perms;
use wire::path::validate_path;
use wire::txn::{
    CheckVersionTxn, CloseSessionTxn, CreateSessionTxn, DeleteTxn, ErrorTxn, SetACLTxn, SetDataTxn,
};
use wire::{SessionId, Txn, TxnBody, TxnDigest, TxnHeader, Zxid, code, op};
use zab::state_machine::WriteRequest;

use crate::acl::{check_acl, fixup_acl};
use crate::data_tree::{
    CONFIG_NODE, DIGEST_VERSION, DataTree, EphemeralType, StatsTrack, is_special, limit_path, listed_len,
    split,
};
use crate::settings::Settings;
use crate::zk_database::ZkDatabase;

use outstanding_changes::{ChangeRecord, OutstandingChanges};

/// Of the longest closeSession, what stands beside its paths: a header, a count and a digest.
const BESIDE_LISTED: usize = 64;

#[derive(Clone, Debug, Default)]
pub struct PrepRequestProcessor {
    changes: OutstandingChanges,
    /// Sessions whose opening or closing is prepared, with its zxid.
    opening: BTreeMap<SessionId, Zxid>,
    closing: BTreeMap<SessionId, Zxid>,
}

/// What is the same for all parts of one request.
struct Ctx<'a> {
    db: &'a ZkDatabase,
    tree: &'a DataTree,
    settings: &'a Settings,
    request: &'a WriteRequest<'a>,
    zxid: Zxid,
    time_ms: i64,
}

impl Ctx<'_> {
    /// Bytes of paths that a closeSession may list.
    fn max_listed(&self) -> usize {
        self.settings.max_txn.saturating_sub(BESIDE_LISTED)
    }
}

/// The type of the transaction and its body, or the error code of the request.
type Prepared = Result<(i32, TxnBody), i32>;

impl PrepRequestProcessor {
    /// The transaction for a request.
    pub fn request_to_txn(
        &mut self,
        db: &ZkDatabase,
        settings: &Settings,
        zxid: Zxid,
        time_ms: i64,
        request: &WriteRequest<'_>,
    ) -> Bytes {
        let ctx = Ctx { db, tree: &db.tree, settings, request, zxid, time_ms };
        let prepared = decode(request).and_then(|decoded| self.prepare(&ctx, decoded));
        let txn = self.encoded(&ctx, prepared);
        if txn.len() <= settings.max_txn {
            return txn;
        }
        self.changes.roll_back(zxid);
        self.encoded(&ctx, Err(code::MARSHALLING_ERROR))
    }

    /// With the tree's digest, but for errors, and where a Java server would take the digest for the record.
    fn encoded(&self, ctx: &Ctx<'_>, prepared: Prepared) -> Bytes {
        let with_digest = !matches!(prepared, Err(_) | Ok((_, TxnBody::CloseSession(None))));
        let digest = with_digest.then(|| TxnDigest {
            version: DIGEST_VERSION,
            tree_digest: self.changes.tree_digest(ctx.tree) as i64,
        });
        let (kind, body) = prepared.unwrap_or_else(|err| (op::ERROR, TxnBody::Error(ErrorTxn { err })));
        let WriteRequest { session, cxid, .. } = *ctx.request;
        let header = TxnHeader { client_id: session, cxid, zxid: ctx.zxid, time_ms: ctx.time_ms, kind };
        Txn::new(header, body, digest).to_bytes()
    }

    /// Transactions up to this one are applied.
    pub fn applied(&mut self, header: &TxnHeader) {
        let TxnHeader { client_id: session, zxid, kind, .. } = header;
        self.changes.applied(*zxid);
        let pending = match *kind {
            op::CREATE_SESSION => &mut self.opening,
            op::CLOSE_SESSION => &mut self.closing,
            _ => return,
        };
        if pending.get(session).is_some_and(|at| at <= zxid) {
            pending.remove(session);
        }
    }

    /// Only with `create-after-close`.
    pub fn stays_open(&mut self, session: SessionId) {
        self.closing.remove(&session);
    }

    /// Changes that are prepared and not applied, one for each node and transaction.
    pub fn outstanding_changes(&self) -> usize {
        self.changes.len()
    }

    /// What was prepared will never be applied.
    pub fn forget(&mut self) {
        *self = PrepRequestProcessor::default();
    }

    /// `pRequest2Txn`. The order of checks is Java's: the first that fails is the answer.
    fn prepare(&mut self, ctx: &Ctx<'_>, request: Request) -> Prepared {
        match request {
            Request::Create(create) => self.create(ctx, op::CREATE, create, None),
            Request::Create2(create) => self.create(ctx, op::CREATE2, create, None),
            Request::CreateContainer(create) => self.create(ctx, op::CREATE_CONTAINER, create, None),
            Request::CreateTTL(create) => {
                let (create, ttl) = create::without_ttl(create);
                self.create(ctx, op::CREATE_TTL, create, Some(ttl))
            }
            Request::Delete(delete) => self.delete(ctx, delete),
            // Only the leader's container manager asks, with no session. Java obeys clients as well.
            Request::DeleteContainer(delete) if ctx.request.session == SessionId(0) => {
                self.delete_container(ctx, delete.path)
            }
            Request::SetData(set) => self.set_data(ctx, set),
            Request::SetACL(set) => self.set_acl(ctx, set),
            Request::Multi(multi) => self.multi(ctx, multi),
            Request::Reconfig(_) => self.reconfig(ctx),
            Request::CreateSession(create) => {
                if let Some(err) = ctx.request.session_error {
                    return Err(err);
                }
                self.closing.remove(&ctx.request.session);
                self.opening.insert(ctx.request.session, ctx.zxid);
                let body = TxnBody::CreateSession(CreateSessionTxn { time_out: create.time_out });
                Ok((op::CREATE_SESSION, body))
            }
            Request::CloseSession => Ok(self.close_session(ctx)),
            // A check stands in a multi only.
            _ => Err(code::UNIMPLEMENTED),
        }
    }

    fn check_session(&self, ctx: &Ctx<'_>) -> Result<(), i32> {
        match ctx.request.session_error {
            Some(err) => Err(err),
            None if self.closing.contains_key(&ctx.request.session) => Err(code::SESSION_EXPIRED),
            None => Ok(()),
        }
    }

    fn check_acl(&self, ctx: &Ctx<'_>, path: &[u8], record: &ChangeRecord, perms: i32) -> Result<(), i32> {
        if ctx.settings.skip_acl {
            return Ok(());
        }
        check_acl(self.changes.acl(ctx.tree, path, record), perms, ctx.request.auth)
    }

    fn delete(&mut self, ctx: &Ctx<'_>, delete: DeleteRequest) -> Prepared {
        self.check_session(ctx)?;
        let parent_path = parent_of_deletable(&delete.path)?;
        let parent = self.changes.get(ctx.tree, parent_path)?;
        self.check_acl(ctx, parent_path, &parent, perms::DELETE)?;
        let node = self.changes.get(ctx.tree, &delete.path)?;
        next_version(node.stat().version, delete.version)?;
        if node.child_count > 0 {
            return Err(code::NOT_EMPTY);
        }
        self.add_delete(ctx, (&delete.path, &node), (parent_path, parent));
        Ok((op::DELETE, TxnBody::Delete(DeleteTxn { path: delete.path })))
    }

    fn delete_container(&mut self, ctx: &Ctx<'_>, path: Bytes) -> Prepared {
        let parent_path = parent_of_deletable(&path)?;
        let node = self.changes.get(ctx.tree, &path)?;
        if node.child_count > 0 {
            return Err(code::NOT_EMPTY);
        }
        if EphemeralType::of(node.stat().ephemeral_owner).is_session() {
            return Err(code::BAD_VERSION);
        }
        let parent = self.changes.get(ctx.tree, parent_path)?;
        self.add_delete(ctx, (&path, &node), (parent_path, parent));
        Ok((op::DELETE_CONTAINER, TxnBody::Delete(DeleteTxn { path })))
    }

    fn add_delete(
        &mut self,
        ctx: &Ctx<'_>,
        (path, node): (&[u8], &ChangeRecord),
        (parent_path, mut parent): (&[u8], ChangeRecord),
    ) {
        parent.child_count -= 1;
        parent.stat_mut().pzxid = ctx.zxid;
        self.changes.add(ctx.tree, ctx.zxid, parent_path, parent);
        self.changes.add(ctx.tree, ctx.zxid, path, node.deleted());
    }

    fn set_data(&mut self, ctx: &Ctx<'_>, set: SetDataRequest) -> Prepared {
        self.check_session(ctx)?;
        validate_path(&set.path).map_err(|_| code::BAD_ARGUMENTS)?;
        let mut node = self.changes.get(ctx.tree, &set.path)?;
        self.check_acl(ctx, &set.path, &node, perms::WRITE)?;
        let before = self.changes.data(ctx.tree, &set.path, &node).map_or(0, <[u8]>::len);
        let after = set.data.as_ref().map_or(0, Bytes::len);
        check_quota(ctx, &set.path, 0, after as i64 - before as i64)?;
        let version = next_version(node.stat().version, set.version)?;
        let stat = node.stat_mut();
        (stat.version, stat.mtime, stat.mzxid) = (version, ctx.time_ms, ctx.zxid);
        node.data = Some(set.data.clone());
        self.changes.add(ctx.tree, ctx.zxid, &set.path, node);
        Ok((op::SET_DATA, TxnBody::SetData(SetDataTxn { path: set.path, data: set.data, version })))
    }

    /// What the request says the leader has read: here stands the text that came of it.
    fn reconfig(&mut self, ctx: &Ctx<'_>) -> Prepared {
        let config = ctx.request.config.clone().ok_or(code::RECONFIG_DISABLED)?;
        self.check_session(ctx)?;
        let (path, data) = (Bytes::from_static(CONFIG_NODE), Some(config?));
        let mut node = self.changes.get(ctx.tree, &path)?;
        self.check_acl(ctx, &path, &node, perms::WRITE)?;
        let stat = node.stat_mut();
        (stat.version, stat.mtime, stat.mzxid) = (-1, ctx.time_ms, ctx.zxid);
        node.data = Some(data.clone());
        self.changes.add(ctx.tree, ctx.zxid, &path, node);
        Ok((op::RECONFIG, TxnBody::SetData(SetDataTxn { path, data, version: -1 })))
    }

    fn set_acl(&mut self, ctx: &Ctx<'_>, set: SetACLRequest) -> Prepared {
        self.check_session(ctx)?;
        validate_path(&set.path).map_err(|_| code::BAD_ARGUMENTS)?;
        let acl = fixup_acl(ctx.request.auth, set.acl.as_ref())?;
        let mut node = self.changes.get(ctx.tree, &set.path)?;
        self.check_acl(ctx, &set.path, &node, perms::ADMIN)?;
        let version = next_version(node.stat().aversion, set.version)?;
        node.stat_mut().aversion = version;
        node.acl = Some(std::sync::Arc::new(acl.clone()));
        self.changes.add(ctx.tree, ctx.zxid, &set.path, node);
        Ok((op::SET_ACL, TxnBody::SetACL(SetACLTxn { path: set.path, acl: Some(acl), version })))
    }

    fn check(&mut self, ctx: &Ctx<'_>, check: CheckVersionRequest) -> Prepared {
        self.check_session(ctx)?;
        validate_path(&check.path).map_err(|_| code::BAD_ARGUMENTS)?;
        let node = self.changes.get(ctx.tree, &check.path)?;
        self.check_acl(ctx, &check.path, &node, perms::READ)?;
        let version = next_version(node.stat().version, check.version)?;
        Ok((op::CHECK, TxnBody::CheckVersion(CheckVersionTxn { path: check.path, version })))
    }

    /// The session's nodes go with it: those that are there and stay until then, and those that will be made
    /// until then. It may be expired, or another server's: nothing is checked.
    ///
    /// A list that is too long (another leader's session; ours get no such) is left out, as before 3.6: then
    /// each server removes what it knows of.
    fn close_session(&mut self, ctx: &Ctx<'_>) -> (i32, TxnBody) {
        let session = ctx.request.session;
        let paths = self.changes.ephemerals(ctx.tree, session.0);
        for path in &paths {
            let parent = split(path).map(|(parent, _)| parent);
            if let Some(parent_path) = parent
                && let Ok(parent) = self.changes.get(ctx.tree, parent_path)
                && let Ok(node) = self.changes.get(ctx.tree, path)
            {
                self.add_delete(ctx, (path, &node), (parent_path, parent));
            }
        }
        self.opening.remove(&session);
        self.closing.insert(session, ctx.zxid);
        let listed = paths.iter().map(|path| listed_len(path)).sum::<usize>() <= ctx.max_listed();
        let body = listed.then(|| CloseSessionTxn { paths2_delete: paths.into_iter().collect() });
        (op::CLOSE_SESSION, TxnBody::CloseSession(body))
    }
}

fn decode(request: &WriteRequest<'_>) -> Result<Request, i32> {
    Request::decode(request.op, request.body.clone()).map_err(|why| match why {
        BodyError::Unimplemented(_) => code::UNIMPLEMENTED,
        BodyError::Malformed(_) => code::MARSHALLING_ERROR,
    })
}

/// -1 matches any version; versions wrap around.
fn next_version(current: i32, expected: i32) -> Result<i32, i32> {
    if expected != -1 && expected != current {
        return Err(code::BAD_VERSION);
    }
    Ok(current.wrapping_add(1))
}

/// `getParentPathAndValidate`.
fn parent_of_deletable(path: &[u8]) -> Result<&[u8], i32> {
    match split(path) {
        Some((parent, _)) if !path.contains(&0) && !is_special(path) => Ok(parent),
        _ => Err(code::BAD_ARGUMENTS),
    }
}

/// `checkQuota`: hard limits of the deepest path with limits, against what the server has counted there.
/// Applied changes count only.
fn check_quota(ctx: &Ctx<'_>, path: &[u8], count: i64, bytes: i64) -> Result<(), i32> {
    if !ctx.settings.enforce_quota {
        return Ok(());
    }
    let Some(of) = ctx.tree.max_prefix_with_quota(path) else { return Ok(()) };
    let Some(limits) = ctx.tree.find(&limit_path(of)) else { return Ok(()) };
    let limits = StatsTrack::parse(ctx.tree.node(limits).data());
    let Some(stats) = ctx.tree.quota_stats(of) else { return Ok(()) };
    let exceeds =
        |now: i64, more: i64, limit: i64| more != 0 && limit > -1 && now.saturating_add(more) > limit;
    if exceeds(stats.count(), count, limits.count_hard_limit())
        || exceeds(stats.bytes(), bytes, limits.byte_hard_limit())
    {
        return Err(code::QUOTA_EXCEEDED);
    }
    Ok(())
}
