//! `/v1`, and its description in OpenAPI 3.1 at `/v1/openapi.json`. A path is routed and described by one line here, so
//! that neither can be without the other.

use std::sync::Arc;

use axum::{Router, body::Body, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{fresh, rest, sessions, streams};
use crate::app::App;

/// Where the description is.
const PATH: &str = "/v1/openapi.json";

/// The paths of `/v1`.
pub fn router() -> Router<Arc<App>> {
    let (router, description) = described().split_for_parts();
    // Its own values have text for keys and nothing that fails.
    let text = description.to_json().unwrap_or_default();
    router.route(PATH, get(async move || fresh("application/json", Body::from(text.clone()))))
}

fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(rest::server))
        .routes(routes!(streams::list))
        .routes(routes!(streams::one, streams::end))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::inspect, sessions::end))
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Stentor", description = "Streams and sessions of a Stentor server."),
    modifiers(&Tokens),
    tags(
        (name = "server", description = "The server itself."),
        (name = "streams", description = "What is live."),
        (name = "sessions", description = "Who publishes and plays; for operators."),
    )
)]
struct Description;

/// What requests are signed with.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let bearer = |text| HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
        let schemes = &mut description.components.get_or_insert_default();
        schemes.add_security_scheme("userSig", SecurityScheme::Http(bearer("A UserSig of an application")));
        schemes.add_security_scheme("adminToken", SecurityScheme::Http(bearer("One of [server] admin_tokens")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    /// Paths of `/v1` that are routed anywhere but by `routes!`, which describes them.
    fn routed_by_hand(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                routed_by_hand(&path, out);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for call in text.split(".route(\"").skip(1) {
                let routed = call.split('"').next().unwrap();
                // These two are a door, whose signalling is WHIP's, and nothing that JSON describes.
                let is_door = ["/v1/push/", "/v1/play/"].iter().any(|door| routed.starts_with(door));
                if routed.starts_with("/v1/") && !is_door {
                    out.insert(routed.to_owned());
                }
            }
        }
    }

    #[test]
    fn every_path_is_described() {
        let mut by_hand = BTreeSet::new();
        routed_by_hand(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut by_hand);
        let described: BTreeSet<String> = described().into_openapi().paths.paths.into_keys().collect();
        let missing: Vec<_> = by_hand.difference(&described).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} are routed without a description: use .routes(routes!(..)) in openapi.rs"
        );
        assert!(described.contains("/v1/sessions/{id}") && described.contains("/v1/streams/{app}/{stream}"));
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_is_complete() {
        let description = serde_json::to_value(described().into_openapi()).unwrap();
        assert_eq!(description["openapi"].as_str().unwrap().rsplit_once('.').unwrap().0, "3.1");
        let text = description.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer} is nowhere");
        }
        let mut names = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path} says nothing");
                assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path} shares its id");
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                for name in path.split('{').skip(1).map(|part| part.split('}').next().unwrap()) {
                    let found = parameters.iter().any(|one| one["in"] == "path" && one["name"] == name);
                    assert!(found, "{method} {path} does not describe {name}");
                }
                for need in operation["security"].as_array().into_iter().flatten() {
                    for scheme in need.as_object().unwrap().keys() {
                        assert!(description["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
                    }
                }
            }
        }
    }
}
