//! The table of mutants: reading it, checking it against the tree, planting one.
//!
//! ```text
//! [area]
//! == name: what one could have got wrong
//! @ path/of/file.rs
//! - text that stands there exactly once
//! + text that replaces it
//! ```
//!
//! with as many `-` and `+` lines as needed, of whole lines, and as many `@` as the fault has places.

use std::path::Path;

/// The parts of the core that the table covers, in its order.
pub const AREAS: [&str; 9] = [
    "election",
    "handshake",
    "synchronisation",
    "broadcast",
    "learner",
    "storage",
    "sessions",
    "server",
    "wire",
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    pub file: String,
    find: String,
    replace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutant {
    pub area: String,
    pub name: String,
    pub story: String,
    pub hunks: Vec<Hunk>,
}

pub fn read() -> Result<Vec<Mutant>, String> {
    let path = "xtask/mutants.txt";
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    parse(&text)
}

fn parse(table: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut area = String::new();
    for (number, line) in table.lines().enumerate() {
        let at = |what: &str| format!("xtask/mutants.txt:{}: {what}", number + 1);
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if !AREAS.contains(&name) {
                return Err(at(&format!("expected one of {}", AREAS.join(", "))));
            }
            area = name.to_owned();
        } else if let Some(title) = line.strip_prefix("== ") {
            let (name, story) = title.split_once(": ").ok_or_else(|| at("expected `== name: story`"))?;
            if area.is_empty() {
                return Err(at("expected `[area]` first"));
            }
            if mutants.iter().any(|mutant| mutant.name == name) {
                return Err(at(&format!("a second `{name}`")));
            }
            let (area, name, story) = (area.clone(), name.to_owned(), story.to_owned());
            mutants.push(Mutant { area, name, story, hunks: Vec::new() });
        } else if !line.is_empty() && !line.starts_with('#') {
            let mutant = mutants.last_mut().ok_or_else(|| at("expected `== name: story` first"))?;
            parse_hunk_line(mutant, line).map_err(at)?;
        }
    }
    Ok(mutants)
}

fn parse_hunk_line(mutant: &mut Mutant, line: &str) -> Result<(), &'static str> {
    // An empty line of the text may have lost the blank behind its sign.
    let (sign, text) = line.split_at_checked(2).unwrap_or((line, ""));
    if sign == "@ " {
        mutant.hunks.push(Hunk { file: text.to_owned(), ..Hunk::default() });
        return Ok(());
    }
    let hunk = mutant.hunks.last_mut().ok_or("expected `@ file` first")?;
    let side = match sign.trim_end() {
        "-" => &mut hunk.find,
        "+" => &mut hunk.replace,
        _ => return Err("expected a line that begins with `[`, `== `, `@ `, `- ` or `+ `"),
    };
    side.push_str(text);
    side.push('\n');
    Ok(())
}

/// What stands in the way of planting: every mutant's own text must be there, once, in each of its places.
pub fn check(root: &Path, mutants: &[Mutant]) -> Vec<String> {
    mutants.iter().filter_map(|mutant| planted(root, mutant).err()).collect()
}

/// The files of `mutant` with its fault in them.
pub fn planted(root: &Path, mutant: &Mutant) -> Result<Vec<(String, String)>, String> {
    let mut files: Vec<(String, String)> = Vec::new();
    if mutant.hunks.is_empty() {
        return Err(format!("{}: it changes nothing", mutant.name));
    }
    for hunk in &mutant.hunks {
        let before = match files.iter().find(|(file, _)| *file == hunk.file) {
            Some((_, text)) => text.clone(),
            None => std::fs::read_to_string(root.join(&hunk.file))
                .map_err(|e| format!("{}: {}: {e}", mutant.name, hunk.file))?,
        };
        let found = if hunk.find.is_empty() { 0 } else { before.matches(&hunk.find).count() };
        if found != 1 {
            return Err(format!("{}: its text stands {found} times in {}", mutant.name, hunk.file));
        }
        if hunk.find == hunk.replace {
            return Err(format!("{}: it changes nothing in {}", mutant.name, hunk.file));
        }
        let after = before.replace(&hunk.find, &hunk.replace);
        files.retain(|(file, _)| *file != hunk.file);
        files.push((hunk.file.clone(), after));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_has_places_and_each_of_them_a_text() {
        let text = "# about\n[election]\n== one: a story: with a colon\n@ a.rs\n- x\n-   y\n+ z\n@ b.rs\n- p\n\n== two: gone\n@ a.rs\n- q\n-\n";
        let mutants = parse(text).expect("parses");
        assert_eq!(mutants.len(), 2);
        let hunk = |file: &str, find: &str, replace: &str| Hunk {
            file: file.into(),
            find: find.into(),
            replace: replace.into(),
        };
        assert_eq!((mutants[0].name.as_str(), mutants[0].area.as_str()), ("one", "election"));
        assert_eq!(mutants[0].story, "a story: with a colon");
        assert_eq!(mutants[0].hunks, [hunk("a.rs", "x\n  y\n", "z\n"), hunk("b.rs", "p\n", "")]);
        assert_eq!(mutants[1].hunks, [hunk("a.rs", "q\n\n", "")]);
    }

    #[test]
    fn mistakes_in_the_table_are_told_by_their_line() {
        for (text, line) in [
            ("[elections]\n", 1),
            ("== a: b\n", 1),
            ("[election]\n== a\n", 2),
            ("[election]\n== a: b\n- x\n", 3),
            ("[election]\n== a: b\n@ a.rs\n* x\n", 4),
            ("[election]\n== a: b\n@ a.rs\n- x\n== a: c\n", 5),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("xtask/mutants.txt:{line}: ")), "{error}");
        }
    }

    #[test]
    fn a_text_must_stand_there_once() {
        let root = std::env::temp_dir().join(format!("vivarium-mutants-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("a directory");
        std::fs::write(root.join("a.rs"), "once\ntwice\ntwice\n").expect("a file");
        let mutant =
            |hunks: &str| parse(&format!("[wire]\n== m: s\n@ a.rs\n{hunks}")).expect("parses").remove(0);
        let after = planted(&root, &mutant("- once\n+ one\n@ a.rs\n- one\n+ two\n")).expect("is planted");
        assert_eq!(after, [("a.rs".to_owned(), "two\ntwice\ntwice\n".to_owned())]);
        for hunks in ["- twice\n+ x\n", "- never\n+ x\n", "- once\n+ once\n", "+ x\n"] {
            assert!(planted(&root, &mutant(hunks)).is_err(), "{hunks}");
        }
        assert!(planted(&root, &Mutant::default()).is_err());
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
