//! Filling a tree from the records of a snapshot (`DataTree.deserialize`).

use bytes::Bytes;
use wire::{Acl, StatPersisted};

use super::node::ROOT;
use super::{CONFIG_NODE, DataTree, split};

impl DataTree {
    /// All lists come before the first node.
    pub fn restore_acl(&mut self, key: i64, acl: &Vec<Acl>) -> Result<(), String> {
        self.acls.restore(key, acl)
    }

    /// Parents come before their children. The root replaces the one that is there.
    pub fn restore_node(
        &mut self,
        path: &Bytes,
        data: Option<&[u8]>,
        acl_key: i64,
        stat: &StatPersisted,
    ) -> Result<(), String> {
        let text = || String::from_utf8_lossy(path).into_owned();
        let slot = self.acls.add_key(acl_key);
        self.last_zxid = self.last_zxid.max(stat.czxid).max(stat.pzxid);
        // The configuration's is its version, which a file may say.
        if path != CONFIG_NODE {
            self.last_zxid = self.last_zxid.max(stat.mzxid);
        }
        if path.is_empty() {
            if self.node_count() > 1 {
                return Err("expected the root to come first".into());
            }
            return self.restore_root(data, slot, stat);
        }
        let Some((parent, name)) = split(path).filter(|(_, name)| !name.is_empty()) else {
            return Err(format!("expected a path, found {:?}", text()));
        };
        let Some(parent) = self.find(parent) else {
            return Err(format!("expected {:?} behind its parent", text()));
        };
        if self.child(parent, name).is_some() {
            return Err(format!("expected {:?} once", text()));
        }
        self.put(parent, path, data, slot, stat);
        self.quota_restored(path, data.map_or(0, <[u8]>::len) as i64);
        Ok(())
    }

    fn restore_root(&mut self, data: Option<&[u8]>, slot: u32, stat: &StatPersisted) -> Result<(), String> {
        let root = self.nodes.get_mut(ROOT);
        root.set_data(data);
        self.data_bytes = data.map_or(0, <[u8]>::len) as u64;
        (root.czxid, root.mzxid, root.ctime, root.mtime) = (stat.czxid, stat.mzxid, stat.ctime, stat.mtime);
        (root.version, root.aversion) = (stat.version, stat.aversion);
        let rare = root.rare_mut();
        (rare.owner, rare.pzxid, rare.cversion) = (stat.ephemeral_owner, stat.pzxid, stat.cversion);
        self.set_acl_slot(ROOT, b"", slot);
        self.redigest(ROOT, b"");
        Ok(())
    }
}
