//! `vivarium decode` over what real servers wrote and said, and over what was damaged.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn decode(args: &[&str], path: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vivarium"))
        .arg("decode")
        .args(args)
        .arg(path)
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("an exit code"), text)
}

fn json(path: &Path) -> (i32, Vec<Value>) {
    let (code, text) = decode(&["--json"], path);
    (code, text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect())
}

fn vectors(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

/// Every data directory with what real servers found in its files.
fn datadirs() -> Vec<(PathBuf, Value)> {
    let folder = vectors("storage/tests/vectors/datadirs");
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the vectors") {
        let path = entry.expect("an entry").path();
        if let Some(name) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".expected.json")) {
            let expected = std::fs::read(&path).expect("expected");
            dirs.push((folder.join(name), serde_json::from_slice(&expected).expect("JSON")));
        }
    }
    assert_eq!(dirs.len(), 46);
    dirs
}

/// Is the file whole, after what is expected of it? A log that ends by `zeros` or at its end is.
fn whole(expected: &Value) -> bool {
    let end = expected["end"].as_str();
    !expected["damaged"].is_string() && end.is_none_or(|end| end == "zeros" || end == "eof")
}

fn check_log(path: &Path, objects: &[Value], expected: &Value) {
    let end = objects.iter().find(|o| o["kind"] == "end").expect("an end");
    for (ours, theirs) in [("end", "end"), ("offset", "end_offset"), ("txns", "txns")] {
        assert_eq!(end[ours], expected[theirs], "{}", path.display());
    }
    let txns: Vec<&Value> = objects.iter().filter(|o| o["kind"] == "txn").collect();
    assert_eq!(Some(txns.len() as u64), expected["txns"].as_u64());
    if let (Some(first), Some(last)) = (txns.first(), txns.last()) {
        assert_eq!(first["header"]["zxid"], expected["first_zxid"]);
        assert_eq!(last["header"]["zxid"], expected["last_zxid"]);
    }
    if !whole(expected) {
        let damage = objects.last().expect("a line");
        assert_eq!(damage["kind"], "damage", "{}", path.display());
        assert_eq!(damage["offset"], expected["end_offset"], "{}", path.display());
        assert!(damage["expected"].as_str().is_some_and(|what| what.starts_with("expected")), "{damage}");
    }
}

fn check_snapshot(path: &Path, objects: &[Value], expected: &Value) {
    if !expected["nodes"].is_u64() {
        return; // damaged, or compressed as snappy: nothing is told of those
    }
    let end = objects.last().expect("a line");
    assert_eq!(
        (&end["kind"], &end["nodes"]),
        (&Value::from("end"), &expected["nodes"]),
        "{}",
        path.display()
    );
    assert_eq!(end["last_zxid"], expected["last_zxid"]);
    let number = |hex: &Value| u64::from_str_radix(hex.as_str()?.strip_prefix("0x")?, 16).ok();
    assert_eq!(number(&end["digest"]["digest"]), number(&expected["digest"]["value"]));
    for object in objects.iter().filter(|o| o["kind"] == "session") {
        assert_eq!(object["timeout"], expected["sessions"][object["id"].as_str().expect("an id")]);
    }
    let count = |kind: &str| objects.iter().filter(|o| o["kind"] == kind).count() as u64;
    assert_eq!(Some(count("session")), expected["sessions"].as_object().map(|s| s.len() as u64));
    assert_eq!(Some(count("node")), expected["nodes"].as_u64());
}

#[test]
fn every_file_of_a_server() {
    let mut damaged = 0;
    for (dir, expected) in datadirs() {
        let files = expected["files"].as_object().expect("files");
        for (name, expected) in files {
            let path = dir.join(name);
            let (code, objects) = json(&path);
            assert_eq!(code, i32::from(!whole(expected)), "{}: {objects:?}", path.display());
            damaged += code;
            match name.split('.').next() {
                Some("log") => check_log(&path, &objects, expected),
                Some("snapshot") => check_snapshot(&path, &objects, expected),
                _ => assert_eq!(objects[0]["epoch"], expected["value"]),
            }
            let (again, text) = decode(&[], &path);
            assert_eq!((again, text.contains("\ndamaged: ")), (code, code == 1), "{text}");
        }
        let (code, text) = decode(&[], &dir);
        assert_eq!(code, i32::from(!files.values().all(whole)), "{}: {text}", dir.display());
        for name in files.keys() {
            assert!(text.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}: {text}");
        }
    }
    assert!(damaged > 20, "{damaged}");
}

/// One object for a data directory: what real servers read from it; or, where some of them refuse, the file
/// and the offset.
#[test]
fn every_directory_as_a_tree() {
    let (mut exact, mut refused) = (0, 0);
    for (dir, expected) in datadirs() {
        let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
        let (code, objects) = json(&dir);
        let [object] = objects.as_slice() else { panic!("{name}: {objects:?}") };
        if code != 0 {
            assert!(expected["refused_by"].as_array().is_some_and(|by| !by.is_empty()), "{name}: {object}");
            let file = object["file"].as_str().expect("a file");
            assert!(expected["files"][file].is_object() && object["offset"].is_u64(), "{name}: {object}");
            assert_eq!(object["kind"], "damage");
            refused += 1;
            continue;
        }
        let tree = std::fs::read(vectors("server/tests/vectors").join(format!("{name}.json")));
        let tree: Value = serde_json::from_slice(&tree.expect("a tree")).expect("JSON");
        assert_eq!(object["last_zxid"], expected["last_zxid"], "{name}");
        assert_eq!(object["nodes"], tree["nodes"], "{name}");
        assert_eq!(object.as_object().expect("an object").len(), 2);
        exact += 1;
    }
    assert!(exact >= 28 && refused >= 12, "{exact} exact, {refused} refused");
}

