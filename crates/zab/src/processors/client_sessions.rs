//! `ClientSessions`: which client of this member has which session, and which sessions were touched
//! since the last PING. Used by every role that serves clients.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use wire::{Id, SessionId, Zxid, op};

use super::{LocalRequest, SessionIds};
use crate::context::{Ctx, Io};
use crate::database::ZkDatabase;
use crate::io::{ClientId, ClientInput, ClientOutput};
use crate::session_map::SessionMap;
use crate::state_machine::StateMachine;

/// What a client's input asks of the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAction {
    /// Through the processors.
    Submit(LocalRequest),
    /// Ask the leader (or, on it, the tracker) whether the session lives.
    Revalidate { session: SessionId, timeout_ms: i32 },
    /// A client gave up its connection; its session lives on.
    Gone { session: SessionId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Creating,
    Revalidating,
    Open,
}

#[derive(Clone, Debug)]
struct Client {
    session: SessionId,
    timeout_ms: i32,
    state: State,
    auth: Vec<Id>,
}

#[derive(Clone, Debug, Default)]
pub struct ClientSessions {
    clients: BTreeMap<ClientId, Client>,
    by_session: BTreeMap<SessionId, ClientId>,
    ids: SessionIds,
    touched: SessionMap<i32>,
    /// Connections that ended; the state still has what belongs to them.
    gone: Vec<ClientId>,
}

impl ClientSessions {
    /// Clients are served from now on, with the history up to `from`.
    pub fn serve(&mut self, io: &Io<'_>, from: Zxid) {
        self.ids = SessionIds::serving_from(io.sid(), from, io.now.wall_ms, io.ids.generation);
    }

    /// What a client does where it is served.
    pub fn on_input<S: StateMachine>(
        &mut self,
        ctx: &mut Ctx<'_, S>,
        input: ClientInput,
    ) -> Option<ClientAction> {
        let action = match input {
            // Who has seen more than this member must not read older state (MONR).
            ClientInput::Connect { client, last_zxid, .. } if last_zxid > ctx.db.last_processed => {
                ctx.io.client(ClientOutput::Disconnected { client });
                None
            }
            ClientInput::AddAuth { client, id } => {
                if let Some(auth) = self.identify(client, id) {
                    ctx.db.state.client_is(client, auth);
                }
                None
            }
            input => self.take_in(&mut ctx.io, input),
        };
        self.forget_gone(ctx.db);
        action
    }

    /// Who the client is now.
    fn identify(&mut self, client: ClientId, id: Id) -> Option<&[Id]> {
        let auth = &mut self.clients.get_mut(&client)?.auth;
        if !auth.contains(&id) {
            auth.push(id);
        }
        Some(auth)
    }

    fn take_in(&mut self, io: &mut Io<'_>, input: ClientInput) -> Option<ClientAction> {
        match input {
            ClientInput::Connect { client, resume: None, timeout_ms, auth, .. } => {
                let timeout_ms = negotiated(io, timeout_ms);
                let session = self.ids.give();
                let state = State::Creating;
                self.add(client, Client { session, timeout_ms, state, auth: auth.clone() });
                let mut body = BytesMut::with_capacity(4);
                body.put_i32(timeout_ms);
                Some(ClientAction::Submit(LocalRequest {
                    client,
                    session,
                    cxid: 0,
                    op: op::CREATE_SESSION,
                    body: body.freeze(),
                    auth,
                }))
            }
            ClientInput::Connect { client, resume: Some(session), timeout_ms, auth, .. } => {
                if let Some(old) = self.by_session.remove(&session) {
                    self.clients.remove(&old);
                    self.gone.push(old);
                    io.client(ClientOutput::Disconnected { client: old });
                }
                let timeout_ms = negotiated(io, timeout_ms);
                self.add(client, Client { session, timeout_ms, state: State::Revalidating, auth });
                Some(ClientAction::Revalidate { session, timeout_ms })
            }
            ClientInput::AddAuth { .. } => None,
            ClientInput::Request { client, body, .. } if too_long(io, &body) => {
                io.mark("client: a request above jute.maxbuffer");
                io.client(ClientOutput::Disconnected { client });
                self.gone(client)
            }
            ClientInput::Request { client, cxid, op, body } => match self.clients.get(&client) {
                Some(Client { session, timeout_ms, state: State::Open, auth }) => {
                    self.touched.insert(*session, *timeout_ms);
                    let (session, auth) = (*session, auth.clone());
                    Some(ClientAction::Submit(LocalRequest { client, session, cxid, op, body, auth }))
                }
                _ => {
                    io.client(ClientOutput::Disconnected { client });
                    None
                }
            },
            ClientInput::Ping { client } => {
                match self.clients.get(&client) {
                    Some(Client { session, timeout_ms, state: State::Open, .. }) => {
                        self.touched.insert(*session, *timeout_ms);
                    }
                    _ => io.client(ClientOutput::Disconnected { client }),
                }
                None
            }
            ClientInput::Disconnect { client } => self.gone(client),
        }
    }

