//! Settings spoilt at random: nothing panics, and no message shows a secret that is still where a secret belongs.

use proptest::prelude::*;

use crate::testing::{GOOD, OLD, PASSWORD, TOKEN, World};

/// One change of a text: where, how many characters go, and what comes instead.
type Change = (prop::sample::Index, usize, String);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let pieces = prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "\"",
            "'",
            "\n",
            "[",
            "]",
            "{",
            "}",
            "=",
            ".",
            ",",
            "-",
            "(",
            ")",
            ":",
            " ",
            "#",
            "\\",
            "\0",
            "é",
            "99999999999",
            "1e400",
            "nan",
            "true",
            "None",
            "[[",
            "]]",
            "\"\"\"",
            "0x",
            "@",
            "%",
            "os.environ[",
            "**",
            "type",
            "measure",
            "lambda:",
            "f\"{",
            "\u{202e}",
            "24:00",
            "25:00",
            "Mon-",
            "s",
            "ms",
            "{ env = \"",
            "if x:\n  ",
            "\t",
            "\r",
            "2012-01-01",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, pieces), 0..6)
}

fn spoilt(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, piece) in changes {
        let at = at.index(chars.len() + 1);
        let end = (at + gone).min(chars.len());
        chars.splice(at..end, piece.chars());
    }
    chars.into_iter().collect()
}

/// Whether these lines, which hold the secrets, are whole and by themselves.
fn keeps(text: &str, lines: &[String]) -> bool {
    lines.iter().all(|line| text.lines().any(|found| found == line))
        && lines.iter().all(|line| line.matches(TOKEN).count() + line.matches(PASSWORD).count() == 1)
        && text.matches(TOKEN).count() == 1
        && text.matches(PASSWORD).count() == 1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn toml(changes in changes()) {
        let key = format!("api_key = \"{TOKEN}\"");
        let url = format!("url = \"https://me:{PASSWORD}@shop.example/beat\"");
        let text = GOOD
            .replace("api_key = { env = \"HEROKU_API_KEY\" }", &key)
            .replace("url = \"https://shop.example/beat\"", &url)
            + "[[notify]]\ntype = \"console\"\n";
        let text = spoilt(&text, &changes);
        let result = World::default().toml(&text);
        if keeps(&text, &[key, url]) {
            let shown = match result {
                Ok(loaded) => format!("{loaded:?} {}", loaded.warnings),
                Err(problems) => format!("{problems:?} {problems}"),
            };
            prop_assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{}\n{}", text, shown);
        }
    }

    #[test]
    fn python(changes in changes()) {
        let key = format!("HEROKU_API_KEY = \"{TOKEN}\"");
        let url = format!("HEARTBEAT_URL = \"https://me:{PASSWORD}@shop.example/\"");
        let text = format!(
            "import os\n{}{url}\nMIN_DYNOS = {{'0:00': 1, '9:00': 2}}\nNOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.ConsoleBackend']\nMAX_DYNOS = int(os.environ.get('X', '3'))\n",
            OLD.replace("HEARTBEAT_URL", "OTHER"),
        );
        let text = spoilt(&text, &changes);
        let result = World::default().python(&text);
        if keeps(&text, &[key, url]) {
            let shown = match result {
                Ok(loaded) => format!("{loaded:?} {}", loaded.warnings),
                Err(problems) => format!("{problems:?} {problems}"),
            };
            prop_assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{}\n{}", text, shown);
        }
    }

    #[test]
    fn environment(name in prop::sample::select(crate::legacy::SETTINGS.iter().map(|s| s.name).collect::<Vec<_>>()), value in "\\PC{0,40}") {
        let name = format!("AUTOSCALE_{name}");
        let pairs = [("AUTOSCALE_HEROKU_API_KEY", TOKEN), ("AUTOSCALE_HEROKU_APP_NAME", "shop"), (&name, &value)];
        let result = World::variables(&pairs).environment();
        let shown = format!("{result:?}");
        prop_assert!(!shown.contains(TOKEN), "{}", shown);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        let _ = World::default().toml(&text);
        let _ = World::default().python(&text);
        let _ = crate::duration::parse(&text);
        let _ = crate::hours::parse(&text);
    }
}
