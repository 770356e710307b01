//! Reading any bytes takes memory in proportion to them, whatever lengths and counts they claim. One
//! test, so that nothing else allocates meanwhile.

mod common;

use std::alloc::System;

use common::{entries, log_file};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use storage::log_reader::read_log;
use storage::snapshot;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated by `f`, freed ones too.
fn allocated<T>(f: impl FnOnce() -> T) -> usize {
    let region = Region::new(ALLOCATOR);
    let value = f();
    let bytes = region.change().bytes_allocated;
    drop(value);
    bytes
}

#[test]
fn memory_is_bounded_by_the_input() {
    let word = prop_oneof![
        Just(0u32),
        Just(1),
        Just(u32::MAX),
        Just(i32::MAX as u32),
        Just(1 << 20),
        Just(2_097_150),
        0u32..200,
        any::<u32>(),
    ];
    let words = prop::collection::vec(word, 0..300);
    let mut runner = TestRunner::deterministic();
    let check = |words: Vec<u32>| {
        let tail: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let log = [log_file(&entries(1, 1..=2)), tail.clone()].concat();
        let body = [snapshot::HEADER.as_slice(), &tail].concat();
        for (what, bytes) in [("log", log), ("snapshot", body)] {
            let limit = 4096 + 16 * bytes.len();
            let taken = match what {
                "log" => allocated(|| read_log("log.1", bytes)),
                _ => allocated(|| snapshot::read("snapshot.1", bytes)),
            };
            prop_assert!(taken <= limit, "{what}: {taken} bytes for an input of {limit} / 16");
        }
        Ok(())
    };
    runner.run(&words, check).expect("bounded");

    // Snapshots that claim much: sessions, an ACL vector, a node.
    for claim in [
        [0x7fff_ffff_u32, 0, 0, 0, 0].as_slice(),
        &[0, 0x7fff_ffff, 0, 1, 1 << 20, 31],
        &[0, 0, 0, 2_097_150, 0],
    ] {
        check(claim.to_vec()).expect("bounded");
    }

    // Entries of a preallocated file do not keep all of it.
    let mut padded = log_file(&entries(1, 1..=3));
    padded.resize(8 << 20, 0);
    let region = Region::new(ALLOCATOR);
    let log = read_log("log.1", padded).expect("a log");
    let change = region.change();
    assert_eq!(log.entries.len(), 3);
    // (The input was allocated before.)
    let kept = change.bytes_allocated as i64 - change.bytes_deallocated as i64;
    assert!(kept < -(7 << 20), "{kept} bytes more than before, of a file of {} bytes", 8 << 20);
}
