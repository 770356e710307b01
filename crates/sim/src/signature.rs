//! The signature of a failure: which invariant, and where. Two failures with one signature are taken
//! for one bug: the sweep groups by it, and the shrinker keeps it.
//!
//! It is the code of the first violation of the run, and its detail up to the first `;`, with every
//! number, zxid, digest and list of them put to `#`:
//!
//! ```text
//! AST-ACK   acknowledges 0x100000005, durable is 0x100000004    (as reported)
//! AST-ACK: acknowledges #, durable is #                         (signature)
//! ```
//!
//! What convergence says of everybody (behind a `:`) differs from run to run; LV-ELECT is cut there.

use checker::Violation;

/// The signature of a run: that of its first violation.
pub fn of_run(violations: &[Violation]) -> Option<String> {
    violations.first().map(|v| signature(v.invariant, &v.detail))
}

pub fn signature(invariant: &str, detail: &str) -> String {
    let ends: &[char] = if invariant == "LV-ELECT" { &[';', ':'] } else { &[';'] };
    let place = detail.split(ends).next().unwrap_or_default();
    format!("{invariant}: {}", without_numbers(place))
}

/// Words that hold a digit become `#`; several such in a row become one.
fn without_numbers(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let word = if bare.contains(|c: char| c.is_ascii_digit()) {
            word.replacen(bare, "#", 1)
        } else {
            word.to_owned()
        };
        // A list: `[1, 2, 3]` is `[#]`.
        let list_goes_on = |last: &String| last.ends_with("#,") && word.starts_with('#');
        if let Some(last) = out.last_mut().filter(|last| list_goes_on(last)) {
            let head = last.trim_end_matches("#,").to_owned();
            *last = head + &word;
            continue;
        }
        out.push(word);
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_count() {
        for (invariant, detail, expected) in [
            (
                "AST-ACK",
                "acknowledges 0x100000005, durable is (1,4)",
                "AST-ACK: acknowledges #, durable is (#)",
            ),
            ("CLD", "0x1 is durable at [1, 2, 3] only", "CLD: # is durable at [#] only"),
            ("LV-ELECT", "nobody leads: server 1 in role Looking", "LV-ELECT: nobody leads"),
            ("LV-STEP", "leads epoch 5 with 2; and more 3", "LV-STEP: leads epoch # with #"),
            (
                "LV-START",
                "does not start: log.100000001 is damaged",
                "LV-START: does not start: # is damaged",
            ),
        ] {
            assert_eq!(signature(invariant, detail), expected);
        }
    }

    #[test]
    fn another_invariant_or_place_is_another_signature() {
        let one = signature("GPO", "delivery goes from 5 back to 4");
        assert_ne!(one, signature("GPO", "disk goes from 5 back to 4"));
        assert_ne!(one, signature("GAP", "delivery goes from 5 back to 4"));
    }
}
