//! `zoo.cfg` and `myid`: the static subset. Keys that are not honoured yet are told, one by one; a
//! malformed one is an error with file, line and what was expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use peer::{Config, LearnerType, Member, Nanos, QuorumVerifier, Settings, Switches, View};
use wire::ServerId;

/// The leader counts acknowledgements in a word.
const MAX_VOTERS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{}:{line}: `{text}`: expected {expected}", path.display())]
    Malformed { path: PathBuf, line: usize, text: String, expected: String },
    #[error("{}: expected {expected}", path.display())]
    Missing { path: PathBuf, expected: String },
}

/// A host (name or address) and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// An IPv6 address stands in brackets where a port follows.
fn bracketed(host: &str) -> std::borrow::Cow<'_, str> {
    if host.contains(':') { format!("[{host}]").into() } else { host.into() }
}

/// `server.N=host:quorumPort:electionPort[:participant|observer][;[clientAddress:]clientPort]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub quorum_port: u16,
    pub election_port: u16,
    pub observer: bool,
    pub client_port: Option<u16>,
    /// Without: all addresses.
    pub client_address: Option<String>,
}

impl Server {
    pub fn quorum_address(&self) -> Address {
        Address { host: self.host.clone(), port: self.quorum_port }
    }
    pub fn election_address(&self) -> Address {
        Address { host: self.host.clone(), port: self.election_port }
    }
}

#[derive(Clone, Debug)]
pub struct ZooCfg {
    pub path: PathBuf,
    pub my_id: ServerId,
    pub tick_time_ms: u64,
    pub init_limit: u32,
    pub sync_limit: u32,
    pub data_dir: PathBuf,
    pub data_log_dir: PathBuf,
    pub client_port: Option<u16>,
    /// `clientPortAddress`; without: all addresses.
    pub client_address: Option<String>,
    /// `quorumListenOnAllIPs`
    pub listen_on_all: bool,
    /// `4lw.commands.whitelist`: `None` where the file does not say.
    pub four_letter_words: Option<Vec<String>>,
    pub leader_serves: bool,
    pub servers: BTreeMap<ServerId, Server>,
    groups: BTreeMap<ServerId, i64>,
    weights: BTreeMap<ServerId, i64>,
    /// Keys that were read and mean nothing to this node yet.
    pub ignored: Vec<String>,
}

impl ZooCfg {
    pub fn load(path: &Path) -> Result<ZooCfg, ConfigError> {
        let text = read(path)?;
        let mut cfg = ZooCfg::parse(path, &text)?;
        let myid = cfg.data_dir.join("myid");
        let text = std::fs::read_to_string(&myid).map_err(|why| ConfigError::Missing {
            path: myid.clone(),
            expected: format!(
                "a file with the id of this server, the N of its server.N line in {} ({why})",
                path.display()
            ),
        })?;
        let number = text.trim().parse::<i64>().ok().filter(|id| (0..=255).contains(id));
        let expected = "the id of this server, a number of 0 to 255, and nothing else".to_owned();
        let id = number.ok_or_else(|| ConfigError::Malformed {
            path: myid.clone(),
            line: 1,
            text: text.trim().into(),
            expected,
        })?;
        cfg.my_id = ServerId(id);
        let Some(own) = cfg.servers.get(&cfg.my_id) else {
            let expected = format!("a line server.{id}=..., as {} says {id}", myid.display());
            return Err(ConfigError::Missing { path: path.into(), expected });
        };
        if own.client_port.is_some() {
            (cfg.client_port, cfg.client_address) = (own.client_port, own.client_address.clone());
        }
        Ok(cfg)
    }

