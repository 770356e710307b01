//! The names of what is checked, for reports, scenarios (`waives`) and expectations.

/// Code and meaning of each invariant.
pub const INVARIANTS: &[(&str, &str)] = &[
    ("INT", "what is delivered was broadcast, and nothing is delivered twice in one life"),
    ("TOT", "all members deliver in one order, leaving nothing out"),
    ("AGR", "of two delivered sequences one is a prefix of the other: only what is committed is delivered"),
    ("LPO", "no hole within an epoch: what was broadcast before is delivered before"),
    ("GPO", "zxids strictly increase in every log, delivery and broadcast"),
    ("PIN", "a new primary has everything that was delivered in earlier epochs"),
    ("IHI", "established initial histories are prefixes of later ones"),
    ("CMT", "a member in an epoch has the whole initial history of the epoch"),
    ("HIS", "logs of members that are in one epoch are prefixes of their leader's"),
    ("LEAD", "one epoch is led and established by one attempt of one server"),
    ("ZXU", "equal zxids are equal transactions"),
    ("LLC", "a leader that is established has everything that was committed in earlier epochs"),
    ("CLD", "what is committed is durable on a quorum"),
    (
        "CFG",
        "a leader makes configurations active in order, with a quorum of each; nobody else does before it",
    ),
    ("EPQ", "an established epoch and its initial history are durable on a quorum"),
    ("EPM", "durable epochs never decrease, and history never exceeds currentEpoch"),
    ("CLM", "in one life deliveries only grow; what is committed is never cut"),
    ("PFX", "the committed parts of all logs agree"),
    ("TREE", "equal last zxids mean equal states"),
    ("GAP", "no hole in a log"),
    ("DUR", "what a completed sync made durable is recovered"),
    ("AST-ACK", "no ACK leaves, and none is counted, before what it promises is durable"),
    ("AST-COMMIT", "a leader commits its proposals in order"),
    ("AST-ROLE", "nothing is appended on behalf of a role that was left"),
    ("AST-NOPANIC", "no member comes into a state that its code does not foresee"),
    ("LV-START", "a member that had crashes only starts"),
    ("LV-ELECT", "after the heal exactly one member leads"),
    ("LV-JOIN", "after the heal everybody follows or observes the leader"),
    ("LV-SYNC", "after the heal everybody is up to date in the leader's epoch"),
    ("LV-SERVE", "after the heal everybody has everything, and a fresh write is acknowledged"),
    ("LV-CONFIG", "after the heal everybody goes by the leader's configuration"),
    ("LV-STEP", "a leader has a quorum of live learners"),
    ("ACKD", "an acknowledged write is committed, as it was asked for"),
    ("ONCE", "a request is carried out at most once"),
    ("FIFO", "a session's replies come in order, its writes at increasing zxids"),
    ("LINW", "writes respect real time; reads show committed writes; a read after sync is not older"),
    ("RYW", "a session reads its own writes"),
    ("MONR", "what a session sees never steps back"),
    ("PREP", "what a leader proposes can be carried out"),
    ("READ", "a reply shows the tree as it is at the reply's zxid"),
    ("SES", "a session has one owner, ends after its timeout only, and once"),
    ("EPH", "ephemeral nodes are made by open sessions and go with them"),
    ("WATCH", "a watch tells every change once, before a reply that shows it"),
    ("SEQ", "sequential names below a parent never repeat, and grow"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = super::INVARIANTS.iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), super::INVARIANTS.len());
    }
}
