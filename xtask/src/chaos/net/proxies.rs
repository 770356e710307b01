//! A network on loopback: each member reaches each other one through a proxy of its own, which can delay, hold and
//! cut what goes either way.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::{Net, Way};
use crate::Done;
use crate::chaos::faults::Fault;
use crate::interop::ensemble::Ensemble;

/// How one way is doing.
#[derive(Debug, Default)]
struct Lane {
    /// Milliseconds that each piece is late.
    delay: AtomicU64,
    /// Not 0: what is sent waits, as on a network that loses every packet.
    held: AtomicU64,
}

/// What all proxies share.
#[derive(Debug, Default)]
struct Shared {
    lanes: BTreeMap<Way, Lane>,
    /// Both ends of the connections that are open, by who dialled whom.
    open: Mutex<Vec<(Way, TcpStream, TcpStream)>>,
    /// Bytes that were let through.
    carried: AtomicU64,
}

#[derive(Clone, Debug)]
pub struct Proxies {
    shared: Arc<Shared>,
    members: usize,
}

impl Proxies {
    pub fn new(members: usize) -> Proxies {
        let ways = (1..=members).flat_map(|a| (1..=members).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let lanes = ways.map(|way| (way, Lane::default())).collect();
        Proxies { shared: Arc::new(Shared { lanes, ..Shared::default() }), members }
    }

    /// A port by which `way.0` reaches this port of `way.1`.
    fn proxy(&self, way: Way, to: u16) -> Result<u16, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("a proxy: {e}"))?;
        let port = listener.local_addr().map_err(|e| format!("a proxy: {e}"))?.port();
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for accepted in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || carry(&shared, way, accepted, to));
            }
        });
        Ok(port)
    }

    fn lane(&self, way: Way) -> &Lane {
        &self.shared.lanes[&way]
    }

    fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

impl Net for Proxies {
    fn members(&self) -> usize {
        self.members
    }

    /// The witness reaches the others without proxies.
    fn connect(&mut self, ensemble: &mut Ensemble) -> Done {
        for (sid, to) in self.ways() {
            let other = ensemble.member(to);
            let line = |quorum: u16, election: u16| format!("server.{to}=127.0.0.1:{quorum}:{election}\n");
            let quorum = self.proxy((sid, to), other.quorum_port)?;
            let election = self.proxy((sid, to), other.election_port)?;
            let (direct, proxied) = (line(other.quorum_port, other.election_port), line(quorum, election));
            ensemble.reconfigure(sid, |cfg| cfg.replace(&direct, &proxied))?;
        }
        Ok(())
    }

    fn address(&self, _sid: usize) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn lacks(&self, fault: Fault) -> Option<String> {
        let of_a_machine = matches!(fault, Fault::Unplug | Fault::PowerOff | Fault::SlowLink);
        of_a_machine.then(|| "members share the machine's network".into())
    }

    fn hold(&self, way: Way, held: bool) -> Done {
        self.lane(way).held.store(u64::from(held), Ordering::Relaxed);
        Ok(())
    }

    fn delay(&self, way: Way, ms: u64) -> Done {
        self.lane(way).delay.store(ms, Ordering::Relaxed);
        Ok(())
    }

    fn cut(&self, a: usize, b: usize) -> Done {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(way, one, other)| {
            let between = *way == (a, b) || *way == (b, a);
            if between {
                let _ = one.shutdown(Shutdown::Both);
                let _ = other.shutdown(Shutdown::Both);
            }
            !between
        });
        Ok(())
    }

    fn unplug(&self, _sid: usize, _unplugged: bool) -> Done {
        Err("proxies cannot unplug a member".into())
    }

    fn forget(&self, _sid: usize) -> Done {
        Err("proxies cannot forget".into())
    }

    fn narrow(&self, _sid: usize, _kbit: u64) -> Done {
        Err("proxies are as wide as they are".into())
    }

    /// They are on loopback: it has arrived.
    fn end_clients(&self) -> Done {
        Ok(())
    }

    fn heal(&self) -> Done {
        for lane in self.shared.lanes.values() {
            lane.held.store(0, Ordering::Relaxed);
            lane.delay.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn account(&self) -> Result<String, String> {
        Ok(format!("{} KiB between members", self.carried() >> 10))
    }
}

/// A connection of `way.0` to `way.1`, until either end is gone.
fn carry(shared: &Arc<Shared>, way: Way, accepted: TcpStream, to: u16) {
    // Nobody answers who cannot be reached.
    wait_while_held(&shared.lanes[&way]);
    let Ok(dialled) = TcpStream::connect(("127.0.0.1", to)) else { return };
    let clones = (accepted.try_clone(), dialled.try_clone(), accepted.try_clone(), dialled.try_clone());
    let (Ok(from_a), Ok(from_b), Ok(to_a), Ok(to_b)) = clones else { return };
    let _ = (accepted.set_nodelay(true), dialled.set_nodelay(true));
    shared.open.lock().unwrap_or_else(PoisonError::into_inner).push((way, accepted, dialled));
    let (a, b) = way;
    let forth = Arc::clone(shared);
    std::thread::spawn(move || pump(&forth, (a, b), from_a, to_b));
    pump(shared, (b, a), from_b, to_a);
}

/// Pieces go on in order, each when its time has come.
fn pump(shared: &Arc<Shared>, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let (queue, queued) = mpsc::sync_channel::<(Instant, Vec<u8>)>(64);
    let taker = Arc::clone(shared);
    let writer = std::thread::spawn(move || {
        while let Ok((at, bytes)) = queued.recv() {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            wait_while_held(&taker.lanes[&way]);
            // Before they are written: who has read them finds them counted.
            taker.carried.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The end comes as late as what was before it.
        wait_while_held(&taker.lanes[&way]);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer)
        && read > 0
    {
        let delay = Duration::from_millis(shared.lanes[&way].delay.load(Ordering::Relaxed));
        if queue.send((Instant::now() + delay, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(queue);
    let _ = writer.join();
    let _ = from.shutdown(Shutdown::Both);
}

fn wait_while_held(lane: &Lane) {
    while lane.held.load(Ordering::Relaxed) != 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member's port that sends back what comes.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut back = stream.try_clone().expect("a clone");
                    let _ = std::io::copy(&mut stream, &mut back);
                });
            }
        });
        port
    }

    #[test]
    fn delays_holds_and_cuts() {
        let net = Proxies::new(2);
        let port = net.proxy((1, 2), echo()).expect("a proxy");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
        let mut back = [0; 2];
        let mut ping = |stream: &mut TcpStream| {
            let began = Instant::now();
            stream.write_all(b"hi").expect("written");
            stream.read_exact(&mut back).map(|()| began.elapsed())
        };
        assert!(ping(&mut stream).expect("back") < Duration::from_millis(300));
        net.delay((2, 1), 300).expect("done");
        assert!(ping(&mut stream).expect("back") >= Duration::from_millis(300));
        net.hold((1, 2), true).expect("done");
        ping(&mut stream).expect_err("held");
        net.heal().expect("done");
        let mut held = [0; 2];
        stream.read_exact(&mut held).expect("it comes when it may");
        assert_eq!((held, net.carried()), (*b"hi", 12));
        net.cut(2, 1).expect("done");
        assert_eq!(stream.read(&mut held).unwrap_or(0), 0, "the end");
    }
}
