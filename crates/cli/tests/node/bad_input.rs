//! Garbage, frames that are too long, half a handshake and then silence, a flood of connections, on every
//! port: the connection ends, the ensemble goes on, memory stays flat.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::ensemble::Ensemble;

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(8))).expect("set");
    stream
}

/// The other side ends it, in order or by a reset.
fn is_ended(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(why) => {
                return !matches!(why.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}

/// Resident memory in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn sockets(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count()
}

#[test]
fn bad_input_ends_its_connection_and_nothing_else() {
    let mut ensemble = Ensemble::start(false);
    let leader = ensemble.leader();
    ensemble.write(leader, 5);
    let (pid, member) = (ensemble.pid(leader), &ensemble.members[leader - 1]);
    let (client, quorum, election) = (member.client_port, member.quorum_port, member.election_port);
    let ports = [("client", client), ("quorum", quorum), ("election", election)];
    let (memory_before, sockets_before) = (memory(pid), sockets(pid));

    let half_hello: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0, 0];
    let long_packet = [&[0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0x7f, 0xff, 0xff, 0xff]].concat();
    let long_hello = [&half_hello[..6], &[0, 1], &[0; 8][..], &[0x7f, 0xff, 0xff, 0xff]].concat();
    for (name, port) in ports {
        for (what, bytes) in [
            ("garbage", &b"GET / HTTP/1.1\r\nHost: zookeeper\r\n\r\n"[..]),
            ("zeros", &[0; 64]),
            ("ones", &[0xff; 64]),
            ("a long packet", &long_packet),
            ("a long hello", &long_hello),
            ("half a hello, then silence", half_hello),
            ("two bytes, then silence", &half_hello[..2]),
            ("nothing", &[]),
        ] {
            let mut stream = connect(port);
            stream.write_all(bytes).expect("written");
            assert!(is_ended(&mut stream), "{what} on the {name} port: the connection stays");
        }
    }

    // A fast sender of what is never a hello, a byte at a time: the hello's time-out still ends it.
    for (name, port) in [("quorum", quorum), ("election", election)] {
        let mut stream = connect(port);
        let begun = Instant::now();
        // FOLLOWERINFO with its LearnerInfo; a hello with its address.
        let begins: &[u8] = if name == "quorum" { &[0, 0, 0, 11] } else { &half_hello[..8] };
        let mut length = [0; 12];
        length[11] = 20;
        for byte in [begins, &length, &[0; 20]].concat() {
            if stream.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        assert!(is_ended(&mut stream), "a trickle on the {name} port");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }

    // More connections than may wait for a hello, all at once.
    for (name, port) in [("quorum", quorum), ("election", election)] {
        let mut flood: Vec<TcpStream> = Vec::new();
        let mut open = 0;
        // In parts that the backlog holds.
        for _ in 0..8 {
            flood.extend((0..50).map(|_| connect(port)));
            std::thread::sleep(Duration::from_millis(20));
            open = open.max(sockets(pid).saturating_sub(sockets_before));
        }
        assert!((100..=140).contains(&open), "{open} connections wait on the {name} port");
        assert!(is_ended(&mut flood[0]), "the oldest gave way");
    }

    // Much of what nobody wants: it is not kept.
    for (_, port) in ports {
        let mut stream = connect(port);
        let junk = vec![0x11; 1 << 20];
        for _ in 0..32 {
            if stream.write_all(&junk).is_err() {
                break;
            }
        }
    }
    let grown = memory(pid).saturating_sub(memory_before);
    assert!(grown < 16 * 1024, "{grown} KiB more than before");

    // It goes on: the same leader, the same followers.
    ensemble.write(leader, 5);
    assert_eq!(ensemble.leader(), leader);
    assert_eq!(ensemble.field(leader, "mntr", "zk_current_epoch").as_deref(), Some("1"));
    assert_eq!(ensemble.ask(leader, "ruok").as_deref(), Some("imok"));
    assert_eq!(
        ensemble.ask(leader, "dump\n").as_deref(),
        Some("dump is not executed because it is not in the whitelist.\n")
    );
}
