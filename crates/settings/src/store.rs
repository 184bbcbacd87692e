//! `[store]`: where records and state are kept, and for how long.

use std::path::PathBuf;

use autoscalebot_core::Secret;
use jiff::SignedDuration;

use crate::address;
use crate::assemble::{names, plain};
use crate::common::STORE;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin, Table};

/// Where records and state are kept, and for how long.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where.
    pub place: StorePlace,
    /// How long every record and sample is kept.
    pub records: SignedDuration,
    /// How long records that differ from the one before them, and events, are kept.
    pub changes: SignedDuration,
    /// How long percentiles by the minute are kept.
    pub minutes: SignedDuration,
    /// How long percentiles by the hour are kept.
    pub hours: SignedDuration,
    /// With more than so many MB, the oldest records go before their time.
    pub max_mb: u64,
}

/// Where records and state are kept.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// Nowhere: they go with the program.
    Memory,
    /// In an SQLite file.
    File(PathBuf),
    /// In a PostgreSQL database, by its URL.
    Postgres(Secret),
}

pub(crate) fn store(reader: &mut Reader<'_>, root: &Table) -> Option<Store> {
    let empty = Node::new(Item::Table(Table::default()), Origin::default());
    let node = root.get("store").unwrap_or(&empty);
    let table = reader.table(node, "store")?;
    reader.only_known(table, "store", &names(STORE));
    // The URL is read below: it may stand elsewhere, as one with a password should.
    let mut rest = table.clone();
    let url = rest.0.iter().position(|(key, _)| key == "url").map(|at| rest.0.remove(at).1);
    let values = plain(reader, STORE, &rest, &node.at, "store")?;
    let place = match &url {
        None => StorePlace::File(PathBuf::from("autoscalebot.db")),
        Some(node) => place(reader, node)?,
    };
    Some(Store {
        place,
        records: values.duration("records")?,
        changes: values.duration("changes")?,
        minutes: values.duration("minutes")?,
        hours: values.duration("hours")?,
        max_mb: u64::try_from(values.whole("max_mb")?).ok()?,
    })
}

fn place(reader: &mut Reader<'_>, node: &Node) -> Option<StorePlace> {
    let path = "store.url";
    let (text, literal) = match &node.item {
        Item::Text(text) => (text.clone(), true),
        Item::Table(table) => (reader.secret_elsewhere(table, node, path)?, false),
        _ => (String::new(), true),
    };
    let message = match text.split_once(':') {
        Some(("sqlite", ":memory:")) => return Some(StorePlace::Memory),
        Some(("sqlite", file)) => {
            let file = file.strip_prefix("//").unwrap_or(file);
            if !file.is_empty() && !file.contains('\0') {
                return Some(StorePlace::File(PathBuf::from(file)));
            }
            "names no file: write it such as \"sqlite:autoscalebot.db\"".to_owned()
        }
        Some(("postgres" | "postgresql", _)) => match address::parse(&text, &["postgres", "postgresql"]) {
            Ok(url) => {
                if let Some(password) = url.password().filter(|password| !password.is_empty()) {
                    reader.hide(password);
                    if literal {
                        let message = "the password stands in the file, for all who can read it: \
                                       better { env = \"DATABASE_URL\" } or { file = \"…\" }";
                        reader.warning(&node.at, path, message);
                    }
                }
                return Some(StorePlace::Postgres(Secret::new(text)));
            }
            Err(message) => message,
        },
        _ => "must begin with sqlite: or postgres:, such as \"sqlite:autoscalebot.db\" or \
              { env = \"DATABASE_URL\" }"
            .to_owned(),
    };
    reader.problem(&node.at, path, message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    const APP: &str = "time_zone = \"UTC\"\n[platforms.heroku]\ntype = \"heroku\"\napi_key = { env = \"HEROKU_API_KEY\" }\n\
                       [apps.shop]\nplatform = \"heroku\"\n[apps.shop.processes.web]\nmin_dynos = 1\nmax_dynos = 2\n";

    fn world() -> World {
        World::variables(&[("HEROKU_API_KEY", "k"), ("DATABASE_URL", "postgres://me:planted-secret@db/x")])
    }

    #[test]
    fn a_url_with_a_password_is_taken_from_elsewhere_and_never_shown() {
        let loaded =
            world().toml(&format!("{APP}[store]\nurl = {{ env = \"DATABASE_URL\" }}\nrecords = \"2d\"\n")).unwrap();
        let store = &loaded.settings.store;
        assert!(!loaded.warnings.to_string().contains("store"), "{}", loaded.warnings);
        assert!(
            matches!(&store.place, StorePlace::Postgres(url) if url.expose() == "postgres://me:planted-secret@db/x")
        );
        assert_eq!((store.records.as_hours(), store.changes.as_hours(), store.max_mb), (48, 24 * 90, 2048));
        assert!(!format!("{:?}", loaded.settings).contains("planted"));
        let literal = format!("{APP}[store]\nurl = \"postgres://me:planted-secret@db/x\"\n");
        let warnings = world().toml(&literal).unwrap().warnings;
        assert!(warnings.to_string().contains("store.url: the password stands in the file"), "{warnings}");
        assert!(!warnings.to_string().contains("planted"));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_url() {
        for (url, told) in [
            ("\"mysql://a:planted@b\"", "must begin with sqlite: or postgres:"),
            ("\"postgres://planted\\n@\"", "control character"),
            ("\"sqlite:\"", "names no file"),
            ("5", "must begin with sqlite: or postgres:"),
            ("{ env = \"NONE\" }", "environment variable \"NONE\" is not set"),
        ] {
            let problems = world().toml(&format!("{APP}[store]\nurl = {url}\n")).unwrap_err().to_string();
            assert!(problems.contains(told) && !problems.contains("planted"), "{url}: {problems}");
        }
    }
}
