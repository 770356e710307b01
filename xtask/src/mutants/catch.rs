//! Who catches what was planted: builds the tree, sweeps, runs the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::table::Mutant;

/// Longer than this takes only what hangs.
const LIMIT: Duration = Duration::from_secs(15 * 60);

pub enum Verdict {
    DoesNotBuild(String),
    /// By the sweep or a test; how.
    Caught(String),
    Survives,
}

/// A tree with a fault in it, and where it is built.
pub struct Hunter<'a> {
    pub tree: &'a Path,
    pub target: &'a Path,
    pub seeds: u64,
    pub sweeps: bool,
}

struct Done {
    success: bool,
    hung: bool,
    text: String,
}

/// Test binaries of a package, in the order in which they are asked: fast ones first.
struct Tests {
    package: &'static str,
    arguments: &'static [&'static str],
}

/// No doc tests: there are none, and asking for them takes as long as a build.
const fn all_of(package: &'static str) -> Tests {
    Tests { package, arguments: &["--tests"] }
}

const ZAB: Tests = all_of("vivarium-zab");
const CONVERSATIONS: Tests = Tests { package: "vivarium-peer", arguments: &["--test", "conversations"] };
const PEER: Tests = all_of("vivarium-peer");
const WIRE: Tests = all_of("vivarium-wire");
const STORAGE: Tests = all_of("vivarium-storage");
const SERVER: Tests = all_of("vivarium-server");
/// The pinned hashes would tell every mutant from the original, and nobody what is wrong with it; so would the
/// budgets of the museum's sweeps.
const SCENARIOS: Tests = Tests { package: "vivarium-sim", arguments: &["--lib", "--test", "scenarios"] };
const SKIPPED: &str = "pinned_trace_hashes";
const SIM: Tests = Tests {
    package: "vivarium-sim",
    arguments: &[
        "--test",
        "faults",
        "--test",
        "java_tree",
        "--test",
        "enumerate",
        "--test",
        "tree",
        "--test",
        "sweep",
    ],
};

/// Which tests a change concerns: those of its own package first, then of what is built on it.
fn tests(mutant: &Mutant) -> &'static [Tests] {
    let of =
        |package: &str| mutant.hunks.iter().any(|hunk| hunk.file.starts_with(&format!("crates/{package}/")));
    match () {
        () if of("wire") => &[WIRE, ZAB, CONVERSATIONS, PEER, STORAGE, SCENARIOS, SIM, SERVER],
        () if of("zab") => &[ZAB, CONVERSATIONS, PEER, SCENARIOS, SIM, SERVER],
        () if of("peer") => &[CONVERSATIONS, PEER, SCENARIOS, SIM],
        () if of("storage") => &[STORAGE, CONVERSATIONS, SCENARIOS, SIM],
        () if of("server") => &[SERVER, SCENARIOS, SIM],
        () => &[ZAB, CONVERSATIONS, PEER, STORAGE, SCENARIOS, SIM, SERVER],
    }
}

