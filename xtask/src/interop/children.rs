//! The processes that checks start: known by their ids, so that none outlives its check.

use std::collections::BTreeSet;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

pub fn spawn(command: &mut Command) -> Result<Child, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
    if let Ok(mut running) = RUNNING.lock() {
        running.insert(child.id());
    }
    Ok(child)
}

/// SIGKILL, and wait for its end.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
    forget(child);
}

fn forget(child: &Child) {
    if let Ok(mut running) = RUNNING.lock() {
        running.remove(&child.id());
    }
}

/// SIGTERM, and wait for its end for so long; then SIGKILL, which is an error.
pub fn terminate(child: &mut Child, patience: Duration) -> Result<ExitStatus, String> {
    signal(child.id(), "-TERM")?;
    wait(child, patience).map_err(|why| format!("{why} of SIGTERM"))
}

/// Its end, which it has so long for; then SIGKILL, which is an error.
pub fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus, String> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            forget(child);
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    end(child);
    Err(format!("process {} did not end within {patience:?}", child.id()))
}

pub fn signal(pid: u32, signal: &str) -> Result<(), String> {
    match Command::new("kill").arg(signal).arg(pid.to_string()).status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("kill {signal} {pid}: {other:?}")),
    }
}

/// The check took too long: its processes end, and whatever it waits for fails.
pub fn end_all() {
    let running = RUNNING.lock().map(|running| running.clone()).unwrap_or_default();
    for pid in running {
        let _ = signal(pid, "-KILL");
    }
}
