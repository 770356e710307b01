//! Test programs at the nodes' standard input (`vivarium node --submit`), and what they were told.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::ensemble::Ensemble;

#[derive(Clone, Default)]
pub struct Answers {
    /// Acknowledged writes: zxid, path, value.
    acknowledged: Arc<Mutex<Vec<[String; 3]>>>,
    /// Requests that were answered: done, or refused by a committed error transaction.
    answered: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Answers {
    /// What a node prints: `ok ZXID set PATH VALUE`, `failed CODE set ...`; until its end.
    pub fn collect(&self, stdout: impl Read + Send + 'static) {
        let all = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if matches!(words.first(), Some(&("ok" | "failed"))) {
                    all.answered.fetch_add(1, Ordering::Relaxed);
                }
                if let (["ok", zxid, "set", path, value], Ok(mut list)) =
                    (&words[..], all.acknowledged.lock())
                {
                    list.push([zxid, path, value].map(|word| (*word).to_owned()));
                }
            }
        });
    }

    pub fn acknowledged(&self) -> Vec<[String; 3]> {
        self.acknowledged.lock().map(|list| list.clone()).unwrap_or_default()
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Ensemble {
    /// Writes of unique values to registers of their own, through every node that lives.
    pub fn write_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for member in &mut self.members {
                if let Some(stdin) = &mut member.stdin {
                    let n = self.answers.written.fetch_add(1, Ordering::Relaxed);
                    let _ = writeln!(stdin, "set /r{n} v{n}");
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As `write_for`; something must have been answered.
    pub fn writes_are_answered(&mut self, time: Duration) -> Result<usize, String> {
        let before = self.answers.answered();
        self.write_for(time);
        // The last ones are on their way.
        let after = |a: &Answers| a.answered() - before;
        self.poll(Duration::from_secs(5), "no request was answered", || {
            Some(after(&self.answers)).filter(|answered| *answered > 0)
        })
    }
}
