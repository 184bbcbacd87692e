//! The body of an answer on its way to the client: counted and never held back. Its end, whichever way it comes, ends the
//! request: the router line is sent and the dyno's count of open requests goes down.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;

use super::router_line::{Code, Line};
use super::routes::Ticket;

/// An open request: its line, its hold on the dyno, and the connection to it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) line: Line,
    /// Read by nobody: it counts as long as it lives.
    pub(crate) _ticket: Ticket,
    /// Dropped, it ends the connection, so that a dyno need not work for a client that left.
    pub(crate) _connection: Connection,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This program's own words.
    Text(Option<Bytes>),
    /// The dyno's.
    Stream {
        /// Where it comes from.
        incoming: Incoming,
        /// Until the end.
        open: Option<Box<Open>>,
        /// As sent to the client.
        status: u16,
        /// Whether the client gets the body: an answer to HEAD has none, whatever its headers say.
        head_only: bool,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Stream { incoming, open, status, .. } => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                match (&frame, open.as_mut()) {
                    (Some(Ok(frame)), Some(open)) => {
                        open.line.add_bytes(frame.data_ref().map_or(0, |data| data.len() as u64));
                    }
                    (Some(Err(_)), Some(open)) => open.line.finish(*status, Some(Code::H18)),
                    (None, Some(open)) => open.line.finish(*status, None),
                    (_, None) => {}
                }
                if !matches!(frame, Some(Ok(_))) {
                    *open = None;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Stream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Stream { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for Answer {
    /// Hyper does not ask for the end of a body whose length it knows, so the end may be seen only here.
    fn drop(&mut self) {
        if let Self::Stream { incoming, open: Some(open), status, head_only } = self
            && (*head_only || incoming.is_end_stream())
        {
            open.line.finish(*status, None);
        }
    }
}