/// No frame of any recording is damaged, and none is left out.
#[test]
fn every_recording() {
    let mut open = vec![vectors("wire/tests/vectors")];
    let mut recordings = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()),
            );
            continue;
        }
        let frames = std::fs::read_to_string(&path).expect("a recording").lines().count();
        let (code, text) = decode(&[], &path);
        assert_eq!(code, 0, "{}: {}", path.display(), text.lines().last().unwrap_or(""));
        assert!(text.lines().count() >= frames, "{}", path.display());
        recordings += 1;
    }
    assert_eq!(recordings, 65);
}

#[test]
fn a_clients_recording_as_json() {
    let (code, objects) = json(&vectors("wire/tests/vectors/client/3.9.5-standalone.jsonl"));
    assert_eq!(code, 0);
    let find = |name: &str| objects.iter().find(|o| o["type"] == name).expect("such a frame");
    assert_eq!(find("connectRequest")["record"]["timeOut"], 30000);
    assert_eq!(find("create")["record"]["data"], "aGVsbG8=");
    assert_eq!(find("reply:create")["text"], "xid=1 zxid=0x3 create");
    assert_eq!(find("multi")["record"]["ops"][0]["op"], "create");
    assert_eq!(find("99")["record"], Value::Null);
}

/// A folder of its own for a test, removed when it ends.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// | change to the second entry | where and what |
/// |---|---|
/// | the file ends in its checksum | offset of the entry |
/// | its length is negative | the same, and so for all |
/// | the file ends in it, or before its end byte | |
/// | its end byte is another | |
/// | a byte of it is another | |
#[test]
fn where_a_log_is_damaged() {
    let whole = std::fs::read(vectors("storage/tests/vectors/datadirs/3.9.5-follower/log.100000001"));
    let whole = whole.expect("a log");
    let folder = folder();
    let path = folder.path().join("log.100000001");
    let second = 77;
    let end = second + 12 + 48;
    let change = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= byte;
        bytes
    };
    for (bytes, offset, expected) in [
        (whole[..second + 5].to_vec(), second, "a checksum and a length (12 bytes), 5 are left"),
        (change(second + 8, 0x80), second, "the length of an entry, found -2147483600"),
        (whole[..second + 20].to_vec(), second, "an entry of 48 bytes, 8 are left"),
        (whole[..end].to_vec(), second, "'B' behind an entry of 48 bytes, the file ends there"),
        (change(end, 1), second, "'B' (0x42) at offset 137 behind an entry of 48 bytes, found 0x43"),
        (change(end - 1, 1), second, "an entry of 48 bytes with the checksum"),
        (change(0, 1), 0, "expected ZKLG"),
        (Vec::new(), 0, "a header of 16 bytes beginning with ZKLG"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let (code, text) = decode(&[], &path);
        assert_eq!(code, 1, "{text}");
        let place = format!("damaged: log.100000001, offset {offset}: ");
        assert!(text.contains(&place) && text.contains(expected), "{expected}: {text}");
        // What stands before is printed all the same.
        assert_eq!(text.contains("0x100000001 "), offset > 0, "{text}");
    }
}

#[test]
fn where_a_recording_is_damaged() {
    let folder = folder();
    let path = folder.path().join("a.jsonl");
    let frame = |dir: &str, hex: &str| {
        format!(r#"{{"t_us":1,"conn":1,"dir":"{dir}","kind":"client","type":"exists","hex":"{hex}"}}"#)
    };
    // exists /a with its xid 7; the answer NoNode; and a request that ends in its path.
    let good = frame(">", "0000000f0000000700000003000000022f6100");
    let answer = frame("<", "00000010000000070000000000000005ffffff9b");
    for (bad, expected) in [
        ("{}".to_owned(), "a frame as JSON"),
        (frame("<", "0"), "pairs of hexadecimal digits"),
        (frame("^", ""), "a direction, > or <"),
        (frame(">", "0000000e00000008000000030000000a2f"), "whole packets, 17 bytes are left over"),
        (frame(">", "0000000d00000008000000030000000a2f"), "ExistsRequest.path needs 9 more bytes"),
    ] {
        std::fs::write(&path, [&good, &bad, &answer].map(|line| format!("{line}\n")).concat())
            .expect("written");
        let (code, text) = decode(&[], &path);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("damaged: a.jsonl, line 2: ") && text.contains(expected), "{expected}: {text}");
        assert!(text.contains("xid=7 zxid=0x5 exists NoNode"), "{text}");
    }
}

#[test]
fn what_is_no_file_of_a_server() {
    let folder = folder();
    let other = folder.path().join("README");
    std::fs::write(&other, "text").expect("written");
    for path in [folder.path().join("none"), other, folder.path().to_owned()] {
        assert_eq!(decode(&[], &path), (2, String::new()), "{}", path.display());
        assert_eq!(decode(&["--json"], &path), (2, String::new()), "{}", path.display());
    }
    // Renamed files are told by their content; the folder above version-2 is as good.
    let from = vectors("storage/tests/vectors/datadirs/3.9.5-follower");
    let version2 = folder.path().join("version-2");
    std::fs::create_dir(&version2).expect("made");
    std::fs::copy(from.join("snapshot.0"), version2.join("copy")).expect("copied");
    std::fs::copy(from.join("currentEpoch"), version2.join("currentEpoch")).expect("copied");
    let (code, text) = decode(&[], &version2.join("copy"));
    assert!(code == 0 && text.contains("node \"/zookeeper/config\""), "{text}");
    let (code, text) = decode(&[], folder.path());
    assert!(code == 0 && text.contains("currentEpoch: 2"), "{text}");
}
