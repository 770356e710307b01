//! READ: what a reply at zxid z tells of the tree is the tree at z.
//!
//! A server's reply carries the zxid of the last transaction it applied; the history up to there fixes the
//! whole tree, wherever the server stands. So every field of every reply follows from `TreeHistory`: data,
//! all of Stat, children, ephemerals. (That z never steps back for a session, and is not behind its own
//! writes, are MONR and RYW.) A part of a multi shows the tree behind that part. NoAuth is right exactly where
//! the ACL says so, as far as that does not depend on who asks.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::client::{
    ErrorResponse, GetChildrenRequest, GetDataRequest, GetDataResponse, Op, OpResult, Request, Response,
};
use wire::codes::perms;
use wire::{SessionId, Stat, Zxid, code, op};

use super::history::{Part, Rights, TreeHistory};

/// What is wrong with an answer, if anything.
pub(crate) fn judge(
    h: &TreeHistory,
    session: SessionId,
    zxid: Zxid,
    request: &Request,
    result: Result<&Response, i32>,
) -> Option<String> {
    let there = |path: &Bytes| h.at(path, zxid).is_some();
    let wrong = |path: &Bytes, what: String| Some(format!("{} {what}", String::from_utf8_lossy(path)));
    match (request, result) {
        (Request::Exists(r), Err(code::NO_NODE)) if there(&r.path) => wrong(&r.path, "is not found".into()),
        (Request::GetData(r), Err(code::NO_NODE)) if there(&r.path) => wrong(&r.path, "is not found".into()),
        (Request::GetChildren(r), Err(code::NO_NODE)) if there(&r.path) => {
            wrong(&r.path, "is not found".into())
        }
        (Request::GetChildren2(r), Err(code::NO_NODE)) if there(&r.path) => {
            wrong(&r.path, "is not found".into())
        }
        (Request::Exists(r), Ok(Response::Exists(found))) => stat(h, &r.path, zxid, &found.stat),
        (Request::GetData(r), Ok(Response::GetData(found))) if r.path != CONFIG_NODE => {
            stat(h, &r.path, zxid, &found.stat).or_else(|| data(h, &r.path, zxid, found.data.as_ref()))
        }
        (Request::GetChildren(r), Ok(Response::GetChildren(found))) => {
            children(h, &r.path, zxid, &found.children)
        }
        (Request::GetChildren2(r), Ok(Response::GetChildren2(found))) => {
            stat(h, &r.path, zxid, &found.stat).or_else(|| children(h, &r.path, zxid, &found.children))
        }
        (Request::GetACL(r), Ok(Response::GetACL(found))) => {
            let rights = h.at(&r.path, zxid).map(|node| node.acl);
            let told = Rights::of(found.acl.as_ref());
            stat(h, &r.path, zxid, &found.stat).or_else(|| {
                (rights != Some(told)).then(|| format!("the ACL allows {told:?}, which is {rights:?}"))
            })
        }
        (Request::SetData(r), Ok(Response::SetData(found))) => stat(h, &r.path, zxid, &found.stat),
        (Request::SetACL(r), Ok(Response::SetACL(found))) => stat(h, &r.path, zxid, &found.stat),
        (_, Ok(Response::Create2(made))) => stat(h, &made.path, zxid, &made.stat),
        (_, Ok(Response::Create(made))) if !there(&made.path) => wrong(&made.path, "was not made".into()),
        (Request::GetAllChildrenNumber(r), Ok(Response::GetAllChildrenNumber(found))) => {
            let number = h.descendants(&r.path, zxid) as i32;
            (number != found.total_number)
                .then(|| format!("{} nodes below, which are {number}", found.total_number))
        }
        (Request::GetEphemerals(_), Ok(Response::GetEphemerals(found))) => {
            let owned = h.owned_by(session.0, zxid);
            let mut told = found.ephemerals.clone();
            told.sort_unstable();
            (told != owned).then(|| format!("ephemerals {told:?}, which are {owned:?}"))
        }
        (Request::Multi(_), Ok(Response::Multi(found))) => parts(h, zxid, &found.results),
        (Request::MultiRead(r), Ok(Response::Multi(found))) => {
            r.ops.iter().zip(&found.results).find_map(|(op, result)| part(h, zxid, op, result))
        }
        _ => None,
    }
}

