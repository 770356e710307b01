//! Three servers of one kind with one configuration: what they cost, and what their clients wait for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::load;
use super::session::Session;
use crate::interop::ensemble::{Ensemble, Kind};
use crate::interop::{Given, process};

pub const MEMBERS: usize = 3;
/// ZooKeeper's own default for a server (`ZK_SERVER_HEAP`).
const HEAP_MB: u32 = 1000;
/// Of ZooKeeper's own sample configuration, but for syncLimit there and here.
const SETTINGS: &str = "tickTime=2000\ninitLimit=10\nsyncLimit=5\n";
/// A client without a server tries the next one so much later.
const RETRY: Duration = Duration::from_millis(2);
const TOO_LONG: Duration = Duration::from_secs(60);

pub struct Servers {
    ensemble: Ensemble,
}

impl Servers {
    /// New ones, started, and the time from the first one's start to the first write that is acknowledged.
    pub fn start(given: &Given, kind: Kind) -> Result<(Servers, Duration), String> {
        let mut ensemble = Ensemble::prepare_with(given, &[kind; MEMBERS], SETTINGS)?;
        ensemble.java_heap_mb = HEAP_MB;
        // In KiB; ZooKeeper's default, which the checks' servers do not have.
        ensemble.java_flags = vec!["-Dzookeeper.preAllocSize=65536".into()];
        let began = Instant::now();
        for sid in 1..=MEMBERS {
            ensemble.start_member(sid)?;
        }
        let servers = Servers { ensemble };
        load::block_on(first_write(&servers.addresses(), Vec::new()))?;
        let took = began.elapsed();
        servers.ensemble.settle()?;
        Ok((servers, took))
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ensemble.members.iter().map(|member| ([127, 0, 0, 1], member.client_port).into()).collect()
    }

    fn address(&self, sid: usize) -> SocketAddr {
        self.addresses()[sid - 1]
    }

    pub fn leader(&self) -> Result<usize, String> {
        self.ensemble.settle()
    }

    pub fn leaders_address(&self) -> Result<SocketAddr, String> {
        Ok(self.address(self.leader()?))
    }

    pub fn followers_address(&self) -> Result<SocketAddr, String> {
        let leader = self.leader()?;
        (1..=MEMBERS).find(|sid| *sid != leader).map(|sid| self.address(sid)).ok_or("no follower".into())
    }

    /// CPU seconds so far, of each.
    pub fn cpu(&self) -> Result<Vec<f64>, String> {
        let of = |sid| process::cpu_seconds(self.ensemble.pid(sid)?).map(|[user, system]| user + system);
        (1..=MEMBERS).map(of).collect()
    }

    /// Resident now, of each, in MiB.
    pub fn resident(&self) -> Result<Vec<f64>, String> {
        let of = |sid| process::resident_kb(self.ensemble.pid(sid)?).map(|kb| kb as f64 / 1024.0);
        (1..=MEMBERS).map(of).collect()
    }

    /// SIGKILL of the leader; how long a follower's client then waits for its next write. Who was killed comes
    /// back, and catches up.
    pub fn kill_leader(&mut self) -> Result<Duration, String> {
        let leader = self.leader()?;
        let follower = leader % MEMBERS + 1;
        let other = follower % MEMBERS + 1;
        let (follower_at, other_at) = (self.address(follower), self.address(other));
        let ensemble = &mut self.ensemble;
        let took = load::block_on(async {
            let mut client = Session::open(follower_at).await?;
            client.call(&load::create(unique(), 0)).await?;
            ensemble.kill(leader);
            let killed = Instant::now();
            if client.call(&load::create(unique(), 0)).await.is_err() {
                first_write(&[follower_at, other_at], vec![client]).await?;
            }
            Ok(killed.elapsed())
        })?;
        self.ensemble.start_member(leader)?;
        self.leader()?;
        Ok(took)
    }
}

/// Goes from server to server until a write is acknowledged; with the session of the lost client, if one is given.
async fn first_write(servers: &[SocketAddr], lost: Vec<Session>) -> Result<(), String> {
    let resume = lost.first().map(Session::to_resume);
    drop(lost);
    let began = Instant::now();
    for at in servers.iter().cycle() {
        let attempt = async {
            let mut session = match &resume {
                Some(resume) => Session::resume(*at, resume.clone()).await?,
                None => Session::open(*at).await?,
            };
            session.call(&load::create(unique(), 0)).await
        };
        match tokio::time::timeout(Duration::from_secs(5), attempt).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) if began.elapsed() > TOO_LONG => return Err(format!("no write: {why}")),
            Err(_) if began.elapsed() > TOO_LONG => return Err("no write: no answer".into()),
            Ok(Err(_)) | Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
    Err("no servers".into())
}

/// A path that nobody had.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("/first-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
