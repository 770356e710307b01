//! Conversations: what one member says, does and asks of its disk, line by line, as snapshots that a
//! reviewer can read. `script` plays them.

mod election;
mod java_tree;
mod leader;
mod learner;
mod museum;
mod museum_election;
mod museum_history;
mod museum_roles;
mod museum_sync;
mod reconfig;
mod reconfig_leader;
mod recovery;
mod script;
mod sessions;
mod sync_decision;
mod transcript;
mod words;

use std::path::{Path, PathBuf};

use peer::{
    Config, DiskOp, EpochFile, LearnerType, Member, QuorumVerifier, Settings, Switches, TxnEntry, View,
};
use wire::txn::SetDataTxn;
use wire::{Epoch, ServerId, SessionId, Txn, TxnBody, TxnHeader, Zxid, op};

/// Members `1..=voters`, observers behind them; we are `sid`.
pub fn member(sid: i64, voters: i64, observers: i64) -> Config {
    let members = (1..=voters + observers)
        .map(|id| {
            let learner_type = if id <= voters { LearnerType::Participant } else { LearnerType::Observer };
            let member = Member {
                learner_type,
                quorum_address: format!("h{id}:2888:3888"),
                client_address: None,
                election_address: format!("h{id}:3888"),
            };
            (ServerId(id), member)
        })
        .collect();
    let verifier = QuorumVerifier::Majority { voters: (1..=voters).map(ServerId).collect() };
    Config {
        sid: ServerId(sid),
        view: View::unversioned(members, verifier),
        seen_view: None,
        settings: Settings::default(),
        switches: Switches::default(),
        seed: 0,
    }
}

/// A disk with these epochs and a log of `setData /z=ZXID` of these zxids.
pub fn disk(accepted: i64, current: i64, log: &[i64]) -> Vec<DiskOp> {
    let mut ops = Vec::new();
    if !log.is_empty() {
        // The first start writes the empty snapshot.
        ops.push(DiskOp::Load);
        ops.push(DiskOp::Append(log.iter().map(|zxid| entry(*zxid)).collect()));
        ops.push(DiskOp::Sync);
    }
    if accepted > 0 {
        ops.push(DiskOp::WriteEpoch(EpochFile::AcceptedEpoch, Epoch(accepted)));
        ops.push(DiskOp::WriteEpoch(EpochFile::CurrentEpoch, Epoch(current)));
    }
    ops
}

pub fn entry(zxid: i64) -> TxnEntry {
    let header =
        TxnHeader { client_id: SessionId(0), cxid: 0, zxid: Zxid(zxid), time_ms: 0, kind: op::SET_DATA };
    let body = TxnBody::SetData(SetDataTxn {
        path: "/z".into(),
        data: Some(format!("{zxid:x}").into()),
        version: 0,
    });
    TxnEntry { zxid: Zxid(zxid), txn: Txn::new(header, body, None).to_bytes() }
}

/// Keep a transcript under `snapshots/<folder>/<name>.snap`.
pub fn keep(folder: &str, name: &str, transcript: &str) {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, transcript));
}
