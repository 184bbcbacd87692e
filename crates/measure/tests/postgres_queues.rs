//! Queues in a real PostgreSQL: Procrastinate's written by itself, the others' tables with the columns that are read. The
//! server's zone is not UTC, as those of many are not.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

mod servers;

use std::time::{Duration, Instant};

use autoscalebot_core::Taken;
use servers::postgres::Postgres;
use servers::{failure, python, read, reads, run, script_path, source, start, value};

const PASSWORD: &str = "p#20@/:%+ü";
const LOGIN: &str = "me:p%2320%40%2F%3A%25%2B%C3%BC";

/// Depth, busy, and latency in whole ten seconds.
fn numbers(taken: &Taken) -> (f64, f64, i64) {
    (value(taken), taken.detail.busy.unwrap(), taken.detail.latency_ms.unwrap() as i64 / 10_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind() {
    let postgres = Postgres::new(PASSWORD);
    let sql = |database: &str, sql: &str| postgres.psql(PASSWORD, database, sql);
    let lines = |kind: &str, database: &str, rest: &str| {
        format!("type = \"{kind}\"\nurl = \"{}\"\n{rest}", postgres.url(LOGIN, database))
    };

    sql("postgres", "create database solid");
    sql(
        "solid",
        "create table solid_queue_jobs (id bigint primary key, queue_name varchar not null);
         create table solid_queue_ready_executions (job_id bigint, queue_name varchar not null, created_at timestamp not null);
         create table solid_queue_scheduled_executions (job_id bigint, queue_name varchar not null, scheduled_at timestamp not null);
         create table solid_queue_claimed_executions (job_id bigint not null, process_id bigint);
         create table solid_queue_pauses (queue_name varchar not null);
         insert into solid_queue_jobs select n, case when n < 6 then 'mail' else 'video' end from generate_series(1, 9) n;
         insert into solid_queue_ready_executions
            select n, 'mail', now() at time zone 'utc' - interval '25 s' from generate_series(1, 3) n;
         insert into solid_queue_scheduled_executions values (4, 'mail', now() at time zone 'utc' - interval '45 s'),
            (5, 'mail', now() at time zone 'utc' + interval '45 s');
         insert into solid_queue_claimed_executions values (5, 1), (6, 1), (7, 1)",
    );
    assert_eq!(numbers(&read(&lines("solid_queue", "solid", "queues = [\"mail\"]")).await), (4.0, 1.0, 4));
    assert_eq!(numbers(&read(&lines("solid_queue", "solid", "")).await), (4.0, 3.0, 4));
    assert_eq!(numbers(&read(&lines("solid_queue", "solid", "queues = [\"none\"]")).await), (0.0, 0.0, 0));
    sql("solid", "insert into solid_queue_pauses values ('mail')");
    assert_eq!(numbers(&read(&lines("solid_queue", "solid", "queues = [\"mail\"]")).await), (0.0, 1.0, 0));

    sql("postgres", "create database good");
    sql(
        "good",
        "create table good_job_processes (id uuid primary key);
         create table good_jobs (id uuid primary key default gen_random_uuid(), queue_name text, created_at timestamp not null,
            scheduled_at timestamp, performed_at timestamp, finished_at timestamp, locked_by_id uuid);
         insert into good_job_processes values ('00000000-0000-0000-0000-000000000001');
         insert into good_jobs (queue_name, created_at, scheduled_at, performed_at, finished_at, locked_by_id)
            select 'mail', t - interval '90 s', s, p, f, l from (select now() at time zone 'utc' as t) now,
            lateral (values (t - interval '35 s', null::timestamp, null::timestamp, null::uuid), (null, null, null, null),
                (t + interval '1 h', null, null, null), (t, t, null, '00000000-0000-0000-0000-000000000001'),
                (t - interval '5 s', t, null, '00000000-0000-0000-0000-000000000002'), (t, t, t, null)) v(s, p, f, l)",
    );
    assert_eq!(numbers(&read(&lines("good_job", "good", "queues = [\"mail\"]")).await), (3.0, 1.0, 9));

    sql("postgres", "create database que");
    sql(
        "que",
        "create table que_jobs (id bigint primary key, queue text not null, run_at timestamptz not null, finished_at timestamptz,
            expired_at timestamptz);
         insert into que_jobs select n, 'mail', now() - interval '25 s', null, null from generate_series(1, 3) n;
         insert into que_jobs values (5000000000, 'mail', now() - interval '65 s', null, null),
            (6, 'mail', now() + interval '1 h', null, null), (7, 'mail', now(), now(), null), (8, 'mail', now(), null, now())",
    );
    assert_eq!(numbers(&read(&lines("que", "que", "")).await), (4.0, 0.0, 6));
    let mut locker = std::process::Command::new("psql");
    locker.env("PGPASSWORD", PASSWORD).args([
        "-h",
        "127.0.0.1",
        "-p",
        &postgres.port.to_string(),
        "-U",
        "me",
        "-d",
        "que",
    ]);
    let _locker = start(locker.args(["-c", "select pg_advisory_lock(5000000000), pg_sleep(600)"]));
    let que = source(&lines("que", "que", "queues = [\"mail\"]"));
    let taken = reads("a lock", &que, Duration::from_secs(10), |taken| taken.detail.busy == Some(1.0)).await;
    assert_eq!(numbers(&taken), (3.0, 1.0, 2));

    sql("postgres", "create database delayed");
    sql(
        "delayed",
        "create table delayed_jobs (id bigserial primary key, queue varchar, run_at timestamp, locked_at timestamp, failed_at timestamp);
         insert into delayed_jobs (queue, run_at, locked_at, failed_at) select q, t - interval '55 s', l, f
            from (select now() at time zone 'utc' as t) now,
            lateral (values (null, null::timestamp, null::timestamp), ('mail', t, null), ('mail', t - interval '5 h', null),
                ('mail', null, t)) v(q, l, f);
         insert into delayed_jobs (queue, run_at) values ('mail', now() at time zone 'utc' + interval '1 h')",
    );
    assert_eq!(numbers(&read(&lines("delayed_job", "delayed", "queues = [\"mail\"]")).await), (1.0, 1.0, 5));
    assert_eq!(numbers(&read(&lines("delayed_job", "delayed", "queues = [\"default\"]")).await), (1.0, 0.0, 5));
    assert_eq!(numbers(&read(&lines("delayed_job", "delayed", "max_run_time = \"10h\"")).await), (1.0, 2.0, 5));

    let said = failure(&read(&lines("que", "delayed", "")).await);
    assert_eq!(said, "relation \"que_jobs\" does not exist: is this the database of the queue?");
    let said = failure(&read(&lines("que", "nowhere", "")).await);
    assert_eq!(said, "database \"nowhere\" does not exist");

    let ask = |query: &str| lines("sql", "delayed", &format!("query = \"{query}\""));
    assert_eq!(value(&read(&ask("select count(*) from delayed_jobs;")).await), 5.0);
    let taken = read(&ask("select 1.5::numeric as n, 2 as busy, 0.25::float4 as latency_s -- a comment")).await;
    assert_eq!((value(&taken), taken.detail.busy, taken.detail.latency_ms), (1.5, Some(2.0), Some(250.0)));
    assert_eq!(failure(&read(&ask("select 'NaN'::float8")).await), "invalid NaN");
    assert_eq!(failure(&read(&ask("select null")).await), "empty");
    assert_eq!(failure(&read(&ask("select 1 where false")).await), "empty");
    // Only what reads can be written there.
    let said = failure(&read(&ask("delete from delayed_jobs returning 1")).await);
    assert!(said.contains("syntax error"), "{said}");
    assert!(
        failure(&read(&ask("select 1) x; delete from delayed_jobs; select (1")).await).contains("multiple commands")
    );
    assert_eq!(sql("delayed", "select count(*) from delayed_jobs").trim(), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn procrastinate_by_itself_and_the_connection() {
    let mut postgres = Postgres::new(PASSWORD);
    let port = postgres.port.to_string();
    let procrastinate = |what: &str| {
        let mut python = python();
        python.env("PGHOST", "127.0.0.1").env("PGPORT", &port).env("PGUSER", "me").env("PGPASSWORD", PASSWORD);
        python.env("PGDATABASE", "postgres").arg(script_path("deferred.py")).arg(what);
        python
    };
    run(&mut procrastinate("write"));
    let lines = |rest: &str| format!("type = \"procrastinate\"\nurl = \"{}\"\n{rest}", postgres.url(LOGIN, "postgres"));
    // Three, and the first of the two with one lock.
    assert_eq!(numbers(&read(&lines("queues = [\"mail\"]")).await), (4.0, 0.0, 0));
    assert_eq!(numbers(&read(&lines("queues = [\"late\"]")).await), (1.0, 0.0, 5));
    assert_eq!(value(&read(&lines("combine = \"max\"")).await), 4.0);
    let mail = source(&lines("queues = [\"mail\"]"));
    let worker = start(&mut procrastinate("work"));
    let taken = reads("a worker", &mail, Duration::from_secs(20), |taken| taken.detail.busy == Some(1.0)).await;
    assert_eq!(value(&taken), 3.0);
    drop(worker);

    // Many measurements, one connection.
    let sources: Vec<_> = (0..20).map(|_| source(&lines(""))).collect();
    for source in &sources {
        value(&source.read().await);
    }
    let connections = "select count(*) from pg_stat_activity where application_name = 'autoscalebot'";
    assert_eq!(postgres.psql(PASSWORD, "postgres", connections).trim(), "1");

    // A query that takes too long ends on the server too, and holds nobody else up.
    let slow = "type = \"sql\"\nquery = \"select 1 from pg_sleep(60)\"\ntimeout = \"300ms\"\n";
    let slow = source(&format!("{slow}url = \"{}\"", postgres.url(LOGIN, "postgres")));
    let began = Instant::now();
    assert_eq!(failure(&slow.read().await), "timeout");
    assert_eq!(numbers(&mail.read().await).1, 1.0);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let sleeping = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()";
    servers::until("the query is cancelled", Duration::from_secs(5), || {
        postgres.psql(PASSWORD, "postgres", sleeping).trim() == "0"
    });

    let wrong = postgres.url("me:pw-EXAMPLE-5678", "postgres");
    let wrong = source(&format!("type = \"que\"\nurl = \"{wrong}\""));
    assert!(!format!("{wrong:?}").contains("pw-EXAMPLE"));
    assert_eq!(failure(&wrong.read().await), "the server refuses the login");
    let demanded = format!("type = \"que\"\nurl = \"{}?sslmode=require\"", postgres.url(LOGIN, "postgres"));
    let said = failure(&read(&demanded).await);
    assert!(said.contains("server does not support TLS"), "{said}");

    postgres.stop();
    assert_eq!(failure(&mail.read().await), "refused");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(postgres.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(postgres.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    run(std::process::Command::new("chmod").args(["600", &postgres.path("key.pem")]));
    postgres.give(&["cert.pem", "key.pem"]);
    let (cert, key) = (postgres.path("cert.pem"), postgres.path("key.pem"));
    postgres.start(&["ssl=on", &format!("ssl_cert_file={cert}"), &format!("ssl_key_file={key}")]);
    // The very next reading, with no restart, and now encrypted.
    value(&mail.read().await);
    let encrypted = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where ssl and application_name = 'autoscalebot'";
    assert_eq!(postgres.psql(PASSWORD, "postgres", encrypted).trim(), "1");
    let url = postgres.url(LOGIN, "postgres").replace("127.0.0.1", "localhost");
    let with = |mode: &str| format!("type = \"procrastinate\"\nurl = \"{url}?sslmode={mode}\"");
    value(&read(&with("require")).await);
    value(&read(&with("disable")).await);
    value(&read(&with(&format!("verify-full&sslrootcert={cert}"))).await);
    let said = failure(&read(&with("verify-full")).await);
    assert!(said.starts_with("tls "), "{said}");
}