/// Is it rightly allowed, or refused, by the ACL?
pub(crate) fn rights(
    h: &TreeHistory,
    zxid: Zxid,
    request: &Request,
    result: Result<&Response, i32>,
) -> Option<String> {
    // Only `super` may, which no client of the tree is.
    if let (Request::Reconfig(_), Ok(_)) = (request, result) {
        return Some("it may reconfigure".into());
    }
    // A write is judged by the tree before it.
    let before = Zxid(zxid.0.saturating_sub(1));
    let (zxid, path, needed) = match request {
        Request::Exists(r) => (zxid, &r.path, perms::READ),
        Request::GetData(r) => (zxid, &r.path, perms::READ),
        Request::GetChildren(r) => (zxid, &r.path, perms::READ),
        Request::GetChildren2(r) => (zxid, &r.path, perms::READ),
        Request::GetACL(r) => (zxid, &r.path, perms::READ | perms::ADMIN),
        Request::SetData(r) => (before, &r.path, perms::WRITE),
        Request::SetACL(r) => (before, &r.path, perms::ADMIN),
        _ => return None,
    };
    allowed(h, zxid, path, needed, result.map(|_| ()))
}

fn allowed(h: &TreeHistory, zxid: Zxid, path: &[u8], needed: i32, result: Result<(), i32>) -> Option<String> {
    let allows = h.at(path, zxid)?.acl.allow(needed)?;
    let wrong = match result {
        Ok(()) => !allows,
        Err(code::NO_AUTH) => allows,
        Err(_) => false,
    };
    let path = String::from_utf8_lossy(path);
    wrong.then(|| format!("{path} is {}", if allows { "refused" } else { "told, and is hidden" }))
}

/// What a multi did, part by part.
fn parts(h: &TreeHistory, zxid: Zxid, told: &[OpResult]) -> Option<String> {
    let is = |told: &OpResult, part: &Part| match told {
        OpResult::Create(made) => part.kind == op::CREATE && made.path == part.path,
        OpResult::Create2(made) => made.path == part.path && Some(made.stat) == part.stat,
        OpResult::SetData(set) => part.kind == op::SET_DATA && Some(set.stat) == part.stat,
        OpResult::Delete => part.kind == op::DELETE,
        OpResult::Check => part.kind == op::CHECK,
        _ => false,
    };
    let multi = h.multi_at(zxid)?;
    let right = match multi {
        Ok(parts) => told.len() == parts.len() && told.iter().zip(parts).all(|(told, part)| is(told, part)),
        Err(errors) => {
            let errors = errors.iter().map(|err| OpResult::Error(ErrorResponse { err: *err }));
            told.iter().cloned().eq(errors)
        }
    };
    (!right).then(|| format!("the multi's results are {told:?}, and should be {multi:?}"))
}

const CONFIG_NODE: &[u8] = b"/zookeeper/config";

