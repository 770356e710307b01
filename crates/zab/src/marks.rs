//! Coverage marks: branches that matter, by the names under which `Io::mark` tells them. Sweeps report
//! which were hit, and fail where one that the swarm can reach never was.

/// Who must be able to reach a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A sweep of some thousand seeds of the default swarm.
    Swarm,
    /// Scenarios and conversations: it takes peers that the swarm does not draw.
    Script,
}

/// Every mark.
pub const MARKS: &[(&str, Reach)] = &[
    ("client: a request above jute.maxbuffer", Reach::Script),
    ("client: held back, for too many requests are under way", Reach::Swarm),
    ("election: better vote in finalizeWait", Reach::Swarm),
    ("election: joined an established ensemble", Reach::Swarm),
    ("leader: a member has accepted a later epoch", Reach::Swarm),
    ("leader: a session id came twice", Reach::Script),
    ("leader: an accepted epoch out of reach", Reach::Script),
    ("leader: log behind the stored snapshot read", Reach::Script),
    ("leader: ACK of a proposal before the ACK of NEWLEADER", Reach::Script),
    ("leader: learner of before 1.0", Reach::Script),
    ("leader: no quorum of live learners", Reach::Swarm),
    ("leader: zxid counter at its end", Reach::Swarm),
    ("learner: COMMIT between NEWLEADER and UPTODATE", Reach::Swarm),
    ("learner: cannot truncate", Reach::Script),
    ("learner: epoch accepted before", Reach::Swarm),
    ("learner: leader of before 1.0", Reach::Script),
    ("memory: the log had more", Reach::Swarm),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // it reads the sources
    use std::path::Path;

    fn marks_told(folder: &Path, told: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                marks_told(&path, told);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for rest in text.split(concat!("mark", "(\"")).skip(1) {
                told.push(rest.split('"').next().unwrap_or_default().to_owned());
            }
        }
    }

    #[test]
    fn the_list_holds_every_mark_and_no_other() {
        let mut told = Vec::new();
        for sources in ["src", "../server/src"] {
            marks_told(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources), &mut told);
        }
        told.sort();
        told.dedup();
        let mut listed: Vec<&str> = super::MARKS.iter().map(|(mark, _)| *mark).collect();
        listed.sort_unstable();
        assert_eq!(told, listed);
    }
}
