//! Historical bugs that a short sweep of the default swarm finds: with the switch on a run fails within so
//! many seeds, by one of the invariants that the catalogue names; with it off the same run is clean. The
//! rarer ones are `vivarium bugs hunt`'s.

use peer::{Switch, Switches};
use sim::run::{Options, run_with};
use sim::swarm::plan;

/// Enough for each, with room for another swarm.
const SEEDS: u64 = 2000;
const FOUND: [Switch; 17] = [
    Switch::EpochFromLog,
    Switch::LeaderAcceptsEpochLate,
    Switch::ObserversCount,
    Switch::EpochAckWaitsOnWrongFlag,
    Switch::AckNewLeaderWithDiffInMemory,
    Switch::AckNewLeaderWithLogQueued,
    Switch::ProposalAckOvertakes,
    Switch::EarlyCommitFatal,
    Switch::NewLeaderBeforeSnapshotTail,
    Switch::ReuseDbWithoutLogTail,
    Switch::VoteOrderPrecedence,
    Switch::DiffWithoutTrunc,
    Switch::TruncRemovesTooMuch,
    Switch::SyncRangeNotAtomic,
    Switch::BadNotificationKillsReceiver,
    Switch::EpochMemoryFirst,
    Switch::HalfShutdown,
];

/// The first invariant that breaks.
fn breaks(seed: u64, switches: Switches) -> Option<&'static str> {
    let options = Options { trace: false, watch: false, stop_at_violation: true };
    run_with(&plan(seed, switches), options).violations.first().map(|violation| violation.invariant)
}

#[test]
fn a_short_sweep_finds_them() {
    for switch in FOUND {
        let name = switch.name();
        let found = (0..SEEDS).find_map(|seed| Some((seed, breaks(seed, Switches::NONE.with(switch))?)));
        let (seed, invariant) = found.unwrap_or_else(|| panic!("{name}: not found in {SEEDS} seeds"));
        let bug = switch.bug().expect("it is history");
        assert!(
            bug.breaks.contains(&invariant),
            "{name}: seed {seed} breaks {invariant}, not {:?}",
            bug.breaks
        );
        assert_eq!(breaks(seed, Switches::NONE), None, "{name}: seed {seed} fails without it");
    }
}
