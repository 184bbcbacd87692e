//! What `check` says of settings that are good and can all the same never do what they say, and that it says nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use common::{Folder, PLANTED};

mod common;

const TOP: &str = "[platforms.heroku]\ntype = \"heroku\"\napi_key = { env = \"HEROKU_API_KEY\" }\n\
    [apps.shop.processes.web]\nmin_dynos = 1\nmax_dynos = 5\n";
const HEARTBEAT: &str = "[[apps.shop.processes.web.measure]]\ntype = \"heartbeat\"\nurl = \"https://shop.example/\"\n\
     decide = { type = \"consecutive\", low = \"200ms\", high = \"1s\" }\n";
const SERVER: &str = "[server]\npublic_url = \"https://scale.example\"\n";

/// A measurement of queue times, of this kind and with these settings.
fn told(kind: &str, more: &str) -> String {
    format!(
        "[[apps.shop.processes.web.measure]]\ntype = \"{kind}\"\n{more}\n\
         decide = {{ type = \"consecutive\", low = \"10ms\", high = \"100ms\" }}\n"
    )
}

/// A queue of RabbitMQ at this URL.
fn rabbit(url: &str) -> String {
    format!(
        "[[apps.shop.processes.web.measure]]\ntype = \"rabbitmq\"\nurl = \"{url}\"\nqueues = [\"celery\"]\n\
         decide = {{ type = \"queue\", jobs_per_dyno = 10 }}\n"
    )
}

/// So many apps, each read so often.
fn many(apps: usize, every: &str, more: &str) -> String {
    let app = |n| format!("{TOP}{more}{HEARTBEAT}every = \"{every}\"\n").replace("shop", &format!("shop{n}"));
    let platform = &TOP[..TOP.find("[apps").unwrap()];
    let apps: String = (0..apps).map(|n| app(n).replace(platform, "")).collect();
    format!("{platform}{apps}")
}

#[test]
fn what_can_never_work_is_said_with_its_mend() {
    let token = "token = { env = \"INTAKE_TOKEN\" }";
    let local = TOP.replace("type = \"heroku\"\napi_key = { env = \"HEROKU_API_KEY\" }", "type = \"local\"");
    let fine = format!("{TOP}{HEARTBEAT}");
    #[rustfmt::skip]
    let rows: &[(&str, String, &[&str])] = &[
        ("a heartbeat", fine.clone(), &[]),
        ("a27 AMQP", format!("{TOP}{}", rabbit("amqps://mq.example")), &["shop/web rabbitmq: over AMQP only", "management API"]),
        ("the management API", format!("{TOP}{}", rabbit("https://mq.example")), &[]),
        ("shadows alone", format!("{TOP}{HEARTBEAT}shadow = true\n"), &["shop/web: all that is measured is a shadow", "leave shadow = true out"]),
        ("a shadow beside another", format!("{TOP}{HEARTBEAT}{HEARTBEAT}name = \"b\"\nshadow = true\n"), &[]),
        ("a heartbeat of this machine", fine.replace("shop.example", "localhost:8000"), &["leads to localhost, this machine", "the address that leads to the app"]),
        ("by its number", fine.replace("https://shop.example", "http://127.0.0.1:8000"), &["leads to 127.0.0.1, this machine"]),
        ("in IPv6", fine.replace("https://shop.example", "http://[::1]:8000"), &["leads to [::1], this machine"]),
        ("an app of this machine", format!("{local}{HEARTBEAT}").replace("https://shop.example", "http://127.0.0.1:8000"), &[]),
        ("router lines of nobody", format!("{TOP}{}", told("router", "")), &["hears this program's own local platform alone", "set token ="]),
        ("router lines of this machine", format!("{local}{}", told("router", "")), &[]),
        ("a drain to a server that nobody reaches", format!("{TOP}{}", told("router", token)), &["listens on 127.0.0.1:7878 alone", "server.public_url"]),
        ("an adapter, likewise", format!("{TOP}{}", told("judoscale", token)), &["shop/web judoscale: it is sent to this program"]),
        ("a proxy in front", format!("{TOP}{}{SERVER}", told("router", token)), &[]),
        ("open to all", format!("{TOP}{}[server]\nlisten = \"0.0.0.0:7878\"\n{}", told("router", token), token.replace("INTAKE", "AUTOSCALEBOT")), &[]),
        ("an app of this machine that sends", format!("{local}{}", told("judoscale", token)), &[]),
        ("HireFire in the clear", format!("{TOP}{}{}", told("hirefire", token), SERVER.replace("https", "http")), &["speaks https alone", "[server.tls]"]),
        ("HireFire by https", format!("{TOP}{}{SERVER}", told("hirefire", token)), &[]),
        ("Judoscale in the clear", format!("{TOP}{}{}", told("judoscale", token), SERVER.replace("https", "http")), &[]),
        ("37 apps, twice a minute", many(37, "30s", ""), &[]),
        ("38 apps, twice a minute", many(38, "30s", ""), &["38 apps make 76 calls in a minute", "allows an account 75", "every = \"41s\""]),
        ("one app, each half second", many(1, "0.5s", ""), &["1 app make 120 calls"]),
        ("19 apps that ask for releases", many(19, "30s", "deploy_hold = \"5m\"\n"), &["19 apps make 76 calls in a minute"]),
    ];
    for (name, settings, wanted) in rows {
        let folder = Folder::with(settings);
        let ran = folder.run(&["check"]).expect(0);
        let warnings: Vec<_> = ran.err.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.is_empty(), wanted.is_empty(), "{name}: {}", ran.err);
        for wanted in *wanted {
            assert!(ran.err.contains(wanted), "{name}: {wanted:?} is not in {}", ran.err);
        }
        assert!(!ran.err.contains(PLANTED), "{name}: {}", ran.err);
    }
}
