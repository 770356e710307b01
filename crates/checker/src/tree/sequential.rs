//! SEQ, sequential names: below one parent, names that were given for later transactions have larger
//! numbers, so that none comes twice. The number counts while the parent is there; one that was deleted and
//! made again begins anew.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::Zxid;
use wire::client::CreateRequest;

use super::history::{TreeHistory, parent};

#[derive(Clone, Debug, Default)]
pub(crate) struct Sequential {
    /// By parent and its czxid: the number that each zxid was given.
    given: BTreeMap<(Bytes, Zxid), BTreeMap<Zxid, i64>>,
}

impl Sequential {
    /// The request was answered at `zxid` with this path.
    pub fn made(
        &mut self,
        h: &TreeHistory,
        zxid: Zxid,
        asked: &CreateRequest,
        path: &[u8],
    ) -> Option<String> {
        if !matches!(asked.flags, 2 | 3 | 6) {
            return None;
        }
        let shown = String::from_utf8_lossy(path).into_owned();
        let number = path.strip_prefix(&asked.path[..]).filter(|digits| digits.len() >= 10);
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
        let Some(number) = number else {
            return Some(format!("{shown} is no name for {}", String::from_utf8_lossy(&asked.path)));
        };
        let above = Bytes::copy_from_slice(parent(path));
        let czxid = h.at(&above, zxid)?.czxid;
        let given = self.given.entry((above, czxid)).or_default();
        let before = given.range(..zxid).next_back().filter(|(_, n)| **n >= number);
        let behind = given.range((std::ops::Bound::Excluded(zxid), std::ops::Bound::Unbounded)).next();
        let found = before.or(behind.filter(|(_, n)| **n <= number));
        let found = found.map(|(at, n)| format!("{shown} at {zxid}, where {n} was given at {at}"));
        given.insert(zxid, number);
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::testing::*;

    fn two(first: &str, second: &str) -> TreeRun {
        let mut run = TreeRun::new();
        run.commit(A, 1, create("/q", false));
        let one = run.commit(A, 2, create(first, false));
        let other = if first == second { one.next() } else { run.commit(A, 3, create(second, false)) };
        // The later one's reply comes first.
        if first == second {
            run.commit(A, 3, set(first, "w", 1));
        }
        run.named(other, "/q/n", second);
        run.named(one, "/q/n", first);
        run
    }

    #[test]
    fn names_grow() {
        two("/q/n0000000000", "/q/n0000000001").sound();
        two("/q/n0000000003", "/q/n0000000009").sound();
    }

    #[test]
    fn a_number_comes_twice_or_falls() {
        two("/q/n0000000001", "/q/n0000000001").first_is("SEQ");
        two("/q/n0000000002", "/q/n0000000001").first_is("SEQ");
    }

    #[test]
    fn no_number() {
        two("/q/n0000000001", "/q/n000000000x").first_is("SEQ");
        two("/q/n0000000001", "/q/n1").first_is("SEQ");
    }

    #[test]
    fn a_parent_that_was_made_again_counts_anew() {
        let mut run = two("/q/n0000000000", "/q/n0000000001");
        for path in ["/q/n0000000000", "/q/n0000000001", "/q"] {
            run.commit(A, 5, delete(path));
        }
        run.commit(A, 6, create("/q", false));
        let again = run.commit(A, 7, create("/q/n0000000000", false));
        run.named(again, "/q/n", "/q/n0000000000");
        run.sound();
    }
}