/// A configuration may stand in no transaction: each member has it from its own file or from the leader, and all that have
/// one version have the same; that is the mzxid, too. The mtime is when it was reconfigured, or the member began to serve.
/// `known`: as they were told first, by version. Of files (0) there may be several: who left has one of its own. Once there was
/// a reconfig, it is that of the last one before the reply.
pub(crate) fn configuration(
    h: &TreeHistory,
    known: &mut BTreeMap<Zxid, Bytes>,
    zxid: Zxid,
    request: &Request,
    result: Result<&Response, i32>,
) -> Option<String> {
    let Request::GetData(get) = request else { return None };
    if get.path != CONFIG_NODE {
        return None;
    }
    let Ok(Response::GetData(GetDataResponse { data: Some(data), stat })) = result else {
        return Some(format!("the configuration is told as {result:?}"));
    };
    let Some((members, version)) = members_and_version(data) else {
        return Some(format!("the configuration is {data:?}, without a version"));
    };
    let expected = Stat {
        mtime: stat.mtime,
        mzxid: version,
        version: -1,
        aversion: -1,
        data_length: data.len() as i32,
        ..Stat::default()
    };
    if let Some(node) = h.at(CONFIG_NODE, zxid)
        && node.mzxid > Zxid::ZERO
        && (node.mzxid, node.data.as_ref()) != (version, Some(data))
    {
        return Some(format!("the configuration is {data:?}, and was reconfigured at {}", node.mzxid));
    }
    let known = known.entry(version).or_insert_with(|| data.clone());
    let is_known =
        version == Zxid::ZERO || members_and_version(known).is_some_and(|(known, _)| known == members);
    (!is_known || *stat != expected)
        .then(|| format!("the configuration is {data:?} with {stat:?}, which is {known:?}"))
}

/// `...version=V`
fn members_and_version(data: &[u8]) -> Option<(&[u8], Zxid)> {
    let begin = data.windows(8).rposition(|word| word == b"version=")?;
    let hex = std::str::from_utf8(&data[begin + 8..]).ok()?;
    Some((&data[..begin], Zxid(i64::from_str_radix(hex, 16).ok()?)))
}

fn part(h: &TreeHistory, zxid: Zxid, op: &Op, result: &OpResult) -> Option<String> {
    let err = if let OpResult::Error(error) = result { Err(error.err) } else { Ok(()) };
    if let Op::GetData(GetDataRequest { path, .. }) | Op::GetChildren(GetChildrenRequest { path, .. }) = op
        && let Some(what) = allowed(h, zxid, path, perms::READ, err)
    {
        return Some(what);
    }
    match (op, result) {
        (Op::GetData(r), OpResult::GetData(found)) => {
            stat(h, &r.path, zxid, &found.stat).or_else(|| data(h, &r.path, zxid, found.data.as_ref()))
        }
        (Op::GetChildren(r), OpResult::GetChildren(found)) => children(h, &r.path, zxid, &found.children),
        (Op::GetData(r), OpResult::Error(e)) if e.err == code::NO_NODE && h.at(&r.path, zxid).is_some() => {
            Some(format!("{} is not found", String::from_utf8_lossy(&r.path)))
        }
        _ => None,
    }
}

fn stat(h: &TreeHistory, path: &[u8], zxid: Zxid, told: &Stat) -> Option<String> {
    let expected = h.stat(path, zxid);
    if expected.as_ref() == Some(told) {
        return None;
    }
    let path = String::from_utf8_lossy(path);
    Some(match expected {
        None => format!("{path} is told to be there, made at {}", told.czxid),
        Some(expected) => format!("{path} has {told:?}, which is {expected:?}"),
    })
}

fn data(h: &TreeHistory, path: &[u8], zxid: Zxid, told: Option<&Bytes>) -> Option<String> {
    let expected = h.at(path, zxid)?.data.as_ref();
    (expected != told)
        .then(|| format!("{} has data {told:?}, which is {expected:?}", String::from_utf8_lossy(path)))
}

fn children(h: &TreeHistory, path: &[u8], zxid: Zxid, told: &[Bytes]) -> Option<String> {
    let expected = h.children(path, zxid);
    let mut told = told.to_vec();
    told.sort_unstable();
    (expected != told)
        .then(|| format!("{} has children {told:?}, which are {expected:?}", String::from_utf8_lossy(path)))
}

