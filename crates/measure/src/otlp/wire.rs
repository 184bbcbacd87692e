//! The wire format of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>), read where it lies: fields of a
//! message in turn, each a number and a value. Nothing is copied and nothing grows, whatever the bytes say; a generated
//! reader would build every span with all its events before the first could be looked at, and of a body of empty messages a
//! hundred times its length.

use std::fmt;

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is no such message")
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    /// `int32`, `int64`, `uint64`, `sint32`, `bool`, enums.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// `string`, `bytes`, messages, packed numbers.
    Bytes(&'a [u8]),
    /// `fixed32`.
    Fixed32(u32),
}

/// The fields of a message, in the order they stand in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Field<'a>), Broken> {
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| Broken)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut self.0)?),
            1 => Field::Fixed64(fixed64(&mut self.0)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| Broken)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => {
                let (bytes, rest) = self.0.split_first_chunk().ok_or(Broken)?;
                self.0 = rest;
                Field::Fixed32(u32::from_le_bytes(*bytes))
            }
            // Groups went out of use before OpenTelemetry was.
            _ => return Err(Broken),
        };
        if number == 0 { Err(Broken) } else { Ok((number, field)) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// A message or bytes.
    pub(super) fn bytes(self) -> Result<&'a [u8], Broken> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Broken),
        }
    }

    /// Text.
    pub(super) fn text(self) -> Result<&'a str, Broken> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Broken)
    }

    /// A whole number.
    pub(super) fn varint(self) -> Result<u64, Broken> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(Broken),
        }
    }

    /// A `sint32`, which is written with its sign in the lowest bit.
    pub(super) fn zigzag(self) -> Result<i32, Broken> {
        let number = u32::try_from(self.varint()?).map_err(|_| Broken)?;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    /// A `fixed64`.
    pub(super) fn fixed64(self) -> Result<u64, Broken> {
        match self {
            Self::Fixed64(number) => Ok(number),
            _ => Err(Broken),
        }
    }

    /// A `double`.
    pub(super) fn double(self) -> Result<f64, Broken> {
        self.fixed64().map(f64::from_bits)
    }

    /// `fixed64` or `double` numbers as bits, packed or one by one.
    pub(super) fn each_fixed64(self, mut take: impl FnMut(u64)) -> Result<(), Broken> {
        match self {
            Self::Fixed64(number) => take(number),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    take(fixed64(&mut bytes)?);
                }
            }
            _ => return Err(Broken),
        }
        Ok(())
    }

    /// Whole numbers, packed or one by one.
    pub(super) fn each_varint(self, mut take: impl FnMut(u64)) -> Result<(), Broken> {
        match self {
            Self::Varint(number) => take(number),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    take(varint(&mut bytes)?);
                }
            }
            _ => return Err(Broken),
        }
        Ok(())
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Broken> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Broken)?;
        *bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return Err(Broken);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Broken)
}

fn fixed64(bytes: &mut &[u8]) -> Result<u64, Broken> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Broken)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*number))
}

/// Writes a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a field of bytes, text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_encoding_guide_writes_them() {
        assert_eq!(Fields(&[0x08, 0x96, 0x01]).next(), Some(Ok((1, Field::Varint(150)))));
        assert_eq!(Fields(b"\x12\x07testing").next(), Some(Ok((2, Field::Bytes(b"testing")))));
        for (number, zigzag) in [(0, 0), (1, -1), (2, 1), (3, -2), (0xffff_fffe, i32::MAX), (0xffff_ffff, i32::MIN)] {
            assert_eq!(Field::Varint(number).zigzag(), Ok(zigzag));
        }
        let mut written = Vec::new();
        put_varint(&mut written, u64::MAX);
        assert_eq!(varint(&mut &*written), Ok(u64::MAX));
        assert_eq!(varint(&mut &[0xff; 10][..]), Err(Broken), "more than 64 bits");
    }

    #[test]
    fn what_is_cut_or_of_no_kind_is_broken() {
        for bytes in [
            &b"\x12\x08testing"[..],
            b"\x08",
            b"\x09\x01",
            b"\x0d\x01",
            b"\x0b",
            b"\x00\x01",
            b"\xff\xff\xff\xff\xff\x01\x01",
        ] {
            assert_eq!(Fields(bytes).last(), Some(Err(Broken)), "{bytes:?}");
        }
    }
}
