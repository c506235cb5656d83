//! The stylesheet, the module and the icon: part of the binary, under paths that change with their content.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;

use crate::keyring;
use crate::web::problem::{Code, Problem};

/// A file that browsers may keep for ever.
pub struct Asset {
    path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_bytes!("../../../static/app.css")));
static MODULE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_bytes!("../../../static/app.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_bytes!("../../../static/icon.svg")));

impl Asset {
    fn new(extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash: String = keyring::sha256(bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/assets/app.{hash}.{extension}"), content_type, bytes }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn answer(&self, cache: &'static str) -> HttpResponse {
        HttpResponse::Ok()
            .content_type(self.content_type)
            .insert_header((header::CACHE_CONTROL, cache))
            .body(self.bytes)
    }
}

/// The one stylesheet.
pub fn stylesheet() -> &'static Asset {
    &STYLESHEET
}

/// The one module, which makes pages more comfortable and is not needed by any.
pub fn module() -> &'static Asset {
    &MODULE
}

/// The icon.
pub fn icon() -> &'static Asset {
    &ICON
}

/// `GET /assets/{file}`
pub async fn show_asset(file: Path<String>) -> Result<HttpResponse, Problem> {
    let path = format!("/assets/{file}");
    let asset = [stylesheet(), module(), icon()].into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(asset.answer("public, max-age=31536000, immutable"))
}

/// `GET /favicon.ico`, which browsers ask for wherever no page says otherwise.
pub async fn show_icon() -> HttpResponse {
    icon().answer("public, max-age=86400")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_stay_small_and_name_nothing_elsewhere() {
        for (asset, limit) in [(stylesheet(), 12 * 1024), (module(), 4 * 1024), (icon(), 2 * 1024)] {
            assert!(asset.bytes.len() <= limit, "{} has {} bytes", asset.path, asset.bytes.len());
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for word in ["http:", "https:", "eval(", "innerHTML", "@import", "url("] {
                assert!(!text.contains(word), "{} says {word}", asset.path);
            }
        }
    }
}
