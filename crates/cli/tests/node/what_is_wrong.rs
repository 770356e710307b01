//! Errors at the start say what to do.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::ensemble::{configure, free_ports, vivarium};

struct Started {
    root: tempfile::TempDir,
    ports: Vec<u16>,
}

impl Started {
    fn new() -> Started {
        Started { root: tempfile::tempdir().expect("a directory"), ports: free_ports(3) }
    }
    fn dir(&self) -> std::path::PathBuf {
        self.root.path().join("data")
    }
    fn configure(&self, more: &str) {
        let (quorum, election) = (self.ports[0], self.ports[1]);
        let servers = format!("server.1=127.0.0.1:{quorum}:{election}\nstandaloneEnabled=false\n");
        configure(&self.dir(), 1, self.ports[2], &servers, more);
    }
    fn run(&self) -> (Option<i32>, String) {
        let process = vivarium()
            .args(["node", "--config"])
            .arg(self.dir().join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        ended(process)
    }
}

fn ended(mut process: Child) -> (Option<i32>, String) {
    let until = Instant::now() + Duration::from_secs(10);
    while process.try_wait().expect("waited").is_none() {
        if Instant::now() > until {
            let _ = process.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = process.wait_with_output().expect("ended");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn expect(started: &Started, code: i32, words: &str) {
    let (got, said) = started.run();
    assert!(
        got == Some(code) && said.contains(words),
        "expected {code} and `{words}`, got {got:?} and\n{said}"
    );
}

fn file(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, b"").expect("written");
}

#[test]
fn myid_is_missing_or_malformed() {
    let started = Started::new();
    started.configure("");
    std::fs::write(started.dir().join("myid"), "first").expect("written");
    expect(&started, 2, "myid:1: `first`: expected the id of this server, a number of 0 to 254");
    std::fs::remove_file(started.dir().join("myid")).expect("removed");
    expect(&started, 2, "myid: expected a file with the id of this server");
}

#[test]
fn a_port_is_in_use() {
    for port in 1..3 {
        let started = Started::new();
        started.configure("");
        let _taken = TcpListener::bind(("127.0.0.1", started.ports[port])).expect("free");
        expect(&started, 1, "another process listens there; stop it, or change the port in zoo.cfg");
    }
}

#[test]
fn directories_that_cannot_be_used() {
    let started = Started::new();
    started.configure("");
    file(&started.dir().join("version-2"));
    expect(&started, 1, "expected dataDir to be a directory that this process may create files in");

    let started = Started::new();
    let logs = started.root.path().join("logs");
    started.configure(&format!("dataLogDir={}\n", logs.display()));
    file(&logs.join("version-2/snapshot.0"));
    expect(&started, 1, "Move the snapshot.* files to");
    std::fs::remove_file(logs.join("version-2/snapshot.0")).expect("removed");
    file(&started.dir().join("version-2/log.1"));
    expect(&started, 1, "Move the log.* files to");
}

#[test]
fn a_recording_is_never_overwritten() {
    let started = Started::new();
    started.configure("");
    let recording = started.dir().join("recording");
    file(&recording);
    let process = vivarium()
        .args(["node", "--config"])
        .arg(started.dir().join("zoo.cfg"))
        .arg("--record")
        .arg(&recording)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (code, said) = ended(process);
    assert!(code == Some(1) && said.contains("expected a new file"), "{said}");
}

/// As a Java server left it.
fn captured() -> Started {
    let started = Started::new();
    started.configure("");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/tests/vectors/datadirs/3.8.0-leader");
    let to = started.dir().join("version-2");
    std::fs::create_dir_all(&to).expect("made");
    for file in std::fs::read_dir(from).expect("captured").map(|file| file.expect("a file")) {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
    started
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("read");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_log_is_damaged_in_the_middle() {
    let started = captured();
    let log = first_log(&started.dir().join("version-2"));
    change(&log, |bytes| bytes[40] ^= 1);
    let name = log.file_name().expect("a name").to_string_lossy().into_owned();
    let before = std::fs::read(&log).expect("read");
    expect(&started, 1, &format!("{name} is damaged at offset 16: expected an intact entry"));
    expect(&started, 1, "vivarium decode");
    assert_eq!(std::fs::read(&log).expect("read"), before, "it stays as it is");
}

fn first_log(dir: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(dir).expect("there").map(|file| file.expect("a file").path());
    let is_log =
        |path: &std::path::PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("log."));
    files.filter(is_log).min().expect("a log")
}

#[test]
fn a_snapshot_is_of_another_database() {
    let started = captured();
    let path = started.dir().join("version-2/snapshot.200000006");
    std::fs::write(&path, of_database(7, &storage::recover::empty_body())).expect("written");
    expect(&started, 1, "snapshot.200000006 is of another database: its dbid is 7");
}

/// A whole snapshot file but for its dbid.
fn of_database(dbid: i64, body: &[u8]) -> Vec<u8> {
    let mut file = [&storage::snapshot::HEADER[..8], &dbid.to_be_bytes(), body].concat();
    let sum = u64::from(storage::checksum::adler32(&file));
    file.extend_from_slice(&sum.to_be_bytes());
    file.extend_from_slice(b"\0\0\0\x01/");
    file
}
