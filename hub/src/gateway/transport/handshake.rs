//! What a client sent when it opened its connection, in one allocation.

use std::{
    borrow::Cow,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, header};

/// The first request of a connection. Headers are a copy of their own: hyper's pin its whole read buffer.
pub struct Handshake {
    address: IpAddr,
    /// Milliseconds since the Unix epoch.
    time_ms: u64,
    /// The query, then a line `name:value` for each header. Neither can hold a line feed, nor a name a colon.
    text: Box<str>,
}

impl Handshake {
    pub(super) fn new(address: IpAddr, query: &str, headers: &HeaderMap) -> Self {
        let kept = || {
            let texts = headers.iter().filter_map(|(name, value)| {
                let value = std::str::from_utf8(value.as_bytes()).ok()?;
                Some((name.as_str(), value))
            });
            texts.filter(|(name, _)| !is_of_the_hop(name))
        };
        let len = query.len() + kept().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        let mut text = String::with_capacity(len);
        text.push_str(query);
        for (name, value) in kept() {
            text.push('\n');
            text.push_str(name);
            text.push(':');
            text.push_str(value);
        }
        let time_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        Self { address, time_ms, text: text.into() }
    }

    /// The client's address; behind a trusted proxy the one that the proxy told.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// When the request came, by the system's clock.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.time_ms)
    }

    /// The first value of a header. `name` in lower case. Values that are not UTF-8, and headers of the HTTP connection
    /// itself (`connection`, `upgrade`, `sec-websocket-*`), are not kept.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The headers that are kept, names in lower case, each as often as it was sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.split('\n').skip(1).filter_map(|line| line.split_once(':'))
    }

    /// The first value of a query parameter, decoded; what is no UTF-8 then is replaced.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.queries().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// All query parameters in their order, decoded.
    pub fn queries(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.text.split('\n').next().unwrap_or_default();
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }
}

fn is_of_the_hop(name: &str) -> bool {
    name == header::CONNECTION || name == header::UPGRADE || name.starts_with("sec-websocket-")
}

/// Takes the percent-encoding off a part of a query; `+` is a space.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let byte = match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = behind;
                hex(*high) << 4 | hex(*low)
            }
            _ => *first,
        };
        decoded.push(byte);
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn handshake(query: &str, headers: &[(&'static str, &[u8])]) -> Handshake {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        Handshake::new(Ipv4Addr::LOCALHOST.into(), query, &map)
    }

    #[test]
    fn headers_are_found_by_name_and_in_their_order() {
        let headers: &[(_, &[u8])] = &[
            ("host", b"hub:3000"),
            ("x-twice", b"1"),
            ("x-twice", b"2"),
            ("x-bytes", b"\xff\xfe"),
            ("x-utf8", "grün".as_bytes()),
            ("sec-websocket-key", b"abc"),
            ("upgrade", b"websocket"),
        ];
        let handshake = handshake("a=1", headers);
        assert_eq!(handshake.header("host"), Some("hub:3000"));
        assert_eq!(handshake.header("x-twice"), Some("1"));
        assert_eq!(handshake.header("x-utf8"), Some("grün"));
        for absent in ["x-bytes", "sec-websocket-key", "upgrade", "a=1", ""] {
            assert_eq!(handshake.header(absent), None, "{absent}");
        }
        let names: Vec<&str> = handshake.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "x-twice", "x-twice", "x-utf8"]);
    }

    #[test]
    fn query_parameters_are_decoded() {
        let check = |query: &str, name: &str, expected: Option<&str>| {
            assert_eq!(handshake(query, &[]).query(name).as_deref(), expected, "{query}");
        };
        check("", "a", None);
        check("a=1&b=2", "b", Some("2"));
        check("a=1&a=2", "a", Some("1"));
        check("a", "a", Some(""));
        check("token=a%20b+c%2B", "token", Some("a b c+"));
        check("token=%C3%bc", "token", Some("ü"));
        check("t%6fken=x", "token", Some("x"));
        check("a=%", "a", Some("%"));
        check("a=%4", "a", Some("%4"));
        check("a=%zz", "a", Some("%zz"));
        check("a=%ff", "a", Some("\u{fffd}"));
        check("a=b=c", "a", Some("b=c"));
    }
}
