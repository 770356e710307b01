//! `vivarium decode`: what a file of a ZooKeeper server, or a recording of its connections, says.
//!
//! A file is told by its content, or else by its name. Text is for people; with `--json` there is one
//! JSON object a line, `kind` saying what it is; of a directory one object, the tree that a server makes of
//! it. Where a file is damaged, what is intact is printed, then the place and what was expected there.

mod directory;
mod log;
mod snapshot;
mod stream;
mod value;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use storage::{MemFs, epoch};
use wire::{FileHeader, Jute};
use zab::EpochFile;

use crate::DecodeArgs;

/// A place in a file where something else was expected.
pub struct Damage {
    pub at: Place,
    pub expected: String,
}

pub enum Place {
    /// A byte of the file; of a compressed one, of what was compressed.
    Offset(u64),
    /// A line of a recording.
    Line(usize),
}

impl Damage {
    fn at_offset(offset: u64, expected: impl Into<String>) -> Damage {
        Damage { at: Place::Offset(offset), expected: expected.into() }
    }

    fn report(&self, file: &str, json: bool) {
        let expected = &self.expected;
        match (&self.at, json) {
            (Place::Offset(at), true) => {
                say!("{}", json!({"kind": "damage", "file": file, "offset": at, "expected": expected}));
            }
            (Place::Line(line), true) => {
                say!("{}", json!({"kind": "damage", "file": file, "line": line, "expected": expected}));
            }
            (Place::Offset(at), false) => say!("damaged: {file}, offset {at}: {expected}"),
            (Place::Line(line), false) => say!("damaged: {file}, line {line}: {expected}"),
        }
    }
}

/// What kind of file it is.
enum Kind {
    Log,
    Snapshot,
    Epoch(EpochFile),
    Stream,
}

impl Kind {
    /// By the name; or, for files that were renamed, by the content.
    fn of(name: &str, bytes: &[u8]) -> Option<Kind> {
        let magic = FileHeader::parse(bytes::Bytes::copy_from_slice(&bytes[..bytes.len().min(16)]));
        let magic = magic.ok().map(|header| header.magic);
        Some(match name {
            "acceptedEpoch" => Kind::Epoch(EpochFile::AcceptedEpoch),
            "currentEpoch" => Kind::Epoch(EpochFile::CurrentEpoch),
            _ if name.ends_with(".jsonl") => Kind::Stream,
            _ if magic == Some(FileHeader::LOG.magic) || name.starts_with("log.") => Kind::Log,
            _ if magic == Some(FileHeader::SNAPSHOT.magic) || name.starts_with("snapshot.") => Kind::Snapshot,
            _ => return None,
        })
    }
}

pub fn decode(args: &DecodeArgs) -> ExitCode {
    let path = &args.path;
    let decoded = if path.is_dir() { directory::decode(path, args.json) } else { file(path, args.json) };
    match decoded {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("vivarium: {}: {why}", path.display());
            ExitCode::from(2)
        }
    }
}

/// `Ok(true)` if the file is whole; an error if there is nothing to decode.
fn file(path: &Path, json: bool) -> Result<bool, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let damage = match Kind::of(name, &bytes) {
        Some(Kind::Log) => log::print(name, bytes, json),
        Some(Kind::Snapshot) => snapshot::print(name, bytes, json),
        Some(Kind::Epoch(which)) => print_epoch(name, bytes, which, json),
        Some(Kind::Stream) => stream::print(&bytes, json),
        None => {
            return Err("expected a log, a snapshot, an epoch file or a recording (.jsonl)".into());
        }
    };
    damage.iter().for_each(|damage| damage.report(name, json));
    Ok(damage.is_empty())
}

fn print_epoch(name: &str, bytes: Vec<u8>, which: EpochFile, json: bool) -> Vec<Damage> {
    match read_epoch(bytes, which) {
        Ok(epoch) if json => say!("{}", json!({"kind": name, "epoch": epoch})),
        Ok(epoch) => say!("{name} {epoch}"),
        Err(damage) => return vec![damage],
    }
    Vec::new()
}

fn read_epoch(bytes: Vec<u8>, which: EpochFile) -> Result<i64, Damage> {
    let mut fs = MemFs::default();
    fs.files.insert(epoch::file_name(which).into(), bytes);
    match epoch::read(&fs, which) {
        Ok(Some(epoch)) => Ok(epoch.0),
        _ => Err(Damage::at_offset(0, "expected a decimal number in the first line")),
    }
}
