//! `CommitProcessor` (with the final processor behind it): applies what is committed, in order, and
//! answers this member's own clients. Per session, requests take effect and are answered in the
//! order in which they came: a read waits behind its session's own writes.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use wire::{Id, Jute, SessionId, TxnHeader, Zxid, op};

use super::ClientSessions;
use crate::context::{Ctx, Io};
use crate::database::ZkDatabase;
use crate::disk::TxnEntry;
use crate::event::Event;
use crate::io::{ClientId, ClientOutput, Task};
use crate::state_machine::{Notification, ReadRequest, StateMachine};
use crate::switches::Switch;

/// A request of a client that is connected to this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRequest {
    pub client: ClientId,
    pub session: SessionId,
    pub cxid: i32,
    pub op: i32,
    pub body: Bytes,
    pub auth: Vec<Id>,
}

impl LocalRequest {
    /// Goes through the leader: a write, a sync, the opening or closing of a session. Everything else is
    /// answered by this member, known or not (`CommitProcessor.needCommit`).
    pub fn needs_leader(&self) -> bool {
        op::is_write(self.op) || self.op == op::SYNC
    }
}

#[derive(Clone, Debug)]
enum Committed {
    Txn(TxnEntry),
    /// Its zxid is the last processed one already, and not all of it is applied (`begin`).
    Begun(TxnEntry),
    /// A sync is answered only after what was committed before it is applied.
    Sync {
        session: SessionId,
        cxid: i32,
    },
}

#[derive(Clone, Debug, Default)]
pub struct CommitProcessor {
    committed: VecDeque<Committed>,
    scheduled: bool,
    waiting: BTreeMap<SessionId, VecDeque<LocalRequest>>,
}

impl CommitProcessor {
    pub fn new() -> CommitProcessor {
        CommitProcessor::default()
    }

    /// A local request. A read with nothing of its session before it is answered at once.
    pub fn submit_local<S: StateMachine>(
        &mut self,
        io: &mut Io<'_>,
        db: &mut ZkDatabase<S>,
        request: LocalRequest,
    ) {
        let held = request.needs_leader() || self.has_begun();
        let queue = self.waiting.get_mut(&request.session).filter(|queue| !queue.is_empty());
        match queue {
            None if !held => answer_read(io, db, &request),
            Some(queue) => queue.push_back(request),
            None => self.waiting.entry(request.session).or_default().push_back(request),
        }
    }

    /// Between the steps of a transaction a snapshot may begin, and nothing is read.
    fn has_begun(&self) -> bool {
        matches!(self.committed.front(), Some(Committed::Begun(_)))
    }

    pub fn commit(&mut self, io: &mut Io<'_>, entry: TxnEntry) {
        self.committed.push_back(Committed::Txn(entry));
        self.schedule(io);
    }

    pub fn release_sync(&mut self, io: &mut Io<'_>, session: SessionId, cxid: i32) {
        self.committed.push_back(Committed::Sync { session, cxid });
        self.schedule(io);
    }

    fn schedule(&mut self, io: &mut Io<'_>) {
        if !self.scheduled {
            self.scheduled = true;
            io.schedule(Task::CommitProcessor);
        }
    }

    /// `Task::CommitProcessor`: apply everything that is committed. Gives the last applied zxid.
    pub fn run<S: StateMachine>(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        clients: &mut ClientSessions,
    ) -> Option<Zxid> {
        self.scheduled = false;
        let mut last = None;
        while let Some(committed) = self.committed.pop_front() {
            match committed {
                Committed::Txn(entry) if begin(ctx, &entry) => {
                    self.committed.push_front(Committed::Begun(entry));
                    self.schedule(&mut ctx.io);
                    return last;
                }
                Committed::Txn(entry) => {
                    last = Some(entry.zxid);
                    self.apply(ctx, clients, &entry);
                }
                Committed::Begun(entry) => {
                    last = Some(entry.zxid);
                    self.apply(ctx, clients, &entry);
                    self.answer_held_reads(ctx);
                }
                Committed::Sync { session, cxid } => {
                    let body = self.head_body(session);
                    let (last, result) = (ctx.db.last_processed, ctx.db.state.synced(&body));
                    self.finish_head(ctx, clients, session, cxid, last, result);
                }
            }
        }
        clients.forget_gone(ctx.db);
        last
    }

