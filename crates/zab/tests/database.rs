//! `ZkDatabase` when a role has ended: what goes on, and what does not.

use bytes::Bytes;
use wire::txn::set_data_request;
use wire::{Epoch, SessionId, Zxid, op};
use zab::register_map::RegisterMap;
use zab::{LogTail, Recovered, StateMachine, TxnEntry, WriteRequest, ZkDatabase};

const FIRST: Zxid = Zxid(0x1_0000_0001);

fn txns(count: i64) -> Vec<TxnEntry> {
    let mut map = RegisterMap::new();
    let txn = |n: i64| {
        let (zxid, body) = (Zxid(FIRST.0 + n), set_data_request(b"/a", n.to_string().as_bytes(), -1));
        let write = WriteRequest {
            session: SessionId(7),
            cxid: 1,
            op: op::SET_DATA,
            body: &body,
            auth: &[],
            session_error: None,
            config: None,
        };
        TxnEntry { zxid, txn: map.prepare(zxid, 0, &write) }
    };
    (0..count).map(txn).collect()
}

fn disk(log: &[TxnEntry]) -> Recovered {
    Recovered {
        snapshot: None,
        log: log.to_vec(),
        before_snapshot: Vec::new(),
        accepted_epoch: Epoch(1),
        current_epoch: Epoch(1),
        snapshot_bytes: 0,
        untrusted_empty: false,
        warnings: Vec::new(),
    }
}

fn loaded(log: &[TxnEntry]) -> ZkDatabase<RegisterMap> {
    let mut db = ZkDatabase::new(RegisterMap::new(), 500);
    db.load(&disk(log)).expect("a good disk");
    db
}

/// What a role left goes on with this tail, and is what a disk with this log gives.
fn goes_on(mut db: ZkDatabase<RegisterMap>, tail: &[TxnEntry], log: &[TxnEntry]) {
    let (accepted_epoch, current_epoch) = (Epoch(1), Epoch(1));
    let (snapshot, snapshot_bytes) = (db.snapshot_zxid, 0);
    db.fast_forward(&LogTail { log: tail.to_vec(), snapshot, snapshot_bytes, accepted_epoch, current_epoch });
    let fresh = loaded(log);
    assert_eq!(db.state.digest(), fresh.state.digest());
    assert_eq!(db.last_processed, fresh.last_processed);
    assert_eq!(db.applied(), fresh.applied());
    assert!(db.committed_log.iter().eq(fresh.committed_log.iter()));
}

#[test]
fn the_tail_is_applied() {
    let txns = txns(5);
    goes_on(loaded(&txns[..3]), &txns[3..], &txns);
    goes_on(loaded(&txns), &[], &txns);
}

/// A leader had decided COMMITs that it had not applied yet: its disk has them, or has one, or none.
#[test]
fn what_is_committed_and_not_applied_is_what_the_disk_has() {
    let txns = txns(5);
    for on_disk in 3..=5 {
        let mut db = loaded(&txns[..3]);
        txns[3..].iter().for_each(|entry| db.remember(entry.clone()));
        goes_on(db, &txns[3..on_disk], &txns[..on_disk]);
    }
}

/// A leader of an epoch in which nothing was written, and one that a learner was read the log for.
#[test]
fn an_epoch_without_a_transaction_is_no_zxid() {
    let txns = txns(3);
    let mut db = loaded(&txns);
    db.last_processed = Zxid(0x2_0000_0000);
    db.committed_log.pin(Some(FIRST));
    goes_on(db, &[], &txns);
}

#[test]
#[should_panic(expected = "applied")]
fn a_committed_log_with_a_hole_is_noticed() {
    let txns = txns(5);
    let mut db = loaded(&txns[..3]);
    db.apply(&txns[3]);
    goes_on(db, &txns[4..], &txns);
}

/// A leader may send behind a SNAP what the snapshot holds already.
#[test]
fn what_a_snapshot_holds_is_not_remembered() {
    let txns = txns(5);
    let mut db = loaded(&[]);
    db.begin_snapshot(txns[3].zxid);
    for entry in &txns[1..3] {
        db.apply(entry);
        db.remember(entry.clone());
    }
    assert!(db.committed_log.is_empty());
    db.apply(&txns[4]);
    db.remember(txns[4].clone());
    assert_eq!((db.committed_log.min(), db.committed_log.max()), (Some(txns[4].zxid), Some(txns[4].zxid)));
}

/// One that was sealed while the role ended, or that a leader sent, bounds a DIFF from disk from now on.
#[test]
fn the_newest_snapshot_is_known() {
    let txns = txns(3);
    let mut db = loaded(&txns);
    (db.snapshot_zxid, db.snapshot_bytes) = (Zxid::ZERO, 100);
    let (accepted_epoch, current_epoch) = (Epoch(1), Epoch(1));
    let mut tail =
        LogTail { log: Vec::new(), snapshot: Zxid::ZERO, snapshot_bytes: 130, accepted_epoch, current_epoch };
    db.fast_forward(&tail);
    assert_eq!((db.snapshot_zxid, db.snapshot_bytes), (Zxid::ZERO, 100));
    (tail.snapshot, tail.snapshot_bytes) = (txns[1].zxid, 5000);
    db.fast_forward(&tail);
    assert_eq!((db.snapshot_zxid, db.snapshot_bytes), (txns[1].zxid, 5000));
}

#[test]
fn a_snapshot_begins_where_it_says() {
    let mut db = loaded(&txns(3));
    let at = Zxid(0x3_0000_0009);
    db.begin_snapshot(at);
    assert_eq!((db.applied(), db.last_processed), (at, at));
    assert_eq!(db.state.read(op::GET_DATA, &Bytes::from_static(b"\0\0\0\x02/a\0")).ok(), None);
}
