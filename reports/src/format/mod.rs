//! Drawings as files: a format, a file.

mod pdf;
mod png;
mod svg;

use std::sync::{Arc, LazyLock};

use resvg::usvg::{Options, Tree, fontdb};

use crate::ReportError;
use crate::canvas::Drawing;
use crate::font::{BOLD, REGULAR};
use svg::svg;

pub use svg::{Backend, Body, part};

/// A format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Scalable vector graphics; its text is drawn in the fonts that the reader has.
    Svg,
    /// With its fonts embedded.
    Pdf,
    /// 300 pixels an inch.
    Png,
}

impl Format {
    /// How names of its files end.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Format::Svg => "svg",
            Format::Pdf => "pdf",
            Format::Png => "png",
        }
    }

    pub(crate) fn write(self, drawing: &Drawing) -> Result<Vec<u8>, ReportError> {
        match self {
            Format::Svg => Ok(svg::svg(drawing).into_bytes()),
            Format::Pdf => pdf::pdf(drawing),
            Format::Png => png::png(drawing),
        }
    }
}

/// A drawing as usvg reads it: its text in the embedded fonts, on every machine.
fn tree(drawing: &Drawing) -> Result<Tree, ReportError> {
    static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = fontdb::Database::new();
        [REGULAR, BOLD].into_iter().for_each(|font| fonts.load_font_data(font.to_vec()));
        Arc::new(fonts)
    });
    let options = Options { fontdb: FONTS.clone(), ..Options::default() };
    Tree::from_str(&svg(drawing), &options).map_err(ReportError::drawing)
}
