//! WATCH: a client is told of exactly the changes that its watches are for, in order, before any reply that
//! shows them; a watch that fires once fires once; and none is lost over a reconnect with setWatches.
//!
//! A connection's watches are kept here by the rules of ZooKeeper's two tables (reference, section 6), from
//! the client's requests and their answers alone. A reply at zxid z says that the server has applied z: all
//! committed changes up to there must have been told by then, in the order of the history, and nothing else.
//! What a client was not yet told when its connection ended, setWatches tells: with its answer at z, for each
//! watch the event that the tree at z asks for.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use wire::client::{Request, SetWatches2, WatcherEvent};
use wire::{EventType, Zxid, code};

use super::history::{Change, TreeHistory, Trigger, parent};

const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

type Table = BTreeMap<Bytes, u8>;
type Event = (Zxid, i32, Bytes);

#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionWatches {
    data: Table,
    child: Table,
    /// Everything through here was told.
    through: Zxid,
    received: VecDeque<Event>,
}

fn add(table: &mut Table, path: &Bytes, mode: u8) {
    *table.entry(path.clone()).or_default() |= mode;
}

fn remove(table: &mut Table, path: &[u8], modes: u8) -> bool {
    let Some(had) = table.get_mut(path) else { return false };
    let found = *had & modes != 0;
    *had &= !modes;
    if *had == 0 {
        table.remove(path);
    }
    found
}

fn show((zxid, kind, path): &Event) -> String {
    format!("event {kind} of {} at {zxid}", String::from_utf8_lossy(path))
}

impl ConnectionWatches {
    pub fn notified(&mut self, zxid: Zxid, event: &WatcherEvent) {
        self.received.push_back((zxid, event.kind, event.path.clone()));
    }

    /// A reply at `zxid`.
    pub fn answered(&mut self, h: &TreeHistory, zxid: Zxid, request: &Request, err: i32) -> Option<String> {
        if zxid <= Zxid::ZERO {
            return None;
        }
        if let (Request::SetWatches2(set), code::OK) = (request, err) {
            return self.set_again(h, zxid, set);
        }
        let wrong = self.advance(h, zxid);
        let wrong_removal = self.note(request, err);
        wrong.or(wrong_removal)
    }

    /// Everything that happened through `zxid`, against what was told.
    fn advance(&mut self, h: &TreeHistory, zxid: Zxid) -> Option<String> {
        let mut expected = Vec::new();
        for trigger in h.triggers(self.through, zxid) {
            self.fire(trigger, &mut expected);
        }
        self.through = self.through.max(zxid);
        for event in expected {
            match self.received.pop_front() {
                Some(told) if told == event => {}
                Some(told) => return Some(format!("{} where {} is due", show(&told), show(&event))),
                None => return Some(format!("a reply at {zxid} comes before {}", show(&event))),
            }
        }
        self.received
            .front()
            .filter(|(at, _, _)| *at <= zxid)
            .map(|told| format!("{} for nothing", show(told)))
    }

    /// A watch that fires is used up also where its client may not see the event.
    fn fire(&mut self, trigger: &Trigger, out: &mut Vec<Event>) {
        let Trigger { zxid, change, ref path, seen, parent_seen } = *trigger;
        let kind = match change {
            Change::Created => EventType::NodeCreated,
            Change::Deleted => EventType::NodeDeleted,
            Change::DataChanged => EventType::NodeDataChanged,
        };
        let mut told = self.data.contains_key(path);
        remove(&mut self.data, path, STANDARD);
        let mut above = &path[..];
        while above != b"/" {
            above = parent(above);
            told |= self.data.get(above).is_some_and(|modes| modes & RECURSIVE != 0);
        }
        if change == Change::Deleted && self.child.contains_key(path) {
            told = true;
            remove(&mut self.child, path, STANDARD);
        }
        if told && seen {
            out.push((zxid, kind.number(), path.clone()));
        }
        if change != Change::DataChanged {
            let above = Bytes::copy_from_slice(parent(path));
            if self.child.contains_key(&above) {
                remove(&mut self.child, &above, STANDARD);
                if parent_seen {
                    out.push((zxid, EventType::NodeChildrenChanged.number(), above));
                }
            }
        }
    }

