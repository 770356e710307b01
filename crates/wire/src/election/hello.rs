//! The first bytes of a connection to the election port, from its dialler.

use bytes::{BufMut, Bytes, BytesMut};

use super::MAX_HELLO_ADDRESS;
use crate::ids::ServerId;
use crate::jute::{Error, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloLayout {
    /// 3.4: the sid alone.
    Legacy,
    /// -65536: one address.
    V1,
    /// -65535: addresses separated by `|`.
    MultiAddress,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub layout: HelloLayout,
    pub sid: ServerId,
    /// `host:electionPort`, as the sender knows it; empty in the legacy layout.
    pub address: Bytes,
}

impl Hello {
    pub fn decode(r: &mut Reader) -> Result<Hello, Error> {
        let first = r.i64("hello")?;
        let layout = match first {
            0.. => {
                return Ok(Hello {
                    layout: HelloLayout::Legacy,
                    sid: ServerId(first),
                    address: Bytes::new(),
                });
            }
            -65536 => HelloLayout::V1,
            -65535 => HelloLayout::MultiAddress,
            _ => return Err(Error::Malformed { what: "hello", expected: "a sid or version -65536, -65535" }),
        };
        let sid = ServerId(r.i64("hello sid")?);
        let length = r.i32("hello address length")?;
        if !(1..=MAX_HELLO_ADDRESS).contains(&length) {
            return Err(Error::Length { what: "hello address", length: i64::from(length) });
        }
        let address = r.take("hello address", length as usize)?;
        Ok(Hello { layout, sid, address })
    }

    pub fn encode(&self, out: &mut BytesMut) {
        match self.layout {
            HelloLayout::Legacy => return out.put_i64(self.sid.0),
            HelloLayout::V1 => out.put_i64(-65536),
            HelloLayout::MultiAddress => out.put_i64(-65535),
        }
        out.put_i64(self.sid.0);
        out.put_i32(i32::try_from(self.address.len()).expect("a short address"));
        out.extend_from_slice(&self.address);
    }
}
