//! `server.N` lines: where the members are. In `zoo.cfg`, in its dynamic file, and in the text of a configuration.

use wire::ServerId;

use crate::config::{LearnerType, Member};

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

impl std::str::FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Address, String> {
        let (host, number) = text.rsplit_once(':').ok_or("host:port")?;
        Ok(Address { host: unbracketed(host).into(), port: port(number)? })
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
    pub fn member(&self) -> Member {
        Member {
            learner_type: if self.observer { LearnerType::Observer } else { LearnerType::Participant },
            quorum_address: format!("{}:{}", self.quorum_address(), self.election_port),
            election_address: self.election_address().to_string(),
            client_address: self.client_port.map(|port| {
                let host = self.client_address.clone().unwrap_or("0.0.0.0".into());
                Address { host, port }.to_string()
            }),
        }
    }
}

/// `N` of `server.N`. Sessions' ids begin with its low byte: those of 255 would look like the owners of TTL nodes.
pub fn server_id(text: &str) -> Result<ServerId, String> {
    let id = text.parse::<i64>().ok().filter(|id| *id >= 0 && id & 0xff != 0xff);
    id.map(ServerId).ok_or("an id of 0 to 254, or beyond 255, whose low byte is not 255".into())
}

pub fn port(value: &str) -> Result<u16, String> {
    value.parse::<u16>().ok().filter(|port| *port > 0).ok_or("a port of 1 to 65535".into())
}

pub fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `host:rest` or `[host]:rest`.
fn host_and_rest(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(text) => text.split_once("]:"),
        None => text.split_once(':'),
    }
}

/// The part behind `server.N=`; the error tells what was expected.
pub fn server(value: &str) -> Result<Server, String> {
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
    let observer = match role.to_ascii_lowercase().as_str() {
        "participant" => false,
        "observer" => true,
        _ => return Err(FORM.into()),
    };
    if host.is_empty() {
        return Err(FORM.into());
    }
    if quorum == election {
        return Err("two ports, one for the quorum and one for elections".into());
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
