//! `Watches`: who is to be told of which change. Two tables (`DataTree.dataWatches`, `childWatches`), the
//! rules of what fires in which, and the notifications that wait to be sent. A watch belongs to a connection
//! and goes with it; nothing is stored.
//!
//! | change of p, whose parent is q | fires |
//! |---|---|
//! | created | data p Created; child q ChildrenChanged |
//! | deleted | data p Deleted; child p Deleted, but not to those told already; child q ChildrenChanged |
//! | data set | data p DataChanged |
//!
//! In the data table, recursive watches of p and of all above it fire too, and so never see ChildrenChanged.

mod watch_manager;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::client::{SetWatches2, WatcherEvent};
use wire::codes::{KeeperState, perms};
use wire::{Acl, AddWatchMode, EventType, Id, WatcherType, Zxid, code};
use zab::ClientId;
pub use zab::Notification;

use crate::acl::check_acl;
use crate::data_tree::{ChangeListener, DataTree};

pub use watch_manager::{Mode, WatchManager};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Data,
    Child,
}

#[derive(Clone, Debug, Default)]
pub struct Watches {
    data: WatchManager,
    child: WatchManager,
    /// Who the watching clients are: an event goes only to those who may read the node.
    auth: BTreeMap<ClientId, Vec<Id>>,
    notifications: Vec<Notification>,
}

impl Watches {
    /// Every request says anew who its client is.
    pub fn client_is(&mut self, client: ClientId, auth: &[Id]) {
        let known = self.auth.entry(client).or_default();
        if known != auth {
            *known = auth.to_vec();
        }
    }

    /// A connection is gone, and its watches with it.
    pub fn remove_client(&mut self, client: ClientId) {
        self.data.remove_client(client);
        self.child.remove_client(client);
        self.auth.remove(&client);
        self.notifications.retain(|notification| notification.client != client);
    }

    pub fn clear(&mut self) {
        *self = Watches::default();
    }

    pub fn take_notifications(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.notifications)
    }

    pub fn data_table(&self) -> &WatchManager {
        &self.data
    }

    pub fn child_table(&self) -> &WatchManager {
        &self.child
    }

    /// What a read with its watch flag set leaves.
    pub fn add(&mut self, table: Table, path: &[u8], client: ClientId) {
        self.table(table).add(path, client, Mode::Standard);
    }

    fn table(&mut self, table: Table) -> &mut WatchManager {
        match table {
            Table::Data => &mut self.data,
            Table::Child => &mut self.child,
        }
    }

    pub fn add_watch(&mut self, path: &[u8], client: ClientId, mode: AddWatchMode) {
        match mode {
            AddWatchMode::Persistent => {
                self.data.add(path, client, Mode::Persistent);
                self.child.add(path, client, Mode::Persistent);
            }
            AddWatchMode::PersistentRecursive => self.data.add(path, client, Mode::PersistentRecursive),
        }
    }

    /// | type | removed |
    /// |---|---|
    /// | children | standard, child table |
    /// | data | standard, data table |
    /// | any | all, both |
    /// | persistent | persistent, both |
    /// | recursive | recursive, data table |
    pub fn remove_watches(&mut self, path: &[u8], client: ClientId, kind: WatcherType) -> Result<(), i32> {
        let removed = match kind {
            WatcherType::Children => self.child.remove(path, client, Some(Mode::Standard)),
            WatcherType::Data => self.data.remove(path, client, Some(Mode::Standard)),
            WatcherType::Any => self.child.remove(path, client, None) | self.data.remove(path, client, None),
            WatcherType::Persistent => {
                let mode = Some(Mode::Persistent);
                self.child.remove(path, client, mode) | self.data.remove(path, client, mode)
            }
            WatcherType::PersistentRecursive => {
                self.data.remove(path, client, Some(Mode::PersistentRecursive))
            }
        };
        if removed { Ok(()) } else { Err(code::NO_WATCHER) }
    }

    pub fn check_watches(&self, path: &[u8], client: ClientId, kind: WatcherType) -> Result<(), i32> {
        let found = match kind {
            WatcherType::Children => self.child.contains(path, client, Some(Mode::Standard)),
            WatcherType::Data => self.data.contains(path, client, Some(Mode::Standard)),
            WatcherType::Any => {
                self.child.contains(path, client, None) || self.data.contains(path, client, None)
            }
            WatcherType::Persistent => self.data.contains(path, client, Some(Mode::Persistent)),
            WatcherType::PersistentRecursive => {
                self.data.contains(path, client, Some(Mode::PersistentRecursive))
            }
        };
        if found { Ok(()) } else { Err(code::NO_WATCHER) }
    }

    /// What a client that reconnects had: each fires at once if it would have fired since `relativeZxid`.
    ///
    /// | list | node missing | node there |
    /// |---|---|---|
    /// | data | Deleted | mzxid newer: DataChanged; else data watch |
    /// | exist | data watch | Created |
    /// | child | Deleted | pzxid newer: ChildrenChanged; else child watch |
    /// | persistent | both | both |
    /// | recursive | data | data |
    pub fn set_watches(&mut self, tree: &DataTree, client: ClientId, set: &SetWatches2) {
        let since = set.relative_zxid;
        for path in &set.data_watches {
            match tree.find(path).map(|id| tree.node(id).mzxid) {
                None => self.missed(client, EventType::NodeDeleted, path),
                Some(mzxid) if mzxid > since => self.missed(client, EventType::NodeDataChanged, path),
                Some(_) => self.add(Table::Data, path, client),
            }
        }
        for path in &set.exist_watches {
            match tree.find(path) {
                None => self.add(Table::Data, path, client),
                Some(_) => self.missed(client, EventType::NodeCreated, path),
            }
        }
        for path in &set.child_watches {
            match tree.find(path).map(|id| tree.node(id).pzxid()) {
                None => self.missed(client, EventType::NodeDeleted, path),
                Some(pzxid) if pzxid > since => self.missed(client, EventType::NodeChildrenChanged, path),
                Some(_) => self.add(Table::Child, path, client),
            }
        }
        for path in &set.persistent_watches {
            self.add_watch(path, client, AddWatchMode::Persistent);
        }
        for path in &set.persistent_recursive_watches {
            self.add_watch(path, client, AddWatchMode::PersistentRecursive);
        }
    }

    fn missed(&mut self, client: ClientId, kind: EventType, path: &Bytes) {
        self.notifications.push(notification(client, Zxid::NONE, kind, path));
    }

    /// Those told, or that would have been: a watch is used up also where its client may not see the event.
    fn trigger(
        &mut self,
        table: Table,
        zxid: Zxid,
        kind: EventType,
        path: &[u8],
        acl: Option<&[Acl]>,
        told: &BTreeSet<ClientId>,
    ) -> BTreeSet<ClientId> {
        let fired = self.table(table).trigger(path);
        for client in fired.difference(told) {
            let auth = self.auth.get(client).map_or(&[][..], Vec::as_slice);
            if acl.is_none_or(|acl| check_acl(acl, perms::READ, auth).is_ok()) {
                self.notifications.push(notification(*client, zxid, kind, path));
            }
        }
        fired
    }
}

