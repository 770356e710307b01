//! `cargo xtask interop`: node processes on loopback, alone and beside Java ZooKeeper. One line for each
//! check, and `N passed, N failed`.

mod checks;
pub mod children;
mod cost;
pub mod disk;
mod driver;
pub mod ensemble;
pub mod java;
pub mod process;
mod programs;
pub mod python;
mod submitters;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use checks::{Check, Found, Needs};
use driver::Driver;
pub use java::{Java, Version};
use programs::Program;

#[derive(clap::Args, Clone)]
pub struct Options {
    /// Only checks whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// How many leaders are killed; a fifth as often all members at once.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How many sessions come and go.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Release of the Java servers: 3.8 is Debian's; the others come inside PyPI's pyspark.
    #[arg(long, value_enum, default_value = "3.8")]
    java: Vec<Version>,
    /// More lines for the nodes' zoo.cfg.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A `vivarium` binary; by default the release build is made first.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the members' folders, and say where they are.
    #[arg(long)]
    keep: bool,
    /// Measure instead: memory and CPU of a follower beside Java's, under 1,000 writes a second.
    #[arg(long)]
    cost: bool,
    /// Print the checks' names.
    #[arg(long)]
    list: bool,
}

impl Options {
    fn asks_for(&self, check: &Check) -> bool {
        self.only.as_ref().is_none_or(|only| check.name.contains(only.as_str()))
    }

    /// What CI has time for.
    pub fn small() -> Options {
        Options {
            only: None,
            kills: 4,
            sessions: 100,
            java: vec![Version::V3_8],
            set: Vec::new(),
            binary: None,
            keep: false,
            cost: false,
            list: false,
        }
    }
}

/// What every check is given.
#[derive(Clone)]
pub struct Given {
    binary: PathBuf,
    java: Option<Java>,
    python: Option<PathBuf>,
    kills: usize,
    sessions: usize,
    /// Lines for the nodes' zoo.cfg.
    set: Vec<String>,
    keep: bool,
}

impl Given {
    /// Of nodes alone.
    pub fn of(binary: PathBuf, keep: bool) -> Given {
        Given { binary, java: None, python: None, kills: 0, sessions: 0, set: Vec::new(), keep }
    }

    pub fn with_java(self, java: Java) -> Given {
        Given { java: Some(java), ..self }
    }

    /// Lines for the nodes' zoo.cfg.
    pub fn with_lines(self, set: Vec<String>) -> Given {
        Given { set, ..self }
    }

    pub fn with_binary(self, binary: PathBuf) -> Given {
        Given { binary, ..self }
    }

    /// A process with clients of its own.
    fn client(&self) -> Result<Driver, String> {
        Driver::start(self.python.as_ref().ok_or("no Python with kazoo")?)
    }

    fn java_version(&self) -> Option<Version> {
        self.java.as_ref().map(|java| java.version)
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// `needs_java`: without Java this fails, else its checks are told as not run.
pub fn run(options: &Options, needs_java: bool) -> Result<(), String> {
    let mut given = Given {
        binary: PathBuf::new(),
        java: None,
        python: None,
        kills: options.kills,
        sessions: options.sessions,
        set: options.set.clone(),
        keep: options.keep,
    };
    if options.list {
        checks::all(&given).iter().for_each(|check| println!("{}", check.name));
        return Ok(());
    }
    given.binary = release_binary(options.binary.as_deref())?;
    let mut tally = Tally::default();
    if !options.cost {
        run_all(&given, options, &mut tally, |needs| needs == Needs::Nothing);
        for program in [Program::C, Program::Crate] {
            let needs = Needs::Program(program);
            if !checks::all(&given).iter().any(|check| check.needs == needs && options.asks_for(check)) {
                continue;
            }
            match program.build() {
                Ok(_) => run_all(&given, options, &mut tally, |of| of == needs),
                Err(why) if needs_java => return Err(why),
                Err(why) => println!("NOT RUN {}: {}", program.name(), why.trim()),
            }
        }
    }
    for version in &options.java {
        let installed = Java::install(*version).and_then(|java| Ok((java, python::with_kazoo()?)));
        match installed {
            Ok((java, python)) => (given.java, given.python) = (Some(java), Some(python)),
            Err(why) if needs_java => return Err(why),
            Err(why) => {
                println!("NOT RUN the checks beside Java {}: {}", version.name(), why.trim());
                continue;
            }
        }
        if options.cost {
            cost::measure(&given, Duration::from_secs(30))?;
        } else {
            run_all(&given, options, &mut tally, |needs| needs == Needs::Java);
        }
    }
    if options.cost {
        return Ok(());
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { Ok(()) } else { Err(format!("{} checks failed", tally.failed)) }
}

/// The binary that was named, or the release build.
pub fn release_binary(named: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(binary) = named {
        return Ok(binary.into());
    }
    super::cargo(&["build", "--release", "--package", "vivarium"])?;
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or("target".into());
    Ok(PathBuf::from(target).join("release/vivarium"))
}

fn run_all(given: &Given, options: &Options, tally: &mut Tally, of: impl Fn(Needs) -> bool) {
    for check in checks::all(given) {
        if !of(check.needs) || !options.asks_for(&check) {
            continue;
        }
        let beside = match (check.needs, &given.java) {
            (Needs::Java, Some(java)) => format!(" [{}]", java.version.name()),
            _ => String::new(),
        };
        let (name, began) = (check.name.clone(), Instant::now());
        let found = bounded(given, check);
        let took = began.elapsed().as_secs();
        match found {
            Ok(what) => {
                tally.passed += 1;
                println!("ok      {name}{beside}: {what} ({took} s)");
            }
            Err(why) => {
                tally.failed += 1;
                println!("FAILED  {name}{beside}: {why} ({took} s)");
            }
        }
    }
}

/// Run it on a thread. After its budget its processes are killed, so that whatever it waits for fails.
fn bounded(given: &Given, check: Check) -> Found {
    /// Time to notice that all processes are gone.
    const GRACE: Duration = Duration::from_secs(120);
    let (given, budget) = (given.clone(), check.budget);
    let (done, found) = channel();
    std::thread::spawn(move || done.send((check.run)(&given)));
    match found.recv_timeout(budget) {
        Ok(found) => found,
        Err(RecvTimeoutError::Disconnected) => Err("the check panicked".into()),
        Err(RecvTimeoutError::Timeout) => {
            children::end_all();
            let then = found.recv_timeout(GRACE).unwrap_or_else(|_| Err("it hangs".into()));
            children::end_all();
            Err(format!("not done within {budget:?}; then: {}", then.unwrap_or_else(|why| why)))
        }
    }
}
