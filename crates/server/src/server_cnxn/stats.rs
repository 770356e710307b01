//! `CnxnStats` and `ServerStats`: what clients' connections did, in numbers. `ServerCnxnFactory` keeps them, for
//! operators; nothing of the protocol depends on them.

use std::collections::{BTreeMap, VecDeque};

use wire::codes::{op, xid};
use wire::{SessionId, Zxid};
use zab::{ClientInput, ClientOutput, ConnId, Nanos, Now};

/// Counts values, with their sum and extremes (`AvgMinMaxCounter`), and how they are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvgMinMax {
    pub count: u64,
    pub total: u64,
    min: u64,
    max: u64,
    /// How many are 0, 1, 2 to 3, 4 to 7, ...; in the last one all that are larger.
    pub buckets: [u64; BUCKETS],
}

const BUCKETS: usize = 14;

impl AvgMinMax {
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.total += value;
        self.buckets[((u64::BITS - value.leading_zeros()) as usize).min(BUCKETS - 1)] += 1;
    }

    /// 0 where there was none.
    pub fn min(&self) -> u64 {
        self.min
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total as f64 / self.count as f64 }
    }
}

/// Sizes: the last one and the extremes; -1 where there was none (`BufferStats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferStats {
    pub last: i64,
    pub min: i64,
    pub max: i64,
}

impl Default for BufferStats {
    fn default() -> BufferStats {
        BufferStats { last: -1, min: -1, max: -1 }
    }
}

impl BufferStats {
    pub fn add(&mut self, size: usize) {
        let size = size as i64;
        self.last = size;
        self.min = if self.min < 0 { size } else { self.min.min(size) };
        self.max = self.max.max(size);
    }
}

/// Of one connection. Latencies are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnxnStats {
    /// When it was accepted and when it was last answered, in milliseconds since 1970.
    pub established_ms: i64,
    pub last_response_ms: i64,
    pub received: u64,
    pub sent: u64,
    /// 0 before it has one.
    pub session: SessionId,
    pub timeout_ms: i32,
    /// Four letters of the operation that was last answered (`FinalRequestProcessor`).
    pub last_operation: &'static str,
    /// Of the last request, as the client numbers them; -1 before the first.
    pub last_cxid: i32,
    pub last_zxid: Zxid,
    pub last_latency: u64,
    pub latency: AvgMinMax,
    /// Asked and not answered, in order.
    asked: VecDeque<Asked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    cxid: i32,
    op: i32,
    at: Nanos,
}

impl CnxnStats {
    fn new(wall_ms: i64) -> CnxnStats {
        CnxnStats {
            established_ms: wall_ms,
            last_response_ms: 0,
            received: 0,
            sent: 0,
            session: SessionId(0),
            timeout_ms: 0,
            last_operation: "NA",
            last_cxid: -1,
            last_zxid: Zxid::ZERO,
            last_latency: 0,
            latency: AvgMinMax::default(),
            asked: VecDeque::new(),
        }
    }

    pub fn outstanding(&self) -> usize {
        self.asked.len()
    }

    fn reset(&mut self) {
        (self.received, self.sent) = (0, 0);
        (self.last_operation, self.last_cxid, self.last_zxid) = ("NA", -1, Zxid::ZERO);
        (self.last_response_ms, self.last_latency) = (0, 0);
        self.latency = AvgMinMax::default();
    }
}

/// Of all connections since the start or the last reset. Latencies are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    pub packets_received: u64,
    pub packets_sent: u64,
    pub latency: AvgMinMax,
    /// Of requests that become transactions, and of all others.
    pub update_latency: AvgMinMax,
    pub read_latency: AvgMinMax,
    pub responses: BufferStats,
    /// Connections that asked for a session.
    pub connection_requests: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub server: ServerStats,
    cnxns: BTreeMap<ConnId, CnxnStats>,
}

impl Stats {
    pub fn cnxns(&self) -> impl ExactSizeIterator<Item = (ConnId, &CnxnStats)> {
        self.cnxns.iter().map(|(conn, stats)| (*conn, stats))
    }

    pub fn cnxn(&self, conn: ConnId) -> Option<&CnxnStats> {
        self.cnxns.get(&conn)
    }

    /// `srst`
    pub fn reset_server(&mut self) {
        self.server = ServerStats::default();
    }

    /// `crst`
    pub fn reset_cnxns(&mut self) {
        self.cnxns.values_mut().for_each(CnxnStats::reset);
    }

    pub(super) fn accepted(&mut self, now: Now, conn: ConnId) {
        self.cnxns.insert(conn, CnxnStats::new(now.wall_ms));
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.cnxns.remove(&conn);
    }

