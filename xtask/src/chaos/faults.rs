//! What is done to members and to the network between them: each fault lasts a while and is then over.

use std::collections::BTreeMap;

use sim::draw::Draws;

use super::disks::Disks;
use super::net::Way;
use super::{Chaos, syncs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// Two groups that hear nothing of each other.
    Partition,
    /// The same, and their connections end.
    Cut,
    /// A member is heard and does not hear, or the other way round.
    OneWay,
    /// Everything between some members comes late.
    Delay,
    /// kill -9 of a member.
    Kill,
    /// kill -9 of the leader.
    KillLeader,
    /// kill -9 of all at once.
    KillAll,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// Its file system is full: the member ends.
    FullDisk,
    /// What a member syncs, or all of them, takes a while to be on the disk.
    SlowSync,
    /// Nobody hears of a member, its clients neither.
    Unplug,
    /// A member's machine is gone: nobody is told that its connections have ended, and those of its clients.
    PowerOff,
    /// Little goes through to a member, and that late.
    SlowLink,
}

pub const ALL: [Fault; 13] = [
    Fault::Partition,
    Fault::Cut,
    Fault::OneWay,
    Fault::Delay,
    Fault::Kill,
    Fault::KillLeader,
    Fault::KillAll,
    Fault::Pause,
    Fault::FullDisk,
    Fault::SlowSync,
    Fault::Unplug,
    Fault::PowerOff,
    Fault::SlowLink,
];

pub type Counts = BTreeMap<Fault, usize>;

/// One fault from its beginning to its end.
pub fn inflict(chaos: &mut Chaos, fault: Fault, draws: &mut Draws) -> Result<(), String> {
    let members = chaos.net.members();
    let one = draws.range(1, members as u64) as usize;
    match fault {
        Fault::Partition => {
            let apart = hold_apart(chaos, draws)?;
            chaos.last(draws, 1500, 6000);
            hold(chaos, &apart, false)
        }
        Fault::Cut => {
            let apart = hold_apart(chaos, draws)?;
            apart.iter().try_for_each(|(a, b)| chaos.net.cut(*a, *b))?;
            chaos.last(draws, 300, 3000);
            hold(chaos, &apart, false)
        }
        Fault::OneWay => {
            let deaf = draws.chance(500);
            let mut ways = chaos.net.ways();
            ways.retain(|(a, b)| if deaf { *b == one } else { *a == one });
            hold(chaos, &ways, true)?;
            chaos.last(draws, 1500, 5000);
            hold(chaos, &ways, false)
        }
        Fault::Delay => {
            for way in chaos.net.ways() {
                if draws.chance(500) {
                    chaos.net.delay(way, draws.range(20, 400))?;
                }
            }
            chaos.last(draws, 1000, 4000);
            chaos.net.heal()
        }
        Fault::Kill => kill(chaos, &[one], draws),
        Fault::KillLeader => {
            let leader = (1..=members).find(|sid| chaos.ensemble.mode(*sid).as_deref() == Some("leader"));
            kill(chaos, &[leader.unwrap_or(one)], draws)
        }
        Fault::KillAll => kill(chaos, &(1..=members).collect::<Vec<_>>(), draws),
        Fault::Pause => {
            chaos.ensemble.signal(one, "-STOP")?;
            chaos.last(draws, 500, 8000);
            chaos.ensemble.signal(one, "-CONT")
        }
        Fault::FullDisk => full_disk(chaos, one, draws),
        Fault::SlowSync => {
            let all = draws.chance(300);
            let slow: Vec<usize> = (1..=members).filter(|sid| all || *sid == one).collect();
            for sid in &slow {
                syncs::delay(&chaos.ensemble, *sid, draws.range(50, 1500))?;
            }
            chaos.last(draws, 1500, 6000);
            slow.iter().try_for_each(|sid| syncs::delay(&chaos.ensemble, *sid, 0))
        }
        Fault::Unplug => {
            chaos.net.unplug(one, true)?;
            chaos.last(draws, 500, 6000);
            chaos.net.unplug(one, false)
        }
        Fault::PowerOff => {
            chaos.net.unplug(one, true)?;
            chaos.ensemble.kill(one);
            chaos.net.forget(one)?;
            chaos.last(draws, 0, 5000);
            chaos.net.unplug(one, false)?;
            chaos.ensemble.start_member(one)
        }
        Fault::SlowLink => {
            chaos.net.narrow(one, draws.range(64, 512))?;
            chaos.last(draws, 1500, 6000);
            chaos.net.heal()
        }
    }
}

fn hold(chaos: &Chaos, ways: &[Way], held: bool) -> Result<(), String> {
    ways.iter().try_for_each(|way| chaos.net.hold(*way, held))
}

/// Two groups, neither empty; gives all ways between them.
fn hold_apart(chaos: &Chaos, draws: &mut Draws) -> Result<Vec<Way>, String> {
    let members = chaos.net.members();
    let alone = draws.range(1, members as u64) as usize;
    let side: Vec<bool> =
        (1..=members).map(|sid| sid == alone || (sid != alone % members + 1 && draws.chance(400))).collect();
    let mut ways = chaos.net.ways();
    ways.retain(|(a, b)| side[a - 1] != side[b - 1]);
    hold(chaos, &ways, true)?;
    Ok(ways)
}

fn kill(chaos: &mut Chaos, members: &[usize], draws: &mut Draws) -> Result<(), String> {
    members.iter().for_each(|sid| chaos.ensemble.kill(*sid));
    chaos.last(draws, 0, 3000);
    members.iter().try_for_each(|sid| chaos.ensemble.start_member(*sid))
}

/// A node does not go on without its disk; a full one may come too late to be noticed.
fn full_disk(chaos: &mut Chaos, sid: usize, draws: &mut Draws) -> Result<(), String> {
    let Some(disks) = &chaos.disks else { return Ok(()) };
    Disks::fill(disks, sid)?;
    chaos.last(draws, 1000, 4000);
    Disks::empty(disks, sid)?;
    if !chaos.ensemble.lives(sid) {
        chaos.disks_failed += 1;
        chaos.ensemble.kill(sid);
        chaos.ensemble.start_member(sid)?;
    }
    Ok(())
}
