//! Who may see everybody's sessions and end them: operators, by a token of the configuration.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::refusal::Refusal;

/// The admin tokens of a server. Only their digests are kept.
#[derive(Clone)]
pub struct Admin(Vec<[u8; 32]>);

impl Admin {
    /// Takes the tokens of the configuration; without any, nobody is let in.
    pub fn new(tokens: &[String]) -> Self {
        Self(tokens.iter().map(|token| digest(token)).collect())
    }

    /// Whether a token is one of ours. Takes the same time whatever it is, but for its length.
    pub fn knows(&self, token: &str) -> bool {
        let shown = digest(token);
        self.0.iter().fold(Choice::from(0), |known, own| known | own.as_slice().ct_eq(shown.as_slice())).into()
    }

    /// Lets an operator in.
    ///
    /// # Errors
    /// Where no token was shown, another one, or the server has none.
    pub fn admit(&self, bearer: Option<&str>) -> Result<(), Refusal> {
        match bearer {
            _ if self.0.is_empty() => Err(Refusal::AdminTokenUnset),
            None => Err(Refusal::AdminTokenMissing),
            Some(token) if self.knows(token) => Ok(()),
            Some(_) => Err(Refusal::AdminTokenRefused),
        }
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admin({} tokens)", self.0.len())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_token_of_the_configuration_lets_in_and_no_other() {
        let admin = Admin::new(&["one of sixteen chars".to_owned(), "another of the like".to_owned()]);
        assert!(admin.admit(Some("one of sixteen chars")).is_ok());
        assert!(admin.admit(Some("another of the like")).is_ok());
        for wrong in ["", "one of sixteen char", "one of sixteen charsx", "One of sixteen chars"] {
            assert_eq!(admin.admit(Some(wrong)).unwrap_err().status(), 401, "{wrong}");
        }
        assert_eq!(admin.admit(None).unwrap_err().title(), "admin-token-missing");
        assert!(!format!("{admin:?}").contains("one of"));
    }

    #[test]
    fn without_tokens_nobody_is_let_in() {
        let admin = Admin::new(&[]);
        for shown in [None, Some(""), Some("anything at all, really")] {
            assert_eq!(admin.admit(shown).unwrap_err().status(), 403);
        }
    }
}
