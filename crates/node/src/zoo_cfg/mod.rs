//! `zoo.cfg`, `dynamicConfigFile` and `myid`. Keys that are not honoured are told, one by one; a malformed one is
//! an error with file, line and what was expected, and so is one that asks for what is not built.

pub mod dynamic;
mod http;
mod keys;
mod properties;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use peer::{
    Config, LearnerType, MAX_VOTERS, Nanos, QuorumVerifier, Settings, Switches, TreeSettings, View,
    parse_config_text,
};
use storage::StorageSettings;
use wire::{ServerId, Zxid};

pub use http::{Endpoint, HttpCfg};
use peer::server_line::{self, port, unbracketed};
pub use peer::server_line::{Address, Server};
use properties::Property;

/// `commitLogCount` has a floor, as in `ZKDatabase`.
const MIN_COMMIT_LOG_COUNT: usize = 500;
/// `snapCount` has one, as in `ZooKeeperServer.getSnapCount`.
const MIN_SNAP_COUNT: u64 = 2;
/// `autopurge.snapRetainCount` has one, as in `DatadirCleanupManager`.
const MIN_SNAP_RETAIN_COUNT: usize = 3;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{}:{line}: `{text}`: expected {expected}", path.display())]
    Malformed { path: PathBuf, line: usize, text: String, expected: String },
    #[error("{}: expected {expected}", path.display())]
    Missing { path: PathBuf, expected: String },
}

/// A key that was read and is not honoured, or not as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub key: String,
    pub why: String,
}

#[derive(Clone, Debug)]
pub struct ZooCfg {
    pub path: PathBuf,
    pub my_id: ServerId,
    pub data_dir: PathBuf,
    pub data_log_dir: PathBuf,
    pub client_port: Option<u16>,
    /// `clientPortAddress`; without: all addresses.
    pub client_address: Option<String>,
    /// `quorumListenOnAllIPs`
    pub listen_on_all: bool,
    /// `4lw.commands.whitelist`: `None` where the file does not say.
    pub four_letter_words: Option<Vec<String>>,
    pub http: HttpCfg,
    pub servers: BTreeMap<ServerId, Server>,
    pub notes: Vec<Note>,
    /// What the machine is told; session time-outs as the file has them, -1 where it has none.
    settings: Settings,
    storage: StorageSettings,
    tree: TreeSettings,
    peer_type: Option<LearnerType>,
    dynamic_config_file: Option<PathBuf>,
    /// Of the configuration: what the dynamic file's name says.
    version: Zxid,
    /// `zoo.cfg.dynamic.next`
    seen_view: Option<View>,
    /// Its lines.
    seen_servers: BTreeMap<ServerId, Server>,
    /// `autopurge.purgeInterval` is above 0. Ours purges with each snapshot.
    purges: bool,
    retained: usize,
    groups: BTreeMap<ServerId, i64>,
    weights: BTreeMap<ServerId, i64>,
}

impl ZooCfg {
    pub fn load(path: &Path) -> Result<ZooCfg, ConfigError> {
        let mut cfg = ZooCfg::read(path, &read(path)?)?;
        if let Some(dynamic) = cfg.dynamic_config_file.clone() {
            cfg.read_membership(&dynamic, &read(&dynamic)?)?;
            cfg.version = dynamic::version_of(&dynamic);
        }
        cfg.check()?;
        if cfg.is_standalone() {
            cfg.my_id = ServerId(1);
        } else {
            cfg.read_seen()?;
            cfg.identify()?;
        }
        Ok(cfg)
    }

    /// One file that holds all, for tests: nothing is read from disk.
    #[cfg(test)]
    pub(crate) fn parse(path: &Path, text: &str) -> Result<ZooCfg, ConfigError> {
        let mut cfg = ZooCfg::read(path, text)?;
        cfg.check()?;
        Ok(cfg)
    }

