//! A body of lines, some of which are still to come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Lines of JSON; it ends when no sender is left.
pub(super) struct Lines(UnboundedReceiver<Bytes>);

impl Default for Lines {
    fn default() -> Self {
        Self(unbounded_channel().1)
    }
}

/// Adds lines to a body.
pub(super) struct Writer(UnboundedSender<Bytes>);

impl Lines {
    /// One line and the end.
    pub(super) fn of(object: &Value) -> Self {
        let (writer, lines) = Self::open();
        writer.write(object);
        lines
    }

    /// A body that stays open as long as its writer lives.
    pub(super) fn open() -> (Writer, Self) {
        let (sender, receiver) = unbounded_channel();
        (Writer(sender), Self(receiver))
    }
}

impl Writer {
    /// Whether somebody still reads.
    pub(super) fn write(&self, object: &Value) -> bool {
        self.0.send(Bytes::from(format!("{object}\n"))).is_ok()
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
