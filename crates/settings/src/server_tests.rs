//! The table `[server]`: what is refused, and how it is said.

use crate::testing::{GOOD, World};

const LONG: &str = "0123456789abcdef-secret";

fn world() -> World {
    let tokens = [("HEROKU_API_KEY", "tok-EXAMPLE-1234"), ("T", LONG), ("R", "another-0123456789"), ("S", "short")];
    World::variables(&tokens)
}

#[test]
fn good_servers() {
    let server = |table: &str| world().toml(&format!("{GOOD}[server]\n{table}\n")).unwrap().settings.server;
    let open = server("listen = \"0.0.0.0:80\"\ntoken = { env = \"T\" }\nread_token = { env = \"R\" }");
    assert_eq!(open.token.as_ref().map(|token| token.expose()), Some(LONG));
    assert!(!format!("{open:?}").contains(LONG));
    for (written, prefix) in [("/", ""), ("/a/b_c/", "/a/b_c"), ("/autoscalebot", "/autoscalebot")] {
        assert_eq!(server(&format!("path_prefix = \"{written}\"")).path_prefix, prefix);
    }
    assert!(server("read_token = { env = \"R\" }").token.is_none());
    let public = server("public_url = \"https://scale.example/\"").public_url;
    assert_eq!(public.as_ref().map(crate::PublicUrl::as_str), Some("https://scale.example"));
}

#[test]
fn bad_servers() {
    for (table, want) in [
        ("listen = \"0.0.0.0:80\"", ":16: server.listen: 0.0.0.0:80 can be reached from other machines"),
        ("listen = \"[::]:80\"", ":16: server.listen: [::]:80 can be reached from other machines"),
        ("listen = \"localhost:80\"", ":16: server.listen: must be an address and a port"),
        ("token = { env = \"S\" }", ":16: server.token: is shorter than 16 characters"),
        ("token = { env = \"GONE\" }", ":16: server.token: "),
        (
            "token = { env = \"T\" }\nread_token = { env = \"T\" }",
            ":17: server.read_token: is the same as server.token",
        ),
        ("path_prefix = \"x\"", ":16: server.path_prefix: must be a path such as"),
        ("path_prefix = \"/a//b\"", ":16: server.path_prefix: must be a path"),
        ("path_prefix = \"/a?b\"", ":16: server.path_prefix: must be a path"),
        ("public_url = \"ftp://x\"", ":16: server.public_url: "),
        ("public_url = \"https://x/?y\"", ":16: server.public_url: must end with its path"),
        ("tokn = \"x\"", ":16: server.tokn: is not a setting here: did you mean token?"),
    ] {
        let said = world().toml(&format!("{GOOD}[server]\n{table}\n")).err().map(|problems| problems.to_string());
        let said = said.unwrap_or_default();
        assert!(said.contains(want), "{table}\n  said {said}\n  want {want}");
        assert!(!said.contains(LONG), "{said}");
    }
}
