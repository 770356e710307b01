//! Programs that use other clients than kazoo: ZooKeeper's C client, and the crate `zookeeper-client`. Built outside
//! the repository; what they need is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::java::apt_get;
use super::python::{cache_dir, succeed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    C,
    Crate,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::C => "ZooKeeper's C client",
            Program::Crate => "the crate zookeeper-client",
        }
    }

    pub fn build(self) -> Result<PathBuf, String> {
        match self {
            Program::C => build_c(),
            Program::Crate => build_crate(),
        }
    }
}

/// With Debian's `libzookeeper-mt`.
fn build_c() -> Result<PathBuf, String> {
    if !Path::new("/usr/include/zookeeper/zookeeper.h").exists() {
        apt_get(&["update", "-q"])?;
        apt_get(&["install", "-y", "-q", "libzookeeper-mt-dev", "gcc", "libc6-dev"])?;
    }
    let dir = cache_dir()?.join("c-client");
    let source = dir.join("client.c");
    write(&source, include_str!("programs/client.c"))?;
    let program = dir.join("client");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-o"]).arg(&program).arg(&source).args(["-lzookeeper_mt", "-lpthread"]);
    succeed(&mut cc)?;
    Ok(program)
}

fn build_crate() -> Result<PathBuf, String> {
    let dir = cache_dir()?.join("crate-client");
    write(&dir.join("Cargo.toml"), include_str!("programs/crate/Cargo.toml.in"))?;
    write(&dir.join("src/main.rs"), include_str!("programs/crate/main.rs"))?;
    let target = dir.join("target");
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet"]).current_dir(&dir).env("CARGO_TARGET_DIR", &target);
    succeed(&mut cargo)?;
    Ok(target.join("debug/vivarium-crate-client"))
}

/// What has not changed keeps its time: nothing is built anew for it.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(told)?;
    std::fs::write(path, text).map_err(told)
}
