//! What each word is answered (`server/command/*Command`, release 3.9). Where Java's order is that of a hash map,
//! ours is sorted.

use std::fmt::Write as _;
use std::net::SocketAddr;

use peer::CnxnStats;
use wire::SessionId;

use crate::environment::environment;
use crate::java_date::java_date;
use crate::metrics::{Value, samples, to_4_places};
use crate::version::zookeeper_version;
use crate::view::{Dirs, View, absolute};

pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// | word | while it serves | else |
/// |---|---|---|
/// | ruok, envi, gtmk, stmk | the same in both |
/// | isro | rw | null |
/// | all others | what they are for | NOT_SERVING |
///
/// `asker`: the connection that the word came by, which Java counts among the clients'. `mask`: what followed
/// `stmk`.
pub fn answer(view: &mut View<'_>, word: &str, asker: SocketAddr, dirs: &Dirs, mask: Option<i64>) -> String {
    match word {
        "ruok" => "imok".into(),
        "envi" => envi(),
        "gtmk" => view.packets.mask.to_string(),
        "stmk" => {
            view.packets.mask = mask.unwrap_or(view.packets.mask);
            view.packets.mask.to_string()
        }
        "isro" if view.status.serving => "rw".into(),
        "isro" => "null".into(),
        // `DigestCommand` ends without a line.
        "hash" if !view.status.serving => NOT_SERVING.into(),
        _ if !view.status.serving => format!("{NOT_SERVING}\n"),
        "conf" => conf(view, dirs),
        "cons" => format!("{}\n", connections(view, asker, false)),
        "crst" => {
            view.peer.clients_mut().reset_cnxns();
            "Connection stats reset.\n".into()
        }
        "dirs" => format!("datadir_size: {}\nlogdir_size: {}\n", dirs.snap_size, dirs.log_size),
        "dump" => dump(view, asker),
        "hash" => hash(view),
        "mntr" => mntr(view),
        "srst" => {
            view.peer.clients_mut().reset_server();
            view.metrics.reset();
            "Server stats reset.\n".into()
        }
        "wchs" => wchs(view),
        "wchp" => wchp(view),
        "wchc" => wchc(view),
        word => srvr(view, asker, word == "stat"),
    }
}

fn envi() -> String {
    let lines = environment().into_iter().map(|(key, value)| format!("{key}={value}\n"));
    format!("Environment:\n{}", lines.collect::<String>())
}

/// `ZooKeeperServer.dumpConf` and `QuorumZooKeeperServer.dumpConf`.
fn conf(view: &View<'_>, dirs: &Dirs) -> String {
    let cfg = &view.conf.cfg;
    let settings = &view.peer.config().settings;
    let server = format!(
        "clientPort={}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={}\ndataLogDir={}\ndataLogSize={}\n\
         tickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n\
         clientPortListenBacklog=-1\nserverId={}\n",
        cfg.client_port.map_or(-1, i32::from),
        absolute(&cfg.snap_dir()).display(),
        dirs.snap_size,
        absolute(&cfg.log_dir()).display(),
        dirs.log_size,
        settings.tick_time.0 / 1_000_000,
        settings.max_client_cnxns,
        settings.min_session_timeout_ms,
        settings.max_session_timeout_ms,
        if cfg.is_standalone() { 0 } else { cfg.my_id.0 },
    );
    server + &conf_of_ensemble(view)
}

/// Nothing of a server that is alone.
fn conf_of_ensemble(view: &View<'_>) -> String {
    let (cfg, settings) = (&view.conf.cfg, &view.peer.config().settings);
    let Some(own) = cfg.own_server() else { return String::new() };
    format!(
        "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\npeerType={}\n\
         membership: \n{}",
        settings.init_limit,
        settings.sync_limit,
        own.election_port,
        own.quorum_port,
        i32::from(own.observer),
        String::from_utf8_lossy(&view.peer.ensemble().active_text()),
    )
}

