//! Ctrl-C: the first asks for an end, with what there is so far; the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

pub fn was_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Listens on a thread of its own for as long as the program runs.
pub fn listen() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if ASKED.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                eprintln!("vivarium: interrupted; what is running is finished (again: at once)");
            }
        });
    });
}
