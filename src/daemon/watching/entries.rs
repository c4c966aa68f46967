//! Which entries of directories decide what is read under a path.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many links are followed as the kernel does.
const MAX_LINKS: usize = 40;

/// The entries that decide what is read under `paths`: each file where it really is, each symbolic link
/// on the way to it and, of what is missing, the first part. None of them is reached through a link.
pub(super) fn entries<'p>(paths: impl IntoIterator<Item = &'p Path>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in paths {
        // Without a current directory nothing relative can be read either.
        if let Ok(path) = std::path::absolute(path) {
            follow(&path, &mut found);
        }
    }
    found
}

fn follow(path: &Path, found: &mut BTreeSet<PathBuf>) {
    let mut at = PathBuf::from("/");
    let mut links = 0;
    let mut left = parts(path);
    while let Some(part) = left.pop() {
        match part {
            Part::Up => drop(at.pop()),
            Part::Down(name) => {
                at.push(name);
                if let Ok(target) = at.read_link() {
                    found.insert(at.clone());
                    links += 1;
                    if links > MAX_LINKS {
                        return;
                    }
                    at.pop();
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    left.extend(parts(&target));
                } else if left.is_empty() || at.symlink_metadata().is_err() {
                    found.insert(at);
                    return;
                }
            }
        }
    }
}

enum Part {
    Up,
    Down(OsString),
}

/// The parts of `path`, the last one first.
fn parts(path: &Path) -> Vec<Part> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(Part::Down(name.to_owned())),
        Component::ParentDir => Some(Part::Up),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_links_lead_through_counts() {
        let directory = tempfile::tempdir().expect("a directory");
        let top = directory.path().canonicalize().expect("it is there");
        let entries = |path: &str| -> Vec<String> {
            let found = entries([&*top.join(path)]);
            let below = |path: PathBuf| path.strip_prefix(&top).expect("below").display().to_string();
            found.into_iter().map(below).collect()
        };
        fs::create_dir_all(top.join("etc/..2026")).expect("it can be made");
        fs::write(top.join("etc/..2026/rhumb.toml"), "").expect("it can be written");
        for (link, target) in [
            ("etc/..data", "..2026"),
            ("etc/rhumb.toml", "..data/rhumb.toml"),
            ("here", "etc/../etc"),
            ("there", top.join("etc").to_str().expect("it is text")),
            ("loop", "loop"),
            ("dangling", "nowhere/at.all"),
        ] {
            symlink(target, top.join(link)).expect("links can be made");
        }
        let chain = ["etc/..2026/rhumb.toml", "etc/..data", "etc/rhumb.toml"];
        assert_eq!(entries("etc/..2026/rhumb.toml"), chain[..1]);
        assert_eq!(entries("etc/rhumb.toml"), chain);
        assert_eq!(entries("etc/../here/./rhumb.toml"), [&chain[..], &["here"]].concat());
        assert_eq!(entries("there/rhumb.toml"), [&chain[..], &["there"]].concat());
        assert_eq!(entries("etc/missing/too.toml"), ["etc/missing"]);
        assert_eq!(entries("dangling"), ["dangling", "nowhere"]);
        assert_eq!(entries("loop"), ["loop"]);
    }
}
