use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::test_member::TestMember;
use crate::version::zookeeper_version;
use crate::view::Dirs;

/// Without what differs from build to build and from machine to machine.
fn run(member: &mut TestMember, name: &str, arguments: &[(&str, &str)]) -> String {
    let arguments = arguments.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let dirs =
        Dirs { snap_size: 424, log_size: 1048, last_snapshot: Some((0x1_0000_0007, 1_700_000_000_999)) };
    let json = commands::run(&mut member.view(), name, &arguments, &dirs);
    let steady = |line: &str| !line.contains("file_descriptor_count");
    let lines = json.split_inclusive('\n').filter(|line| steady(line)).collect::<String>();
    lines.replace(&zookeeper_version(), "VERSION")
}

/// All but the environment, which is the machine's.
#[test]
fn commands_of_a_leader_with_two_clients() {
    let mut member = TestMember::serving();
    let mut transcript = String::new();
    for name in [
        "ruok",
        "stat",
        "monitor",
        "conf",
        "cons",
        "dirs",
        "dump",
        "hash",
        "icfg",
        "isro",
        "lsnp",
        "lead",
        "voting_view",
        "wchs",
        "wchc",
        "wchp",
        "zabstate",
        "gtmk",
        "crst",
        "srst",
        "server_stats",
        "no_such",
    ] {
        transcript += &format!("--- {name}\n{}\n", run(&mut member, name, &[]));
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn commands_of_a_server_that_is_alone() {
    let mut member = TestMember::alone();
    assert!(run(&mut member, "leader", &[]).contains("\"error\": \"server is not initialized\""));
    assert!(run(&mut member, "voting_view", &[]).contains("\"current_config\": {}"));
    assert!(run(&mut member, "zabstate", &[]).contains("\"voting\": false,\n  \"zabstate\": \"\""));
    assert!(run(&mut member, "srvr", &[]).contains("\"server_state\": \"standalone\""));
}

#[test]
fn commands_of_a_member_that_serves_nobody() {
    let mut member = TestMember::down();
    assert!(run(&mut member, "srvr", &[]).contains("not currently serving requests"));
    assert!(run(&mut member, "ruok", &[]).contains("not currently serving requests"));
    assert!(run(&mut member, "env", &[]).contains("\"zookeeper.version\": \"VERSION\""));
    assert!(run(&mut member, "stmk", &[]).contains("requires long traceMask argument\""));
    assert!(run(&mut member, "stmk", &[("traceMask", "x")]).contains("argument, got x\""));
    assert!(run(&mut member, "stmk", &[("traceMask", "16")]).contains("\"tracemask\": 16"));
    assert!(run(&mut member, "gtmk", &[]).contains("\"tracemask\": 16"));
}

#[test]
fn metrics_of_a_leader_with_two_clients() {
    let mut member = TestMember::serving();
    let mut samples = crate::metrics::samples(&member.view());
    samples.retain(|(name, _)| !name.contains("file_descriptor_count"));
    insta::assert_snapshot!(prometheus::encode_samples(samples));
}

/// A port that is free when this returns.
async fn free_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}

async fn get(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

/// What is served where, and what is no request costs its sender the connection.
#[test]
fn over_tcp() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (happened, mut inbox) = unbounded_channel();
        tokio::task::spawn_blocking(move || {
            let mut member = TestMember::serving();
            while let Some(Happened::Asked(question)) = inbox.blocking_recv() {
                question(&mut member.view());
            }
        });
        let at = async |path: &str| Endpoint {
            host: Some("127.0.0.1".into()),
            port: free_port().await,
            path: path.into(),
        };
        let (admin, metrics) = (at("/commands").await, at("/metrics").await);
        let conf = TestMember::down().view().conf;
        serve_commands(&admin, conf, happened.clone()).await.expect("bound");
        serve_metrics(&metrics, happened).await.expect("bound");
        for (port, request, expected) in [
            (admin.port, "GET /commands HTTP/1.1\r\nHost: a\r\n\r\n", "<a href=\"/commands/dump\">dump</a>"),
            (admin.port, "GET /commands/ HTTP/1.0\r\n\r\n", "<a href=\"/commands/ruok\">ruok</a>"),
            (admin.port, "GET /commands/ruok HTTP/1.1\r\nHost: a\r\n\r\n", "\"command\": \"ruok\""),
            (
                admin.port,
                "GET /commands/stmk?traceMask=306 HTTP/1.1\r\nHost: a\r\n\r\n",
                "\"tracemask\": 306",
            ),
            (admin.port, "GET /commandsruok HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404"),
            (admin.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404"),
            (
                admin.port,
                "POST /commands/restore HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
                "HTTP/1.1 405",
            ),
            (admin.port, "HELLO\r\n\r\n", "HTTP/1.1 400"),
            (metrics.port, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "\nznode_count 6\n"),
            (metrics.port, "GET /commands HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404"),
        ] {
            let answer = get(port, request).await;
            assert!(answer.contains(expected), "{request:?}: {answer}");
        }
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2 * HEAD));
        let answer = get(admin.port, &long).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    });
    runtime.shutdown_background();
}
