//! `Jute`: what every record and every field of one can do, and the macro that turns a record written
//! as `zookeeper.jute` has it into a struct. Used by all record modules of this crate.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{SessionId, Zxid};
use crate::jute::{Error, Reader, put_buffer};

/// A value with a jute encoding: a record, or the type of a record's field.
///
/// | jute | Rust |
/// |---|---|
/// | `int`, `long`, `boolean` | `i32`, `i64`, `bool` |
/// | `ustring` | `Bytes`: the bytes as they came, which Java writes and reads leniently; never null |
/// | `ustring` where null has a meaning | `NullableString` |
/// | `buffer` | `Option<Bytes>`: `None` is null (-1), which differs from empty |
/// | `vector<T>` | `Vec<T>`, never null; `Option<Vec<T>>` where null has a meaning |
///
/// Strings and buffers are slices of what was read, not copies: one that is kept for long keeps all of
/// the packet or chunk it came in, so a store copies what is small. A null where none can be meant is an
/// error, as it is a `NullPointerException` in Java.
pub trait Jute: Sized {
    /// Reads the value off the front. `what` names the field in errors; records name their own.
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error>;
    fn write(&self, out: &mut BytesMut);
    /// The value with its names, for printing.
    fn value(&self) -> Value;

    /// The record at the front of `bytes`. What follows it is ignored, as servers ignore it.
    fn parse(bytes: Bytes) -> Result<Self, Error> {
        Self::read(&mut Reader::new(bytes), "record")
    }
    fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut out);
        out.freeze()
    }
}

/// A record without its types, in the order and with the names of `zookeeper.jute`. What prints
/// records walks this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Zxid(Zxid),
    Session(SessionId),
    String(Bytes),
    Buffer(Bytes),
    List(Vec<Value>),
    Record(&'static str, Vec<(&'static str, Value)>),
}

/// A `ustring` whose null differs from the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NullableString(pub Option<Bytes>);

macro_rules! plain {
    ($type:ty, $read:ident, $put:ident, $wrap:path, $unwrap:expr, $value:expr) => {
        impl Jute for $type {
            fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
                r.$read(what).map($wrap)
            }
            fn write(&self, out: &mut BytesMut) {
                out.$put($unwrap(*self));
            }
            fn value(&self) -> Value {
                $value(*self)
            }
        }
    };
}
plain!(i32, i32, put_i32, std::convert::identity, |n| n, |n| Value::Int(i64::from(n)));
plain!(i64, i64, put_i64, std::convert::identity, |n| n, Value::Int);
plain!(bool, bool, put_u8, std::convert::identity, u8::from, Value::Bool);
plain!(Zxid, i64, put_i64, Zxid, |zxid: Zxid| zxid.0, Value::Zxid);
plain!(SessionId, i64, put_i64, SessionId, |id: SessionId| id.0, Value::Session);

impl Jute for Bytes {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        r.string(what)
    }
    fn write(&self, out: &mut BytesMut) {
        put_buffer(out, Some(self));
    }
    fn value(&self) -> Value {
        Value::String(self.clone())
    }
}

impl Jute for NullableString {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        r.buffer(what).map(NullableString)
    }
    fn write(&self, out: &mut BytesMut) {
        put_buffer(out, self.0.as_deref());
    }
    fn value(&self) -> Value {
        self.0.clone().map_or(Value::Null, Value::String)
    }
}

impl Jute for Option<Bytes> {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        r.buffer(what)
    }
    fn write(&self, out: &mut BytesMut) {
        put_buffer(out, self.as_deref());
    }
    fn value(&self) -> Value {
        self.clone().map_or(Value::Null, Value::Buffer)
    }
}

impl<T: Jute> Jute for Option<Vec<T>> {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        let Some(count) = r.count(what)? else { return Ok(None) };
        // No element is shorter than an int: a count that lies reserves no more than came.
        let mut items = Vec::with_capacity((count as usize).min(r.remaining() / 4).min(64));
        for _ in 0..count {
            items.push(T::read(r, what)?);
        }
        Ok(Some(items))
    }
    fn write(&self, out: &mut BytesMut) {
        match self {
            None => out.put_i32(-1),
            Some(items) => write_vector(items, out),
        }
    }
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Jute::value)
    }
}

impl<T: Jute> Jute for Vec<T> {
    fn read(r: &mut Reader, what: &'static str) -> Result<Self, Error> {
        Option::<Vec<T>>::read(r, what)?.ok_or(Error::Malformed { what, expected: "a vector, not null" })
    }
    fn write(&self, out: &mut BytesMut) {
        write_vector(self, out);
    }
    fn value(&self) -> Value {
        Value::List(self.iter().map(Jute::value).collect())
    }
}

fn write_vector<T: Jute>(items: &[T], out: &mut BytesMut) {
    out.put_i32(i32::try_from(items.len()).expect("fewer than 2^31 items"));
    for item in items {
        item.write(out);
    }
}

/// The name of a field in `zookeeper.jute`: its own, or the literal behind it.
macro_rules! field_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

/// Records as `zookeeper.jute` writes them: a struct each, with its encoding. A literal behind a field
/// is its name there, where Rust's differs.
macro_rules! records {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$field_meta:meta])* $field:ident $($wire:literal)? : $type:ty ),* $(,)? }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::record::Jute for $name {
            fn read(
                r: &mut $crate::jute::Reader,
                _what: &'static str,
            ) -> Result<Self, $crate::jute::Error> {
                Ok($name { $(
                    $field: $crate::record::Jute::read(
                        r,
                        concat!(stringify!($name), ".", $crate::record::field_name!($field $($wire)?)),
                    )?,
                )* })
            }
            fn write(&self, out: &mut bytes::BytesMut) {
                $( $crate::record::Jute::write(&self.$field, out); )*
            }
            fn value(&self) -> $crate::record::Value {
                $crate::record::Value::Record(stringify!($name), vec![$(
                    (
                        $crate::record::field_name!($field $($wire)?),
                        $crate::record::Jute::value(&self.$field),
                    ),
                )*])
            }
        }
    )*};
}

pub(crate) use {field_name, records};
