//! On answers as Prometheus gives them.

use autoscalebot_core::Secret;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

fn source(url: &str) -> Prometheus {
    settings(&values(url), MINUTE).unwrap()
}

fn values(url: &str) -> Values {
    let mut values = Values::default();
    values.set("url", autoscalebot_core::fields::Value::Url(url.parse().unwrap()));
    values.set("query", autoscalebot_core::fields::Value::Text("up{job=\"a b\"}".into()));
    values.set("late_after", autoscalebot_core::fields::Value::Duration(SignedDuration::from_secs(120)));
    values
}

fn read(status: u16, body: &str) -> Result<f64, String> {
    let now = "2026-05-04T12:00:00Z".parse().unwrap();
    let source = source("http://127.0.0.1:9/");
    let judged = answer((StatusCode::from_u16(status).unwrap(), body.into())).and_then(|got| source.judge(got, now));
    match judged.map(|taken| taken.reading) {
        Ok(Reading::Value(value)) => Ok(value),
        Ok(Reading::Failed(failure)) | Err(failure) => Err(failure.to_string()),
    }
}

fn vector(result: &str) -> Result<f64, String> {
    read(200, &format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#))
}

#[test]
fn one_series_and_a_scalar() {
    // 1777896000 is 2026-05-04T12:00:00Z.
    assert_eq!(vector(r#"[{"metric":{},"value":[1777896000.123,"12.5"]}]"#), Ok(12.5));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1777896000,"3"]}}"#;
    assert_eq!(read(200, scalar), Ok(3.0));
}

#[test]
fn a08_nan_and_infinity_are_invalid() {
    assert_eq!(vector(r#"[{"metric":{},"value":[1777896000,"NaN"]}]"#), Err("invalid NaN".into()));
    assert_eq!(vector(r#"[{"metric":{},"value":[1777896000,"+Inf"]}]"#), Err("invalid inf".into()));
    assert_eq!(vector(r#"[{"metric":{},"value":[1777896000,"-1"]}]"#), Err("invalid -1".into()));
}

#[test]
fn a09_an_empty_vector_is_no_reading() {
    assert_eq!(vector("[]"), Err("empty".into()));
}

#[test]
fn a10_an_old_answer_is_late() {
    // 25 minutes before.
    assert_eq!(vector(r#"[{"metric":{},"value":[1777894500,"900"]}]"#), Err("late 1500s".into()));
    assert_eq!(vector(r#"[{"metric":{},"value":[1777895940,"900"]}]"#), Ok(900.0));
}

#[test]
fn several_series_are_shown() {
    let said = vector(
        r#"[{"metric":{"__name__":"up","job":"a"},"value":[1777896000,"1"]},{"metric":{"job":"b"},"value":[1777896000,"1"]}]"#,
    );
    let want = r#"2 series, where one is wanted: up{job="a"}, {job="b"}: put them together in the query, as with sum() or max()"#;
    assert_eq!(said, Err(want.into()));
}

#[test]
fn errors_histograms_and_what_is_not_prometheus() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error"}"#;
    assert_eq!(read(400, bad), Err(r#"invalid parameter "query": 1:5: parse error"#.into()));
    assert_eq!(read(503, "<html>"), Err("status 503".into()));
    assert_eq!(read(200, "<html>"), Err("the answer is not JSON".into()));
    assert_eq!(read(200, "{\"status\":\"succ"), Err("the answer's JSON ends too early".into()));
    assert_eq!(read(200, ""), Err("empty".into()));
    assert_eq!(read(200, "{}"), Err("the answer is none of Prometheus".into()));
    assert_eq!(read(200, "null"), Err("the answer is none of Prometheus".into()));
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert_eq!(read(200, matrix), Err("the query gives a matrix, not one number".into()));
    let histogram = vector(r#"[{"metric":{},"histogram":[1777896000,{"count":"1"}]}]"#);
    assert!(histogram.unwrap_err().contains("a histogram"));
    assert_eq!(vector(r#"[{"metric":{},"value":[1777896000,null]}]"#), Err("empty".into()));
}

#[test]
fn the_address_takes_a_path_before_the_api() {
    let of = |base: &str| address(&base.parse().unwrap(), "up{job=\"a b\"}").map(String::from);
    let query = "query=up%7Bjob%3D%22a+b%22%7D";
    assert_eq!(of("http://p:9090"), Ok(format!("http://p:9090/api/v1/query?{query}")));
    assert_eq!(of("http://p:9090/"), Ok(format!("http://p:9090/api/v1/query?{query}")));
    assert_eq!(of("https://p/prometheus/"), Ok(format!("https://p/prometheus/api/v1/query?{query}")));
    assert_eq!(of("https://p/api/v1/query"), Ok(format!("https://p/api/v1/query?{query}")));
    assert_eq!(of("https://p/?tenant=1"), Ok(format!("https://p/api/v1/query?tenant=1&{query}")));
    assert!(of("https://p/?query=up").is_err());
}

#[test]
fn a_token_beside_another_login_is_refused_and_none_is_shown() {
    let mut both = values("https://p.example/");
    both.set("token", autoscalebot_core::fields::Value::Secret(Secret::new("tok-EXAMPLE-1234")));
    assert!(!format!("{:?}", settings(&both, MINUTE).unwrap()).contains("tok-EXAMPLE"));
    both.set("username", autoscalebot_core::fields::Value::Text("me".into()));
    assert!(settings(&both, MINUTE).is_err());
}
