//! What nodes recorded is replayed into the same machine, which must do the same; a changed recording is
//! told with its place.

use std::path::Path;
use std::process::Output;

use crate::ensemble::{Ensemble, vivarium};

pub fn replay(file: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = vivarium().arg("replay").arg(file).output().expect("it runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn replay_text(dir: &Path, text: &str) -> (Option<i32>, String) {
    let file = dir.join("changed");
    std::fs::write(&file, text).expect("written");
    replay(&file)
}

#[test]
fn recordings_replay_and_changes_are_told() {
    let mut ensemble = Ensemble::start(false);
    let leader = ensemble.leader();
    ensemble.write(leader, 20);
    let killed = leader % 3 + 1;
    ensemble.kill(killed);
    ensemble.write(leader, 20);
    ensemble.start_member(killed);
    ensemble.leader();
    ensemble.wait_for_equal_zxids();
    for sid in 1..=3 {
        assert!(ensemble.signal(sid, "-TERM").success());
    }
    for sid in 1..=3 {
        let (code, said) = replay(&ensemble.recording(sid, 1));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("inputs, the same outputs"), "{said}");
    }
    // The second start of the killed member loaded what the first one left.
    let again = ensemble.recording(killed, 2);
    assert_eq!(replay(&again).0, Some(0));

    let dir = ensemble.root.path();
    let text = std::fs::read_to_string(&again).expect("a recording");
    let lines: Vec<&str> = text.lines().collect();
    let logged = lines.iter().find(|line| line.contains("logged")).expect("it took what it missed");
    assert!(logged.contains(r#"\"digest\":"#) && !logged.contains(r#"\"digest\":0}"#), "{logged}");

    // A record that the disk gave is another one.
    let loaded = lines.iter().position(|line| line.contains("Loaded")).expect("it loaded");
    assert!(lines[loaded].contains("\"accepted_epoch\":"));
    let other = text.replacen("\"accepted_epoch\":", "\"accepted_epoch\":9", 1);
    let (code, said) = replay_text(dir, &other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("line {}, at ", loaded + 2)), "{said}");
    assert!(said.contains("expected") && said.contains("got") && said.contains("accepted"), "{said}");

    // LEADERINFO (17) proposes another epoch. (Which it was is a matter of luck: where time is short, a leader may
    // have lost its followers.)
    let leader_info = "\"bytes\":\"00000011";
    let received = lines.iter().position(|line| line.contains("\"Received\"") && line.contains(leader_info));
    let received = received.expect("LEADERINFO came");
    let at = lines[received].find(leader_info).expect("found") + leader_info.len();
    let mut changed: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    changed[received].replace_range(at..at + 8, "00000077");
    let (code, said) = replay_text(dir, &changed.concat());
    assert_eq!(code, Some(1), "{said}");
    let told = format!("line {}, at ", received + 2);
    assert!(said.contains(&told), "expected {told}: {said}");

    // An input is missing: the next one follows where outputs should.
    let lost: Vec<String> =
        lines.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, line)| format!("{line}\n")).collect();
    let (code, said) = replay_text(dir, &lost.concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("line 2: expected an input with its time"), "{said}");

    // Torn, as kill -9 leaves it; and what is no recording.
    let (code, said) = replay_text(dir, &text[..text.len() - 5]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the last line is torn"), "{said}");
    let (code, said) = replay_text(dir, "{}\n");
    assert_eq!(code, Some(2));
    assert!(said.contains("line 1: expected the header of a recording of version 1"), "{said}");
    let (code, said) = replay_text(dir, &text.replacen("\"version\":1", "\"version\":2", 1));
    assert_eq!(code, Some(2));
    assert!(said.contains("found \"vivarium\" 2"), "{said}");
    assert_eq!(replay(&dir.join("none")).0, Some(2));
}
