//! What was committed, out of the logs that are left: the witness's, and what it was sent as a snapshot out of the
//! members'.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::Zxid;

pub type Log = BTreeMap<Zxid, Bytes>;

/// The witness's log is completed where it was sent a snapshot (`snapshots`), and held against each member's.
///
/// | what stands where | verdict |
/// |---|---|
/// | the witness does not begin with the first transaction | not tested |
/// | a member has what the witness has not, where it may have been sent a snapshot | committed |
/// | a transaction is missing within an epoch | not tested |
/// | a member has what was not committed, or something else | error |
/// | a member has not, behind its own beginning, what was committed | error |
pub fn committed(witness: Log, snapshots: bool, members: &[Log]) -> Result<Log, String> {
    match witness.keys().next() {
        Some(first) if first.counter() == 1 && first.epoch().0 == 1 => {}
        first => return Err(format!("the witness begins at {first:?}")),
    }
    let mut committed = witness.clone();
    if snapshots {
        let missing = members.iter().flatten().filter(|(zxid, _)| in_a_hole(&witness, **zxid));
        missing.for_each(|(zxid, txn)| _ = committed.entry(*zxid).or_insert_with(|| txn.clone()));
    }
    let pairs = committed.keys().zip(committed.keys().skip(1));
    for (last, next) in pairs.filter(|(last, next)| last.epoch() == next.epoch()) {
        if next.0 != last.0 + 1 {
            return Err(format!("not tested: nobody's log has what stands between {last} and {next}"));
        }
    }
    for (index, own) in members.iter().enumerate() {
        let sid = index + 1;
        if let Some((zxid, _)) = own.iter().find(|(zxid, txn)| committed.get(zxid) != Some(txn)) {
            return Err(format!("member {sid} logged something at {zxid} that is not committed"));
        }
        let Some(first) = own.keys().next() else { continue };
        if let Some((zxid, _)) = committed.range(first..).find(|(zxid, _)| !own.contains_key(zxid)) {
            return Err(format!("member {sid}, whose log begins at {first}, has not logged {zxid}"));
        }
    }
    Ok(committed)
}

/// Not logged, but something before and something behind it; and the two do not follow one another.
fn in_a_hole(log: &Log, zxid: Zxid) -> bool {
    let before = log.range(..=zxid).next_back().map(|(before, _)| *before);
    let behind = log.range(zxid..).next().map(|(behind, _)| *behind);
    matches!((before, behind), (Some(before), Some(behind)) if before < zxid && zxid < behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(zxids: &[i64]) -> Log {
        zxids.iter().map(|zxid| (Zxid(*zxid), Bytes::from(zxid.to_string()))).collect()
    }

    const E: i64 = 1 << 32;

    #[test]
    fn each_row() {
        let whole = log(&[E + 1, E + 2, E + 3, 2 * E + 1]);
        let holed = log(&[E + 1, E + 2, 2 * E + 1]);
        let tail = log(&[2 * E + 1]);
        let all = |witness: &Log, snapshots, members: &[Log]| committed(witness.clone(), snapshots, members);
        assert_eq!(all(&whole, false, &[whole.clone(), tail.clone()]), Ok(whole.clone()));
        assert!(all(&tail, true, &[]).is_err_and(|why| why.contains("begins at")));
        assert_eq!(all(&holed, true, &[whole.clone(), tail.clone()]), Ok(whole.clone()));
        // The same without a snapshot: it was never committed.
        let never = all(&holed, false, std::slice::from_ref(&whole));
        assert!(never.is_err_and(|why| why.contains("not committed")));
        // One has it, and one that should have it as well has not.
        let lacks = all(&holed, true, &[whole.clone(), holed.clone()]);
        assert!(lacks.is_err_and(|why| why.starts_with("member 2, whose log begins")));
        let lacks = all(&whole, false, std::slice::from_ref(&holed));
        assert!(lacks.is_err_and(|why| why.starts_with("member 1, whose log begins")));
        let gap = log(&[E + 1, E + 3]);
        assert!(all(&gap, true, &[log(&[E + 3])]).is_err_and(|why| why.starts_with("not tested")));
        let mut other = whole.clone();
        other.insert(Zxid(E + 2), Bytes::from_static(b"other"));
        assert!(all(&whole, true, &[other]).is_err_and(|why| why.contains("not committed")));
        // Behind the witness's end nothing is a hole.
        let more = log(&[E + 1, E + 2, E + 3, 2 * E + 1, 2 * E + 2]);
        assert!(all(&whole, true, &[more]).is_err_and(|why| why.contains("not committed")));
    }
}
