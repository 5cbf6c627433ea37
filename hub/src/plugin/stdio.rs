//! What a plugin writes to stdout and stderr: kept within bounds until the hub logs it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Text that one call may leave unlogged; what is beyond is dropped and counted.
const KEPT_MAX_BYTES: usize = 16 * 1024;

/// Both streams of one instance.
#[derive(Clone, Default)]
pub struct Stdio(Arc<Shared>);

#[derive(Default)]
struct Shared {
    dirty: AtomicBool,
    kept: Mutex<Kept>,
}

/// What was written since the last look.
#[derive(Default)]
pub struct Kept {
    pub text: Vec<u8>,
    pub dropped_bytes: usize,
}

impl Stdio {
    /// Takes what was written; `None` when there was nothing, which costs one load.
    pub fn take(&self) -> Option<Kept> {
        self.0.dirty.swap(false, Ordering::AcqRel).then(|| std::mem::take(&mut *self.0.kept.lock()))
    }

    fn put(&self, bytes: &[u8]) {
        let mut kept = self.0.kept.lock();
        let fits = bytes.len().min(KEPT_MAX_BYTES.saturating_sub(kept.text.len()));
        kept.text.extend_from_slice(&bytes[..fits]);
        kept.dropped_bytes += bytes.len() - fits;
        self.0.dirty.store(true, Ordering::Release);
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(KEPT_MAX_BYTES)
    }
}

impl Pollable for Stdio {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {})
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.put(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
