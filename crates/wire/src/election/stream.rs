//! `ElectionStream`: hello and notifications out of a TCP stream cut anywhere.

use bytes::Bytes;

use super::{Hello, MAX_FRAME, Notification};
use crate::jute::{Error, Reader};
use crate::snapshot::join;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionInbound {
    Hello(Hello),
    /// A frame; one that is no notification is ignored by its reader, the connection stays.
    Notification(Result<Notification, Error>),
}

#[derive(Clone, Debug)]
pub struct ElectionStream {
    expect_hello: bool,
    buffer: Bytes,
}

impl ElectionStream {
    /// The acceptor's side: a hello comes first.
    pub fn accepted() -> ElectionStream {
        ElectionStream { expect_hello: true, buffer: Bytes::new() }
    }
    /// The dialler's side: frames only.
    pub fn dialled() -> ElectionStream {
        ElectionStream { expect_hello: false, buffer: Bytes::new() }
    }
    pub fn feed(&mut self, chunk: Bytes) {
        self.buffer = join(std::mem::take(&mut self.buffer), chunk);
    }
    /// Of a frame the length came and a part of the rest.
    pub fn is_amid_frame(&self) -> bool {
        !self.expect_hello && self.buffer.len() > 4
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<ElectionInbound>, Error> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let mut r = Reader::new(self.buffer.clone());
        let read = if self.expect_hello {
            Hello::decode(&mut r).map(ElectionInbound::Hello)
        } else {
            frame(&mut r).map(|body| ElectionInbound::Notification(Notification::decode(body)))
        };
        match read {
            Err(e) if e.is_short() => Ok(None),
            Err(e) => Err(e),
            Ok(inbound) => {
                self.expect_hello = false;
                self.buffer = r.rest();
                Ok(Some(inbound))
            }
        }
    }
}

fn frame(r: &mut Reader) -> Result<Bytes, Error> {
    let length = r.i32("frame length")?;
    if length <= 0 || length > MAX_FRAME {
        return Err(Error::Length { what: "election frame", length: i64::from(length) });
    }
    r.take("election frame", length as usize)
}
