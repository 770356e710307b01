//! `zoo.cfg` and `myid`: the static subset. Keys that are not honoured yet are told, one by one; a
//! malformed one is an error with file, line and what was expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use peer::{Config, LearnerType, Member, Nanos, QuorumVerifier, Settings, Switches, View};
use wire::ServerId;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{}:{line}: `{text}`: expected {expected}", path.display())]
    Malformed { path: PathBuf, line: usize, text: String, expected: String },
    #[error("{}: expected {expected}", path.display())]
    Missing { path: PathBuf, expected: String },
}

/// `server.N=host:quorumPort:electionPort[:participant|observer][;[clientAddress:]clientPort]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub quorum_port: u16,
    pub election_port: u16,
    pub observer: bool,
    pub client_port: Option<u16>,
    /// `host:port`, every address where the line gives the port alone.
    pub client_address: Option<String>,
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
        let text = read(&myid)?;
        let number = text.trim().parse::<i64>().ok().filter(|id| (0..=255).contains(id));
        let expected = "a server id of 0 to 255".to_owned();
        let id = number.ok_or_else(|| ConfigError::Malformed {
            path: myid.clone(),
            line: 1,
            text: text.trim().into(),
            expected,
        })?;
        cfg.my_id = ServerId(id);
        if !cfg.servers.contains_key(&cfg.my_id) {
            let expected = format!("a line server.{id}=..., as {} says {id}", myid.display());
            return Err(ConfigError::Missing { path: path.into(), expected });
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
        if self.data_log_dir != self.data_dir {
            return Err(missing("dataLogDir to be dataDir (logs and snapshots in one place, for now)"));
        }
        Ok(self)
    }

    fn view(&self) -> View {
        let members = self.servers.iter().map(|(sid, server)| {
            let learner_type = if server.observer { LearnerType::Observer } else { LearnerType::Participant };
            let Server { host, quorum_port, election_port, .. } = server;
            let member = Member {
                learner_type,
                quorum_address: format!("{host}:{quorum_port}:{election_port}"),
                election_address: format!("{host}:{election_port}"),
                client_address: server.client_address.clone(),
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

fn server(value: &str) -> Result<Server, String> {
    const FORM: &str = "host:quorumPort:electionPort[:participant|observer][;clientPort]";
    let (address, client) = value.split_once(';').map_or((value, None), |(a, c)| (a, Some(c)));
    let (client_host, client_port) = client.map_or(("", None), |c| match c.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => ("0.0.0.0", Some(c)),
    });
    let client_port = client_port.map(port).transpose()?;
    let fields: Vec<&str> = address.split(':').collect();
    let (host, quorum, election, role) = match fields[..] {
        [host, quorum, election] => (host, quorum, election, "participant"),
        [host, quorum, election, role] => (host, quorum, election, role),
        _ => return Err(FORM.into()),
    };
    let observer = match role {
        "participant" => false,
        "observer" => true,
        _ => return Err(FORM.into()),
    };
    Ok(Server {
        host: host.into(),
        quorum_port: port(quorum)?,
        election_port: port(election)?,
        observer,
        client_port,
        client_address: client_port.map(|port| format!("{client_host}:{port}")),
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
}
