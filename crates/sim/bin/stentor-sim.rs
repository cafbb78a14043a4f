//! Runs scenarios, named or made up from seeds, and prints what fails.
#![forbid(unsafe_code)]
#![allow(unused_crate_dependencies)]

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use rtc::ViewerLeg;
use stentor_sim::{Far, Scenario, Setup, layered, named, random, run};

/// The packet path on virtual time, from seeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds are run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many shards serve.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Viewers get str0m's leg instead of ours.
    #[arg(long)]
    str0m: bool,
    /// Viewers are light ones, which tell what their path carries.
    #[arg(long)]
    light: bool,
    /// Streams have layers, and links change.
    #[arg(long)]
    layered: bool,
    /// How many of the last things that happened are told where something goes wrong.
    #[arg(long, default_value_t = 40)]
    trace: usize,
    /// A scenario by its name, with every seed; `all` runs each of them once.
    #[arg(long)]
    name: Option<String>,
    /// Says what happened where all was well, too.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Ok(certificate) = rtc::Certificate::generate() else {
        eprintln!("no certificate could be made");
        return ExitCode::FAILURE;
    };
    let viewer_leg = if arguments.str0m { ViewerLeg::Str0m } else { ViewerLeg::Own };
    let viewer = if arguments.light { Far::Light } else { Far::Full };
    let setup = Setup {
        start: Instant::now(),
        certificate,
        shards: arguments.shards,
        viewer_leg,
        viewer,
        trace: arguments.trace,
    };
    let mut failed = Vec::new();
    let mut scenarios = scenarios(&arguments);
    if arguments.str0m {
        // str0m's leg does not follow a peer whose address changes a second time: ours does.
        scenarios.iter_mut().flat_map(|scenario| &mut scenario.viewers).for_each(|viewer| viewer.rebinds.clear());
    }
    if scenarios.is_empty() {
        eprintln!(
            "no scenario has this name; these have: {:?}",
            named().iter().map(|one| &one.name).collect::<Vec<_>>()
        );
        return ExitCode::FAILURE;
    }
    let count = scenarios.len();
    for scenario in scenarios {
        match run(&scenario, &setup) {
            Ok(report) if arguments.verbose => println!("{} {}: {report}", scenario.name, scenario.seed),
            Ok(_) => {}
            Err(failure) => {
                println!("{failure}");
                failed.push((scenario.name.clone(), scenario.seed));
            }
        }
    }
    println!(
        "{count} runs, {} failed{}",
        failed.len(),
        if failed.is_empty() { String::new() } else { format!(": {failed:?}") }
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn scenarios(arguments: &Arguments) -> Vec<Scenario> {
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    match arguments.name.as_deref() {
        None => seeds.map(if arguments.layered { layered } else { random }).collect(),
        Some("all") => named(),
        Some(name) => {
            let found = named().into_iter().find(|scenario| scenario.name == name);
            found.map(|found| seeds.map(|seed| Scenario { seed, ..found.clone() }).collect()).unwrap_or_default()
        }
    }
}
