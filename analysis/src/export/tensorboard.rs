//! Curves as event files of TensorBoard: a directory a run, so that α stands beside the loss in the dashboard.
//!
//! An event file is a sequence of records (length, checksum, bytes, checksum) as TFRecord frames them; the bytes are the protocol
//! buffer `Event` with a scalar `Summary`. Values are f32 there, by that format. The wall time of a value is its step, in seconds:
//! the same results give the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cograd_files::write_atomically;
use cograd_results::Results;

use super::names::Names;
use crate::AnalysisError;

/// The table that it is made of.
pub(super) const TABLE: &str = "curves";

/// Name of the file in the directory of a run: TensorBoard asks for `tfevents` in it.
const FILE: &str = "events.out.tfevents.0.cograd";

/// Writes a file for each run; returns them.
pub(super) fn write(results: &Results, directory: &Path) -> Result<Vec<PathBuf>, AnalysisError> {
    let mut events: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    results.each_part(TABLE, |rows| {
        for row in 0..rows.len() {
            let text = |column: &str| rows.text(column, row);
            let (Some(run), Some(step), Some(value)) =
                (text("run"), rows.integer("step", row), rows.number("value", row))
            else {
                continue;
            };
            let events = events.entry(run.to_string()).or_insert_with(|| record(&version()));
            events.extend(record(&scalar(step, &tag(text), value as f32)));
        }
    })?;
    let mut names = Names::default();
    let file = |(run, events): (String, Vec<u8>)| {
        let directory = directory.join(names.unique(&run));
        std::fs::create_dir(&directory).map_err(cograd_files::FileError::io("create the directory", &directory))?;
        let path = directory.join(FILE);
        write_atomically(&path, &events)?;
        Ok(path)
    };
    events
        .into_iter()
        .map(file)
        .collect::<Result<_, cograd_files::FileError>>()
        .map_err(|error| AnalysisError::Output(error.into()))
}

/// `share/pristine (paper)`: what stands before the slash is a section of the dashboard.
fn tag<'a>(text: impl Fn(&str) -> Option<&'a str>) -> String {
    let curve = text("curve").unwrap_or_default();
    let of: Vec<&str> = ["layer", "group_a", "group_b"].iter().filter_map(|column| text(column)).collect();
    let of = if of.is_empty() { "all".to_string() } else { of.join(", ") };
    match text("estimator") {
        Some(estimator) => format!("{curve}/{of} ({estimator})"),
        None => format!("{curve}/{of}"),
    }
}

/// The event that every file begins with.
fn version() -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, 0.0);
    event.bytes(3, b"brain.Event:2");
    event.0
}

fn scalar(step: i64, tag: &str, value: f32) -> Vec<u8> {
    let [mut number, mut summary, mut event] = [Message::default(), Message::default(), Message::default()];
    number.bytes(1, tag.as_bytes());
    number.float(2, value);
    summary.bytes(1, &number.0);
    event.double(1, step as f64);
    // A negative step would be ten bytes, as it should.
    event.number(2, step as u64);
    event.bytes(5, &summary.0);
    event.0
}

/// A protocol buffer, field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn variable(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.variable(field << 3 | kind);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.variable(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.variable(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

/// The bytes as TFRecord frames them.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}

/// The checksum of some bytes, rotated and shifted, since a checksum of bytes with checksums in them is a weak one.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32 with Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let (mut table, mut byte) = ([0; 256], 0);
        while byte < 256 {
            let (mut value, mut bit) = (byte as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| sum >> 8 ^ TABLE[(sum as u8 ^ byte) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of RFC 3720, appendix B.4.
    #[test]
    fn the_checksum_is_castagnolis() {
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(
            [crc32c(&[0; 32]), crc32c(&[0xff; 32]), crc32c(&ascending), crc32c(b"123456789")],
            [0x8a91_36aa, 0x62a8_ab43, 0x46dd_794e, 0xe306_9283]
        );
    }

    #[test]
    fn an_event_is_the_protocol_buffer() {
        let event = scalar(300, "a/b", 0.5);
        let expected = [
            &[0x09][..],
            &300_f64.to_le_bytes(),
            &[0x10, 0xac, 0x02, 0x2a, 12, 0x0a, 10, 0x0a, 3],
            b"a/b",
            &[0x15],
            &0.5_f32.to_le_bytes(),
        ];
        assert_eq!(event, expected.concat());
    }
}
