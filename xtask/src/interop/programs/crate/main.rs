//! The crate `zookeeper-client` at an ensemble: `client HOST:PORT,HOST:PORT,...`. Every request that it has, and that its
//! session, ephemerals and watches go on while the servers die one after the other.
//!
//! Lines to standard output: `kill HOST:PORT` and `start HOST:PORT` (whoever started us does that to the server, and
//! answers with a line), at the end `ok WHAT`. A panic tells what was not as expected.

use std::io::Write;
use std::time::{Duration, Instant};

use zookeeper_client::{
    Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType, LockPrefix, MultiReadResult,
    MultiWriteError, MultiWriteResult, OneshotWatcher, PersistentWatcher, WatchedEvent,
};

/// Nothing that we wait for takes longer, or it does not come.
const PATIENCE: Duration = Duration::from_secs(30);
const OPEN: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} does not end"))
}

async fn open_session(hosts: &str) -> Client {
    let connector = Client::connector().with_session_timeout(Duration::from_secs(20));
    in_time("connect", connector.connect(hosts)).await.expect("a session")
}

async fn told(watcher: OneshotWatcher, kind: EventType, path: &str) {
    is(&in_time(path, watcher.changed()).await, kind, path);
}

async fn told_again(watcher: &mut PersistentWatcher, kind: EventType, path: &str) {
    loop {
        let event = in_time(path, watcher.changed()).await;
        // Of the connection that ended and the next one.
        if event.event_type != EventType::Session {
            return is(&event, kind, path);
        }
    }
}

fn is(event: &WatchedEvent, kind: EventType, path: &str) {
    assert_eq!((event.event_type, event.path.as_str()), (kind, path), "{event:?}");
}

/// Asks whoever started us.
fn ask(what: &str) {
    println!("{what}");
    std::io::stdout().flush().expect("standard output");
    let mut line = String::new();
    assert_ne!(std::io::stdin().read_line(&mut line).expect("an answer"), 0, "{what}: no answer");
}

async fn nodes(zk: &Client) {
    let (made, _) = zk.create("/r", b"one", &OPEN).await.expect("create");
    assert_eq!(zk.get_data("/r").await.expect("getData"), (b"one".to_vec(), made));
    assert_eq!(zk.create("/r", b"", &OPEN).await, Err(Error::NodeExists));
    assert_eq!(zk.create("/no/parent", b"", &OPEN).await, Err(Error::NoNode));
    assert_eq!(zk.check_stat("/nowhere").await, Ok(None));
    let stat = zk.set_data("/r", b"two!", Some(0)).await.expect("setData");
    assert_eq!((stat.version, stat.data_length, stat.czxid), (1, 4, made.czxid));
    assert_eq!(zk.set_data("/r", b"", Some(0)).await, Err(Error::BadVersion));
    let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
    let (_, first) = zk.create("/r/s-", b"", &sequential).await.expect("a sequence");
    let (_, second) = zk.create("/r/s-", b"", &sequential).await.expect("a sequence");
    assert_eq!((first.into_i64(), second.into_i64()), (0, 1));
    let container = CreateMode::Container.with_acls(Acls::anyone_all());
    zk.create("/r/container", b"", &container).await.expect("a container");
    let ttl = OPEN.with_ttl(Duration::from_secs(600));
    zk.create("/r/ttl", b"", &ttl).await.expect("a node with a TTL");
    zk.mkdir("/r/a/b/c", &OPEN).await.expect("mkdir");
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let (stat, _) = zk.create("/r/alive", b"", &ephemeral).await.expect("an ephemeral");
    assert_eq!(stat.ephemeral_owner, zk.session_id().0);
    assert_eq!(zk.create("/r/alive/x", b"", &OPEN).await, Err(Error::NoChildrenForEphemerals));
    assert_eq!(zk.list_ephemerals("/r").await, Ok(vec!["/r/alive".into()]));
    assert_eq!(zk.count_descendants_number("/r").await, Ok(8));
    assert_eq!(zk.delete("/r/a", None).await, Err(Error::NotEmpty));
    zk.delete("/r/a/b/c", Some(0)).await.expect("delete");
    let (mut children, stat) = zk.get_children("/r").await.expect("getChildren");
    children.sort();
    assert_eq!(children, ["a", "alive", "container", "s-0000000000", "s-0000000001", "ttl"]);
    assert_eq!(stat.num_children, 6);
    zk.sync("/r").await.expect("sync");
    let (config, _) = zk.get_config().await.expect("/zookeeper/config");
    assert!(String::from_utf8_lossy(&config).contains("server.1="), "{config:?}");
}

async fn watches(zk: &Client) {
    let (_, created) = zk.check_and_watch_stat("/r/w").await.expect("exists");
    let (_, _, children) = zk.get_and_watch_children("/r").await.expect("getChildren");
    let mut all = zk.watch("/r/w", AddWatchMode::PersistentRecursive).await.expect("addWatch");
    zk.create("/r/w", b"1", &OPEN).await.expect("create");
    told(created, EventType::NodeCreated, "/r/w").await;
    told(children, EventType::NodeChildrenChanged, "/r").await;
    let (_, _, changed) = zk.get_and_watch_data("/r/w").await.expect("getData");
    zk.set_data("/r/w", b"2", None).await.expect("setData");
    told(changed, EventType::NodeDataChanged, "/r/w").await;
    zk.create("/r/w/x", b"", &OPEN).await.expect("create");
    zk.delete("/r/w/x", None).await.expect("delete");
    for (kind, path) in [
        (EventType::NodeCreated, "/r/w"),
        (EventType::NodeDataChanged, "/r/w"),
        (EventType::NodeCreated, "/r/w/x"),
        (EventType::NodeDeleted, "/r/w/x"),
    ] {
        told_again(&mut all, kind, path).await;
    }
    all.remove().await.expect("removeWatches");
}