impl Hunter<'_> {
    pub fn hunt(&self, mutant: &Mutant) -> Result<Verdict, String> {
        if self.sweeps {
            let example = ["--package", "vivarium-sim", "--example", "first_failure"];
            let built = self.cargo(&[&["build", "--quiet"], &example[..]].concat())?;
            if !built.success {
                return Ok(Verdict::DoesNotBuild(built.text));
            }
            if let Some(how) = self.sweep()? {
                return Ok(Verdict::Caught(how));
            }
        }
        for Tests { package, arguments } in tests(mutant) {
            let run = |more: &[&str]| {
                self.cargo(&[&["test", "--quiet", "--package", package], *arguments, more].concat())
            };
            let built = run(&["--no-run"])?;
            if !built.success {
                return Ok(Verdict::DoesNotBuild(built.text));
            }
            let tested = run(&["--", "--skip", SKIPPED])?;
            if !tested.success {
                return Ok(Verdict::Caught(format!(
                    "{}: {}",
                    package.trim_start_matches("vivarium-"),
                    failed(&tested)
                )));
            }
        }
        Ok(Verdict::Survives)
    }

    /// The first failure of a sweep, and after how many seeds.
    fn sweep(&self) -> Result<Option<String>, String> {
        let mut command = Command::new(self.target.join("debug/examples/first_failure"));
        let swept = self.run(command.arg(self.seeds.to_string()).env("RUST_BACKTRACE", "0"))?;
        Ok(match swept {
            Done { hung: true, .. } => Some("sweep: a seed does not end".into()),
            Done { success: true, .. } => None,
            Done { text, .. } if text.contains("a panic") => {
                let place = text.lines().find(|line| line.contains("panicked at")).unwrap_or_default();
                let said = text.lines().last().unwrap_or_default();
                Some(format!("sweep, {said} {}", place.split("panicked ").last().unwrap_or_default()))
            }
            Done { text, .. } => Some(format!("sweep, {}", text.lines().last().unwrap_or_default())),
        })
    }

    fn cargo(&self, args: &[&str]) -> Result<Done, String> {
        let mut command = Command::new(env!("CARGO"));
        command.args(args).current_dir(self.tree);
        // As cheap to build as the tests' optimisation allows.
        command.env("CARGO_TARGET_DIR", self.target).env("CARGO_INCREMENTAL", "1");
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("RUSTFLAGS", "");
        command.env("INSTA_UPDATE", "no").env("INSTA_FORCE_PASS", "0");
        self.run(&mut command)
    }

    /// Output goes to a file: nobody has to read it while it comes.
    fn run(&self, command: &mut Command) -> Result<Done, String> {
        let log = self.target.join("log.txt");
        let fail = |e: std::io::Error| format!("{}: {e}", log.display());
        std::fs::create_dir_all(self.target).map_err(fail)?;
        let out = std::fs::File::create(&log).map_err(fail)?;
        let err = out.try_clone().map_err(fail)?;
        own_group(command).stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        let begun = Instant::now();
        let (success, hung) = loop {
            match child.try_wait().map_err(|e| e.to_string())? {
                Some(status) => break (status.success(), false),
                None if begun.elapsed() > LIMIT => {
                    end_group(child.id());
                    child.wait().map_err(|e| e.to_string())?;
                    break (false, true);
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let text = String::from_utf8_lossy(&std::fs::read(&log).map_err(fail)?).into_owned();
        Ok(Done { success, hung, text })
    }
}

/// A process group of its own: what hangs is ended with all that it started.
#[cfg(unix)]
fn own_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(not(unix))]
fn own_group(command: &mut Command) -> &mut Command {
    command
}

fn end_group(leader: u32) {
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).status();
}

/// The tests that failed, by the harness's own words.
fn failed(done: &Done) -> String {
    if done.hung {
        return "a test does not end".into();
    }
    let named = |line: &str| {
        let name = line.strip_prefix("---- ")?;
        Some(name.strip_suffix(" stdout ----").unwrap_or(name).to_owned())
    };
    let names: Vec<String> = done.text.lines().filter_map(named).collect();
    match names.as_slice() {
        // A harness that aborts names nobody.
        [] => match done.text.split_once("(signal: ") {
            Some((_, signal)) => {
                format!("a test ends its process by signal {}", signal.split(')').next().unwrap_or_default())
            }
            None => done.text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed").to_owned(),
        },
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// Where the copy of the tree is, and where it is built.
pub fn places() -> Result<(PathBuf, PathBuf), String> {
    let here = std::env::current_dir().map_err(|e| e.to_string())?.join("target/mutants");
    Ok((here.join("tree"), here.join("target")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cargo calls a missing one an error, which would be taken for a fault that does not build.
    #[test]
    fn the_simulators_tests_are_there() {
        for name in SIM.arguments.iter().chain(SCENARIOS.arguments).filter(|name| !name.starts_with("--")) {
            let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sim/tests");
            let file = tests.join(name).with_extension("rs");
            assert!(file.is_file(), "{}", file.display());
        }
    }
}
