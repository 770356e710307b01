//! A node whose `zoo.cfg` lists no servers: it serves at once, and again behind a kill.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use wire::client::{CreateRequest, GetDataRequest, Request, Response};
use wire::{Acl, Zxid};

use crate::clients::Client;
use crate::ensemble::{free_ports, vivarium};

/// Killed when it goes out of scope.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(config: &Path) -> Process {
    let mut command = vivarium();
    command.args(["node", "--config"]).arg(config);
    Process(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
}

fn client(port: u16, resume: Option<&Client>) -> Client {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let session = resume.map(|client| &client.session);
        match Client::connect(port, session, resume.map_or(Zxid::ZERO, |client| client.last_zxid)) {
            Some(client) => return client,
            None if Instant::now() > until => panic!("it does not serve"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn without_an_ensemble() {
    let root = tempfile::tempdir().expect("a directory");
    let (port, data) = (free_ports(1)[0], root.path().join("data"));
    std::fs::create_dir_all(&data).expect("made");
    let config = root.path().join("zoo.cfg");
    let text = format!("dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n", data.display());
    std::fs::write(&config, text).expect("written");

    let first = start(&config);
    let mut one = client(port, None);
    let (data, acl) = (Some("v".into()), Some(vec![Acl::open()]));
    let made = Request::Create(CreateRequest { path: "/mine".into(), data, acl, flags: 1 });
    one.ask(&made).expect("created");
    assert_eq!(one.last_zxid, Zxid(2));
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    socket.write_all(b"srvr").expect("sent");
    let mut told = String::new();
    socket.read_to_string(&mut told).expect("answered");
    assert!(told.contains("Mode: standalone"), "{told}");
    drop(first);

    let _second = start(&config);
    let mut again = client(port, Some(&one));
    assert_eq!(again.session.session_id, one.session.session_id, "its session outlives the process");
    let get = Request::GetData(GetDataRequest { path: "/mine".into(), watch: false });
    match again.ask(&get) {
        Ok(Response::GetData(found)) => assert_eq!(found.stat.ephemeral_owner, one.session.session_id.0),
        other => panic!("{other:?}"),
    }
}
