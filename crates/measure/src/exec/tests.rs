//! With real commands.

use std::time::Instant;

use autoscalebot_core::fields::Value as Field;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

fn exec(command: &[&str], timeout_ms: i64) -> Exec {
    let mut values = Values::default();
    values.set("command", Field::Texts(command.iter().map(|word| (*word).to_owned()).collect()));
    values.set("timeout", Field::Duration(SignedDuration::from_millis(timeout_ms)));
    let token = [("TOKEN".to_owned(), Secret::new("tok-EXAMPLE-1234"))];
    values.set("env", Field::TextTable(token.into_iter().collect()));
    settings(&values, MINUTE).unwrap()
}

async fn sh(script: &str) -> Result<Taken, String> {
    let taken = exec(&["sh", "-c", script], 5000).read().await;
    match taken.reading {
        Reading::Value(_) => Ok(taken),
        Reading::Failed(failure) => Err(failure.to_string()),
    }
}

fn read(out: &str) -> Result<f64, String> {
    match reading(out.as_bytes(), 1.0).map(|taken| taken.reading) {
        Ok(Reading::Value(value)) => Ok(value),
        Ok(Reading::Failed(failure)) | Err(failure) => Err(failure.to_string()),
    }
}

#[test]
fn what_a_command_may_print() {
    assert_eq!(read("12\n"), Ok(12.0));
    assert_eq!(read("\n 0.5 \n\n"), Ok(0.5));
    assert_eq!(read("\"7\""), Ok(7.0));
    assert_eq!(read("+3"), Ok(3.0));
    assert_eq!(read(r#"{"value": "12"}"#), Ok(12.0));
    assert_eq!(read(""), Err("empty".into()));
    assert_eq!(read(r#"{"value": null}"#), Err("empty".into()));
    assert_eq!(read("{}"), Err("empty".into()));
    assert_eq!(read("NaN"), Err("invalid NaN".into()));
    assert_eq!(read("-1"), Err("invalid -1".into()));
    assert_eq!(read("twelve"), Err("invalid a text that is no number".into()));
    assert_eq!(read("1\n2\n"), Err("it printed several lines, where one is wanted".into()));
    assert_eq!(read(r#"{"error": "no broker"}"#), Err("no broker".into()));
    assert!(read(r#"{"valu": 1}"#).unwrap_err().starts_with("its line holds \"valu\", which is none of value, "));
    let taken = reading(br#"{"value":3,"busy":1,"latency_ms":250.5,"rate":null}"#, 1.0).unwrap();
    assert_eq!(taken.detail, Detail { busy: Some(1.0), latency_ms: Some(250.5), ..Detail::default() });
}

#[tokio::test]
async fn a_command_is_run_as_it_is() {
    // No shell: the words reach the command whole.
    let taken = exec(&["printf", "%s", "4"], 5000).read().await;
    assert_eq!(taken.reading, Reading::Value(4.0));
    assert_eq!(sh("echo '{\"value\": 2, \"busy\": 1}'").await.unwrap().detail.busy, Some(1.0));
    let missing = exec(&["/no/such/command"], 5000).read().await;
    assert_eq!(
        missing.reading,
        Reading::Failed(Failure::Other("/no/such/command can't be run: entity not found".into()))
    );
}

#[tokio::test]
async fn its_end_is_told_without_its_secrets() {
    assert_eq!(sh("echo 3; exit 7").await, Err("it ended with exit status: 7".into()));
    let said = sh("echo first >&2; echo \"refused: $TOKEN\" >&2; exit 1").await.unwrap_err();
    assert_eq!(said, "it ended with exit status: 1: refused: ***");
    assert!(!format!("{:?}", exec(&["x", "tok-EXAMPLE-1234"], 1)).contains("tok-EXAMPLE"));
}

#[tokio::test]
async fn much_output_is_an_error_and_no_memory() {
    assert_eq!(sh("yes 1 | head -c 5000000").await, Err("it printed more than 65536 bytes".into()));
}

/// Whether a process with this mark among its words still runs.
fn runs(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(mark)
    })
}

#[tokio::test]
async fn a22_a_command_that_never_ends_is_killed_with_all_it_started() {
    let started = Instant::now();
    let taken = exec(&["sh", "-c", "sleep 98761 & sleep 98762"], 200).read().await;
    assert_eq!(taken.reading, Reading::Failed(Failure::Timeout));
    assert!(started.elapsed() < Duration::from_secs(2));
    while runs("9876") {
        assert!(started.elapsed() < Duration::from_secs(5), "still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