#[cfg(test)]
mod tests {
    use wire::client::{
        CreateResponse, ErrorResponse, ExistsResponse, GetDataResponse, MultiRequest, MultiResponse,
        OpResult, Request, Response, SetDataRequest, SetDataResponse,
    };
    use wire::codes::perms;
    use wire::txn::{ErrorTxn, TxnBody};
    use wire::{Stat, Zxid, code, op};

    use crate::tree::testing::*;

    #[test]
    fn reads_at_every_zxid() {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        let set_at = run.commit(A, 2, set("/a", "w", 1));
        let gone = run.commit(A, 3, delete("/a"));
        for zxid in [z(1), made, set_at, gone] {
            let read = wire::client::Request::GetData(wire::client::GetDataRequest {
                path: "/a".into(),
                watch: false,
            });
            run.answer_rightly(zxid, &read);
        }
        run.sound();
    }

    #[test]
    fn an_older_state_than_the_replys() {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        let set_at = run.commit(A, 2, set("/a", "w", 1));
        let stat = run.stat("/a", made);
        run.answer(set_at, &exists("/a"), Ok(&Response::Exists(ExistsResponse { stat })));
        run.first_is("READ");
    }

    #[test]
    fn other_data() {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        let found = GetDataResponse { data: Some("w".into()), stat: run.stat("/a", made) };
        run.answer(made, &get("/a"), Ok(&Response::GetData(found)));
        run.first_is("READ");
    }

    #[test]
    fn a_node_that_is_there_and_not_found() {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        run.answer(made, &get("/a"), Err(code::NO_NODE));
        run.first_is("READ");
    }

    #[test]
    fn what_acls_hide() {
        let hidden = perms::ALL & !perms::READ;
        for (allows, told, right) in [
            (hidden, true, false),
            (hidden, false, true),
            (perms::READ, true, true),
            (perms::READ, false, false),
        ] {
            let mut run = TreeRun::new();
            let made = run.commit(A, 1, create_allowing("/a", allows));
            if told {
                run.answer_rightly(made, &get("/a"));
            } else {
                run.answer(made, &get("/a"), Err(code::NO_AUTH));
            }
            if right { run.sound() } else { run.first_is("READ") }
        }
    }

    #[test]
    fn a_write_that_the_acl_refuses() {
        let set = |path: &str| {
            let data = Some("w".into());
            Request::SetData(SetDataRequest { path: path.to_owned().into(), data, version: -1 })
        };
        for (allows, right) in [(perms::READ, true), (perms::WRITE, false)] {
            let mut run = TreeRun::new();
            run.commit(A, 1, create_allowing("/a", allows));
            let refused = run.commit(A, 2, error());
            run.answer(refused, &set("/a"), Err(code::NO_AUTH));
            if right { run.sound() } else { run.first_is("READ") }
        }
    }

    /// Set twice and deleted, in one multi: each part tells what it left.
    #[test]
    fn the_parts_of_a_multi() {
        let parts = || vec![create("/a", false), set("/a", "w", 1), set("/a", "longer", 2)];
        for wrong in [None, Some(1), Some(2)] {
            let mut run = TreeRun::new();
            let zxid = run.commit(A, 1, multi(parts()));
            let last = run.stat("/a", zxid);
            let first = wire::Stat { version: 1, data_length: 1, ..last };
            let mut results = vec![
                OpResult::Create(CreateResponse { path: "/a".into() }),
                OpResult::SetData(SetDataResponse { stat: first }),
                OpResult::SetData(SetDataResponse { stat: last }),
            ];
            match wrong {
                Some(2) => _ = results.pop(),
                Some(at) => results[at] = OpResult::SetData(SetDataResponse { stat: last }),
                None => {}
            }
            let asked = Request::Multi(MultiRequest { ops: Vec::new() });
            run.answer(zxid, &asked, Ok(&Response::Multi(MultiResponse { results })));
            if wrong.is_none() { run.sound() } else { run.first_is("READ") }
        }
    }

