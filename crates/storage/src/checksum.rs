//! Adler-32, the checksum of logs and snapshots.

/// Of what was written so far.
#[derive(Clone, Default)]
pub struct Adler32(simd_adler32::Adler32);

impl Adler32 {
    pub fn new() -> Adler32 {
        Adler32::default()
    }

    pub fn write_slice(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub fn checksum(&self) -> u32 {
        self.0.finish()
    }
}

impl std::fmt::Debug for Adler32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adler32({:#x})", self.checksum())
    }
}

pub fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = Adler32::new();
    sum.write_slice(bytes);
    sum.checksum()
}
