//! Reads the recorded streams under `vectors/`.
#![allow(clippy::disallowed_methods, dead_code)] // tests read files; each test file uses its part

use std::path::{Path, PathBuf};

use bytes::Bytes;

pub struct Frame {
    pub conn: u64,
    pub dir: String,
    pub kind: String,
    pub name: String,
    pub bytes: Bytes,
}

pub fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().map(|d| (d as char).to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// All files of a folder of vectors.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The frames of a stream file; those without bytes (open, close) are left out.
pub fn frames(file: &Path) -> Vec<Frame> {
    let text = std::fs::read_to_string(file).expect("a readable file");
    text.lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
            Frame {
                conn: json["conn"].as_u64().expect("conn"),
                dir: json["dir"].as_str().expect("dir").into(),
                kind: json["kind"].as_str().expect("kind").into(),
                name: json["type"].as_str().expect("type").into(),
                bytes: hex(json["hex"].as_str().unwrap_or("")),
            }
        })
        .filter(|frame| !frame.bytes.is_empty())
        .collect()
}
