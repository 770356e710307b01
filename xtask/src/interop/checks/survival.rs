//! Nodes among themselves: nothing that was acknowledged is lost.

use super::{Found, millis, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, disk};
use wire::txn::{TxnBody, get_data_request};
use wire::{Reader, Txn, Zxid, op};
use zab::StateMachine;

/// Kill -9 of the leader, again and again, under writes through every member.
pub fn leaders_die(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium; 3], &[1, 2, 3])?;
    for round in 0..given.kills {
        let leader = ensemble.wait_for_leader(seconds(20))?;
        ensemble.write_for(millis(500));
        ensemble.kill(leader);
        ensemble.write_for(millis(200 + 100 * (round as u64 % 4)));
        ensemble.start_member(leader)?;
    }
    let (acknowledged, logged) = settle_and_compare(&mut ensemble)?;
    Ok(format!(
        "{} leaders killed, all {acknowledged} acknowledged writes are there, {logged} transactions of equal logs",
        given.kills
    ))
}

pub fn all_die(given: &Given) -> Found {
    let times = given.kills.div_ceil(5);
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium; 3], &[1, 2, 3])?;
    for _ in 0..times {
        ensemble.wait_for_leader(seconds(20))?;
        ensemble.write_for(millis(700));
        for sid in 1..=3 {
            ensemble.kill(sid);
        }
        for sid in 1..=3 {
            ensemble.start_member(sid)?;
        }
    }
    let (acknowledged, logged) = settle_and_compare(&mut ensemble)?;
    Ok(format!(
        "{times} times, all {acknowledged} acknowledged writes are there, {logged} transactions of equal logs"
    ))
}

/// Everybody up, in step, stopped in order. Then every acknowledged write must be in every state, and in every
/// log at its zxid (but where a log begins behind a leader's snapshot), and the logs and states be equal.
/// Gives the numbers of acknowledged writes and of transactions that all logs hold.
fn settle_and_compare(ensemble: &mut Ensemble) -> Result<(usize, usize), String> {
    let leader = ensemble.settle()?;
    let before = ensemble.answers.acknowledged().len();
    ensemble.write_for(seconds(1));
    for sid in 1..=3 {
        ensemble.wait_for_zxid(sid, leader, seconds(20))?;
    }
    for sid in 1..=3 {
        ensemble.stop(sid)?;
    }
    let acknowledged = ensemble.answers.acknowledged();
    if acknowledged.len() == before {
        return Err("no write was acknowledged at the end".into());
    }
    for sid in 1..=3 {
        holds(ensemble, sid, &acknowledged)?;
    }
    let with_2 = disk::same_transactions(&ensemble.data(1), &ensemble.data(2))?;
    let with_3 = disk::same_transactions(&ensemble.data(1), &ensemble.data(3))?;
    Ok((acknowledged.len(), with_2.min(with_3)))
}

fn holds(ensemble: &Ensemble, sid: usize, acknowledged: &[[String; 3]]) -> Result<(), String> {
    let dir = ensemble.data(sid);
    let (db, first) = (disk::load(&dir)?, disk::load(&ensemble.data(1))?);
    if (db.last_processed, db.state.digest()) != (first.last_processed, first.state.digest()) {
        return Err(format!(
            "states of 1 and {sid} differ: {} and {}",
            first.last_processed, db.last_processed
        ));
    }
    let log = disk::transactions(&dir)?;
    let begins = log.keys().next().copied().ok_or("an empty log")?;
    for [zxid, path, value] in acknowledged {
        let lost =
            |what: &str| Err(format!("{path} {value} was acknowledged as {zxid} and is not {what} of {sid}"));
        let at =
            i64::from_str_radix(zxid.trim_start_matches("0x"), 16).map_err(|e| format!("{zxid}: {e}"))?;
        let logged = log.get(&Zxid(at)).and_then(|txn| Txn::decode(txn).ok()).is_some_and(|txn| {
            matches!(&txn.body, TxnBody::SetData(set)
                if set.path == path.as_bytes() && set.data.as_deref() == Some(value.as_bytes()))
        });
        if !logged && Zxid(at) >= begins {
            return lost("in the log");
        }
        let read = db.state.read(op::GET_DATA, &get_data_request(path.as_bytes())).ok();
        let read = read.and_then(|record| Reader::new(record).buffer("data").ok().flatten());
        if read.as_deref() != Some(value.as_bytes()) {
            return lost("in the state");
        }
    }
    Ok(())
}
