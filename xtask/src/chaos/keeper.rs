//! Keeps the witness's logs: one that is sent a snapshot lets go of those before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Logs get a second name in a folder of the keeper's, under which they go on growing.
pub struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: PathBuf,
}

impl Keeper {
    pub fn start(logs: PathBuf, folder: PathBuf) -> Result<Keeper, String> {
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (told_to_stop, to) = (Arc::clone(&stop), folder.clone());
        let thread = std::thread::spawn(move || {
            while !told_to_stop.load(Ordering::Relaxed) {
                link_all(&logs, &to);
                std::thread::sleep(Duration::from_millis(20));
            }
            link_all(&logs, &to);
        });
        Ok(Keeper { stop, thread: Some(thread), folder })
    }

    /// Where all logs are, once the witness has ended.
    pub fn finish(&mut self) -> &Path {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        &self.folder
    }
}

fn link_all(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else { return };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with("log.") {
            // It is there already, mostly.
            let _ = std::fs::hard_link(entry.path(), to.join(entry.file_name()));
        }
    }
}
