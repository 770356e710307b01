//! A tally as a table for people.

use crate::tally::Tally;

pub fn print(tally: &Tally) {
    for (seed, hash) in &tally.hashes {
        say!("{seed} {hash}");
    }
    say!(
        "{} runs ({} empty), {:.0} simulated seconds, {} events, {} commits",
        tally.runs,
        tally.empty,
        tally.simulated_seconds,
        tally.events,
        tally.committed
    );
    say!(
        "{:.1} s, {:.1} CPU s: {:.0} simulated s/CPU s, {:.1} seeds/CPU s",
        tally.wall_seconds,
        tally.cpu_seconds,
        tally.simulated_seconds / tally.cpu_seconds.max(0.001),
        tally.runs as f64 / tally.cpu_seconds.max(0.001)
    );
    say!("{:<20} {:>10} {:>12}", "fault", "injected", "took effect");
    for (kind, counts) in &tally.faults {
        say!("{kind:<20} {:>10} {:>12}", counts.injected, counts.took_effect);
    }
    say!("marks hit:");
    let syncs = tally.syncs.iter().map(|(mode, count)| (format!("sync: {mode}"), count));
    let marks = tally.marks.iter().map(|(mark, count)| (mark.clone(), count));
    for (mark, count) in marks.chain(syncs).filter(|(_, count)| **count > 0) {
        say!("  {count:>8}  {mark}");
    }
    let never = tally.never_hit();
    if !never.is_empty() {
        say!("marks never hit: {}", never.join("; "));
    }
    failures(tally);
}

fn failures(tally: &Tally) {
    for what in tally.shortcomings() {
        say!("TOO LITTLE: {what}");
    }
    if tally.failures.is_empty() {
        say!("no failures");
        return;
    }
    say!("{} failures:", tally.violations.len());
    for group in &tally.failures {
        say!("  {} ({} seeds)", group.signature, group.count);
        say!("    seed {} {}", group.seed, group.detail);
        say!("    again: {}", group.command);
    }
}