/// `ServerCnxn.dumpConnectionInfo`, a line each; the asker's is one of them.
fn connections(view: &View<'_>, asker: SocketAddr, brief: bool) -> String {
    let mut text = String::new();
    for (from, stats) in view.connections() {
        let (queued, received, sent) = (stats.outstanding(), stats.received, stats.sent);
        let _ = write!(text, " {}[1](queued={queued},recved={received},sent={sent}", java_address(from));
        if !brief && stats.session != SessionId(0) {
            session_info(&mut text, stats);
        }
        text.push_str(")\n");
    }
    let _ = writeln!(text, " {}[0](queued=0,recved=1,sent=0)", java_address(asker));
    text
}

fn session_info(text: &mut String, stats: &CnxnStats) {
    let (operation, established, timeout) = (stats.last_operation, stats.established_ms, stats.timeout_ms);
    let _ = write!(text, ",sid={},lop={operation},est={established},to={timeout}", hex(stats.session.0));
    if stats.last_cxid >= 0 {
        let _ = write!(text, ",lcxid={}", hex(i64::from(stats.last_cxid)));
    }
    let latency = &stats.latency;
    let _ = write!(
        text,
        ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
        hex(stats.last_zxid.0),
        stats.last_response_ms,
        stats.last_latency,
        latency.min(),
        latency.total.checked_div(latency.count).unwrap_or(0),
        latency.max(),
    );
}

/// `InetSocketAddress.toString` of an address without a name.
pub fn java_address(address: SocketAddr) -> String {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    if ip.is_ipv6() { format!("/[{ip}]:{port}") } else { format!("/{ip}:{port}") }
}

/// `"0x" + Long.toHexString(n)`
pub fn hex(n: i64) -> String {
    format!("{n:#x}")
}

/// `DumpCommand`: a leader tells when sessions end, others what sessions they know of.
fn dump(view: &View<'_>, asker: SocketAddr) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    match view.peer.session_expiries() {
        Some(expiries) => {
            let line = |(session, at): (SessionId, _)| (view.wall_ms(at), hex(session.0));
            text += "Session ";
            expiry_sets(&mut text, expiries.into_iter().map(line).collect());
        }
        None => global_sessions(&mut text, view),
    }
    text += "ephemeral nodes dump:\n";
    ephemerals(&mut text, view);
    text += "Connections dump:\nConnections ";
    let clients = view.connections().map(|(from, stats)| {
        let name = format!("ip: {} sessionId: {}", java_address(from), hex(stats.session.0));
        (view.now.wall_ms + i64::from(stats.timeout_ms), name)
    });
    let mut all: Vec<(i64, String)> = clients.collect();
    all.push((view.now.wall_ms, format!("ip: {} sessionId: 0x0", java_address(asker))));
    expiry_sets(&mut text, all);
    text
}

/// `ExpiryQueue.dump`: by the second.
fn expiry_sets(text: &mut String, all: Vec<(i64, String)>) {
    let mut sets = std::collections::BTreeMap::<i64, Vec<String>>::new();
    let count = all.len();
    for (at, what) in all {
        sets.entry(at.div_euclid(1000) + 1).or_default().push(what);
    }
    let _ = writeln!(text, "Sets ({})/({count}):", sets.len());
    for (second, mut set) in sets {
        let _ = writeln!(text, "{} expire at {}:", set.len(), java_date(second * 1000));
        set.sort();
        set.iter().for_each(|what| {
            let _ = writeln!(text, "\t{what}");
        });
    }
}

/// `LearnerSessionTracker.dumpSessions`
fn global_sessions(text: &mut String, view: &View<'_>) {
    let sessions = view.tree().map(|server| server.database().sessions());
    let _ = writeln!(text, "Global Sessions({}):", sessions.as_ref().map_or(0, ExactSizeIterator::len));
    for (session, timeout_ms) in sessions.into_iter().flatten() {
        let _ = writeln!(text, "{}\t{timeout_ms}ms", hex(session.0));
    }
}

