//! spec → the contract's outputs: checked templates, one destination each, groups.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_core::contract::{Dialect, Layout, Output, Source};
use sidekey_core::output::STALE_LIST;
use sidekey_core::{Cause, Code, Lookup};

use crate::spec::{InjectSpec, Secret};
use crate::value::shown;

/// File name of the token for readers who ask for it.
pub(crate) const TOKEN_FILE: &str = "token";

/// The files, in the order of their raw names; `mode` is that of files that name none.
///
/// # Errors
/// `TemplateSyntax`, `TemplateFunction`, `DestinationTwice`, `AnnotationConflict`.
pub(crate) fn outputs(spec: &InjectSpec, mode: Option<u32>) -> Result<Vec<Output>, Cause> {
    distinct(spec)?;
    let lookups = spec.secrets.iter().map(|secret| lookups(secret, spec.dialect)).collect::<Result<Vec<_>, _>>()?;
    let groups = groups(spec, &lookups);
    one_directory(&spec.secrets, &groups)?;
    pinned(spec, &lookups, &groups)?;
    let plain = |group: &String| groups.iter().filter(|one| *one == group).count() < 2;
    let layouts = groups.iter().map(|group| if plain(group) { Layout::Plain } else { Layout::Linked });
    let all = spec.secrets.iter().zip(&groups).zip(layouts);
    Ok(all.map(|((secret, group), layout)| output(secret, group, layout, mode)).collect())
}

fn output(secret: &Secret, group: &str, layout: Layout, mode: Option<u32>) -> Output {
    Output {
        name: secret.raw.clone(),
        dir: secret.dir.clone(),
        file: secret.file.clone(),
        source: secret.source.clone(),
        login: secret.login,
        mode: secret.mode.or(mode),
        group: group.to_owned(),
        layout,
        optional: secret.optional,
        pinned: secret.subpath.is_some(),
        max_stale_seconds: secret.max_stale_seconds,
    }
}

/// Checks a template with the agent's own engine; answers what it surely asks for.
fn lookups(secret: &Secret, dialect: Dialect) -> Result<BTreeSet<Lookup>, Cause> {
    let (template, key) = match (&secret.source, &secret.template) {
        (Source::Format(format), _) => return Ok(BTreeSet::from([Lookup::read(&format.path)])),
        (Source::Template(template), Some(key)) if template.file.is_none() => (&secret.source, key),
        (Source::Template(_) | Source::Environment(_), _) => return Ok(BTreeSet::new()),
    };
    let compiled = sidekey_template::compile(&secret.raw, template, None).map_err(|error| {
        let mut cause = Cause::from(error);
        cause.attempted = format!("{} of annotation {key}", cause.attempted);
        cause
    })?;
    Ok(if dialect == Dialect::Native { compiled.literal_lookups() } else { BTreeSet::new() })
}

/// Two files at one place, or a file where another needs a directory.
fn distinct(spec: &InjectSpec) -> Result<(), Cause> {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    if spec.token_sink {
        taken.insert(format!("{}/{TOKEN_FILE}", spec.dir), "the Vault token");
    }
    for secret in &spec.secrets {
        taken.insert(format!("{}/{STALE_LIST}", secret.dir), "the list of stale files");
        let destination = secret.destination();
        if let Some(other) = taken.insert(destination.clone(), &secret.raw) {
            return Err(twice(&secret.raw, other, &format!("both would be {destination}")));
        }
    }
    for (destination, name) in &taken {
        let parents = destination.match_indices('/').skip(1).filter_map(|(at, _)| destination.get(..at));
        if let Some((parent, other)) = parents.filter_map(|parent| taken.get_key_value(parent)).next() {
            return Err(twice(name, other, &format!("{parent} would be a file and a directory")));
        }
    }
    Ok(())
}

fn twice(one: &str, other: &str, answer: &str) -> Cause {
    let attempted = format!("planning the files of `{}` and `{}`", one.min(other), one.max(other));
    Cause::new(Code::DestinationTwice, attempted, answer)
}

/// One group for each file, but for named groups and, in the native dialect, files of one volume that share an answer.
fn groups(spec: &InjectSpec, lookups: &[BTreeSet<Lookup>]) -> Vec<String> {
    let mut groups: Vec<String> =
        spec.secrets.iter().map(|secret| secret.group.clone().unwrap_or_else(|| secret.raw.clone())).collect();
    if spec.dialect == Dialect::Vault {
        return groups;
    }
    let secrets = &spec.secrets;
    for later in 0..secrets.len() {
        for earlier in 0..later {
            let free = secrets[earlier].group.is_none() && secrets[later].group.is_none();
            let place = |at: usize| (&secrets[at].dir, secrets[at].login);
            let near = place(earlier) == place(later) && !lookups[earlier].is_disjoint(&lookups[later]);
            if free && near && groups[earlier] != groups[later] {
                let (from, to) = (groups[later].clone(), groups[earlier].clone());
                groups.iter_mut().filter(|group| **group == from).for_each(|group| group.clone_from(&to));
            }
        }
    }
    groups
}

/// A mount of one file holds on to the file that is there at the container's start.
fn pinned(spec: &InjectSpec, lookups: &[BTreeSet<Lookup>], groups: &[String]) -> Result<(), Cause> {
    const ENDS: [&str; 5] = ["creds", "static-creds", "issue", "sign", "secret-id"];
    for ((secret, lookups), group) in spec.secrets.iter().zip(lookups).zip(groups) {
        let Some(path) = secret.subpath.as_deref().map(shown) else { continue };
        let ends = |lookup: &&Lookup| lookup.path.split('/').any(|part| ENDS.contains(&part));
        let answer = if let Some(lookup) = lookups.iter().find(ends) {
            format!("what {} gives ends or rotates, and a file at {path} would stay as it was", shown(&lookup.path))
        } else if !spec.start.pre_populate {
            format!("the app does not wait for its files, so there is nothing to mount at {path} yet")
        } else if groups.iter().filter(|one| *one == group).count() > 1 {
            format!("`{}` changes together with other files, and a file at {path} would not", secret.raw)
        } else {
            continue;
        };
        return Err(Cause::new(Code::NotSupported, format!("mounting `{}` by itself", secret.raw), answer)
            .with_fix("Remove the sub-path, and read the file in its directory."));
    }
    Ok(())
}

/// A group is swapped by one rename, so it cannot span volumes.
fn one_directory(secrets: &[Secret], groups: &[String]) -> Result<(), Cause> {
    let mut homes: BTreeMap<&str, &Secret> = BTreeMap::new();
    for (secret, group) in secrets.iter().zip(groups) {
        let home = *homes.entry(group).or_insert(secret);
        if home.dir != secret.dir {
            let answer = format!("`{}` is in {} and `{}` in {}", home.raw, home.dir, secret.raw, secret.dir);
            return Err(Cause::new(Code::AnnotationConflict, format!("planning the group `{group}`"), answer)
                .with_fix("Give the files of one group one volume path, or name groups apart."));
        }
    }
    Ok(())
}
