//! TOML settings: good ones with what they mean, bad ones with what is said of them.

use autoscalebot_core::fields::Value;

use crate::testing::{GOOD, PASSWORD, TOKEN, World, world};

fn problems(text: &str) -> String {
    world().toml(text).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn good_settings_with_their_defaults() {
    let loaded = world().toml(GOOD).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let settings = loaded.settings;
    assert_eq!(settings.time_zone, "America/Vancouver");
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:7878");
    assert_eq!(format!("{:?}", settings.store.place), "File(\"autoscalebot.db\")");
    let app = &settings.apps[0];
    assert_eq!((&*app.key, app.platform.as_str(), app.name.as_str()), ("shop", "heroku", "shop"));
    let process = &app.processes[0];
    assert_eq!((&*process.spec.app, &*process.spec.process), ("shop", "web"));
    assert_eq!(process.spec.measurements[0].max_age.as_secs(), 120);
    assert_eq!(&*process.spec.measurements[0].name, "heartbeat");
    assert_eq!(process.measure[0].every.as_secs(), 30);
    assert_eq!(process.measure[0].section.values.duration("timeout").map(|d| d.as_secs()), Some(10));
    assert_eq!(process.spec.gates.len(), 2, "pause and wake");
    let policy = format!("{:?}", process.spec.measurements[0].policy);
    assert!(
        policy.starts_with("Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 1"),
        "{policy}"
    );
}

#[test]
fn every_form_of_a_table_means_the_same() {
    let want = format!("{:?}", world().toml(GOOD).unwrap().settings);
    let other = r#"
time_zone = "America/Vancouver"
platforms.heroku = { type = "heroku", api_key.env = "HEROKU_API_KEY" }
apps.shop.processes.web.min_dynos = 1
apps.shop.processes.web.max_dynos = 5
apps.shop.processes.web.measure = [{ type = "heartbeat", url = "https://shop.example/beat", every = "30s", decide = { type = "consecutive", low = "200ms", high = "1s" } }]
"#;
    assert_eq!(format!("{:?}", world().toml(other).unwrap().settings), want);
    let tables = GOOD.replace("decide = {", "[apps.shop.processes.web.measure.decide]\n").replace(" }\n", "\n");
    let tables = tables.replace("{ env = \"HEROKU_API_KEY\"", "{ env = \"HEROKU_API_KEY\" }");
    let tables = tables.replace(", low", "\nlow").replace(", high", "\nhigh").replace(", fails", "\nfails");
    let tables = tables.replace(", passes", "\npasses").replace(", increment", "\nincrement");
    assert_eq!(format!("{:?}", world().toml(&tables).unwrap().settings), want);
}

#[test]
fn gates_and_the_rest() {
    let text = GOOD.replace(
        "max_dynos = 5",
        "max_dynos = { \"Mon-Fri 8:00\" = 7, \"Sat 0:00\" = 4 }\ncooldown = \"5m\"\nzero = \"start\"\nscaling_too_rapid = { dynos = 10, within = \"30m\" }",
    ) + "[[notify]]\ntype = \"console\"\non = [\"scaled\"]\nremind = \"never\"\n[[notify]]\ntype = \"log\"\n[store]\nurl = \"sqlite::memory:\"\n[server]\nlisten = \"[::1]:80\"\n";
    let settings = world().toml(&text).unwrap().settings;
    let spec = &settings.apps[0].processes[0].spec;
    assert!(format!("{:?}", spec.gates).contains("Cooldown { up: 5m, down: 5m }"), "{:?}", spec.gates);
    assert_eq!(format!("{:?} {:?}", spec.zero, spec.rapid), "Start Some(Rapid { dynos: 10, within: 30m })");
    assert_eq!(settings.notify[0].on, ["scaled"]);
    assert_eq!(settings.notify[0].remind, None);
    assert!(settings.notify[1].on.len() >= 8 && !settings.notify[1].on.contains(&"paused".to_owned()));
    assert_eq!(settings.notify[1].remind.map(|d| d.as_secs()), Some(3600));
    assert!(matches!(settings.store.place, crate::StorePlace::Memory));
    let table = text.replace("cooldown = \"5m\"", "cooldown = { down = \"5m\" }");
    let spec = world().toml(&table).unwrap().settings.apps[0].processes[0].spec.clone();
    assert!(format!("{:?}", spec.gates).contains("Cooldown { up: 0s, down: 5m }"), "{:?}", spec.gates);
}

/// Each row spoils the good settings: what is replaced, by what, and what the one problem says.
#[test]
fn bad_settings() {
    let rows: &[(&str, &str, &str)] = &[
        (
            "max_dynos = 5",
            "max_dinos = 5",
            ":9: apps.shop.processes.web.max_dinos: is not a setting here: did you mean max_dynos?",
        ),
        (
            "min_dynos = 1",
            "min_dynos = 6",
            ":8: apps.shop.processes.web.min_dynos: is 6 but max_dynos (line 9) is 5: lower it or raise max_dynos",
        ),
        (
            "min_dynos = 1",
            "min_dynos = { \"0:00\" = 1, \"9:15\" = 8 }",
            ":8: apps.shop.processes.web.min_dynos: is 8 from 9:15 but max_dynos (line 9) is 5: lower",
        ),
        (
            "max_dynos = 5",
            "max_dynos = { \"0:00\" = 5, \"Sun 9:15\" = 0 }",
            ":8: apps.shop.processes.web.min_dynos: is 1 but max_dynos (line 9) is 0 from Sun 9:15: lower",
        ),
        (
            "min_dynos = 1\nmax_dynos = 5",
            "min_dynos = 4",
            ":8: apps.shop.processes.web.min_dynos: is 4 but max_dynos is 3, its default: lower",
        ),
        (
            "min_dynos = 1\nmax_dynos = 5",
            "max_dynos = 0",
            ":8: apps.shop.processes.web.max_dynos: is 0 but min_dynos is 1, its default: raise it or lower min_dynos",
        ),
        (
            "min_dynos = 1",
            "min_dynos = { \"25:00\" = 1 }",
            ":8: apps.shop.processes.web.min_dynos: \"25:00\" is no time of day",
        ),
        (
            "min_dynos = 1",
            "min_dynos = { \"0:00\" = 1, \"Sun 24:00\" = 2 }",
            "\"0:00\" and \"Sun 24:00\" are the same time (Mon 00:00)",
        ),
        ("min_dynos = 1", "min_dynos = {}", "is an empty table"),
        ("min_dynos = 1", "min_dynos = -1", ":8: apps.shop.processes.web.min_dynos: is -1, but must be a whole number"),
        ("min_dynos = 1", "min_dynos = 1.5", "is 1.5, but must be a whole number"),
        (
            "max_dynos = 5",
            "max_dynos = \"nine\"",
            "is \"nine\", but must be a whole number at or above 0, without quotes",
        ),
        ("max_dynos = 5", "max_dynos = 99999999999999999999", "is a number beyond all limits"),
        ("max_dynos = 5", "max_dynos = { \"0:00\" = true }", "is true at \"0:00\""),
        (
            "https://shop",
            "shop",
            ":12: apps.shop.processes.web.measure.url: must be an absolute URL: write http://… or https://…",
        ),
        ("https://shop", "ftp://shop", "must be an absolute URL"),
        (
            "platform = \"heroku\"",
            "platform = \"herok\"",
            ":6: apps.shop.platform: \"herok\" is not among the platforms: did you mean heroku?",
        ),
        (
            "type = \"heartbeat\"",
            "type = \"hartbeat\"",
            ":11: apps.shop.processes.web.measure.type: \"hartbeat\" is not known: did you mean heartbeat? (known: heartbeat, queue, router)",
        ),
        ("type = \"heartbeat\"\n", "", ":10: apps.shop.processes.web.measure.type: is missing: write type"),
        (
            "type = \"heroku\"",
            "type = \"fly\"",
            ":3: platforms.heroku.type: \"fly\" is not known: known: heroku, local",
        ),
        (
            "America/Vancouver",
            "Europe/Berlim",
            ":1: time_zone: \"Europe/Berlim\" is no IANA time zone: did you mean Europe/Berlin?",
        ),
        (
            "every = \"30s\"",
            "every = 30",
            ":13: apps.shop.processes.web.measure.every: is 30, without a unit: write it as text with a unit, such as \"30s\"",
        ),
        ("every = \"30s\"", "every = \"0s\"", "is \"0s\", but must be from 100ms to 1d"),
        ("every = \"30s\"", "every = \"soon\"", "is \"soon\", which is no duration"),
        ("every = \"30s\"", "max_age = \"10s\"", "measure.max_age: is shorter than every, 30s"),
        ("low = \"200ms\"", "low = 200", "decide.low: is 200, without a unit"),
        ("low = \"200ms\"", "low = \"2s\"", ":14: apps.shop.processes.web.measure.decide.low: is above high"),
        ("low = \"200ms\", ", "", "decide.low: is missing: write low = \"200ms\""),
        ("\"consecutive\"", "\"consectuive\"", "decide.type: \"consectuive\" is not known: did you mean consecutive?"),
        ("fails = 3", "fails = 0", "decide.fails: is 0, but must be from 1 to 10000"),
        ("fails = 3", "fials = 3", "decide.fials: is not a setting here: did you mean fails?"),
        (
            "env = \"HEROKU_API_KEY\"",
            "env = \"HEROKU_KEY\"",
            ":4: platforms.heroku.api_key: the environment variable \"HEROKU_KEY\" is not set",
        ),
        (
            "env = \"HEROKU_API_KEY\"",
            "file = \"key.txt\"",
            ":4: platforms.heroku.api_key: the file \"key.txt\" can't be read: entity not found",
        ),
        ("env = \"HEROKU_API_KEY\"", "", "api_key: must be { env"),
        (
            "api_key = { env = \"HEROKU_API_KEY\" }",
            "",
            ":2: platforms.heroku.api_key: is missing: write api_key = { env",
        ),
        (
            "[apps.shop.processes.web]\nmin_dynos = 1\nmax_dynos = 5\n[[apps.shop.processes.web.measure]]",
            "[other]",
            ":7: other: is not a setting here",
        ),
        ("max_dynos = 5", "max_dynos = 5\ncooldown = 5", "web.cooldown: is 5, without a unit"),
        (
            "max_dynos = 5",
            "max_dynos = 5\ncooldown = { upp = \"5s\" }",
            "web.cooldown.upp: is not a setting here: did you mean up?",
        ),
        ("max_dynos = 5", "max_dynos = 5\nzero = \"stop\"", "web.zero: is \"stop\": "),
        ("max_dynos = 5", "max_dynos = 5\nscaling_too_rapid = { dynos = 3 }", "scaling_too_rapid.within: is missing"),
        (
            "time_zone",
            "notify = [{ type = \"console\", on = [\"scale\"] }]\ntime_zone",
            ":1: notify.on: \"scale\" is nothing to tell of: did you mean scaled?",
        ),
        (
            "time_zone",
            "notify = [{ type = \"consol\" }]\ntime_zone",
            ":1: notify.type: \"consol\" is not known: did you mean console?",
        ),
        (
            "time_zone",
            "store.url = \"mysql://a:b@c/d\"\ntime_zone",
            ":1: store.url: must begin with sqlite: or postgres:",
        ),
        ("time_zone", "server.listen = \"7878\"\ntime_zone", ":1: server.listen: must be an address and a port"),
        (
            "time_zone = \"America/Vancouver\"",
            "time_zone = 2012-01-01",
            ":1: time_zone: is a date or time, but must be text",
        ),
        (
            "[apps.shop]",
            "[apps.shop]\nplatfrom = \"x\"",
            ":6: apps.shop.platfrom: is not a setting here: did you mean platform?",
        ),
        ("increment = 1 }\n", "increment = 1 }\n[oops", ":15: this is not TOML"),
        ("increment = 1 }\n", "increment = 1 }\nevery = \"1s\"", ":15: this is not TOML"),
    ];
    for (old, new, want) in rows {
        assert!(GOOD.contains(old), "{old}");
        let said = problems(&GOOD.replacen(old, new, 1));
        assert!(said.contains(want), "{new}\n  said {said}\n  want {want}");
        assert!(said.starts_with("autoscalebot.toml:"), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
        assert_eq!(said.lines().count(), 1 + usize::from(new.contains("[other]")), "{new}: {said}");
    }
}

#[test]
fn nothing_at_all_is_a_problem() {
    assert_eq!(
        problems(""),
        "autoscalebot.toml: apps: no app is named: write [apps.NAME] for one, or run `autoscalebot init`"
    );
    assert!(problems("apps = {}\nplatforms = 3").contains("autoscalebot.toml:2: platforms: is 3, but must be a table"));
    assert!(
        problems("[platforms.h]\ntype=\"local\"\n[apps.shop]").contains(":3: apps.shop.processes: holds no process")
    );
    // A process that nothing measures is kept within its bounds, which is worth a warning.
    let by_the_clock = "[platforms.h]\ntype=\"local\"\n[apps.shop.processes.web]";
    assert_eq!(problems(by_the_clock), "");
    let warnings = world().toml(by_the_clock).unwrap().warnings.to_string();
    assert!(warnings.contains(":3: apps.shop.processes.web.measure: nothing is measured"));
}

/// Readings of a higher percentile than the policy's are above its objective while all is well.
#[test]
fn a_percentile_above_the_one_that_is_decided_by_is_warned_about() {
    let warned = |read: &str, decided: &str| {
        let text = format!(
            "[platforms.h]\ntype=\"local\"\n[[apps.shop.processes.web.measure]]\ntype = \"router\"\n{read}\n\
             decide = {{ type = \"response_time\", objective = \"250ms\", at_once = 1{decided} }}\n"
        );
        world().toml(&text).unwrap().warnings.to_string()
    };
    let named = warned("percentile = 95", ", percentile = 85");
    assert!(
        named.contains(":5: apps.shop.processes.web.measure.percentile: is 95, but decide keeps percentile 85"),
        "{named}"
    );
    assert!(warned("", ", percentile = 85").contains(":3: apps.shop.processes.web.measure.percentile: is 95"));
    assert!(warned("percentile = 99", "").contains("is 99, but decide keeps percentile 95"));
    for (read, decided) in
        [("", ""), ("percentile = 85", ", percentile = 85"), ("percentile = 95", ", percentile = 99")]
    {
        assert_eq!(warned(read, decided), "");
    }
}

/// A load for each dyno says nothing with no dyno, so a process that is down to 0 would stay there.
#[test]
fn a16_a_share_of_running_dynos_alone_is_warned_about() {
    let process = |min: &str, measure: &str| {
        let text = format!("[platforms.h]\ntype=\"local\"\n[apps.shop.processes.web]\nmin_dynos = {min}\n{measure}");
        world().toml(&text).unwrap().warnings.to_string()
    };
    let measure = |name: &str, decide: &str| {
        format!(
            "[[apps.shop.processes.web.measure]]\ntype = \"heartbeat\"\nname = \"{name}\"\nurl = \"https://shop.example/\"\n{decide}\n"
        )
    };
    let share = measure("a", "decide = { type = \"target\", target = \"200ms\" }");
    let other = "decide = { type = \"consecutive\", low = \"200ms\", high = \"1s\" }";
    for min in ["0", "{ \"8:00\" = 1, \"18:00\" = 0 }"] {
        let warned = process(min, &share);
        assert!(warned.contains(":4: apps.shop.processes.web.min_dynos: may be 0"), "{warned}");
        let shadow = measure("b", &format!("shadow = true\n{other}"));
        assert!(process(min, &format!("{share}{shadow}")).contains("may be 0"), "a shadow starts nothing");
        assert_eq!(process(min, &format!("{share}{}", measure("b", other))), "");
    }
    assert_eq!(process("1", &share), "");
}

#[test]
fn files_that_windows_wrote() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(problems(&text), "");
    assert!(problems(&text.replace("max_dynos", "max_dinos")).contains(":9: apps.shop.processes.web.max_dinos"));
}

#[test]
fn where_settings_are_found() {
    use crate::Source;
    let find = |world: &World| world.outside(Source::find).map_err(|problems| problems.to_string());
    let here = World::variables(&[("HOME", "/home/me"), ("AUTOSCALE_MAX_DYNOS", "3")]);
    assert_eq!(find(&here), Ok(Source::Environment));
    let at_home = here.clone().file("/home/me/.config/autoscalebot/autoscalebot.toml", GOOD);
    assert_eq!(find(&at_home), Ok(Source::Toml("/home/me/.config/autoscalebot/autoscalebot.toml".into())));
    let both = at_home.file("/srv/autoscalebot.toml", GOOD);
    assert_eq!(find(&both), Ok(Source::Toml("autoscalebot.toml".into())));
    let said = find(&World::default()).unwrap_err();
    assert!(said.contains("autoscalebot init") && said.contains("autoscalebot demo"), "{said}");
    assert_eq!(Source::python("shop.autoscale_settings"), Source::Python("shop/autoscale_settings.py".into()));
    assert_eq!(Source::python("conf/a.b.py"), Source::Python("conf/a.b.py".into()));
    let missing = here.outside(|outside| crate::load(&Source::python("nothing"), crate::testing::KINDS, outside));
    assert_eq!(
        missing.unwrap_err().to_string(),
        "nothing.py: --settings: the settings file can't be read: there is no such file"
    );
}

#[test]
fn one_of_several_platforms_must_be_named() {
    let text =
        GOOD.replace("platform = \"heroku\"", "") + "[platforms.here]\ntype = \"local\"\nformation = { web = 2 }";
    assert!(
        problems(&text).contains(":5: apps.shop.platform: is missing: write platform = \"…\", one of here, heroku"),
        "{}",
        problems(&text)
    );
    let text = GOOD.to_owned() + "[platforms.here]\ntype = \"local\"\nformation = { web = 2 }";
    let loaded = world().toml(&text).unwrap();
    assert_eq!(loaded.warnings.to_string(), "autoscalebot.toml:15: platforms.here: no app is on this platform");
    assert_eq!(loaded.settings.platforms["here"].values.text("procfile"), Some("/srv/Procfile"));
}

#[test]
fn measurements_need_names_of_their_own() {
    let beat = &GOOD[GOOD.find("[[apps").unwrap()..];
    let said = problems(&format!("{GOOD}{beat}"));
    assert!(
        said.contains(":15: apps.shop.processes.web.measure[2].name: \"heartbeat\" is the name of another"),
        "{said}"
    );
    let loaded = world().toml(&format!("{GOOD}{beat}name = \"second\"")).unwrap();
    assert_eq!(loaded.settings.apps[0].processes[0].measure.len(), 2);
    let queue = "[[apps.shop.processes.web.measure]]\ntype = \"queue\"\nurl = \"redis://h/\"\ndecide = { type = \"consecutive\", low = 1, high = 9.5 }";
    let loaded = world().toml(&format!("{GOOD}{queue}")).unwrap();
    assert!(format!("{:?}", loaded.settings.apps[0].processes[0].spec.measurements[1].policy).contains("high: 9.5"));
    let said = problems(&format!("{GOOD}{}", queue.replace("low = 1", "low = \"1s\"")));
    assert!(
        said.contains("decide.low: is text, but must be a number at or above 0: this measurement counts jobs"),
        "{said}"
    );
}

#[test]
fn a33_impossible_or_unknown_settings_all_at_once() {
    let text = GOOD
        .replace("min_dynos = 1", "min_dynos = { \"25:00\" = 2 }")
        .replace("max_dynos = 5", "max_dynos = \"nine\"\nmax_dyno = 3")
        .replace("every = \"30s\"", "every = 30");
    let said = problems(&text);
    let lines: Vec<_> = said.lines().collect();
    for (line, word) in lines.iter().zip([":8: ", ":9: ", ":10: ", ":14: "]) {
        assert!(line.contains(word), "{said}");
    }
    assert_eq!(lines.len(), 4, "{said}");
    for word in ["25:00", "nine", "max_dyno:", "did you mean max_dynos"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a25_passwords_in_urls() {
    let queue = |url: &str| {
        format!(
            "{GOOD}[[apps.shop.processes.web.measure]]\ntype = \"queue\"\nurl = \"{url}\"\ndecide = {{ type = \"consecutive\", low = 1, high = 2 }}"
        )
    };
    for sign in ["#", "/", "?"] {
        let said = problems(&queue(&format!("amqp://mon:{PASSWORD}{sign}20@mq.example:5672/")));
        assert!(said.contains("measure[2].url: ") && !said.contains(PASSWORD), "{said}");
    }
    for (url, password) in [
        ("amqp://mon:p%2320@mq.example:5672/", "p%2320"),
        ("amqp://mon:a:b@mq.example/", "a%3Ab"),
        ("amqp://mon:a@b@mq.example/", "a%40b"),
    ] {
        let loaded = world().toml(&queue(url)).unwrap();
        let Some(Value::Url(url)) = loaded.settings.apps[0].processes[0].measure[1].section.values.get("url") else {
            panic!()
        };
        assert_eq!(url.password(), Some(password));
        assert!(!format!("{loaded:?}").contains(password), "{loaded:?}");
    }
    assert_eq!(problems(&queue("amqp://mq.example:5672/@x")), "");
    for odd in [
        "amqp:(/mon:pw-EXAMPLE-5678@mq",
        "amqp://(/mon:pw-EXAMPLE-5678@mq",
        "amqp:/mon:pw-EXAMPLE-5678@mq/",
        "amqp:///mon:pw-EXAMPLE-5678@mq/",
        "amqp://mon\\tpw-EXAMPLE-5678@mq/",
    ] {
        let said = problems(&queue(odd));
        assert!(said.contains("measure[2].url: ") && !said.contains(PASSWORD), "{odd}: {said}");
    }
}

#[test]
fn a34_secrets_are_in_no_output() {
    let world = World::variables(&[("KEY", TOKEN)]).file("/srv/pw.txt", &format!("{PASSWORD}\n"));
    for key in ["{ env = \"KEY\" }".to_owned(), "{ file = \"pw.txt\" }".into(), format!("\"{TOKEN}\"")] {
        let text = GOOD.replace("{ env = \"HEROKU_API_KEY\" }", &key);
        let text = text.replace("https://shop", &format!("https://me:{PASSWORD}@shop"))
            + &format!("headers = {{ Authorization = \"Bearer {TOKEN}\" }}\n");
        let loaded = world.toml(&text).unwrap();
        let secret = loaded.settings.platforms["heroku"].values.secret("api_key").unwrap().expose().to_owned();
        assert_eq!(secret, if key.contains("file") { PASSWORD } else { TOKEN });
        let shown = format!("{loaded:?} {loaded:#?} {}", loaded.warnings);
        assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
        assert_eq!(loaded.warnings.len(), usize::from(key.starts_with('"')));
        for spoil in ["\n[oops", "\nx = \"", "\nkey = tok-EXAMPLE-1234", "\nmax_age = 3"] {
            let problems = world.toml(&format!("{text}{spoil}")).unwrap_err();
            let shown = format!("{problems:?} {problems}");
            assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
        }
    }
    let twisted = GOOD.replace("{ env = \"HEROKU_API_KEY\" }", &format!("\"{TOKEN}\\u0007\""));
    assert!(problems(&twisted).contains("api_key: holds a line break"), "{}", problems(&twisted));
}
