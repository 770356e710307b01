//! The dynamic files beside a `zoo.cfg` (`QuorumPeerConfig`, ZOOKEEPER-1660): what their names say, and how a `zoo.cfg`
//! comes to name one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use peer::parse_config_text;
use wire::{ServerId, Zxid};

use super::{is_membership, properties};

/// The hexadecimal number behind the last dot; 0 without one (`getVersionFromFilename`).
pub fn version_of(path: &Path) -> Zxid {
    let hex = path.extension().and_then(|hex| i64::from_str_radix(hex.to_str()?, 16).ok());
    Zxid(hex.unwrap_or(0))
}

/// Where storage's `zoo.cfg.dynamic.*` lies.
pub fn path_of(zoo_cfg: &Path, name: &str) -> PathBuf {
    let suffix = name.strip_prefix("zoo.cfg").unwrap_or(name);
    let mut path = std::path::absolute(zoo_cfg).unwrap_or_else(|_| zoo_cfg.into()).into_os_string();
    path.push(suffix);
    path.into()
}

/// The next start takes the members from `dynamic` (`editStaticConfig`). Members that the file lists itself are kept in
/// a copy, `zoo.cfg.bak`.
pub fn start_with(zoo_cfg: &Path, dynamic: &Path, my_id: ServerId) -> io::Result<()> {
    // A link stays one.
    let zoo_cfg = fs::canonicalize(zoo_cfg)?;
    let old = fs::read_to_string(&zoo_cfg)?;
    let view = parse_config_text(&fs::read(dynamic)?).map_err(io::Error::other)?;
    let own_port = view.members.get(&my_id).is_some_and(|own| own.client_address.is_some());
    let dynamic = dynamic.to_str().ok_or_else(|| io::Error::other("expected a path in UTF-8"))?;
    let new = naming(&old, dynamic, own_port);
    if new == old {
        return Ok(());
    }
    let lists_members = properties::read(&old).iter().any(|property| is_membership(&property.key));
    if lists_members {
        write_durably(&zoo_cfg, "bak", &old)?;
    }
    write_durably(&zoo_cfg, "tmp", &new)?;
    fs::rename(with_suffix(&zoo_cfg, "tmp"), &zoo_cfg)?;
    sync_dir_of(&zoo_cfg)
}

/// All other lines stay as they are. The name comes first: it can then be no part of a line that goes on.
fn naming(old: &str, dynamic: &str, own_port: bool) -> String {
    let goes = |key: &str| {
        is_membership(key)
            || matches!(key, "dynamicConfigFile" | "peerType")
            || own_port && matches!(key, "clientPort" | "clientPortAddress")
    };
    let gone = properties::read(old).into_iter().filter(|property| goes(&property.key));
    let gone: Vec<_> = gone.map(|property| property.line..property.end).collect();
    let stays = |number: usize| !gone.iter().any(|lines| lines.contains(&number));
    let lines = old.lines().enumerate().filter(|(index, _)| stays(index + 1));
    let rest: String = lines.map(|(_, line)| format!("{line}\n")).collect();
    let path = dynamic.replace('\\', "\\\\");
    format!("dynamicConfigFile={path}\n{rest}")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}

/// Beside `path`, and for the same eyes: a `zoo.cfg` may hold a password. Its owner, where this process may give files away.
fn write_durably(path: &Path, suffix: &str, text: &str) -> io::Result<()> {
    let of = fs::metadata(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(with_suffix(path, suffix))?;
    let _ = std::os::unix::fs::fchown(&file, Some(of.uid()), Some(of.gid()));
    file.set_permissions(of.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub fn sync_dir_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_stand_in_names() {
        for (name, version) in
            [("zoo.cfg.dynamic.10000000a", 0x1_0000_000a), ("zoo.cfg.dynamic", 0), ("members", 0), ("d.", 0)]
        {
            assert_eq!(version_of(Path::new(name)).0, version, "{name}");
        }
        assert_eq!(
            path_of(Path::new("/c/my.cfg"), "zoo.cfg.dynamic.next"),
            Path::new("/c/my.cfg.dynamic.next")
        );
    }

    const OLD: &str = "# ours\ntickTime=2000\nserver.1=a:\\\n  1:2\nserver.2=b:1:2\nclientPort=2181\n\
                       group.1=1:2\npeerType=observer\n# the end";

    #[test]
    fn the_static_file_keeps_what_is_no_member() {
        let dir = tempfile::tempdir().expect("a directory");
        let [cfg, bak, one, two] = ["zoo.cfg", "zoo.cfg.bak", "zoo.cfg.dynamic.1", "zoo.cfg.dynamic.2"]
            .map(|name| dir.path().join(name));
        fs::write(&cfg, OLD).expect("written");
        fs::write(&one, "server.1=a:1:2:participant\n").expect("written");
        fs::write(&two, "server.1=a:1:2:participant;2182\n").expect("written");
        let text = |path: &Path| fs::read_to_string(path).expect("a file");
        let id = ServerId(1);
        fs::set_permissions(&cfg, fs::Permissions::from_mode(0o600)).expect("mode");
        start_with(&cfg, &one, id).expect("edited");
        let rest = "# ours\ntickTime=2000\nclientPort=2181\n# the end\n";
        assert_eq!(text(&cfg), format!("dynamicConfigFile={}\n{rest}", one.display()));
        assert_eq!(text(&bak), OLD);
        for path in [&cfg, &bak] {
            assert_eq!(fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o600);
        }
        fs::remove_file(&bak).expect("removed");
        start_with(&cfg, &two, id).expect("edited");
        let rest = rest.replace("clientPort=2181\n", "");
        let named = format!("dynamicConfigFile={}\n{rest}", two.display());
        assert_eq!(text(&cfg), named, "the port is in the dynamic file");
        assert!(!bak.exists(), "there were no members to keep");
        fs::write(&one, "server.x=\n").expect("written");
        start_with(&cfg, &one, id).expect_err("no members in it");
        assert_eq!(text(&cfg), named);
        // A last line that would go on takes nothing with it.
        fs::write(&cfg, "server.1=a:1:2\nmaxCnxns=0\\").expect("written");
        start_with(&cfg, &two, id).expect("edited");
        let named = properties::read(&text(&cfg)).into_iter().find(|p| p.key == "dynamicConfigFile");
        assert_eq!(named.map(|named| named.value), Some(two.display().to_string()));
    }
}
