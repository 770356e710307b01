//! A client's `reconfig`: the configuration that it asks for (`PrepRequestProcessor.pRequest2Txn`, ZOOKEEPER-107). Asked
//! by the leader.
//!
//! | asked for | next configuration |
//! |---|---|
//! | another version than the latest | BadVersion |
//! | `newMembers` | its lines, which commas may separate; all of them say `server`, `group`, `weight` or `version` |
//! | `leavingServers`, `joiningServers` | the latest one without the ids, then with the `server.N=` lines; majorities only |
//! | a `server.N=` without a client port, or with an address of another server | BadArguments |
//! | no voter, or one where `standaloneEnabled` | BadArguments |
//!
//! Whatever cannot be read is BadArguments; Java says MarshallingError of what is no number, and of a configuration
//! without participants.

use wire::client::ReconfigRequest;
use wire::{ServerId, Zxid, code};

use crate::config::{LearnerType, Member, View};
use crate::config_text::{MAX_VOTERS, parse_config_text};
use crate::quorum_verifier::QuorumVerifier;
use crate::server_line;

/// `latest`: seen last; `version`: the zxid of the reconfig.
pub(crate) fn next_view(
    request: &ReconfigRequest,
    latest: &View,
    version: Zxid,
    standalone_enabled: bool,
) -> Result<View, i32> {
    if request.cur_config_id != -1 && request.cur_config_id != latest.version.0 {
        return Err(code::BAD_VERSION);
    }
    let next = match &request.new_members.0 {
        Some(all) => of_all(text(all)?)?,
        None => of_changes(request, latest)?,
    };
    if next.voters().count() < if standalone_enabled { 2 } else { 1 } {
        return Err(code::BAD_ARGUMENTS);
    }
    Ok(View { version, ..next })
}

fn of_all(members: &str) -> Result<View, i32> {
    let lines = members.replace(',', "\n");
    let known = |line: &str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        key.is_empty()
            || key == "version"
            || ["server.", "group.", "weight."].iter().any(|kind| key.starts_with(kind))
    };
    if !lines.lines().all(known) {
        return Err(code::BAD_ARGUMENTS);
    }
    parse_config_text(lines.as_bytes()).map_err(|_| code::BAD_ARGUMENTS)
}

fn of_changes(request: &ReconfigRequest, latest: &View) -> Result<View, i32> {
    let QuorumVerifier::Majority { .. } = latest.verifier else { return Err(code::BAD_ARGUMENTS) };
    let mut members = latest.members.clone();
    if let Some(leaving) = &request.leaving_servers.0 {
        for sid in items(text(leaving)?) {
            members.remove(&server_id(sid)?);
        }
    }
    if let Some(joining) = &request.joining_servers.0 {
        for line in items(text(joining)?) {
            let (sid, member) = joiner(line)?;
            if members.iter().any(|(other, theirs)| *other != sid && share_an_address(&member, theirs)) {
                return Err(code::BAD_ARGUMENTS);
            }
            members.insert(sid, member);
        }
    }
    let voters = members.iter().filter(|(_, m)| m.learner_type == LearnerType::Participant);
    let voters: std::collections::BTreeSet<ServerId> = voters.map(|(sid, _)| *sid).collect();
    if voters.len() > MAX_VOTERS {
        return Err(code::BAD_ARGUMENTS);
    }
    Ok(View::unversioned(members, QuorumVerifier::Majority { voters }))
}

/// `server.N=host:quorumPort:electionPort[:role];[clientHost:]clientPort`
fn joiner(line: &str) -> Result<(ServerId, Member), i32> {
    let (key, value) = line.split_once('=').ok_or(code::BAD_ARGUMENTS)?;
    let sid = server_id(key.trim().strip_prefix("server.").ok_or(code::BAD_ARGUMENTS)?)?;
    let server = server_line::server(value.trim()).map_err(|_| code::BAD_ARGUMENTS)?;
    let member = server.member();
    if member.client_address.is_none() {
        return Err(code::BAD_ARGUMENTS);
    }
    Ok((sid, member))
}

fn server_id(text: &str) -> Result<ServerId, i32> {
    server_line::server_id(text).map_err(|_| code::BAD_ARGUMENTS)
}

