//! Data directories: their transactions, byte for byte, and histories that are made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use bytes::Bytes;
use node::RealFs;
use server::{Settings, ZooKeeperServer};
use storage::log_reader::{file_name, read_log, zxid_of_name};
use storage::recover;
use storage::txn_log::{put_entry, put_header};
use wire::txn::SetDataTxn;
use wire::{Epoch, SessionId, Txn, TxnBody, TxnHeader, Zxid, op};
use zab::register_map::RegisterMap;
use zab::{StateMachine, ZkDatabase};

/// Every transaction in a directory's logs, whatever snapshots stand beside them.
pub fn transactions(dir: &Path) -> Result<BTreeMap<Zxid, Bytes>, String> {
    let told = |e: &dyn Display| format!("{}: {e}", dir.display());
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|e| told(&e))? {
        let name = entry.map_err(|e| told(&e))?.file_name().to_string_lossy().into_owned();
        if zxid_of_name(&name, "log").is_none() {
            continue;
        }
        let bytes = std::fs::read(dir.join(&name)).map_err(|e| told(&e))?;
        for (_, entry) in read_log(&name, bytes).map_err(|e| told(&e))?.entries {
            if let Some(other) = all.insert(entry.zxid, entry.txn.clone())
                && other != entry.txn
            {
                return Err(format!("{}: {name}: {} stands twice, differently", dir.display(), entry.zxid));
            }
        }
    }
    Ok(all)
}

/// Both logs hold the same transactions, byte for byte, from where both reach back to up to where the first of
/// them ends: how many. What the other one got as a snapshot need not be in its log.
pub fn same_transactions(ours: &Path, other: &Path) -> Result<usize, String> {
    let (a, b) = (transactions(ours)?, transactions(other)?);
    let ends = |log: &BTreeMap<Zxid, Bytes>| Some((*log.keys().next()?, *log.keys().next_back()?));
    let (Some(ends_a), Some(ends_b)) = (ends(&a), ends(&b)) else {
        return Err(format!("{} and {} transactions", a.len(), b.len()));
    };
    let (from, to) = (ends_a.0.max(ends_b.0), ends_a.1.min(ends_b.1));
    let snapshot = newest_snapshot(other)?;
    let zxids: BTreeSet<Zxid> = a.range(from..=to).chain(b.range(from..=to)).map(|(zxid, _)| *zxid).collect();
    let mut same = 0;
    for zxid in &zxids {
        match (a.get(zxid), b.get(zxid)) {
            (Some(x), Some(y)) if x == y => same += 1,
            (Some(_), None) if *zxid <= snapshot => {}
            (x, y) => {
                let what = |txn: Option<&Bytes>| txn.map_or("nothing".into(), |txn| format!("{txn:02x?}"));
                let (x, y) = (what(x), what(y));
                return Err(format!("{zxid}: {x} in {}, {y} in {}", ours.display(), other.display()));
            }
        }
    }
    if same == 0 {
        return Err(format!("nothing in common: {ends_a:?} and {ends_b:?}"));
    }
    Ok(same)
}

fn newest_snapshot(dir: &Path) -> Result<Zxid, String> {
    Ok(snapshots(dir)?.pop().unwrap_or(Zxid::ZERO))
}

/// By their names, the newest last.
pub fn snapshots(dir: &Path) -> Result<Vec<Zxid>, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut zxids: Vec<Zxid> = names.filter_map(|name| zxid_of_name(&name, "snapshot")).collect();
    zxids.sort_unstable();
    Ok(zxids)
}

/// What a node would start with, of a history of registers.
pub fn load(dir: &Path) -> Result<ZkDatabase<RegisterMap>, String> {
    let told = |e: &dyn Display| format!("{}: {e}", dir.display());
    let fs = RealFs::open(dir.into()).map_err(|e| told(&e))?;
    let recovered = recover(&fs, 500).map_err(|e| told(&e))?;
    let mut db = ZkDatabase::new(RegisterMap::new(), 500);
    db.load(&recovered)?;
    Ok(db)
}

/// The last zxid and the digest of the tree that a node would start with.
pub fn tree(dir: &Path) -> Result<(Zxid, u64), String> {
    let told = |e: &dyn Display| format!("{}: {e}", dir.display());
    let fs = RealFs::open(dir.into()).map_err(|e| told(&e))?;
    let recovered = recover(&fs, 500).map_err(|e| told(&e))?;
    let mut db = ZkDatabase::new(ZooKeeperServer::new(Settings::default()), 500);
    db.load(&recovered)?;
    Ok((db.last_processed, db.state.digest()))
}

/// The last transaction of a stopped member.
pub fn last_zxid(dir: &Path) -> Result<Zxid, String> {
    transactions(dir)?.keys().next_back().copied().ok_or(format!("{}: no transactions", dir.display()))
}

/// Append `count` setData transactions of `path` to a stopped member's history, in a log of their own that
/// begins with `first`.
pub fn append(dir: &Path, path: &str, first: Zxid, count: u32) -> Result<(), String> {
    let zxid = |n: u32| Zxid(first.0 + i64::from(n));
    let mut log = Vec::new();
    put_header(&mut log);
    for n in 0..count {
        let header = TxnHeader {
            client_id: SessionId(0),
            cxid: 0,
            zxid: zxid(n),
            time_ms: 1_700_000_000_000,
            kind: op::SET_DATA,
        };
        let body = TxnBody::SetData(SetDataTxn {
            path: Bytes::copy_from_slice(path.as_bytes()),
            data: Some(Bytes::from(format!("made for {}", zxid(n)))),
            version: 1000 + n as i32,
        });
        put_entry(&mut log, &Txn { header, body, digest: None, rest: Bytes::new() }.to_bytes());
    }
    let file = dir.join(file_name("log", zxid(0)));
    std::fs::write(&file, log).map_err(|e| format!("{}: {e}", file.display()))
}

/// As if this epoch had been accepted and established.
pub fn set_epoch(dir: &Path, epoch: Epoch) -> Result<(), String> {
    for name in ["acceptedEpoch", "currentEpoch"] {
        let file = dir.join(name);
        std::fs::write(&file, epoch.0.to_string()).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

pub fn copy_dir(from: &Path, to: &Path) -> Result<(), String> {
    let told = |e: std::io::Error| format!("{} to {}: {e}", from.display(), to.display());
    std::fs::create_dir_all(to).map_err(told)?;
    for entry in std::fs::read_dir(from).map_err(told)? {
        let entry = entry.map_err(told)?;
        std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(told)?;
    }
    Ok(())
}
