//! The table `[server]`: where the dashboard listens, and who may read and change. What would let strangers in is an error
//! here, with its line, before anything runs. Whether certificate and key fit each other, the server says, which uses them.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::assemble::{names, optional_table, plain};
use crate::common::{SERVER, TLS};
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};
use crate::{PublicUrl, Server, Tls};

/// The fewest characters of a token: fewer can be guessed.
const TOKEN_MIN: usize = 16;

/// Reads the table; the reader holds what is wrong.
pub(crate) fn server(reader: &mut Reader<'_>, root: &Table) -> Option<Server> {
    let (values, at) = optional_table(reader, root, "server", SERVER, &["tls"])?;
    let at_field = |name: &str| match root.get("server") {
        Some(Node { item: Item::Table(table), .. }) => table.get(name).map_or(&at, |node| &node.at).clone(),
        _ => Origin::default(),
    };
    let listen = address(reader, values.text("listen")?, &at, "server.listen")?;
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
    let named = token.is_some() || read_token.is_some();
    if !named {
        closed(reader, listen, &at_field("listen"), "server.listen");
    }
    let tls = tls(reader, root, named);
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
    good.then_some(Server { listen, token, read_token, path_prefix: prefix, public_url, tls })
}

/// An address with its port.
fn address(reader: &mut Reader<'_>, text: &str, at: &Origin, path: &str) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        reader.problem(at, path, "must be an address and a port, such as \"127.0.0.1:7878\" or \"[::1]:7878\"");
    }
    address
}

/// Where nobody is asked for a token, only this machine may get in.
fn closed(reader: &mut Reader<'_>, listen: SocketAddr, at: &Origin, path: &str) {
    if !listen.ip().to_canonical().is_loopback() {
        let message = format!(
            "{listen} can be reached from other machines, and no token is set: set server.token = {{ env = \"NAME\" }} \
             (reads and changes) or server.read_token (reads), or listen on 127.0.0.1"
        );
        reader.problem(at, path, message);
    }
}

/// `[server.tls]`.
fn tls(reader: &mut Reader<'_>, root: &Table, named: bool) -> Option<Tls> {
    let Some(Node { item: Item::Table(server), .. }) = root.get("server") else { return None };
    let node = server.get("tls")?;
    let table = reader.table(node, "server.tls")?;
    reader.only_known(table, "server.tls", &names(TLS));
    let values = plain(reader, TLS, table, &node.at, "server.tls")?;
    let at = |name: &str| table.get(name).map_or(&node.at, |node| &node.at);
    let listen = address(reader, values.text("listen")?, at("listen"), "server.tls.listen")?;
    if !named {
        closed(reader, listen, at("listen"), "server.tls.listen");
    }
    let mut file = |name: &str| {
        let file = PathBuf::from(values.text(name)?);
        if let Err(error) = (reader.outside.read)(&file) {
            let message = format!("{} cannot be read: {error}", file.display());
            reader.problem(at(name), &format!("server.tls.{name}"), message);
        }
        Some(file)
    };
    let (certificate, key) = (file("certificate"), file("key"));
    Some(Tls { listen, certificate: certificate?, key: key? })
}