/// `DataTree.dumpEphemerals`
fn ephemerals(text: &mut String, view: &View<'_>) {
    let all: Vec<_> = view
        .tree()
        .map(|server| server.database().tree.sessions_with_ephemerals())
        .into_iter()
        .flatten()
        .collect();
    let _ = writeln!(text, "Sessions with Ephemerals ({}):", all.len());
    for (session, paths) in all {
        let _ = writeln!(text, "{}:", hex(session));
        for path in paths {
            let _ = writeln!(text, "\t{}", String::from_utf8_lossy(path));
        }
    }
}

/// `DigestCommand`
fn hash(view: &View<'_>) -> String {
    let log = view.tree().map(|server| server.database().digest_log()).into_iter().flatten();
    log.map(|entry| format!("{:x}: {}\n", entry.zxid.0, entry.digest)).collect()
}

/// `MonitorCommand`
fn mntr(view: &View<'_>) -> String {
    let mut text = String::new();
    for (name, value) in samples(view) {
        let _ = match value {
            Value::Text(value) => writeln!(text, "zk_{name}\t{value}"),
            Value::Gauge(value) => writeln!(text, "zk_{name}\t{value}"),
            Value::Counter(value) => writeln!(text, "zk_{name}\t{value}"),
            Value::Float(value) => writeln!(text, "zk_{name}\t{value:?}"),
            Value::Summary(values) => writeln!(
                text,
                "zk_avg_{name}\t{:?}\nzk_min_{name}\t{}\nzk_max_{name}\t{}\nzk_cnt_{name}\t{}\nzk_sum_{name}\t{}",
                to_4_places(values.avg()),
                values.min(),
                values.max(),
                values.count,
                values.total,
            ),
        };
    }
    text
}

/// `StatCommand`: `srvr`, and `stat` with the clients.
fn srvr(view: &View<'_>, asker: SocketAddr, clients: bool) -> String {
    let stats = view.peer.clients();
    let server = &stats.server;
    let mut text = format!("Zookeeper version: {}\n", zookeeper_version());
    if clients {
        let _ = write!(text, "Clients:\n{}\n", connections(view, asker, true));
    }
    let _ = write!(
        text,
        "Latency min/avg/max: {}/{:?}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\n\
         Mode: {}\nNode count: {}\n",
        server.latency.min(),
        to_4_places(server.latency.avg()),
        server.latency.max(),
        server.packets_received,
        server.packets_sent,
        stats.cnxns().len() + 1,
        view.outstanding(),
        hex(view.status.last_zxid.0),
        view.mode(),
        view.nodes(),
    );
    if view.status.leader.is_some() {
        let sizes = &view.metrics.proposal_sizes;
        let _ = writeln!(text, "Proposal sizes last/min/max: {}/{}/{}", sizes.last, sizes.min, sizes.max);
    }
    text
}

/// `DataTree.dumpWatchesSummary`: of the data watches alone, as Java has it.
fn wchs(view: &View<'_>) -> String {
    let table = view.tree().map(|server| server.watches().data_table());
    let (clients, paths) = table.map_or((0, 0), |table| table.counts());
    let total = table.map_or(0, |table| table.len());
    format!("{clients} connections watching {paths} paths\nTotal watches:{total}\n")
}

/// `DataTree.dumpWatches` by path
fn wchp(view: &View<'_>) -> String {
    let mut text = String::new();
    for (path, clients) in
        view.tree().map(|server| server.watches().data_table().by_path()).into_iter().flatten()
    {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(path));
        for client in clients {
            let _ = writeln!(text, "\t{}", hex(view.session_of(client).0));
        }
    }
    text + "\n"
}

/// `DataTree.dumpWatches` by connection
fn wchc(view: &View<'_>) -> String {
    let mut text = String::new();
    for (client, paths) in
        view.tree().map(|server| server.watches().data_table().by_client()).into_iter().flatten()
    {
        let _ = writeln!(text, "{}", hex(view.session_of(client).0));
        for path in paths {
            let _ = writeln!(text, "\t{}", String::from_utf8_lossy(path));
        }
    }
    text + "\n"
}
