//! `ClientStream`: a client's packets out of a TCP stream cut anywhere. A server owns one a connection.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::connect::ConnectRequest;
use super::proto::RequestHeader;
use crate::jute::{Error, Reader};
use crate::record::Jute;

/// `jute.maxbuffer`: the longest packet that a server reads, its length not counted.
pub const DEFAULT_JUTE_MAXBUFFER: usize = 0xf_ffff;

/// Bodies of length-prefixed packets. Those that lie whole in a chunk are slices of it, others are put
/// together once; no more than one packet and a chunk is kept, whatever lengths are claimed.
#[derive(Clone, Debug)]
pub struct FrameStream {
    /// The unread rest of the last chunk, where nothing older is waiting.
    chunk: Bytes,
    /// The beginning of a packet, and what follows it; not empty only where `chunk` is.
    pending: BytesMut,
    max_length: usize,
}

impl FrameStream {
    pub fn new(max_length: usize) -> FrameStream {
        FrameStream { chunk: Bytes::new(), pending: BytesMut::new(), max_length }
    }

    pub fn feed(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() && self.pending.is_empty() {
            self.chunk = chunk;
            return;
        }
        self.pending.extend_from_slice(&std::mem::take(&mut self.chunk));
        self.pending.extend_from_slice(&chunk);
    }

    /// The first unread bytes, no more than `n` of them: for those who look for a four-letter word.
    pub fn peek(&self, n: usize) -> &[u8] {
        let unread = self.unread();
        &unread[..n.min(unread.len())]
    }

    /// How many bytes wait to be read.
    pub fn buffered(&self) -> usize {
        self.unread().len()
    }

    fn unread(&self) -> &[u8] {
        if self.pending.is_empty() { &self.chunk } else { &self.pending }
    }

    /// The next packet's body; `None` where more bytes are needed. An error is final: where the next
    /// packet begins is unknown.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(length) = self.unread().first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let body = usize::try_from(length).ok().filter(|n| *n <= self.max_length);
        let body = body.ok_or(Error::Length { what: "packet", length: i64::from(length) })?;
        if self.unread().len() < 4 + body {
            return Ok(None);
        }
        Ok(Some(if self.pending.is_empty() {
            self.chunk.advance(4);
            self.chunk.split_to(body)
        } else {
            self.pending.advance(4);
            self.pending.split_to(body).freeze()
        }))
    }
}

/// Appends a packet: what `write` appends, with its length before it.
pub fn put_frame(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    write(out);
    let length = i32::try_from(out.len() - start - 4).expect("a packet below 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInbound {
    /// The first packet, and only that.
    Connect(ConnectRequest),
    /// `body` is what follows the header, not decoded: see `Request::decode`.
    Request { header: RequestHeader, body: Bytes },
}

#[derive(Clone, Debug)]
pub struct ClientStream {
    frames: FrameStream,
    connected: bool,
}

impl ClientStream {
    /// `max_length`: `jute.maxbuffer`, without the extra allowance of buffers.
    pub fn new(max_length: usize) -> ClientStream {
        ClientStream { frames: FrameStream::new(max_length), connected: false }
    }

    pub fn feed(&mut self, chunk: Bytes) {
        self.frames.feed(chunk);
    }

    /// The four bytes a connection begins with, while nothing else was read from it: a four-letter word,
    /// or the length of the first packet.
    pub fn first_word(&self) -> Option<[u8; 4]> {
        if self.connected { None } else { self.frames.peek(4).try_into().ok() }
    }

    /// Bytes that wait to be read: for those who stop reading a connection that has sent enough.
    pub fn buffered(&self) -> usize {
        self.frames.buffered()
    }

    /// The next packet; `None` where more bytes are needed. After an error the connection is to be
    /// closed.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<ClientInbound>, Error> {
        let Some(packet) = self.frames.next()? else { return Ok(None) };
        if !self.connected {
            self.connected = true;
            return ConnectRequest::parse(packet).map(ClientInbound::Connect).map(Some);
        }
        let mut r = Reader::new(packet);
        let header = RequestHeader::read(&mut r, "RequestHeader")?;
        Ok(Some(ClientInbound::Request { header, body: r.rest() }))
    }
}
