//! The dynamic configuration files beside `zoo.cfg` (`QuorumPeerConfig.writeDynamicConfig`, ZOOKEEPER-1660): of the
//! configuration that was seen last, and of each that became active.
//!
//! ```text
//! zoo.cfg.dynamic.next         its lines, sorted, with `version=V`
//! zoo.cfg.dynamic.V            the others; V is in the name (hexadecimal), and `zoo.cfg` names the file
//! ```

use wire::Zxid;
use zab::{ConfigFile, DiskError, View, parse_config_text};

use crate::fs::{FileSystem, FsError, write_atomically};

/// What hosts put in the place of the path of their `zoo.cfg`.
pub const PREFIX: &str = "zoo.cfg.dynamic.";

pub const SEEN: &str = "zoo.cfg.dynamic.next";

pub fn active_name(version: Zxid) -> String {
    format!("{PREFIX}{:x}", version.0)
}

/// What a host without a `zoo.cfg` of its own starts with: the active configuration and the one that was seen, as far as
/// they are kept. The error names the file.
pub fn kept<F: FileSystem>(fs: &F) -> Result<(Option<View>, Option<View>), DiskError> {
    let read = |name: &str| match fs.read(name) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FsError::NotFound) => Ok(None),
        Err(e) => Err(e.in_file(name)),
    };
    let parse = |name: &str, bytes: Vec<u8>| {
        let corrupt = |what| DiskError::Corrupt { file: name.into(), offset: 0, what };
        parse_config_text(&bytes).map_err(corrupt)
    };
    let seen = read(SEEN)?.map(|bytes| parse(SEEN, bytes)).transpose()?;
    let Some(name) = read("zoo.cfg")? else { return Ok((None, seen)) };
    let name = String::from_utf8_lossy(&name).into_owned();
    let missing = || FsError::NotFound.in_file(&name);
    let active = parse(&name, read(&name)?.ok_or_else(missing)?)?;
    let version = name.strip_prefix(PREFIX).and_then(|hex| i64::from_str_radix(hex, 16).ok());
    Ok((Some(View { version: Zxid(version.ok_or_else(missing)?), ..active }), seen))
}

/// `text`: as the ensemble says it. One that is active takes the place of what was seen, unless that is later; in this
/// order a crash leaves one of them at least.
pub fn write<F: FileSystem>(
    fs: &mut F,
    file: ConfigFile,
    version: Zxid,
    text: &[u8],
) -> Result<(), DiskError> {
    write_files(fs, file, version, text).map_err(|error| match error {
        DiskError::Killed => error,
        error => DiskError::ConfigNotKept(error.to_string()),
    })
}

fn write_files<F: FileSystem>(
    fs: &mut F,
    file: ConfigFile,
    version: Zxid,
    text: &[u8],
) -> Result<(), DiskError> {
    if file == ConfigFile::Seen {
        return write_atomically(fs, SEEN, &[lines(text, |_| true).as_bytes()]);
    }
    let name = active_name(version);
    write_atomically(fs, &name, &[lines(text, |line| !line.starts_with("version=")).as_bytes()])?;
    fs.start_with_config(&name).map_err(|e| e.in_file("zoo.cfg"))?;
    forget_seen(fs, version)
}

fn lines(text: &[u8], stays: impl Fn(&str) -> bool) -> String {
    let text = String::from_utf8_lossy(text);
    let mut lines: Vec<&str> = text.lines().filter(|line| stays(line)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn forget_seen<F: FileSystem>(fs: &mut F, through: Zxid) -> Result<(), DiskError> {
    let seen = match fs.read(SEEN) {
        Ok(seen) => seen,
        Err(FsError::NotFound) => return Ok(()),
        Err(e) => return Err(e.in_file(SEEN)),
    };
    // One that cannot be read is nobody's any more.
    if parse_config_text(&seen).is_ok_and(|seen| seen.version > through) {
        return Ok(());
    }
    fs.remove(SEEN).and_then(|()| fs.sync_dir()).map_err(|e| e.in_file(SEEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    const TEXT: &[u8] = b"server.2=h:3:4:participant\nserver.1=h:1:2:participant\nversion=1a";

    const TEXT_SORTED: &str = "server.1=h:1:2:participant\nserver.2=h:3:4:participant\nversion=1a";

    fn files(fs: &MemFs) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).expect("text");
        fs.files.iter().map(|(name, bytes)| (name.as_str(), text(bytes))).collect()
    }

    #[test]
    fn seen_then_active() {
        let mut fs = MemFs::default();
        write(&mut fs, ConfigFile::Seen, Zxid(0x1a), TEXT).expect("written");
        let lines = "server.1=h:1:2:participant\nserver.2=h:3:4:participant";
        assert_eq!(files(&fs), [(SEEN, format!("{lines}\nversion=1a").as_str())]);
        write(&mut fs, ConfigFile::Active, Zxid(0x19), TEXT).expect("written");
        let seen = kept(&fs).expect("what was written").1.map(|seen| seen.version);
        assert_eq!((files(&fs).len(), seen), (3, Some(Zxid(0x1a))), "what was seen is later");
        write(&mut fs, ConfigFile::Active, Zxid(0x1a), TEXT).expect("written");
        let names =
            [("zoo.cfg", "zoo.cfg.dynamic.1a"), ("zoo.cfg.dynamic.19", lines), ("zoo.cfg.dynamic.1a", lines)];
        assert_eq!(files(&fs), names);
        let (active, seen) = kept(&fs).expect("what was written");
        assert_eq!((active.map(|active| active.text()), seen), (Some(TEXT_SORTED.into()), None));
        fs.files.remove("zoo.cfg.dynamic.1a");
        let why = kept(&fs).expect_err("it is gone").to_string();
        assert!(why.contains("zoo.cfg.dynamic.1a: no such file"), "{why}");
    }
}
