//! The load: many sessions over all servers with many requests under way each, or one client with one.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};
use wire::client::{CreateRequest, GetDataRequest, Request, SetDataRequest};
use wire::{Acl, Id};

use super::session::{PATIENCE, Prepared, Session};

/// Sessions of the load, over all servers in turn.
pub const SESSIONS: usize = 30;
/// Requests that each has under way.
pub const WINDOW: usize = 32;
/// Znodes that are written and read.
const ZNODES: usize = 1000;
pub const DATA: usize = 1024;

/// On one thread, until all is done or fails.
pub fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let done = runtime.block_on(LocalSet::new().run_until(work));
    runtime.shutdown_background();
    done
}

pub fn create(path: String, data: usize) -> Prepared {
    let anyone = Acl { perms: 31, id: Id { scheme: Bytes::from_static(b"world"), id: "anyone".into() } };
    Prepared::new(&Request::Create(CreateRequest {
        path: path.into(),
        data: Some(vec![b'x'; data].into()),
        acl: Some(vec![anyone]),
        flags: 0,
    }))
}

fn path(n: usize) -> String {
    format!("/versus/n{n:04}")
}

/// `setData` of each of the znodes in turn.
pub fn writes() -> Vec<Prepared> {
    let write = |n| {
        let data = Some(vec![b'w'; DATA].into());
        Prepared::new(&Request::SetData(SetDataRequest { path: path(n).into(), data, version: -1 }))
    };
    (0..ZNODES).map(write).collect()
}

/// `getData` of each of the znodes in turn.
pub fn reads() -> Vec<Prepared> {
    let read = |n| Prepared::new(&Request::GetData(GetDataRequest { path: path(n).into(), watch: false }));
    (0..ZNODES).map(read).collect()
}

/// The znodes that `writes` and `reads` are about.
pub async fn make_znodes(at: SocketAddr) -> Result<(), String> {
    let all = std::iter::once(create("/versus".into(), 0)).chain((0..ZNODES).map(|n| create(path(n), DATA)));
    pipelined(&mut Session::open(at).await?, all).await
}

/// So many znodes of so many bytes, a thousand in a directory.
pub async fn make_tree(at: SocketAddr, znodes: usize, bytes: usize) -> Result<(), String> {
    const IN_A_DIRECTORY: usize = 1000;
    let all = (0..znodes).flat_map(|n| {
        let directory = format!("/d{:04}", n / IN_A_DIRECTORY);
        let first = n % IN_A_DIRECTORY == 0;
        let znode = create(format!("{directory}/z{n:06}"), bytes);
        first.then(|| create(directory, 0)).into_iter().chain([znode])
    });
    pipelined(&mut Session::open(at).await?, all).await
}

/// All of these, with a window under way.
async fn pipelined(session: &mut Session, requests: impl Iterator<Item = Prepared>) -> Result<(), String> {
    const MUCH: usize = 512;
    let (mut requests, mut under_way) = (requests.fuse(), 0);
    loop {
        for request in requests.by_ref().take(MUCH - under_way) {
            session.ask(&request);
            under_way += 1;
        }
        if under_way == 0 {
            return Ok(());
        }
        session.flush().await?;
        under_way -= session.answers().await?;
    }
}

/// Runs the load while `measure` waits on the count of answers; a failure of any session is the load's.
pub async fn under_load<T>(
    servers: &[SocketAddr],
    requests: Vec<Prepared>,
    measure: impl AsyncFnOnce(&Cell<u64>) -> Result<T, String>,
) -> Result<T, String> {
    let (requests, answered) = (Rc::new(requests), Rc::new(Cell::new(0)));
    let mut sessions = JoinSet::new();
    for n in 0..SESSIONS {
        let session = Session::open(servers[n % servers.len()]).await?;
        let first = n * requests.len() / SESSIONS;
        sessions.spawn_local(endless(session, Rc::clone(&requests), first, Rc::clone(&answered)));
    }
    tokio::select! {
        measured = measure(&answered) => measured,
        Some(ended) = sessions.join_next() => Err(match ended {
            Ok(why) => format!("a session of the load ended: {why}"),
            Err(panicked) => panicked.to_string(),
        }),
    }
}

/// The requests over and over; it ends by an error only, which it gives.
async fn endless(
    mut session: Session,
    requests: Rc<Vec<Prepared>>,
    first: usize,
    answered: Rc<Cell<u64>>,
) -> String {
    let mut requests = requests.iter().cycle().skip(first);
    let mut free = WINDOW;
    loop {
        for request in requests.by_ref().take(free) {
            session.ask(request);
        }
        let round = async {
            session.flush().await?;
            session.answers().await
        };
        match round.await {
            Ok(answers) => free = answers,
            Err(why) => return why,
        }
        answered.set(answered.get() + free as u64);
    }
}

/// Percentiles of the times of one request after the other, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// One client, for so long; what it asks first is not counted.
pub async fn latency(
    at: SocketAddr,
    requests: &[Prepared],
    warm_up: Duration,
    time: Duration,
) -> Result<Latency, String> {
    let mut session = Session::open(at).await?;
    let (began, mut times) = (Instant::now(), Vec::new());
    for request in requests.iter().cycle() {
        let asked = Instant::now();
        let answered = tokio::time::timeout(PATIENCE, session.call(request)).await;
        answered.map_err(|_| "no answer")??;
        if began.elapsed() > warm_up {
            times.push(asked.elapsed());
        }
        if began.elapsed() > warm_up + time {
            break;
        }
    }
    times.sort_unstable();
    let percentile = |p: f64| {
        let index = ((times.len() as f64 * p) as usize).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Ok(Latency { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) })
}
