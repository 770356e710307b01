//! What clients of the data tree did, in the words of the checks that know registers: writes of a path, reads
//! of its mzxid, syncs. So ACKD, ONCE, FIFO, LINW, RYW and MONR judge them too.

use std::collections::BTreeMap;

use wire::client::{Request, Response};
use wire::{SessionId, code, op};

use crate::observation::{ClientObservation, Outcome, TreeObservation};

/// Requests without an outcome, by client.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeClients {
    waiting: BTreeMap<u64, Vec<(SessionId, i32)>>,
}

impl TreeClients {
    /// Hands on what there is to judge.
    pub fn translate(
        &mut self,
        observation: &TreeObservation<'_>,
        mut hand_on: impl FnMut(&ClientObservation<'_>),
    ) {
        match *observation {
            TreeObservation::Asked { client, session, xid: cxid, request, .. } if cxid > 0 => {
                self.waiting.entry(client).or_default().push((session, cxid));
                let (path, value) = path_and_value(request);
                let path = std::str::from_utf8(path).unwrap_or_default();
                hand_on(&ClientObservation::Invoked { client, session, cxid, op: request.op(), path, value });
            }
            TreeObservation::Answered { client, session, xid: cxid, zxid, request, result, .. }
                if cxid > 0 =>
            {
                self.waiting.entry(client).or_default().retain(|(_, waiting)| *waiting != cxid);
                let outcome = outcome(request, result);
                hand_on(&ClientObservation::Replied { client, session, cxid, zxid, outcome });
            }
            TreeObservation::Disconnected { client, .. } => {
                for (session, cxid) in self.waiting.remove(&client).unwrap_or_default() {
                    hand_on(&ClientObservation::Unknown { client, session, cxid });
                }
            }
            _ => {}
        }
    }
}

/// Of requests that set a node's mzxid, or read it; of others no path.
fn path_and_value(request: &Request) -> (&[u8], &[u8]) {
    match request {
        Request::Create(r) | Request::Create2(r) | Request::CreateContainer(r) => {
            (&r.path, r.data.as_deref().unwrap_or_default())
        }
        Request::CreateTTL(r) => (&r.path, r.data.as_deref().unwrap_or_default()),
        Request::SetData(r) => (&r.path, r.data.as_deref().unwrap_or_default()),
        Request::Delete(r) => (&r.path, b""),
        Request::GetData(r) => (&r.path, b""),
        Request::Exists(r) => (&r.path, b""),
        _ => (b"", b""),
    }
}

fn outcome(request: &Request, result: Result<&Response, i32>) -> Outcome {
    match (request, result) {
        (Request::GetData(_) | Request::Exists(_), Err(code::NO_NODE)) => Outcome::Absent,
        (_, Err(code)) => Outcome::Failed(code),
        (_, Ok(Response::GetData(found))) => {
            Outcome::Read { version: found.stat.version, mzxid: found.stat.mzxid }
        }
        (_, Ok(Response::Exists(found))) => {
            Outcome::Read { version: found.stat.version, mzxid: found.stat.mzxid }
        }
        (request, Ok(_)) if op::is_write(request.op()) && request.op() != op::CLOSE_SESSION => {
            Outcome::Written
        }
        _ => Outcome::Done,
    }
}
