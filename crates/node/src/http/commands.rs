//! `/commands/NAME` (`server/admin/Commands`, release 3.9): JSON by ZooKeeper's names. Not built: `restore` and
//! `snapshot` (which change or take the state, and need an authentication), the observers' connections,
//! and the system properties, which are Java's.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::environment::environment;
use crate::four_letter_words::{NOT_SERVING, java_address};
use crate::metrics::{Value, ZabState, samples, to_4_places};
use crate::version::zookeeper_version;
use crate::view::{Dirs, View, absolute};
use crate::zoo_cfg::Address;

/// What a command is given.
struct Call<'a> {
    arguments: &'a BTreeMap<String, String>,
    dirs: &'a Dirs,
}

struct Command {
    /// The first is the one that answers bear.
    names: &'static [&'static str],
    needs_server: bool,
    run: fn(&mut View<'_>, &Call<'_>) -> Json,
}

const fn command(names: &'static [&'static str], run: fn(&mut View<'_>, &Call<'_>) -> Json) -> Command {
    Command { names, needs_server: true, run }
}

const fn always(names: &'static [&'static str], run: fn(&mut View<'_>, &Call<'_>) -> Json) -> Command {
    Command { names, needs_server: false, run }
}

/// By name.
const COMMANDS: [Command; 23] = [
    always(&["get_trace_mask", "gtmk"], |view, _| json!({ "tracemask": view.packets.mask })),
    always(&["environment", "env", "envi"], |_, _| environment().into_iter().collect()),
    always(&["monitor", "mntr"], |view, _| monitor(view)),
    always(&["set_trace_mask", "stmk"], set_trace_mask),
    always(&["zabstate"], |view, _| zab_state(view)),
    command(&["configuration", "conf", "config"], |view, _| configuration(view)),
    command(&["connection_stat_reset", "crst"], |view, _| {
        view.peer.clients_mut().reset_cnxns();
        json!({})
    }),
    command(
        &["connections", "cons"],
        |view, _| json!({ "connections": connections(view, false), "secure_connections": [] }),
    ),
    command(
        &["dirs"],
        |_, call| json!({ "datadir_size": call.dirs.snap_size, "logdir_size": call.dirs.log_size }),
    ),
    command(&["dump"], |view, _| dump(view)),
    command(&["hash"], |view, _| json!({ "digests": digests(view) })),
    command(
        &["initial_configuration", "icfg"],
        |view, _| json!({ "initial_configuration": view.conf.initial }),
    ),
    command(&["is_read_only", "isro"], |_, _| json!({ "read_only": false })),
    command(&["last_snapshot", "lsnp"], |_, call| last_snapshot(call.dirs)),
    command(&["leader", "lead"], |view, _| leader(view)),
    command(&["ruok"], |_, _| json!({})),
    command(&["server_stats", "srvr"], |view, _| server_stats(view)),
    command(&["stat_reset", "srst"], |view, _| {
        view.peer.clients_mut().reset_server();
        view.metrics.reset();
        json!({})
    }),
    command(&["stats", "stat"], |view, _| {
        let mut stats = server_stats(view);
        stats["connections"] = connections(view, true);
        stats["secure_connections"] = json!([]);
        stats
    }),
    command(&["voting_view"], |view, _| json!({ "current_config": voting_view(view) })),
    command(&["watch_summary", "wchs"], |view, _| watch_summary(view)),
    command(&["watches", "wchc"], |view, _| watches(view)),
    command(&["watches_by_path", "wchp"], |view, _| watches_by_path(view)),
];

/// Links to all, for a browser.
pub fn links(base: &str) -> String {
    let mut names: Vec<&str> = COMMANDS.iter().map(|command| command.names[0]).collect();
    names.sort_unstable();
    names.iter().map(|name| format!("<a href=\"{base}/{name}\">{name}</a>\n<br/>\n")).collect()
}

/// `CommandResponse.toMap`: what the command tells, its name, and an error or none.
pub fn run(view: &mut View<'_>, name: &str, arguments: &BTreeMap<String, String>, dirs: &Dirs) -> String {
    let Some(command) = COMMANDS.iter().find(|command| command.names.contains(&name)) else {
        return pretty(json!({ "command": name, "error": format!("Unknown command: {name}") }));
    };
    if command.needs_server && !view.status.serving {
        return pretty(json!({ "command": name, "error": NOT_SERVING }));
    }
    let mut answer = (command.run)(view, &Call { arguments, dirs });
    answer["command"] = json!(command.names[0]);
    if answer.get("error").is_none() {
        answer["error"] = Json::Null;
    }
    pretty(answer)
}

fn pretty(answer: Json) -> String {
    format!("{answer:#}")
}

