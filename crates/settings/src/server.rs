//! The table `[server]`: where the dashboard listens, and who may read and change. What would let strangers in is an error
//! here, with its line, before anything runs.

use std::net::SocketAddr;

use autoscalebot_core::Secret;

use crate::{PublicUrl, Server};
use crate::assemble::optional_table;
use crate::common::SERVER;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};

/// The fewest characters of a token: fewer can be guessed.
const TOKEN_MIN: usize = 16;

/// Reads the table; the reader holds what is wrong.
pub(crate) fn server(reader: &mut Reader<'_>, root: &Table) -> Option<Server> {
    let (values, at) = optional_table(reader, root, "server", SERVER)?;
    let at_field = |name: &str| match root.get("server") {
        Some(Node { item: Item::Table(table), .. }) => table.get(name).map_or(&at, |node| &node.at).clone(),
        _ => Origin::default(),
    };
    let Ok(listen) = values.text("listen")?.parse::<SocketAddr>() else {
        let message = "must be an address and a port, such as \"127.0.0.1:7878\" or \"[::1]:7878\"";
        reader.problem(&at, "server.listen", message);
        return None;
    };
    let before = reader.problems.len();
    let token = values.secret("token").cloned();
    let read_token = values.secret("read_token").cloned();
    for (name, secret) in [("token", &token), ("read_token", &read_token)] {
        if secret.as_ref().is_some_and(|secret| secret.expose().len() < TOKEN_MIN) {
            let message = format!("is shorter than {TOKEN_MIN} characters: make one with `openssl rand -hex 32`");
            reader.problem(&at_field(name), &format!("server.{name}"), message);
        }
    }
    if token.is_some() && token == read_token {
        let message = "is the same as server.token, so who may only read could change: make them differ";
        reader.problem(&at_field("read_token"), "server.read_token", message);
    }
    if !safe(listen, &token, &read_token) {
        let message = format!(
            "{listen} can be reached from other machines, and no token is set: set server.token = {{ env = \"NAME\" }} \
             (reads and changes) or server.read_token (reads), or listen on 127.0.0.1"
        );
        reader.problem(&at_field("listen"), "server.listen", message);
    }
    let prefix = values.text("path_prefix").unwrap_or_default().trim_end_matches('/').to_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.contains("//") || !prefix.chars().all(fits)) {
        let message = "must be a path such as \"/autoscalebot\": a slash, then letters, digits, - _ . ~ and slashes";
        reader.problem(&at_field("path_prefix"), "server.path_prefix", message);
    }
    let public_url = values.url("public_url").map(PublicUrl::new).and_then(|url| {
        url.map_err(|message| reader.problem(&at_field("public_url"), "server.public_url", message)).ok()
    });
    let good = reader.problems.len() == before;
    good.then_some(Server { listen, token, read_token, path_prefix: prefix, public_url })
}

/// Whether only this machine gets in, or whoever has a token.
fn safe(listen: SocketAddr, token: &Option<Secret>, read_token: &Option<Secret>) -> bool {
    token.is_some() || read_token.is_some() || listen.ip().to_canonical().is_loopback()
}
