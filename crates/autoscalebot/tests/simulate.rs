//! `simulate` as a person and a program meet it: text, JSON, exit codes, comparisons, searches.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::fmt::Write as _;

use common::Folder;

mod common;

const SETTINGS: &str = r#"
[platforms.heroku]
type = "heroku"
api_key = { env = "HEROKU_API_KEY" }

[apps.shop]
platform = "heroku"

[apps.shop.processes.web]
min_dynos = 1
max_dynos = 6
cooldown = { down = "2m" }

[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "https://shop.example/beat"
every = "30s"
decide = { type = "consecutive", low = "150ms", high = "400ms", fails = 2, passes = 4 }
"#;

/// Forty minutes that swell and ebb.
fn traffic() -> String {
    let mut text = "# swells and ebbs\nunix_seconds,requests\n".to_owned();
    for minute in 0..40_i64 {
        let requests = 400 + 60 * (20 - (minute - 20).abs());
        writeln!(text, "{},{requests}", 1_700_000_040 + 60 * minute).unwrap();
    }
    text
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("traffic.csv", &traffic());
    folder
}

#[test]
fn a_comparison_for_people() {
    let ran = folder().run(&["simulate", "traffic.csv", "--compare", "all", "--price", "0.07"]).expect(0);
    insta::assert_snapshot!("simulate", ran.out);
    assert!(ran.err.is_empty(), "a terminal alone gets a bar: {}", ran.err);
    let again =
        folder().run(&["simulate", "traffic.csv", "--compare", "all", "--price", "0.07", "--seed", "1"]).expect(0);
    assert_eq!(ran.out, again.out, "the same seed gives the same run");
}

#[test]
fn a_comparison_for_programs_and_a_page() {
    let folder = folder();
    let args = [
        "simulate",
        "traffic.csv",
        "--compare",
        "2.1,heroku-fitted",
        "--mode",
        "fluid",
        "--json",
        "--html",
        "page.html",
    ];
    let json = &folder.run(&args).expect(0).json_lines()[0];
    let reports = json["reports"].as_array().unwrap();
    assert_eq!(reports.iter().map(|report| &report["name"]).collect::<Vec<_>>(), ["2.1", "heroku-fitted"]);
    for report in reports.iter().chain([&json["optimum"]]) {
        assert_eq!(report["mode"], "fluid");
        for figure in ["dyno_hours", "optimum_ratio", "cost", "slow_share", "p50_secs", "p95_secs", "p99_secs"] {
            assert!(report[figure].is_f64(), "{figure}: {report}");
        }
        assert!(report["changes"].is_u64() && report["worst_minute"]["p95_secs"].is_f64(), "{report}");
    }
    let page = folder.read("page.html");
    assert!(page.contains("<svg") && page.contains("heroku-fitted") && !page.contains("<script"));
}

/// Few requests take long by chance, alone or some in a row: no reason to start dynos for an app that one serves easily.
#[test]
fn a_small_app_keeps_its_one_dyno() {
    let folder = Folder::new();
    for each_minute in [1, 6, 18, 30] {
        let rows = (0..1440).map(|n| format!("{},{each_minute}\n", 1_704_067_200 + 60 * n)).collect::<String>();
        folder.write("small.csv", &format!("unix_seconds,requests\n{rows}"));
        for seed in ["1", "2", "3"] {
            let args = ["simulate", "small.csv", "--policy", "recommended", "--seed", seed, "--json"];
            let json = &folder.run(&args).expect(0).json_lines()[0];
            let hours = json["reports"][0]["dyno_hours"].as_f64().unwrap();
            assert!((24.0..25.0).contains(&hours), "{each_minute} a minute, seed {seed}: {hours} dyno-hours");
        }
    }
}

/// A request that is dealt to a dyno at random waits for that one, though others are idle.
#[test]
fn a_router_that_picks_at_random_makes_requests_wait() {
    let folder = folder();
    let slow = |routing: &str| {
        let args = ["simulate", "traffic.csv", "--policy", "target", "--routing", routing, "--json"];
        let json = &folder.run(&args).expect(0).json_lines()[0];
        (json["reports"][0]["slow_share"].as_f64().unwrap(), json["optimum"]["dyno_hours"].as_f64().unwrap())
    };
    let (shared, random) = (slow("shared"), slow("random"));
    assert!(random.0 > 2.0 * shared.0 && random.1 > 1.5 * shared.1, "{shared:?} {random:?}");
}

#[test]
fn ones_own_settings_take_part() {
    let folder = folder();
    folder.write("autoscalebot.toml", SETTINGS);
    let names = |args: &[&str]| {
        let json = &folder.run(args).expect(0).json_lines()[0];
        let reports = json["reports"].as_array().unwrap().iter();
        reports.map(|report| report["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["simulate", "traffic.csv", "--json"]), ["web"]);
    assert_eq!(names(&["simulate", "traffic.csv", "--json", "--compare", "2.1", "--process", "web"]), ["web", "2.1"]);
    assert_eq!(names(&["simulate", "traffic.csv", "--json", "--policy", "recommended"]), ["recommended"]);
    let ran = folder.run(&["simulate", "traffic.csv", "--process", "worker"]).expect(2);
    assert!(ran.err.contains("no process of this name"), "{}", ran.err);
    let python = SETTINGS.replace(
        "type = \"consecutive\", low = \"150ms\", high = \"400ms\", fails = 2, passes = 4",
        "type = \"python\", policy = \"shop.decide\"",
    );
    folder.write("autoscalebot.toml", &python);
    let ran = folder.run(&["simulate", "traffic.csv"]).expect(1);
    assert!(ran.err.contains("shop.decide gave no number of dynos 3 times in a row"), "{}", ran.err);
}

#[test]
fn without_settings_the_recommended_policy_is_shown_beside_others() {
    let json = &folder().run(&["simulate", "traffic.csv", "--json"]).expect(0).json_lines()[0];
    let names: Vec<_> = json["reports"].as_array().unwrap().iter().map(|report| &report["name"]).collect();
    assert_eq!(names, ["recommended", "2.1", "heroku"]);
}

#[test]
fn assertions_decide_the_exit_code() {
    let folder = folder();
    let run = |what: &str| folder.run(&["simulate", "traffic.csv", "--compare", "recommended,2.1", "--assert", what]);
    run("slow_share < 90%, dyno_hours < 1000").expect(0);
    let ran = run("slow_share < 90% and dyno_hours < 1").expect(1);
    assert!(ran.err.contains("recommended on traffic: dyno_hours < 1 does not hold, it is"), "{}", ran.err);
    assert!(!ran.err.contains("2.1 on traffic"), "the first is asserted about: {}", ran.err);
    assert!(ran.out.contains("recommended"), "the table is there all the same");
    let ran = run("slowness < 1").expect(2);
    assert!(ran.err.contains("names no figure") && ran.out.is_empty(), "{}", ran.err);
}

#[test]
fn a_search_reports_on_what_it_has_not_seen() {
    let folder = folder();
    let args = ["simulate", "traffic.csv", "--tune", "--policy", "2.1", "--budget", "6", "--scale", "0.5"];
    let ran = folder.run(&args).expect(0);
    assert!(ran.out.contains("Best of") && ran.out.contains("On the part not searched, baseline"), "{}", ran.out);
    assert!(ran.out.contains("    decide = { ") && ran.out.contains("type = \"consecutive\""), "{}", ran.out);
    folder.write("autoscalebot.toml", SETTINGS);
    let json = &folder.run(&["simulate", "traffic.csv", "--tune", "--json", "--budget", "4"]).expect(0).json_lines()[0];
    assert_eq!(json["tuned"]["best"].as_array().unwrap().len(), 4, "{json}");
    assert!(json["tuned"]["verdict"].is_string());
    assert!(json["settings"][0].as_str().unwrap().starts_with("decide = {"), "{json}");
    let ran = folder.run(&["simulate", "traffic.csv", "--tune", "--policy", "heroku"]).expect(2);
    assert!(ran.err.contains("has no parameters to search"), "{}", ran.err);
}

#[test]
fn a_search_writes_a_page_and_is_asserted_about() {
    let folder = folder();
    let run = |what: &str| {
        let args = ["--tune", "--policy", "2.1", "--budget", "3", "--mode", "fluid", "--html", "page.html"];
        folder.run(&[&["simulate", "traffic.csv", "--assert", what], &args[..]].concat())
    };
    let ran = run("slow_share <= 100%, dyno_hours > 0").expect(0);
    assert!(ran.out.contains("page.html has the same with plots"), "{}", ran.out);
    let page = folder.read("page.html");
    assert!(page.contains("<svg") && page.contains(">best<") && page.contains(">baseline<"), "{page}");
    let ran = run("dyno_hours < 0.1").expect(1);
    // With each seed, on the part that was not searched.
    let told = ran.err.matches("on traffic (second part): dyno_hours < 0.1 does not hold, it is").count();
    assert_eq!(told, 5, "{}", ran.err);
    assert!(ran.out.contains("As settings:"), "{}", ran.out);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let folder = folder();
    folder.write("gap.csv", "unix_seconds,requests\n60,1\n120,x\n180,-1\n360,2\n");
    folder.write("empty.csv", "# nothing\n");
    let rows: &[(&[&str], &str)] = &[
        (&["gap.csv"], "gap.csv:3: \"x\" is no number of requests"),
        (&["gap.csv"], "gap.csv:4: -1 requests cannot be"),
        (&["empty.csv"], "has no rows"),
        (&["missing.csv"], "cannot be read"),
        (&["traffic.csv", "--compare", "nobody"], "there is no policy \"nobody\" here"),
        (&["traffic.csv", "--compare", "nobody"], "  2.1: the rule of autoscalebot 2.1"),
        (&["traffic.csv", "--scale", "0"], "the scale 0"),
        (&["traffic.csv", "--scale", "-1"], "the scale -1"),
        (&["traffic.csv", "--min", "5", "--max", "2"], "lower --min"),
        (&["traffic.csv", "--service", "0s"], "above zero"),
        (&["traffic.csv", "--servers", "0"], "servers_per_dyno is 0"),
        (&["traffic.csv", "--shape", "normal"], "give exponential"),
        (&["traffic.csv", "--slow-share", "2"], "give a share"),
        (&["traffic.csv", "--price", "nan"], "the price of a dyno-hour"),
        (&["traffic.csv", "--process", "web"], "there are none"),
        (&["traffic.csv", "--tune", "--compare", "2.1"], "cannot be used with"),
    ];
    for (args, want) in rows {
        let ran = folder.run(&[&["simulate"], *args].concat()).expect(2);
        assert!(ran.err.contains(want), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    }
}