fn set_trace_mask(view: &mut View<'_>, call: &Call<'_>) -> Json {
    match call.arguments.get("traceMask").map(|text| (text, text.parse::<i64>())) {
        None => json!({ "error": "setTraceMask requires long traceMask argument" }),
        Some((text, Err(_))) => {
            json!({ "error": format!("setTraceMask requires long traceMask argument, got {text}") })
        }
        Some((_, Ok(mask))) => {
            view.packets.mask = mask;
            json!({ "tracemask": mask })
        }
    }
}

fn monitor(view: &View<'_>) -> Json {
    let mut all = Map::new();
    for (name, value) in samples(view) {
        let mut put = |prefix: &str, value: Json| all.insert(format!("{prefix}{name}"), value);
        match value {
            Value::Text(value) => drop(put("", json!(value))),
            Value::Gauge(value) => drop(put("", json!(value))),
            Value::Counter(value) => drop(put("", json!(value))),
            Value::Float(value) => drop(put("", json!(value))),
            Value::Summary(values) => {
                put("avg_", json!(to_4_places(values.avg())));
                put("min_", json!(values.min()));
                put("max_", json!(values.max()));
                put("cnt_", json!(values.count));
                put("sum_", json!(values.total));
            }
        }
    }
    Json::Object(all)
}

/// `ZooKeeperServerConf.toMap`
fn configuration(view: &View<'_>) -> Json {
    let cfg = &view.conf.cfg;
    let settings = &view.peer.config().settings;
    json!({
        "client_port": cfg.client_port.map_or(-1, i32::from),
        "data_dir": absolute(&cfg.snap_dir()).display().to_string(),
        "data_log_dir": absolute(&cfg.log_dir()).display().to_string(),
        "tick_time": settings.tick_time.0 / 1_000_000,
        "max_client_cnxns": settings.max_client_cnxns,
        "min_session_timeout": settings.min_session_timeout_ms,
        "max_session_timeout": settings.max_session_timeout_ms,
        "server_id": if view.is_alone() { 0 } else { cfg.my_id.0 },
        "client_port_listen_backlog": -1,
    })
}

/// `ServerCnxn.getConnectionInfo`
fn connections(view: &View<'_>, brief: bool) -> Json {
    let info = |(from, stats): (_, &peer::CnxnStats)| {
        let mut info = json!({
            "remote_socket_address": java_address(from).trim_start_matches('/'),
            "interest_ops": 1,
            "outstanding_requests": stats.outstanding(),
            "packets_received": stats.received,
            "packets_sent": stats.sent,
        });
        if !brief {
            info["session_id"] = json!(stats.session.0);
            info["last_operation"] = json!(stats.last_operation);
            info["established"] = json!(stats.established_ms);
            info["session_timeout"] = json!(stats.timeout_ms);
            info["last_cxid"] = json!(stats.last_cxid);
            info["last_zxid"] = json!(stats.last_zxid.0);
            info["last_response_time"] = json!(stats.last_response_ms);
            info["last_latency"] = json!(stats.last_latency);
            info["min_latency"] = json!(stats.latency.min());
            info["avg_latency"] = json!(stats.latency.total.checked_div(stats.latency.count).unwrap_or(0));
            info["max_latency"] = json!(stats.latency.max());
        }
        info
    };
    view.connections().map(info).collect()
}

/// Java's keys of the first are points of its own clock; ours are milliseconds since 1970.
fn dump(view: &View<'_>) -> Json {
    let mut expiries = BTreeMap::<String, Vec<i64>>::new();
    for (session, at) in view.peer.session_expiries().unwrap_or_default() {
        expiries.entry(view.wall_ms(at).to_string()).or_default().push(session.0);
    }
    let owners = view.tree().map(|server| server.database().tree.sessions_with_ephemerals());
    let ephemerals: Map<String, Json> = owners
        .into_iter()
        .flatten()
        .map(|(session, paths)| (session.to_string(), paths.iter().map(|path| lossy(path)).collect()))
        .collect();
    json!({ "expiry_time_to_session_ids": expiries, "session_id_to_ephemeral_paths": ephemerals })
}

fn lossy(path: &[u8]) -> Json {
    json!(String::from_utf8_lossy(path))
}

fn digests(view: &View<'_>) -> Json {
    let log = view.tree().map(|server| server.database().digest_log()).into_iter().flatten();
    let entry = |entry: &wire::ZxidDigest| json!({ "zxid": entry.zxid.0, "digest": entry.digest, "digest_version": entry.digest_version });
    log.map(entry).collect()
}

/// `SnapshotInfo`; Java's times are in seconds since 1970.
fn last_snapshot(dirs: &Dirs) -> Json {
    match dirs.last_snapshot {
        None => json!({ "zxid": "ffffffffffffffff", "timestamp": -1 }),
        Some((zxid, ms)) => json!({ "zxid": format!("{zxid:x}"), "timestamp": ms / 1000 }),
    }
}

