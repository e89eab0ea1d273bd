//! Ways to alter a file: blindly, and in the numbers and lengths that a reader goes by.

/// Random numbers of a fixed seed (Steele, Lea & Flood's SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A part of something so long, of at most `most`.
    fn part(&mut self, length: usize, most: usize) -> std::ops::Range<usize> {
        let begin = self.below(length.max(1));
        begin..(begin + 1 + self.below(most)).min(length)
    }
}

/// Numbers at which readers go wrong.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    255,
    1 << 16,
    1 << 20,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// The same, and others, as texts.
const TEXTS: [&str; 32] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1e8",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e18",
    "1e308",
    "-1e308",
    "5e-324",
    "1e999",
    "nan",
    "inf",
    "null",
    "true",
    "\"\"",
    "\"../../x\"",
    "\"\\u0000\\u001b[2J\"",
    "[]",
    "{}",
    "[1,[2]]",
];

/// The bytes of a file after one to three changes.
pub fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let is_text = std::str::from_utf8(&bytes).is_ok();
        bytes = match random.below(3) {
            0 => blindly(bytes, random),
            _ if is_text => in_text(bytes, random),
            _ if bytes.ends_with(b"PAR1") => in_parquet(bytes, random),
            _ => in_headers(bytes, random),
        };
    }
    bytes
}

/// A change that knows nothing of the file.
fn blindly(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![random.below(256) as u8];
    }
    let (part, place) = (random.part(bytes.len(), 200), random.below(bytes.len()));
    match random.below(9) {
        0 | 1 => bytes[place] ^= 1 << random.below(8),
        2 => bytes[place] = random.below(256) as u8,
        3 => bytes.truncate(place),
        4 => drop(bytes.drain(part)),
        5 => {
            let copy = bytes[part].to_vec();
            bytes.splice(place..place, copy);
        }
        6 => {
            let other = random.below(bytes.len() - part.len() + 1);
            (0..part.len()).for_each(|offset| bytes.swap(part.start + offset, other + offset));
        }
        7 => bytes[part].fill(random.one_of(&[0, 0xff, 0x7f, 0x80])),
        _ => {
            let (number, width) = (random.one_of(&NUMBERS), random.one_of(&[1, 2, 4, 8]));
            let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
            let digits = if random.below(2) == 0 { &little[..width] } else { &big[8 - width..] };
            let end = (place + width).min(bytes.len());
            bytes[place..end].copy_from_slice(&digits[..end - place]);
        }
    }
    bytes
}

/// A number or a text in JSON, TOML or CSV becomes another, a line goes, comes twice or elsewhere, or nesting never ends.
fn in_text(bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    let choice = random.below(10);
    if choice == 0 {
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (line, other) = (random.below(lines.len().max(1)), random.below(lines.len().max(1)));
        match random.below(3) {
            _ if lines.is_empty() => {}
            0 => drop(lines.remove(line)),
            1 => lines.insert(other, lines[line].clone()),
            _ => lines.swap(line, other),
        }
        return lines.concat();
    }
    let mut ends = Vec::new();
    for (place, byte) in bytes.iter().enumerate() {
        let begins = is_part(*byte) && place.checked_sub(1).is_none_or(|before| !is_part(bytes[before]));
        // Mostly numbers, rarely names.
        if begins && (byte.is_ascii_digit() || *byte == b'-' || choice == 1) {
            ends.push(place);
        }
    }
    if ends.is_empty() {
        return blindly(bytes, random);
    }
    let begin = random.one_of(&ends);
    let length = bytes[begin..].iter().take_while(|byte| is_part(**byte)).count();
    let replacement = match random.below(40) {
        0 => "[".repeat(100_000),
        1 => format!("\"{}\"", "x".repeat(70_000)),
        2 => "{\"a\":".repeat(50_000),
        _ => random.one_of(&TEXTS).to_string(),
    };
    let mut bytes = bytes;
    bytes.splice(begin..begin + length, replacement.into_bytes());
    bytes
}

/// A number in a Parquet file's footer becomes another, of as many bytes as it takes, and the footer's length follows; or
/// one in the headers of its pages.
fn in_parquet(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let end = bytes.len().saturating_sub(8);
    let length = bytes.get(end..end + 4).map_or(0, |digits| u32::from_le_bytes(digits.try_into().unwrap_or_default()));
    let footer = end.saturating_sub(length as usize);
    if footer < 4 || footer >= end {
        return blindly(bytes, random);
    }
    if random.below(4) == 0 {
        // The header of a column's first page is after the magic number, those of others after the data before.
        let place = 4 + random.below(footer - 3);
        let wide = varint(random.one_of(&NUMBERS));
        let length = if random.below(2) == 0 { wide.len().min(end - place) } else { 1.min(end - place) };
        bytes.splice(place..place + length, wide);
        return bytes;
    }
    let place = footer + random.below(end - footer);
    let wide = varint(random.one_of(&NUMBERS));
    bytes.splice(place..place + 1, wide);
    let end = bytes.len() - 8;
    let length = (end - footer) as u32;
    bytes[end..end + 4].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Seven bits a byte, the lowest first, as Thrift writes a number.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The JSON head of a file of tensors is altered, and the length before it follows, wherever in the file it begins; or the lines of
/// text with which a checkpoint begins.
fn in_headers(bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let tensors = bytes.windows(2).position(|pair| pair == b"{\"").filter(|place| *place >= 8);
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
    let lines: Vec<usize> = lines.take(2).collect();
    // A checkpoint: its second line is JSON, and then there are tensors.
    if let ([begin, end], true) = (&lines[..], bytes.starts_with(b"cograd-checkpoint")) {
        let altered = match random.below(2) {
            0 => [&bytes[..*begin], &in_text(bytes[*begin..*end].to_vec(), random), &bytes[*end..]].concat(),
            _ => [&bytes[..*end], &in_headers(bytes[*end..].to_vec(), random)].concat(),
        };
        return altered;
    }
    let Some(begin) = tensors else { return blindly(bytes, random) };
    let length = u64::from_le_bytes(bytes[begin - 8..begin].try_into().unwrap_or_default());
    let Some(end) =
        usize::try_from(length).ok().and_then(|length| begin.checked_add(length)).filter(|end| *end <= bytes.len())
    else {
        return blindly(bytes, random);
    };
    let head = in_text(bytes[begin..end].to_vec(), random);
    [&bytes[..begin - 8], &(head.len() as u64).to_le_bytes(), &head, &bytes[end..]].concat()
}
