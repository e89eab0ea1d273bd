//! Colours and sizes that every figure shares.

use plotters::style::RGBColor;

use crate::canvas::{Dash, Marker};

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Spines, ticks and reference lines.
pub const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Okabe and Ito's blue and vermilion.
pub const PRISTINE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub const CORRUPT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
/// Figure 4: training accuracy is ink; Okabe and Ito's bluish green, and a purple as dark.
pub const TEST: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub const OVERFIT: RGBColor = RGBColor(0xaa, 0x33, 0x77);
pub const NULL_BAND: RGBColor = RGBColor(0x55, 0x55, 0x55);
pub const BAND_OPACITY: f64 = 0.22;

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
    let place = (PLASMA.len() - 1) as f64 * index as f64 / levels.saturating_sub(1).max(1) as f64;
    let below = (place.floor() as usize).min(PLASMA.len() - 2);
    let (from, to) = (PLASMA[below], PLASMA[below + 1]);
    let mix =
        |from: u8, to: u8| (f64::from(from) + (place - below as f64) * (f64::from(to) - f64::from(from))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// How the curve of an update rule looks: told from the others by its dashes and its marker, without colour too.
///
/// Winsorization levels go through the colours of an ordered map, `level` of `levels`; other rules have colours of their
/// own.
pub fn rule_look(index: usize, level: Option<usize>, levels: usize) -> (RGBColor, Dash, Marker) {
    const OTHERS: [RGBColor; 4] = [
        RGBColor(0x00, 0x9e, 0x73),
        RGBColor(0x22, 0x22, 0x22),
        RGBColor(0x56, 0xb4, 0xe9),
        RGBColor(0x99, 0x88, 0x00),
    ];
    const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Alternating, Dash::Dotted];
    const MARKERS: [Marker; 5] = [Marker::Disc, Marker::Square, Marker::Diamond, Marker::Triangle, Marker::Cross];
    let colour = match level {
        Some(level) => noise_colour(level, levels),
        None => OTHERS[index.saturating_sub(levels) % OTHERS.len()],
    };
    // Four and five have no common factor: twenty rules before a pair comes again.
    (colour, DASHES[index % DASHES.len()], MARKERS[index % MARKERS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_rules_are_told_apart_without_colour() {
        let looks: Vec<(Dash, Marker)> =
            (0..20).map(|index| rule_look(index, None, 0)).map(|(_, dash, marker)| (dash, marker)).collect();
        let twice = looks.iter().enumerate().any(|(index, look)| looks[..index].contains(look));
        assert!(!twice);
    }
}
