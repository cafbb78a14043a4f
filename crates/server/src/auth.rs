//! Who may publish and play: applications, their keys, and the tokens signed with them.

use std::net::SocketAddr;

use wire::sign;

use crate::{
    admission::Wish,
    clock::unix_now_s,
    door::{DEFAULT_APP, stream_key},
    query::Query,
    refusal::Refusal,
    session::Action,
    signing::{self, Prefix, Signing},
};

/// A tenant of this server.
#[derive(Clone)]
pub struct Application {
    /// `sdkAppId`.
    pub id: u32,
    /// One or two live secret keys; two while keys are being changed.
    pub keys: Vec<String>,
    /// Whoever comes without a token may publish and play.
    pub open: bool,
    /// Host names whose live URLs belong to this application.
    pub hosts: Vec<String>,
    /// Signed URLs.
    pub signing: Signing,
}

/// Without the keys.
impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Application({})", self.id)
    }
}

/// What a request shows to prove who it is.
#[derive(Clone)]
pub struct Credentials<'a> {
    /// The URL's query.
    pub query: &'a Query,
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The host name that the request was made to, without port.
    pub host: Option<&'a str>,
    /// The signature before the URL's path.
    pub prefix: Option<&'a Prefix>,
    /// The address that it comes from.
    pub peer: SocketAddr,
}

/// Without what is secret.
impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("query", self.query).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Who a request was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The application that the request acts in.
    pub application: u32,
    /// The user, where a token named one.
    pub user: Option<String>,
}

/// Decides who may.
#[derive(Clone, Debug)]
pub struct Gate {
    applications: Vec<Application>,
    /// Requests from the machine itself need no token (`stentor dev`).
    loopback_open: bool,
}

impl Gate {
    /// A gate for these applications; the first is the default one.
    pub fn new(applications: Vec<Application>, loopback_open: bool) -> Self {
        Self { applications, loopback_open }
    }

    /// The application that is meant where nothing names one.
    pub fn default_application(&self) -> Option<&Application> {
        self.applications.first()
    }

    /// Finds out who wants something with a stream, and whether they may: by a `UserSig`, by a signature of the URL, or
    /// where nothing is needed. A token or a signature that is shown is always checked, also where none is needed.
    ///
    /// # Errors
    /// The reason, with the original's number.
    pub fn admit(&self, wish: &Wish<'_>) -> Result<Identity, Refusal> {
        let (application, by_token) = self.find(&wish.credentials)?;
        let by_signature = match signing::shown(&wish.credentials)? {
            None => None,
            Some(signature) => {
                let key = stream_key(application.id, wish.app, wish.stream)?;
                application.signing.check(&signature, wish.action, &key, wish.extension, unix_now_s())?;
                Some(Identity { application: application.id, user: signature.user().map(str::to_owned) })
            }
        };
        if let Some(identity) = by_token.or(by_signature) {
            return Ok(identity);
        }
        let app = if wish.app.is_empty() { DEFAULT_APP } else { wish.app };
        if wish.action == Action::Play && application.signing.plays_openly(app) {
            return Ok(unproven(application, &wish.credentials));
        }
        self.openly(application, &wish.credentials)
    }

    /// Finds out who makes a request that is about no stream. URLs of such requests are not signed.
    ///
    /// # Errors
    /// The reason, with the original's number.
    pub fn identify(&self, credentials: &Credentials<'_>) -> Result<Identity, Refusal> {
        match self.find(credentials)? {
            (_, Some(identity)) => Ok(identity),
            (application, None) => self.openly(application, credentials),
        }
    }

    /// Lets in whoever shows nothing, where that is enough.
    fn openly(&self, application: &Application, credentials: &Credentials<'_>) -> Result<Identity, Refusal> {
        if application.open || (self.loopback_open && credentials.peer.ip().is_loopback()) {
            return Ok(unproven(application, credentials));
        }
        Err(Refusal::TokenMissing)
    }

    /// The application that is meant, and who its `UserSig` says that it is, where there is one.
    fn find(&self, credentials: &Credentials<'_>) -> Result<(&Application, Option<Identity>), Refusal> {
        let query = credentials.query;
        let token = query.get("usersig").or(credentials.bearer);
        let claims = token.map(sign::read_unverified).transpose()?;
        let named =
            match query.get("sdkappid") {
                Some(text) => Some(text.parse().map_err(|_| {
                    Refusal::Malformed(format!("sdkappid is '{}', and should be a number", shorten(text)))
                })?),
                None => None,
            };
        let application = self.application(named, claims.as_ref().map(|claims| claims.sdk_app_id), credentials.host)?;
        let Some(token) = token else { return Ok((application, None)) };
        let claimed = claims.as_ref().map(|claims| claims.user_id.as_str()).unwrap_or_default();
        let user = query.get("userid").unwrap_or(claimed);
        let keys: Vec<&str> = application.keys.iter().map(String::as_str).collect();
        let claims = sign::check(token, &keys, application.id, user, unix_now_s())?;
        Ok((application, Some(Identity { application: application.id, user: Some(claims.user_id) })))
    }

