//! What a history says of the ensemble's configuration, and no file does: the member was not told to reconfigure when
//! it was logged, or its files are of another.

use peer::{
    Config, DiskDone, DiskOp, EpochFile, Input, LearnerType, Member, Nanos, Now, Output, Peer,
    QuorumVerifier, Settings, State, StateKind, Switches, TreeSettings, TxnEntry, View, parse_config_text,
};
use storage::{MemFs, Storage, StorageSettings};
use wire::txn::SetDataTxn;
use wire::{Epoch, ServerId, SessionId, Txn, TxnBody, TxnHeader, Zxid, op};

const V: i64 = (1 << 32) | 1;

fn view(voters: &[i64], observers: &[i64], version: i64) -> View {
    let line = |id: &i64, role| format!("server.{id}=h{id}:2888:3888:{role}\n");
    let voters = voters.iter().map(|id| line(id, "participant"));
    let lines: String = voters.chain(observers.iter().map(|id| line(id, "observer"))).collect();
    parse_config_text(format!("{lines}version={version:x}").as_bytes()).expect("a configuration")
}

/// A disk whose log has a reconfig.
fn disk(view: &View) -> Storage<MemFs> {
    let zxid = view.version;
    let header = TxnHeader { client_id: SessionId(0), cxid: 0, zxid, time_ms: 0, kind: op::RECONFIG };
    let body = TxnBody::SetData(SetDataTxn {
        path: "/zookeeper/config".into(),
        data: Some(view.text()),
        version: -1,
    });
    let entry = TxnEntry { zxid, txn: Txn::new(header, body, None).to_bytes() };
    let settings = StorageSettings { prealloc: 0, ..StorageSettings::default() };
    let mut storage = Storage::new(MemFs::default(), settings);
    let epoch = |file| DiskOp::WriteEpoch(file, Epoch(1));
    let epochs = [epoch(EpochFile::AcceptedEpoch), epoch(EpochFile::CurrentEpoch)];
    for op in [DiskOp::Load, DiskOp::Append(vec![entry]), DiskOp::Sync].iter().chain(&epochs) {
        storage.execute(op).expect("done");
    }
    storage.forget_memory();
    storage
}

/// Server 1 of a file that lists 1, 2 and 3: what it sees and goes by, or why it stops.
fn booted(reconfig_enabled: bool, history: &View) -> Result<(Zxid, Zxid), String> {
    let member = |id: i64| Member {
        learner_type: LearnerType::Participant,
        quorum_address: format!("h{id}:2888:3888"),
        election_address: format!("h{id}:3888"),
        client_address: None,
    };
    let verifier = QuorumVerifier::Majority { voters: (1..=3).map(ServerId).collect() };
    let file = View::unversioned((1..=3).map(|id| (ServerId(id), member(id))).collect(), verifier);
    let settings = Settings { reconfig_enabled, ..Settings::default() };
    let (sid, seen_view, switches) = (ServerId(1), None, Switches::NONE);
    let config = Config { sid, view: file, seen_view, settings, switches, seed: 1 };
    let mut peer = Peer::new(config, State::new(StateKind::Tree, TreeSettings::default()));
    let (mut storage, mut inputs) = (disk(history), vec![Input::Boot]);
    while let Some(input) = inputs.pop() {
        let mut out = Vec::new();
        peer.handle(Now { mono: Nanos::ZERO, wall_ms: 0 }, input, &mut out);
        for output in out {
            match output {
                Output::Disk { id, op } => {
                    inputs.push(Input::Disk(DiskDone { id, result: storage.execute(&op) }))
                }
                Output::Halt { why } => return Err(why.to_string()),
                _ => {}
            }
        }
    }
    Ok((peer.ensemble().latest().version, peer.ensemble().active().version))
}

/// | the history's | reconfigures | not |
/// |---|---|---|
/// | later, the same quorums | seen: decisions need its quorums, too | active in memory |
/// | later, others | the same | it stops |
#[test]
fn rows() {
    let (file, later) = (Zxid::ZERO, Zxid(V));
    let same = view(&[1, 2, 3], &[4], V);
    assert_eq!(booted(true, &same), Ok((later, file)));
    assert_eq!(booted(false, &same), Ok((later, later)));
    let others = view(&[2, 3, 4], &[], V);
    assert_eq!(booted(true, &others), Ok((later, file)));
    assert!(booted(false, &others).is_err_and(|why| why.contains("reconfigEnabled is not true")));
}
