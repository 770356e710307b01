use super::*;

const GOOD: &str = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/d\nclientPort=2181\n\
    server.1=a:2888:3888\nserver.2=b:2888:3888:observer;2182\nserver.3=c:2889:3889:participant;0.0.0.0:2183\n";

fn parse(text: &str) -> Result<ZooCfg, ConfigError> {
    ZooCfg::parse(Path::new("zoo.cfg"), text)
}

fn refused(text: &str, with: &str) {
    let error = parse(text).expect_err(with).to_string();
    assert!(error.contains(with), "{error}");
}

#[test]
fn both_forms_of_servers() {
    let cfg = parse(GOOD).expect("a good file");
    assert_eq!(cfg.servers.len(), 3);
    assert!(cfg.servers[&ServerId(2)].observer);
    assert_eq!(cfg.servers[&ServerId(2)].client_port, Some(2182));
    assert_eq!(cfg.servers[&ServerId(3)].client_port, Some(2183));
    let view = cfg.config(0).view;
    assert_eq!(view.voters().count(), 2);
    // The member's own clientPort is not the configuration's (`isClientAddrFromStatic`).
    assert_eq!(
        view.text(),
        "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:observer;0.0.0.0:2182\n\
         server.3=c:2889:3889:participant;0.0.0.0:2183\nversion=0"
    );
}

/// Java's wait is fixed; ours is a key of the same family as its notification intervals.
#[test]
fn the_finalize_wait() {
    let wait =
        |text: &str| parse(&format!("{GOOD}{text}")).expect("a good file").config(0).settings.finalize_wait;
    assert_eq!(wait(""), Nanos::from_millis(200));
    assert_eq!(wait("fastleader.finalizeWait=20\n"), Nanos::from_millis(20));
    refused(&format!("{GOOD}fastleader.finalizeWait=0\n"), "expected a number above 0");
}

#[test]
fn groups_and_weights() {
    let text = format!("{GOOD}group.1=1:3\nweight.1=2\n");
    let cfg = parse(&text).expect("a good file");
    let QuorumVerifier::Hierarchical { group_of, weight_of } = cfg.config(0).view.verifier else {
        panic!("groups make a hierarchical quorum")
    };
    assert_eq!(group_of[&ServerId(3)], 1);
    assert_eq!(weight_of[&ServerId(1)], 2);
    refused(&format!("{GOOD}group.1=1\n"), "expected server 3 in a group, as others are");
    refused(&format!("{GOOD}group.1=1:3:9\n"), "expected a line server.9=..., as a group has that server");
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (from, to, expected) in [
        ("tickTime=2000", "tickTime=soon", "zoo.cfg:1: `tickTime=soon`: expected a number above 0"),
        ("server.1=a:2888:3888", "server.1=a:2888", "zoo.cfg:6: `server.1=a:2888`: expected host:quorumPort"),
        ("server.1=a:2888:3888", "server.x=a:1:2", "expected server.N with an id of 0 to 254"),
        ("b:2888:3888:observer", "b:2888:3888:watcher", "zoo.cfg:7"),
        ("dataDir=/d", "# nothing", "zoo.cfg: expected dataDir"),
        ("initLimit=10", "nonsense", "zoo.cfg: expected initLimit and syncLimit"),
        ("a:2888:3888", "a:2888:2888", "zoo.cfg:6: `server.1=a:2888:2888`: expected two ports"),
        ("clientPort=2181", "clientPortAddress=localhost", "expected a clientPort beside"),
        (
            "clientPort=2181",
            "quorumListenOnAllIPs=yes",
            "zoo.cfg:5: `quorumListenOnAllIPs=yes`: expected true",
        ),
        ("clientPort=2181", "minSessionTimeout=90000", "minSessionTimeout not above maxSessionTimeout"),
        ("clientPort=2181", "electionAlg=1", "zoo.cfg:5: `electionAlg=1`: expected 3"),
        ("clientPort=2181", "peerType=leader", "expected participant or observer"),
        (
            "clientPort=2181",
            "dynamicConfigFile=d",
            "zoo.cfg:6: `server.1=a:2888:3888`: expected no servers here",
        ),
        (
            "server.3=c:2889:3889:participant;0.0.0.0:2183",
            "",
            "expected two voters, where there are observers",
        ),
    ] {
        let error = parse(&GOOD.replace(from, to)).expect_err(to).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    let text = GOOD.replace("server.1=a:2888:3888", "server.1=[::1]:2888:3888;[::1]:2181");
    let cfg = parse(&text).expect("a good file");
    let own = &cfg.servers[&ServerId(1)];
    assert_eq!((own.host.as_str(), own.client_address.as_deref()), ("::1", Some("::1")));
    assert_eq!(own.election_address().to_string(), "[::1]:3888");
    assert_eq!(cfg.config(0).view.members[&ServerId(1)].quorum_address, "[::1]:2888:3888");
}

#[test]
fn what_myid_says_wrong_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("zoo.cfg");
    std::fs::write(&path, GOOD.replace("dataDir=/d", &format!("dataDir={}", dir.path().display())))
        .expect("written");
    let load = || ZooCfg::load(&path).map(|cfg| cfg.my_id).map_err(|why| why.to_string());
    let why = load().expect_err("no myid");
    assert!(why.contains("myid: expected a file with the id of this server"), "{why}");
    for (myid, expected) in [
        ("one", "myid:1: `one`: expected the id of this server, a number of 0 to 254"),
        ("", "myid:1: ``: expected the id"),
        ("256", "expected the id"),
        ("7", "expected a line server.7=..."),
    ] {
        std::fs::write(dir.path().join("myid"), myid).expect("written");
        let why = load().expect_err(myid);
        assert!(why.contains(expected), "{why}");
    }
    std::fs::write(dir.path().join("myid"), "2\n").expect("written");
    assert_eq!(load(), Ok(ServerId(2)));
}

