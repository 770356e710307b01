//! The configuration as Java prints it (`QuorumMaj.toString`, `QuorumHierarchical.toString`,
//! `QuorumServer.toString`): in NEWLEADER, in notifications, and as the data of `/zookeeper/config`.
//!
//! ```text
//! server.N=host:quorumPort:electionPort:role[;clientHost:clientPort]
//! group.G=N:N:...                              hierarchical only, with all
//! weight.N=W                                   weights, 1 where none was given
//! version=V                                    hexadecimal
//! ```
//!
//! No line end behind the last. Java keeps all of these in `HashMap`s and prints in their order: ascending
//! for small ids, and by the table's buckets beyond.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use wire::{ServerId, Zxid};

use crate::config::{LearnerType, View};
use crate::quorum_verifier::QuorumVerifier;
use crate::server_line;

/// More voters than this cannot acknowledge (`ProposalRequestProcessor`).
pub const MAX_VOTERS: usize = 64;

pub(crate) fn config_text(view: &View) -> Bytes {
    let mut text = String::new();
    for (sid, member) in in_java_order(view.members.iter().map(|(sid, member)| (sid.0, member))) {
        let role = match member.learner_type {
            LearnerType::Participant => "participant",
            LearnerType::Observer => "observer",
        };
        let _ = write!(text, "server.{sid}={}:{role}", member.quorum_address);
        if let Some(client) = &member.client_address {
            let _ = write!(text, ";{client}");
        }
        text.push('\n');
    }
    if let QuorumVerifier::Hierarchical { group_of, weight_of } = &view.verifier {
        put_groups(&mut text, group_of.iter().map(|(sid, group)| (sid.0, *group)));
        let mut weights: BTreeMap<i64, i64> =
            weight_of.iter().map(|(sid, weight)| (sid.0, *weight)).collect();
        for voter in view.voters() {
            weights.entry(voter.0).or_insert(1);
        }
        for (sid, weight) in in_java_order(weights.into_iter()) {
            let _ = writeln!(text, "weight.{sid}={weight}");
        }
    }
    let _ = write!(text, "version={:x}", view.version.0);
    Bytes::from(text)
}

/// Lines that name no server, group or weight are left out, as Java leaves them. The error says what was expected
/// where.
pub fn parse_config_text(text: &[u8]) -> Result<View, String> {
    let text = std::str::from_utf8(text).map_err(|_| "a configuration is expected to be UTF-8".to_owned())?;
    let (mut members, mut version) = (BTreeMap::new(), Zxid::ZERO);
    let (mut group_of, mut weight_of) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        let expected = |what: &str| format!("`{line}`: expected {what}");
        let id = |id: &str| id.parse::<i64>().map(ServerId).map_err(|_| expected("a number as id"));
        match key.split_once('.') {
            Some(("server", sid)) => {
                let sid = server_line::server_id(sid).map_err(|what| expected(&what))?;
                let server = server_line::server(value).map_err(|what| expected(&what))?;
                members.insert(sid, server.member());
            }
            Some(("group", group)) => {
                for sid in value.split(':') {
                    group_of.insert(id(sid)?, id(group)?.0);
                }
            }
            Some(("weight", sid)) => {
                let weight = value.parse::<u32>().map_err(|_| expected("a weight of 0 or more"))?;
                weight_of.insert(id(sid)?, i64::from(weight));
            }
            _ if key == "version" => {
                let hex = i64::from_str_radix(value, 16).map_err(|_| expected("a hexadecimal number"))?;
                version = Zxid(hex);
            }
            _ => {}
        }
    }
    let voters =
        members.iter().filter(|(_, m)| m.learner_type == LearnerType::Participant).map(|(sid, _)| *sid);
    let voters: std::collections::BTreeSet<ServerId> = voters.collect();
    if voters.is_empty() || voters.len() > MAX_VOTERS {
        return Err(format!("expected 1 to {MAX_VOTERS} voters, found {}", voters.len()));
    }
    let verifier = if group_of.is_empty() {
        QuorumVerifier::Majority { voters }
    } else {
        if let Some(sid) = voters.iter().find(|sid| !group_of.contains_key(sid)) {
            return Err(format!("expected server {sid} in a group, as others are"));
        }
        group_of.retain(|sid, _| voters.contains(sid));
        QuorumVerifier::Hierarchical { group_of, weight_of }
    };
    Ok(View { members, verifier, version })
}

fn put_groups(text: &mut String, group_of: impl Iterator<Item = (i64, i64)>) {
    let mut groups: BTreeMap<i64, String> = BTreeMap::new();
    for (sid, group) in in_java_order(group_of) {
        let members = groups.entry(group).or_default();
        if !members.is_empty() {
            members.push(':');
        }
        let _ = write!(members, "{sid}");
    }
    for (group, members) in in_java_order(groups.into_iter()) {
        let _ = writeln!(text, "group.{group}={members}");
    }
}