    /// A packet came, and this is what is asked of the member.
    pub(super) fn asked(&mut self, now: Now, conn: ConnId, input: &ClientInput) {
        self.received(conn);
        let (cxid, op) = match input {
            ClientInput::Request { cxid, op, .. } => (*cxid, *op),
            ClientInput::Connect { .. } => {
                self.server.connection_requests += 1;
                (0, op::CREATE_SESSION)
            }
            _ => return,
        };
        if let Some(cnxn) = self.cnxns.get_mut(&conn) {
            cnxn.asked.push_back(Asked { cxid, op, at: now.mono });
        }
    }

    pub(super) fn received(&mut self, conn: ConnId) {
        self.server.packets_received += 1;
        if let Some(cnxn) = self.cnxns.get_mut(&conn) {
            cnxn.received += 1;
        }
    }

    /// `length`: of the packet, without its own length.
    pub(super) fn sent(&mut self, conn: ConnId, length: usize) {
        self.server.packets_sent += 1;
        self.server.responses.add(length);
        if let Some(cnxn) = self.cnxns.get_mut(&conn) {
            cnxn.sent += 1;
        }
    }

    /// `updateStatsForResponse`
    pub(super) fn answered(&mut self, now: Now, conn: ConnId, output: &ClientOutput) {
        let Some(cnxn) = self.cnxns.get_mut(&conn) else { return };
        let (cxid, failed) = match output {
            ClientOutput::Connected { session, timeout_ms, .. } => {
                (cnxn.session, cnxn.timeout_ms) = (*session, *timeout_ms);
                (0, false)
            }
            ClientOutput::Reply { cxid, zxid, result, .. } => {
                if *zxid != Zxid::NONE {
                    cnxn.last_zxid = *zxid;
                }
                (*cxid, result.is_err())
            }
            _ => return,
        };
        // Answers come in the order of the requests.
        let Some(asked) = cnxn.asked.front().copied().filter(|asked| asked.cxid == cxid) else { return };
        cnxn.asked.pop_front();
        let latency = (now.mono.0.saturating_sub(asked.at.0)) / 1_000_000;
        let is_write = op::is_write(asked.op);
        if asked.cxid >= 0 && asked.cxid != xid::PING {
            cnxn.last_cxid = asked.cxid;
        }
        // What Prep refused has no operation's name.
        cnxn.last_operation = if failed && is_write { "NA" } else { four_letters(asked.op) };
        cnxn.last_response_ms = now.wall_ms;
        cnxn.last_latency = latency;
        cnxn.latency.add(latency);
        self.server.latency.add(latency);
        if is_write { &mut self.server.update_latency } else { &mut self.server.read_latency }.add(latency);
    }
}

