//! The client port's door: four-letter words (`FourLetterCommands`) are answered here; what is none is a
//! client's first length, and its connection goes to the member.
//!
//! Unlike ZooKeeper, which takes only `srvr` where `4lw.commands.whitelist` is not set, all that are built
//! are then taken.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peer::{Peer, Role, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot};

use crate::connections::{Room, accept, bind, room};
use crate::host::Happened;
use crate::zoo_cfg::ZooCfg;

/// Connections that are looked at together; the others wait to be accepted.
const AT_ONCE: usize = 64;
/// Time for the four bytes, and for the answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
const KNOWN: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "ruok", "stmk", "srst", "srvr", "stat", "wchc",
    "wchp", "wchs", "mntr", "isro", "hash",
];
const BUILT: [&str; 6] = ["conf", "isro", "mntr", "ruok", "srvr", "stat"];
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// What is told about the member: its own words for how it stands, and the configuration.
#[derive(Clone, Debug)]
pub struct Status {
    pub peer: peer::Status,
    /// Nodes, or registers, of the state.
    pub nodes: usize,
    conf: Arc<Conf>,
}

#[derive(Clone, Debug)]
pub struct Conf {
    cfg: ZooCfg,
    membership: String,
}

impl Conf {
    pub fn new(cfg: &ZooCfg) -> Arc<Conf> {
        let membership = String::from_utf8_lossy(&cfg.config(0).view.text()).into_owned();
        Arc::new(Conf { cfg: cfg.clone(), membership })
    }

    fn allows(&self, word: &str) -> bool {
        BUILT.contains(&word)
            && self.cfg.four_letter_words.as_ref().is_none_or(|allowed| {
                word == "srvr" || allowed.iter().any(|allowed| allowed == word || allowed == "*")
            })
    }

    /// As `ZooKeeperServer.dumpConf` and `QuorumZooKeeperServer.dumpConf` have it.
    fn text(&self) -> String {
        let cfg = &self.cfg;
        let own = &cfg.servers[&cfg.my_id];
        let settings = cfg.config(0).settings;
        let (snaps, logs) = (cfg.snap_dir(), cfg.log_dir());
        format!(
            "clientPort={}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={}\ndataLogDir={}\ndataLogSize={}\n\
             tickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n\
             clientPortListenBacklog=-1\nserverId={}\ninitLimit={}\nsyncLimit={}\nelectionAlg=3\n\
             electionPort={}\nquorumPort={}\npeerType={}\nmembership: \n{}",
            cfg.client_port.map_or(-1, i32::from),
            absolute(&snaps).display(),
            size(&snaps),
            absolute(&logs).display(),
            size(&logs),
            settings.tick_time.0 / 1_000_000,
            settings.max_client_cnxns,
            settings.min_session_timeout_ms,
            settings.max_session_timeout_ms,
            cfg.my_id,
            settings.init_limit,
            settings.sync_limit,
            own.election_port,
            own.quorum_port,
            i32::from(own.observer),
            self.membership,
        )
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// Bytes in the files of a directory (there are no directories in it).
fn size(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|meta| meta.len()).sum()
}

impl Status {
    pub fn of(peer: &Peer<State>, conf: &Arc<Conf>) -> Status {
        Status { peer: peer.status(), nodes: peer.state().node_count(), conf: Arc::clone(conf) }
    }

    fn mode(&self) -> &'static str {
        match self.peer.role {
            Role::Looking => "looking",
            Role::Following => "follower",
            Role::Leading => "leader",
            Role::Observing => "observer",
        }
    }

    fn answer(&self, word: &str) -> String {
        if !self.conf.allows(word) {
            return format!("{word} is not executed because it is not in the whitelist.\n");
        }
        match word {
            "ruok" => "imok".into(),
            "isro" if self.peer.serving => "rw".into(),
            "isro" => "null".into(),
            _ if !self.peer.serving => NOT_SERVING.into(),
            "conf" => self.conf.text(),
            "mntr" => self.mntr(),
            word => self.srvr(word == "stat"),
        }
    }

    fn outstanding(&self) -> usize {
        self.peer.leader.map_or(0, |leader| leader.outstanding)
    }

    fn srvr(&self, clients: bool) -> String {
        let clients = if clients { "Clients:\n\n" } else { "" };
        format!(
            "Zookeeper version: {}\n{clients}Latency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\nConnections: 0\n\
             Outstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
            version(),
            self.outstanding(),
            self.peer.last_zxid,
            self.mode(),
            self.nodes,
        )
    }

    /// The keys of ZooKeeper that mean something here, and `zk_current_epoch`, `zk_last_zxid`.
    fn mntr(&self) -> String {
        let mut text = format!(
            "zk_version\t{}\nzk_server_state\t{}\nzk_outstanding_requests\t{}\nzk_znode_count\t{}\n\
             zk_current_epoch\t{}\nzk_last_zxid\t{}\n",
            version(),
            self.mode(),
            self.outstanding(),
            self.nodes,
            self.peer.epoch,
            self.peer.last_zxid,
        );
        if let Some(leader) = &self.peer.leader {
            let _ = write!(
                text,
                "zk_learners\t{}\nzk_synced_followers\t{}\nzk_synced_observers\t{}\nzk_pending_syncs\t{}\n",
                leader.learners, leader.synced_followers, leader.synced_observers, leader.pending_syncs,
            );
        }
        text
    }
}

