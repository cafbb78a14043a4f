//! How receivers know whose requests they get.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest as _, Md5};
use serde_json::Value;
use sha2::Sha256;

/// A callback of Tencent's live streaming is good for so long, in seconds: the original's ten minutes.
const VALIDITY_S: u64 = 600;

/// The header `Sign` of the original's callbacks: base64 of HMAC-SHA256 over the body as it is sent.
pub fn header(key: &str, body: &[u8]) -> String {
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    hmac.update(body);
    STANDARD.encode(hmac.finalize().into_bytes())
}

/// Adds `t` and `sign` to a body of Tencent's live streaming: `sign` is md5 of the key and `t`.
pub fn css(key: &str, body: &str, now_unix_s: u64) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(body) else { return body.to_owned() };
    let t = now_unix_s + VALIDITY_S;
    fields.insert("t".into(), t.into());
    fields.insert("sign".into(), css_sign(key, t).into());
    Value::Object(fields).to_string()
}

fn css_sign(key: &str, t: u64) -> String {
    Md5::digest(format!("{key}{t}").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's own example.
    #[test]
    fn the_originals_vector() {
        let body = r#"{"EventGroupId":1,"EventType":103,"CallbackTs":1615554923704,"EventInfo":{"RoomId":12345,"EventTs":1608441737,"UserId":"test","UniqueId":1615554922656,"Role":20,"Reason":1}}"#;
        assert_eq!(header("123654", body.as_bytes()), "9C7sKVV7bt20HkNigQS0BCag5chnTyyvrzY5Py2OPOQ=");
        assert_ne!(header("123655", body.as_bytes()), header("123654", body.as_bytes()));
    }

    /// `printf %s key1700000600 | md5sum`
    #[test]
    fn md5_of_key_and_time() {
        assert_eq!(css_sign("key", 1_700_000_600), "bae57a7a26dc8fe289f922d0ba53dde8");
        let signed: Value = serde_json::from_str(&css("key", "{\"a\":1}", 1_700_000_000)).unwrap();
        assert_eq!(signed["t"], 1_700_000_600);
        assert_eq!(signed["sign"], "bae57a7a26dc8fe289f922d0ba53dde8");
        assert_eq!(signed["a"], 1);
    }
}
