//! What a run of a scenario should have shown, against what it did.

use crate::run::{Outcome, Verdict};
use crate::scenario::Scenario;

impl Scenario {
    /// What the run should have shown and did not. Empty: all is as expected.
    pub fn judge(&self, outcome: &Outcome) -> Vec<String> {
        let mut missed = Vec::new();
        let mut demand = |ok: bool, what: String| {
            if !ok {
                missed.push(what);
            }
        };
        let e = &self.expect;
        let verdict = serde_json::to_value(outcome.verdict).unwrap_or_default();
        let wanted = e.verdict.as_deref().unwrap_or("clean");
        demand(verdict == wanted, format!("verdict {wanted}, but it is {verdict}"));
        if !e.violates.is_empty() {
            let hit = outcome.violations.iter().any(|v| e.violates.iter().any(|code| code == v.invariant));
            demand(hit, format!("a violation of one of {:?}", e.violates));
        }
        if let Some(signature) = &e.signature {
            let had = outcome.signature();
            demand(had.as_ref() == Some(signature), format!("signature `{signature}`, but it is {had:?}"));
        }
        if let Some(leader) = e.leader {
            let leads = outcome.roles.get(&leader) == Some(&Some(peer::Role::Leading));
            demand(leads, format!("member {leader} leads at the end"));
        }
        demand(
            outcome.stats.committed >= e.commits_at_least,
            format!("at least {} commits, but there are {}", e.commits_at_least, outcome.stats.committed),
        );
        demand(
            outcome.stats.epochs_established.len() >= e.epochs_at_least,
            format!("at least {} established epochs", e.epochs_at_least),
        );
        for (member, modes) in &e.syncs {
            let had = member.parse::<i64>().ok().and_then(|id| outcome.syncs_of.get(&id)).cloned();
            for mode in modes {
                let hit = had.as_ref().is_some_and(|had| had.contains(&mode.mode()));
                demand(hit, format!("a {mode:?} of member {member}, which had {had:?}"));
            }
        }
        for (event, count) in &e.events {
            let seen = outcome.seen.get(event).copied().unwrap_or(0);
            demand(seen >= *count, format!("event {event} at least {count} times, but {seen} times"));
        }
        for mark in &e.marks {
            demand(outcome.stats.marks.contains_key(mark), format!("mark `{mark}`"));
        }
        let story = outcome.story.lines();
        for words in &e.story {
            demand(story.iter().any(|line| line.contains(words)), format!("`{words}` in the story"));
        }
        missed
    }
}

/// Verdict of a scenario run: the run's own, or `unexpected`.
pub fn final_verdict(outcome: &Outcome, missed: &[String]) -> Verdict {
    if missed.is_empty() { outcome.verdict } else { Verdict::Unexpected }
}
