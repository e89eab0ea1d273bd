//! The schema in the footer of a Parquet file, before a library reads it: one that reserves memory for as many children as an element
//! claims, and follows as deep as elements are nested.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// How deep structures of a footer may be nested.
const DEEPEST: usize = 64;

/// Checks that no element of the schema claims more children than there are elements, and that they are not nested deeper than files are.
/// What is not a Parquet file at all passes: a reader says so.
///
/// # Errors
/// The schema is not so, or the footer is cut off.
pub fn check_parquet_schema(mut file: impl Read + Seek) -> Result<()> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; 8];
    if bytes < 12 {
        return Ok(());
    }
    file.seek(SeekFrom::Start(bytes - 8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || length > bytes - 8 {
        return Ok(());
    }
    let mut footer = vec![0; length as usize];
    file.seek(SeekFrom::Start(bytes - 8 - length))?;
    file.read_exact(&mut footer)?;
    match (Thrift { rest: &footer }).file_metadata() {
        Some(true) => Ok(()),
        Some(false) => Err(damaged("the schema of its footer is no tree of its columns")),
        None => Err(damaged("its footer is damaged")),
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{what}: the file is not as it was written"))
}

/// Bytes in Thrift's compact protocol. `None` stands for what it does not have.
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    /// Whether every schema among the fields is one.
    fn file_metadata(&mut self) -> Option<bool> {
        let (mut last, mut is_schema) = (0, true);
        while let Some((field, kind)) = self.field(&mut last)? {
            match (field, kind) {
                (2, 9) => is_schema &= self.schema()?,
                (2, _) => return None,
                _ => self.skip(kind, DEEPEST)?,
            }
        }
        Some(is_schema)
    }

    /// Whether the numbers of children in a list of elements make a tree.
    fn schema(&mut self) -> Option<bool> {
        let (size, kind) = self.list()?;
        if kind != 12 {
            return Some(false);
        }
        // Children to come at every depth.
        let (mut open, mut is_tree): (Vec<u64>, bool) = (Vec::new(), true);
        for _ in 0..size {
            let children = self.children()?;
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(to_come) = open.last_mut() {
                *to_come -= 1;
            }
            is_tree &= children <= size && open.len() < DEEPEST;
            if is_tree && children > 0 {
                open.push(children);
            }
        }
        Some(is_tree)
    }

    /// How many children an element of a schema claims to have.
    fn children(&mut self) -> Option<u64> {
        let (mut last, mut children) = (0, 0);
        while let Some((field, kind)) = self.field(&mut last)? {
            match (field, kind) {
                // Zigzag: a negative number is odd, and counts as too many.
                (5, 5) => {
                    let number = self.varint()?;
                    children = if number & 1 == 0 { number / 2 } else { u64::MAX };
                }
                // A reader goes by the number of a field, and would take it for what it is not.
                (1..=3 | 6..=9, 5) | (4, 8) | (10, 12) | (11.., _) => self.skip(kind, DEEPEST)?,
                _ => return None,
            }
        }
        Some(children)
    }

    /// Number and type of the next field; none at the end of the structure.
    fn field(&mut self, last: &mut i64) -> Option<Option<(i64, u8)>> {
        let header = self.byte()?;
        let (step, kind) = (header >> 4, header & 15);
        if kind == 0 {
            return Some(None);
        }
        *last = match step {
            0 => self.varint().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))?,
            _ => *last + i64::from(step),
        };
        Some(Some((*last, kind)))
    }

    /// Number and type of the elements of a list.
    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let size = match header >> 4 {
            15 => self.varint()?,
            size => u64::from(size),
        };
        Some((size, header & 15))
    }

    /// Passes over a value; `deepest` structures may be nested in it.
    fn skip(&mut self, kind: u8, deepest: usize) -> Option<()> {
        let deeper = deepest.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.bytes(8),
            8 => self.varint().and_then(|length| self.bytes(length)),
            9 | 10 => {
                let (size, kind) = self.list()?;
                (0..size).try_for_each(|_| self.skip(alone(kind), deeper))
            }
            11 => {
                let size = self.varint()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                let [key, value] = [alone(kinds >> 4), alone(kinds & 15)];
                (0..size).try_for_each(|_| self.skip(key, deeper).and_then(|()| self.skip(value, deeper)))
            }
            12 => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, deeper)?;
                }
                Some(())
            }
            13 => self.bytes(16),
            _ => None,
        }
    }

    fn bytes(&mut self, length: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }
}

/// The type of an element: a truth value that is no field takes a byte.
fn alone(kind: u8) -> u8 {
    if kind == 1 || kind == 2 { 3 } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A file whose schema has elements with so many children.
    fn file(children: &[u8]) -> Vec<u8> {
        // version: i32 = 1; schema: a list of structures, each with field 4 (its name) and field 5 (zigzag).
        let mut footer = vec![0x15, 2, 0x19, 0xfc];
        footer.push(children.len() as u8);
        children.iter().for_each(|&children| footer.extend([0x48, 1, b'x', 0x15, 2 * children, 0]));
        footer.extend([0x16, 0, 0]);
        let length = (footer.len() as u32).to_le_bytes();
        [b"PAR1", &footer[..], &length, b"PAR1"].concat()
    }

    fn check(bytes: Vec<u8>) -> Result<()> {
        check_parquet_schema(Cursor::new(bytes))
    }

    #[test]
    fn a_schema_may_not_claim_more_children_than_it_has_elements() {
        assert!(check(file(&[2, 0, 1, 0])).is_ok());
        assert!(check(file(&[2, 5, 1, 0])).unwrap_err().to_string().contains("no tree"));
        assert!(check(file(&[2, 60, 1, 0])).is_err());
    }

    #[test]
    fn a_schema_may_not_be_nested_without_end() {
        assert!(check(file(&[1; 60])).is_ok());
        assert!(check(file(&[1; 100])).is_err());
        let wide: Vec<u8> = std::iter::once(63).chain([0; 63]).collect();
        assert!(check(file(&wide)).is_ok());
    }

    #[test]
    fn a_footer_that_is_cut_off_is_damaged_and_another_file_passes() {
        let whole = file(&[1, 0]);
        let footer = whole.len() - 12;
        for end in 1..footer {
            let cut = [b"PAR1", &whole[4..4 + end], &(end as u32).to_le_bytes(), b"PAR1"].concat();
            assert!(check(cut).is_err(), "{end} of {footer} bytes");
        }
        assert!(check(Vec::new()).is_ok() && check(b"no Parquet file at all".to_vec()).is_ok());
    }
}
