//! Historical bugs that a short sweep of the default swarm finds: with the switch on a run fails within so
//! many seeds, by one of the invariants that the catalogue names; with it off the same run is clean. The
//! rarer ones are `vivarium bugs hunt`'s.

use peer::{Switch, Switches};
use sim::run::{Options, run_with};
use sim::swarm::plan;

/// The switch, and seeds that are enough, with room for another swarm.
const FOUND: [(Switch, u64); 19] = [
    (Switch::EpochFromLog, 300),
    (Switch::LeaderAcceptsEpochLate, 600),
    (Switch::EpochBeforeHistory, 3000),
    (Switch::ObserversCount, 300),
    (Switch::EpochAckWaitsOnWrongFlag, 2000),
    (Switch::ZxidRaisedBeforeEstablished, 2000),
    (Switch::AckNewLeaderWithDiffInMemory, 300),
    (Switch::AckNewLeaderWithLogQueued, 300),
    (Switch::ProposalAckOvertakes, 300),
    (Switch::EarlyCommitFatal, 300),
    (Switch::NewLeaderBeforeSnapshotTail, 600),
    (Switch::ReuseDbWithoutLogTail, 300),
    (Switch::VoteOrderPrecedence, 4000),
    (Switch::DiffWithoutTrunc, 600),
    (Switch::TruncRemovesTooMuch, 600),
    (Switch::SyncRangeNotAtomic, 600),
    (Switch::BadNotificationKillsReceiver, 600),
    (Switch::EpochMemoryFirst, 600),
    (Switch::HalfShutdown, 300),
];

/// The first invariant that breaks.
fn breaks(seed: u64, switches: Switches) -> Option<&'static str> {
    let options = Options { trace: false, watch: false, stop_at_violation: true };
    run_with(&plan(seed, switches), options).violations.first().map(|violation| violation.invariant)
}

#[test]
fn a_short_sweep_finds_them() {
    for (switch, seeds) in FOUND {
        let name = switch.name();
        let found = (0..seeds).find_map(|seed| Some((seed, breaks(seed, Switches::NONE.with(switch))?)));
        let (seed, invariant) = found.unwrap_or_else(|| panic!("{name}: not found in {seeds} seeds"));
        let bug = switch.bug().expect("it is history");
        assert!(
            bug.breaks.contains(&invariant),
            "{name}: seed {seed} breaks {invariant}, not {:?}",
            bug.breaks
        );
        assert_eq!(breaks(seed, Switches::NONE), None, "{name}: seed {seed} fails without it");
    }
}
