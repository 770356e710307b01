//! Java's clients, for us: kazoo behind a line protocol (`driver.py`).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::children;

/// No command takes longer, or its server is stuck.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Driver {
    process: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        children::end(&mut self.process);
    }
}

impl Driver {
    pub fn start(python: &Path) -> Result<Driver, String> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("driver.py")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = children::spawn(&mut command)?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the driver's pipes".into());
        };
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if answer.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Driver { process, stdin, answers })
    }

    /// What follows `ok`.
    pub fn ask(&mut self, command: &str) -> Result<String, String> {
        let failed = |why: String| format!("client: {command}: {why}");
        writeln!(self.stdin, "{command}").map_err(|e| failed(e.to_string()))?;
        let answer = self.answers.recv_timeout(PATIENCE).map_err(|e| failed(e.to_string()))?;
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", rest) => Ok(rest.into()),
            (_, why) => Err(failed(why.into())),
        }
    }

    /// The numbers that follow `ok`.
    pub fn numbers(&mut self, command: &str) -> Result<Vec<u64>, String> {
        let answer = self.ask(command)?;
        let numbers: Result<Vec<u64>, _> = answer.split(' ').map(str::parse).collect();
        numbers.map_err(|e| format!("client: {command}: {answer}: {e}"))
    }
}