    /// The static file, unchecked.
    fn read(path: &Path, text: &str) -> Result<ZooCfg, ConfigError> {
        let mut cfg = ZooCfg {
            path: path.into(),
            my_id: ServerId(0),
            data_dir: PathBuf::new(),
            data_log_dir: PathBuf::new(),
            client_port: None,
            client_address: None,
            listen_on_all: false,
            four_letter_words: None,
            http: HttpCfg::default(),
            servers: BTreeMap::new(),
            notes: Vec::new(),
            settings: Settings {
                tick_time: Nanos::from_millis(3000),
                init_limit: 0,
                sync_limit: 0,
                min_session_timeout_ms: -1,
                max_session_timeout_ms: -1,
                ..Settings::default()
            },
            storage: StorageSettings::default(),
            tree: TreeSettings::default(),
            peer_type: None,
            dynamic_config_file: None,
            version: Zxid::ZERO,
            seen_view: None,
            seen_servers: BTreeMap::new(),
            purges: false,
            retained: MIN_SNAP_RETAIN_COUNT,
            groups: BTreeMap::new(),
            weights: BTreeMap::new(),
        };
        let properties = properties::read(text);
        for property in &properties {
            cfg.key(&property.key, &property.value).map_err(|why| malformed(path, property, why))?;
        }
        let membership = |property: &&Property| is_membership(&property.key);
        match properties.iter().find(membership) {
            Some(line) if cfg.dynamic_config_file.is_some() => {
                Err(malformed(path, line, "no servers here, where there is a dynamicConfigFile".into()))
            }
            _ => Ok(cfg),
        }
    }

    /// `dynamicConfigFile`: the members, and nothing else.
    fn read_membership(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        for property in &properties::read(text) {
            let set = match is_membership(&property.key) {
                true => self.membership(&property.key, &property.value),
                false => Err("server.N, group.N or weight.N".into()),
            };
            set.map_err(|why| malformed(path, property, why))?;
        }
        Ok(())
    }

    /// What was proposed to this member last, and is not known to be committed.
    fn read_seen(&mut self) -> Result<(), ConfigError> {
        let path = dynamic::path_of(&self.path, storage::config_file::SEEN);
        if self.settings.reconfig_enabled && path.exists() {
            let text = read(&path)?;
            let unreadable = |why| ConfigError::Unreadable { path: path.clone(), why };
            let seen = parse_config_text(text.as_bytes()).map_err(unreadable)?;
            for property in properties::read(&text) {
                if let Some(id) = property.key.strip_prefix("server.") {
                    let id = server_line::server_id(id).map_err(unreadable)?;
                    self.seen_servers.insert(id, server_line::server(&property.value).map_err(unreadable)?);
                }
            }
            self.seen_view = Some(seen);
        }
        Ok(())
    }

