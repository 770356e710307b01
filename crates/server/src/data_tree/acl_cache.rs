//! `AclCache` (`ReferenceCountedACLCache`): each list of ACLs once, whatever number of nodes has it.
//!
//! A list has a *key*, with which snapshots write it, and a *slot* here, which nodes hold. Keys are one
//! server's own and never used twice by it: a snapshot that is written while changes go on may name a key
//! that its list of ACLs, written first, did not have, and must not mean another list by it.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::codes::perms;
use wire::{Acl, Id, Jute};

/// The slot of the open list, which snapshots write as key -1 (`OPEN_UNSAFE_ACL_ID`).
pub const OPEN: u32 = 0;
const OPEN_KEY: i64 = -1;

#[derive(Clone, Debug)]
struct Entry {
    key: i64,
    acl: Vec<Acl>,
    /// A fixed hash of the list, for the digest of the state.
    hash: u32,
    references: u32,
    /// A snapshot named the key and had no list for it.
    unknown: bool,
}

#[derive(Clone, Debug)]
pub struct AclCache {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_key: BTreeMap<i64, u32>,
    /// By the list's encoding.
    by_list: BTreeMap<Bytes, u32>,
    last_key: i64,
}

impl Default for AclCache {
    fn default() -> Self {
        let open = Entry { key: OPEN_KEY, acl: vec![Acl::open()], hash: 0, references: 0, unknown: false };
        AclCache {
            entries: vec![open],
            free: Vec::new(),
            by_key: BTreeMap::from([(OPEN_KEY, OPEN)]),
            by_list: BTreeMap::new(),
            last_key: 0,
        }
    }
}

/// A copy that holds nothing of the packet that the list came in.
fn owned(acl: &[Acl]) -> Vec<Acl> {
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let id = |id: &Id| Id { scheme: copy(&id.scheme), id: copy(&id.id) };
    acl.iter().map(|acl| Acl { perms: acl.perms, id: id(&acl.id) }).collect()
}

impl AclCache {
    /// The slot of a list, with one reference more. `None` is the open list.
    pub fn add(&mut self, acl: Option<&Vec<Acl>>) -> u32 {
        let Some(acl) = acl else { return OPEN };
        let list = acl.to_bytes();
        let slot = match self.by_list.get(&list) {
            Some(slot) => *slot,
            None => {
                self.last_key = self.unused_key();
                self.insert(self.last_key, owned(acl), list, false)
            }
        };
        self.entries[slot as usize].references += 1;
        slot
    }

    /// The next above all that were used; from 1 again only where a snapshot came with the very last.
    fn unused_key(&self) -> i64 {
        let mut key = self.last_key;
        loop {
            key = key.checked_add(1).unwrap_or(1).max(1);
            if !self.by_key.contains_key(&key) {
                return key;
            }
        }
    }

