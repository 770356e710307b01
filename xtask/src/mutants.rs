//! `cargo xtask mutants`: plants one deliberate fault at a time in a copy of the tree and tells who
//! caught it: first the sweep (after how many seeds, by which invariant), then, where it stays clean, the
//! tests. It is the test of the tests: a mutant that nobody catches is a check that is missing, and the
//! task fails. So does one that does not build any more; the run goes on.
//!
//! `xtask/mutants.txt` holds the faults (`table` has its form). `cargo xtask lint` looks that each still
//! finds its text.

mod catch;
mod table;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use catch::{Hunter, Verdict};
use table::Mutant;

#[derive(clap::Args)]
pub struct Options {
    /// Only looks whether each can be planted.
    #[arg(long)]
    check: bool,
    /// Only those whose name begins so, or of this area; several, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// About so many, evenly spread over the table.
    #[arg(long)]
    sample: Option<usize>,
    /// Where the sample begins. Without it, at the number of commits: others each time.
    #[arg(long, requires = "sample")]
    offset: Option<usize>,
    /// Seeds of the sweep over each.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The tests alone.
    #[arg(long)]
    no_sweep: bool,
}

impl Options {
    /// What continuous integration has time for.
    pub fn sample_of(count: usize) -> Options {
        let only = Vec::new();
        Options { check: false, only, sample: Some(count), offset: None, seeds: 200, no_sweep: false }
    }
}

/// Every mutant of the table can be planted.
pub fn check() -> Result<(), String> {
    let mutants = table::read()?;
    let faults = table::check(Path::new("."), &mutants);
    if faults.is_empty() {
        println!("{} mutants can be planted", mutants.len());
        return Ok(());
    }
    Err(format!("xtask/mutants.txt does not fit the tree:\n  {}", faults.join("\n  ")))
}

pub fn run(options: &Options) -> Result<(), String> {
    check()?;
    if options.check {
        return Ok(());
    }
    let mutants = chosen(table::read()?, options)?;
    let (tree, target) = catch::places()?;
    let hunter = Hunter { tree: &tree, target: &target, seeds: options.seeds, sweeps: !options.no_sweep };
    let mut score = Score::default();
    for mutant in &mutants {
        let begun = Instant::now();
        copy_tree(&tree)?;
        for (file, text) in table::planted(&tree, mutant)? {
            write(&tree.join(file), text.as_bytes())?;
        }
        let verdict = hunter.hunt(mutant)?;
        score.add(mutant, &verdict, begun.elapsed().as_secs());
    }
    // The next build of the copy is that of the next run: nobody takes a mutant for the project.
    copy_tree(&tree)?;
    score.end()
}

/// The mutants to be run, in the table's order.
fn chosen(mutants: Vec<Mutant>, options: &Options) -> Result<Vec<Mutant>, String> {
    let is_asked = |mutant: &Mutant| {
        let asked = |only: &String| mutant.name.starts_with(only.as_str()) || mutant.area == *only;
        options.only.is_empty() || options.only.iter().any(asked)
    };
    let mut mutants: Vec<Mutant> = mutants.into_iter().filter(is_asked).collect();
    if let Some(count) = options.sample {
        let offset = match options.offset {
            Some(offset) => offset,
            None => commits()?,
        };
        mutants = every_kth(mutants, count, offset);
    }
    if mutants.is_empty() { Err("no mutant is called so".into()) } else { Ok(mutants) }
}

/// About `count`, one in each k, and with offsets from 0 to k - 1 all of them.
fn every_kth<T>(all: Vec<T>, count: usize, offset: usize) -> Vec<T> {
    let step = all.len().div_ceil(count.max(1)).max(1);
    all.into_iter().skip(offset % step).step_by(step).collect()
}

fn commits() -> Result<usize, String> {
    let counted = Command::new("git").args(["rev-list", "--count", "HEAD"]).output();
    let counted = counted.map_err(|e| format!("git rev-list: {e}"))?;
    String::from_utf8_lossy(&counted.stdout).trim().parse().map_err(|_| "git rev-list counts nothing".into())
}

#[derive(Default)]
struct Score {
    by_sweep: usize,
    by_tests: usize,
    survivors: Vec<String>,
    broken: Vec<String>,
}

impl Score {
    fn add(&mut self, mutant: &Mutant, verdict: &Verdict, seconds: u64) {
        let Mutant { area, name, story, .. } = mutant;
        let line = match verdict {
            Verdict::Caught(how) if how.starts_with("sweep") => {
                self.by_sweep += 1;
                format!("caught    {seconds:>4} s  {area:<16} {name}: {how}")
            }
            Verdict::Caught(how) => {
                self.by_tests += 1;
                format!("caught    {seconds:>4} s  {area:<16} {name}: {how}")
            }
            Verdict::Survives => {
                self.survivors.push(name.clone());
                format!("SURVIVES  {seconds:>4} s  {area:<16} {name}: {story}")
            }
            Verdict::DoesNotBuild(errors) => {
                self.broken.push(name.clone());
                format!("BROKEN    {seconds:>4} s  {area:<16} {name}: does not build\n{errors}")
            }
        };
        println!("{line}");
    }

    fn end(self) -> Result<(), String> {
        let Score { by_sweep, by_tests, survivors, broken } = self;
        println!(
            "{} caught ({by_sweep} by the sweep, {by_tests} by tests), {} survive, {} do not build",
            by_sweep + by_tests,
            survivors.len(),
            broken.len()
        );
        if survivors.is_empty() && broken.is_empty() {
            return Ok(());
        }
        Err(format!("mutants: survive [{}], do not build [{}]", survivors.join(", "), broken.join(", ")))
    }
}

/// A copy of what git tracks; unchanged files keep their times, so that cargo rebuilds little. What is gone
/// from the tree goes from the copy.
fn copy_tree(tree: &Path) -> Result<(), String> {
    let listed =
        Command::new("git").args(["ls-files", "-z"]).output().map_err(|e| format!("git ls-files: {e}"))?;
    let mut copied = std::collections::BTreeSet::new();
    for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let Ok(now) = std::fs::read(path) else { continue };
        let to = tree.join(path);
        if !std::fs::read(&to).is_ok_and(|before| before == now) {
            write(&to, &now)?;
        }
        copied.insert(to);
    }
    remove_others(tree, &copied)
}

fn remove_others(
    folder: &Path,
    copied: &std::collections::BTreeSet<std::path::PathBuf>,
) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            remove_others(&path, copied)?;
        } else if !copied.contains(&path) {
            std::fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = to.parent().expect("a file lies in a folder");
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    std::fs::write(to, bytes).map_err(|e| format!("{}: {e}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cover_the_table() {
        let all: Vec<usize> = (0..97).collect();
        let mut seen: Vec<usize> = (0..20).flat_map(|offset| every_kth(all.clone(), 5, offset)).collect();
        assert!(every_kth(all.clone(), 5, 3).len() <= 5);
        seen.sort_unstable();
        assert_eq!(seen, all);
        assert_eq!(every_kth(all.clone(), 97, 7), all);
        assert_eq!(every_kth(all.clone(), 1000, 7), all);
        assert_eq!(every_kth(all, 1, 96), [96]);
    }

    #[test]
    fn the_table_can_be_planted() {
        let mutants = {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            std::env::set_current_dir(root).expect("the workspace");
            table::read().expect("parses")
        };
        assert_eq!(table::check(Path::new("."), &mutants), [""; 0]);
        for area in table::AREAS {
            assert!(mutants.iter().any(|mutant| mutant.area == area), "no mutant of {area}");
        }
    }
}
