//! The two databases behind one small interface: a statement with parameters in, rows out. All SQL of this crate is written
//! once, in what both understand, with its parameters as `$1`, `$2`, …; only the migrations differ.

use std::fmt::Debug;

use crate::StoreError;

pub(crate) mod postgres;
pub(crate) mod sqlite;
mod tls;

/// A parameter of a statement, or a column of its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer. A column that does not hold what is asked of it is a broken store, not a fault of the caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    fn get(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.maybe_int(column)?.ok_or(StoreError::Content("a number is missing"))
    }

    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.get(column) {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(*value)),
            _ => Err(StoreError::Content("a column holds no number")),
        }
    }

    pub(crate) fn maybe_real(&self, column: usize) -> Result<Option<f64>, StoreError> {
        match self.get(column) {
            Value::Null => Ok(None),
            Value::Real(value) => Ok(Some(*value)),
            _ => Err(StoreError::Content("a column holds no number")),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        self.maybe_text(column)?.ok_or(StoreError::Content("a text is missing"))
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.get(column) {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value.clone())),
            _ => Err(StoreError::Content("a column holds no text")),
        }
    }

    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.get(column) {
            Value::Blob(value) => Ok(value),
            _ => Err(StoreError::Content("a column holds no bytes")),
        }
    }
}

/// A database.
pub(crate) trait Driver: Debug + Send {
    /// Runs a statement; its rows.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs a statement; how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError>;

    /// Begins (`BEGIN`), keeps (`COMMIT`) or drops (`ROLLBACK`) a transaction that writes.
    fn transaction(&mut self, step: Step) -> Result<(), StoreError>;

    /// Gives room that deleted rows left back to the disk, a little at a time.
    fn shrink(&mut self) -> Result<(), StoreError>;

    /// The bytes that hold something.
    fn used_bytes(&mut self) -> Result<u64, StoreError>;

    /// Whether a deleted row is at once a used byte less; where not, size is no guide to what should go.
    fn sizes_follow_rows(&self) -> bool;

    /// `ok`, or what is wrong with what is stored.
    fn integrity(&mut self) -> Result<String, StoreError>;

    /// Lets the store hold so many bytes at most, where that can be said.
    fn limit_bytes(&mut self, _bytes: Option<u64>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the connection is gone, so that only a new one helps.
    fn is_closed(&self) -> bool;
}

/// A step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Begin,
    Commit,
    Rollback,
}