    #[test]
    fn the_parts_of_a_multi_that_failed() {
        for (told, right) in [([0, -110, -2], true), ([0, -110, 0], false), ([-110, 0, -2], false)] {
            let mut run = TreeRun::new();
            let error = |err| (op::ERROR, TxnBody::Error(ErrorTxn { err }));
            let zxid = run.commit(A, 1, multi(vec![error(0), error(-110), error(-2)]));
            let results = told.map(|err| OpResult::Error(ErrorResponse { err })).into();
            let asked = Request::Multi(MultiRequest { ops: Vec::new() });
            run.answer(zxid, &asked, Ok(&Response::Multi(MultiResponse { results })));
            if right { run.sound() } else { run.first_is("READ") }
        }
    }

    /// Told twice: the same, but for when the member began to serve; and then something else.
    #[test]
    fn the_configuration() {
        let text = |text: &str, mtime, version| {
            let data_length = text.len() as i32;
            let mzxid = Zxid(i64::from(text.ends_with("version=a")) * 10);
            let stat = Stat { mtime, mzxid, version, aversion: -1, data_length, ..Stat::default() };
            Response::GetData(GetDataResponse { data: Some(text.to_owned().into()), stat })
        };
        let get = get("/zookeeper/config");
        let others = [
            // Not its mzxid; another version of the node; other members; no version.
            Ok(text("m\nversion=1", 3, -1)),
            Ok(text("m\nversion=0", 3, 0)),
            Ok(text("n\nversion=a", 3, -1)),
            Ok(text("m", 3, -1)),
            Err(code::NO_NODE),
            Err(code::NO_AUTH),
        ];
        for other in others {
            let mut run = TreeRun::new();
            run.answer(z(1), &get, Ok(&text("m\nversion=0", 1, -1)));
            run.answer(z(1), &get, Ok(&text("m\nversion=0", 2, -1)));
            run.answer(z(1), &get, Ok(&text("m\nversion=a", 2, -1)));
            run.sound();
            run.answer(z(1), &get, other.as_ref().map_err(|err| *err));
            run.first_is("READ");
        }
    }

    /// Version and data are those of the last reconfig before the reply.
    #[test]
    fn the_configuration_of_a_reconfig() {
        let text = |version: Zxid, word: &str| format!("{word}\nversion={:x}", version.0);
        let told = |version: Zxid, word: &str| {
            let data = text(version, word);
            let data_length = data.len() as i32;
            let stat = Stat { mzxid: version, version: -1, aversion: -1, data_length, ..Stat::default() };
            Response::GetData(GetDataResponse { data: Some(data.into()), stat })
        };
        let before = z(1);
        for (behind, version, word, right) in [
            (false, 0, "m", true),
            (true, 3, "n", true),
            (true, 0, "m", false),
            (true, 3, "m", false),
            (false, 3, "n", true),
        ] {
            let mut run = TreeRun::new();
            run.commit(A, 1, create("/a", false));
            let (_, body) = set("/zookeeper/config", &text(z(3), "n"), -1);
            let zxid = run.commit(A, 2, (op::RECONFIG, body));
            let zxid = if behind { zxid } else { before };
            run.answer(
                zxid,
                &get("/zookeeper/config"),
                Ok(&told(if version == 0 { Zxid::ZERO } else { z(version) }, word)),
            );
            if right { run.sound() } else { run.first_is("READ") }
        }
    }

    #[test]
    fn who_may_reconfigure() {
        let none = || wire::NullableString(None);
        let asked = Request::Reconfig(wire::client::ReconfigRequest {
            joining_servers: none(),
            leaving_servers: none(),
            new_members: none(),
            cur_config_id: -1,
        });
        let mut run = TreeRun::new();
        run.answer(z(1), &asked, Err(code::NO_AUTH));
        run.sound();
        let stat = Stat::default();
        run.answer(z(1), &asked, Ok(&Response::GetData(GetDataResponse { data: None, stat })));
        run.first_is("READ");
    }
}
