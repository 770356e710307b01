//! Every key of ZooKeeper 3.9's configuration that this node does not honour itself: accepted with a word in
//! the log, or refused where going on would not do what the file asks for. Keys that QuorumPeerConfig does not
//! know become system properties there (`snapCount=5` is `-Dzookeeper.snapCount=5`), so both kinds are here.

/// What becomes of a key.
pub enum Treatment {
    /// The node serves without it, for this reason.
    Accepted(&'static str),
    /// Any other value asks for what is not built.
    OnlyAs { allowed: &'static [&'static str], because: &'static str },
}

use Treatment::{Accepted, OnlyAs};

const NO_TLS: &str = "TLS is not built";
const NO_SASL: &str = "SASL is not built";
const JAVA_ONLY: &str = "it tunes Java's own threads and buffers";
const FALSE: &[&str] = &["false"];
const TRUE: &[&str] = &["true"];

const KEYS: &[(&str, Treatment)] = &[
    // QuorumPeerConfig
    ("clientPortListenBacklog", Accepted("the system's default holds")),
    ("connectToLearnerMasterLimit", Accepted("initLimit holds")),
    ("secureClientPort", OnlyAs { allowed: &[], because: NO_TLS }),
    ("secureClientPortAddress", OnlyAs { allowed: &[], because: NO_TLS }),
    ("sslQuorum", OnlyAs { allowed: FALSE, because: NO_TLS }),
    ("portUnification", OnlyAs { allowed: FALSE, because: NO_TLS }),
    ("sslQuorumReloadCertFiles", OnlyAs { allowed: FALSE, because: NO_TLS }),
    ("client.portUnification", OnlyAs { allowed: FALSE, because: NO_TLS }),
    ("quorum.auth.enableSasl", OnlyAs { allowed: FALSE, because: NO_SASL }),
    ("quorum.auth.serverRequireSasl", OnlyAs { allowed: FALSE, because: NO_SASL }),
    ("quorum.auth.learnerRequireSasl", OnlyAs { allowed: FALSE, because: NO_SASL }),
    ("quorum.auth.kerberos.servicePrincipal", Accepted(NO_SASL)),
    ("quorum.auth.learner.saslLoginContext", Accepted(NO_SASL)),
    ("quorum.auth.server.saslLoginContext", Accepted(NO_SASL)),
    ("sessionRequireClientSASLAuth", OnlyAs { allowed: FALSE, because: NO_SASL }),
    ("enforce.auth.enabled", OnlyAs { allowed: FALSE, because: "clients would have to be refused" }),
    ("enforce.auth.schemes", Accepted("enforce.auth.enabled is not built")),
    ("multiAddress.enabled", OnlyAs { allowed: FALSE, because: "several addresses a server are not built" }),
    ("multiAddress.reachabilityCheckEnabled", Accepted("one address a server")),
    ("multiAddress.reachabilityCheckTimeoutMs", Accepted("one address a server")),
    ("oraclePath", OnlyAs { allowed: &[""], because: "quorums with an oracle are not built" }),
    ("localSessionsEnabled", Accepted("all sessions are global")),
    ("localSessionsUpgradingEnabled", Accepted("all sessions are global")),
    ("observerMasterPort", OnlyAs { allowed: &["0"], because: "observers of followers are not built" }),
    ("quorum.cnxn.threads.size", Accepted(JAVA_ONLY)),
    ("jvm.pause.monitor", Accepted(JAVA_ONLY)),
    ("jvm.pause.sleep.time.ms", Accepted(JAVA_ONLY)),
    ("jvm.pause.warn-threshold.ms", Accepted(JAVA_ONLY)),
    ("jvm.pause.info-threshold.ms", Accepted(JAVA_ONLY)),
    ("metricsProvider.exportJvmInfo", Accepted("there is no JVM")),
    // Properties
    ("forceSync", OnlyAs { allowed: &["yes"], because: "what is acknowledged is synced" }),
    ("fsync.warningthresholdms", Accepted("syncs are not timed yet")),
    ("snapSizeLimitInKb", Accepted("snapCount alone decides")),
    ("txnLogSizeLimitInKb", Accepted("snapCount alone decides")),
    ("flushDelay", Accepted("what came together is synced together")),
    ("maxWriteQueuePollTime", Accepted("what came together is synced together")),
    ("tcpKeepAlive", Accepted("the system's default holds")),
    ("clientTcpKeepAlive", Accepted("the system's default holds")),
    ("nio.sessionlessCnxnTimeout", Accepted(JAVA_ONLY)),
    ("nio.numSelectorThreads", Accepted(JAVA_ONLY)),
    ("nio.numWorkerThreads", Accepted(JAVA_ONLY)),
    ("serverCnxnFactory", Accepted(JAVA_ONLY)),
    ("maxResponseCacheSize", Accepted(JAVA_ONLY)),
    ("maxGetChildrenResponseCacheSize", Accepted(JAVA_ONLY)),
    ("watchManagerName", Accepted(JAVA_ONLY)),
    ("commitProcessor.numWorkerThreads", Accepted(JAVA_ONLY)),
    ("commitProcessor.maxReadBatchSize", Accepted(JAVA_ONLY)),
    ("commitProcessor.maxCommitBatchSize", Accepted(JAVA_ONLY)),
    ("commitProcessor.shutdownTimeout", Accepted(JAVA_ONLY)),
    ("request_throttle_max_requests", Accepted("requests are not throttled")),
    ("largeRequestThreshold", Accepted("jute.maxbuffer alone decides")),
    ("largeRequestMaxBytes", Accepted("jute.maxbuffer alone decides")),
    ("connection_throttle_tokens", Accepted("connections are not throttled")),
    ("digest.enabled", OnlyAs { allowed: TRUE, because: "the digest of the tree is part of the log" }),
    ("closeSessionTxn.enabled", Accepted("closeSession lists what it removes where the leader knows it")),
    ("serializeLastProcessedZxid.enabled", OnlyAs { allowed: TRUE, because: "snapshots hold it" }),
    ("snapshot.compression.method", OnlyAs { allowed: &[""], because: "snapshots are not compressed" }),
    ("readonlymode.enabled", Accepted("a member without a leader serves nobody")),
    ("emulate353TTLNodes", OnlyAs { allowed: FALSE, because: "the owner field of 3.5.3 is not read" }),
    ("audit.enable", Accepted("no audit log")),
    ("admin.idleTimeout", Accepted("a connection to the admin server is for one request")),
];

/// `None`: no key of ZooKeeper 3.9.
pub fn treatment(key: &str) -> Option<&'static Treatment> {
    KEYS.iter().find(|(name, _)| *name == key).map(|(_, treatment)| treatment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_here_once() {
        for (index, (key, _)) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|(other, _)| other != key), "{key}");
        }
    }
}
