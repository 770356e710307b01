//! `WatchManager`: one table of watches, by path and by client.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use zab::ClientId;

/// How a watch stands; a path and client may have several at once (3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Fires once.
    Standard = 1,
    Persistent = 2,
    /// For the path and everything below it.
    PersistentRecursive = 4,
}

#[derive(Clone, Debug, Default)]
pub struct WatchManager {
    /// Sums of modes; none is 0, no map is empty.
    by_path: BTreeMap<Bytes, BTreeMap<ClientId, u8>>,
    by_client: BTreeMap<ClientId, BTreeSet<Bytes>>,
    /// Pairs with a recursive watch: where there is none, nobody looks at ancestors.
    recursive: usize,
}

const RECURSIVE: u8 = Mode::PersistentRecursive as u8;

impl WatchManager {
    pub fn add(&mut self, path: &[u8], client: ClientId, mode: Mode) {
        let path = match self.by_path.get_key_value(path) {
            Some((path, _)) => path.clone(),
            None => Bytes::copy_from_slice(path),
        };
        let modes = self.by_path.entry(path.clone()).or_default().entry(client).or_default();
        if mode == Mode::PersistentRecursive && *modes & RECURSIVE == 0 {
            self.recursive += 1;
        }
        *modes |= mode as u8;
        self.by_client.entry(client).or_default().insert(path);
    }

    /// Takes away one mode, or all. False if there was nothing.
    pub fn remove(&mut self, path: &[u8], client: ClientId, mode: Option<Mode>) -> bool {
        let gone = mode.map_or(u8::MAX, |mode| mode as u8);
        let Some(before) = self.modes(path, client) else { return false };
        self.set(path, client, before & !gone);
        before & gone != 0
    }

    pub fn contains(&self, path: &[u8], client: ClientId, mode: Option<Mode>) -> bool {
        let wanted = mode.map_or(u8::MAX, |mode| mode as u8);
        self.modes(path, client).is_some_and(|modes| modes & wanted != 0)
    }

    fn modes(&self, path: &[u8], client: ClientId) -> Option<u8> {
        self.by_path.get(path)?.get(&client).copied()
    }

    /// `modes` is a part of what is there.
    fn set(&mut self, path: &[u8], client: ClientId, modes: u8) {
        let Some(clients) = self.by_path.get_mut(path) else { return };
        let Some(now) = clients.get_mut(&client) else { return };
        if *now & RECURSIVE != 0 && modes & RECURSIVE == 0 {
            self.recursive -= 1;
        }
        *now = modes;
        if modes != 0 {
            return;
        }
        clients.remove(&client);
        if clients.is_empty() {
            self.by_path.remove(path);
        }
        if let Some(paths) = self.by_client.get_mut(&client) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }

    pub fn remove_client(&mut self, client: ClientId) {
        for path in self.by_client.get(&client).cloned().unwrap_or_default() {
            self.set(&path, client, 0);
        }
    }

    /// Those to be told of a change of `path`. What fires once is used up.
    pub fn trigger(&mut self, path: &[u8]) -> BTreeSet<ClientId> {
        let mut told = BTreeSet::new();
        let Some(clients) = self.by_path.get(path) else {
            self.recursive_above(path, &mut told);
            return told;
        };
        told.extend(clients.keys().copied());
        for client in told.clone() {
            self.remove(path, client, Some(Mode::Standard));
        }
        self.recursive_above(path, &mut told);
        told
    }

    fn recursive_above(&self, path: &[u8], told: &mut BTreeSet<ClientId>) {
        if self.recursive == 0 || path.len() < 2 {
            return;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in slashes {
            let above = &path[..end.max(1)];
            if let Some(clients) = self.by_path.get(above) {
                told.extend(clients.iter().filter(|(_, modes)| **modes & RECURSIVE != 0).map(|(c, _)| *c));
            }
        }
    }

    /// Pairs of path and client (`size`).
    pub fn len(&self) -> usize {
        self.by_client.values().map(BTreeSet::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// How many clients watch, and how many paths.
    pub fn counts(&self) -> (usize, usize) {
        (self.by_client.len(), self.by_path.len())
    }

    pub fn by_client(&self) -> impl Iterator<Item = (ClientId, &BTreeSet<Bytes>)> {
        self.by_client.iter().map(|(client, paths)| (*client, paths))
    }

    pub fn by_path(&self) -> impl Iterator<Item = (&Bytes, impl Iterator<Item = ClientId>)> {
        self.by_path.iter().map(|(path, clients)| (path, clients.keys().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientId = ClientId(1);
    const B: ClientId = ClientId(2);

    #[test]
    fn modes_stand_beside_each_other() {
        let mut table = WatchManager::default();
        table.add(b"/a", A, Mode::Standard);
        table.add(b"/a", A, Mode::Persistent);
        table.add(b"/", B, Mode::PersistentRecursive);
        assert_eq!(table.trigger(b"/a"), [A, B].into());
        assert!(!table.contains(b"/a", A, Some(Mode::Standard)));
        assert_eq!(table.trigger(b"/a"), [A, B].into());
        assert_eq!(table.trigger(b"/a/b"), [B].into(), "persistent is not recursive");
        assert!(table.remove(b"/a", A, Some(Mode::Persistent)));
        assert!(!table.remove(b"/a", A, None));
        assert_eq!((table.trigger(b"/a"), table.trigger(b"/")), ([B].into(), [B].into()));
        table.remove_client(B);
        assert!(table.is_empty() && table.by_client.is_empty() && table.recursive == 0);
    }

    #[test]
    fn the_name_of_a_neighbour_is_not_above() {
        let mut table = WatchManager::default();
        table.add(b"/a", A, Mode::PersistentRecursive);
        assert!(table.trigger(b"/ab").is_empty());
        assert_eq!(table.trigger(b"/a/b/c"), [A].into());
        table.add(b"/a", A, Mode::PersistentRecursive);
        table.remove(b"/a", A, None);
        assert_eq!((table.recursive, table.trigger(b"/a/b").len()), (0, 0));
    }
}
