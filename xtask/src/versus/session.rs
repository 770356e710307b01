//! A client of one server: a session over one connection, with as many requests under way as its caller wants.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::client::{
    ConnectRequest, ConnectResponse, DEFAULT_JUTE_MAXBUFFER, FrameStream, ReplyHeader, Request, put_frame,
};
use wire::{Jute, Reader, SessionId, Zxid, codes};

/// Bytes that one read takes at most.
const CHUNK: usize = 256 * 1024;
/// Nobody is waited for longer: with a connection, an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What is asked for; the servers' bounds decide.
const SESSION_TIMEOUT_MS: i32 = 30_000;

/// What it takes to go on with a session elsewhere.
#[derive(Clone, Debug)]
pub struct Resume {
    session: SessionId,
    passwd: Option<Bytes>,
    last_zxid: Zxid,
}

pub struct Session {
    stream: TcpStream,
    frames: FrameStream,
    read: BytesMut,
    /// Requests that are to be sent.
    out: BytesMut,
    next_xid: i32,
    resume: Resume,
}

/// A request, encoded but for its xid.
#[derive(Clone, Debug)]
pub struct Prepared(Bytes);

impl Prepared {
    pub fn new(request: &Request) -> Prepared {
        let mut frame = BytesMut::new();
        put_frame(&mut frame, |out| {
            out.put_i32(0);
            out.put_i32(request.op());
            request.encode(out);
        });
        Prepared(frame.freeze())
    }
}

impl Session {
    pub async fn open(at: SocketAddr) -> Result<Session, String> {
        let resume = Resume { session: SessionId(0), passwd: None, last_zxid: Zxid(0) };
        Session::resume(at, resume).await
    }

    /// Goes on with a session. An error: the server is not there, serves nobody, or says that it is over.
    pub async fn resume(at: SocketAddr, resume: Resume) -> Result<Session, String> {
        let stream = TcpStream::connect(at).await.map_err(|e| format!("{at}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let mut session = Session {
            stream,
            frames: FrameStream::new(DEFAULT_JUTE_MAXBUFFER * 2),
            read: BytesMut::new(),
            out: BytesMut::new(),
            next_xid: 1,
            resume,
        };
        let connect = ConnectRequest {
            last_zxid_seen: session.resume.last_zxid,
            session_id: session.resume.session,
            passwd: session.resume.passwd.clone(),
            ..ConnectRequest::of_a_new_session(SESSION_TIMEOUT_MS)
        };
        put_frame(&mut session.out, |out| connect.write(out));
        session.flush().await?;
        let answer = ConnectResponse::parse(session.packet().await?).map_err(|e| e.to_string())?;
        if answer.time_out <= 0 {
            return Err(format!("{at}: the session has expired"));
        }
        (session.resume.session, session.resume.passwd) = (answer.session_id, answer.passwd);
        Ok(session)
    }

    pub fn to_resume(&self) -> Resume {
        self.resume.clone()
    }

    /// Sent with the next `flush`.
    pub fn ask(&mut self, request: &Prepared) {
        let at = self.out.len();
        self.out.extend_from_slice(&request.0);
        self.out[at + 4..at + 8].copy_from_slice(&self.next_xid.to_be_bytes());
        self.next_xid += 1;
    }

    pub async fn flush(&mut self) -> Result<(), String> {
        self.stream.write_all(&self.out).await.map_err(|e| e.to_string())?;
        self.out.clear();
        Ok(())
    }

    /// How many answers have come: all that are there, at least one. An error that a server answers is an
    /// error here.
    pub async fn answers(&mut self) -> Result<usize, String> {
        let mut answers = self.take_answers()?;
        while answers == 0 {
            self.fill().await?;
            answers = self.take_answers()?;
        }
        Ok(answers)
    }

    fn take_answers(&mut self) -> Result<usize, String> {
        let mut answers = 0;
        while let Some(mut packet) = self.frames.next().map_err(|e| e.to_string())? {
            let header = ReplyHeader::read(
                &mut Reader::new(packet.split_to(16.min(packet.remaining()))),
                "ReplyHeader",
            )
            .map_err(|e| e.to_string())?;
            if header.xid == codes::xid::NOTIFICATION {
                continue;
            }
            if header.err != 0 {
                return Err(format!("answered with error {}", header.err));
            }
            self.resume.last_zxid = self.resume.last_zxid.max(header.zxid);
            answers += 1;
        }
        Ok(answers)
    }

    /// One request, and its answer.
    pub async fn call(&mut self, request: &Prepared) -> Result<(), String> {
        self.ask(request);
        self.flush().await?;
        self.answers().await.map(drop)
    }

    async fn packet(&mut self) -> Result<Bytes, String> {
        loop {
            if let Some(packet) = self.frames.next().map_err(|e| e.to_string())? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), String> {
        if self.read.capacity() < CHUNK / 4 {
            self.read.reserve(CHUNK);
        }
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) => Err("the server closed the connection".into()),
            Ok(_) => {
                self.frames.feed(self.read.split().freeze());
                Ok(())
            }
            Err(e) => Err(e.to_string()),
        }
    }
}
