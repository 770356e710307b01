//! Syncs that come late: a library of ours (`late_sync.c`), preloaded into each member, waits before it syncs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interop::ensemble::Ensemble;
use crate::interop::python::succeed;

/// Each member looks here, in its folder.
const CONTROL: &str = "late-sync";

/// Compiles the library into the folder and has the members, which do not run yet, load it.
pub fn preload(ensemble: &mut Ensemble, folder: &Path) -> Result<(), String> {
    let (source, library) = (folder.join("late_sync.c"), folder.join("late_sync.so"));
    std::fs::write(&source, include_str!("late_sync.c")).map_err(|e| format!("{}: {e}", source.display()))?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&library).arg(&source);
    succeed(&mut cc)?;
    for member in &mut ensemble.members {
        let control = member.dir.join(CONTROL);
        member.environment.push(("LD_PRELOAD", library.clone()));
        member.environment.push(("LATE_SYNC", control));
    }
    Ok(())
}

/// From now on each sync of this member is so late; 0: in time.
pub fn delay(ensemble: &Ensemble, sid: usize, ms: u64) -> Result<(), String> {
    let path = control(ensemble, sid);
    // At once or not at all: a member reads it at any moment.
    let new = path.with_extension("new");
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::write(&new, ms.to_string()).map_err(told)?;
    std::fs::rename(&new, &path).map_err(told)
}

/// How many of its syncs came late so far.
pub fn late(ensemble: &Ensemble, sid: usize) -> u64 {
    let done = control(ensemble, sid).with_extension("done");
    std::fs::metadata(done).map_or(0, |file| file.len())
}

fn control(ensemble: &Ensemble, sid: usize) -> PathBuf {
    ensemble.member(sid).dir.join(CONTROL)
}
