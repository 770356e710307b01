//! `cargo xtask kazoo`: kazoo's own test suite against three nodes, and against three Java servers with the same
//! settings. kazoo's harness writes the configurations, starts and stops the servers; for nodes its `java` is ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Done;
use crate::interop::{Java, Version, children, python, release_binary};

#[derive(clap::Args, Clone)]
pub struct Options {
    /// Only tests that match this, as pytest's `-k`.
    #[arg(long, value_name = "EXPRESSION")]
    only: Option<String>,
    /// Do not run Java's servers beside: what is not expected is told by the list alone.
    #[arg(long)]
    no_java: bool,
    /// With gevent and eventlet, which bring the same tests again on other threads, and with SASL.
    #[arg(long)]
    all: bool,
    /// A `vivarium` binary; by default the release build is made first.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Options {
    /// What CI has time for.
    pub fn small() -> Options {
        Options { only: None, no_java: true, all: false, binary: None }
    }
}

/// What kazoo's suite needs beside kazoo; pyOpenSSL as long as it makes certificates.
const NEEDED: [&str; 5] = ["pytest<9", "pytest-timeout", "pyjks", "pyOpenSSL<26", "objgraph"];
const FOR_ALL: [&str; 3] = ["gevent", "eventlet", "pure_sasl"];

/// Tests that do not pass on nodes, and why. The name is a test's, or all of a class.
const EXPECTED: &[(&str, &str)] = &[
    ("test_client.py::TestSSLClient", "TLS is not built"),
    ("test_connection.py::TestReadOnlyMode", "read-only mode is not built"),
    ("test_sasl.py::", "SASL is not built"),
];

/// The release that [`Version::V3_8`] installs.
const DEBIANS: &str = "3.8.0";

fn expected(name: &str) -> Option<&'static str> {
    EXPECTED.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    outcome: String,
    reason: String,
}

type Results = BTreeMap<String, Outcome>;

/// `needs_python`: without kazoo this fails, else it is told as not run.
pub fn run(options: &Options, needs_python: bool) -> Done {
    let python = match python::with_kazoo().and_then(|python| install(&python, options).map(|()| python)) {
        Ok(python) => python,
        Err(why) if needs_python => return Err(why),
        Err(why) => {
            println!("NOT RUN kazoo's suite: {}", why.trim());
            return Ok(());
        }
    };
    let folder = std::env::temp_dir().join(format!("vivarium-kazoo-{}", std::process::id()));
    let suite = Suite { python, options: options.clone(), folder };
    let done = suite.run();
    let _ = std::fs::remove_dir_all(&suite.folder);
    done
}

fn install(python: &Path, options: &Options) -> Done {
    let more = if options.all { &FOR_ALL[..] } else { &[] };
    python::pip(python, &[&["install", "-q"][..], &NEEDED, more].concat())
}

struct Suite {
    python: PathBuf,
    options: Options,
    folder: PathBuf,
}

impl Suite {
    fn run(&self) -> Done {
        let nodes = self.nodes()?;
        println!("three nodes: {}", count(&nodes));
        let java = if self.options.no_java { None } else { Some(self.java()?) };
        if let Some(java) = &java {
            println!("three Java servers: {}", count(java));
        }
        judge(&nodes, java.as_ref())
    }

