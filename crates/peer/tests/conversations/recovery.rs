//! Each row of the table by which a member recovers (`storage::recover`): what it finds, what it says,
//! what it votes with, and what the disk holds afterwards.

use peer::{DiskOp, EpochFile};
use storage::MemFs;
use wire::{Epoch, Zxid};

use crate::script::{converse_on, files};
use crate::{disk, entry, keep, member};

const E1: i64 = 1 << 32;
const E2: i64 = 2 << 32;

/// Three transactions of epoch 1, both epochs 1.
fn three() -> MemFs {
    files(&disk(1, 1, &[E1 | 1, E1 | 2, E1 | 3]))
}

fn recovers(name: &str, fs: MemFs) {
    let script = "disk shows its files
        boot
        disk shows its files
        # And again: recovery changes nothing that it changed before.
        crash
        boot";
    keep("recovery", name, &converse_on(member(1, 3, 0), fs, script));
}

fn log(fs: &mut MemFs) -> &mut Vec<u8> {
    fs.files.get_mut("log.100000001").expect("the log")
}

/// A snapshot of epoch 2 that was waiting for currentEpoch.
fn installing() -> MemFs {
    let mut ops = disk(1, 1, &[E1 | 1, E1 | 2, E1 | 3]);
    ops.push(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(2)));
    ops.push(DiskOp::SnapshotSlice { zxid: Zxid(E2 | 8), bytes: storage::recover::empty_body() });
    ops.push(DiskOp::Install { zxid: Zxid(E2 | 8), epoch: Epoch(2), log: vec![entry(E2 | 9)] });
    files(&ops)
}

#[test]
fn row_a_nothing_at_all() {
    recovers("row-a-nothing", MemFs::default());
}

#[test]
fn row_b_an_install_that_took_effect() {
    let mut fs = installing();
    fs.files.insert("currentEpoch".into(), b"2".to_vec());
    recovers("row-b-install-rolled-forward", fs);
}

#[test]
fn row_c_an_install_that_did_not() {
    recovers("row-c-install-dropped", installing());
}

#[test]
fn row_d_a_log_without_a_snapshot() {
    let mut fs = three();
    fs.files.remove("snapshot.0");
    recovers("row-d-no-snapshot", fs);
}

#[test]
fn row_e_history_above_current_epoch() {
    let mut ops = disk(1, 1, &[E1 | 1, E1 | 2]);
    ops.push(DiskOp::Append(vec![entry(E2 | 1)]));
    ops.push(DiskOp::Sync);
    recovers("row-e-above-current-epoch", files(&ops));
}

#[test]
fn row_f_a_torn_end() {
    let mut fs = three();
    let whole = log(&mut fs).len();
    log(&mut fs).truncate(whole - 20);
    recovers("row-f-torn-end", fs);
}

#[test]
fn row_g_damage() {
    let mut fs = three();
    log(&mut fs)[60] ^= 1;
    recovers("row-g-damage", fs);
}

#[test]
fn row_h_an_epoch_file_is_missing() {
    let mut fs = three();
    fs.files.remove("currentEpoch");
    fs.files.remove("acceptedEpoch");
    recovers("row-h-epoch-files-missing", fs);
}

#[test]
fn row_i_accepted_below_current() {
    let mut fs = three();
    fs.files.insert("currentEpoch".into(), b"2".to_vec());
    recovers("row-i-accepted-below-current", fs);
}
