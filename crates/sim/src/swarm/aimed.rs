//! Faults aimed at moments: tied to an event of some member (`When`), and put there to that member
//! ("it"), to the leader, or to anybody. The moments are those between which a handshake, a
//! synchronisation or a write can be torn.

use peer::Port;
use serde_json::json;

use super::faults::Plan;
use super::{one_of, pick};
use crate::draw::Draws;
use crate::plan::{Action, Named, Step, When, Who};

/// Steps of the handshake and the synchronisation, at the leader and at learners.
const HANDSHAKE: [&str; 17] = [
    "electionDecided",
    "connectedToLeader",
    "epochProposed",
    "leaderInfoSent",
    "ackEpochSent",
    "epochAcked",
    "syncChosen",
    "syncStarted",
    "restored",
    "newLeaderSent",
    "newLeaderReceived",
    "newLeaderAckSent",
    "newLeaderAcked",
    "established",
    "upToDateSent",
    "upToDate",
    "snapshotTaken",
];
/// Steps of a write.
const WRITE: [&str; 6] = ["proposed", "logged", "ackSent", "ackCounted", "committed", "delivered"];
/// Disk operations, to die inside of.
const DISK: [&str; 6] = ["WriteEpoch", "Sync", "Install", "Truncate", "SnapshotFinish", "Load"];

/// A few moments of the run's beginning.
pub(super) fn early(plan: &mut Plan) {
    for _ in 0..pick(&mut plan.draws, &[350, 400, 250]) {
        let when = moment(&mut plan.draws, 4, 60);
        push(plan, when);
    }
}

/// Attempts to lead that fail one after another behind the proposal of an epoch: some have accepted it, of a
/// leader that never came to lead, and the next attempts may go without them.
pub(super) fn failed_attempts(plan: &mut Plan) {
    let event = one_of(&mut plan.draws, &["epochProposed", "leaderInfoSent", "ackEpochSent", "epochAcked"]);
    let first = plan.draws.range(1, 3) as u32;
    for nth in first..=first + plan.draws.range(1, 3) as u32 {
        let draws = &mut plan.draws;
        let leader = || Who::Named(Named::Leader);
        let cut = Action::Reset { a: leader(), b: Who::Id(draws.range(1, plan.members) as i64) };
        let ends = match pick(draws, &[500, 300, 200]) {
            0 => Action::Kill { member: leader(), amid_write: false, calls: None },
            1 => Action::PowerLoss { member: leader(), amid_write: false, calls: None },
            _ => Action::Isolate { member: leader() },
        };
        let when =
            When { event: event.into(), member: None, fields: serde_json::Map::new(), nth, after_ms: 0 };
        let after_ms = draws.range(1, 1000);
        let mut back = plan.everybody_starts();
        back.push(Action::Heal {});
        plan.push(Step::when(when.clone(), vec![cut, ends]));
        plan.push(Step::when(When { after_ms, ..when }, back));
    }
}

/// Around a TRUNC, which is rare: as it is sent, received, carried out, and behind it.
pub(super) fn around_trunc(plan: &mut Plan) {
    if plan.draws.chance(500) {
        return break_trunc_off(plan);
    }
    let draws = &mut plan.draws;
    let (event, key, value) = match pick(draws, &[300, 300, 200, 200]) {
        0 => ("syncChosen", "mode", "truncdiff"),
        1 => ("syncStarted", "mode", "trunc"),
        2 => ("diskOp", "op", "Truncate"),
        _ => ("syncChosen", "mode", "trunc"),
    };
    let after_ms = if draws.chance(400) { draws.range(1, 60) } else { 0 };
    let mut fields = serde_json::Map::new();
    fields.insert(key.into(), json!(value));
    let nth = draws.range(1, 2) as u32;
    push(plan, When { event: event.into(), member: None, fields, nth, after_ms });
}

/// It arrives, with a part of what comes behind it: the leader's answer is cut, or the connection ends then.
fn break_trunc_off(plan: &mut Plan) {
    let draws = &mut plan.draws;
    let cut = draws.chance(700);
    let (event, mode) = if cut {
        ("syncChosen", one_of(draws, &["trunc", "truncdiff", "truncdiff"]))
    } else {
        ("syncStarted", "trunc")
    };
    let after_ms = if !cut && draws.chance(500) { draws.range(1, 30) } else { 0 };
    let mut fields = serde_json::Map::new();
    fields.insert("mode".into(), json!(mode));
    for nth in 1..=plan.draws.range(1, 3) as u32 {
        let when = When { event: event.into(), member: None, fields: fields.clone(), nth, after_ms };
        let it = Who::Named(Named::It);
        let action = if cut {
            let keep_milli = plan.draws.below(1000);
            Action::CutFrame { from: it, to: None, port: Some(Port::Quorum), keep_milli }
        } else {
            Action::Reset { a: it, b: Who::Named(Named::Leader) }
        };
        plan.push(Step::when(when, vec![action]));
    }
}

