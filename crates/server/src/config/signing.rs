//! What has to hold of the settings of signed URLs, beyond each of them alone.

use super::error::ConfigError;
use super::{App, Application, KEY_BYTES_MIN, KEYS_MAX};
use live::name::AppName;

/// Checks the keys of applications, and those of single AppNames.
///
/// # Errors
/// The first mistake, in a sentence that names the application.
pub(super) fn check(applications: &[Application], apps: &[App]) -> Result<(), ConfigError> {
    for application in applications {
        let owner = format!("application {}", application.sdk_app_id);
        check_keys(&owner, &application.push_keys, &application.play_keys)?;
    }
    for (at, app) in apps.iter().enumerate() {
        let Some(application) = applications.iter().find(|own| own.sdk_app_id == app.sdk_app_id) else {
            return wrong(format!("an [[app]] has sdk_app_id {}, and no [[application]] has it", app.sdk_app_id));
        };
        if let Err(error) = app.name.parse::<AppName>() {
            return wrong(format!("an [[app]] of application {} has no name that counts: {error}", app.sdk_app_id));
        }
        let owner = format!("app '{}' of application {}", app.name, app.sdk_app_id);
        let is_same = |other: &App| other.sdk_app_id == app.sdk_app_id && other.name == app.name;
        if apps.iter().take(at).any(is_same) {
            return wrong(format!("{owner} is there twice; put its settings into one [[app]]"));
        }
        // What it does not set is the application's.
        let or =
            |own: &'_ [String], inherited: &'_ [String]| if own.is_empty() { inherited.to_vec() } else { own.to_vec() };
        let push_keys = or(&app.push_keys, &application.push_keys);
        check_keys(&owner, &push_keys, &or(&app.play_keys, &application.play_keys))?;
    }
    Ok(())
}

fn check_keys(owner: &str, push_keys: &[String], play_keys: &[String]) -> Result<(), ConfigError> {
    for (name, keys) in [("push_keys", push_keys), ("play_keys", play_keys)] {
        if keys.len() > KEYS_MAX {
            return wrong(format!("{owner} has {} {name}; expected one, or two while one is exchanged", keys.len()));
        }
        // The sample's placeholder holds spaces, so it cannot be taken for a secret.
        if keys.iter().any(|key| key.len() < KEY_BYTES_MIN || key.contains(char::is_whitespace)) {
            return wrong(format!(
                "one of the {name} of {owner} holds a space or is shorter than {KEY_BYTES_MIN} characters; make one by: openssl rand -hex 16"
            ));
        }
    }
    if push_keys.iter().any(|key| play_keys.contains(key)) {
        return wrong(format!(
            "{owner} has a key in both push_keys and play_keys, so that viewers could publish; use two"
        ));
    }
    Ok(())
}

fn wrong(message: String) -> Result<(), ConfigError> {
    Err(ConfigError::Contradiction { message })
}
