//! Finds the static library of the AAC encoder, which comes from the system and not from the registry.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, exit},
};

const LIBRARY: &str = "libvo-aacenc.a";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let Some(folder) = folder() else {
        eprintln!(
            "{LIBRARY} was not found: the AAC encoder of stentor-codec needs the package libvo-aacenc-dev \
             (Debian, Ubuntu: apt-get install libvo-aacenc-dev; Fedora: vo-aacenc-devel, with its static library)."
        );
        exit(1);
    };
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=static=vo-aacenc");
}

/// Where the C compiler would take the library from: it prints the bare name when it knows no such file.
fn folder() -> Option<PathBuf> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler).arg(format!("-print-file-name={LIBRARY}")).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    let path = Path::new(printed.trim());
    (path.is_absolute() && path.is_file()).then(|| path.parent().map(Path::to_path_buf)).flatten()
}
