//! The pages in the binary: what `web/` builds, embedded when the server is built.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../../web/dist/"]
struct Pages;

/// The page or file at a path without leading slash, if there is one.
pub fn find(path: &str, request: &HeaderMap) -> Option<Response<Body>> {
    let path = path.trim_matches('/');
    let (name, file) = [path.to_owned(), format!("{path}/index.html"), "index.html".to_owned()]
        .into_iter()
        .take(if path.is_empty() { 3 } else { 2 })
        .filter(|name| !name.is_empty())
        .find_map(|name| Pages::get(&name).map(|file| (name, file)))?;
    Some(respond(&name, file, request))
}

fn respond(name: &str, file: EmbeddedFile, request: &HeaderMap) -> Response<Body> {
    let hash = file.metadata.sha256_hash();
    let tag: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let mut response = Response::new(Body::empty());
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::from(file.data);
    }
    // Files under assets/ carry a hash of their content in their name; all else is asked for again each time.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    let mime = file.metadata.mimetype();
    let mime = if mime.starts_with("text/") { format!("{mime}; charset=utf-8") } else { mime.to_owned() };
    for (key, value) in [(header::CONTENT_TYPE, mime.as_str()), (header::ETAG, &tag), (header::CACHE_CONTROL, cache)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(key, value);
        }
    }
    response
}
