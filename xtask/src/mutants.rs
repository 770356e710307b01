//! `cargo xtask mutants`: plants one deliberate fault at a time in a copy of the tree and tells who
//! caught it: first the sweep (by the invariants that fire), then, where the sweep stays clean, the
//! tests. A mutant that nobody catches is a hole in the checkers, and the task fails.
//!
//! `xtask/mutants.txt` holds the faults. A block is
//!
//! ```text
//! == name: what it breaks
//! @ path/of/file.rs
//! - text that stands there exactly once
//! + text that replaces it
//! ```
//!
//! with as many `-` and `+` lines as needed.

use std::path::{Path, PathBuf};
use std::process::Command;

struct Mutant {
    name: String,
    file: String,
    find: String,
    replace: String,
}

pub fn run(only: Option<&str>, seeds: u64) -> Result<(), String> {
    let table =
        std::fs::read_to_string("xtask/mutants.txt").map_err(|e| format!("xtask/mutants.txt: {e}"))?;
    let mutants = parse(&table)?;
    let tree = PathBuf::from("target/mutants/tree");
    let (mut caught, mut missed) = (0, 0);
    for mutant in mutants.iter().filter(|m| only.is_none_or(|name| m.name.starts_with(name))) {
        copy_tree(&tree)?;
        plant(&tree, mutant)?;
        match catch(&tree, seeds)? {
            Some(by) => {
                caught += 1;
                println!("caught  {}: {by}", mutant.name);
            }
            None => {
                missed += 1;
                println!("MISSED  {}", mutant.name);
            }
        }
    }
    println!("{caught} passed, {missed} failed");
    if missed == 0 { Ok(()) } else { Err(format!("{missed} mutants live")) }
}

fn parse(table: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (number, line) in table.lines().enumerate() {
        let at = |what: &str| format!("xtask/mutants.txt:{}: {what}", number + 1);
        if let Some(name) = line.strip_prefix("== ") {
            mutants.push(Mutant {
                name: name.to_owned(),
                file: String::new(),
                find: String::new(),
                replace: String::new(),
            });
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(|| at("expected `== name` first"))?;
        match line.split_at_checked(2).map_or((line, ""), |parts| parts) {
            ("@ ", path) => mutant.file = path.to_owned(),
            ("- ", text) => mutant.find.push_str(&format!("{text}\n")),
            ("+ ", text) => mutant.replace.push_str(&format!("{text}\n")),
            _ => return Err(at("expected a line that begins with `@ `, `- ` or `+ `")),
        }
    }
    Ok(mutants)
}

/// A copy of what git tracks; unchanged files keep their times, so that cargo rebuilds little.
fn copy_tree(tree: &Path) -> Result<(), String> {
    let listed = Command::new("git").args(["ls-files"]).output().map_err(|e| format!("git ls-files: {e}"))?;
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let Ok(now) = std::fs::read(path) else { continue };
        let to = tree.join(path);
        if std::fs::read(&to).is_ok_and(|before| before == now) {
            continue;
        }
        let folder = to.parent().expect("a tracked file lies in a folder");
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        std::fs::write(&to, now).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    Ok(())
}

fn plant(tree: &Path, mutant: &Mutant) -> Result<(), String> {
    let path = tree.join(&mutant.file);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let found = text.matches(&mutant.find).count();
    if found != 1 || mutant.find.is_empty() {
        return Err(format!("mutant `{}`: its text stands {found} times in {}", mutant.name, mutant.file));
    }
    std::fs::write(&path, text.replace(&mutant.find, &mutant.replace))
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// Who catches what was planted: the names of invariants, or of failed tests.
fn catch(tree: &Path, seeds: u64) -> Result<Option<String>, String> {
    let target = std::env::current_dir().map_err(|e| e.to_string())?.join("target/mutants/target");
    let cargo = |args: &[&str]| {
        Command::new(env!("CARGO"))
            .args(args)
            .current_dir(tree)
            .env("CARGO_TARGET_DIR", &target)
            .env("INSTA_UPDATE", "no")
            .output()
            .map_err(|e| format!("cargo {}: {e}", args.join(" ")))
    };
    let built = cargo(&["build", "--quiet", "--package", "vivarium"])?;
    if !built.status.success() {
        return Err(format!("does not build:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    let swept = cargo(&[
        "run",
        "--quiet",
        "--package",
        "vivarium",
        "--",
        "sweep",
        "--seeds",
        &format!("0..{seeds}"),
    ])?;
    if !swept.status.success() {
        let text = String::from_utf8_lossy(&swept.stdout).into_owned();
        let failures: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.to_lowercase().contains("failure"))
            .take(4)
            .map(str::trim)
            .collect();
        return Ok(Some(format!("sweep: {}", failures.join(" | "))));
    }
    let tested = cargo(&["test", "--quiet", "--no-fail-fast"])?;
    if tested.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&tested.stdout).into_owned();
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"))
        .take(4)
        .collect();
    Ok(Some(format!("tests: {}", failed.join(", "))))
}