    /// Tests that fail are run once more, by themselves: some of the suite are a matter of milliseconds.
    fn nodes(&self) -> Result<Results, String> {
        let shims = self.folder.join("bin");
        let java = format!("#!{}\n{}", self.python.display(), include_str!("kazoo/java.py"));
        write(&shims.join("java"), &java)?;
        python::succeed(Command::new("chmod").arg("+x").arg(shims.join("java")))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = [
            ("PATH", format!("{}:{path}", shims.display())),
            ("VIVARIUM", absolute(release_binary(self.options.binary.as_deref())?)?),
            ("ZOOKEEPER_CLASSPATH", "none".into()),
        ];
        let version = zookeeper_version(Path::new(&environment[1].1))?;
        let mut results = self.pytest("nodes", &version, &environment, None)?;
        let again: Vec<&String> = results
            .iter()
            .filter(|(name, result)| result.outcome == "failed" && expected(name).is_none())
            .map(|(name, _)| name)
            .collect();
        if !again.is_empty() {
            println!("once more: {}", again.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "));
            let again: Vec<String> = again.into_iter().cloned().collect();
            results.extend(self.pytest("again", &version, &environment, Some(&again))?);
        }
        Ok(results)
    }

    fn java(&self) -> Result<Results, String> {
        let java = Java::install(Version::V3_8)?;
        self.pytest("java", DEBIANS, &[("ZOOKEEPER_CLASSPATH", java.classpath().into())], None)
    }

    /// `version`: of the servers, in ZooKeeper's numbers. `CI` makes the suite the same everywhere: with it the suite
    /// asks the servers for their version too, and waits longer where it counts on a machine's speed.
    fn pytest(
        &self,
        name: &str,
        version: &str,
        environment: &[(&str, String)],
        tests: Option<&[String]>,
    ) -> Result<Results, String> {
        /// The suite takes five minutes on two quiet cores, thrice that with `--all`.
        const BUDGET: Duration = Duration::from_secs(3600);
        write(&self.folder.join("results.py"), include_str!("kazoo/results.py"))?;
        let (results, log) =
            (self.folder.join(format!("{name}.results")), self.folder.join(format!("{name}.log")));
        let output = std::fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let both = output.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(&self.python);
        command.args(["-m", "pytest", "-q", "-p", "results", "-p", "no:cacheprovider", "--timeout", "300"]);
        command.args(self.options.only.iter().flat_map(|only| ["-k", only]));
        match tests {
            None => command.args(["--pyargs", "kazoo.tests"]),
            Some(tests) => command.arg("--pyargs").args(tests.iter().map(|test| pyarg(test))),
        };
        command.env("RESULTS", &results).env("PYTHONPATH", &self.folder);
        command.env("CI", "true").env("ZOOKEEPER_VERSION", version);
        command.envs(environment.iter().map(|(key, value)| (*key, value.as_str())));
        command.current_dir(&self.folder).stdout(output).stderr(both);
        let mut child = children::spawn(&mut command)?;
        children::wait(&mut child, BUDGET)?;
        read(&results).map_err(|why| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            format!("pytest: {why}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        })
    }
}

/// `3.9.3` of `vivarium 0.1.0 ... (speaks as ZooKeeper 3.9.3)`.
fn zookeeper_version(binary: &Path) -> Result<String, String> {
    let output =
        Command::new(binary).arg("--version").output().map_err(|e| format!("{}: {e}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version =
        text.split_once("as ZooKeeper ").and_then(|(_, version)| version.trim_end().strip_suffix(')'));
    version.map(Into::into).ok_or_else(|| format!("{} --version says {text:?}", binary.display()))
}

/// `test_x.py::Class::test` as an argument behind `--pyargs`.
fn pyarg(name: &str) -> String {
    match name.split_once(".py") {
        Some((module, test)) => format!("kazoo.tests.{module}{test}"),
        None => name.into(),
    }
}

fn absolute(path: PathBuf) -> Result<String, String> {
    let path = std::path::absolute(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path.display().to_string())
}

fn write(path: &Path, text: &str) -> Done {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(told)?;
    std::fs::write(path, text).map_err(told)
}

fn read(path: &Path) -> Result<Results, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let line = |line: &str| {
        let mut words = line.splitn(3, '\t').map(str::to_owned);
        let (outcome, name, reason) = (words.next()?, words.next()?, words.next()?);
        Some((name, Outcome { outcome, reason }))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn count(results: &Results) -> String {
    let of = |outcome: &str| results.values().filter(|result| result.outcome == outcome).count();
    format!("{} passed, {} failed, {} skipped", of("passed"), of("failed"), of("skipped"))
}

/// Every test that passes on Java servers passes on nodes, but for those that are expected not to.
fn judge(nodes: &Results, java: Option<&Results>) -> Done {
    if !nodes.values().any(|result| result.outcome == "passed") {
        return Err("no test of kazoo's passed on nodes".into());
    }
    let passes_on_java =
        |name: &str| java.and_then(|java| java.get(name)).map(|java| java.outcome == "passed");
    let mut unexpected = 0;
    for (name, result) in nodes.iter().filter(|(_, result)| result.outcome == "failed") {
        let beside = match passes_on_java(name) {
            None => "",
            Some(true) => " (passes on Java's)",
            Some(false) => " (nor on Java's)",
        };
        match expected(name) {
            Some(why) => println!("as expected  {name}: {why}{beside}"),
            None => {
                unexpected += usize::from(passes_on_java(name) != Some(false));
                println!("FAILED       {name}: {}{beside}", result.reason);
            }
        }
    }
    for (prefix, why) in EXPECTED {
        let mut of = nodes.iter().filter(|(name, _)| name.starts_with(prefix)).peekable();
        if of.peek().is_some() && of.all(|(_, result)| result.outcome == "passed") {
            return Err(format!("{prefix} passes: take it off the list ({why})"));
        }
    }
    if unexpected == 0 { Ok(()) } else { Err(format!("{unexpected} tests of kazoo's failed on nodes")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(list: &[(&str, &str)]) -> Results {
        let outcome = |outcome: &str| Outcome { outcome: outcome.into(), reason: String::new() };
        list.iter().map(|(name, of)| ((*name).to_owned(), outcome(of))).collect()
    }

    /// | on nodes | on Java's | expected | judged |
    /// |---|---|---|---|
    /// | passes | | no | good |
    /// | fails | passes or unknown | no | bad |
    /// | fails | fails | no | good |
    /// | fails | | yes | good |
    /// | passes | | yes | bad: off the list |
    #[test]
    fn judgements() {
        let ssl = "test_client.py::TestSSLClient::test_create";
        for (nodes, java, good) in [
            (&[("a", "passed")][..], None, true),
            (&[("a", "passed"), ("b", "failed")], None, false),
            (&[("a", "passed"), ("b", "failed")], Some(&[("b", "passed")][..]), false),
            (&[("a", "passed"), ("b", "failed")], Some(&[("b", "failed")]), true),
            (&[("a", "passed"), (ssl, "failed")], None, true),
            (&[("a", "passed"), (ssl, "passed")], None, false),
            (&[("a", "skipped")], None, false),
            (&[], None, false),
        ] {
            assert_eq!(
                judge(&results(nodes), java.map(results).as_ref()).is_ok(),
                good,
                "{nodes:?} {java:?}"
            );
        }
    }

    #[test]
    fn a_test_by_itself() {
        assert_eq!(pyarg("test_a.py::T::test_b[c.py]"), "kazoo.tests.test_a::T::test_b[c.py]");
    }
}