    /// By number where the URL has one, else by host name, else the token's own, else the default.
    fn application(
        &self,
        named: Option<u32>,
        claimed: Option<u32>,
        host: Option<&str>,
    ) -> Result<&Application, Refusal> {
        let by_id = |id: u32| self.applications.iter().find(|application| application.id == id);
        if let Some(id) = named {
            return by_id(id).ok_or(Refusal::ApplicationUnknown(id));
        }
        let by_host = host.and_then(|host| {
            self.applications
                .iter()
                .find(|application| application.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
        });
        by_host
            .or_else(|| claimed.and_then(by_id))
            .or_else(|| self.default_application())
            .ok_or(Refusal::ApplicationUnknown(claimed.unwrap_or(0)))
    }
}

/// Somebody who is whoever they say.
fn unproven(application: &Application, credentials: &Credentials<'_>) -> Identity {
    Identity { application: application.id, user: credentials.query.get("userid").map(str::to_owned) }
}

fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn gate(open: bool, loopback_open: bool) -> Gate {
        let (keys, signing) = (vec![KEY.into(), OTHER.into()], Signing::default());
        let first = Application { id: 1_400_000_000, keys, open, hosts: vec![], signing: signing.clone() };
        let hosts = vec!["b.example".into()];
        let second = Application { id: 7, keys: vec![OTHER.into()], open: false, hosts, signing };
        Gate::new(vec![first, second], loopback_open)
    }

    fn admit(
        gate: &Gate,
        query: &str,
        bearer: Option<&str>,
        host: Option<&str>,
        peer: &str,
    ) -> Result<Identity, Refusal> {
        let query = Query::parse(query);
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        let credentials = Credentials { query: &query, bearer, host, prefix: None, peer };
        let identified = gate.identify(&credentials);
        let (action, door) = (Action::Publish, crate::door::Door::Rtmp);
        let admitted = gate.admit(&Wish { action, door, app: "live", stream: "a", extension: "", credentials });
        assert_eq!(identified.as_ref().ok(), admitted.as_ref().ok());
        admitted
    }

    fn sig(app: u32, key: &str, user: &str) -> String {
        sign::mint(app, key, user, unix_now_s(), 60)
    }

    #[test]
    fn no_token_is_enough_only_where_it_is_open() {
        assert!(admit(&gate(true, false), "", None, None, "203.0.113.9").is_ok());
        assert!(admit(&gate(false, true), "", None, None, "127.0.0.1").is_ok());
        assert_eq!(admit(&gate(false, true), "", None, None, "203.0.113.9").unwrap_err().title(), "token-missing");
        assert_eq!(admit(&gate(false, false), "", None, None, "127.0.0.1").unwrap_err().title(), "token-missing");
    }

    #[test]
    fn both_live_keys_are_taken_from_query_and_bearer() {
        for key in [KEY, OTHER] {
            let token = sig(1_400_000_000, key, "ann");
            let query = format!("sdkappid=1400000000&userId=ann&usersig={token}");
            assert_eq!(
                admit(&gate(false, false), &query, None, None, "203.0.113.9").unwrap().user.as_deref(),
                Some("ann")
            );
            assert!(admit(&gate(false, false), "", Some(&token), None, "203.0.113.9").is_ok());
        }
    }

    #[test]
    fn a_wrong_token_is_refused_also_where_none_is_needed() {
        let foreign = sig(1_400_000_000, "not the key", "ann");
        let query = format!("sdkappid=1400000000&userid=ann&usersig={foreign}");
        assert_eq!(admit(&gate(true, true), &query, None, None, "127.0.0.1").unwrap_err().status(), 401);
        let expired = sign::mint(1_400_000_000, KEY, "ann", unix_now_s() - 100, 60);
        let query = format!("userid=ann&usersig={expired}");
        assert_eq!(admit(&gate(true, true), &query, None, None, "127.0.0.1").unwrap_err().code(), -70_001);
        let other_user = format!("userid=bob&usersig={}", sig(1_400_000_000, KEY, "ann"));
        assert_eq!(admit(&gate(true, true), &other_user, None, None, "127.0.0.1").unwrap_err().code(), -70_013);
        let other_app = format!("sdkappid=7&userid=ann&usersig={}", sig(1_400_000_000, KEY, "ann"));
        assert_eq!(admit(&gate(true, true), &other_app, None, None, "127.0.0.1").unwrap_err().code(), -70_014);
        assert_eq!(admit(&gate(true, true), "sdkappid=9", None, None, "127.0.0.1").unwrap_err().code(), -70_020);
        assert_eq!(admit(&gate(true, true), "sdkappid=x", None, None, "127.0.0.1").unwrap_err().status(), 400);
    }

    #[test]
    fn the_host_names_the_application() {
        let token = sig(7, OTHER, "ann");
        let identity = admit(&gate(false, false), "", Some(&token), Some("B.example"), "203.0.113.9").unwrap();
        assert_eq!(identity.application, 7);
    }
}