    /// Watches that an answer leaves or takes.
    fn note(&mut self, request: &Request, err: i32) -> Option<String> {
        let ok = err == code::OK;
        match request {
            Request::Exists(r) if r.watch && (ok || err == code::NO_NODE) => {
                add(&mut self.data, &r.path, STANDARD);
            }
            Request::GetData(r) if r.watch && ok => add(&mut self.data, &r.path, STANDARD),
            Request::GetChildren(r) if r.watch && ok => add(&mut self.child, &r.path, STANDARD),
            Request::GetChildren2(r) if r.watch && ok => add(&mut self.child, &r.path, STANDARD),
            Request::AddWatch(r) if ok => self.add_watch(&r.path, r.mode),
            Request::RemoveWatches(r) if ok || err == code::NO_WATCHER => {
                let (data, child) = match r.kind {
                    1 => (0, STANDARD),
                    2 => (STANDARD, 0),
                    3 => (u8::MAX, u8::MAX),
                    4 => (PERSISTENT, PERSISTENT),
                    _ => (RECURSIVE, 0),
                };
                let removed = remove(&mut self.data, &r.path, data) | remove(&mut self.child, &r.path, child);
                if removed != ok {
                    let path = String::from_utf8_lossy(&r.path);
                    return Some(format!("removal of watches of type {} on {path} gives {err}", r.kind));
                }
            }
            _ => {}
        }
        None
    }

    fn add_watch(&mut self, path: &Bytes, mode: i32) {
        if mode == 0 {
            add(&mut self.data, path, PERSISTENT);
            add(&mut self.child, path, PERSISTENT);
        } else {
            add(&mut self.data, path, RECURSIVE);
        }
    }

