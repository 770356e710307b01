//! The database with a million znodes: time of writes (prepare and apply), of applying and of reads, memory
//! of a znode, snapshot and recovery. CPU time of one core; memory is what the process has more (RSS).
//! Argument: znodes (a million by default).
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use bytes::{Bytes, BytesMut};
use cpu_time::ProcessTime;
use server::{ReadRequest, Settings, ZooKeeperServer};
use wire::client::{CreateRequest, ExistsRequest, GetDataRequest, Request, SetDataRequest};
use wire::{Acl, Jute, SessionId, SnapshotParser, Zxid, op};
use zab::{StateMachine, WriteRequest};

const SESSION: SessionId = SessionId(0x100_0000_0000_0001);

/// Bytes of the process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn report(what: &str, count: usize, since: ProcessTime) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what:<44} {seconds:>7.3} s  {:>10.0} /s", count as f64 / seconds);
}

fn body(request: &Request) -> Bytes {
    let mut out = BytesMut::new();
    request.encode(&mut out);
    out.freeze()
}

/// A thousand children to a directory, or all under one.
fn path(n: usize, flat: bool) -> String {
    match (flat, n) {
        (true, 0) => "/bench".into(),
        (true, n) => format!("/bench/node-{n:010}"),
        (false, n) if n.is_multiple_of(1000) => format!("/d{:06}", n / 1000),
        (false, n) => format!("/d{:06}/node-{:010}", n / 1000, n),
    }
}

fn write(server: &mut ZooKeeperServer, zxid: i64, op: i32, body: &Bytes) -> Bytes {
    let write =
        WriteRequest { session: SESSION, cxid: 1, op, body, auth: &[], session_error: None, config: None };
    server.prepare(Zxid(zxid), 1_700_000_000_000 + zxid, &write)
}

fn read(server: &mut ZooKeeperServer, op: i32, body: &Bytes) {
    let read = ReadRequest { client: None, session: SESSION, op, body, auth: &[] };
    server.read_request(&read).expect("the node is there");
}

/// Numbers below `n` in an order that no cache likes.
fn scattered(n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |at| at.wrapping_mul(2_654_435_761) % n)
}

fn case(count: usize, flat: bool) {
    println!(
        "{count} znodes of 100 bytes, {}",
        if flat { "all in one directory" } else { "1000 in a directory" }
    );
    let requests = |make: fn(Bytes) -> Request, n: usize| body(&make(Bytes::from(path(n, flat))));
    let mut server = ZooKeeperServer::new(Settings::default());
    let open = write(&mut server, 1, op::CREATE_SESSION, &30_000.to_bytes());
    server.apply(Zxid(1), &open);
    let before = resident();
    let create = |path: Bytes| {
        let data = Some(Bytes::from(vec![b'x'; 100]));
        Request::Create(CreateRequest { path, data, acl: Some(vec![Acl::open()]), flags: 0 })
    };
    let since = ProcessTime::now();
    let mut paths = 0;
    for n in 0..count {
        let zxid = n as i64 + 2;
        paths += path(n, flat).len();
        let txn = write(&mut server, zxid, op::CREATE, &requests(create, n));
        assert!(server.apply(Zxid(zxid), &txn).result.is_ok());
    }
    report("create: prepare and apply", count, since);
    let bytes = resident().saturating_sub(before);
    let of_each = bytes as f64 / count as f64;
    let beside = of_each - 100.0 - paths as f64 / count as f64;
    println!(
        "memory {:.1} MB, {of_each:.1} bytes a znode, {beside:.1} beside data and path",
        bytes as f64 / 1e6
    );

    let set = |path| {
        Request::SetData(SetDataRequest { path, data: Some(Bytes::from(vec![b'y'; 100])), version: -1 })
    };
    let txns: Vec<(Zxid, Bytes)> = scattered(count)
        .take(count / 2)
        .enumerate()
        .map(|(at, n)| {
            let zxid = (count + at) as i64 + 2;
            (Zxid(zxid), write(&mut server, zxid, op::SET_DATA, &requests(set, n)))
        })
        .collect();
    server.role_ended();
    let since = ProcessTime::now();
    for (zxid, txn) in &txns {
        assert!(server.apply(*zxid, txn).result.is_ok());
    }
    report("setData: apply alone, scattered", txns.len(), since);
    drop(txns);

    let get = |path| Request::GetData(GetDataRequest { path, watch: false });
    let exists = |path| Request::Exists(ExistsRequest { path, watch: false });
    let gets: Vec<Bytes> = scattered(count).map(|n| requests(get, n)).collect();
    let since = ProcessTime::now();
    gets.iter().for_each(|body| read(&mut server, op::GET_DATA, body));
    report("getData, scattered", count, since);
    drop(gets);
    let same = requests(exists, count / 2);
    let since = ProcessTime::now();
    (0..count).for_each(|_| read(&mut server, op::EXISTS, &same));
    report("exists, one node", count, since);

    let since = ProcessTime::now();
    let (mut cursor, mut slices, mut longest) = (server.snapshot_begin(), Vec::new(), 0.0_f64);
    loop {
        let (begin, mut slice) = (ProcessTime::now(), BytesMut::new());
        let complete = server.snapshot_slice(&mut cursor, 64 << 10, &mut slice);
        longest = longest.max(begin.elapsed().as_secs_f64());
        slices.push(slice.freeze());
        if complete {
            break;
        }
    }
    report("snapshot in slices of 64 KiB", count, since);
    println!(
        "{:.1} MB; the longest slice took {:.2} ms",
        slices.iter().map(Bytes::len).sum::<usize>() as f64 / 1e6,
        longest * 1e3
    );

    let since = ProcessTime::now();
    let mut other = ZooKeeperServer::new(Settings::default());
    other.clear();
    let mut parser = SnapshotParser::new();
    for slice in slices {
        parser.feed(slice);
        while let Some(record) = parser.next_record().expect("a record") {
            other.restore(record).expect("a tree");
        }
    }
    report("recovery of it", count, since);
    assert_eq!(other.digest(), server.digest());
    let since = ProcessTime::now();
    let fork = server.clone();
    report("a copy of the whole (a fork of a simulation)", count, since);
    assert_eq!(fork.digest(), server.digest());
    println!();
}

fn main() {
    let count = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    // The first case is the one whose memory counts: a process that gave some back has it still.
    let flat_only = std::env::args().any(|arg| arg == "flat");
    if !flat_only {
        case(count, false);
    }
    case(count, true);
}