#[test]
fn what_is_not_honoured_is_told() {
    let text = format!("{GOOD}audit.enable=true\nsslQuorum=false\nnonsense=1\nforceSync=yes\n");
    let notes = parse(&text).expect("a good file").notes;
    let told: Vec<_> = notes.iter().map(|note| (note.key.as_str(), note.why.as_str())).collect();
    assert_eq!(told, [("audit.enable", "no audit log"), ("nonsense", "no key of ZooKeeper's")]);
}

#[test]
fn settings_of_clients_and_of_the_tree() {
    let cfg = parse(GOOD).expect("a good file");
    let settings = cfg.config(0).settings;
    assert_eq!((settings.max_client_cnxns, settings.max_cnxns), (60, 0));
    assert_eq!((settings.global_outstanding_limit, settings.super_digest), (1000, None));
    assert_eq!(cfg.tree(), TreeSettings::default());
    let text = format!(
        "{GOOD}maxClientCnxns=0\nmaxCnxns=7\nglobalOutstandingLimit=10\nskipACL=yes\njute.maxbuffer=2000000\n\
         extendedTypesEnabled=true\nenforceQuota=True\nDigestAuthenticationProvider.superDigest=super:x=\n"
    );
    let cfg = parse(&text).expect("a good file");
    assert!(cfg.notes.is_empty(), "{:?}", cfg.notes);
    let settings = cfg.config(0).settings;
    assert_eq!((settings.max_client_cnxns, settings.max_cnxns), (0, 7));
    assert_eq!((settings.global_outstanding_limit, settings.super_digest), (10, Some("super:x=".into())));
    let all = TreeSettings { extended_types: true, enforce_quota: true, skip_acl: true, max_txn: 4_000_000 };
    assert_eq!(cfg.tree(), all);
    // Not as Java reads it.
    assert!(!parse(&format!("{GOOD}skipACL=true\n")).expect("a good file").tree().skip_acl);
}

/// Their sessions' ids would be those of TTL nodes.
#[test]
fn ids_whose_low_byte_is_that_of_ttl_nodes() {
    for id in [255, 511] {
        let why = parse(&format!("{GOOD}server.{id}=h:1:2\n")).expect_err("no such id").to_string();
        assert!(why.contains(&format!("server.{id}")), "{why}");
    }
    assert!(parse(&format!("{GOOD}server.999=h:1:2\n")).is_ok());
}

#[test]
fn what_would_not_hold_is_refused() {
    for (line, error) in [
        ("sslQuorum=true", "zoo.cfg:9: `sslQuorum=true`: expected `false`: TLS is not built"),
        ("secureClientPort=2281", "expected no such key: TLS is not built"),
        ("quorum.auth.enableSasl=true", "SASL is not built"),
        ("forceSync=no", "expected `yes`: what is acknowledged is synced"),
        ("preAllocSize=-1", "expected a number above 0"),
        ("snapshotSizeFactor=often", "expected a factor of the snapshot's size"),
    ] {
        refused(&format!("{GOOD}{line}\n"), error);
    }
}

