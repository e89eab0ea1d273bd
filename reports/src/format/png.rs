//! PNG of 300 pixels an inch on white.

use resvg::tiny_skia::{Pixmap, Transform};

use crate::ReportError;
use crate::canvas::Drawing;

const PIXELS_PER_METRE: u32 = 11_811;
/// usvg has 96 pixels an inch.
const SCALE: f32 = 300.0 / 96.0;

pub fn png(drawing: &Drawing) -> Result<Vec<u8>, ReportError> {
    let tree = super::tree(drawing)?;
    let [width, height] = [tree.size().width(), tree.size().height()].map(|length| (length * SCALE).ceil() as u32);
    let too_large = || ReportError::Draw { reason: format!("a PNG of {width} × {height} pixels is too large") };
    let mut pixels = Pixmap::new(width, height).ok_or_else(too_large)?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    // The background covers all but a part of the last pixels: on white nothing is transparent.
    let rows: Vec<u8> = pixels
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()].map(|part| part + (255 - pixel.alpha())))
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Best);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: PIXELS_PER_METRE,
        yppu: PIXELS_PER_METRE,
        unit: png::Unit::Meter,
    }));
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&rows));
    written.map_err(ReportError::drawing)?;
    Ok(file)
}