    pub fn parse(path: &Path, text: &str) -> Result<ZooCfg, ConfigError> {
        let mut cfg = ZooCfg {
            path: path.into(),
            my_id: ServerId(0),
            tick_time_ms: 3000,
            init_limit: 0,
            sync_limit: 0,
            data_dir: PathBuf::new(),
            data_log_dir: PathBuf::new(),
            client_port: None,
            client_address: None,
            listen_on_all: false,
            four_letter_words: None,
            leader_serves: true,
            servers: BTreeMap::new(),
            groups: BTreeMap::new(),
            weights: BTreeMap::new(),
            ignored: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if line_text.is_empty() || line_text.starts_with('#') {
                continue;
            }
            cfg.line(line_text).map_err(|expected| ConfigError::Malformed {
                path: path.into(),
                line: index + 1,
                text: line_text.into(),
                expected,
            })?;
        }
        cfg.complete()
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once('=').ok_or("key=value")?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "tickTime" => self.tick_time_ms = above_zero(value)?,
            "initLimit" => self.init_limit = above_zero(value)? as u32,
            "syncLimit" => self.sync_limit = above_zero(value)? as u32,
            "dataDir" => self.data_dir = value.into(),
            "dataLogDir" => self.data_log_dir = value.into(),
            "clientPort" => self.client_port = Some(port(value)?),
            "clientPortAddress" => self.client_address = Some(unbracketed(value).into()),
            "quorumListenOnAllIPs" => self.listen_on_all = value.eq_ignore_ascii_case("true"),
            "4lw.commands.whitelist" => {
                self.four_letter_words = Some(value.split(',').map(|word| word.trim().into()).collect());
            }
            "leaderServes" => self.leader_serves = value != "no",
            _ => return self.server_key(key, value),
        }
        Ok(())
    }

    fn server_key(&mut self, key: &str, value: &str) -> Result<(), String> {
        let Some((kind, id)) = key.split_once('.') else {
            self.ignored.push(key.into());
            return Ok(());
        };
        let number = id.parse::<i64>().ok().filter(|id| (0..=255).contains(id));
        match kind {
            "server" => {
                let id = ServerId(number.ok_or("server.N with N of 0 to 255")?);
                self.servers.insert(id, server(value)?);
            }
            "group" => {
                let group = number.ok_or("group.N=id:id:...")?;
                for member in value.split(':') {
                    let id = member.parse::<i64>().map_err(|_| "server ids separated by `:`")?;
                    self.groups.insert(ServerId(id), group);
                }
            }
            "weight" => {
                let id = ServerId(number.ok_or("weight.N=number")?);
                self.weights.insert(id, value.parse().map_err(|_| "a weight of 0 or more")?);
            }
            _ => self.ignored.push(key.into()),
        }
        Ok(())
    }

    fn complete(mut self) -> Result<ZooCfg, ConfigError> {
        let missing =
            |expected: &str| ConfigError::Missing { path: self.path.clone(), expected: expected.into() };
        if self.data_dir.as_os_str().is_empty() {
            return Err(missing("dataDir"));
        }
        if self.servers.is_empty() {
            return Err(missing("server.N lines (a standalone server is not built yet)"));
        }
        if self.init_limit == 0 || self.sync_limit == 0 {
            return Err(missing("initLimit and syncLimit"));
        }
        if self.data_log_dir.as_os_str().is_empty() {
            self.data_log_dir = self.data_dir.clone();
        }
        if self.servers.values().filter(|server| !server.observer).count() > MAX_VOTERS {
            return Err(missing("at most 64 voters; make the others observers"));
        }
        Ok(self)
    }

    /// Where snapshots and the epoch files lie.
    pub fn snap_dir(&self) -> PathBuf {
        self.data_dir.join("version-2")
    }

    /// Where logs lie.
    pub fn log_dir(&self) -> PathBuf {
        self.data_log_dir.join("version-2")
    }

    fn view(&self) -> View {
        let members = self.servers.iter().map(|(sid, server)| {
            let learner_type = if server.observer { LearnerType::Observer } else { LearnerType::Participant };
            let member = Member {
                learner_type,
                quorum_address: format!("{}:{}", server.quorum_address(), server.election_port),
                election_address: server.election_address().to_string(),
                client_address: server.client_port.map(|port| {
                    let host = server.client_address.clone().unwrap_or("0.0.0.0".into());
                    Address { host, port }.to_string()
                }),
            };
            (*sid, member)
        });
        let voters = self.servers.iter().filter(|(_, server)| !server.observer).map(|(sid, _)| *sid);
        let verifier = if self.groups.is_empty() {
            QuorumVerifier::Majority { voters: voters.collect() }
        } else {
            let group_of = voters.filter_map(|sid| Some((sid, *self.groups.get(&sid)?)));
            QuorumVerifier::Hierarchical { group_of: group_of.collect(), weight_of: self.weights.clone() }
        };
        View { members: members.collect(), verifier }
    }

    /// What the peer is told. `seed`: material for what the protocol wants random.
    pub fn config(&self, seed: u64) -> Config {
        let settings = Settings {
            tick_time: Nanos::from_millis(self.tick_time_ms),
            init_limit: self.init_limit,
            sync_limit: self.sync_limit,
            leader_serves: self.leader_serves,
            min_session_timeout_ms: 2 * self.tick_time_ms as i32,
            max_session_timeout_ms: 20 * self.tick_time_ms as i32,
            ..Settings::default()
        };
        Config { sid: self.my_id, view: self.view(), settings, switches: Switches::NONE, seed }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|e| ConfigError::Unreadable { path: path.into(), why: e.to_string() })
}

