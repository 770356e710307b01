//! A data directory: a line for each of its files; with `--json`, the tree that a server makes of it.

mod tree;

use std::path::Path;

use storage::compression::snapshot_zxid;
use storage::log_reader::zxid_of_name;

use super::{Damage, Kind, log, read_epoch, snapshot};

/// `Ok(true)` if every file is whole.
pub fn decode(path: &Path, json: bool) -> Result<bool, String> {
    let inner = path.join("version-2");
    let path = if inner.is_dir() { &inner } else { path };
    if json {
        return tree::print(path);
    }
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map_err(|e| e.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_by_key(|name| order(name));
    let (mut known, mut whole) = (false, true);
    for name in names {
        let bytes = std::fs::read(path.join(&name)).map_err(|e| format!("{name}: {e}"));
        let Ok(bytes) = bytes else { continue }; // a folder
        let Some(damage) = line(&name, bytes) else { continue };
        damage.iter().for_each(|damage| damage.report(&name, false));
        known = true;
        whole &= damage.is_empty();
    }
    if known { Ok(whole) } else { Err("expected logs, snapshots or epoch files in it".into()) }
}

/// Epoch files, then snapshots, then logs, these by their zxids.
fn order(name: &str) -> (u8, i64, String) {
    let zxid = |zxid: Option<wire::Zxid>| zxid.map_or(i64::MAX, |zxid| zxid.0);
    match name {
        _ if name.starts_with("snapshot.") => (1, zxid(snapshot_zxid(name)), name.into()),
        _ if name.starts_with("log.") => (2, zxid(zxid_of_name(name, "log")), name.into()),
        _ => (0, 0, name.into()),
    }
}

/// Prints what the file holds; `None` if it is no file of a server.
fn line(name: &str, bytes: Vec<u8>) -> Option<Vec<Damage>> {
    let size = bytes.len();
    Some(match Kind::of(name, &bytes)? {
        Kind::Stream => return None,
        Kind::Epoch(which) => match read_epoch(bytes, which) {
            Ok(epoch) => {
                say!("{name}: {epoch}");
                Vec::new()
            }
            Err(damage) => vec![damage],
        },
        Kind::Snapshot => {
            let (summary, damage) = snapshot::read(name, bytes, |_| ());
            say!("{name}: {size} bytes, {}", snapshot::end_as_text(&summary));
            damage
        }
        Kind::Log => {
            let (log, damage) = log::read(name, bytes);
            if let Some(log) = log {
                let zxids = match (log.entries.first(), log.entries.last()) {
                    (Some((_, first)), Some((_, last))) => format!(" {} to {}", first.zxid, last.zxid),
                    _ => String::new(),
                };
                let (count, end, reason) = (log.entries.len(), log.end, log::reason(&log));
                say!("{name}: {size} bytes, {count} transactions{zxids}, ends at {end} ({reason})");
            }
            damage
        }
    })
}
