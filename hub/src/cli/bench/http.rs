//! As much HTTP/1.1 as a Socket.IO client needs: heads of answers, bodies by length or in chunks.

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The head of an answer may be as long as this, in bytes.
const HEAD_MAX_BYTES: usize = 16 << 10;
/// The body of an answer may be as long as this, in bytes.
const BODY_MAX_BYTES: usize = 64 << 20;

/// Why no answer could be read.
#[derive(Debug, Error)]
pub(super) enum HttpError {
    #[error("the server closed the connection before it had answered")]
    Closed,
    #[error("the server does not answer in HTTP")]
    NotHttp,
    #[error("the {part} of the server's answer is longer than {max} bytes")]
    TooLong { part: &'static str, max: usize },
    #[error("reading the server's answer")]
    Read(#[from] std::io::Error),
}

/// Status, reason and headers of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &[u8]) -> Result<Self, HttpError> {
        let text = std::str::from_utf8(text).map_err(|_| HttpError::NotHttp)?;
        let mut lines = text.split("\r\n");
        let status_line = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).ok_or(HttpError::NotHttp)?;
        let mut words = status_line.splitn(3, ' ').skip(1);
        let status = words.next().and_then(|word| word.parse().ok()).ok_or(HttpError::NotHttp)?;
        let reason = words.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Ok(Self { status, reason, headers })
    }
}

/// Reads a head; what was read beyond it stays in `buffer`, which may hold earlier read bytes.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Head, HttpError> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = Head::parse(&buffer[..end])?;
            buffer.drain(..end + 4);
            return Ok(head);
        }
        if !b"HTTP/1.".starts_with(&buffer[..buffer.len().min(7)]) {
            return Err(HttpError::NotHttp);
        }
        if buffer.len() > HEAD_MAX_BYTES {
            return Err(HttpError::TooLong { part: "head", max: HEAD_MAX_BYTES });
        }
        read_more(stream, buffer).await?;
    }
}

/// Reads the body that belongs to `head`; later bytes stay in `buffer`.
pub(super) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    head: &Head,
) -> Result<Vec<u8>, HttpError> {
    let is_chunked = head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if is_chunked {
        return read_chunks(stream, buffer).await;
    }
    let Some(length) = head.header("content-length") else { return Ok(Vec::new()) };
    read_exactly(stream, buffer, length.parse().map_err(|_| HttpError::NotHttp)?).await
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| HttpError::NotHttp)?;
        if size == 0 {
            while !read_line(stream, buffer).await?.is_empty() {}
            return Ok(body);
        }
        if body.len().saturating_add(size) > BODY_MAX_BYTES {
            return Err(HttpError::TooLong { part: "body", max: BODY_MAX_BYTES });
        }
        body.extend(read_exactly(stream, buffer, size).await?);
        read_exactly(stream, buffer, 2).await?;
    }
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<String, HttpError> {
    loop {
        if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 2);
            return Ok(line);
        }
        if buffer.len() > HEAD_MAX_BYTES {
            return Err(HttpError::TooLong { part: "chunk's line", max: HEAD_MAX_BYTES });
        }
        read_more(stream, buffer).await?;
    }
}

async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    length: usize,
) -> Result<Vec<u8>, HttpError> {
    if length > BODY_MAX_BYTES {
        return Err(HttpError::TooLong { part: "body", max: BODY_MAX_BYTES });
    }
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    let rest = buffer.split_off(length);
    Ok(std::mem::replace(buffer, rest))
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<(), HttpError> {
    match stream.read_buf(buffer).await {
        Ok(0) => Err(HttpError::Closed),
        Ok(_) => Ok(()),
        Err(error) => Err(HttpError::Read(error)),
    }
}

/// An answer other than the expected one, in words: status and what Engine.IO or the body says.
pub(super) fn refusal_text(head: &Head, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_slice::<serde_json::Value>(body).ok();
    let said =
        said.as_ref().and_then(|json| json.get("message")?.as_str()).unwrap_or(text.lines().next().unwrap_or(""));
    let said: String = said.chars().take(120).collect();
    let colon = if said.is_empty() { "" } else { ": " };
    format!("the server answered {} {}{colon}{said}", head.status, head.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(text: &str) -> Result<(Head, Vec<u8>, Vec<u8>), HttpError> {
        let (mut stream, mut buffer) = (text.as_bytes(), Vec::new());
        let head = read_head(&mut stream, &mut buffer).await?;
        let body = read_body(&mut stream, &mut buffer, &head).await?;
        Ok((head, body, buffer))
    }

    #[tokio::test]
    async fn a_body_is_read_by_its_length_and_the_rest_is_kept() {
        let (head, body, rest) = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabcdef").await.unwrap();
        assert_eq!((head.status, head.header("x"), &body[..], &rest[..]), (200, Some("y"), &b"abc"[..], &b"def"[..]));
    }

    #[tokio::test]
    async fn a_chunked_body_is_put_together() {
        let text =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\nrest";
        let (_, body, rest) = answer(text).await.unwrap();
        assert_eq!((&body[..], &rest[..]), (&b"abc0123456789"[..], &b"rest"[..]));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_and_not_awaited_further() {
        assert!(matches!(answer("SSH-2.0-OpenSSH\r\n").await, Err(HttpError::NotHttp)));
        assert!(matches!(answer("HTTP/1.1 200 OK\r\nContent-").await, Err(HttpError::Closed)));
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(40_000));
        assert!(matches!(answer(&endless).await, Err(HttpError::TooLong { part: "head", .. })));
        let giant = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        assert!(matches!(answer(giant).await, Err(HttpError::TooLong { part: "body", .. })));
    }

    #[tokio::test]
    async fn an_engine_io_error_is_told_in_its_own_words() {
        let text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 47\r\n\r\n{\"code\":5,\"message\":\"Unsupported protocol vers\"}";
        let (head, body, _) = answer(text).await.unwrap();
        let said = refusal_text(&head, &body);
        assert!(said.starts_with("the server answered 400 Bad Request: "), "{said}");
    }
}
