//! Bytes as hexadecimal text in recordings: half as long as serde's list of numbers, and to be searched.

use bytes::Bytes;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn text(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn bytes(text: &str) -> Option<Bytes> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(pair).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

pub fn serialize<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(value))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let read = String::deserialize(deserializer)?;
    bytes(&read).ok_or_else(|| D::Error::custom("expected hexadecimal digits, two a byte"))
}

/// A body with its zxid.
pub mod at_zxid {
    use super::{Bytes, Deserialize, Deserializer, Error, Serialize, Serializer, bytes, text};
    use wire::Zxid;

    pub fn serialize<S: Serializer>(value: &Option<(Zxid, Bytes)>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(|(zxid, body)| (*zxid, text(body))).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(Zxid, Bytes)>, D::Error> {
        let Some((zxid, read)) = Option::<(Zxid, String)>::deserialize(from)? else { return Ok(None) };
        let body = bytes(&read).ok_or_else(|| D::Error::custom("expected hexadecimal digits, two a byte"))?;
        Ok(Some((zxid, body)))
    }
}
