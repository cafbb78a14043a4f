use std::{collections::BTreeSet, path::Path};

use super::{family::Kind, *};

fn sources(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names that code counts under, and both where one of two is chosen.
fn called() -> BTreeSet<String> {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let mut names = BTreeSet::new();
    for text in texts {
        for call in text.split("counters.add").skip(1) {
            let Some((_, arguments)) = call.split_once('(') else { continue };
            let first = arguments.split([',', ';']).next().unwrap();
            names.extend(first.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_counter_that_is_added_to_is_declared_and_the_other_way_round() {
    let declared: BTreeSet<String> = COUNTERS.iter().map(|counter| counter.call.to_owned()).collect();
    assert_eq!(called(), declared, "left: called in the code; right: declared in metrics::COUNTERS");
    assert_eq!(declared.len(), COUNTERS.len(), "a name is declared twice");
}

#[test]
fn every_number_of_a_media_thread_is_declared() {
    let stats = ShardStats::default();
    for (name, _) in stats.series() {
        let declared = MEDIA.iter().any(|(series, _)| *series == name) || name.starts_with(MEDIA_DROPS.0);
        assert!(declared, "{name} of ShardStats is not declared in metrics::family::MEDIA");
    }
    for (series, _) in MEDIA {
        assert!(stats.series().any(|(name, _)| name == *series), "{series} is no number of ShardStats");
    }
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for family in all() {
        let Family { name, kind, labels, help } = family;
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(help.ends_with('.') && !help.contains(['\n', '\\', '|']), "{name}: {help}");
        assert!(labels.iter().all(|label| !label.starts_with("__") && *label != "kind"), "{name}");
    }
    for counter in COUNTERS {
        let expected = counter.family.labels.len().saturating_sub(1);
        assert_eq!(counter.fixed.len(), expected, "{} needs a value for each label before the last", counter.call);
    }
    let names: Vec<_> = all().iter().map(|family| family.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name stands in two places: {names:?}");
}

/// Who changes this breaks dashboards: say so in the changelog.
#[test]
fn names_labels_and_types_are_stable() {
    let line = |family: Family| format!("{} {} {}", family.name, family.kind.name(), family.labels.join(","));
    let mut lines: Vec<_> = all().into_iter().map(line).map(|line| line.trim_end().to_owned()).collect();
    lines.sort();
    insta::assert_snapshot!("names", lines.join("\n"));
}

/// Run with `UPDATE_GENERATED=1` to write the page anew.
#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, page(), "docs/metrics.md is out of date; run the tests with UPDATE_GENERATED=1");
}

#[test]
fn a_parser_reads_what_is_written() {
    let mut text = Text::default();
    for counter in COUNTERS {
        counted(&mut text, counter, &[("one", 1), ("t\"w\\o", 2)]);
    }
    process(&mut text);
    media(&mut text, &[("0", &ShardStats::default())]);
    sockets::write(&mut text, &[("0", &net::SocketStats::default())]);
    let text = text.finish();
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    for counter in COUNTERS.iter().filter(|counter| !counter.family.labels.is_empty()) {
        let label = counter.family.labels.last().unwrap();
        let of = |value: &str| {
            let same = |sample: &&prometheus_parse::Sample| {
                sample.metric == counter.family.name
                    && sample.labels.get(label) == Some(value)
                    && sample.labels.values().count() == counter.family.labels.len()
            };
            scrape.samples.iter().filter(same).count()
        };
        let of_name = COUNTERS.iter().filter(|other| other.family.name == counter.family.name).count();
        assert_eq!(of("one"), of_name, "{}", counter.call);
    }
    let memory = scrape.samples.iter().find(|sample| sample.metric == gauges::MEMORY.name).unwrap();
    assert!(matches!(memory.value, prometheus_parse::Value::Gauge(bytes) if bytes > 1e6), "{memory:?}");
    assert_eq!(text.matches("# TYPE stentor_webrtc_ended_total").count(), 1);
}
