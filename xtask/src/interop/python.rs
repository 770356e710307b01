//! A virtual environment of Python with the ZooKeeper client kazoo, in the user's cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::java::apt_get;

/// `$XDG_CACHE_HOME/vivarium-interop`, by default below `~/.cache`.
pub fn cache_dir() -> Result<PathBuf, String> {
    let base = match (std::env::var("XDG_CACHE_HOME"), std::env::var("HOME")) {
        (Ok(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Ok(home)) => Path::new(&home).join(".cache"),
        _ => std::env::temp_dir(),
    };
    let dir = base.join("vivarium-interop");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

/// The environment's Python, which can `import kazoo`.
pub fn with_kazoo() -> Result<PathBuf, String> {
    let python = environment()?;
    if succeed(Command::new(&python).args(["-c", "import kazoo"])).is_err() {
        pip(&python, &["install", "-q", "kazoo==2.11.0"])?;
    }
    Ok(python)
}

fn environment() -> Result<PathBuf, String> {
    let dir = cache_dir()?.join("venv");
    let python = dir.join("bin/python");
    if succeed(Command::new(&python).args(["-m", "pip", "--version"])).is_ok() {
        return Ok(python);
    }
    let make = || succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir));
    if make().is_err() {
        apt_get(&["update", "-q"])?;
        apt_get(&["install", "-y", "-q", "python3-venv"])?;
        make()?;
    }
    Ok(python)
}

/// A source package from PyPI into `dir`. Its metadata is built in our environment: pyspark's 2.4 wants
/// tools of its time.
pub fn download(package: &str, dir: &Path) -> Result<(), String> {
    let python = environment()?;
    pip(&python, &["install", "-q", "setuptools<66", "wheel", "pypandoc==1.5"])?;
    let dir = dir.display().to_string();
    pip(
        &python,
        &["download", "-q", "--no-deps", "--no-build-isolation", "--no-binary=:all:", "-d", &dir, package],
    )
}

pub fn pip(python: &Path, args: &[&str]) -> Result<(), String> {
    succeed(Command::new(python).args(["-m", "pip"]).args(args))
}

/// Run to the end; what it said to standard error if it failed.
pub fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().map_err(|e| format!("{name}: {e}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(format!("{name} ended with {}: {}", ran.status, said.trim()))
}
