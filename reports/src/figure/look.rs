//! Colours and sizes that every figure shares.

use plotters::style::RGBColor;

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Spines, ticks and reference lines.
pub const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Okabe and Ito's blue and vermilion.
pub const PRISTINE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub const CORRUPT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
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