/// The order in which a `HashMap<Long, V>` gives its entries: by bucket. The table has 16 buckets and
/// doubles when more than three quarters as many entries are in it. Two ids in one bucket (1 and 17 of up
/// to twelve) stand in the order in which they came in, which in Java is that of another hashed table, the
/// properties of the file; here it is ascending.
fn in_java_order<V>(entries: impl Iterator<Item = (i64, V)>) -> Vec<(i64, V)> {
    let mut entries: Vec<(i64, V)> = entries.collect();
    let mut buckets = 16;
    while entries.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|(id, _)| {
        let hash = (id ^ ((*id as u64) >> 32) as i64) as u32;
        ((hash ^ (hash >> 16)) as usize & (buckets - 1), *id)
    });
    entries
}

#[cfg(test)]
mod tests {
    use wire::ServerId;

    use super::*;
    use crate::config::Member;

    fn member(id: i64, learner_type: LearnerType, client: Option<&str>) -> (ServerId, Member) {
        let member = Member {
            learner_type,
            quorum_address: format!("h{id}:2888:3888"),
            election_address: format!("h{id}:3888"),
            client_address: client.map(str::to_owned),
        };
        (ServerId(id), member)
    }

    #[test]
    fn a_majority() {
        let voters = [1, 2].map(ServerId);
        let members = [
            member(1, LearnerType::Participant, None),
            member(2, LearnerType::Participant, Some("0.0.0.0:2181")),
            member(3, LearnerType::Observer, Some("[::1]:2183")),
        ];
        let verifier = QuorumVerifier::Majority { voters: voters.into() };
        let text = config_text(&View::unversioned(members.into(), verifier));
        assert_eq!(
            text,
            "server.1=h1:2888:3888:participant\n\
             server.2=h2:2888:3888:participant;0.0.0.0:2181\n\
             server.3=h3:2888:3888:observer;[::1]:2183\n\
             version=0"
        );
        assert_eq!(parse_config_text(&text).expect("read").text(), text);
    }

    #[test]
    fn what_is_no_configuration() {
        for (text, expected) in [
            (&b""[..], "expected 1 to 64 voters, found 0"),
            (b"server.1=h:1:2:observer", "expected 1 to 64 voters, found 0"),
            (
                b"server.x=h:1:2",
                "`server.x=h:1:2`: expected an id of 0 to 254, or beyond 255, whose low byte is not 255",
            ),
            (
                b"server.255=h:1:2",
                "`server.255=h:1:2`: expected an id of 0 to 254, or beyond 255, whose low byte is not 255",
            ),
            (b"server.1=h:1:2\nweight.1=-1", "`weight.1=-1`: expected a weight of 0 or more"),
            (b"server.1=h:1:2\nserver.2=h:3:4\ngroup.1=1", "expected server 2 in a group, as others are"),
            (b"server.1=h:1:2\nversion=g", "`version=g`: expected a hexadecimal number"),
            (b"server.1=h:1:2\ngroup.1=1:", "`group.1=1:`: expected a number as id"),
            (b"\xff", "a configuration is expected to be UTF-8"),
        ] {
            assert_eq!(parse_config_text(text).expect_err("refused"), expected);
        }
        assert!(
            parse_config_text(b"server.1=h:1")
                .is_err_and(|e| e.starts_with("`server.1=h:1`: expected host:"))
        );
    }

    #[test]
    fn a_hierarchy() {
        let voters = [1, 2, 3, 17].map(|id| member(id, LearnerType::Participant, None));
        let members = voters.into_iter().chain([member(4, LearnerType::Observer, None)]);
        let verifier = QuorumVerifier::Hierarchical {
            group_of: [(1, 7), (2, 7), (3, 5), (17, 5)].map(|(id, group)| (ServerId(id), group)).into(),
            weight_of: [(2, 0), (3, 2)].map(|(id, weight)| (ServerId(id), weight)).into(),
        };
        let text = config_text(&View { members: members.collect(), verifier, version: Zxid(0x1_0000_000a) });
        // 17 is in the bucket of 1.
        assert_eq!(
            text,
            "server.1=h1:2888:3888:participant\n\
             server.17=h17:2888:3888:participant\n\
             server.2=h2:2888:3888:participant\n\
             server.3=h3:2888:3888:participant\n\
             server.4=h4:2888:3888:observer\n\
             group.5=17:3\n\
             group.7=1:2\n\
             weight.1=1\n\
             weight.17=1\n\
             weight.2=0\n\
             weight.3=2\n\
             version=10000000a"
        );
        assert_eq!(parse_config_text(&text).expect("read").text(), text);
    }

    /// What `new HashMap<Long, ?>` gives for these keys.
    #[test]
    fn the_table_grows() {
        let order = |ids: &[i64]| -> Vec<i64> {
            in_java_order(ids.iter().map(|id| (*id, ()))).into_iter().map(|(id, ())| id).collect()
        };
        assert_eq!(order(&[100, 2, 33]), [33, 2, 100], "16 buckets: 1, 2, 4");
        let thirteen: Vec<i64> = (0..12).chain([17]).collect();
        assert_eq!(order(&thirteen), thirteen, "32 buckets");
        assert_eq!(order(&[1 << 16, 3, -1]), [-1, 1 << 16, 3], "the halves are folded");
    }
}
