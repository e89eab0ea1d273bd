//! Gzip files as other programs write them: several members one after the other, and padding of zeros after the last.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// What every member begins with.
const MAGIC: u8 = 0x1f;

/// The kind of the error about zeros between two members.
pub(super) const GAP: ErrorKind = ErrorKind::Unsupported;

/// Unpacks member after member.
pub(super) struct Members<R> {
    /// Of the member that is read; `None` for a moment between two.
    decoder: Option<GzDecoder<R>>,
    /// Whether the last member has ended.
    has_ended: bool,
}

impl<R: BufRead> Members<R> {
    /// Of a packed file.
    pub(super) fn new(packed: R) -> Members<R> {
        Members { decoder: Some(GzDecoder::new(packed)), has_ended: false }
    }

    /// Goes on to the next member, over zeros that end the file.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let mut packed = decoder.into_inner();
        let mut is_padded = false;
        loop {
            let bytes = packed.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            is_padded |= zeros > 0;
            match bytes.get(zeros) {
                None if bytes.is_empty() => {
                    self.has_ended = true;
                    return Ok(());
                }
                None => packed.consume(zeros),
                Some(&MAGIC) if !is_padded => break,
                // No other program would read on here.
                Some(&MAGIC) => return Err(io::Error::new(GAP, "it goes on behind zeros")),
                Some(_) => return Err(io::Error::new(ErrorKind::InvalidData, "it goes on after its end")),
            }
        }
        self.decoder = Some(GzDecoder::new(packed));
        Ok(())
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.has_ended && !buffer.is_empty() {
            let Some(decoder) = &mut self.decoder else { break };
            match decoder.read(buffer)? {
                0 => self.next_member()?,
                length => return Ok(length),
            }
        }
        Ok(0)
    }
}
