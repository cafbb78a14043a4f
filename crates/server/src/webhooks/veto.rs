//! Asking webhooks whether somebody may publish or play.

use std::{sync::Arc, time::Instant};

use serde_json::Value;

use super::{
    Webhooks, body,
    client::{Answer, Failure},
    event::{Event, What},
    hook::{Dialect, Hook},
};
use crate::{clock::wall_now, refusal::Refusal, session::Known};

/// Questions under way to one webhook, at most; others wait for their turn, and no longer than for an answer.
pub const QUESTIONS_MAX: usize = 64;
/// Characters of a webhook's own sentence that are passed on.
const SENTENCE_CHARS_MAX: usize = 200;

/// What a webhook says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// With its own sentence, where it gave one.
    Refused(Option<String>),
}

impl Webhooks {
    /// Asks every webhook that wants to be, in the order of the file. Says which ones have to hear of it if nothing
    /// comes of it, since they take their leave to be the beginning.
    ///
    /// # Errors
    /// Where one refuses, or gives no valid answer and fails closed.
    pub async fn ask(&self, known: &Arc<Known>) -> Result<Vec<usize>, Refusal> {
        let mut told = Vec::new();
        for (at, asked) in self.hooks.iter().enumerate() {
            if !asked.is_about(known.key.application) || !asked.is_asked(known.action) {
                continue;
            }
            match self.ask_one(at, asked, known).await {
                Ok(Verdict::Allowed) => self.counters.add("webhooks", "veto-allowed"),
                Ok(Verdict::Refused(sentence)) => {
                    self.counters.add("webhooks", "veto-refused");
                    self.withdraw(&told, known);
                    return Err(Refusal::Vetoed { sentence });
                }
                Err(failure) => {
                    self.failed(at, asked, failure);
                    if !asked.open {
                        self.counters.add("webhooks", "veto-failed-closed");
                        self.withdraw(&told, known);
                        return Err(Refusal::WebhookSilent { action: known.action.name() });
                    }
                    self.counters.add("webhooks", "veto-failed-open");
                    continue;
                }
            }
            if asked.dialect == Dialect::Srs {
                told.push(at);
            }
        }
        Ok(told)
    }

    async fn ask_one(&self, at: usize, hook: &Hook, known: &Known) -> Result<Verdict, Failure> {
        let deadline = Instant::now() + hook.timeout;
        let questions = self.questions.get(at).ok_or(Failure::Busy)?;
        let turn = tokio::time::timeout_at(deadline.into(), questions.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Failure::Busy) };
        let id = super::new_id();
        let event = Event { what: What::May(known.action), by: known, at: wall_now(), id: &id };
        let body = body::of(hook.dialect, &event, &self.server).ok_or(Failure::Answer("its dialect asks nothing"))?;
        let answer = self.client.post(hook, known.key.application, &id, &body.to_string(), deadline).await?;
        let verdict = judge(hook.dialect, &answer)?;
        self.answered(at);
        Ok(verdict)
    }
}

/// Reads an answer. A plain no by status is a no, also without a body.
fn judge(dialect: Dialect, answer: &Answer) -> Result<Verdict, Failure> {
    let wrong = |reason| Err(Failure::Answer(reason));
    let parsed = answer.body.as_deref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    match answer.status {
        200 => {}
        401 | 403 => return Ok(Verdict::Refused(parsed.as_ref().and_then(sentence))),
        300..=399 => return wrong("it answered with a redirect, and none is followed"),
        _ => return wrong("it answered with a status that is not 200"),
    }
    if answer.body.is_none() {
        return wrong("its answer is longer than 2,000 bytes, or was cut short");
    }
    let code = match &parsed {
        Some(Value::Object(fields)) => fields.get("code").and_then(Value::as_i64),
        Some(Value::Number(number)) if dialect == Dialect::Srs => number.as_i64(),
        _ => None,
    };
    match code {
        Some(0) => Ok(Verdict::Allowed),
        Some(_) => Ok(Verdict::Refused(parsed.as_ref().and_then(sentence))),
        None => wrong("its answer has no code; expected {\"code\":0} to allow, or another number to refuse"),
    }
}

/// The webhook's own sentence: one line of plain text, bounded.
fn sentence(answer: &Value) -> Option<String> {
    let text = ["message", "msg"].iter().find_map(|key| answer.get(key).and_then(Value::as_str))?;
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let bounded: String = plain.take(SENTENCE_CHARS_MAX).collect();
    Some(bounded.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(dialect: Dialect, status: u16, body: &str) -> Result<Verdict, Failure> {
        judge(dialect, &Answer { status, body: Some(body.as_bytes().to_vec()) })
    }

    #[test]
    fn only_a_code_of_zero_allows() {
        use Dialect::{Srs, Stentor};
        for dialect in [Stentor, Srs] {
            assert_eq!(judged(dialect, 200, "{\"code\":0}"), Ok(Verdict::Allowed));
            assert_eq!(judged(dialect, 200, "{\"code\":0,\"more\":[1]}"), Ok(Verdict::Allowed));
            assert_eq!(judged(dialect, 200, "{\"code\":1}"), Ok(Verdict::Refused(None)));
            for rubbish in
                ["", "ok", "null", "[]", "[0]", "{}", "{\"code\":\"0\"}", "{\"code\":null}", "{\"code\":0", "0.0"]
            {
                assert!(judged(dialect, 200, rubbish).is_err(), "{rubbish} was taken");
            }
            for status in [199, 201, 204, 301, 302, 307, 404, 500] {
                assert!(judged(dialect, status, "{\"code\":0}").is_err(), "{status} was taken");
            }
            assert!(judge(dialect, &Answer { status: 200, body: None }).is_err());
        }
        assert_eq!(judged(Srs, 200, "0"), Ok(Verdict::Allowed));
        assert_eq!(judged(Srs, 200, "0\n"), Ok(Verdict::Allowed));
        assert_eq!(judged(Srs, 200, "1"), Ok(Verdict::Refused(None)));
        assert!(judged(Stentor, 200, "0").is_err());
    }

    #[test]
    fn a_no_by_status_is_a_no() {
        assert_eq!(judged(Dialect::Srs, 403, ""), Ok(Verdict::Refused(None)));
        assert_eq!(judged(Dialect::Stentor, 401, "{\"message\":\"no\"}"), Ok(Verdict::Refused(Some("no".into()))));
    }

    #[test]
    fn its_sentence_is_one_bounded_line() {
        let refused =
            |text: &str| judged(Dialect::Stentor, 200, &serde_json::json!({"code": 7, "msg": text}).to_string());
        assert_eq!(refused("a\r\nb\u{1b}[31m"), Ok(Verdict::Refused(Some("a  b [31m".into()))));
        assert_eq!(refused(" \n"), Ok(Verdict::Refused(None)));
        let Ok(Verdict::Refused(Some(long))) = refused(&"ä".repeat(900)) else { panic!() };
        assert_eq!(long.chars().count(), SENTENCE_CHARS_MAX);
    }
}
