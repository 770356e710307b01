//! A small file system for each member, so that it can be full: tmpfs, where this process may mount.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interop::python::succeed;

/// More than a run of minutes writes.
const SIZE: &str = "size=96m";

#[derive(Debug)]
pub struct Disks {
    root: PathBuf,
    mounted: Vec<PathBuf>,
}

impl Drop for Disks {
    fn drop(&mut self) {
        for path in &self.mounted {
            let _ = succeed(Command::new("umount").arg("--lazy").arg(path));
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Disks {
    pub fn mount(members: usize) -> Result<Disks, String> {
        let root = std::env::temp_dir().join(format!("vivarium-chaos-disks-{}", std::process::id()));
        let mut disks = Disks { root: root.clone(), mounted: Vec::new() };
        for sid in 1..=members {
            let path = root.join(sid.to_string());
            std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            succeed(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&path))?;
            disks.mounted.push(path);
        }
        Ok(disks)
    }

    pub fn path(&self, sid: usize) -> &Path {
        &self.mounted[sid - 1]
    }

    fn ballast(&self, sid: usize) -> PathBuf {
        self.path(sid).join("ballast")
    }

    /// Until nothing more fits.
    pub fn fill(&self, sid: usize) -> Result<(), String> {
        let path = self.ballast(sid);
        let mut file = std::fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            while file.write_all(&piece).is_ok() {}
            piece.truncate(piece.len() / 2);
        }
        Ok(())
    }

    pub fn empty(&self, sid: usize) -> Result<(), String> {
        let path = self.ballast(sid);
        std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))
    }
}
