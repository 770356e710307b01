//! Java's properties files, as `java.util.Properties.load` reads them: what `zoo.cfg` is written in.

/// A pair, the number of the line (from 1) on which it begins, and of the one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub line: usize,
    pub end: usize,
    pub key: String,
    pub value: String,
}

/// All pairs in order. Lines that begin with `#` or `!` are comments; a line that ends with an odd number of
/// backslashes goes on in the next one; the key ends at the first `=`, `:` or blank that no backslash precedes.
pub fn read(text: &str) -> Vec<Property> {
    let mut lines = text.lines().enumerate();
    let mut pairs = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (mut whole, mut end) = (line.to_owned(), index + 2);
        while goes_on(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
            end += 1;
        }
        let (key, value) = split(&whole);
        pairs.push(Property { line: index + 1, end, key, value });
    }
    pairs
}

fn goes_on(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn split(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (c.is_whitespace() || matches!(c, '=' | ':'));
        escaped = *c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim();
    (unescaped(&line[..end]), unescaped(value))
}

/// `\t`, `\n`, `\r`, `\f`, `\u` and four hex digits; before anything else a backslash is dropped.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_as_java_reads_them() {
        for (text, expected) in [
            ("a=b", vec![(1, "a", "b")]),
            ("  a = b  ", vec![(1, "a", "b")]),
            ("a:b\nc d\ne", vec![(1, "a", "b"), (2, "c", "d"), (3, "e", "")]),
            ("# a=b\n! c=d\n\na=b=c", vec![(4, "a", "b=c")]),
            ("server.1=h:2888:3888;2181", vec![(1, "server.1", "h:2888:3888;2181")]),
            ("a=1,\\\n   2\nb=3", vec![(1, "a", "1,2"), (3, "b", "3")]),
            ("a=1\\\\\nb=2", vec![(1, "a", "1\\"), (2, "b", "2")]),
            ("a\\=b=c\\u0041\\t!", vec![(1, "a=b", "cA\t!")]),
            ("a=b\\", vec![(1, "a", "b")]),
            ("a=\\u12", vec![(1, "a", "\u{12}")]),
            ("\r\na=b\r\n", vec![(2, "a", "b")]),
        ] {
            let read = read(text);
            let pairs: Vec<_> = read.iter().map(|p| (p.line, p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(pairs, expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            read(&text);
        }
    }
}
