//! PDF: one page of the size of the drawing, its text in embedded fonts. Nothing in it depends on the time or the machine.

use svg2pdf::{ConversionOptions, PageOptions, to_pdf};

use crate::ReportError;
use crate::canvas::Drawing;

pub fn pdf(drawing: &Drawing) -> Result<Vec<u8>, ReportError> {
    // usvg takes a point for 4/3 of its pixels.
    let page = PageOptions { dpi: 96.0 };
    to_pdf(&super::tree(drawing)?, ConversionOptions::default(), page).map_err(ReportError::drawing)
}
