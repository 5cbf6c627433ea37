//! HTTP requests of the long-polling transport, on a connection that is kept open between them.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http::{self, Head};
use super::open::{self, OpenError};

/// One HTTP connection to the server; opened when it is first needed, and again after the server closed it.
#[derive(Debug)]
pub(super) struct HttpClient {
    address: SocketAddr,
    host: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl HttpClient {
    /// A client without a connection.
    pub(super) fn new(address: SocketAddr, host: String) -> Self {
        Self { address, host, stream: None, buffer: Vec::new() }
    }

    /// A second client to the same server.
    pub(super) fn sibling(&self) -> Self {
        Self::new(self.address, self.host.clone())
    }

    /// The answer to a GET.
    pub(super) async fn get(&mut self, path: &str) -> Result<(Head, Vec<u8>), OpenError> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hubbub-bench\r\n\r\n", self.host);
        self.exchange(head.into_bytes()).await
    }

    /// The answer to a POST of a text payload.
    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> Result<(Head, Vec<u8>), OpenError> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hubbub-bench\r\nContent-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.exchange(request).await
    }

    async fn exchange(&mut self, request: Vec<u8>) -> Result<(Head, Vec<u8>), OpenError> {
        // Taken out and put back only after a whole answer: a broken connection is never used again.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => open::connect(self.address).await?,
        };
        stream.write_all(&request).await.map_err(OpenError::Write)?;
        let head = http::read_head(&mut stream, &mut self.buffer).await?;
        let body = http::read_body(&mut stream, &mut self.buffer, &head).await?;
        if !head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok((head, body))
    }
}
