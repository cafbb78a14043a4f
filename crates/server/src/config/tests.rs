//! Files, variables and flags that are right, and the sentences for those that are not.

use super::reference::reference;
use super::*;
use std::time::Duration;
use wire::sign::url::Scheme;

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

fn application() -> String {
    format!("[[application]]\nsdk_app_id = 7\nkeys = [\"{KEY}\"]\n")
}

/// Reads a file with one good application appended, an environment and flags.
fn load(text: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, format!("{text}\n{}", application())).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let folder = format!("{}/", folder.path().display());
    Config::load(Some(&path), environment, flags).map_err(|error| error.to_string().replace(&folder, ""))
}

fn refusal(text: &str) -> String {
    load(text, &[], &[]).expect_err(text)
}

/// The sample with every setting switched on.
fn uncommented(sample: &str) -> String {
    let on = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    sample.lines().map(on).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_sets_what_it_names_and_nothing_else() {
    let config =
        load("[http]\nlisten = \"127.0.0.1:80\"\n[live]\ntakeover = true\nmerge_write = \"350ms\"", &[], &[]).unwrap();
    assert_eq!(config.http.listen.port(), 80);
    assert!(config.live.takeover);
    assert_eq!(config.live.merge_write, Duration::from_millis(350));
    assert_eq!(config.rtmp, Rtmp::default());
    assert_eq!(config.applications.len(), 1);
    assert_eq!(config.applications[0].keys, [KEY]);
}

#[test]
fn a_flag_overrides_the_environment_and_that_the_file() {
    let file = "[rtmp]\nidle_timeout = \"1s\"\nconnections_max = 1\n[hls]\nsegments = 7";
    let environment = [("STENTOR_RTMP__IDLE_TIMEOUT", "2s"), ("STENTOR_RTMP__CONNECTIONS_MAX", "2"), ("PATH", "/bin")];
    let config = load(file, &environment, &[("rtmp.connections_max", "3")]).unwrap();
    assert_eq!(config.rtmp.idle_timeout, Duration::from_secs(2));
    assert_eq!(config.rtmp.connections_max, 3);
    assert_eq!(config.hls.segments, 7);
}

#[test]
fn a_container_needs_no_file() {
    let environment = [
        ("STENTOR_APPLICATION__1__SDK_APP_ID", "2"),
        ("STENTOR_APPLICATION__1__OPEN", "true"),
        ("STENTOR_APPLICATION__0__KEYS", &format!("{KEY}, {KEY}2")),
        ("STENTOR_APPLICATION__0__SDK_APP_ID", "1"),
        ("STENTOR_MEDIA__ADVERTISE", "203.0.113.7,2001:db8::1"),
        ("STENTOR_SERVER__DEFAULT_APPLICATION", "2"),
        ("STENTOR_PORT_8080_TCP_ADDR", "made by a container platform"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, environment, []).unwrap();
    assert_eq!(config.media.advertise.len(), 2);
    let ids: Vec<u32> = config.applications.iter().map(|application| application.sdk_app_id).collect();
    assert_eq!(ids, [2, 1], "the default application comes first");
    assert_eq!(config.applications[1].keys, [KEY.to_owned(), format!("{KEY}2")]);
}

#[test]
fn an_empty_variable_unsets_what_the_file_sets() {
    let file = "[server]\nadvertise = \"a.example\"\n[media]\nadvertise = [\"203.0.113.7\"]";
    let environment = [("STENTOR_SERVER__ADVERTISE", ""), ("STENTOR_MEDIA__ADVERTISE", "")];
    let config = load(file, &environment, &[]).unwrap();
    assert_eq!(config.server.advertise, None);
    assert!(config.media.advertise.is_empty());
    assert_eq!(load(file, &[], &[]).unwrap().server.advertise.as_deref(), Some("a.example"));
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    assert_eq!(
        refusal("[http]\n\nlisen = \"0.0.0.0:1\""),
        "s.toml:3: 'lisen' is not a setting of this section; did you mean 'listen'?"
    );
    assert_eq!(refusal("[htpp]\nlisten = 1"), "s.toml:2: 'htpp' is not a section; did you mean 'http'?");
    assert_eq!(refusal("[rtpm]"), "s.toml:1: 'rtpm' is not a section; did you mean 'rtmp'?");
    assert_eq!(
        refusal("[rtmp]\ntakeover = true"),
        "s.toml:2: 'takeover' is not a setting of this section; did you mean live.takeover?"
    );
    assert_eq!(
        refusal("takeover = true"),
        "s.toml:1: 'takeover' is not a section and key; did you mean live.takeover?"
    );
    assert_eq!(
        refusal("[rtmp]\nxyzzy = 1"),
        "s.toml:2: 'xyzzy' is not a setting of this section; it has listen, idle_timeout, connections_max, tls_certificate, tls_key, reconnect_url"
    );
    assert_eq!(
        load("", &[("STENTOR_HTTP__LISTN", "x")], &[]).unwrap_err(),
        "environment STENTOR_HTTP__LISTN: 'listn' is not a setting of this section; did you mean 'listen'?"
    );
    assert_eq!(
        load("", &[("STENTOR_HTTP_LISTEN", "x")], &[]).unwrap_err(),
        "environment STENTOR_HTTP_LISTEN: section and key are separated by two underscores; did you mean STENTOR_HTTP__LISTEN?"
    );
}

#[test]
fn wrong_values_are_told_with_what_was_expected() {
    assert_eq!(
        refusal("[live]\npublish_timeout = 10"),
        "s.toml:2: live.publish_timeout is '10'; expected a time with its unit, such as \"10s\", \"20ms\", \"5m\" or \"1d\""
    );
    assert_eq!(
        refusal("[http]\nlisten = 8080"),
        "s.toml:2: http.listen is '8080'; expected an address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\""
    );
    assert_eq!(
        load("", &[], &[("live.takeover", "maybe")]).unwrap_err(),
        "command line: live.takeover is 'maybe'; expected true or false"
    );
    assert_eq!(refusal("[live]\ntakeover = [true]"), "s.toml:2: live.takeover is a list of 1; expected true or false");
    assert!(
        refusal("[media]\nadvertise = [{ a = 1 }]")
            .starts_with("s.toml:2: media.advertise is a table; expected a list")
    );
    assert!(refusal("[media]\nadvertise = [\"host\"]").contains("expected a list of addresses"));
    assert!(refusal("[http\nlisten").starts_with("s.toml:1: this is not TOML: "));
    assert!(
        refusal("[http]\nlisten = \"0.0.0.0:1\"\nlisten = \"0.0.0.0:2\"").starts_with("s.toml:3: this is not TOML: ")
    );
}

#[test]
fn brackets_are_told_apart() {
    assert_eq!(
        refusal("[[http]]\nlisten = \"0.0.0.0:1\""),
        "s.toml:2: there is one [http] only; write it in single brackets"
    );
    let error = Config::load(None, [], [("application.sdk_app_id", "1".to_owned())]).unwrap_err().to_string();
    assert!(error.starts_with("command line: there may be several applications"), "{error}");
    let error = Config::load(None, [], [("application.1.sdk_app_id", "1".to_owned())]).unwrap_err().to_string();
    assert_eq!(
        error,
        "command line: application 1 cannot be set where there are 0; number them from 0 without gaps, and have at most 1000"
    );
}

#[test]
fn contradictions_are_told() {
    assert!(
        refusal("[http]\ntls_key = \"k.pem\"").starts_with("http.tls_certificate and http.tls_key belong together")
    );
    assert!(
        refusal("[rtmp]\ntls_certificate = \"c.pem\"")
            .starts_with("rtmp.tls_certificate and rtmp.tls_key belong together")
    );
    for url in ["http://other/live", "rtmp://other", "rtmp:///live", "x"] {
        assert!(refusal(&format!("[rtmp]\nreconnect_url = \"{url}\"")).starts_with("rtmp.reconnect_url is "), "{url}");
    }
    assert!(refusal("[media]\nshards = 257").starts_with("media.shards is 257"));
    assert!(refusal("[hls]\nsegments = 2").starts_with("hls.segments is 2"));
    assert!(refusal("[server]\ndefault_application = 8").contains("no [[application]] has that number"));
    assert!(refusal(&application()).starts_with("applications 7 and 7 share"));
    assert!(refusal("[[application]]\nsdk_app_id = 1").starts_with("application 1 has 0 keys"));
    let three = format!("[[application]]\nsdk_app_id = 1\nkeys = [\"{KEY}\", \"{KEY}\", \"{KEY}\"]");
    assert!(refusal(&three).starts_with("application 1 has 3 keys"));
    assert!(refusal("[[application]]\nsdk_app_id = 1\nkeys = [\"short\"]").contains("shorter than 16"));
    assert!(
        refusal(&format!("[[application]]\nkeys = [\"{KEY}\"]")).starts_with("an [[application]] has no sdk_app_id")
    );
    let hosts = "[[application]]\nsdk_app_id = 1\nopen = true\nhosts = [\"a.example\"]\n\
                 [[application]]\nsdk_app_id = 2\nopen = true\nhosts = [\"A.example\"]";
    assert!(refusal(hosts).starts_with("applications 1 and 2 share"));
    assert!(Config::load(None, [], []).unwrap_err().to_string().starts_with("there is no application"));
    let missing = Config::load(Some(Path::new("/nowhere/s.toml")), [], []).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/s.toml: cannot be read"), "{missing}");
}

#[test]
fn keys_of_signed_urls_are_checked() {
    let own = |rest: &str| format!("[[application]]\nsdk_app_id = 1\nopen = true\n{rest}");
    let app =
        |rest: &str| format!("[[application]]\nsdk_app_id = 1\nopen = true\npush_keys = [\"{KEY}\"]\n[[app]]\n{rest}");
    let config = load(&app("sdk_app_id = 1\nname = \"show\"\nplay_open = true"), &[], &[]).unwrap();
    assert_eq!((config.apps.len(), config.apps[0].play_open), (1, Some(true)));
    assert_eq!(config.applications[0].url_signing, [Scheme::AliyunA, Scheme::Tencent]);
    let config = load(&own("url_signing = [\"aliyun-c\"]\nurl_validity = \"30m\""), &[], &[]).unwrap();
    assert_eq!(config.applications[0].url_signing, [Scheme::AliyunC]);
    assert_eq!(
        refusal(&own("url_signing = [\"md5\"]")),
        "s.toml:4: application.0.url_signing is a list of 1; expected a list of aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256, tencent-decimal"
    );
    assert!(refusal(&own("push_keys = [\"short\"]")).starts_with("one of the push_keys of application 1 holds"));
    let three = own(&format!("play_keys = [\"{KEY}\", \"{KEY}2\", \"{KEY}3\"]"));
    assert!(refusal(&three).starts_with("application 1 has 3 play_keys; expected one, or two"));
    let shared = own(&format!("play_keys = [\"{KEY}\"]\npush_keys = [\"{KEY}\"]"));
    assert!(refusal(&shared).starts_with("application 1 has a key in both push_keys and play_keys"));
    let inherited = app(&format!("sdk_app_id = 1\nname = \"show\"\nplay_keys = [\"{KEY}\"]"));
    assert!(refusal(&inherited).starts_with("app 'show' of application 1 has a key in both"));
    assert!(refusal(&app("sdk_app_id = 2\nname = \"show\"")).contains("no [[application]] has it"));
    assert!(refusal(&app("sdk_app_id = 1")).contains("has no name that counts: the app name is empty"));
    let twice = "sdk_app_id = 1\nname = \"show\"\n";
    assert!(
        refusal(&app(&format!("{twice}[[app]]\n{twice}"))).starts_with("app 'show' of application 1 is there twice")
    );
    assert!(refusal("[app]\nname = \"a\"").starts_with("s.toml:2: there may be several apps; write [[app]]"));
}

#[test]
fn what_observers_need_is_checked() {
    assert!(refusal("[server]\nadmin_tokens = [\"short\"]").contains("shorter than 16"));
    assert!(refusal("[server]\nadmin_tokens = [\"a token with spaces in it\"]").contains("holds a space"));
    let many = format!("[server]\nadmin_tokens = [{}]", "\"0123456789abcdef\", ".repeat(33));
    assert!(refusal(&many).starts_with("server.admin_tokens has 33 tokens"));
    assert_eq!(
        refusal("[server]\nlog_format = \"xml\""),
        "s.toml:2: server.log_format is 'xml'; expected \"text\" or \"json\""
    );
    for wrong in ["https://a.example:4318", "127.0.0.1:4318", "http://", "http:///x", "http://a/?b=c", "nonsense"] {
        assert!(
            refusal(&format!("[server]\notlp_endpoint = \"{wrong}\"")).contains("expected http://host:port"),
            "{wrong}"
        );
    }
    let config = load("[server]\notlp_endpoint = \"http://a.example/otlp\"\nlog_format = \"json\"", &[], &[]).unwrap();
    assert_eq!(config.server.log_format, LogFormat::Json);
}

#[test]
fn units_stand_in_the_value() {
    let time =
        |text: &str| load(&format!("[live]\nwait_for_stream = \"{text}\""), &[], &[]).map(|c| c.live.wait_for_stream);
    assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
    assert_eq!(time("20 ms"), Ok(Duration::from_millis(20)));
    assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
    assert_eq!(time("1d"), Ok(Duration::from_secs(86_400)));
    for wrong in ["", "s", "-1s", "1e3s", "1.s", ".5s", "1x", "1.0005s", "1.5ms", "99999999999999999999s", "1s s"] {
        assert!(time(wrong).is_err(), "{wrong} was taken");
    }
    let size = |text: &str| {
        load(&format!("[live]\ngop_cache_bytes = \"{text}\""), &[], &[]).map(|c| c.live.gop_cache_bytes.bytes())
    };
    assert_eq!(size("512KiB"), Ok(524_288));
    assert_eq!(size("1.5GiB"), Ok(1_610_612_736));
    assert_eq!(size("7B"), Ok(7));
    for wrong in ["16MB", "16", "16m", "99999999999GiB"] {
        assert!(size(wrong).is_err(), "{wrong} was taken");
    }
}

#[test]
fn the_sample_says_the_defaults() {
    let entries = source::from_file("sample", &sample()).unwrap();
    assert!(entries.is_empty(), "the sample sets {entries:?}");
    let entries = source::from_file("sample", &uncommented(&sample())).unwrap();
    let settings = section::all_names().len();
    assert_eq!(entries.len(), settings, "the sample shows every setting once");
    let config = Config::from_entries(&entries).unwrap();
    assert_eq!((config.live, config.hls, config.media), (Live::default(), Hls::default(), Media::default()));
    // What is unset by default is shown by an example.
    let rtmp = Rtmp { tls_certificate: None, tls_key: None, reconnect_url: None, ..config.rtmp };
    assert_eq!((rtmp, config.http.listen), (Rtmp::default(), Http::default().listen));
    assert_eq!((config.applications.len(), config.apps.len()), (1, 1));
}

#[test]
fn the_sample_as_it_is_holds_no_key_that_works() {
    let entries = source::from_file("sample", &uncommented(&sample())).unwrap();
    let error = Config::from_entries(&entries).unwrap().check().unwrap_err().to_string();
    assert!(error.starts_with("a key of application 1400000000 holds a space"), "{error}");
}

/// Run with `UPDATE_GENERATED=1` to write the two files anew.
#[test]
fn the_generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, expected) in [("stentor.toml", sample()), ("docs/configuration.md", reference())] {
        let path = root.join(name);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name} is out of date; run the tests with UPDATE_GENERATED=1");
    }
}

