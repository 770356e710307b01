//! Runs whose panics are failures of the run, with the place, and not the end of the program.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use sim::run::{Options, Outcome, RunSpec, run_with};

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From here on a panic is not printed but remembered by its thread.
fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place =
                info.location().map_or(String::new(), |at| format!("{}, line {}", at.file(), at.line()));
            let why = info.payload_as_str().unwrap_or("a panic");
            PANICKED.with(|panicked| *panicked.borrow_mut() = Some(format!("in {place}; {why}")));
        }));
    });
}

pub fn run_guarded(spec: &RunSpec, options: Options) -> Outcome {
    guard(|| run_with(spec, options))
}

pub fn guard(run: impl FnOnce() -> Outcome) -> Outcome {
    remember_panics();
    let ran = catch_unwind(AssertUnwindSafe(run));
    ran.unwrap_or_else(|_| {
        let place = PANICKED.with(|panicked| panicked.borrow_mut().take());
        Outcome::crashed(&place.unwrap_or_default())
    })
}
