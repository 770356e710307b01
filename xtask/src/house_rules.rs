//! House rules that no compiler knows. Called by `cargo xtask lint`.

use std::process::Command;

type Done = Result<(), String>;

pub fn check() -> Done {
    long_files()?;
    thin_hosts()?;
    switches_are_read()
}

/// The node knows the protocol through `peer` alone.
fn thin_hosts() -> Done {
    let path = "crates/node/Cargo.toml";
    if read(path)?.contains("vivarium-zab") {
        Err(format!("{path} depends on zab: only through peer"))
    } else {
        Ok(())
    }
}

/// A file that outgrows 900 lines holds two ideas.
fn long_files() -> Done {
    for path in rust_files()? {
        // Listed, and deleted just now.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let lines = text.lines().count();
        if lines > 900 {
            return Err(format!("{path} has {lines} lines: more than one idea (limit 900)"));
        }
    }
    Ok(())
}

/// A switch that the core never asks for is a bug that the museum only claims to have. Asked for is one that
/// the core names, or that a question of `Switches` about several names, which the core asks.
fn switches_are_read() -> Done {
    const SWITCHES: &str = "crates/zab/src/switches/";
    let declared = read(&format!("{SWITCHES}mod.rs"))?;
    let mut core = String::new();
    for path in rust_files()? {
        let is_core =
            ["zab", "peer", "storage"].iter().any(|name| path.starts_with(&format!("crates/{name}/src/")));
        if is_core && !path.starts_with(SWITCHES) {
            core.push_str(without_tests(&read(&path)?));
        }
    }
    let unread = unread(&declared, &core)?;
    if unread.is_empty() {
        Ok(())
    } else {
        Err(format!("switches that nothing in zab, peer or storage reads: {}", unread.join(", ")))
    }
}

/// The declared switches that `core` does not ask for.
fn unread(declared: &str, core: &str) -> Result<Vec<String>, String> {
    let list = declared
        .split_once("pub const ALL:")
        .and_then(|(_, rest)| rest.split_once("];"))
        .ok_or("the list of all switches is not where it was")?
        .0;
    let asked: Vec<&str> =
        questions(declared).filter(|(name, _)| names(core, name)).map(|(_, body)| body).collect();
    let all = list
        .split("Switch::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(""));
    Ok(all
        .map(|name| format!("Switch::{name}"))
        .filter(|path| !names(core, path) && !asked.iter().any(|body| names(body, path)))
        .collect())
}

/// The methods of `Switches` that ask for several: name and body.
fn questions(declared: &str) -> impl Iterator<Item = (&str, &str)> {
    declared.split("pub fn ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("(self) -> bool {")?;
        Some((name, rest.split_once("\n    }\n")?.0))
    })
}

/// `text` holds this path or name, not as the beginning of a longer one.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name)
        .any(|(at, _)| !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Unit tests stand at the end of a file.
fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]").map_or(text, |(code, _)| code)
}

fn rust_files() -> Result<Vec<String>, String> {
    let listed =
        Command::new("git").args(["ls-files", "*.rs"]).output().map_err(|e| format!("git ls-files: {e}"))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect())
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = "
    pub const ALL: [Switch; 3] = [
        Switch::One,
        Switch::OneMore,
        Switch::Third,
    ];
    pub fn several(self) -> bool {
        self.has(Switch::Third)
    }
";

    #[test]
    fn a_switch_is_read_by_its_name_or_by_a_question() {
        let unread = |core: &str| unread(DECLARED, core).expect("a list");
        assert_eq!(unread(""), ["Switch::One", "Switch::OneMore", "Switch::Third"]);
        assert_eq!(unread("has(Switch::OneMore)"), ["Switch::One", "Switch::Third"]);
        assert!(unread("has(Switch::OneMore) has(Switch::One) switches.several()").is_empty());
    }

    #[test]
    fn a_test_reads_nothing() {
        assert_eq!(without_tests("code\n#[cfg(test)]\nmod tests { Switch::One }"), "code");
    }
}
