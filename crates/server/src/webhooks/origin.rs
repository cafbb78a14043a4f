//! What webhooks are told of the URL that somebody came by: the host, and the query without what proves who they are.

use percent_encoding::percent_decode_str;

/// Bytes of a query that are told, at most; what follows is left out.
const QUERY_BYTES_MAX: usize = 1_024;
/// Bytes of a host name, at most.
const HOST_BYTES_MAX: usize = 255;
/// What stands in place of a secret.
pub const REDACTED: &str = "***";
/// Parameters that this server takes as a proof, in lower case: whoever has one may publish or play as its owner. What
/// else is in a query belongs to the receiver, who may well tell viewers apart by it.
pub const SECRETS: [&str; 9] = [
    "usersig",
    "privatemapkey",
    "auth_key",
    "txsecret",
    "key1",
    "session",
    "access_token",
    "authorization",
    "password",
];

/// What is told of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The host name, without port.
    pub host: Option<String>,
    /// The query without the question mark, its secrets redacted.
    pub query: String,
}

impl Origin {
    /// What is told of a URL with this query, as it came.
    pub fn new(host: Option<&str>, query: &str) -> Self {
        let host = host.map(|host| host.chars().take(HOST_BYTES_MAX / 4).collect());
        Self { host, query: redacted(query) }
    }
}

/// A query with the values of secrets replaced. Whatever some parser takes for a separator is one here.
fn redacted(query: &str) -> String {
    let mut out = String::new();
    for piece in query.trim_start_matches('?').split_inclusive(['&', ';', '?']) {
        let (pair, separator) = match piece.char_indices().next_back() {
            Some((at, '&' | ';' | '?')) => piece.split_at(at),
            _ => (piece, ""),
        };
        let (key, _) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = percent_decode_str(key).decode_utf8_lossy().trim().to_ascii_lowercase();
        let secret = SECRETS.contains(&decoded.as_str()) && key.len() < pair.len();
        let shown = if secret { format!("{key}={REDACTED}") } else { pair.to_owned() };
        if out.len() + shown.len() + separator.len() > QUERY_BYTES_MAX {
            break;
        }
        out.push_str(&shown);
        out.push_str(separator);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_the_receivers_stays_as_it_came() {
        let told = Origin::new(Some("a.example"), "?Token=x%20y&flag&empty=&userId=ann&UserSig=eJx*_&b=1+1");
        assert_eq!(told.query, "Token=x%20y&flag&empty=&userId=ann&UserSig=***&b=1+1");
        assert_eq!(told.host.as_deref(), Some("a.example"));
    }

    /// Taken from what mints signatures, so that a scheme that comes later cannot be forgotten here.
    #[test]
    fn no_signature_of_any_scheme_is_told() {
        use wire::sign::url::{Scheme, Target, mint};
        let target = Target { app: "live", stream: "show", extension: "" };
        for scheme in Scheme::ALL {
            let query = mint(scheme, "a key that is long enough", &target, 1_700_003_600).query;
            let told = Origin::new(None, &query).query;
            let is_digest = |part: &&str| part.len() >= 32;
            for digest in query.split(['=', '&', '-']).filter(is_digest) {
                assert!(!told.contains(digest), "{scheme}: {query} was told as {told}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_parameters() {
        let told = Origin::new(None, &format!("a=1&{}=2&b=3", "k".repeat(QUERY_BYTES_MAX)));
        assert_eq!(told.query, "a=1&");
    }

    /// A name as somebody may write it: letters in either case, some of them percent-encoded.
    fn spelt(name: &'static str) -> impl Strategy<Value = String> {
        prop::collection::vec((any::<bool>(), any::<bool>()), name.len()).prop_map(move |how| {
            let spell = |(byte, (upper, encoded)): (u8, (bool, bool))| {
                let byte = if upper { byte.to_ascii_uppercase() } else { byte };
                if encoded { format!("%{byte:02x}") } else { char::from(byte).to_string() }
            };
            name.bytes().zip(how).map(spell).collect()
        })
    }

    proptest! {
        #[test]
        fn no_secret_that_the_gate_would_read_is_ever_told(
            before in "[ -~]{0,40}",
            after in "[ -~]{0,40}",
            name in prop::sample::select(SECRETS.to_vec()).prop_flat_map(spelt),
            separator in prop::sample::select(vec!["&", "&&", "&?", ";"]),
        ) {
            const SECRET: &str = "S3CR3T-S3CR3T-S3CR3T";
            let query = format!("{before}{separator}{name}={SECRET}&{after}");
            let told = Origin::new(None, &query).query;
            prop_assert!(!told.contains(SECRET), "{query} was told as {told}");
            prop_assert!(told.contains(REDACTED));
        }

        #[test]
        fn nothing_breaks_it_and_it_is_bounded(query in any::<String>()) {
            let told = Origin::new(Some(&query), &query);
            prop_assert!(told.query.len() <= QUERY_BYTES_MAX);
            prop_assert!(told.host.unwrap_or_default().len() <= HOST_BYTES_MAX);
        }
    }
}
