//! `StatsTrack`: the text in the nodes of a quota, `count=5,bytes=-1=;byteHardLimit=10;countHardLimit=-1`.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsTrack {
    values: BTreeMap<String, i64>,
}

const COUNT: &str = "count";
const BYTES: &str = "bytes";

impl StatsTrack {
    pub fn of(count: i64, bytes: i64) -> StatsTrack {
        StatsTrack { values: BTreeMap::from([(COUNT.into(), count), (BYTES.into(), bytes)]) }
    }

    /// Pairs between commas and semicolons. What cannot be read is left out: the node is a client's to write,
    /// and Java's servers die of such text.
    pub fn parse(data: Option<&[u8]>) -> StatsTrack {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=');
            let key = parts.next().filter(|key| !key.is_empty())?;
            let value = match parts.next()? {
                "" => -1,
                value => value.parse().ok()?,
            };
            Some((key.to_owned(), value))
        });
        StatsTrack { values: pairs.collect() }
    }

    fn get(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(-1)
    }

    /// -1: unlimited, or not there. Here and in the others.
    pub fn count(&self) -> i64 {
        self.get(COUNT)
    }
    pub fn bytes(&self) -> i64 {
        self.get(BYTES)
    }
    pub fn count_hard_limit(&self) -> i64 {
        self.get("countHardLimit")
    }
    pub fn byte_hard_limit(&self) -> i64 {
        self.get("byteHardLimit")
    }

    pub fn add(&mut self, count: i64, bytes: i64) {
        let (count, bytes) = (self.count().wrapping_add(count), self.bytes().wrapping_add(bytes));
        self.values.insert(COUNT.into(), count);
        self.values.insert(BYTES.into(), bytes);
    }

    pub fn text(&self) -> String {
        let mut text = format!("{COUNT}={},{BYTES}={}", self.count(), self.bytes());
        let others = self.values.iter().filter(|(key, _)| !matches!(key.as_str(), COUNT | BYTES));
        for (n, (key, value)) in others.enumerate() {
            text += &format!("{};{key}={value}", if n == 0 { "=" } else { "" });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "count=5,bytes=-1",
            "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10",
            "count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=-1",
        ] {
            let track = StatsTrack::parse(Some(text.as_bytes()));
            assert_eq!(track.text(), text);
        }
        let hard = StatsTrack::parse(Some(b"count=5,bytes=-1=;byteHardLimit=7;countHardLimit=10"));
        assert_eq!((hard.count(), hard.bytes()), (5, -1));
        assert_eq!((hard.count_hard_limit(), hard.byte_hard_limit()), (10, 7));
        let mut track = StatsTrack::of(1, 10);
        track.add(2, -4);
        assert_eq!(track.text(), "count=3,bytes=6");
        for nonsense in [None, Some(&b""[..]), Some(b"count"), Some(b"count=x,=,;;=5"), Some(b"\xff\xfe=3,")]
        {
            assert_eq!((StatsTrack::parse(nonsense).count(), StatsTrack::parse(nonsense).bytes()), (-1, -1));
        }
    }
}
