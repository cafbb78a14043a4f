//! `stentor sign`: prints a signed live URL.

use ::media::WallTime;
use live::name::{AppName, StreamName};
use wire::sign::url::{self, Scheme, Target};

use super::{Failure, SignArgs, token::seconds};
use crate::clock::unix_now_s;

/// What the URLs of live streams begin with.
const LIVE_SCHEMES: [&str; 8] = ["rtmp", "rtmps", "artc", "webrtc", "http", "https", "ws", "wss"];
/// Doors whose paths have a segment before the live URL's, which is not signed.
const DOORS: [&str; 2] = ["whip", "whep"];
/// Endings that are signed with the path.
const EXTENSIONS: [&str; 2] = [".flv", ".m3u8"];

pub(super) fn run(args: &SignArgs) -> Result<(), Failure> {
    let expires_at_s = unix_now_s().saturating_add(seconds(&args.ttl)?);
    let signed = sign(&args.url, args.scheme, &args.key, expires_at_s).map_err(Failure::Usage)?;
    let expires_at = WallTime(i64::try_from(signed.expires_at_s).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    if args.json {
        let (scheme, path, at_s) = (args.scheme.name(), &signed.signed_for, signed.expires_at_s);
        let (url, at) = (&signed.url, expires_at.to_string());
        println!(
            "{}",
            serde_json::json!({ "url": url, "scheme": scheme, "signedFor": path, "expiresAt": at, "expiresAtS": at_s })
        );
    } else {
        println!("{}", signed.url);
    }
    Ok(())
}

struct Signed {
    url: String,
    signed_for: String,
    expires_at_s: u64,
}

fn sign(text: &str, scheme: Scheme, key: &str, expires_at_s: u64) -> Result<Signed, String> {
    if key.is_empty() {
        return Err("--key is empty; give one of the application's push_keys or play_keys".into());
    }
    let parts = Parts::of(text)?;
    let target = parts.target()?;
    let minted = url::mint(scheme, key, &target, expires_at_s);
    if !minted.prefix.is_empty() && !parts.takes_prefix() {
        return Err(format!(
            "{scheme} puts its signature before the path, which only RTMP, FLV and HLS URLs have room for; choose another --scheme"
        ));
    }
    let query =
        [parts.query, &minted.query].into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{}://{}{}/{}{mark}{query}", parts.scheme, parts.host, minted.prefix, parts.path);
    let signed_for = if scheme.signs_path() { target.path() } else { target.stream.to_owned() };
    Ok(Signed { url, signed_for, expires_at_s: minted.expires_at_s })
}

/// A live URL taken apart.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    /// Without the slash before it.
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let wrong = || {
            format!("'{text}' is no live URL; expected one such as rtmp://host/live/show or https://host/live/show.flv")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if scheme == "trtc" {
            return Err("trtc:// URLs are not signed: they carry a UserSig; `stentor token` makes one".into());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        if !LIVE_SCHEMES.contains(&scheme) || host.is_empty() || text.contains(['#', ' ']) {
            return Err(wrong());
        }
        let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default().to_ascii_lowercase());
        if let Some(name) = names.into_iter().find(|name| ["auth_key", "txsecret", "txtime", "key1"].contains(&&**name))
        {
            return Err(format!("the URL is signed already (it has {name}); give it without its signature"));
        }
        Ok(Self { scheme, host, path, query })
    }

    /// What is to be signed of it.
    fn target(&self) -> Result<Target<'a>, String> {
        let mut segments: Vec<&str> = self.path.split('/').collect();
        if segments.len() == 3 && self.is_http() && segments.first().is_some_and(|door| DOORS.contains(door)) {
            segments.remove(0);
        }
        let [app, file] = *segments.as_slice() else {
            return Err(format!("the path of a live URL is /app/stream, and this one is /{}", self.path));
        };
        let ending = EXTENSIONS.into_iter().filter(|_| self.is_http() || self.scheme.starts_with("ws"));
        let ended = ending.into_iter().find_map(|ending| Some((file.strip_suffix(ending)?, ending)));
        let (stream, extension) = ended.unwrap_or((file, ""));
        app.parse::<AppName>().map_err(|error| error.to_string())?;
        stream.parse::<StreamName>().map_err(|error| error.to_string())?;
        Ok(Target { app, stream, extension })
    }

    fn is_http(&self) -> bool {
        self.scheme.starts_with("http")
    }

    /// Whether a door takes a signature before the path.
    fn takes_prefix(&self) -> bool {
        self.scheme.starts_with("rtmp") || EXTENSIONS.into_iter().any(|extension| self.path.ends_with(extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "mykey";
    const END: u64 = 1_700_003_600;

    fn url(text: &str, scheme: Scheme) -> Result<String, String> {
        sign(text, scheme, KEY, END).map(|signed| signed.url)
    }

    #[test]
    fn every_kind_of_live_url_is_signed() {
        let signature = "auth_key=1700003600-0-0-36e701b2b427a5f3df062d05d843c235";
        for plain in [
            "rtmp://h:1935/live/room1",
            "rtmps://h/live/room1",
            "artc://h/live/room1",
            "https://h/whep/live/room1",
            "http://h:8080/whip/live/room1",
        ] {
            assert_eq!(url(plain, Scheme::AliyunA), Ok(format!("{plain}?{signature}")));
        }
        assert_eq!(url("artc://h/live/room1?a=1", Scheme::AliyunA), Ok(format!("artc://h/live/room1?a=1&{signature}")));
        let secret = "txSecret=c66a5be1c8c6d14f6e0a2ba53ba2d1c0";
        let flv = url("http://h/live/room1.flv", Scheme::Tencent).unwrap();
        assert!(flv.starts_with("http://h/live/room1.flv?txSecret=") && flv.ends_with("&txTime=6553FF10"), "{flv}");
        assert_eq!(flv.len(), "http://h/live/room1.flv?".len() + secret.len() + "&txTime=6553FF10".len());
        assert_eq!(sign("http://h/live/room1.m3u8", Scheme::AliyunA, KEY, END).unwrap().signed_for, "/live/room1.m3u8");
        let b = url("rtmp://h/live/room1", Scheme::AliyunB).unwrap();
        assert!(b.starts_with("rtmp://h/202311150714/") && b.ends_with("/live/room1"), "{b}");
        let c = url("http://h/live/room1.flv", Scheme::AliyunC).unwrap();
        assert!(c.starts_with("http://h/live/room1.flv?KEY1=") && c.ends_with("&KEY2=6553FF10"), "{c}");
    }

    #[test]
    fn what_cannot_be_signed_is_told() {
        for (text, scheme, word) in [
            ("live/room1", Scheme::AliyunA, "no live URL"),
            ("ftp://h/live/room1", Scheme::AliyunA, "no live URL"),
            ("rtmp:///live/room1", Scheme::AliyunA, "no live URL"),
            ("rtmp://h", Scheme::AliyunA, "no live URL"),
            ("rtmp://h/room1", Scheme::AliyunA, "/app/stream"),
            ("rtmp://h/whep/live/room1", Scheme::AliyunA, "/app/stream"),
            ("rtmp://h/v1/room1", Scheme::AliyunA, "another door"),
            ("rtmp://h/live/", Scheme::AliyunA, "empty"),
            ("trtc://h/play/a", Scheme::AliyunA, "stentor token"),
            ("rtmp://h/live/a?auth_key=1", Scheme::Tencent, "signed already"),
            ("http://h/whep/live/a", Scheme::AliyunB, "another --scheme"),
        ] {
            let error = url(text, scheme).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(sign("rtmp://h/live/a", Scheme::AliyunA, "", END).is_err());
    }
}
