//! A client that sends one HTTP/1.1 request per connection: enough for pushes and notifications,
//! and independent of the client that is tested against the server.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "send an HTTP request";

/// A request to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    /// `host[:port]`.
    pub(crate) authority: &'a str,
    pub(crate) method: &'a str,
    /// The path with its query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

/// An answer, with the names of its headers in lower case.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether all of it came, by its own word. What came in chunks has its end, or it would be no reply.
    fn is_whole(&self) -> bool {
        match self.header("content-length") {
            Some(length) => length.parse() == Ok(self.body.len()),
            None => self.header("transfer-encoding").is_some(),
        }
    }
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn send(request: Outgoing<'_>) -> Result<Reply> {
    let Outgoing { authority, method, path, headers, body } = request;
    let context = || format!("{method} http://{authority}{path}");
    let io = |error| Error::io(OPERATION, context(), error);

    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: supercargo-testkit\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let with_port = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = TcpStream::connect(with_port).await.map_err(io)?;
    // Without this the body waits for the head's acknowledgement.
    stream.set_nodelay(true).map_err(io)?;
    // A server that refuses a request need not read its body: it answers and closes, and what was still under way resets
    // the connection. Its answer counts all the same.
    let mut sent = stream.write_all(head.as_bytes()).await;
    if sent.is_ok() {
        sent = stream.write_all(body).await;
    }
    let mut answer = Vec::new();
    let received = stream.read_to_end(&mut answer).await;
    let broken = sent.and(received.map(drop)).err();
    match (parse(&answer), broken) {
        (Some(reply), None) => Ok(reply),
        (Some(reply), Some(_)) if reply.is_whole() => Ok(reply),
        (_, Some(error)) => Err(io(error)),
        (None, None) => Err(Error::new(ErrorKind::Protocol, OPERATION, context())),
    }
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&answer[..end]).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: answer[end + 4..].to_vec() };
    if reply.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        reply.body = join_chunks(&reply.body)?;
    }
    Some(reply)
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let start = line + 2;
        body.extend_from_slice(rest.get(start..start.checked_add(size)?)?);
        if size == 0 {
            return Some(body);
        }
        rest = rest.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_refusal_counts_though_the_body_was_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let refuse = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Enough to know that it is a request. To close with bytes unread resets the connection.
            stream.read_exact(&mut [0; 16]).await.unwrap();
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        };
        let body = vec![0; 8 << 20];
        let request = Outgoing { authority: &authority, method: "PUT", path: "/", headers: &[], body: &body };
        let (reply, ()) = tokio::join!(send(request), refuse);
        let reply = reply.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (401, &b"no"[..]));
    }

    #[test]
    fn answers_are_read_with_either_framing() {
        let check = |answer: &[u8], status: u16, body: &[u8]| {
            let reply = parse(answer).unwrap();
            assert_eq!((reply.status, &reply.body[..]), (status, body));
        };
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi");
        check(
            b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n",
            500,
            b"hi!",
        );
        assert!(parse(b"").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort").is_none());
    }
}
