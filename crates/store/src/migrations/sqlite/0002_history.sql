-- Decision records, events and samples. Instants are microseconds since 1970 in UTC.
CREATE TABLE process (
    id      INTEGER PRIMARY KEY,
    app     TEXT NOT NULL,
    process TEXT NOT NULL,
    UNIQUE (app, process)
) STRICT;

-- marks: what makes the record worth keeping (see marks.rs); 0: it may go after a day.
-- state: the process's state before the tick, now and then: from there the ticks after it can be decided again.
CREATE TABLE decision (
    id      INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    marks   INTEGER NOT NULL,
    dynos   INTEGER,
    min     INTEGER NOT NULL,
    max     INTEGER NOT NULL,
    json    TEXT NOT NULL,
    state   TEXT
) STRICT;
CREATE INDEX decision_process_at ON decision (process, at);
CREATE INDEX decision_marked ON decision (process, at) WHERE marks <> 0;
CREATE INDEX decision_at ON decision (at);
CREATE INDEX decision_unmarked ON decision (at) WHERE marks = 0;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    name    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    json    TEXT NOT NULL
) STRICT;
CREATE INDEX event_process_at ON event (process, at);
CREATE INDEX event_at ON event (at);

-- rolled_until: all samples before it are in sample_minute and sample_hour.
CREATE TABLE series (
    id           INTEGER PRIMARY KEY,
    process      INTEGER NOT NULL,
    name         TEXT NOT NULL,
    unit         TEXT NOT NULL,
    rolled_until INTEGER NOT NULL,
    UNIQUE (process, name)
) STRICT;

-- A sample without a value is one that is unknown.
CREATE TABLE sample (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    value  REAL,
    PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;

-- One row an hour with a sketch for each of its minutes: far smaller than a row a minute.
CREATE TABLE sample_minute (
    series   INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    sketches BLOB NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_hour (
    series INTEGER NOT NULL,
    hour   INTEGER NOT NULL,
    sketch BLOB NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;
