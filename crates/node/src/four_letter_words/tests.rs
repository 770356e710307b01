use super::words::answer;
use super::*;
use crate::test_member::TestMember;
use crate::version::zookeeper_version;

fn asker() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50_000))
}

/// Without what differs from build to build and from machine to machine.
fn ask(member: &mut TestMember, word: &str) -> String {
    let dirs = Dirs { snap_size: 424, log_size: 1048, last_snapshot: None };
    let text = answer(&mut member.view(), word, asker(), &dirs, None);
    let steady = |line: &str| !line.contains("file_descriptor_count");
    let lines = text.split_inclusive('\n').filter(|line| steady(line)).collect::<String>();
    lines.replace(&zookeeper_version(), "VERSION")
}

/// Every word but `envi`, whose answer is the machine's.
#[test]
fn answers_of_a_leader_with_two_clients() {
    let mut member = TestMember::serving();
    let mut transcript = String::new();
    for word in [
        "ruok", "isro", "srvr", "stat", "mntr", "conf", "cons", "dirs", "dump", "wchs", "wchp", "wchc",
        "gtmk", "crst", "cons", "srst", "srvr",
    ] {
        transcript += &format!("--- {word}\n{}\n", ask(&mut member, word));
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn answers_of_a_server_that_is_alone() {
    let mut member = TestMember::alone();
    let mut transcript = String::new();
    for word in ["srvr", "mntr", "conf", "dump"] {
        let answer = ask(&mut member, word);
        let steady = answer.lines().filter(|line| !line.starts_with("zk_") || line.contains("state"));
        transcript += &format!("--- {word}\n{}\n", steady.collect::<Vec<_>>().join("\n"));
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn envi_begins_with_the_version() {
    let mut member = TestMember::down();
    let text = ask(&mut member, "envi");
    assert!(text.starts_with("Environment:\nzookeeper.version=VERSION\nhost.name="), "{text}");
    assert!(zookeeper_version().starts_with("3.9.3-vivarium-"));
}

#[test]
fn who_looks_serves_nothing_and_is_well() {
    let mut member = TestMember::down();
    for word in KNOWN {
        let expected = match word {
            "ruok" => "imok",
            "isro" => "null",
            "gtmk" | "stmk" => "434",
            "hash" => NOT_SERVING,
            "envi" => continue,
            _ => "This ZooKeeper instance is not currently serving requests\n",
        };
        assert_eq!(ask(&mut member, word), expected, "{word}");
    }
}

/// The tree's digest at each 128th zxid.
#[test]
fn hash_tells_digests() {
    let mut member = TestMember::serving();
    let conn = member.client(3);
    for n in 0..300 {
        member.request(conn, n, wire::op::CREATE, &crate::test_member::create(&format!("/n{n}"), b"", 0));
    }
    let text = ask(&mut member, "hash");
    let zxids: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    assert_eq!(zxids, ["100000080", "100000100"], "{text}");
    let (a, b) = text.trim().split_once('\n').expect("two");
    assert_ne!(a.split_once(": ").map(|line| line.1), b.split_once(": ").map(|line| line.1));
}

#[test]
fn the_trace_mask_is_set() {
    let mut member = TestMember::down();
    let dirs = Dirs::default();
    assert_eq!(answer(&mut member.view(), "stmk", asker(), &dirs, Some(16)), "16");
    assert_eq!(ask(&mut member, "gtmk"), "16");
}

#[test]
fn the_whitelist() {
    let enabled = |whitelist: Option<&str>, word: &str| {
        let list: Option<Vec<String>> =
            whitelist.map(|text| text.split(',').map(|word| word.trim().into()).collect());
        is_enabled(list.as_deref(), word)
    };
    assert!(enabled(None, "srvr") && !enabled(None, "ruok"));
    assert!(enabled(Some("mntr, conf"), "conf") && enabled(Some("mntr"), "srvr"));
    assert!(!enabled(Some("mntr, conf"), "ruok") && !enabled(Some(""), "ruok"));
    assert!(KNOWN.iter().all(|word| enabled(Some("mntr, *"), word)));
}
