//! The simulator's checkers over a real run: what the clients saw, held against what was committed.
//!
//! What was committed is what the members' disks agree about at the end. It is told to the checkers as if one
//! member had proposed and committed it alone, each transaction at the time that its leader wrote into it, between
//! what clients did at that time. So everything that is asked of clients' histories is judged (ACKD ONCE FIFO LINW RYW
//! MONR PREP READ SES EPH WATCH SEQ); what is asked of members among themselves is for the simulator.

use std::collections::BTreeMap;

use bytes::Bytes;
use checker::{Checkers, EnsembleSpec, FinalState, MemberSpec, Observation};
use wire::{Epoch, ServerId, TxnHeader, Zxid};
use zab::{EpochFile, Event, LearnerType, Nanos, QuorumVerifier, Recovered, Role, TxnEntry, txn_digest};

use super::clients::History;

const ALL: ServerId = ServerId(1);

/// The violations, one a line; empty where all is well.
pub fn judge(committed: &BTreeMap<Zxid, Bytes>, history: &History) -> Vec<String> {
    let mut teller = Teller::new();
    let mut told = history.iter().peekable();
    for (zxid, txn) in committed {
        let at = TxnHeader::peek(txn)
            .map_or(Nanos::ZERO, |header| Nanos(header.time_ms.max(0) as u64 * 1_000_000));
        while let Some((when, what)) = told.next_if(|(when, _)| *when < at) {
            teller.checkers.tree(*when, &what.observation());
            teller.now = *when;
        }
        teller.now = teller.now.max(at);
        teller.transaction(*zxid, txn);
    }
    for (when, what) in told {
        teller.checkers.tree(*when, &what.observation());
        teller.now = *when;
    }
    teller.checkers.finish(teller.now, &FinalState::default());
    teller.checkers.violations().iter().map(|violation| format!("{violation:?}")).collect()
}

struct Teller {
    checkers: Checkers,
    now: Nanos,
    epoch: Epoch,
    log: Vec<TxnEntry>,
}

impl Teller {
    fn new() -> Teller {
        let spec = EnsembleSpec {
            members: vec![MemberSpec { sid: ALL, learner_type: LearnerType::Participant }],
            verifier: QuorumVerifier::Majority { voters: [ALL].into() },
            waived: Vec::new(),
            allow_zxid_jumps: false,
            tree: true,
        };
        let mut teller =
            Teller { checkers: Checkers::new(&spec), now: Nanos::ZERO, epoch: Epoch(0), log: Vec::new() };
        teller.observe(&Observation::Booted);
        teller
    }

    fn observe(&mut self, observation: &Observation<'_>) {
        self.checkers.observe(self.now, ALL, observation);
    }

    fn event(&mut self, event: Event) {
        self.observe(&Observation::Event(&event));
    }

    fn transaction(&mut self, zxid: Zxid, txn: &Bytes) {
        if zxid.epoch() != self.epoch {
            self.lead(zxid.epoch());
        }
        let entry = TxnEntry { zxid, txn: txn.clone() };
        let digest = txn_digest(txn);
        self.event(Event::Proposed { zxid, digest });
        self.event(Event::Logged { zxid, digest });
        self.observe(&Observation::Appended(std::slice::from_ref(&entry)));
        self.observe(&Observation::Synced);
        self.event(Event::Committed { zxid, digest });
        self.log.push(entry);
    }

    fn lead(&mut self, epoch: Epoch) {
        if self.epoch != Epoch(0) {
            self.event(Event::RoleLeft { role: Role::Leading, reason: "the next epoch".into() });
        }
        let recovered = Recovered {
            snapshot: None,
            log: self.log.clone(),
            before_snapshot: Vec::new(),
            accepted_epoch: self.epoch,
            current_epoch: self.epoch,
            snapshot_bytes: 0,
            untrusted_empty: false,
            warnings: Vec::new(),
        };
        self.observe(&Observation::Recovered(&recovered));
        self.event(Event::RoleChanged { role: Role::Looking });
        self.event(Event::RoleChanged { role: Role::Leading });
        self.observe(&Observation::EpochWritten(EpochFile::AcceptedEpoch, epoch));
        self.event(Event::EpochProposed { epoch });
        self.event(Event::EpochAcked { epoch });
        self.observe(&Observation::EpochWritten(EpochFile::CurrentEpoch, epoch));
        self.event(Event::NewLeaderSent { epoch, to: ALL });
        self.event(Event::Established { epoch });
        self.epoch = epoch;
    }
}