#[test]
fn webhooks_are_read_and_their_mistakes_told() {
    let file = "[[webhook]]\nurl = \"http://127.0.0.1/a?b\"\ndialect = \"srs\"\nveto = [\"publish\", \"play\"]\nfail = \"open\"\n\
                events = [\"viewer-began\"]\n[[webhook]]\nurl = \"https://b.example\"";
    let config = load(file, &[("STENTOR_WEBHOOK__1__TIMEOUT", "2s")], &[]).unwrap();
    let [first, second] = config.webhooks.as_slice() else { panic!("{config:?}") };
    assert_eq!((first.dialect, first.fail), (Dialect::Srs, OnFailure::Open));
    assert_eq!(first.veto, [Question::Publish, Question::Play]);
    assert_eq!(first.events, [EventKind::ViewerBegan]);
    assert_eq!((second.dialect, second.timeout), (Dialect::Stentor, Duration::from_secs(2)));
    assert_eq!(second.events, [EventKind::StreamStarted, EventKind::StreamEnded]);

    let hook = |rest: &str| refusal(&format!("[[webhook]]\nurl = \"http://a.example\"\n{rest}"));
    for url in ["", "ftp://a.example", "a.example", "/hook"] {
        assert!(refusal(&format!("[[webhook]]\nurl = \"{url}\"")).starts_with("webhook 0 has no url"), "{url}");
    }
    assert!(hook("application = 8").contains("no [[application]] has that number"));
    assert!(hook("dialect = \"tencent-css\"\nveto = [\"publish\"]").contains("that dialect asks nothing"));
    assert!(hook("dialect = \"tencent-css\"\nevents = [\"viewer-ended\"]").contains("stream-ended only"));
    assert!(hook("dialect = \"nginx\"").ends_with("is 'nginx'; expected \"stentor\", \"srs\" or \"tencent-css\""));
    assert!(hook("veto = [\"pause\"]").contains("expected a list of \"publish\" and \"play\""));
    assert!(hook("timeout = \"0s\"").contains("has a timeout"));
    assert!(hook("timeout = \"31s\"").contains("has a timeout"));
    assert!(hook("key = \"a b\"").contains("has a key with a space"));
    assert!(refusal("[webhook]\nurl = \"http://a.example\"").contains("there may be several webhooks"));
}
