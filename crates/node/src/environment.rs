//! The process's surroundings, by the names of `Environment.list`; those that are Java's alone are left out.

use std::env;
use std::fs;

use crate::version::zookeeper_version;

pub fn environment() -> Vec<(&'static str, String)> {
    let kernel = |file: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default();
        if text.trim().is_empty() { "<NA>".into() } else { text.trim().to_owned() }
    };
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| "<NA>".into());
    let arch = if env::consts::ARCH == "x86_64" { "amd64" } else { env::consts::ARCH };
    vec![
        ("zookeeper.version", zookeeper_version()),
        ("host.name", kernel("hostname")),
        ("os.name", if env::consts::OS == "linux" { "Linux" } else { env::consts::OS }.into()),
        ("os.arch", arch.into()),
        ("os.version", kernel("osrelease")),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", env::current_dir().map_or("<NA>".into(), |dir| dir.display().to_string())),
    ]
}