    fn key(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "tickTime" => self.settings.tick_time = Nanos::from_millis(above_zero(value)?),
            "initLimit" => self.settings.init_limit = above_zero(value)? as u32,
            "syncLimit" => self.settings.sync_limit = above_zero(value)? as u32,
            "minSessionTimeout" => self.settings.min_session_timeout_ms = number(value)?,
            "maxSessionTimeout" => self.settings.max_session_timeout_ms = number(value)?,
            "maxClientCnxns" => self.settings.max_client_cnxns = number(value)?,
            "dataDir" => self.data_dir = value.into(),
            "dataLogDir" => self.data_log_dir = value.into(),
            "clientPort" => self.client_port = Some(port(value)?),
            "clientPortAddress" => self.client_address = Some(unbracketed(value).into()),
            "quorumListenOnAllIPs" => self.listen_on_all = boolean(value)?,
            "dynamicConfigFile" => self.dynamic_config_file = Some(value.into()),
            "electionAlg" if value != "3" => return Err("3, the only one that is left".into()),
            "electionAlg" => {}
            "reconfigEnabled" => self.settings.reconfig_enabled = boolean(value)?,
            "standaloneEnabled" => self.settings.standalone_enabled = boolean(value)?,
            "peerType" => self.peer_type = Some(peer_type(value)?),
            "4lw.commands.whitelist" => {
                self.four_letter_words = Some(value.split(',').map(|word| word.trim().into()).collect());
            }
            _ if is_membership(key) => return self.membership(key, value),
            _ => return self.property(key, value),
        }
        Ok(())
    }

    /// What Java takes for a system property of that name.
    fn property(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "leaderServes" => self.settings.leader_serves = value != "no",
            "syncEnabled" => self.settings.sync_enabled = boolean(value)?,
            "cnxTimeout" => self.settings.cnx_timeout = Nanos::from_millis(above_zero(value)?),
            // Ours: Java's is fixed.
            "fastleader.finalizeWait" => self.settings.finalize_wait = Nanos::from_millis(above_zero(value)?),
            "maxBatchSize" => self.settings.max_batch_size = above_zero(value)? as usize,
            "snapCount" => self.settings.snap_count = number::<u64>(value)?.max(MIN_SNAP_COUNT),
            "commitLogCount" => {
                let count = number::<usize>(value)?.max(MIN_COMMIT_LOG_COUNT);
                (self.settings.commit_log_count, self.storage.commit_log_count) = (count, count);
            }
            "snapshotSizeFactor" => {
                let factor = value.parse::<f64>().ok().filter(|factor| factor.abs() < 1e9);
                let factor = factor.ok_or("a factor of the snapshot's size, below 0 for never")?;
                self.settings.snapshot_size_factor_milli = (factor * 1000.0) as i64;
            }
            "preAllocSize" => self.storage.prealloc = above_zero(value)? << 10,
            "autopurge.purgeInterval" => self.purges = number::<u32>(value)? > 0,
            "autopurge.snapRetainCount" => self.retained = number::<usize>(value)?.max(MIN_SNAP_RETAIN_COUNT),
            "snapshot.trust.empty" => self.storage.trust_empty = boolean(value)?,
            "jute.maxbuffer" => self.settings.jute_maxbuffer = above_zero(value)? as usize,
            "maxCnxns" => self.settings.max_cnxns = number(value)?,
            "globalOutstandingLimit" => self.settings.global_outstanding_limit = above_zero(value)? as usize,
            "DigestAuthenticationProvider.superDigest" => self.settings.super_digest = Some(value.into()),
            "skipACL" => self.tree.skip_acl = value == "yes",
            "extendedTypesEnabled" => self.tree.extended_types = boolean(value)?,
            "enforceQuota" => self.tree.enforce_quota = boolean(value)?,
            "testingonly.initialZxid" => self.settings.initial_zxid = Some(number(value)?),
            _ if self.http.key(key, value)? => {}
            _ => return self.not_honoured(key, value),
        }
        Ok(())
    }

    fn not_honoured(&mut self, key: &str, value: &str) -> Result<(), String> {
        let why = match keys::treatment(key) {
            Some(keys::Treatment::Accepted(why)) => *why,
            Some(keys::Treatment::OnlyAs { allowed, .. }) if allowed.contains(&value) => return Ok(()),
            Some(keys::Treatment::OnlyAs { allowed: [], because }) => {
                return Err(format!("no such key: {because}"));
            }
            Some(keys::Treatment::OnlyAs { allowed, because }) => {
                return Err(format!("`{}`: {because}", allowed.join("` or `")));
            }
            None => "no key of ZooKeeper's",
        };
        self.notes.push(Note { key: key.into(), why: why.into() });
        Ok(())
    }

    fn membership(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (kind, id) = key.split_once('.').ok_or("server.N, group.N or weight.N")?;
        let number = id.parse::<i64>().ok().filter(|id| *id >= 0);
        match kind {
            "server" => {
                let id = server_line::server_id(id).map_err(|what| format!("server.N with {what}"))?;
                self.servers.insert(id, server_line::server(value)?);
            }
            "group" => {
                let group = number.ok_or("group.N=id:id:...")?;
                for member in value.split(':') {
                    let id = member.parse::<i64>().map_err(|_| "server ids separated by `:`")?;
                    self.groups.insert(ServerId(id), group);
                }
            }
            _ => {
                let id = ServerId(number.ok_or("weight.N=number")?);
                self.weights.insert(id, value.parse().map_err(|_| "a weight of 0 or more")?);
            }
        }
        Ok(())
    }

    /// What must hold of the whole (`QuorumPeerConfig.checkValidity`).
    fn check(&mut self) -> Result<(), ConfigError> {
        let missing =
            |expected: &str| ConfigError::Missing { path: self.path.clone(), expected: expected.into() };
        if self.data_dir.as_os_str().is_empty() {
            return Err(missing("dataDir"));
        }
        if self.is_standalone() {
            return self.check_standalone();
        }
        if self.settings.init_limit == 0 || self.settings.sync_limit == 0 {
            return Err(missing("initLimit and syncLimit"));
        }
        if self.client_address.is_some() && self.client_port.is_none() {
            return Err(missing("a clientPort beside clientPortAddress"));
        }
        let voters = self.servers.values().filter(|server| !server.observer).count();
        if voters > MAX_VOTERS {
            return Err(missing("at most 64 voters; make the others observers"));
        }
        let alone = voters == 1 && self.may_be_alone() && self.servers.len() > 1;
        if voters == 0 || alone {
            return Err(missing(
                "two voters, where there are observers (or one, and standaloneEnabled=false)",
            ));
        }
        if self.session_timeouts().0 > self.session_timeouts().1 {
            return Err(missing("minSessionTimeout not above maxSessionTimeout"));
        }
        self.check_groups()?;
        self.logs_lie_with_data_unless_told();
        Ok(())
    }

    /// No server is listed, or one only and `standaloneEnabled` (`QuorumPeerConfig.isDistributed`).
    pub fn is_standalone(&self) -> bool {
        self.servers.is_empty() || self.may_be_alone() && self.servers.len() == 1
    }

    /// An ensemble that was reconfigured to one server is one: its history is shared, and servers may be added.
    fn may_be_alone(&self) -> bool {
        self.settings.standalone_enabled && self.version == Zxid::ZERO
    }

    /// It writes configurations that the ensemble agrees on.
    pub fn reconfigures(&self) -> bool {
        self.settings.reconfig_enabled && !self.is_standalone()
    }

    /// This member's line; none of a server that is alone.
    pub fn own_server(&self) -> Option<&Server> {
        self.listed().filter(|_| !self.is_standalone())
    }

    /// Among the members, or among those that have been proposed: then it has voted for that, perhaps, and is needed.
    fn listed(&self) -> Option<&Server> {
        let proposed = self.seen_view.as_ref().filter(|seen| seen.version > self.version);
        let proposed = proposed.and_then(|_| self.seen_servers.get(&self.my_id));
        self.servers.get(&self.my_id).or(proposed)
    }

    fn check_standalone(&mut self) -> Result<(), ConfigError> {
        let missing =
            |expected: &str| ConfigError::Missing { path: self.path.clone(), expected: expected.into() };
        if self.client_port.is_none() {
            return Err(missing("a clientPort, as no server.N lines make it a member of an ensemble"));
        }
        if self.session_timeouts().0 > self.session_timeouts().1 {
            return Err(missing("minSessionTimeout not above maxSessionTimeout"));
        }
        if !self.servers.is_empty() {
            let why = "one server alone is no ensemble: it runs standalone (as standaloneEnabled says)";
            self.notes.push(Note { key: "server.N".into(), why: why.into() });
        }
        self.settings.standalone = true;
        self.logs_lie_with_data_unless_told();
        Ok(())
    }

    fn logs_lie_with_data_unless_told(&mut self) {
        if self.data_log_dir.as_os_str().is_empty() {
            self.data_log_dir = self.data_dir.clone();
        }
    }

    /// `QuorumHierarchical`: every voter is in a group, and a server in a group or with a weight is listed.
    fn check_groups(&self) -> Result<(), ConfigError> {
        let missing = |expected: String| Err(ConfigError::Missing { path: self.path.clone(), expected });
        if let Some(sid) = self.groups.keys().find(|sid| !self.servers.contains_key(sid)) {
            return missing(format!("a line server.{}=..., as a group has that server", sid.0));
        }
        if self.groups.is_empty() {
            return Ok(());
        }
        let voters = self.servers.iter().filter(|(_, server)| !server.observer);
        match voters.map(|(sid, _)| sid).find(|sid| !self.groups.contains_key(sid)) {
            Some(sid) => missing(format!("server {} in a group, as others are", sid.0)),
            None => Ok(()),
        }
    }

    /// Who this is (`myid`), and what its line says.
    fn identify(&mut self) -> Result<(), ConfigError> {
        let myid = self.data_dir.join("myid");
        let text = std::fs::read_to_string(&myid).map_err(|why| ConfigError::Missing {
            path: myid.clone(),
            expected: format!(
                "a file with the id of this server, the N of its server.N line in {} ({why})",
                self.path.display()
            ),
        })?;
        let number = text.trim().parse::<i64>().ok().filter(|id| (0..=254).contains(id));
        let expected = "the id of this server, a number of 0 to 254, and nothing else".to_owned();
        let id = number.ok_or_else(|| ConfigError::Malformed {
            path: myid.clone(),
            line: 1,
            text: text.trim().into(),
            expected,
        })?;
        self.my_id = ServerId(id);
        let Some(own) = self.listed().cloned() else {
            if self.version > Zxid::ZERO
                && let Some(dynamic) = &self.dynamic_config_file
            {
                let expected = format!(
                    "a line server.{id}=..., as {} says {id}: the ensemble's reconfiguration {:x} has removed this server. To \
                     have it back, list the members and this server in zoo.cfg itself, start it, and add it",
                    myid.display(),
                    self.version.0
                );
                return Err(ConfigError::Missing { path: dynamic.clone(), expected });
            }
            let expected = format!("a line server.{id}=..., as {} says {id}", myid.display());
            return Err(ConfigError::Missing { path: self.path.clone(), expected });
        };
        if own.client_port.is_some() {
            (self.client_port, self.client_address) = (own.client_port, own.client_address);
        }
        let listed = if own.observer { LearnerType::Observer } else { LearnerType::Participant };
        if self.peer_type.is_some_and(|said| said != listed) {
            let why = format!("the list of servers says otherwise: {listed:?}");
            self.notes.push(Note { key: "peerType".into(), why });
        }
        Ok(())
    }

    /// In milliseconds: 2 and 20 ticks where the file does not say.
    fn session_timeouts(&self) -> (i32, i32) {
        let tick = (self.settings.tick_time.0 / 1_000_000).min(1 << 26) as i32;
        let or = |said: i32, ticks: i32| if said == -1 { ticks * tick } else { said };
        (or(self.settings.min_session_timeout_ms, 2), or(self.settings.max_session_timeout_ms, 20))
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
        let members = self.servers.iter().map(|(sid, server)| (*sid, server.member()));
        let voters = self.servers.iter().filter(|(_, server)| !server.observer).map(|(sid, _)| *sid);
        let verifier = if self.groups.is_empty() {
            QuorumVerifier::Majority { voters: voters.collect() }
        } else {
            let group_of = voters.filter_map(|sid| Some((sid, *self.groups.get(&sid)?)));
            QuorumVerifier::Hierarchical { group_of: group_of.collect(), weight_of: self.weights.clone() }
        };
        View { members: members.collect(), verifier, version: self.version }
    }

    /// What the peer is told. `seed`: material for what the protocol wants random.
    pub fn config(&self, seed: u64) -> Config {
        let (min_session_timeout_ms, max_session_timeout_ms) = self.session_timeouts();
        let settings = Settings { min_session_timeout_ms, max_session_timeout_ms, ..self.settings.clone() };
        Config {
            sid: self.my_id,
            view: self.view(),
            seen_view: self.seen_view.clone(),
            settings,
            switches: Switches::NONE,
            seed,
        }
    }

    /// Of the data tree.
    pub fn tree(&self) -> TreeSettings {
        TreeSettings { max_txn: self.settings.max_record(), ..self.tree.clone() }
    }

    pub fn storage(&self) -> StorageSettings {
        StorageSettings { snap_retain_count: self.purges.then_some(self.retained), ..self.storage.clone() }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|e| ConfigError::Unreadable { path: path.into(), why: e.to_string() })
}

fn malformed(path: &Path, property: &Property, expected: String) -> ConfigError {
    let text = format!("{}={}", property.key, property.value);
    ConfigError::Malformed { path: path.into(), line: property.line, text, expected }
}

fn is_membership(key: &str) -> bool {
    key.split_once('.').is_some_and(|(kind, _)| matches!(kind, "server" | "group" | "weight"))
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| "a number".into())
}

fn above_zero(value: &str) -> Result<u64, String> {
    let read = value.strip_prefix("0x").map_or_else(|| value.parse(), |hex| u64::from_str_radix(hex, 16));
    read.ok().filter(|n| (1..=1 << 31).contains(n)).ok_or("a number above 0".into())
}

fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false".into()),
    }
}

fn peer_type(value: &str) -> Result<LearnerType, String> {
    match value.to_ascii_lowercase().as_str() {
        "observer" => Ok(LearnerType::Observer),
        "participant" => Ok(LearnerType::Participant),
        _ => Err("participant or observer".into()),
    }
}

#[cfg(test)]
mod tests;
