//! READ: what a reply at zxid z tells of the tree is the tree at z.
//!
//! A server's reply carries the zxid of the last transaction it applied; the history up to there fixes the
//! whole tree, wherever the server stands. So every field of every reply follows from `TreeHistory`: data,
//! all of Stat, children, ephemerals. (That z never steps back for a session, and is not behind its own
//! writes, are MONR and RYW.) Not judged: what ACLs hide, and parts of a multi, which show the tree amid it.

use bytes::Bytes;
use wire::client::{GetDataResponse, Op, OpResult, Request, Response};
use wire::{SessionId, Stat, Zxid, code};

use super::history::TreeHistory;

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
        (Request::GetACL(r), Ok(Response::GetACL(found))) => stat(h, &r.path, zxid, &found.stat),
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
        (Request::MultiRead(r), Ok(Response::Multi(found))) => {
            r.ops.iter().zip(&found.results).find_map(|(op, result)| part(h, zxid, op, result))
        }
        _ => None,
    }
}

const CONFIG_NODE: &[u8] = b"/zookeeper/config";

/// The configuration stands in no transaction: each member has it from its own file, and all have the same, but
/// for its mtime, when the member began to serve. `known`: as it was told first.
pub(crate) fn configuration(
    known: &mut Option<Bytes>,
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
    let expected = Stat {
        mtime: stat.mtime,
        version: -1,
        aversion: -1,
        data_length: data.len() as i32,
        ..Stat::default()
    };
    let known = known.get_or_insert_with(|| data.clone());
    let is_right = data == known && !data.is_empty() && *stat == expected;
    (!is_right).then(|| format!("the configuration is {data:?} with {stat:?}, which is {known:?}"))
}

fn part(h: &TreeHistory, zxid: Zxid, op: &Op, result: &OpResult) -> Option<String> {
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
    use wire::client::{ExistsResponse, GetDataResponse, Response};
    use wire::code;

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

    /// Told twice: the same, but for when the member began to serve; and then something else.
    #[test]
    fn the_configuration() {
        let text = |text: &str, mtime, version| {
            let stat = wire::Stat { mtime, version, aversion: -1, data_length: 9, ..wire::Stat::default() };
            Response::GetData(GetDataResponse { data: Some(text.to_owned().into()), stat })
        };
        let get = get("/zookeeper/config");
        let others = [
            Ok(text("version=1", 3, -1)),
            Ok(text("version=0", 3, 0)),
            Err(code::NO_NODE),
            Err(code::NO_AUTH),
        ];
        for other in others {
            let mut run = TreeRun::new();
            run.answer(z(1), &get, Ok(&text("version=0", 1, -1)));
            run.answer(z(1), &get, Ok(&text("version=0", 2, -1)));
            run.sound();
            run.answer(z(1), &get, other.as_ref().map_err(|err| *err));
            run.first_is("READ");
        }
    }
}
