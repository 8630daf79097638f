//! Manifests in, manifests out.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sidekey_core::{Cause, Code};

use crate::error::Error;
use crate::ordered::Document;

/// Longest manifest, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Every object of every file; a folder stands for its own manifests, in the order of their names.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Document>, Error> {
    let mut all = Vec::new();
    for path in paths {
        for file in files(path)? {
            all.extend(read(&file)?);
        }
    }
    Ok(all)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error: io::Error| {
        Error::Input(Cause::new(Code::ManifestMalformed, format!("reading {}", path.display()), error.to_string()))
    };
    let entries: io::Result<Vec<_>> = std::fs::read_dir(path).map_err(failed)?.collect();
    let is_manifest = |file: &PathBuf| {
        let kind = file.extension().and_then(std::ffi::OsStr::to_str);
        file.is_file() && kind.is_some_and(|kind| ["yaml", "yml", "json"].contains(&kind))
    };
    let mut files: Vec<_> =
        entries.map_err(failed)?.into_iter().map(|entry| entry.path()).filter(is_manifest).collect();
    files.sort();
    Ok(files)
}

/// Every object of a file, or of standard input for `-`; empty documents are left out.
fn read(path: &Path) -> Result<Vec<Document>, Error> {
    let failed = |answer: String| {
        Error::Input(Cause::new(Code::ManifestMalformed, format!("reading {}", path.display()), answer))
    };
    let text = text(path).map_err(|error| failed(error.to_string()))?;
    parse(&text).map_err(failed)
}

fn text(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(io::Error::other("it is longer than 64 MiB")) } else { Ok(text) }
}

/// As kubectl reads YAML: `yes` is true, `0644` is octal.
pub(crate) fn parse(text: &str) -> Result<Vec<Document>, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Document> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| error.without_snippet().to_string().replace('\n', " "))?;
    let documents: Vec<_> = documents.into_iter().filter(|document| document.value != Value::Null).collect();
    match documents.iter().position(|document| !document.value.is_object()) {
        Some(index) => Err(format!("document {} is not an object", index + 1)),
        None => Ok(documents),
    }
}

/// As YAML, one document after the other.
pub(crate) fn print(documents: &[Document]) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_multiple_with_options(documents, options)
        .map_err(|error| Error::Failed(format!("cannot write YAML: {error}")))
}