fn version() -> String {
    format!("vivarium-{}", env!("CARGO_PKG_VERSION"))
}

pub async fn serve(address: Option<&str>, port: u16, happened: UnboundedSender<Happened>) -> io::Result<()> {
    let listener = bind(address, port).await?;
    tokio::spawn(async move {
        let budget = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let room = room(&budget).await;
            let stream = accept(&listener).await;
            let happened = happened.clone();
            tokio::spawn(async move {
                if tokio::time::timeout(2 * PATIENCE, answer(stream, happened, room)).await.is_err() {
                    tracing::debug!("a connection to the client port took too long");
                }
            });
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, happened: UnboundedSender<Happened>, room: Room) {
    let mut word = [0; 4];
    match tokio::time::timeout(PATIENCE, stream.read_exact(&mut word)).await {
        Ok(Ok(_)) => {}
        _ => return tracing::debug!("a connection to the client port ended without a word"),
    }
    let Some(word) = KNOWN.iter().find(|known| known.as_bytes() == word) else {
        let Ok(from) = stream.peer_addr() else { return };
        let (from, said) = (from.ip().to_canonical().to_string(), Bytes::copy_from_slice(&word));
        let _ = happened.send(Happened::Client { stream, from, said, _room: room });
        return;
    };
    let (ask, status) = oneshot::channel();
    if happened.send(Happened::Status(ask)).is_err() {
        return;
    }
    let Ok(status) = status.await else { return };
    let _ = stream.write_all(status.answer(word).as_bytes()).await;
    let _ = stream.shutdown().await;
    // A line end behind the word must not turn the close into a reset, which would take the answer.
    let mut rest = [0; 512];
    for _ in 0..8 {
        match tokio::time::timeout(Duration::from_millis(500), stream.read(&mut rest)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peer::LeaderStatus;
    use wire::{Epoch, Zxid};

    fn status(role: Role, more: &str) -> Status {
        let text = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/no/such\ndataLogDir=/no/log\nclientPort=2181\n\
             server.0=[::1]:2888:3888\nserver.1=b:2888:3888:observer\nstandaloneEnabled=false\n{more}"
        );
        let cfg = ZooCfg::parse(Path::new("zoo.cfg"), &text).expect("a good file");
        let leader = LeaderStatus {
            learners: 3,
            synced_followers: 1,
            synced_observers: 1,
            outstanding: 4,
            pending_syncs: 2,
        };
        let peer = peer::Status {
            role,
            serving: role != Role::Looking,
            epoch: Epoch(2),
            last_zxid: Zxid::new(Epoch(2), 3),
            leader: (role == Role::Leading).then_some(leader),
        };
        Status { peer, nodes: 5, conf: Conf::new(&cfg) }
    }

    #[test]
    fn answers_as_zookeepers() {
        let leader = status(Role::Leading, "");
        assert_eq!(leader.answer("ruok"), "imok");
        assert_eq!(leader.answer("isro"), "rw");
        assert!(
            leader
                .answer("srvr")
                .contains("Outstanding: 4\nZxid: 0x200000003\nMode: leader\nNode count: 5\n")
        );
        assert!(leader.answer("stat").contains("\nClients:\n\nLatency"));
        assert!(leader.answer("mntr").ends_with(
            "zk_learners\t3\nzk_synced_followers\t1\nzk_synced_observers\t1\nzk_pending_syncs\t2\n"
        ));
        assert!(!status(Role::Following, "").answer("mntr").contains("zk_learners"));
        assert_eq!(
            leader.answer("conf"),
            "clientPort=2181\nsecureClientPort=-1\ndataDir=/no/such/version-2\ndataDirSize=0\n\
             dataLogDir=/no/log/version-2\ndataLogSize=0\ntickTime=2000\nmaxClientCnxns=60\n\
             minSessionTimeout=4000\nmaxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=0\n\
             initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\npeerType=0\n\
             membership: \nserver.0=[::1]:2888:3888:participant\nserver.1=b:2888:3888:observer\nversion=0"
        );
    }

    #[test]
    fn who_looks_serves_nothing_and_is_well() {
        let looking = status(Role::Looking, "");
        for word in ["srvr", "stat", "mntr", "conf"] {
            assert_eq!(looking.answer(word), NOT_SERVING, "{word}");
        }
        assert_eq!(looking.answer("ruok"), "imok");
        assert_eq!(looking.answer("isro"), "null");
    }

    /// | whitelist | taken |
    /// |---|---|
    /// | not set | what is built |
    /// | a list | what is on it and built, and srvr |
    /// | * | what is built |
    #[test]
    fn the_whitelist() {
        let refused = |status: &Status, word: &str| status.answer(word).contains("not in the whitelist.\n");
        assert!(!refused(&status(Role::Leading, ""), "ruok"));
        assert!(refused(&status(Role::Leading, ""), "wchp"));
        let listed = status(Role::Leading, "4lw.commands.whitelist=mntr, conf\n");
        assert!(refused(&listed, "ruok") && !refused(&listed, "mntr") && !refused(&listed, "srvr"));
        let all = status(Role::Leading, "4lw.commands.whitelist=*\n");
        assert!(!refused(&all, "stat") && refused(&all, "dump"));
    }
}
