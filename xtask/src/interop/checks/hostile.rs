//! What no peer and no client sends, on each port of a leader under load: the connection ends, the node goes
//! on, and its memory stays flat.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Found, millis, seconds};
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, process};

/// initLimit (10 s) is the longest that a node waits for anybody's first words.
const PATIENCE: Duration = seconds(14);
/// Connections of each kind and port, one after the other.
const ROUNDS: usize = 30;
/// Held open and silent at once, on each port.
const SILENT: usize = 50;
/// Resident memory may still grow by so much after the first round: the writes of the check itself are kept.
const FLAT_KB: u64 = 8 * 1024;

struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    /// It may be the beginning of something: the node waits.
    silent: bool,
}

pub fn every_port(given: &Given) -> Found {
    let mut ensemble = Ensemble::start(given, &[Kind::Vivarium; 3], &[1, 2, 3])?;
    let leader = ensemble.settle()?;
    let member = ensemble.member(leader);
    let ports =
        [("client", member.client_port), ("quorum", member.quorum_port), ("election", member.election_port)];
    let pid = ensemble.pid(leader)?;
    attack_all(&ports, 2)?;
    ensemble.writes_are_answered(seconds(1))?;
    let before = process::resident_kb(pid)?;
    let peak = std::sync::atomic::AtomicBool::new(false);
    let highest = std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let mut highest = 0;
            while !peak.load(std::sync::atomic::Ordering::Relaxed) {
                highest = process::resident_kb(pid).unwrap_or(0).max(highest);
                std::thread::sleep(millis(20));
            }
            highest
        });
        let attacked = attack_all(&ports, ROUNDS);
        peak.store(true, std::sync::atomic::Ordering::Relaxed);
        attacked.map(|()| watched.join().unwrap_or(u64::MAX))
    })?;
    let after = process::resident_kb(pid)?;
    if highest.max(after) > before + FLAT_KB {
        return Err(format!(
            "resident memory was {before} kB, then {highest} kB at most, {after} kB at the end"
        ));
    }
    if ensemble.mode(leader).as_deref() != Some("leader") || !(1..=3).all(|sid| ensemble.lives(sid)) {
        return Err(format!("server {leader} led before and does not now"));
    }
    let answered = ensemble.writes_are_answered(seconds(1))?;
    Ok(format!(
        "resident {before} kB before, {highest} kB at most, {after} kB after; {answered} writes answered then"
    ))
}

fn attack_all(ports: &[(&'static str, u16)], rounds: usize) -> Result<(), String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            ports.iter().map(|(name, port)| scope.spawn(move || attack_port(name, *port, rounds))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn attack_port(port_name: &str, port: u16, rounds: usize) -> Result<(), String> {
    let attacks = attacks(port_name);
    for attack in attacks.iter().filter(|attack| !attack.silent) {
        for _ in 0..rounds {
            let mut stream = open(port)?;
            send(&mut stream, &attack.bytes);
            ended(stream, PATIENCE)
                .map_err(|why| format!("{} on the {port_name} port: {why}", attack.name))?;
        }
    }
    // All the silent ones together: each must be ended in its own time, whoever else waits.
    let mut waiting = Vec::new();
    for attack in attacks.iter().filter(|attack| attack.silent) {
        for _ in 0..SILENT.min(rounds) {
            let mut stream = open(port)?;
            send(&mut stream, &attack.bytes);
            waiting.push((attack.name, stream));
        }
    }
    let until = Instant::now() + PATIENCE;
    for (name, stream) in waiting {
        ended(stream, until.saturating_duration_since(Instant::now()).max(millis(10)))
            .map_err(|why| format!("{name} on the {port_name} port: {why}"))?;
    }
    Ok(())
}

fn attacks(port_name: &str) -> Vec<Attack> {
    let mut all = vec![
        Attack { name: "garbage", bytes: garbage(1 << 20), silent: false },
        Attack {
            name: "text",
            bytes: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(500),
            silent: false,
        },
        Attack { name: "an oversized frame", bytes: frame(0x7fff_ffff, 1 << 20), silent: false },
        Attack { name: "a frame of negative length", bytes: frame(-1, 1 << 16), silent: false },
        Attack { name: "nothing", bytes: Vec::new(), silent: true },
    ];
    // The protocol's version, then sid, then the length of the addresses: `InitialMessage`.
    let hello = |length: i32| {
        let mut hello = (-65536i64).to_be_bytes().to_vec();
        hello.extend(2i64.to_be_bytes());
        hello.extend(length.to_be_bytes());
        hello
    };
    match port_name {
        "election" => {
            all.push(Attack {
                name: "an oversized hello",
                bytes: [hello(0x7fff_ffff), garbage(1 << 16)].concat(),
                silent: false,
            });
            all.push(Attack { name: "half a hello", bytes: hello(30)[..14].to_vec(), silent: true });
            all.push(Attack { name: "a hello without addresses", bytes: hello(30), silent: true });
        }
        // A FOLLOWERINFO (11) of 44 bytes, of which the half arrives.
        "quorum" => all.push(Attack { name: "half a FOLLOWERINFO", bytes: follower_info(), silent: true }),
        _ => all.push(Attack { name: "half a word", bytes: b"ru".to_vec(), silent: true }),
    }
    all
}

fn follower_info() -> Vec<u8> {
    // QuorumPacket has no frame of its own: type, zxid, length of the data, data.
    let mut bytes = 11i32.to_be_bytes().to_vec();
    bytes.extend(0i64.to_be_bytes());
    bytes.extend(20i32.to_be_bytes());
    bytes.extend([0; 6]);
    bytes
}

fn frame(length: i32, sent: usize) -> Vec<u8> {
    [length.to_be_bytes().to_vec(), garbage(sent)].concat()
}

/// The same bytes in every run.
fn garbage(count: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..count).map(next).collect()
}

fn open(port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("port {port}: {e}"))?;
    stream.set_write_timeout(Some(seconds(5))).map_err(|e| e.to_string())?;
    Ok(stream)
}

/// As far as it is taken.
fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// The other side ends the connection within that time, whatever it says before.
fn ended(mut stream: TcpStream, patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("the connection stands after {patience:?}"));
        }
        stream.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Ok(()),
        }
    }
}
