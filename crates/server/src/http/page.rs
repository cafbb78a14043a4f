//! Pages of lists: `?limit=` and `?cursor=`. A cursor says after which entry to go on, so entries that come and go
//! between two pages move nobody; it is written so that nobody is tempted to make one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{query::Query, refusal::Refusal};

/// Entries of a page, where the caller does not say, and at most.
pub const LIMIT_MAX: usize = 1_000;
/// Characters of a cursor at most.
const CURSOR_CHARS_MAX: usize = 1_024;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    limit: usize,
    after: Option<String>,
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// Where limit or cursor are not what they can be.
    pub fn read(query: &Query) -> Result<Self, Refusal> {
        let limit = match query.get("limit") {
            None => LIMIT_MAX,
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit.ok_or_else(|| {
                    Refusal::Malformed(format!("limit is '{}'; expected 1 to {LIMIT_MAX}", short(text)))
                })?
            }
        };
        let after = query.get("cursor").map(decode).transpose()?;
        Ok(Self { limit, after })
    }

    /// The page of a list that is sorted by `name`, and the cursor of the next page, where there is one.
    pub fn cut<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let later = |entry: &T| self.after.as_ref().is_none_or(|after| name(entry) > *after);
        let mut page: Vec<T> = all.into_iter().filter(later).take(self.limit + 1).collect();
        if page.len() <= self.limit {
            return (page, None);
        }
        page.truncate(self.limit);
        let next = page.last().map(|entry| URL_SAFE_NO_PAD.encode(name(entry)));
        (page, next)
    }
}

fn decode(cursor: &str) -> Result<String, Refusal> {
    let bytes = if cursor.len() > CURSOR_CHARS_MAX { None } else { URL_SAFE_NO_PAD.decode(cursor).ok() };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
    let wrong =
        || Refusal::Malformed(format!("cursor is '{}'; give nextCursor of the page before, as it is", short(cursor)));
    text.ok_or_else(wrong)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Refusal> {
        Asked::read(&Query::parse(query))
    }

    #[test]
    fn pages_hold_everything_once_also_when_entries_come_and_go() {
        let mut all: Vec<String> = (0..10).map(|number| format!("e{number}")).collect();
        let (first, next) = asked("limit=4").unwrap().cut(all.clone(), String::clone);
        assert_eq!(first, ["e0", "e1", "e2", "e3"]);
        all.retain(|entry| entry != "e3" && entry != "e4");
        all.insert(0, "d".into());
        let query = format!("limit=4&cursor={}", next.unwrap());
        let (second, next) = asked(&query).unwrap().cut(all.clone(), String::clone);
        assert_eq!(second, ["e5", "e6", "e7", "e8"]);
        let query = format!("limit=1&cursor={}", next.unwrap());
        assert_eq!(asked(&query).unwrap().cut(all, String::clone), (vec!["e9".to_owned()], None));
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_sentence() {
        for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=99999999999999999999"] {
            assert!(asked(query).unwrap_err().to_string().contains("expected 1 to 1000"), "{query}");
        }
        let long = "A".repeat(CURSOR_CHARS_MAX + 1);
        for cursor in ["*", "a", "_w", &long] {
            let told = asked(&format!("cursor={cursor}")).unwrap_err().to_string();
            assert!(told.contains("nextCursor") && told.len() < 120, "{told}");
        }
        assert!(asked("limit=&cursor=").unwrap().after.is_none(), "empty is left out");
    }
}
