//! Each settings block of the documentation loads, and each example.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::path::{Path, PathBuf};

use autoscalebot_core::fields::Description;
use common::Folder;

mod common;

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

/// The blocks of a page that are marked as TOML.
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```toml") => open = Some(String::new()),
            (Some(_), "```") => found.extend(open.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

#[test]
fn every_settings_block_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    files(&root.join("docs"), "md", &mut pages);
    let mut checked = 0;
    for page in pages {
        for block in blocks(&std::fs::read_to_string(&page).unwrap()) {
            let folder = Folder::with(&block);
            folder.write("Procfile", "web: true\nworker: true\n");
            folder.certify("certificate.pem", "key.pem");
            let ran = folder.run(&["check"]);
            assert_eq!(ran.code, Some(0), "{}:\n{block}\n{}", page.display(), ran.err);
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} blocks were found");
}

#[test]
fn every_example_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let (mut toml, mut python) = (Vec::new(), Vec::new());
    files(&root, "toml", &mut toml);
    files(&root, "py", &mut python);
    assert!(!toml.is_empty() && !python.is_empty());
    for (option, files) in [("--config", toml), ("--settings", python)] {
        for file in files {
            let folder = Folder::new();
            let ran = folder.run(&[option, file.to_str().unwrap(), "check"]);
            assert_eq!(ran.code, Some(0), "{}: {}", file.display(), ran.err);
        }
    }
}

/// Every kind that has a page of its own, by the folder of the pages.
fn kinds() -> [(&'static str, Vec<Description>); 4] {
    [
        ("measurements", autoscalebot_measure::MEASUREMENTS.iter().map(|entry| entry.kind.description).collect()),
        ("notifications", autoscalebot_notify::CHANNELS.iter().map(|entry| entry.kind.description).collect()),
        ("platforms", autoscalebot_platform::PLATFORMS.iter().map(|entry| entry.kind.description).collect()),
        ("policies", autoscalebot_core::policy::POLICIES.iter().map(|kind| kind.description).collect()),
    ]
}

#[test]
fn every_kind_has_its_page_and_every_link_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (folder, kinds) in kinds() {
        for kind in kinds {
            let page = root.join("docs").join(folder).join(format!("{}.md", kind.name));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            for field in kind.fields {
                let named = text.contains(&format!("`{}`", field.name));
                assert!(named, "{} does not tell of {}", page.display(), field.name);
            }
        }
    }
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("ARCHITECTURE.md")];
    files(&root.join("docs"), "md", &mut pages);
    for page in pages {
        let text = without_code(&std::fs::read_to_string(&page).unwrap());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{}: {link} leads nowhere", page.display());
        }
    }
}

/// A page without its blocks and spans of code, in which brackets are no links.
fn without_code(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence && !line.starts_with("    ")
    });
    lines.map(|line| line.split('`').step_by(2).collect::<String>() + "\n").collect()
}

#[test]
fn the_lists_are_in_order() {
    for (folder, kinds) in kinds() {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        assert!(names.is_sorted(), "{folder}: {names:?}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    for entry in std::fs::read_dir(root.join("crates")).unwrap().flatten() {
        let manifest = std::fs::read_to_string(entry.path().join("Cargo.toml")).unwrap();
        let mut inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]");
            } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
                let name = line.split(['.', ' ', '=']).next().unwrap();
                let known = name.starts_with("autoscalebot-") || page.contains(name);
                assert!(known, "{name} of {} is not in docs/dependencies.md", entry.path().display());
            }
        }
    }
}

/// A default that cannot be read would be no default, in silence.
#[test]
fn every_default_and_example_is_toml() {
    let toml = |text: &str| format!("x = {text}").parse::<toml::Table>().is_ok();
    let mut all = Vec::new();
    for entry in autoscalebot_measure::MEASUREMENTS {
        assert!(toml(entry.kind.default_every), "{}", entry.kind.description.name);
        all.push(entry.kind.description);
    }
    all.extend(autoscalebot_platform::PLATFORMS.iter().map(|entry| entry.kind.description));
    all.extend(autoscalebot_notify::CHANNELS.iter().map(|entry| entry.kind.description));
    all.extend(autoscalebot_core::policy::POLICIES.iter().map(|kind| kind.description));
    all.extend(autoscalebot_core::gate::GATES.iter().map(|kind| kind.description));
    for description in all {
        for field in description.fields {
            assert!(field.default.is_none_or(toml), "{}: {field:?}", description.name);
            assert!(toml(field.example), "{}: {field:?}", description.name);
            assert!(!field.doc.is_empty(), "{}: {field:?}", description.name);
        }
    }
}
