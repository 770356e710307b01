//! The commit that a node is built from, and its time: a build of the same commit is the same bytes. Both are
//! empty outside a checkout.

use std::path::Path;
use std::process::Command;

fn git(args: &[&str]) -> String {
    let output = Command::new("git").env("TZ", "UTC").args(args).output();
    let text = output.ok().filter(|ran| ran.status.success()).map(|ran| ran.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    if !log.is_empty() && Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    let date = "--date=format-local:%Y-%m-%d %H:%M UTC";
    println!("cargo::rustc-env=VIVARIUM_COMMIT={}", git(&["rev-parse", "--short=12", "HEAD"]));
    println!("cargo::rustc-env=VIVARIUM_COMMIT_DATE={}", git(&["log", "-1", date, "--format=%cd"]));
}
