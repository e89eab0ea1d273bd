//! What a file is by its first bytes, where it is not what its name says.

/// So many first bytes are enough to tell.
pub(super) const LENGTH: usize = 64;

/// What a file is that begins so, and what to do; `None` where nothing is known. `is_unpacked` says whether these bytes were
/// unpacked on the way.
pub(super) fn hint(begin: &[u8], is_unpacked: bool) -> Option<&'static str> {
    if begin.is_empty() {
        return Some("it is empty: fetch it again");
    }
    let of_text = || match cograd_files::unmarked(begin).trim_ascii_start() {
        [b'<', ..] => Some("it is a web page: download the file itself"),
        [b'{', ..] => Some("it is JSON, perhaps what a server answered in place of the file: download the file itself"),
        _ => None,
    };
    hint_besides_text(begin, is_unpacked).or_else(of_text)
}

/// The same of a file that may begin as a web page does, since any text may.
pub(super) fn hint_besides_text(begin: &[u8], is_unpacked: bool) -> Option<&'static str> {
    Some(match begin {
        [0x1f, 0x8b, ..] if is_unpacked => "it is gzipped twice: unpack it once",
        [0x1f, 0x8b, ..] => "it is gzipped: let its name end in .gz",
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => "it is packed with bzip2: unpack it with bunzip2",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is packed with xz: unpack it with unxz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is packed with zstd: unpack it with unzstd",
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "it is a ZIP archive: unpack it with unzip",
        [b'7', b'z', 0xbc, 0xaf, ..] => "it is a 7z archive: unpack it with 7z x",
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', b'h', b't', b't', b'p', ..] => {
            "it is a pointer of Git LFS in place of the file: run `git lfs pull`"
        }
        _ => return None,
    })
}

/// What a text file holds behind the byte order mark that some editors write.
///
/// # Errors
/// What it is and what to do, if it is text of another encoding than UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> Result<&[u8], &'static str> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("it is UTF-16: save it as UTF-8"),
        _ => Ok(cograd_files::unmarked(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (begin, part) in [
            (&b"BZh91AY&SY"[..], "bunzip2"),
            (b"\xfd7zXZ\0", "unxz"),
            (b"\x28\xb5\x2f\xfd\0", "unzstd"),
            (b"PK\x03\x04", "unzip"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"\xef\xbb\xbf \n<!doctype html>", "web page"),
            (b"{\"error\": 404}", "JSON"),
            (b"", "it is empty"),
        ] {
            assert!(hint(begin, false).is_some_and(|hint| hint.contains(part)), "{part}");
        }
        assert_eq!(hint(b"\x1f\x8b\x08", false), Some("it is gzipped: let its name end in .gz"));
        assert_eq!(hint(b"\x1f\x8b\x08", true), Some("it is gzipped twice: unpack it once"));
        assert_eq!((hint(b"BZhang x", false), hint(b"\0\0\x08\x03", false)), (None, None));
        assert_eq!(hint_besides_text(b"<s> x", false), None);
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(text_of(b"\xef\xbb\xbfa"), Ok(&b"a"[..]));
        assert_eq!(text_of(b"a\xef\xbb\xbf"), Ok(&b"a\xef\xbb\xbf"[..]));
        assert!(text_of(b"\xff\xfea\0").is_err());
    }
}