#[test]
fn settings_of_the_machine_and_of_its_disk() {
    let text = format!(
        "{GOOD}minSessionTimeout=3000\nsnapCount=1\ncommitLogCount=700\npreAllocSize=16\nsyncEnabled=false\n\
         snapshotSizeFactor=-1\njute.maxbuffer=0x400000\nleaderServes=no\ncnxTimeout=100\n"
    );
    let cfg = parse(&text).expect("a good file");
    let settings = cfg.config(0).settings;
    assert_eq!((settings.min_session_timeout_ms, settings.max_session_timeout_ms), (3000, 40_000));
    assert_eq!((settings.snap_count, settings.commit_log_count), (2, 700));
    assert_eq!((cfg.storage().prealloc, cfg.storage().commit_log_count), (16 << 10, 700));
    assert_eq!((settings.snapshot_size_factor_milli, settings.jute_maxbuffer), (-1000, 4 << 20));
    assert!(!settings.sync_enabled && !settings.leader_serves);
    assert_eq!(settings.cnx_timeout, Nanos::from_millis(100));
    assert_eq!(cfg.storage().snap_retain_count, None);
    let purge =
        |more: &str| parse(&format!("{GOOD}{more}")).expect("a good file").storage().snap_retain_count;
    assert_eq!(purge("autopurge.purgeInterval=24\n"), Some(3));
    assert_eq!(purge("autopurge.purgeInterval=24\nautopurge.snapRetainCount=1\n"), Some(3));
    assert_eq!(purge("autopurge.snapRetainCount=9\nautopurge.purgeInterval=1\n"), Some(9));
    assert_eq!(parse(&text.replace("=700", "=7")).expect("a good file").storage().commit_log_count, 500);
}

#[test]
fn members_of_a_dynamic_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let dynamic = at("zoo.cfg.dynamic.100000000");
    let (fixed, members) = GOOD.split_once("server.1").expect("members behind the rest");
    let text = format!("{fixed}dynamicConfigFile={}\npeerType=observer\n", dynamic.display());
    std::fs::write(at("zoo.cfg"), text.replace("dataDir=/d", &format!("dataDir={}", dir.path().display())))
        .expect("written");
    std::fs::write(at("myid"), "3").expect("written");
    let load = || ZooCfg::load(&at("zoo.cfg")).map_err(|why| why.to_string());
    assert!(load().expect_err("no such file").contains("zoo.cfg.dynamic.100000000: "));
    std::fs::write(&dynamic, format!("server.1{members}")).expect("written");
    let cfg = load().expect("two good files");
    assert_eq!((cfg.servers.len(), cfg.client_port), (3, Some(2183)));
    assert_eq!(cfg.notes[0].why, "the list of servers says otherwise: Participant");
    assert_eq!(cfg.config(0).view.version, Zxid(0x1_0000_0000), "of its name");
    std::fs::write(&dynamic, format!("server.1{members}tickTime=1\n")).expect("written");
    let why = load().expect_err("not a member");
    assert!(
        why.contains("dynamic.100000000:4: `tickTime=1`: expected server.N, group.N or weight.N"),
        "{why}"
    );
}

/// What a reconfiguration has left is never served alone, with another id.
#[test]
fn what_reconfigurations_leave() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let load = |dynamic: &str, members: &str| {
        let fixed = GOOD.split_once("server.1").expect("members behind the rest").0;
        let fixed = fixed.replace("dataDir=/d", &format!("dataDir={}", dir.path().display()));
        std::fs::write(at(dynamic), members).expect("written");
        let text = format!("{fixed}dynamicConfigFile={}\n", at(dynamic).display());
        std::fs::write(at("zoo.cfg"), text).expect("written");
        ZooCfg::load(&at("zoo.cfg")).map_err(|why| why.to_string())
    };
    std::fs::write(at("myid"), "3").expect("written");
    let cfg = load("d.1a", "server.3=c:2888:3888:participant;2181").expect("an ensemble of one");
    assert!(!cfg.is_standalone() && cfg.my_id == ServerId(3));
    assert!(load("members", "server.3=c:2888:3888:participant;2181").is_ok_and(|cfg| cfg.is_standalone()));
    load("d.1a", "server.3=c:2888:3888;2181\nserver.4=d:2888:3888:observer")
        .expect("a voter and an observer");
    let why = load("d.1a", "server.1=a:2888:3888\nserver.2=b:2888:3888").expect_err("not listed");
    assert!(
        why.contains("d.1a: expected a line server.3=") && why.contains("1a has removed this server"),
        "{why}"
    );
}

