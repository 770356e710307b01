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
    pub fn made(&mut self, h: &TreeHistory, zxid: Zxid, asked: &CreateRequest, path: &[u8]) -> Option<String> {
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