/// As `FinalRequestProcessor` names them.
fn four_letters(kind: i32) -> &'static str {
    match kind {
        op::PING => "PING",
        op::CREATE_SESSION => "SESS",
        op::MULTI => "MULT",
        op::MULTI_READ => "MLTR",
        op::CREATE | op::CREATE2 | op::CREATE_TTL | op::CREATE_CONTAINER => "CREA",
        op::DELETE | op::DELETE_CONTAINER => "DELE",
        op::SET_DATA => "SETD",
        op::RECONFIG => "RECO",
        op::SET_ACL => "SETA",
        op::CLOSE_SESSION => "CLOS",
        op::SYNC => "SYNC",
        op::CHECK => "CHEC",
        op::EXISTS => "EXIS",
        op::GET_DATA => "GETD",
        op::SET_WATCHES => "SETW",
        op::SET_WATCHES2 => "STW2",
        op::ADD_WATCH => "ADDW",
        op::GET_ACL => "GETA",
        op::GET_CHILDREN | op::GET_CHILDREN2 => "GETC",
        op::GET_ALL_CHILDREN_NUMBER => "GETACN",
        op::CHECK_WATCHES => "CHKW",
        op::REMOVE_WATCHES => "REMW",
        op::WHO_AM_I => "HOMI",
        op::GET_EPHEMERALS => "GETE",
        _ => "NA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wire::code;
    use zab::ClientId;

    const CONN: ConnId = ConnId(ConnId::ACCEPTED | 1);
    const CLIENT: ClientId = ClientId(CONN.0);

    fn at(ms: u64) -> Now {
        Now { mono: Nanos::from_millis(ms), wall_ms: 1_000_000 + ms as i64 }
    }

    fn request(cxid: i32, op: i32) -> ClientInput {
        ClientInput::Request { client: CLIENT, cxid, op, body: Bytes::new() }
    }

    fn reply(cxid: i32, zxid: i64, result: Result<Bytes, i32>) -> ClientOutput {
        ClientOutput::Reply { client: CLIENT, cxid, zxid: Zxid(zxid), result }
    }

    fn with_session() -> Stats {
        let mut stats = Stats::default();
        stats.accepted(at(0), CONN);
        let connect = ClientInput::Connect {
            client: CLIENT,
            resume: None,
            timeout_ms: 9000,
            last_zxid: Zxid::ZERO,
            auth: Vec::new(),
        };
        stats.asked(at(1), CONN, &connect);
        let connected = ClientOutput::Connected { client: CLIENT, session: SessionId(7), timeout_ms: 8000 };
        stats.answered(at(4), CONN, &connected);
        stats
    }

    #[test]
    fn latencies_are_from_the_request_to_its_answer() {
        let mut stats = with_session();
        stats.asked(at(10), CONN, &request(1, op::SET_DATA));
        stats.asked(at(11), CONN, &request(xid::PING, op::PING));
        stats.asked(at(12), CONN, &request(2, op::GET_DATA));
        assert_eq!(stats.cnxn(CONN).map(CnxnStats::outstanding), Some(3));
        stats.answered(at(17), CONN, &reply(1, 0x55, Ok(Bytes::new())));
        stats.answered(at(17), CONN, &reply(xid::PING, 0x55, Ok(Bytes::new())));
        let cnxn = stats.cnxn(CONN).expect("there");
        assert_eq!((cnxn.last_operation, cnxn.last_cxid, cnxn.last_latency), ("PING", 1, 6));
        stats.answered(at(17), CONN, &reply(2, 0x56, Ok(Bytes::new())));
        let cnxn = stats.cnxn(CONN).expect("there");
        assert_eq!((cnxn.session, cnxn.timeout_ms, cnxn.outstanding()), (SessionId(7), 8000, 0));
        assert_eq!((cnxn.last_operation, cnxn.last_cxid, cnxn.last_zxid), ("GETD", 2, Zxid(0x56)));
        assert_eq!((cnxn.latency.min(), cnxn.latency.max(), cnxn.latency.avg()), (3, 7, 5.25));
        assert_eq!((cnxn.established_ms, cnxn.last_response_ms), (1_000_000, 1_000_017));
        assert_eq!(stats.server.latency, cnxn.latency);
        assert_eq!((stats.server.update_latency.total, stats.server.update_latency.count), (3 + 7, 2));
        assert_eq!((stats.server.read_latency.total, stats.server.read_latency.count), (6 + 5, 2));
        assert_eq!((stats.server.packets_received, stats.server.connection_requests), (4, 1));
    }

    #[test]
    fn values_are_spread_over_buckets() {
        let mut values = AvgMinMax::default();
        for value in [0, 1, 2, 3, 4, 4095, 4096, u64::MAX >> 1] {
            values.add(value);
        }
        assert_eq!(values.buckets, [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((values.min(), values.max(), values.count), (0, u64::MAX >> 1, 8));
    }

    #[test]
    fn what_prep_refused_has_no_name() {
        let mut stats = with_session();
        let name = |stats: &Stats| stats.cnxn(CONN).map(|cnxn| cnxn.last_operation);
        assert_eq!(name(&stats), Some("SESS"));
        for (op, expected) in [(op::DELETE, "NA"), (op::GET_DATA, "GETD")] {
            stats.asked(at(5), CONN, &request(3, op));
            stats.answered(at(5), CONN, &reply(3, 9, Err(code::NO_NODE)));
            assert_eq!(name(&stats), Some(expected));
        }
    }

    #[test]
    fn resets() {
        let mut stats = with_session();
        stats.sent(CONN, 41);
        stats.sent(CONN, 20);
        assert_eq!(stats.server.responses, BufferStats { last: 20, min: 20, max: 41 });
        stats.reset_server();
        assert_eq!(stats.server, ServerStats::default());
        let cnxn = stats.cnxn(CONN).expect("there");
        assert_eq!((cnxn.sent, cnxn.received, cnxn.latency.count), (2, 1, 1));
        stats.reset_cnxns();
        let cnxn = stats.cnxn(CONN).expect("there");
        assert_eq!((cnxn.sent, cnxn.received, cnxn.latency.count, cnxn.last_operation), (0, 0, 0, "NA"));
        assert_eq!((cnxn.session, cnxn.established_ms), (SessionId(7), 1_000_000));
        stats.closed(CONN);
        assert_eq!(stats.cnxns().len(), 0);
    }
}
