//! acceptedEpoch and currentEpoch: decimal text, replaced atomically and durably.

use wire::Epoch;
use zab::{DiskError, EpochFile};

use crate::fs::{FileSystem, FsError, write_atomically};

pub fn file_name(file: EpochFile) -> &'static str {
    match file {
        EpochFile::AcceptedEpoch => "acceptedEpoch",
        EpochFile::CurrentEpoch => "currentEpoch",
    }
}

pub fn read<F: FileSystem>(fs: &F, file: EpochFile) -> Result<Option<Epoch>, DiskError> {
    let name = file_name(file);
    let bytes = match fs.read(name) {
        Ok(bytes) => bytes,
        Err(FsError::NotFound) => return Ok(None),
        Err(e) => return Err(e.in_file(name)),
    };
    let first_line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let epoch = std::str::from_utf8(first_line).ok().and_then(|line| line.trim().parse::<i64>().ok());
    epoch.map(|epoch| Some(Epoch(epoch))).ok_or_else(|| DiskError::Corrupt {
        file: name.into(),
        offset: 0,
        what: "expected a decimal number in the first line".into(),
    })
}

pub fn write<F: FileSystem>(fs: &mut F, file: EpochFile, epoch: Epoch) -> Result<(), DiskError> {
    write_atomically(fs, file_name(file), &[epoch.0.to_string().as_bytes()])
}