    fn gone(&mut self, client: ClientId) -> Option<ClientAction> {
        let session = self.clients.remove(&client)?.session;
        self.gone.push(client);
        self.by_session.remove(&session);
        Some(ClientAction::Gone { session })
    }

    fn add(&mut self, id: ClientId, client: Client) {
        self.by_session.insert(client.session, id);
        self.clients.insert(id, client);
    }

    /// createSession was applied.
    pub fn created(&mut self, io: &mut Io<'_>, request: &LocalRequest, ok: bool) {
        let Some(client) = self.clients.get_mut(&request.client) else { return };
        if ok {
            client.state = State::Open;
            self.touched.insert(client.session, client.timeout_ms);
            let (session, timeout_ms) = (client.session, client.timeout_ms);
            io.client(ClientOutput::Connected { client: request.client, session, timeout_ms });
        } else {
            self.expire(io, request.session);
        }
    }

    pub fn revalidated(&mut self, io: &mut Io<'_>, session: SessionId, valid: bool) {
        let Some(&id) = self.by_session.get(&session) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.state != State::Revalidating {
            return;
        }
        if valid {
            client.state = State::Open;
            let timeout_ms = client.timeout_ms;
            self.touched.insert(session, timeout_ms);
            io.client(ClientOutput::Connected { client: id, session, timeout_ms });
        } else {
            self.expire(io, session);
        }
    }

    fn expire(&mut self, io: &mut Io<'_>, session: SessionId) {
        if let Some(client) = self.by_session.remove(&session) {
            self.clients.remove(&client);
            self.gone.push(client);
            io.client(ClientOutput::Expired { client });
        }
    }

    /// closeSession was applied.
    pub fn closed(&mut self, io: &mut Io<'_>, session: SessionId) {
        self.touched.swap_remove(&session);
        self.expire(io, session);
    }

    /// The table for the answer to a PING, 12 bytes a session, by id; it is empty afterwards.
    pub fn take_touched(&mut self) -> Bytes {
        let mut table = BytesMut::with_capacity(12 * self.touched.len());
        for (session, timeout_ms) in self.drain_touched() {
            table.put_i64(session.0);
            table.put_i32(timeout_ms);
        }
        table.freeze()
    }

    /// The same on the leader itself.
    pub fn drain_touched(&mut self) -> Vec<(SessionId, i32)> {
        let mut touched: Vec<_> = std::mem::take(&mut self.touched).into_iter().collect();
        touched.sort_unstable();
        touched
    }

    pub fn disconnect_all(&mut self, io: &mut Io<'_>) {
        for client in std::mem::take(&mut self.clients).into_keys() {
            self.gone.push(client);
            io.client(ClientOutput::Disconnected { client });
        }
        self.by_session.clear();
    }

    /// What belonged to connections that ended goes with them.
    pub fn forget_gone<S: StateMachine>(&mut self, db: &mut ZkDatabase<S>) {
        for client in self.gone.drain(..) {
            db.state.client_gone(client);
        }
    }
}

/// The session timeout that a client is given for the one it asks for.
fn negotiated(io: &Io<'_>, timeout_ms: i32) -> i32 {
    let settings = &io.config.settings;
    timeout_ms.clamp(settings.min_session_timeout_ms, settings.max_session_timeout_ms)
}

/// A request longer than `jute.maxbuffer`, its header of xid and type counted, ends the connection at the
/// client's door (`NIOServerCnxn.readLength`): forwarded, it would end the learner's at the leader's.
fn too_long(io: &Io<'_>, body: &Bytes) -> bool {
    body.len() + 8 > io.config.settings.jute_maxbuffer
}
