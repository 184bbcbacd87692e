//! `DjangoEmailBackend`: mail to Django's `ADMINS`, sent as Django's own settings say. Names and defaults are those of
//! <https://docs.djangoproject.com/en/stable/ref/settings/#email-host>.

use super::Translation;
use crate::tree::{Item, Node, Origin};

impl Translation<'_, '_> {
    /// The entries of an e-mail section; `None` where they can't be known.
    pub(super) fn email(&mut self, backend: &Origin) -> Option<Vec<(&'static str, Node)>> {
        let at = Origin::default();
        let to = self.admins(backend)?;
        let mut entries = vec![("type", Node::text("email", backend))];
        let host = self.text("EMAIL_HOST").unwrap_or_else(|| Node::text("localhost", &at));
        entries.push(("host", host));
        let port = self.get("EMAIL_PORT").unwrap_or_else(|| Node::new(Item::Whole(25), at.clone()));
        entries.push(("port", port));
        let (tls, ssl) = (self.flag("EMAIL_USE_TLS", false), self.flag("EMAIL_USE_SSL", false));
        if tls && ssl {
            let name = self.named("EMAIL_USE_SSL");
            let other = self.named("EMAIL_USE_TLS");
            let place = self.given.names.get("EMAIL_USE_SSL").map(|node| node.at.clone()).unwrap_or_default();
            self.reader.problem(&place, &name, format!("and {other} are both True: keep one of them"));
        }
        let security = match (tls, ssl) {
            (_, true) => "tls",
            (true, _) => "starttls",
            _ => "none",
        };
        entries.push(("security", Node::text(security, &at)));
        // Django's default is an empty text, which means no login.
        let given = |node: &Node| node.item != Item::Text(String::new());
        if let Some(user) = self.text("EMAIL_HOST_USER").filter(given) {
            entries.push(("username", user));
            let password = self.secret("EMAIL_HOST_PASSWORD").filter(given);
            entries.extend(password.map(|node| ("password", node)));
        }
        let from = self.text("SERVER_EMAIL").unwrap_or_else(|| Node::text("root@localhost", &at));
        entries.push(("from", from));
        entries.push(("to", to));
        Some(entries)
    }

    /// The addresses of `ADMINS`: pairs of name and address, or addresses alone, as newer versions of Django have them.
    fn admins(&mut self, backend: &Origin) -> Option<Node> {
        let name = self.named("ADMINS");
        let node = self.get("ADMINS");
        let Some(Node { item: Item::List(list), at, .. }) = node.filter(|node| node.item != Item::List(Vec::new()))
        else {
            let message = format!(
                "DjangoEmailBackend mails to {name}, which this source does not set: add {name}, and EMAIL_HOST, \
                 EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS or EMAIL_USE_SSL, and SERVER_EMAIL \
                 where they are not Django's defaults"
            );
            self.reader.problem(backend, &name, message);
            return None;
        };
        let addresses: Option<Vec<Node>> = list
            .iter()
            .map(|admin| match &admin.item {
                Item::Text(_) => Some(admin.clone()),
                Item::List(pair) => match pair.as_slice() {
                    [_, address @ Node { item: Item::Text(_), .. }] => Some(address.clone()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        if addresses.is_none() {
            self.reader.problem(
                &at,
                &name,
                "must be a list of pairs of name and address, such as [(\"Ann\", \"ann@shop.example\")]",
            );
        }
        Some(Node::new(Item::List(addresses?), at))
    }
}
