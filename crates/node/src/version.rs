//! Which build this is, in two forms.

/// The release of ZooKeeper whose protocol and formats this is a member of.
const ZOOKEEPER: &str = "3.9.3";

/// `3.9.3-vivarium-0.1.0-COMMIT, built on DATE`, in the form of `Version.getFullVersion`: the release that clients
/// and tools go by comes first. The date is the commit's.
pub fn zookeeper_version() -> String {
    let (commit, date) = (env!("VIVARIUM_COMMIT"), env!("VIVARIUM_COMMIT_DATE"));
    let package = env!("CARGO_PKG_VERSION");
    match commit {
        "" => format!("{ZOOKEEPER}-vivarium-{package}"),
        commit => format!("{ZOOKEEPER}-vivarium-{package}-{commit}, built on {date}"),
    }
}

/// For `vivarium --version`.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " ",
    env!("VIVARIUM_COMMIT"),
    " ",
    env!("VIVARIUM_COMMIT_DATE"),
    " (speaks as ZooKeeper 3.9.3)"
);