/// A server that is alone has no leader.
fn leader(view: &View<'_>) -> Json {
    if view.is_alone() {
        return json!({ "error": "server is not initialized" });
    }
    let id = view.status.leader_id;
    let address = id.and_then(|id| view.peer.ensemble().quorum_address(id)?.parse::<Address>().ok());
    json!({
        "is_leader": view.status.leader.is_some(),
        "leader_id": id.map_or(-1, |id| id.0),
        "leader_ip": address.map(|address| address.host).unwrap_or_default(),
    })
}

/// `SrvrCommand`: `ServerStats` by its getters.
fn server_stats(view: &View<'_>) -> Json {
    let clients = view.peer.clients();
    let server = &clients.server;
    let responses = &server.responses;
    let sizes = json!({
        "last_buffer_size": responses.last,
        "min_buffer_size": responses.min,
        "max_buffer_size": responses.max,
    });
    let mut answer = json!({
        "version": zookeeper_version(),
        "read_only": false,
        "server_stats": {
            "packets_sent": server.packets_sent,
            "packets_received": server.packets_received,
            "client_response_stats": sizes,
            "server_state": view.mode(),
            "provider_null": false,
            "uptime": view.now.mono.0 / 1_000_000,
            "min_latency": server.latency.min(),
            "avg_latency": to_4_places(server.latency.avg()),
            "max_latency": server.latency.max(),
            "outstanding_requests": view.outstanding(),
            "last_processed_zxid": view.status.last_zxid.0,
            "num_alive_client_connections": clients.cnxns().len(),
        },
        "client_response": sizes,
        "node_count": view.nodes(),
    });
    if view.status.leader.is_some() {
        let sizes = &view.metrics.proposal_sizes;
        answer["proposal_stats"] = json!({
            "last_buffer_size": sizes.last,
            "min_buffer_size": sizes.min,
            "max_buffer_size": sizes.max,
        });
    }
    answer
}

fn voting_view(view: &View<'_>) -> Json {
    let config = view.peer.ensemble().active();
    let voters = config.members.iter().filter(|(sid, _)| config.is_voter(**sid) && !view.is_alone());
    let of = |(id, server): (&wire::ServerId, &peer::Member)| {
        let view = json!({
            "server_addresses": [server.quorum_address()],
            "election_addresses": [server.election_address],
            "client_address": server.client_address.as_deref().unwrap_or_default(),
            "learner_type": "participant",
        });
        (id.0.to_string(), view)
    };
    Json::Object(voters.map(of).collect())
}

/// `DataTree.getWatchesSummary`: of the data watches, as Java has it.
fn watch_summary(view: &View<'_>) -> Json {
    let table = view.tree().map(|server| server.watches().data_table());
    let (clients, paths) = table.map_or((0, 0), |table| table.counts());
    json!({
        "num_connections": clients,
        "num_paths": paths,
        "num_total_watches": table.map_or(0, |table| table.len()),
    })
}

fn watches(view: &View<'_>) -> Json {
    let mut all = Map::new();
    for (client, paths) in view.tree().map(|s| s.watches().data_table().by_client()).into_iter().flatten() {
        all.insert(view.session_of(client).0.to_string(), paths.iter().map(|path| lossy(path)).collect());
    }
    json!({ "session_id_to_watched_paths": all })
}

fn watches_by_path(view: &View<'_>) -> Json {
    let mut all = Map::new();
    for (path, clients) in view.tree().map(|s| s.watches().data_table().by_path()).into_iter().flatten() {
        let sessions: Json = clients.map(|client| json!(view.session_of(client).0)).collect();
        all.insert(String::from_utf8_lossy(path).into_owned(), sessions);
    }
    json!({ "path_to_session_ids": all })
}

fn zab_state(view: &View<'_>) -> Json {
    let cfg = &view.conf.cfg;
    let Some(own) = cfg.own_server() else { return json!({ "voting": false, "zabstate": "" }) };
    let zxid = view.status.last_zxid;
    let state = if view.status.serving { ZabState::Broadcast } else { view.metrics.zab_state };
    json!({
        "myid": cfg.my_id.0,
        "is_leader": view.status.leader.is_some(),
        "quorum_address": own.quorum_address().to_string(),
        "election_address": own.election_address().to_string(),
        "client_address": cfg.client_port.map(|port| {
            Address { host: cfg.client_address.clone().unwrap_or("0.0.0.0".into()), port }.to_string()
        }),
        "voting": !own.observer,
        "last_zxid": zxid.to_string(),
        "zab_epoch": zxid.epoch().0,
        "zab_counter": zxid.0 as u32,
        "zabstate": state.name(),
    })
}
