//! A real network: each member has a network namespace, and all are on one bridge. Packets are lost, not held back, so
//! connections break as they do between machines: nobody is told, until retransmissions or somebody's patience end.
//!
//! The bridge is in a namespace that this process was started in anew (`enter`), so that nothing outside sees any of
//! it, and it is gone with the last process.

use std::cell::Cell;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Net, Way};
use crate::Done;
use crate::chaos::faults::Fault;
use crate::interop::ensemble::Ensemble;
use crate::interop::java::apt_get;
use crate::interop::python::succeed;

/// With root's rights, or with those of root in a user namespace.
const UNSHARE: [&[&str]; 2] = [&["--net", "--mount"], &["--user", "--map-root-user", "--net", "--mount"]];
/// `ip netns` keeps its names in /run, which may be another's.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && mkdir /run/netns";
/// Frames to this address go to a port where nobody is.
const NOBODY: &str = "02:00:00:00:01:00";
/// This process and the clients in it.
const OURS: &str = "02:00:00:00:02:00";
/// Where what is lost ends up, to be counted.
const NOWHERE: &str = "nowhere";
/// So many may be the bridge's own; a partition loses dozens.
const STRAY: u64 = 4;

/// Runs this program with these arguments in new namespaces.
pub fn enter(arguments: &[String]) -> Done {
    let program = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
    let mut command = unshare()?;
    command.args(["sh", "-ec", &format!("{OWN_RUN}; exec \"$@\""), "sh"]).arg(program).args(arguments);
    let status = command.status().map_err(|e| format!("unshare: {e}"))?;
    if status.success() { Ok(()) } else { Err("in network namespaces: see above".into()) }
}

/// Why there can be no namespaces, if so.
pub fn permitted() -> Done {
    unshare().map(|_| ())
}

/// One that has been seen to do all that we need.
fn unshare() -> Result<Command, String> {
    const PROBE: &str = "ip link add bridge type bridge && ip netns add member && \
         ip link add port type veth peer name eth0 netns member && nsenter --net=/run/netns/member true";
    if succeed(Command::new("ip").arg("-V")).is_err() {
        apt_get(&["update", "-q"])?;
        apt_get(&["install", "-y", "-q", "iproute2"])?;
    }
    let mut why = String::new();
    for flags in UNSHARE {
        let mut probe = Command::new("unshare");
        match succeed(probe.args(flags).args(["sh", "-ec", &format!("{OWN_RUN} && {PROBE}")])) {
            Ok(()) => {
                let mut command = Command::new("unshare");
                command.args(flags);
                return Ok(command);
            }
            Err(of) => why = of,
        }
    }
    Err(why)
}

pub struct Namespaces {
    members: usize,
    /// Why the kernel has no such thing, if so.
    no_netem: Option<String>,
    no_tbf: Option<String>,
    no_cut: Option<String>,
    /// How often something was to be lost: each way of a fault by itself.
    holds: Cell<usize>,
}

fn name(sid: usize) -> String {
    format!("member{sid}")
}

/// The bridge's end of a member's cable.
fn port(sid: usize) -> String {
    format!("port{sid}")
}

fn ip_address(sid: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, sid as u8)
}

fn mac(sid: usize) -> String {
    format!("02:00:00:00:00:{sid:02x}")
}

fn namespace(sid: usize) -> PathBuf {
    PathBuf::from("/run/netns").join(name(sid))
}

/// A command in words without spaces.
fn run(words: &str) -> Done {
    let mut words = words.split_whitespace();
    succeed(Command::new(words.next().unwrap_or_default()).args(words))
}

fn inside(sid: usize, words: &str) -> Done {
    run(&format!("nsenter --net={} {words}", namespace(sid).display()))
}

impl Namespaces {
    /// The bridge, its members, and a witness behind them. This process is in a namespace of its own (`enter`).
    pub fn new(members: usize) -> Result<Namespaces, String> {
        run("ip link set lo up")?;
        // It talks by itself, and what is said would be counted as lost. (There may be none.)
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        run("ip link add bridge type bridge")?;
        run(&format!("ip link set bridge address {OURS}"))?;
        run("ip address add 10.77.0.254/24 dev bridge")?;
        run("ip link set bridge up")?;
        for sid in 1..=members + 1 {
            let (name, port) = (name(sid), port(sid));
            run(&format!("ip netns add {name}"))?;
            run(&format!("ip link add {port} type veth peer name eth0 netns {name}"))?;
            run(&format!("ip link set {port} master bridge up"))?;
            run(&format!("ip -n {name} address add {}/24 dev eth0", ip_address(sid)))?;
            run(&format!("ip -n {name} link set eth0 address {} up", mac(sid)))?;
            run(&format!("ip -n {name} link set lo up"))?;
            // Known for good: else what is sent to an unplugged member waits for its address, and comes after all.
            run(&format!("ip -n {name} neighbour replace 10.77.0.254 lladdr {OURS} nud permanent dev eth0"))?;
            let (address, mac) = (ip_address(sid), mac(sid));
            run(&format!("ip neighbour replace {address} lladdr {mac} nud permanent dev bridge"))?;
        }
        run(&format!("ip link add nobody type veth peer name {NOWHERE}"))?;
        // Nothing but what is lost is to be counted there.
        run("ip link set nobody master bridge")?;
        run("bridge link set dev nobody flood off mcast_flood off bcast_flood off")?;
        run("ip link set nobody up")?;
        run(&format!("ip link set {NOWHERE} up"))?;
        run(&format!("bridge fdb replace {NOBODY} dev nobody master static"))?;
        let shapes = |how: &str| run(&format!("tc qdisc replace dev nobody root {how}")).err();
        let no_netem = shapes("netem delay 10ms");
        let no_tbf = shapes("tbf rate 256kbit burst 8kb latency 400ms");
        let _ = run("tc qdisc delete dev nobody root");
        let net = Namespaces { members, no_netem, no_tbf, no_cut: cuts().err(), holds: Cell::new(0) };
        net.heal()?;
        Ok(net)
    }

