//! TCP connections to brokers and databases, and the parts of their URLs that all of them have.

use std::io;

use autoscalebot_core::Failure;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;

use crate::http;

/// Opens a connection: to the first of the host's addresses that takes one.
pub(crate) async fn tcp(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses = http::lookup(host.trim_matches(['[', ']']).to_owned()).await?;
    let mut last = Failure::Refused;
    for mut address in addresses {
        address.set_port(port);
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Questions are small and wait for their answers: holding them back to fill a packet would only cost time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = broken(&error),
        }
    }
    Err(last)
}

/// What an error of a connection means.
pub(crate) fn broken(error: &io::Error) -> Failure {
    http::failure_of(error)
}

/// A part of a URL as it was meant: `p%2320` is `p#20`. Bytes that are no text are left as they are written.
pub(crate) fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8().map_or_else(|_| part.to_owned(), Into::into)
}

/// User name and password of a URL, decoded; empty ones are none.
pub(crate) fn login(url: &url::Url) -> (Option<String>, Option<String>) {
    let some = |part: &str| Some(decoded(part)).filter(|part| !part.is_empty());
    (some(url.username()), url.password().and_then(some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a25_odd_characters_of_a_password_arrive_as_they_were_meant() {
        for (written, meant) in
            [("p%2320", "p#20"), ("p%4020", "p@20"), ("a%2Fb", "a/b"), ("a%3Ab", "a:b"), ("%25", "%"), ("a+b", "a+b")]
        {
            let url = format!("amqp://mon:{written}@mq.example:5672/").parse().unwrap();
            assert_eq!(login(&url), (Some("mon".into()), Some(meant.into())), "{written}");
        }
        assert_eq!(login(&"redis://:pw@x".parse().unwrap()), (None, Some("pw".into())));
        assert_eq!(login(&"redis://x".parse().unwrap()), (None, None));
    }
}
