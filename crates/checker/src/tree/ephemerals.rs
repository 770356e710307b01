//! EPH, the life of ephemeral nodes: one is made only by a session that is open, and goes with it: the
//! transaction that closes the session takes all that are its own, and nothing else.
//!
//! Judged by committed transactions, in their order; that members' trees follow them is READ and TREE.

use std::collections::BTreeSet;

use bytes::Bytes;
use wire::{SessionId, Txn, TxnBody, Zxid};

use super::history::TreeHistory;
use super::sessions::Sessions;

/// Before `txn` is applied to the history: its own list must be the session's nodes.
pub(crate) fn before(h: &TreeHistory, txn: &Txn) -> Option<String> {
    let TxnBody::CloseSession(Some(list)) = &txn.body else { return None };
    let session = txn.header.client_id;
    let owned: BTreeSet<Bytes> = h.owned_by(session.0, txn.header.zxid).into_iter().collect();
    let taken: BTreeSet<Bytes> = list.paths2_delete.iter().cloned().collect();
    let (left, others) = (owned.difference(&taken).next(), taken.difference(&owned).next());
    let name = |path: &Bytes| String::from_utf8_lossy(path).into_owned();
    match (left, others) {
        (Some(path), _) => Some(format!("session {session} is closed and leaves {}", name(path))),
        (None, Some(path)) => {
            Some(format!("session {session} is closed and takes {}, not its own", name(path)))
        }
        (None, None) => None,
    }
}

/// A node that `txn` made belongs to a session that is not open.
pub(crate) fn after(h: &TreeHistory, sessions: &Sessions, txn: &Txn) -> Option<String> {
    let zxid: Zxid = txn.header.zxid;
    let made = h.triggers(Zxid(zxid.0 - 1), zxid);
    made.iter().find_map(|trigger| {
        let owner = h.at(&trigger.path, zxid)?.owner;
        let made_now = h.at(&trigger.path, zxid)?.czxid == zxid;
        (owner != 0 && made_now && !sessions.is_open(SessionId(owner))).then(|| {
            let path = String::from_utf8_lossy(&trigger.path);
            format!("{path} belongs to session {}, which is not open", SessionId(owner))
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::tree::testing::*;

    #[test]
    fn made_and_gone_with_the_session() {
        let mut run = TreeRun::new();
        run.commit(B, 0, open());
        run.commit(A, 1, create("/a", true));
        run.commit(B, 1, create("/b", true));
        run.commit(A, 2, delete("/a"));
        run.commit(A, 3, create("/a", true));
        run.commit(A, 0, close(&["/a"]));
        run.commit(B, 0, close(&["/b"]));
        run.sound();
    }

    #[test]
    fn one_is_left() {
        let mut run = TreeRun::new();
        run.commit(A, 1, create("/a", true));
        run.commit(A, 2, create("/b", true));
        run.commit(A, 0, close(&["/a"]));
        run.first_is("EPH");
    }

    #[test]
    fn anothers_is_taken() {
        let mut run = TreeRun::new();
        run.commit(B, 0, open());
        run.commit(B, 1, create("/b", true));
        run.commit(A, 0, close(&["/b"]));
        run.first_is("EPH");
    }

    #[test]
    fn made_after_the_end() {
        let mut run = TreeRun::new();
        run.commit(A, 0, close(&[]));
        run.commit(A, 1, create("/a", true));
        run.first_is("SES");
        let mut run = TreeRun::new();
        run.commit(B, 1, create("/a", true));
        run.first_is("SES");
    }
}
