//! The query of a URL, whichever protocol it came by.

use percent_encoding::percent_decode_str;

/// Parameters in a query, at most; more are passed over.
const PARAMETERS_MAX: usize = 64;

/// A parsed query. Keys are compared without case, since `userId` and `userid` are both in use.
#[derive(Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    text: String,
}

/// Only the names: values are tokens and signatures.
impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

impl Query {
    /// Parses `a=1&b=2`; percent signs and plus signs are decoded, wrong encodings are kept as they are.
    pub fn parse(text: &str) -> Self {
        let decode = |part: &str| percent_decode_str(&part.replace('+', "%2B")).decode_utf8_lossy().into_owned();
        let pairs = text
            .trim_start_matches('?')
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(PARAMETERS_MAX)
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decode(key).to_ascii_lowercase(), decode(value)))
            .collect();
        Self { pairs, text: text.to_owned() }
    }

    /// The first value of a key, given in lower case; empty values count as absent.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// As it came, secrets and all.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_no_case_and_user_sigs_survive() {
        let query = Query::parse("?sdkappid=1400000000&userId=a%20b&usersig=eJy*-_&empty=&flag");
        assert_eq!(query.get("userid"), Some("a b"));
        assert_eq!(query.get("usersig"), Some("eJy*-_"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.get("flag"), None);
    }

    #[test]
    fn what_is_secret_does_not_show() {
        assert_eq!(format!("{:?}", Query::parse("auth_key=1-0-0-d&userSig=s")), r#"["auth_key", "usersig"]"#);
    }

    #[test]
    fn a_plus_stays_a_plus() {
        assert_eq!(Query::parse("a=1+1").get("a"), Some("1+1"));
    }
}
