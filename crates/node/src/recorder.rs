//! The recorder: `--record FILE`. Each line goes to the file before what it tells of has effects, so that a
//! killed process leaves all but a torn last line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use peer::recording::{header_line, input_line, output_line};
use peer::{Config, Input, Now, Output, StateKind, TreeSettings};

pub struct Recorder {
    /// `None`: a write failed; the member goes on without it.
    file: Option<File>,
}

impl Recorder {
    /// A new file: an older recording is never overwritten.
    pub fn create(
        path: &Path,
        config: &Config,
        state: StateKind,
        tree: &TreeSettings,
    ) -> io::Result<Recorder> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(header_line(config, state, tree).as_bytes())?;
        Ok(Recorder { file: Some(file) })
    }

    pub fn input(&mut self, now: Now, input: &Input) {
        if self.file.is_some() {
            self.line(&input_line(now, input));
        }
    }

    pub fn outputs(&mut self, outputs: &[Output]) {
        if self.file.is_some() {
            self.line(&output_line(outputs));
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(line.as_bytes())
        {
            tracing::error!(%error, "the recording ends here");
            self.file = None;
        }
    }
}