/// `checkAddressDuplicate`. Servers on one host name it by its loopback address, and a client port may be on all.
fn share_an_address(one: &Member, other: &Member) -> bool {
    addresses(one).any(|address| addresses(other).any(|theirs| address == theirs))
}

fn addresses(member: &Member) -> impl Iterator<Item = &str> {
    [Some(member.quorum_address()), Some(&*member.election_address), member.client_address.as_deref()]
        .into_iter()
        .flatten()
        .filter(|address| {
            let host = server_line::unbracketed(address.rsplit_once(':').map_or("", |(host, _)| host));
            let special = |ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified();
            host != "localhost" && !host.parse().is_ok_and(special)
        })
}

fn text(bytes: &[u8]) -> Result<&str, i32> {
    std::str::from_utf8(bytes).map_err(|_| code::BAD_ARGUMENTS)
}

/// What commas separate; empty ones do not count.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use wire::NullableString;

    use super::*;

    /// Servers 1 to 3 vote, 4 observes; version 7.
    fn latest() -> View {
        crate::ensemble::tests::view(7, &[1, 2, 3], &[4], None)
    }

    fn asks(joining: Option<&str>, leaving: Option<&str>, all: Option<&str>) -> ReconfigRequest {
        let string = |text: Option<&str>| NullableString(text.map(|text| text.to_owned().into()));
        ReconfigRequest {
            joining_servers: string(joining),
            leaving_servers: string(leaving),
            new_members: string(all),
            cur_config_id: -1,
        }
    }

    /// The text, without the version, of what is next.
    fn next_of(view: &View, request: &ReconfigRequest) -> Result<String, i32> {
        let next = next_view(request, view, Zxid(9), true)?;
        let text = String::from_utf8(next.text().to_vec()).expect("text");
        let lines = text.strip_suffix("\nversion=9").expect("the version is the zxid of the reconfig");
        Ok(lines.replace(":2888:3888", "").replace("participant", "p").replace('\n', " "))
    }

    fn next(request: &ReconfigRequest) -> Result<String, i32> {
        next_of(&latest(), request)
    }

    #[test]
    fn changes() {
        for (joining, leaving, expected) in [
            (None, Some("4"), "server.1=h1:p server.2=h2:p server.3=h3:p"),
            (None, Some(" 2 ,4, ,9"), "server.1=h1:p server.3=h3:p"),
            (
                Some("server.5=h5:2888:3888;2181"),
                Some("1"),
                "server.2=h2:p server.3=h3:p server.4=h4:observer server.5=h5:p;0.0.0.0:2181",
            ),
            // It changes its role, and its address.
            (
                Some("server.4=n:2888:3888:participant;c:1, server.3 = h3:2888:3888:observer;2"),
                None,
                "server.1=h1:p server.2=h2:p server.3=h3:observer;0.0.0.0:2 server.4=n:p;c:1",
            ),
            // Who leaves and joins is as it joins.
            (
                Some("server.3=h3:2888:3888:observer;2"),
                Some("3,4"),
                "server.1=h1:p server.2=h2:p server.3=h3:observer;0.0.0.0:2",
            ),
            (None, None, "server.1=h1:p server.2=h2:p server.3=h3:p server.4=h4:observer"),
        ] {
            assert_eq!(
                next(&asks(joining, leaving, None)).as_deref(),
                Ok(expected),
                "{joining:?} {leaving:?}"
            );
        }
    }

    #[test]
    fn changes_that_are_refused() {
        for (joining, leaving) in [
            (None, Some("2,3")),
            (None, Some("1,2,3")),
            (None, Some("server.2")),
            (None, Some("2 3")),
            (None, Some("-1")),
            (Some("some thing"), None),
            (Some("server.5"), None),
            (Some("server.x=h5:2888:3888;2181"), None),
            (Some("server.255=h5:2888:3888;2181"), None),
            (Some("group.5=h5:2888:3888;2181"), None),
            (Some("server.5=h5:2888;2181"), None),
            // No client port.
            (Some("server.5=h5:2888:3888"), None),
            // Addresses of another: the quorum's, the election's, a client port that is one of these.
            (Some("server.5=h1:2888:9;2181"), None),
            (Some("server.5=h1:9:3888;2181"), None),
            (Some("server.5=h5:1:2;h1:2888"), None),
            (Some("server.5=h5:1:2;3,server.6=h5:2:4;5"), None),
        ] {
            assert_eq!(
                next(&asks(joining, leaving, None)),
                Err(code::BAD_ARGUMENTS),
                "{joining:?} {leaving:?}"
            );
        }
        let many: Vec<String> = (5..=66).map(|id| format!("server.{id}=h{id}:1:2;3")).collect();
        assert_eq!(next(&asks(Some(&many.join(",")), None, None)), Err(code::BAD_ARGUMENTS), "65 voters");
        assert!(next(&asks(Some(&many[1..].join(",")), None, None)).is_ok(), "64");
    }

    /// Servers of one machine.
    #[test]
    fn loopback_addresses_and_all_addresses_are_nobodys() {
        let hosts = ["127.0.0.1", "localhost", "[::1]"];
        let lines: Vec<String> = hosts.iter().map(|host| format!("server.1={host}:1:2;0.0.0.0:3")).collect();
        for line in lines {
            let view = parse_config_text(format!("{line}\nserver.2=x:1:2").as_bytes()).expect("a view");
            let joining = line.replace("server.1", "server.3");
            assert!(next_of(&view, &asks(Some(&joining), None, None)).is_ok(), "{line}");
        }
    }

    #[test]
    fn all_members() {
        let expected = "server.1=h1:p server.2=h2:p server.7=h7:observer;0.0.0.0:4";
        let lines = [
            "server.1=h1:2888:3888",
            "server.2=h2:2888:3888:participant",
            "server.7=h7:2888:3888:observer;4",
        ];
        for separator in [",", "\n", ",\n"] {
            assert_eq!(next(&asks(None, None, Some(&lines.join(separator)))).as_deref(), Ok(expected));
        }
        // What is to join or leave does not count then; nor does a version.
        let all = format!("{},version=5", lines.join(","));
        assert_eq!(next(&asks(Some("nonsense"), Some("x"), Some(&all))).as_deref(), Ok(expected));
        let grouped = "server.1=a:1:2,server.2=b:1:2,server.3=c:1:2,group.1=1:2,group.2=3,weight.3=2";
        let grouped =
            next_view(&asks(None, None, Some(grouped)), &latest(), Zxid(9), true).expect("a hierarchy");
        assert!(matches!(grouped.verifier, QuorumVerifier::Hierarchical { .. }));
        assert_eq!(
            next_of(&grouped, &asks(None, Some("1"), None)),
            Err(code::BAD_ARGUMENTS),
            "no majorities"
        );
        for refused in
            ["", "server.1=h1:2888:3888", "clientPort=1,server.1=a:1:2,server.2=b:1:2", "server.1=x"]
        {
            assert_eq!(next(&asks(None, None, Some(refused))), Err(code::BAD_ARGUMENTS), "{refused}");
        }
    }

    #[test]
    fn one_voter() {
        let alone = asks(None, Some("2,3"), None);
        assert_eq!(next_view(&alone, &latest(), Zxid(9), true), Err(code::BAD_ARGUMENTS));
        assert!(next_view(&alone, &latest(), Zxid(9), false).is_ok());
        let nobody = asks(None, Some("1,2,3"), None);
        assert_eq!(next_view(&nobody, &latest(), Zxid(9), false), Err(code::BAD_ARGUMENTS));
    }

    #[test]
    fn versions() {
        let of = |cur_config_id| ReconfigRequest { cur_config_id, ..asks(None, Some("4"), None) };
        assert!(next(&of(7)).is_ok());
        for other in [6, 8, 0, -2] {
            assert_eq!(next(&of(other)), Err(code::BAD_VERSION), "{other}");
        }
    }

    #[test]
    fn what_is_no_text() {
        let mut request = asks(None, None, None);
        request.leaving_servers = NullableString(Some(vec![0xff].into()));
        assert_eq!(next(&request), Err(code::BAD_ARGUMENTS));
    }
}
