CREATE TABLE state (
    app        TEXT NOT NULL,
    process    TEXT NOT NULL,
    version    INTEGER NOT NULL,
    json       TEXT NOT NULL,
    written_at TEXT NOT NULL,
    PRIMARY KEY (app, process)
) STRICT, WITHOUT ROWID;

CREATE TABLE pause (
    app     TEXT NOT NULL,
    process TEXT NOT NULL,
    until   TEXT,
    why     TEXT,
    PRIMARY KEY (app, process)
) STRICT, WITHOUT ROWID;