    fn shape(sid: usize, how: &str) -> Done {
        run(&format!("tc qdisc replace dev {} root {how}", port(sid)))
    }
}

impl Net for Namespaces {
    fn members(&self) -> usize {
        self.members
    }

    fn connect(&mut self, ensemble: &mut Ensemble) -> Done {
        (1..=self.members + 1).try_for_each(|sid| ensemble.place(sid, ip_address(sid).into(), namespace(sid)))
    }

    fn address(&self, sid: usize) -> IpAddr {
        ip_address(sid).into()
    }

    fn lacks(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::Cut | Fault::PowerOff => self.no_cut.clone(),
            Fault::Delay => self.no_netem.clone(),
            Fault::SlowLink => self.no_tbf.clone(),
            _ => None,
        }
    }

    /// Frames go to an address that is nobody's.
    fn hold(&self, (from, to): Way, held: bool) -> Done {
        self.holds.set(self.holds.get() + usize::from(held));
        let mac = if held { NOBODY.into() } else { mac(to) };
        let (name, to) = (name(from), ip_address(to));
        run(&format!("ip -n {name} neighbour replace {to} lladdr {mac} nud permanent dev eth0"))
    }

    /// Netem knows no senders: everything to this member is late, that of its clients too.
    fn delay(&self, (_, to): Way, ms: u64) -> Done {
        Self::shape(to, &format!("netem delay {ms}ms {}ms", ms / 4))
    }

    fn cut(&self, a: usize, b: usize) -> Done {
        inside(a, &format!("ss -K dst {}", ip_address(b)))?;
        inside(b, &format!("ss -K dst {}", ip_address(a)))
    }

    fn unplug(&self, sid: usize, unplugged: bool) -> Done {
        run(&format!("ip link set {} {}", port(sid), if unplugged { "down" } else { "up" }))
    }

    fn forget(&self, sid: usize) -> Done {
        inside(sid, "ss -K -t -a")
    }

    fn narrow(&self, sid: usize, kbit: u64) -> Done {
        Self::shape(sid, &format!("tbf rate {kbit}kbit burst 8kb latency 400ms"))
    }

    /// The kernel sends again what was lost, for seconds, whether or not the client is still there.
    fn end_clients(&self) -> Done {
        run("ss -K -t -a")
    }

    fn heal(&self) -> Done {
        self.ways().into_iter().try_for_each(|way| self.hold(way, false))?;
        for sid in 1..=self.members {
            self.unplug(sid, false)?;
            // None is there, mostly.
            let _ = run(&format!("tc qdisc delete dev {} root", port(sid)));
        }
        Ok(())
    }

    fn account(&self) -> Result<String, String> {
        let ports: Result<Vec<u64>, String> =
            (1..=self.members + 1).map(|sid| received(&port(sid), "bytes")).collect();
        let lost = received(NOWHERE, "packets")?;
        // A fault or two may have met members that had nothing to say.
        if lost <= STRAY && self.holds.get() > 8 {
            return Err("not tested: the network was to lose packets, and lost none".into());
        }
        Ok(format!("{} KiB sent by members, {lost} packets lost", ports?.iter().sum::<u64>() >> 10))
    }
}

/// Packets or bytes that this interface took from its other end.
fn received(interface: &str, what: &str) -> Result<u64, String> {
    let out = Command::new("ip").args(["-s", "-j", "link", "show", "dev", interface]).output();
    let out = out.map_err(|e| format!("ip: {e}"))?;
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).map_err(|e| format!("ip: {e}"))?;
    told[0]["stats64"]["rx"][what].as_u64().ok_or_else(|| format!("ip tells nothing of {interface}: {told}"))
}

/// `ss -K` says nothing when the kernel does not do it.
fn cuts() -> Done {
    let told = |e: std::io::Error| format!("loopback: {e}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
    let here = listener.local_addr().map_err(told)?;
    let mut stream = TcpStream::connect(here).map_err(told)?;
    let _accepted = listener.accept().map_err(told)?;
    stream.set_read_timeout(Some(Duration::from_millis(200))).map_err(told)?;
    run(&format!("ss -K dport = :{}", here.port()))?;
    match stream.read(&mut [0]) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Err("ss -K ends no connection here".into()),
        _ => Ok(()),
    }
}
