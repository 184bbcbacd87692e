//! Each policy's page has its picture, and `scripts/plot-policies` draws the same one again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use autoscalebot_core::policy::POLICIES;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_policy_has_its_picture() {
    for policy in POLICIES {
        let name = policy.description.name;
        let picture = root().join(format!("docs/policies/plots/{name}.svg"));
        let text = std::fs::read_to_string(&picture);
        let text = text.unwrap_or_else(|_| panic!("{}: draw it with scripts/plot-policies {name}", picture.display()));
        assert!(text.starts_with("<svg") && text.contains("prefers-color-scheme:dark"), "{name}");
        assert!(text.len() < 40_000, "{name}: {} bytes", text.len());
        let page = std::fs::read_to_string(root().join(format!("docs/policies/{name}.md"))).unwrap();
        assert!(page.contains(&format!("](plots/{name}.svg)")), "{name}: its page does not show plots/{name}.svg");
    }
}

#[test]
fn the_command_draws_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    // Of the cheap ones: times, a sum over dynos, a rule in Python, and a gate.
    let names = ["consecutive", "python", "stabilization", "target"];
    let drawn = Command::new(root().join("scripts/plot-policies"))
        .args(["--into", folder.path().to_str().unwrap()])
        .args(names)
        .env("AUTOSCALEBOT", env!("CARGO_BIN_EXE_autoscalebot"))
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    for name in names {
        let now = std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).unwrap();
        let kept = std::fs::read_to_string(root().join(format!("docs/policies/plots/{name}.svg"))).unwrap();
        assert!(now == kept, "{name}.svg is stale: scripts/plot-policies draws it anew");
    }
}
