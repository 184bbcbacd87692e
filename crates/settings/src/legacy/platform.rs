//! `PLATFORM`: where the app runs. 2.1 knew Heroku only, so this name is new: the name of a platform, or a dictionary that is
//! the platform's section as TOML would have it, `type` included.

use super::{Translation, table};
use crate::tree::{Item, Node, Origin, Table};

/// The platform of 2.1.
pub(super) const HEROKU: &str = "heroku";

const NAME: &str = "PLATFORM";

impl Translation<'_, '_> {
    /// The platform's type, which is its name as well, and its section.
    pub(super) fn platform(&mut self) -> (String, Node) {
        let top = Origin::default();
        let (mut section, at) = match self.get(NAME) {
            None => (Table::default(), top.clone()),
            Some(Node { item: Item::Table(section), at, .. }) => (named(section, &at), at),
            Some(node @ Node { item: Item::Text(_), .. }) => {
                let at = node.at.clone();
                (Table(vec![("type".into(), node)]), at)
            }
            Some(node) => {
                let message = format!(
                    "is {}, but must be the name of a platform, or a dictionary such as {{\"type\": \"local\", \
                     \"procfile\": \"Procfile\"}}",
                    node.what()
                );
                self.reader.problem(&node.at, NAME, message);
                (Table::default(), node.at)
            }
        };
        let kind = match section.get("type") {
            Some(Node { item: Item::Text(kind), .. }) => kind.clone(),
            // A `type` that is no text is for the reader of sections to refuse.
            Some(_) => "platform".into(),
            None => {
                section.set("type", Node::text(HEROKU, &at));
                HEROKU.into()
            }
        };
        if kind == HEROKU && section.get("api_key").is_none() {
            match self.secret("HEROKU_API_KEY") {
                Some(key) => section.set("api_key", key),
                None => {
                    self.missing("HEROKU_API_KEY", "the API key of the account");
                    // Said here; the reader of sections says nothing of what is marked so.
                    section.set("api_key", Node::new(Item::Unreadable("it is missing".into()), at.clone()));
                }
            }
        }
        let entries = section.0.iter().map(|(key, node)| (key.as_str(), node.clone())).collect();
        (kind, table(entries, &at))
    }
}

/// The section with each entry known to messages as `PLATFORM.entry`.
fn named(section: Table, at: &Origin) -> Table {
    let prefix = at.name.as_deref().unwrap_or(NAME);
    let rename = |(key, mut node): (String, Node)| {
        node.at.name = Some(crate::tree::join(prefix, &key).into());
        (key, node)
    };
    Table(section.0.into_iter().map(rename).collect())
}