fn notification(client: ClientId, zxid: Zxid, kind: EventType, path: &[u8]) -> Notification {
    let state = KeeperState::SyncConnected.number();
    let event = WatcherEvent { kind: kind.number(), state, path: Bytes::copy_from_slice(path) };
    Notification { client, zxid, event }
}

/// Fires watches for the changes of one transaction.
pub struct Triggers<'a> {
    pub watches: &'a mut Watches,
    pub zxid: Zxid,
    /// Everybody may read everything.
    pub skip_acl: bool,
}

impl Triggers<'_> {
    fn fire(
        &mut self,
        table: Table,
        kind: EventType,
        path: &[u8],
        acl: &[Acl],
        told: &BTreeSet<ClientId>,
    ) -> BTreeSet<ClientId> {
        let acl = (!self.skip_acl).then_some(acl);
        self.watches.trigger(table, self.zxid, kind, path, acl, told)
    }
}

impl ChangeListener for Triggers<'_> {
    fn created(&mut self, path: &[u8], acl: &[Acl], parent: &[u8], parent_acl: &[Acl]) {
        let nobody = BTreeSet::new();
        self.fire(Table::Data, EventType::NodeCreated, path, acl, &nobody);
        self.fire(Table::Child, EventType::NodeChildrenChanged, parent, parent_acl, &nobody);
    }

    fn deleted(&mut self, path: &[u8], acl: &[Acl], parent: &[u8], parent_acl: &[Acl]) {
        let nobody = BTreeSet::new();
        let told = self.fire(Table::Data, EventType::NodeDeleted, path, acl, &nobody);
        self.fire(Table::Child, EventType::NodeDeleted, path, acl, &told);
        self.fire(Table::Child, EventType::NodeChildrenChanged, parent, parent_acl, &nobody);
    }

    fn data_changed(&mut self, path: &[u8], acl: &[Acl]) {
        self.fire(Table::Data, EventType::NodeDataChanged, path, acl, &BTreeSet::new());
    }
}