    /// setWatches was answered at `zxid`: missed events came before, the others stand.
    fn set_again(&mut self, h: &TreeHistory, zxid: Zxid, set: &SetWatches2) -> Option<String> {
        let since = set.relative_zxid;
        let mut missed = Vec::new();
        let mut miss = |kind: EventType, path: &Bytes| missed.push((Zxid::NONE, kind.number(), path.clone()));
        self.through = zxid;
        for path in &set.data_watches {
            match h.at(path, zxid) {
                None => miss(EventType::NodeDeleted, path),
                Some(node) if node.mzxid > since => miss(EventType::NodeDataChanged, path),
                Some(_) => add(&mut self.data, path, STANDARD),
            }
        }
        for path in &set.exist_watches {
            match h.at(path, zxid) {
                None => add(&mut self.data, path, STANDARD),
                Some(_) => miss(EventType::NodeCreated, path),
            }
        }
        for path in &set.child_watches {
            match h.at(path, zxid) {
                None => miss(EventType::NodeDeleted, path),
                Some(node) if node.pzxid > since => miss(EventType::NodeChildrenChanged, path),
                Some(_) => add(&mut self.child, path, STANDARD),
            }
        }
        for path in &set.persistent_watches {
            self.add_watch(path, 0);
        }
        for path in &set.persistent_recursive_watches {
            self.add_watch(path, 1);
        }
        let told = std::mem::take(&mut self.received);
        (told != missed).then(|| {
            let list =
                |events: &mut dyn Iterator<Item = &Event>| events.map(show).collect::<Vec<_>>().join(", ");
            format!(
                "setWatches at {zxid} tells [{}], and missed is [{}]",
                list(&mut told.iter()),
                list(&mut missed.iter())
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use wire::client::{AddWatchRequest, Request, SetWatches2};
    use wire::{EventType, Zxid};

    use crate::tree::testing::*;

    fn set_watches(since: Zxid, data: &str, exist: &str) -> Request {
        Request::SetWatches2(SetWatches2 {
            relative_zxid: since,
            data_watches: vec![data.to_owned().into()],
            exist_watches: vec![exist.to_owned().into()],
            child_watches: Vec::new(),
            persistent_watches: Vec::new(),
            persistent_recursive_watches: Vec::new(),
        })
    }

    /// `/a` is watched, then set twice.
    fn watched() -> (TreeRun, Zxid, Zxid) {
        let mut run = TreeRun::new();
        let made = run.commit(A, 1, create("/a", false));
        run.answer_rightly(made, &get("/a"));
        let first = run.commit(A, 2, set("/a", "w", 1));
        let second = run.commit(A, 3, set("/a", "x", 2));
        (run, first, second)
    }

    fn look(run: &mut TreeRun, zxid: Zxid) {
        let other = Request::Exists(wire::client::ExistsRequest { path: "/other".into(), watch: false });
        run.answer_rightly(zxid, &other);
    }

    #[test]
    fn told_once_and_in_time() {
        let (mut run, first, second) = watched();
        run.notify(first, EventType::NodeDataChanged, "/a");
        look(&mut run, second);
        run.sound();
    }

    #[test]
    fn not_told_before_the_reply_that_shows_it() {
        let (mut run, first, _) = watched();
        look(&mut run, first);
        run.first_is("WATCH");
    }

    #[test]
    fn told_twice() {
        let (mut run, first, second) = watched();
        run.notify(first, EventType::NodeDataChanged, "/a");
        run.notify(second, EventType::NodeDataChanged, "/a");
        look(&mut run, second);
        run.first_is("WATCH");
    }

    #[test]
    fn told_something_else() {
        let (mut run, first, second) = watched();
        run.notify(first, EventType::NodeDeleted, "/a");
        look(&mut run, second);
        run.first_is("WATCH");
    }

    /// Of a node that its client may not read it is not told, and the watch is used up.
    #[test]
    fn what_acls_hide() {
        for told in [false, true] {
            let mut run = TreeRun::new();
            let before = run.commit(A, 1, create("/b", false));
            run.answer_rightly(before, &exists("/a"));
            let made = run.commit(A, 2, create_allowing("/a", 30));
            if told {
                run.notify(made, EventType::NodeCreated, "/a");
            }
            let gone = run.commit(A, 3, delete("/a"));
            look(&mut run, gone);
            if told { run.first_is("WATCH") } else { run.sound() }
        }
    }

    #[test]
    fn persistent_and_recursive_watches_tell_all() {
        let add =
            |path: &str, mode| Request::AddWatch(AddWatchRequest { path: path.to_owned().into(), mode });
        for all in [true, false] {
            let mut run = TreeRun::new();
            let made = run.commit(A, 1, create("/a", false));
            run.answer_rightly(made, &add("/a", 0));
            run.answer_rightly(made, &add("/", 1));
            let below = run.commit(A, 2, create("/a/b", false));
            let set_at = run.commit(A, 3, set("/a/b", "w", 1));
            run.notify(below, EventType::NodeCreated, "/a/b");
            run.notify(below, EventType::NodeChildrenChanged, "/a");
            if all {
                run.notify(set_at, EventType::NodeDataChanged, "/a/b");
            }
            look(&mut run, set_at);
            if all { run.sound() } else { run.first_is("WATCH") }
        }
    }

    #[test]
    fn missed_while_away() {
        for told in [true, false] {
            let mut run = TreeRun::new();
            let made = run.commit(A, 1, create("/a", false));
            run.answer_rightly(made, &get("/a"));
            run.answer_rightly(made, &exists("/b"));
            run.connecting(2, made);
            run.connected(2, A);
            let set_at = run.commit(A, 2, set("/a", "w", 1));
            if told {
                run.notify(Zxid::NONE, EventType::NodeDataChanged, "/a");
            }
            run.answer_rightly(set_at, &set_watches(made, "/a", "/b"));
            if !told {
                run.first_is("WATCH");
                continue;
            }
            // The other stands.
            let other = run.commit(A, 3, create("/b", false));
            run.sound();
            look(&mut run, other);
            run.first_is("WATCH");
        }
    }
}
