//! Violations: what the checkers found, the first of each kind for each member.

use wire::ServerId;
use zab::Nanos;

/// One broken invariant, where and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Code of `INVARIANTS`.
    pub invariant: &'static str,
    pub at: Nanos,
    pub member: ServerId,
    pub detail: String,
}

/// Collects violations. A kind that is waived, or was reported for this member before, is left out:
/// the first one is the one that explains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub now: Nanos,
    waived: Vec<String>,
    violations: Vec<Violation>,
}

impl Report {
    pub fn new(waived: Vec<String>) -> Report {
        Report { now: Nanos::ZERO, waived, violations: Vec::new() }
    }

    #[cold]
    #[inline(never)]
    pub fn add(&mut self, invariant: &'static str, member: ServerId, detail: String) {
        let known = |v: &Violation| v.invariant == invariant && v.member == member;
        if self.waived.iter().any(|code| code == invariant) || self.violations.iter().any(known) {
            return;
        }
        self.violations.push(Violation { invariant, at: self.now, member, detail });
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}
