//! URLs that stand in the environment or a file, and measurements whose unit a field says.

use autoscalebot_core::Unit;

use crate::testing::{GOOD, PASSWORD, World};

fn queue(url: &str, rest: &str) -> String {
    GOOD.replace("type = \"heartbeat\"", "type = \"queue\"")
        .replace("url = \"https://shop.example/beat\"", &format!("url = {url}\n{rest}"))
}

fn world() -> World {
    let url = format!("redis://:{PASSWORD}@cache.example:6379/1");
    World::variables(&[("HEROKU_API_KEY", "key"), ("REDIS_URL", &url), ("OTHER", "cache.example")])
        .file("/srv/redis", &format!("{url}\n"))
}

#[test]
fn a_url_from_a_variable_or_a_file_is_read_and_its_password_never_shown() {
    for from in ["{ env = \"REDIS_URL\" }", "{ file = \"redis\" }"] {
        let settings = world().toml(&queue(from, "value = \"latency\"")).unwrap().settings;
        let measure = &settings.apps[0].processes[0].measure[0];
        let url = measure.section.values.url("url").unwrap();
        assert_eq!((url.host_str(), url.password()), (Some("cache.example"), Some(PASSWORD)));
        assert!(!format!("{settings:?}").contains(PASSWORD));
    }
    let said = world().toml(&queue("{ env = \"OTHER\" }", "value = \"latency\"")).unwrap_err().to_string();
    assert!(said.contains("must be an absolute URL") && !said.contains("cache.example"), "{said}");
    let said = world().toml(&queue("{ env = \"NONE\" }", "value = \"latency\"")).unwrap_err().to_string();
    assert!(said.contains("the environment variable NONE is not set") || said.contains("\"NONE\""), "{said}");
}

#[test]
fn the_levels_are_in_the_unit_that_a_field_says() {
    let unit = |rest: &str, levels: &str| {
        let text = queue("\"redis://cache.example/\"", rest).replace("low = \"200ms\", high = \"1s\"", levels);
        world().toml(&text).map(|loaded| loaded.settings.apps[0].processes[0].spec.measurements[0].unit)
    };
    assert_eq!(unit("value = \"latency\"", "low = \"200ms\", high = \"1s\"").unwrap(), Unit::Milliseconds);
    assert_eq!(unit("value = \"depth\"", "low = 2, high = 10").unwrap(), Unit::Jobs);
    assert_eq!(unit("", "low = 2, high = 10").unwrap(), Unit::Jobs);
    let said = unit("", "low = \"200ms\", high = \"1s\"").unwrap_err().to_string();
    assert!(said.contains("this measurement counts jobs"), "{said}");
    let said = unit("value = \"lateny\"", "low = 2, high = 10").unwrap_err().to_string();
    assert!(said.contains("depth") && said.contains("latency"), "{said}");
    // A fault of another field is told alone.
    let text = queue("\"http://cache.example/\"", "value = \"latency\"");
    let said = world().toml(&text).unwrap_err().to_string();
    assert!(said.contains("url: ") && !said.contains("decide"), "{said}");
}
