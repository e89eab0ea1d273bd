//! The typeface of the figures, embedded: text is as wide, and looks alike, on every machine.

use std::sync::LazyLock;

use ttf_parser::Face;

/// Subsets of DejaVu Sans.
pub const REGULAR: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
pub const BOLD: &[u8] = include_bytes!("../fonts/DejaVuSans-Bold.ttf");

/// How wide a text is, in font sizes; a letter that the typeface has not is as wide as its empty box.
pub fn width(text: &str, bold: bool) -> f64 {
    static FACES: LazyLock<[Face; 2]> =
        LazyLock::new(|| [REGULAR, BOLD].map(|bytes| Face::parse(bytes, 0).expect("the embedded font is a font")));
    let face = &FACES[usize::from(bold)];
    let advance = |letter| face.glyph_hor_advance(face.glyph_index(letter).unwrap_or_default()).unwrap_or(0);
    text.chars().map(advance).map(f64::from).sum::<f64>() / f64::from(face.units_per_em())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_letters_of_the_figures() {
        for bytes in [REGULAR, BOLD] {
            let face = Face::parse(bytes, 0).unwrap();
            for letter in "aZ09αβεηΣØé‖−≤≥×√⁰⁴⁹⁻₀₁₉ᵖᶜ⟨⟩…’“".chars() {
                assert!(face.glyph_index(letter).is_some(), "{letter}");
            }
        }
        assert!(width("loss", true) > width("loss", false));
    }
}