    fn insert(&mut self, key: i64, acl: Vec<Acl>, list: Bytes, unknown: bool) -> u32 {
        let entry = Entry { key, acl, hash: crc32fast::hash(&list), references: 0, unknown };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 lists")
            }
        };
        self.by_key.insert(key, slot);
        if !unknown {
            self.by_list.insert(list, slot);
        }
        slot
    }

    /// A snapshot's node has it, and no list came with its key.
    pub fn is_unknown(&self, slot: u32) -> bool {
        self.entries[slot as usize].unknown
    }

    /// A reference less; a list that nobody has is forgotten.
    pub fn remove(&mut self, slot: u32) {
        if slot == OPEN {
            return;
        }
        let entry = &mut self.entries[slot as usize];
        entry.references = entry.references.saturating_sub(1);
        if entry.references > 0 {
            return;
        }
        let (key, list) = (entry.key, entry.acl.to_bytes());
        entry.acl = Vec::new();
        self.by_key.remove(&key);
        if self.by_list.get(&list) == Some(&slot) {
            self.by_list.remove(&list);
        }
        self.free.push(slot);
    }

    pub fn get(&self, slot: u32) -> &[Acl] {
        &self.entries[slot as usize].acl
    }

    pub fn hash(&self, slot: u32) -> u32 {
        self.entries[slot as usize].hash
    }

    pub fn key(&self, slot: u32) -> i64 {
        self.entries[slot as usize].key
    }

    /// What a snapshot has under a key. Two keys may have one list, a key comes once.
    pub fn restore(&mut self, key: i64, acl: &Vec<Acl>) -> Result<(), String> {
        if self.by_key.contains_key(&key) {
            return Err(format!("the ACL key {key} stands there twice"));
        }
        self.last_key = self.last_key.max(key);
        self.insert(key, owned(acl), acl.to_bytes(), false);
        Ok(())
    }

    /// The slot of a key that a snapshot's node names, with one reference more. A key without a list can
    /// stand in a snapshot that was written while the node's ACL changed; the log behind it sets the ACL
    /// again. Until then nobody may do anything with the node.
    pub fn add_key(&mut self, key: i64) -> u32 {
        let slot = match self.by_key.get(&key) {
            Some(slot) => *slot,
            None => {
                self.last_key = self.last_key.max(key);
                let nobody = vec![Acl { perms: 0, id: Id::anyone() }];
                debug_assert!(nobody[0].perms & perms::ALL == 0, "no permission");
                let list = nobody.to_bytes();
                self.insert(key, nobody, list, true)
            }
        };
        if slot != OPEN {
            self.entries[slot as usize].references += 1;
        }
        slot
    }

    /// What a snapshot writes: the lists in use, by key.
    pub fn in_use(&self) -> impl Iterator<Item = (i64, &Vec<Acl>)> {
        let entries = self.by_key.values().map(|slot| &self.entries[*slot as usize]);
        entries.filter(|entry| entry.references > 0 && !entry.unknown).map(|entry| (entry.key, &entry.acl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(perms: i32) -> Vec<Acl> {
        vec![Acl { perms, id: Id::anyone() }]
    }

    #[test]
    fn keys_are_not_used_again() {
        let mut cache = AclCache::default();
        assert_eq!(cache.add(None), OPEN);
        let slots = [1, 2, 1].map(|perms| cache.add(Some(&list(perms))));
        assert!(slots[0] == slots[2] && cache.get(slots[1]) == list(2));
        cache.remove(slots[1]);
        let third = cache.add(Some(&list(3)));
        assert_eq!((cache.key(slots[0]), cache.key(third)), (1, 3));
        assert_eq!(third, slots[1], "a slot is, a key is not");
        cache.remove(slots[0]);
        assert_eq!(cache.in_use().count(), 2);
        cache.remove(slots[0]);
        assert_eq!(cache.in_use().map(|(key, _)| key).collect::<Vec<_>>(), [3]);
    }

    /// A snapshot of Java's may have one list twice: when the one goes, the other still is the list's.
    #[test]
    fn a_list_with_two_keys() {
        let mut cache = AclCache::default();
        for key in [1, 2] {
            cache.restore(key, &list(7)).expect("a new key");
        }
        let [first, second] = [1, 2].map(|key| cache.add_key(key));
        cache.remove(first);
        assert_eq!(cache.add(Some(&list(7))), second);
        cache.remove(second);
        cache.remove(second);
        assert_eq!(cache.in_use().count(), 0);
    }

    #[test]
    fn any_key_of_a_snapshot() {
        let mut cache = AclCache::default();
        for key in [i64::MAX, 0, i64::MIN, 1] {
            cache.restore(key, &list(key as i32 & 31)).expect("a new key");
        }
        let unknown = cache.add_key(77);
        assert_eq!(cache.get(unknown), list(0));
        let new = cache.add(Some(&list(1000)));
        assert_eq!(cache.key(new), 2);
        assert_eq!(
            cache.in_use().map(|(key, _)| key).collect::<Vec<_>>(),
            [2],
            "unknown ones are not written"
        );
    }
}
