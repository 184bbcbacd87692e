-- The same tables as SQLite's migrations 1 and 2.
CREATE TABLE state (
    app        TEXT NOT NULL,
    process    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    json       TEXT NOT NULL,
    written_at TEXT NOT NULL,
    PRIMARY KEY (app, process)
);

CREATE TABLE pause (
    app     TEXT NOT NULL,
    process TEXT NOT NULL,
    until   TEXT,
    why     TEXT,
    PRIMARY KEY (app, process)
);

CREATE TABLE process (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app     TEXT NOT NULL,
    process TEXT NOT NULL,
    UNIQUE (app, process)
);

CREATE TABLE decision (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    marks   BIGINT NOT NULL,
    dynos   BIGINT,
    min     BIGINT NOT NULL,
    max     BIGINT NOT NULL,
    json    TEXT NOT NULL,
    state   TEXT
);
CREATE INDEX decision_process_at ON decision (process, at);
CREATE INDEX decision_marked ON decision (process, at) WHERE marks <> 0;
CREATE INDEX decision_at ON decision (at);
CREATE INDEX decision_unmarked ON decision (at) WHERE marks = 0;

CREATE TABLE event (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    name    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    json    TEXT NOT NULL
);
CREATE INDEX event_process_at ON event (process, at);
CREATE INDEX event_at ON event (at);

CREATE TABLE series (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    unit         TEXT NOT NULL,
    rolled_until BIGINT NOT NULL,
    UNIQUE (process, name)
);

CREATE TABLE sample (
    series BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    value  DOUBLE PRECISION,
    PRIMARY KEY (series, at)
);

CREATE TABLE sample_minute (
    series   BIGINT NOT NULL,
    hour     BIGINT NOT NULL,
    sketches BYTEA NOT NULL,
    PRIMARY KEY (series, hour)
);

CREATE TABLE sample_hour (
    series BIGINT NOT NULL,
    hour   BIGINT NOT NULL,
    sketch BYTEA NOT NULL,
    PRIMARY KEY (series, hour)
);
