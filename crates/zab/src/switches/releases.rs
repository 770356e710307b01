//! Releases of ZooKeeper, and ranges of them. Read by the [catalogue](super::catalogue).

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub major: u8,
    pub minor: u8,
    pub patch: u8,
}

/// From the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: Release,
    pub to: Release,
}

impl Range {
    pub fn contains(self, release: Release) -> bool {
        self.from <= release && release <= self.to
    }
}

/// How many releases each line has had so far: (major, minor, patch of the last).
const LINES: [(u8, u8, u8); 7] =
    [(3, 3, 6), (3, 4, 14), (3, 5, 10), (3, 6, 4), (3, 7, 2), (3, 8, 6), (3, 9, 5)];

/// All releases of the lines that the museum tells of, oldest first.
pub fn releases() -> impl Iterator<Item = Release> {
    LINES
        .into_iter()
        .flat_map(|(major, minor, last)| (0..=last).map(move |patch| Release { major, minor, patch }))
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no release of ZooKeeper from 3.3.0 to 3.9.5: expected three numbers such as 3.8.4")]
pub struct NoRelease(String);

impl FromStr for Release {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Release, NoRelease> {
        let wrong = || NoRelease(text.into());
        let mut numbers = text.split('.').map(|part| part.parse::<u8>());
        let mut number = || numbers.next().and_then(Result::ok).ok_or_else(wrong);
        let release = Release { major: number()?, minor: number()?, patch: number()? };
        let whole = numbers.next().is_none();
        (whole && releases().any(|known| known == release)).then_some(release).ok_or_else(wrong)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl fmt::Display for Range {
    /// `3.4.10-3.4.14`, `up to 3.3.3`, `3.5.0 and later`; `3.5.x` for the rest of a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |f: &mut fmt::Formatter<'_>| match self.to {
            Release { major, minor, patch: u8::MAX } => write!(f, "{major}.{minor}.x"),
            to => write!(f, "{to}"),
        };
        if self.from.major == 0 {
            write!(f, "up to ")?;
            return end(f);
        }
        write!(f, "{}", self.from)?;
        if self.to.major == u8::MAX {
            return write!(f, " and later");
        }
        if self.to != self.from {
            write!(f, "-")?;
            end(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_words() {
        assert_eq!("3.8.4".parse::<Release>().expect("a release").to_string(), "3.8.4");
        for wrong in ["", "3.8", "3.8.4.1", "3.8.99", "v3.8.4", "3.10.0", "2.1.0", "3.8.-1"] {
            assert_eq!(wrong.parse::<Release>(), Err(NoRelease(wrong.into())));
        }
        let r = |major, minor, patch| Release { major, minor, patch };
        let words = [
            (Range { from: r(3, 4, 10), to: r(3, 4, 14) }, "3.4.10-3.4.14"),
            (Range { from: r(3, 5, 3), to: r(3, 5, 3) }, "3.5.3"),
            (Range { from: r(3, 6, 3), to: r(3, 8, 255) }, "3.6.3-3.8.x"),
            (Range { from: r(0, 0, 0), to: r(3, 3, 255) }, "up to 3.3.x"),
            (Range { from: r(3, 5, 0), to: r(255, 255, 255) }, "3.5.0 and later"),
        ];
        for (range, text) in words {
            assert_eq!(range.to_string(), text);
        }
    }
}
