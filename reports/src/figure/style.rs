//! Colours and sizes that every figure shares.

use crate::canvas::{Dash, Marker};
use plotters::style::RGBColor;

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Spines, ticks and reference lines.
pub const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Okabe and Ito's blue and vermilion.
pub const PRISTINE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub const CORRUPT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
/// Training accuracy is ink, test accuracy Okabe and Ito's bluish green, and a purple as dark.
pub const TEST: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub const OVERFIT: RGBColor = RGBColor(0xaa, 0x33, 0x77);
pub const NULL_BAND: RGBColor = RGBColor(0x55, 0x55, 0x55);
pub const BAND_OPACITY: f64 = 0.22;

/// Estimates beside the exact value, which is ink.
pub const ESTIMATE: RGBColor = TEST;
pub const PAPER_ESTIMATE: RGBColor = OVERFIT;

/// Full and column width of a two-column paper, in points.
pub const FULL_WIDTH: f64 = 486.0;
pub const COLUMN_WIDTH: f64 = 240.0;

/// Curves thin out where several seeds share a panel.
pub fn curve_width(seeds: usize) -> f64 {
    if seeds > 1 { 0.75 } else { 1.25 }
}

/// The plasma map up to where it gets too light for white paper: ordered to the eye, with or without colour vision.
pub fn noise_colour(index: usize, levels: usize) -> RGBColor {
    const PLASMA: [(u8, u8, u8); 7] = [
        (0x0d, 0x08, 0x87),
        (0x4c, 0x02, 0xa1),
        (0x7e, 0x03, 0xa8),
        (0xa9, 0x23, 0x95),
        (0xcc, 0x47, 0x78),
        (0xe5, 0x6b, 0x5d),
        (0xf8, 0x95, 0x40),
    ];
    mixed(&PLASMA, index as f64 / levels.saturating_sub(1).max(1) as f64)
}

const MARKERS: [Marker; 5] = [Marker::Disc, Marker::Square, Marker::Diamond, Marker::Triangle, Marker::Cross];

/// Colour and marker of one of several groups, layers or studies: Okabe and Ito's colours and three of Tol's muted ones, of
/// different lightness, then again with other markers.
pub fn group_style(index: usize) -> (RGBColor, Marker) {
    const COLOURS: [RGBColor; 10] = [
        RGBColor(0x00, 0x9e, 0x73),
        RGBColor(0xcc, 0x79, 0xa7),
        RGBColor(0x33, 0x22, 0x88),
        RGBColor(0xe6, 0x9f, 0x00),
        RGBColor(0x56, 0xb4, 0xe9),
        RGBColor(0x88, 0x22, 0x55),
        RGBColor(0x99, 0x99, 0x33),
        RGBColor(0xd5, 0x5e, 0x00),
        RGBColor(0x00, 0x72, 0xb2),
        RGBColor(0x22, 0x22, 0x22),
    ];
    // After ten colours the markers have moved on by one.
    (COLOURS[index % COLOURS.len()], MARKERS[(index + index / COLOURS.len()) % MARKERS.len()])
}

/// The looks of so many groups; two are blue and vermilion, as the paper's pristine and corrupt examples.
pub fn group_styles(number: usize) -> Vec<(RGBColor, Marker)> {
    match number {
        0..=2 => [(PRISTINE, Marker::Disc), (CORRUPT, Marker::Square)][..number].to_vec(),
        _ => (0..number).map(group_style).collect(),
    }
}

/// A map from −1 (purple) over 0 (white) to 1 (green), ColorBrewer's PRGn: symmetric in lightness, and told apart without
/// red-green vision.
pub fn diverging(value: f64) -> RGBColor {
    const NEGATIVE: [(u8, u8, u8); 5] =
        [(0xf7, 0xf7, 0xf7), (0xe7, 0xd4, 0xe8), (0xc2, 0xa5, 0xcf), (0x99, 0x70, 0xab), (0x76, 0x2a, 0x83)];
    const POSITIVE: [(u8, u8, u8); 5] =
        [(0xf7, 0xf7, 0xf7), (0xd9, 0xf0, 0xd3), (0xa6, 0xdb, 0xa0), (0x5a, 0xae, 0x61), (0x1b, 0x78, 0x37)];
    mixed(if value < 0.0 { &NEGATIVE } else { &POSITIVE }, value.abs().min(1.0))
}

/// The colour at `place`, 0 to 1, of a map.
fn mixed(map: &[(u8, u8, u8)], place: f64) -> RGBColor {
    let place = (map.len() - 1) as f64 * place;
    let below = (place.floor() as usize).min(map.len() - 2);
    let (from, to) = (map[below], map[below + 1]);
    let mix =
        |from: u8, to: u8| (f64::from(from) + (place - below as f64) * (f64::from(to) - f64::from(from))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// A map from dark violet to yellow, viridis, of a value from 0 to 1.
pub fn sequential(value: f64) -> RGBColor {
    const VIRIDIS: [(u8, u8, u8); 7] = [
        (0x44, 0x01, 0x54),
        (0x44, 0x39, 0x83),
        (0x31, 0x68, 0x8e),
        (0x21, 0x91, 0x8c),
        (0x35, 0xb7, 0x79),
        (0x90, 0xd7, 0x43),
        (0xfd, 0xe7, 0x25),
    ];
    mixed(&VIRIDIS, value.clamp(0.0, 1.0))
}

/// How one of several conditions looks: told from the others by its dashes and its marker, without colour too.
pub fn line_style(index: usize) -> (RGBColor, Dash, Marker) {
    const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Alternating, Dash::Dotted];
    // Four and five have no common factor: twenty conditions before a pair comes again.
    (group_style(index).0, DASHES[index % DASHES.len()], MARKERS[index % MARKERS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_by_colour_and_marker() {
        let looks: Vec<_> =
            (0..50).map(group_style).map(|(colour, marker)| (colour.0, colour.1, colour.2, marker)).collect();
        let twice = looks.iter().enumerate().any(|(index, look)| looks[..index].contains(look));
        assert!(!twice);
    }

    #[test]
    fn twenty_conditions_are_told_apart_without_colour() {
        let looks: Vec<(Dash, Marker)> = (0..20).map(line_style).map(|(_, dash, marker)| (dash, marker)).collect();
        let twice = looks.iter().enumerate().any(|(index, look)| looks[..index].contains(look));
        assert!(!twice);
    }
}
