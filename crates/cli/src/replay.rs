//! `vivarium replay`: a recording into the same machine, up to the first difference.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use peer::recording::{BadLine, Difference, Replay};

use crate::ReplayArgs;

enum Ended {
    Same { inputs: u64, torn: bool, inside: bool },
    Differs(Difference),
    Panicked { line: usize },
    Bad(BadLine),
    Unreadable(io::Error),
}

pub fn run(args: &ReplayArgs) -> ExitCode {
    let file = args.file.display();
    match replay(&args.file) {
        Ended::Same { inputs, torn, inside } => {
            if torn {
                say!("{file}: the last line is torn, as a killed process leaves it");
            }
            if inside {
                say!("{file}: it ends inside an input, whose outputs are not recorded");
            }
            say!("{file}: {inputs} inputs, the same outputs");
            ExitCode::SUCCESS
        }
        Ended::Differs(Difference { line, at, input, output, expected, got }) => {
            let nothing = || "nothing more".to_owned();
            say!("{file}: line {line}, at {at}: output {output} differs");
            say!("  input    {input}");
            say!("  expected {}", expected.unwrap_or_else(nothing));
            say!("  got      {}", got.unwrap_or_else(nothing));
            ExitCode::from(1)
        }
        Ended::Panicked { line } => {
            say!("{file}: line {line}: the machine panicked at this input");
            ExitCode::from(1)
        }
        Ended::Bad(why) => {
            eprintln!("vivarium: {file}: {why}");
            ExitCode::from(2)
        }
        Ended::Unreadable(why) => {
            eprintln!("vivarium: {file}: {why}");
            ExitCode::from(2)
        }
    }
}

fn replay(path: &Path) -> Ended {
    match File::open(path).map(BufReader::new).map(feed) {
        Ok(ended) => ended,
        Err(why) => Ended::Unreadable(why),
    }
}

fn feed(mut lines: impl BufRead) -> Ended {
    let mut text = Vec::new();
    let mut replay: Option<Replay> = None;
    loop {
        text.clear();
        if let Err(why) = lines.read_until(b'\n', &mut text) {
            return Ended::Unreadable(why);
        }
        // What no line end closes was being written when the process died.
        let torn = text.last().is_some_and(|last| *last != b'\n');
        if (text.is_empty() || torn)
            && let Some(replay) = &replay
        {
            let inside = replay.ends_inside_an_input();
            return Ended::Same { inputs: replay.inputs(), torn, inside };
        }
        let line = String::from_utf8_lossy(&text);
        match &mut replay {
            None => match Replay::begin(&line) {
                Ok(begun) => replay = Some(begun),
                Err(why) => return Ended::Bad(why),
            },
            Some(replay) => match catch_unwind(AssertUnwindSafe(|| replay.feed(&line))) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(difference))) => return Ended::Differs(difference),
                Ok(Err(why)) => return Ended::Bad(why),
                Err(_) => return Ended::Panicked { line: replay.line_number() },
            },
        }
    }
}