/// It follows without a vote, and was proposed to have one: it is needed for that.
#[test]
fn what_is_proposed_lists_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let fixed = GOOD.split_once("server.1").expect("members behind the rest").0;
    let fixed = fixed.replace("dataDir=/d", &format!("dataDir={}", dir.path().display()));
    let active = at("zoo.cfg.dynamic.1a");
    std::fs::write(&active, "server.1=a:2888:3888\nserver.2=b:2888:3888").expect("written");
    let text = format!("{fixed}dynamicConfigFile={}\nreconfigEnabled=true\n", active.display());
    std::fs::write(at("zoo.cfg"), text).expect("written");
    std::fs::write(at("myid"), "3").expect("written");
    let load = |next: &str| {
        std::fs::write(at("zoo.cfg.dynamic.next"), next).expect("written");
        ZooCfg::load(&at("zoo.cfg")).map_err(|why| why.to_string())
    };
    let three =
        "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2889:3889:participant;c:2182\nversion=";
    let cfg = load(&format!("{three}1b")).expect("it is proposed");
    let own = cfg.own_server().expect("its line");
    assert_eq!((own.host.as_str(), own.quorum_port, cfg.client_port), ("c", 2889, Some(2182)));
    assert!(load(&format!("{three}1a")).is_err_and(|why| why.contains("has removed this server")));
}

/// | `reconfigEnabled` | `zoo.cfg.dynamic.next` | seen |
/// |---|---|---|
/// | no | any | nothing |
/// | yes | none | nothing |
/// | yes | one | it |
/// | yes | one that is none | an error |
#[test]
fn what_was_proposed_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let text = GOOD.replace("dataDir=/d", &format!("dataDir={}", dir.path().display()));
    std::fs::write(at("myid"), "1").expect("written");
    let load = |enabled: bool| {
        std::fs::write(at("zoo.cfg"), format!("{text}reconfigEnabled={enabled}\n")).expect("written");
        let seen = |cfg: ZooCfg| cfg.config(0).seen_view.map(|seen| seen.version);
        ZooCfg::load(&at("zoo.cfg")).map(seen).map_err(|why| why.to_string())
    };
    assert_eq!(load(true), Ok(None));
    std::fs::write(at("zoo.cfg.dynamic.next"), "server.1=a:2888:3888\nversion=1a").expect("written");
    assert_eq!((load(true), load(false)), (Ok(Some(Zxid(0x1a))), Ok(None)));
    std::fs::write(at("zoo.cfg.dynamic.next"), "server.1=a:2888").expect("written");
    assert!(
        load(true).is_err_and(|why| why.contains("zoo.cfg.dynamic.next: `server.1=a:2888`: expected host:"))
    );
    assert_eq!(load(false), Ok(None));
}

#[test]
fn http_servers() {
    let of = |more: &str| parse(&format!("{GOOD}{more}")).expect("a good file").http;
    let plain = of("");
    assert_eq!(plain.admin().map(|admin| (admin.host.as_deref(), admin.port)), Some((None, 8080)));
    assert_eq!(plain.prometheus(), None);
    assert_eq!(of("admin.enableServer=false\n").admin(), None);
    let both = of(
        "admin.serverAddress=127.0.0.1\nadmin.serverPort=9\nadmin.commandURL=/c\nmetricsProvider.httpPort=8\n\
                   metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n",
    );
    let endpoint = |host: Option<&str>, port, path: &str| Endpoint {
        host: host.map(Into::into),
        port,
        path: path.into(),
    };
    assert_eq!(both.admin(), Some(&endpoint(Some("127.0.0.1"), 9, "/c")));
    assert_eq!(both.prometheus(), Some(&endpoint(None, 8, "/metrics")));
    let none = of("metricsProvider.className=org.apache.zookeeper.metrics.impl.NullMetricsProvider\n");
    assert_eq!(none.prometheus(), None);
    refused(&format!("{GOOD}admin.commandURL=c\n"), "expected a path, as /commands");
    refused(
        &format!("{GOOD}metricsProvider.className=my.Own\n"),
        "PrometheusMetricsProvider, or no such key",
    );
}

#[test]
fn a_server_that_is_alone() {
    let alone = "dataDir=/d\nclientPort=2181\n";
    let cfg = parse(alone).expect("a good file");
    assert!(cfg.is_standalone() && cfg.config(0).settings.standalone);
    assert!(cfg.notes.is_empty());
    let one = format!("{alone}server.7=h:2888:3888\n");
    let cfg = parse(&one).expect("a good file");
    assert!(cfg.is_standalone() && cfg.config(0).settings.standalone);
    assert_eq!(cfg.notes.len(), 1, "{:?}", cfg.notes);
    let member = format!("{one}standaloneEnabled=false\ninitLimit=5\nsyncLimit=2\n");
    let cfg = parse(&member).expect("a good file");
    assert!(!cfg.is_standalone() && !cfg.config(0).settings.standalone);
    refused("dataDir=/d\n", "a clientPort, as no server.N lines");
    refused(&format!("{one}standaloneEnabled=false\n"), "initLimit and syncLimit");
    assert!(!parse(GOOD).expect("a good file").is_standalone());
}
