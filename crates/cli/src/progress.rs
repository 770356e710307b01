//! Progress of long work, on standard error: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// Between plain lines.
const LINE_SECONDS: u64 = 15;

pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    told: AtomicU64,
}

impl Progress {
    /// `unit`: what is counted. Without a length nobody knows how much it will be.
    pub fn new(unit: &str, length: Option<u64>) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| bar(unit, length));
        Progress { bar, started: Instant::now(), told: AtomicU64::new(0) }
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The message goes behind the bar, the line stands alone, behind the seconds so far.
    pub fn tell(&self, position: u64, message: impl Fn() -> String, line: impl Fn(u64) -> String) {
        let seconds = self.started.elapsed().as_secs();
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            bar.set_message(message());
        } else if seconds >= self.told.load(Ordering::Relaxed) + LINE_SECONDS {
            self.told.store(seconds, Ordering::Relaxed);
            eprintln!("{seconds:>5} s: {}", line(seconds));
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(unit: &str, length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{msg}}  {{eta}}"),
        ),
        None => (
            ProgressBar::no_length(),
            format!("{{spinner}} {{pos}} {unit}  {{per_sec}}  {{msg}}  {{elapsed}}"),
        ),
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}
