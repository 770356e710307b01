//! Records as text and as JSON.

use serde_json::json;
use wire::Value;
use wire::codes::perms;

/// `CreateTxn {path: /a, data: "hello", ephemeral: false}`.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Zxid(zxid) => zxid.to_string(),
        Value::Session(id) => id.to_string(),
        Value::String(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Buffer(bytes) => buffer(bytes),
        Value::List(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        Value::Record("Acl", fields) => acl(fields),
        Value::Record(name, fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
            format!("{name} {{{}}}", fields.join(", "))
        }
    }
}

/// `world:anyone=cdrwa`, the letters as `zkCli.sh` prints them.
fn acl(fields: &[(&'static str, Value)]) -> String {
    let mut said = String::new();
    for (_, value) in fields {
        match value {
            Value::Int(perms) => {
                let letters = [(perms::CREATE, 'c'), (perms::DELETE, 'd'), (perms::READ, 'r')];
                let letters = letters.into_iter().chain([(perms::WRITE, 'w'), (perms::ADMIN, 'a')]);
                let allowed = letters.filter(|(bit, _)| perms & i64::from(*bit) != 0);
                said = allowed.map(|(_, letter)| letter).collect();
            }
            Value::Record(_, id) => {
                let id: Vec<String> = id.iter().map(|(_, part)| text(part)).collect();
                said = format!("{}={said}", id.join(":"));
            }
            _ => {}
        }
    }
    said
}

/// Printable data in quotes, other as hexadecimal digits; the beginning of what is long.
fn buffer(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let start = &bytes[..bytes.len().min(SHOWN)];
    let shown = match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("0x{}", start.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    };
    if bytes.len() > SHOWN { format!("{shown}... ({} bytes)", bytes.len()) } else { shown }
}

/// Buffers as base64, zxids and sessions as hexadecimal strings; a record is an object of its fields.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => json!(b),
        Value::Int(n) => json!(n),
        Value::Zxid(zxid) => json!(format!("{:#x}", zxid.0)),
        Value::Session(id) => json!(id.to_string()),
        Value::String(bytes) => json!(String::from_utf8_lossy(bytes)),
        Value::Buffer(bytes) => json!(base64(bytes)),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Record(_, fields) => {
            fields.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect()
        }
    }
}

/// RFC 4648, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n)) as usize & 63];
            out.push(if n <= group.len() { digit as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use wire::Jute;

    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn acls() {
        let id = wire::Id::of("ip", "10.0.0.0/8");
        let acl = |perms| text(&wire::Acl { perms, id: id.clone() }.value());
        assert_eq!(acl(perms::ALL), "ip:10.0.0.0/8=cdrwa");
        assert_eq!(acl(perms::READ | perms::ADMIN), "ip:10.0.0.0/8=ra");
    }

    #[test]
    fn buffers() {
        assert_eq!(buffer(b"a \"b\""), r#""a \"b\"""#);
        assert_eq!(buffer(&[0, 0xff]), "0x00ff");
        assert!(buffer(&[b'x'; 100]).ends_with("x\"... (100 bytes)"));
    }
}
