//! Which strings are paths of nodes (`PathUtils.validatePath`). Called before a create, setData, setACL
//! or check; reads and deletes do not ask.

use std::fmt;

/// Why a string is no path. Positions count characters as Java does (UTF-16 units; all before the first
/// bad one are single units).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("Path length must be > 0")]
    Empty,
    #[error("Path must start with / character")]
    NotAbsolute,
    #[error("Path must not end with / character")]
    TrailingSlash,
    #[error("{what} @{at}")]
    At { what: PathReason, at: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathReason {
    NullCharacter,
    EmptyNodeName,
    /// `.` or `..` as a name.
    Relative,
    /// Control characters, surrogates (so all characters outside the BMP), private use, U+FFF0 and up
    /// (so everything that is not UTF-8, which Java reads as U+FFFD).
    InvalidCharacter,
}

impl fmt::Display for PathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathReason::NullCharacter => "null character not allowed",
            PathReason::EmptyNodeName => "empty node name specified",
            PathReason::Relative => "relative paths not allowed",
            PathReason::InvalidCharacter => "invalid character",
        })
    }
}

/// Checks in this order; the first that holds is the answer:
///
/// | path | |
/// |---|---|
/// | empty | `Empty` |
/// | begins with another character than `/` | `NotAbsolute` |
/// | `/` | valid |
/// | ends with `/` | `TrailingSlash` |
/// | then the characters in order; of each: NUL | `NullCharacter` |
/// | `/` behind `/` | `EmptyNodeName` |
/// | the last character of a name `.` or `..` | `Relative` |
/// | U+0001 to U+001F, U+007F to U+009F, U+D800 to U+F8FF, U+FFF0 and above, not UTF-8 | `InvalidCharacter` |
///
/// For a sequential create check [`validate_sequential`] first: its last name may still be empty.
pub fn validate_path(path: &[u8]) -> Result<(), PathError> {
    match path {
        [] => return Err(PathError::Empty),
        [b'/'] => return Ok(()),
        [b'/', .., b'/'] => return Err(PathError::TrailingSlash),
        [b'/', ..] => {}
        _ => return Err(PathError::NotAbsolute),
    }
    let mut name = NameSoFar::Empty;
    let mut at = 1;
    for chunk in path[1..].utf8_chunks() {
        let mut rest = chunk.valid().chars().peekable();
        while let Some(c) = rest.next() {
            // At the end of a valid chunk stands the end of the path, or a character that is no slash.
            let ends = rest.peek().map_or(chunk.invalid().is_empty(), |next| *next == '/');
            if let Some(what) = name.reason_against(c, ends) {
                return Err(PathError::At { what, at });
            }
            name = name.and(c);
            at += 1;
        }
        if !chunk.invalid().is_empty() {
            return Err(PathError::At { what: PathReason::InvalidCharacter, at });
        }
    }
    Ok(())
}

/// Checks the path of a sequential create before its number is known: as if it ended in a digit.
pub fn validate_sequential(path: &[u8]) -> Result<(), PathError> {
    validate_path(&[path, b"1"].concat())
}

/// How much of a name was read.
#[derive(Clone, Copy)]
enum NameSoFar {
    Empty,
    Dot,
    More,
}

impl NameSoFar {
    fn and(self, c: char) -> NameSoFar {
        match (self, c) {
            (_, '/') => NameSoFar::Empty,
            (NameSoFar::Empty, '.') => NameSoFar::Dot,
            _ => NameSoFar::More,
        }
    }

    /// What speaks against `c` as the next character; `ends`: it is the last of its name.
    fn reason_against(self, c: char, ends: bool) -> Option<PathReason> {
        match (self, c) {
            (_, '\0') => Some(PathReason::NullCharacter),
            (NameSoFar::Empty, '/') => Some(PathReason::EmptyNodeName),
            (NameSoFar::Empty | NameSoFar::Dot, '.') if ends => Some(PathReason::Relative),
            (_, '\x01'..='\x1f' | '\x7f'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..) => {
                Some(PathReason::InvalidCharacter)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let at = |what, at| Err(PathError::At { what, at });
        use PathReason::{EmptyNodeName, InvalidCharacter, NullCharacter, Relative};
        for (path, expected) in [
            (&b""[..], Err(PathError::Empty)),
            (b"a", Err(PathError::NotAbsolute)),
            (b"a/", Err(PathError::NotAbsolute)),
            (b"/", Ok(())),
            (b"//", Err(PathError::TrailingSlash)),
            (b"/a/", Err(PathError::TrailingSlash)),
            (b"/a\0b", at(NullCharacter, 2)),
            (b"/a//b", at(EmptyNodeName, 3)),
            (b"//b", at(EmptyNodeName, 1)),
            (b"/.", at(Relative, 1)),
            (b"/..", at(Relative, 2)),
            (b"/./a", at(Relative, 1)),
            (b"/a/../b", at(Relative, 4)),
            (b"/a/..", at(Relative, 4)),
            (b"/...", Ok(())),
            (b"/.a", Ok(())),
            (b"/a.", Ok(())),
            (b"/a..", Ok(())),
            (b"/..a/.b./c..d", Ok(())),
            (b"/a\x01", at(InvalidCharacter, 2)),
            (b"/a\x1f", at(InvalidCharacter, 2)),
            (b"/a ", Ok(())),
            (b"/a\x7f", at(InvalidCharacter, 2)),
            ("/\u{9f}".as_bytes(), at(InvalidCharacter, 1)),
            ("/\u{a0}\u{d7ff}\u{f900}\u{ffef}".as_bytes(), Ok(())),
            ("/ä\u{e000}".as_bytes(), at(InvalidCharacter, 2)),
            ("/\u{f8ff}".as_bytes(), at(InvalidCharacter, 1)),
            ("/\u{fff0}".as_bytes(), at(InvalidCharacter, 1)),
            ("/a\u{1f600}".as_bytes(), at(InvalidCharacter, 2)),
            // A surrogate pair as Java writes it, and a byte that is no UTF-8 behind a dot.
            (b"/a\xed\xa0\xbd\xed\xb8\x80", at(InvalidCharacter, 2)),
            (b"/.\xff", at(InvalidCharacter, 2)),
        ] {
            assert_eq!(validate_path(path), expected, "{:?}", String::from_utf8_lossy(path));
        }
        assert_eq!(validate_sequential(b"/a/"), Ok(()));
        assert_eq!(validate_sequential(b"/a//"), at(EmptyNodeName, 3));
        assert_eq!(validate_sequential(b""), Err(PathError::NotAbsolute));
        assert_eq!(at(Relative, 4).unwrap_err().to_string(), "relative paths not allowed @4");
    }
}
