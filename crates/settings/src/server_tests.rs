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

const TLS: &str = "[server.tls]\nlisten = \"127.0.0.1:8443\"\ncertificate = \"tls/cert.pem\"\nkey = \"/etc/key.pem\"\n";

/// A world with both files.
fn certified() -> World {
    world().file("/srv/tls/cert.pem", "a certificate").file("/etc/key.pem", LONG)
}

#[test]
fn https_has_an_address_and_files_of_its_own() {
    let server = certified().toml(&format!("{GOOD}{TLS}")).unwrap().settings.server;
    assert_eq!(server.listen.to_string(), "127.0.0.1:7878");
    let tls = server.tls.unwrap();
    assert_eq!(tls.listen.to_string(), "127.0.0.1:8443");
    assert_eq!((tls.certificate.to_str(), tls.key.to_str()), (Some("/srv/tls/cert.pem"), Some("/etc/key.pem")));
    let open = TLS.replace("127.0.0.1", "0.0.0.0");
    assert!(certified().toml(&format!("{GOOD}[server]\ntoken = {{ env = \"T\" }}\n{open}")).is_ok());
}

#[test]
fn bad_https() {
    for (changed, into, want) in [
        ("127.0.0.1", "0.0.0.0", ":16: server.tls.listen: 0.0.0.0:8443 can be reached from other machines"),
        ("127.0.0.1:8443", "bot.example:8443", ":16: server.tls.listen: must be an address and a port"),
        ("tls/cert.pem", "gone.pem", ":17: server.tls.certificate: /srv/gone.pem cannot be read"),
        ("/etc/key.pem", "/etc/gone.pem", ":18: server.tls.key: /etc/gone.pem cannot be read"),
        ("key = \"/etc/key.pem\"", "", ": server.tls.key: is missing"),
        ("key =", "keys =", ": server.tls.keys: is not a setting here: did you mean key?"),
    ] {
        let said = certified().toml(&format!("{GOOD}{}", TLS.replace(changed, into))).err();
        let said = said.map(|problems| problems.to_string()).unwrap_or_default();
        assert!(said.contains(want), "{into}\n  said {said}\n  want {want}");
        assert!(!said.contains(LONG), "{said}");
    }
}