async fn multi(zk: &Client) {
    let mut writer = zk.new_multi_writer();
    writer.add_check_version("/r", 1).expect("check");
    writer.add_create("/r/m", b"m", &OPEN).expect("create");
    writer.add_set_data("/r/w", b"by multi", None).expect("setData");
    writer.add_delete("/r/s-0000000000", None).expect("delete");
    let results = writer.commit().await.expect("multi");
    match &results[..] {
        [
            MultiWriteResult::Check,
            MultiWriteResult::Create { path, stat: made },
            MultiWriteResult::SetData { stat },
            MultiWriteResult::Delete,
        ] => {
            assert_eq!((path.as_str(), stat.data_length), ("/r/m", 8));
            // One transaction. (Whether a create tells its stat depends on the server: ZOOKEEPER-4667.)
            assert!(made.is_invalid() || made.czxid == stat.mzxid, "{made:?} {stat:?}");
        }
        other => panic!("multi: {other:?}"),
    }
    let mut writer = zk.new_multi_writer();
    writer.add_set_data("/r/w", b"undone", None).expect("setData");
    writer.add_delete("/r/nowhere", None).expect("delete");
    let failed = writer.commit().await.expect_err("a multi of which one fails");
    assert_eq!(failed, MultiWriteError::OperationFailed { index: 1, source: Error::NoNode });
    let mut reader = zk.new_multi_reader();
    reader.add_get_data("/r/w").expect("getData");
    reader.add_get_children("/r/w").expect("getChildren");
    let results = reader.commit().await.expect("multiRead");
    assert!(
        matches!(&results[..], [MultiReadResult::Data { data, .. }, MultiReadResult::Children { children }]
            if data == b"by multi" && children.is_empty()),
        "{results:?}"
    );
}

async fn rights(zk: &Client, other: &Client) {
    zk.auth("digest", b"me:secret").await.expect("auth");
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    zk.create("/r/mine", b"v", &mine).await.expect("create");
    let (acls, _) = zk.get_acl("/r/mine").await.expect("getACL");
    assert!(acls.len() == 1 && acls[0].scheme() == "digest" && acls[0].id().starts_with("me:"), "{acls:?}");
    assert_eq!(other.get_data("/r/mine").await, Err(Error::NoAuth));
    other.auth("digest", b"me:secret").await.expect("auth");
    other.get_data("/r/mine").await.expect("with rights");
    other.set_acl("/r/mine", &Acls::anyone_read().to_vec(), Some(0)).await.expect("setACL");
    assert_eq!(zk.set_data("/r/mine", b"", None).await, Err(Error::NoAuth));
    let users = zk.list_auth_users().await.expect("whoAmI");
    assert!(users.iter().any(|user| (user.scheme(), user.user()) == ("digest", "me")), "{users:?}");
}

/// Two of one lock: the second has it when the first lets go.
async fn locks(zk: &Client, other: &Client) {
    let prefix = || LockPrefix::new_curator("/r/a", "lock-").expect("a prefix");
    let first = zk.lock(prefix(), b"", Acls::anyone_all()).await.expect("a lock");
    let waiting = other.lock(prefix(), b"", Acls::anyone_all());
    tokio::pin!(waiting);
    let soon = Duration::from_millis(300);
    assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "two have one lock");
    drop(first);
    in_time("the second lock", waiting).await.expect("a lock");
}

/// A write that an ending connection may have swallowed is asked for again.
async fn set_at_last(zk: &Client, path: &str, data: &[u8]) {
    let begun = Instant::now();
    loop {
        match in_time(path, zk.set_data(path, data, None)).await {
            Ok(_) => return,
            Err(Error::ConnectionLoss) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(why) => panic!("setData of {path} after {:?}: {why}", begun.elapsed()),
        }
    }
}

/// Each server dies and comes back: both sessions, their ephemerals and one-shot watches go on. (Persistent watches this
/// release of the crate does not set again.)
async fn moves(zk: &Client, other: &Client, hosts: &str) {
    let session = zk.session_id();
    for host in hosts.split(',') {
        let (_, _, once) = zk.get_and_watch_data("/r/w").await.expect("getData");
        ask(&format!("kill {host}"));
        set_at_last(zk, "/r", host.as_bytes()).await;
        set_at_last(other, "/r/w", host.as_bytes()).await;
        told(once, EventType::NodeDataChanged, "/r/w").await;
        assert_eq!(zk.session_id(), session);
        zk.sync("/r").await.expect("sync");
        let alive = zk.check_stat("/r/alive").await.expect("exists").expect("the ephemeral");
        assert_eq!(alive.ephemeral_owner, session.0);
        ask(&format!("start {host}"));
    }
    zk.create("/r/with-rights", b"", &CreateMode::Persistent.with_acls(Acls::creator_all()))
        .await
        .expect("rights go with the session");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let hosts = std::env::args().nth(1).expect("usage: client HOSTS");
    let (zk, other) = (open_session(&hosts).await, open_session(&hosts).await);
    nodes(&zk).await;
    watches(&zk).await;
    multi(&zk).await;
    rights(&zk, &other).await;
    locks(&zk, &other).await;
    moves(&zk, &other, &hosts).await;
    // Its session closes, and the ephemeral goes with it.
    let (_, gone) = other.check_and_watch_stat("/r/alive").await.expect("exists");
    drop(zk);
    told(gone, EventType::NodeDeleted, "/r/alive").await;
    println!("ok requests of every kind, two sessions at {} servers", hosts.split(',').count());
}