/// A synchronisation arrives in part: the leader's answer to the how many-th ACKEPOCH (of this member, or of
/// any) is cut.
pub(super) fn cut_sync(plan: &mut Plan, member: Option<i64>, most: u64) {
    let draws = &mut plan.draws;
    let nth = draws.range(1, most) as u32;
    let action = Action::CutFrame {
        from: Who::Named(Named::Leader),
        to: Some(Who::Named(Named::It)),
        port: Some(Port::Quorum),
        keep_milli: draws.below(1000),
    };
    let when =
        When { event: "ackEpochSent".into(), member, fields: serde_json::Map::new(), nth, after_ms: 0 };
    plan.push(Step::when(when, vec![action]));
}

/// Amid a write: of the first ones, so that the run surely sees it.
pub(super) fn at_a_write(plan: &mut Plan) {
    let event = one_of(&mut plan.draws, &WRITE).into();
    let nth = one_of(&mut plan.draws, &[8, 20, 60]);
    let nth = plan.draws.range(nth / 2, nth) as u32;
    push(plan, When { event, member: None, fields: serde_json::Map::new(), nth, after_ms: 0 });
}

/// One that comes after other faults: the how many-th is drawn wider.
pub(super) fn later(plan: &mut Plan) {
    match pick(&mut plan.draws, &[150, 100, 750]) {
        0 => return around_trunc(plan),
        1 => return cut_sync(plan, None, 8),
        _ => {}
    }
    let when = moment(&mut plan.draws, 12, 400);
    push(plan, when);
}

fn moment(draws: &mut Draws, handshakes: u64, writes: u64) -> When {
    let mut fields = serde_json::Map::new();
    let (event, nth) = match pick(draws, &[550, 300, 150]) {
        0 => (one_of(draws, &HANDSHAKE), draws.range(1, handshakes)),
        1 => (one_of(draws, &WRITE), draws.range(1, writes)),
        _ => {
            fields.insert("op".into(), json!(one_of(draws, &DISK)));
            ("diskOp", draws.range(1, 3 * handshakes))
        }
    };
    let after_ms = if draws.chance(250) { draws.range(1, 40) } else { 0 };
    When { event: event.into(), member: None, fields, nth: nth as u32, after_ms }
}

/// The fault, and what ends it; at times again when the same comes next, so that nobody gets past it.
fn push(plan: &mut Plan, when: When) {
    let streak = if plan.draws.chance(200) { plan.draws.range(2, 4) as u32 } else { 1 };
    for again in 0..streak {
        push_one(plan, When { nth: when.nth + again, ..when.clone() });
    }
}

fn push_one(plan: &mut Plan, when: When) {
    let draws = &mut plan.draws;
    let member = match pick(draws, &[650, 250, 100]) {
        0 => Who::Named(Named::It),
        1 => Who::Named(Named::Leader),
        _ => Who::Named(Named::Follower),
    };
    // Inside what the disk is about to do, or will do next.
    let inside_disk = (when.event == "diskOp" && when.after_ms == 0) || draws.chance(250);
    let calls = inside_disk.then(|| draws.below(8) as u32);
    let amid_write = !inside_disk && draws.chance(400);
    let (action, ends) = match pick(draws, &[260, 260, 120, 120, 80, 80, 40, 40, 80]) {
        0 => (Action::Kill { member, amid_write, calls }, true),
        1 => (Action::PowerLoss { member, amid_write, calls }, true),
        2 => (Action::Pause { member, ms: draws.range(10, 2 * plan.sync_ms) }, false),
        3 => (Action::Isolate { member }, true),
        4 => (Action::FailSync { member, count: 1 }, true),
        5 => (Action::Reset { a: member, b: Who::Named(Named::Leader) }, false),
        6 => (Action::SlowDisk { member, factor: draws.range(5, 100), ms: draws.range(100, 2000) }, false),
        7 => (Action::ShortWrite { member, keep_milli: draws.below(1000) }, true),
        _ => {
            let keep_milli = draws.below(1000);
            (Action::CutFrame { from: member, to: None, port: None, keep_milli }, false)
        }
    };
    let relief = match action {
        Action::Isolate { .. } => vec![Action::Heal {}],
        _ => plan.everybody_starts(),
    };
    let over = When { after_ms: when.after_ms + plan.draws.range(10, 3000), ..when.clone() };
    plan.push(Step::when(when, vec![action]));
    if ends {
        plan.push(Step::when(over, relief));
    }
}