#[cfg(test)]
mod tests {
    use super::super::clients::Told;
    use super::*;
    use wire::client::{GetDataRequest, Request, SetDataRequest};
    use wire::txn::{CreateSessionTxn, CreateTxn, SetDataTxn};
    use wire::{Acl, SessionId, Txn, TxnBody, op};

    const SESSION: SessionId = SessionId(0x100);

    fn txn(zxid: Zxid, cxid: i32, kind: i32, body: TxnBody) -> (Zxid, Bytes) {
        let header = TxnHeader { client_id: SESSION, cxid, zxid, time_ms: zxid.counter().into(), kind };
        (zxid, Txn::new(header, body, None).to_bytes())
    }

    /// A session, /a, and a write of it in the next epoch.
    fn committed() -> BTreeMap<Zxid, Bytes> {
        let (e1, e2) = (Epoch(1), Epoch(2));
        let create = CreateTxn {
            path: Bytes::from_static(b"/a"),
            data: Some(Bytes::from_static(b"1")),
            acl: Some(vec![Acl::open()]),
            ephemeral: false,
            parent_c_version: 1,
        };
        let set =
            SetDataTxn { path: Bytes::from_static(b"/a"), data: Some(Bytes::from_static(b"2")), version: 1 };
        BTreeMap::from([
            txn(
                Zxid::new(e1, 1),
                0,
                op::CREATE_SESSION,
                TxnBody::CreateSession(CreateSessionTxn { time_out: 9 }),
            ),
            txn(Zxid::new(e1, 2), 1, op::CREATE, TxnBody::Create(create)),
            txn(Zxid::new(e2, 1), 2, op::SET_DATA, TxnBody::SetData(set)),
        ])
    }

    fn asked(xid: i32, request: Request) -> Told {
        Told::Asked { client: 0, attempt: 1, session: SESSION, xid, request }
    }

    fn read() -> Request {
        Request::GetData(GetDataRequest { path: Bytes::from_static(b"/a"), watch: false })
    }

    fn history(answer: Told) -> History {
        let set = SetDataRequest {
            path: Bytes::from_static(b"/a"),
            data: Some(Bytes::from_static(b"2")),
            version: -1,
        };
        [
            Told::Connecting { client: 0, attempt: 1, session: SessionId(0), last_zxid: Zxid::ZERO },
            Told::Connected { client: 0, attempt: 1, session: SESSION, timeout_ms: 9 },
            asked(2, Request::SetData(set)),
            asked(3, read()),
            answer,
        ]
        .into_iter()
        .map(|told| (Nanos::from_millis(5), told))
        .collect()
    }

    fn answered(xid: i32, zxid: Zxid, err: i32) -> Told {
        Told::Answered {
            client: 0,
            attempt: 1,
            session: SESSION,
            xid,
            zxid,
            request: read(),
            result: Err(err),
        }
    }

    #[test]
    fn what_was_acknowledged_is_committed() {
        let end = Told::Disconnected { client: 0, attempt: 1, session: SESSION };
        assert_eq!(judge(&committed(), &history(end)), Vec::<String>::new());
        // A reply that says that /a is not there.
        let found = judge(&committed(), &history(answered(3, Zxid::new(Epoch(2), 1), wire::code::NO_NODE)));
        assert!(found.iter().any(|violation| violation.contains("READ")), "{found:?}");
    }

    #[test]
    fn a_lost_write_is_found() {
        let mut lost = committed();
        lost.remove(&Zxid::new(Epoch(2), 1));
        let stat = wire::Stat { version: 1, mzxid: Zxid::new(Epoch(2), 1), ..wire::Stat::default() };
        let written = Told::Answered {
            client: 0,
            attempt: 1,
            session: SESSION,
            xid: 2,
            zxid: Zxid::new(Epoch(2), 1),
            request: Request::SetData(SetDataRequest {
                path: "/a".into(),
                data: Some("2".into()),
                version: -1,
            }),
            result: Ok(wire::client::Response::SetData(wire::client::SetDataResponse { stat })),
        };
        assert_eq!(judge(&committed(), &history(written.clone())).len(), 1, "the stat is made up");
        let found = judge(&lost, &history(written));
        assert!(found.iter().any(|violation| violation.contains("ACKD")), "{found:?}");
    }
}