    fn apply<S: StateMachine>(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        clients: &mut ClientSessions,
        entry: &TxnEntry,
    ) {
        let header = TxnHeader::peek(&entry.txn);
        let applied = ctx.db.apply(entry);
        ctx.io.event(Event::Delivered {
            zxid: entry.zxid,
            digest: ctx.io.txn_digest(&entry.txn),
            tree: ctx.db.state.digest(),
        });
        notify(&mut ctx.io, ctx.db);
        let Some(header) = header else { return };
        match header.kind {
            op::CREATE_SESSION => ctx.io.event(Event::SessionOpened { session: header.client_id }),
            op::CLOSE_SESSION => ctx.io.event(Event::SessionClosed { session: header.client_id }),
            _ => {}
        }
        self.finish_head(ctx, clients, header.client_id, header.cxid, entry.zxid, applied.result);
        if header.kind == op::CLOSE_SESSION {
            self.waiting.remove(&header.client_id);
            clients.closed(&mut ctx.io, header.client_id);
        }
    }

    fn head_body(&self, session: SessionId) -> Bytes {
        let head = self.waiting.get(&session).and_then(VecDeque::front);
        head.map_or(Bytes::new(), |head| head.body.clone())
    }

    /// The head of the session's queue, if it is `cxid`, is done; what reads wait behind it go on.
    fn finish_head<S: StateMachine>(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        clients: &mut ClientSessions,
        session: SessionId,
        cxid: i32,
        zxid: Zxid,
        result: Result<Bytes, i32>,
    ) {
        let Some(queue) = self.waiting.get_mut(&session) else { return };
        if queue.front().is_none_or(|head| head.cxid != cxid) {
            return;
        }
        let head = queue.pop_front().expect("looked at above");
        match head.op {
            op::CREATE_SESSION => clients.created(&mut ctx.io, &head, result.is_ok()),
            _ => ctx.io.client(ClientOutput::Reply { client: head.client, cxid, zxid, result }),
        }
        // Behind a closeSession nothing is answered: the connection ends with its reply.
        if head.op == op::CLOSE_SESSION {
            queue.clear();
        }
        while let Some(read) = queue.pop_front_if(|next| !next.needs_leader()) {
            answer_read(&mut ctx.io, ctx.db, &read);
        }
        if queue.is_empty() {
            self.waiting.remove(&session);
        }
    }

    /// Those that came between the steps of a transaction.
    fn answer_held_reads<S: StateMachine>(&mut self, ctx: &mut Ctx<'_, S>) {
        self.waiting.retain(|_, queue| {
            while let Some(read) = queue.pop_front_if(|next| !next.needs_leader()) {
                answer_read(&mut ctx.io, ctx.db, &read);
            }
            !queue.is_empty()
        });
    }

    /// A client went away: its requests may still commit, nobody waits for them.
    pub fn forget(&mut self, session: SessionId) {
        self.waiting.remove(&session);
    }
}

/// Right: a transaction is applied in one step, its zxid is raised at the end of it. Wrong: the zxid is raised
/// after its first part (ZOOKEEPER-3127), or before the table of sessions (ZOOKEEPER-3144), and a snapshot may
/// begin before the rest. False where nothing is left for another step.
fn begin<S: StateMachine>(ctx: &mut Ctx<'_, S>, entry: &TxnEntry) -> bool {
    let switches = ctx.io.config.switches;
    let kind = || TxnHeader::peek(&entry.txn).map(|header| header.kind);
    let begun = (switches.has(Switch::ZxidBeforeMultiDone)
        && ctx.db.state.apply_first_part(entry.zxid, &entry.txn))
        || (switches.has(Switch::ZxidBeforeSession) && kind() == Some(op::CREATE_SESSION));
    if begun {
        ctx.db.last_processed = ctx.db.last_processed.max(entry.zxid);
    }
    begun
}

/// Events of watches go out before the reply to whatever fired them, and before all later ones.
fn notify<S: StateMachine>(io: &mut Io<'_>, db: &mut ZkDatabase<S>) {
    for Notification { client, zxid, event } in db.state.take_notifications() {
        let mut record = BytesMut::new();
        event.write(&mut record);
        io.client(ClientOutput::Notification { client, zxid, event: record.freeze() });
    }
}

fn answer_read<S: StateMachine>(io: &mut Io<'_>, db: &mut ZkDatabase<S>, request: &LocalRequest) {
    let LocalRequest { client, session, cxid, op, body, auth } = request;
    let read = ReadRequest { client: Some(*client), session: *session, op: *op, body, auth };
    let result = db.state.read_request(&read);
    notify(io, db);
    io.client(ClientOutput::Reply { client: *client, cxid: *cxid, zxid: db.last_processed, result });
}
