//! A transaction log: a line for each transaction, then where and why it ends.

use bytes::Bytes;
use serde_json::json;
use storage::log_reader::{END_OF_ENTRY, End, HEADER_LEN, LogFile, read_log};
use wire::{Jute, OpCode, Txn};
use zab::DiskError;

use super::{Damage, value};

pub fn print(name: &str, bytes: Vec<u8>, json: bool) -> Vec<Damage> {
    let (log, mut damage) = read(name, bytes);
    let Some(log) = log else { return damage };
    for (offset, entry) in &log.entries {
        match Txn::decode(&entry.txn) {
            Ok(txn) if json => say!("{}", as_json(*offset, &txn)),
            Ok(txn) => say!("{}", as_text(*offset, &txn)),
            Err(why) => damage.push(Damage::at_offset(*offset, format!("expected a transaction: {why}"))),
        }
    }
    let (end, count) = (log.end, log.entries.len());
    let reason = reason(&log);
    if json {
        say!("{}", json!({"kind": "end", "offset": end, "txns": count, "end": reason}));
    } else {
        say!("{end:>8} end after {count} transactions ({reason})");
    }
    damage
}

/// The log as far as it can be read, and what is wrong where it ends.
pub fn read(name: &str, bytes: Vec<u8>) -> (Option<LogFile>, Vec<Damage>) {
    let content = Bytes::from(bytes.clone());
    match read_log(name, bytes) {
        Ok(log) => {
            let fine = log.reason == End::Eof || (log.reason == End::Zeros && !log.torn);
            let damage = if fine { Vec::new() } else { vec![what_is_wrong(&content, &log)] };
            (Some(log), damage)
        }
        Err(DiskError::Corrupt { offset, what, .. }) => (None, vec![Damage::at_offset(offset, what)]),
        Err(other) => (None, vec![Damage::at_offset(0, other.to_string())]),
    }
}

pub fn reason(log: &LogFile) -> &'static str {
    match log.reason {
        End::Zeros => "zeros",
        End::Eof => "eof",
        End::Partial => "partial",
        End::Crc => "crc",
        End::NoHeader => "no header",
    }
}

/// What was expected where reading ended; the rows of the log reader, with numbers.
fn what_is_wrong(bytes: &Bytes, log: &LogFile) -> Damage {
    let at = log.end as usize;
    let left = bytes.len() - at;
    if log.reason == End::NoHeader {
        return Damage::at_offset(0, format!("expected a header of {HEADER_LEN} bytes beginning with ZKLG"));
    }
    let expected = match (bytes.get(at..at + 8), bytes.get(at + 8..at + 12)) {
        (Some(crc), Some(length)) => {
            let crc = u64::from_be_bytes(crc.try_into().expect("eight bytes"));
            let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
            entry_expected(bytes, at, crc, length)
        }
        _ => format!("expected a checksum and a length (12 bytes), {left} are left"),
    };
    let torn = if log.torn { "; it looks like an unsynced write that did not arrive whole" } else { "" };
    Damage::at_offset(log.end, expected + torn)
}

fn entry_expected(bytes: &Bytes, at: usize, crc: u64, length: i32) -> String {
    let start = at + 12;
    let Ok(n @ 1..) = usize::try_from(length) else {
        return format!("expected the length of an entry, found {length}");
    };
    let left = bytes.len() - start;
    match bytes.get(start..).and_then(|rest| rest.get(..n)) {
        Some(_) if left == n => format!("expected 'B' behind an entry of {n} bytes, the file ends there"),
        Some(_) if bytes[start + n] != END_OF_ENTRY => {
            let found = bytes[start + n];
            format!(
                "expected 'B' (0x42) at offset {} behind an entry of {n} bytes, found {found:#04x}",
                start + n
            )
        }
        Some(txn) => {
            let sum = storage::checksum::adler32(txn);
            format!("expected an entry of {n} bytes with the checksum {crc:#x}, found {sum:#x}")
        }
        None => format!("expected an entry of {n} bytes, {left} are left"),
    }
}

fn as_text(offset: u64, txn: &Txn) -> String {
    let header = &txn.header;
    let name = OpCode::of(header.kind).map_or(header.kind.to_string(), |op| op.name().to_owned());
    let digest = txn.digest.map_or(String::new(), |d| format!(" digest={:#x}", d.tree_digest));
    format!(
        "{offset:>8} {} time={} session={} cxid={} {name} {}{digest}",
        header.zxid,
        header.time_ms,
        header.client_id,
        header.cxid,
        value::text(&txn.body.value()),
    )
}

fn as_json(offset: u64, txn: &Txn) -> serde_json::Value {
    json!({
        "kind": "txn",
        "offset": offset,
        "op": OpCode::of(txn.header.kind).map(OpCode::name),
        "header": value::json(&txn.header.value()),
        "txn": value::json(&txn.body.value()),
        "digest": txn.digest.map(|digest| value::json(&digest.value())),
    })
}