fn above_zero(value: &str) -> Result<u64, String> {
    value.parse::<u64>().ok().filter(|n| (1..=1 << 31).contains(n)).ok_or("a number above 0".into())
}

fn port(value: &str) -> Result<u16, String> {
    value.parse::<u16>().ok().filter(|port| *port > 0).ok_or("a port of 1 to 65535".into())
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `host:rest` or `[host]:rest`.
fn host_and_rest(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(text) => text.split_once("]:"),
        None => text.split_once(':'),
    }
}

fn server(value: &str) -> Result<Server, String> {
    const FORM: &str = "host:quorumPort:electionPort[:participant|observer][;[clientAddress:]clientPort], \
                        one address, IPv6 ones in brackets";
    let (address, client) = value.split_once(';').map_or((value, None), |(a, c)| (a, Some(c)));
    let (client_address, client_port) = match client.map(|c| (c, host_and_rest(c))) {
        None => (None, None),
        Some((_, Some((host, number)))) => (Some(host.to_owned()), Some(port(number)?)),
        Some((number, None)) => (None, Some(port(number)?)),
    };
    let (host, rest) = host_and_rest(address).ok_or(FORM)?;
    let fields: Vec<&str> = rest.split(':').collect();
    let (quorum, election, role) = match fields[..] {
        [quorum, election] => (quorum, election, "participant"),
        [quorum, election, role] => (quorum, election, role),
        _ => return Err(FORM.into()),
    };
    let observer = match role {
        "participant" => false,
        "observer" => true,
        _ => return Err(FORM.into()),
    };
    if host.is_empty() {
        return Err(FORM.into());
    }
    Ok(Server {
        host: host.into(),
        quorum_port: port(quorum)?,
        election_port: port(election)?,
        observer,
        client_port,
        client_address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/d\nclientPort=2181\n\
        server.1=a:2888:3888\nserver.2=b:2888:3888:observer;2182\nserver.3=c:2889:3889:participant;0.0.0.0:2183\n";

    fn parse(text: &str) -> Result<ZooCfg, ConfigError> {
        ZooCfg::parse(Path::new("zoo.cfg"), text)
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

    #[test]
    fn groups_and_weights() {
        let text = format!("{GOOD}group.1=1:3\nweight.1=2\nautopurge.purgeInterval=1\n");
        let cfg = parse(&text).expect("a good file");
        let QuorumVerifier::Hierarchical { group_of, weight_of } = cfg.config(0).view.verifier else {
            panic!("groups make a hierarchical quorum")
        };
        assert_eq!(group_of[&ServerId(3)], 1);
        assert_eq!(weight_of[&ServerId(1)], 2);
        assert_eq!(cfg.ignored, ["autopurge.purgeInterval"]);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (from, to, expected) in [
            ("tickTime=2000", "tickTime=soon", "zoo.cfg:1: `tickTime=soon`: expected a number above 0"),
            (
                "server.1=a:2888:3888",
                "server.1=a:2888",
                "zoo.cfg:6: `server.1=a:2888`: expected host:quorumPort",
            ),
            ("server.1=a:2888:3888", "server.x=a:1:2", "expected server.N with N of 0 to 255"),
            ("b:2888:3888:observer", "b:2888:3888:watcher", "zoo.cfg:7"),
            ("dataDir=/d", "# nothing", "zoo.cfg: expected dataDir"),
            ("initLimit=10", "nonsense", "zoo.cfg:2: `nonsense`: expected key=value"),
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
            ("one", "myid:1: `one`: expected the id of this server, a number of 0 to 255"),
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
}
