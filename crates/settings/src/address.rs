//! URLs as settings may give them: absolute, and with no password that the parser would take for something else.

/// An absolute URL; a message never shows it, as it may hold a password, even one that hides it from the parser.
pub(crate) fn parse(text: &str, schemes: &[&str]) -> Result<url::Url, String> {
    let wanted = || schemes.iter().map(|scheme| format!("{scheme}://…")).collect::<Vec<_>>().join(" or ");
    let Some((_, after)) = text.split_once("://") else {
        return Err(format!("must be an absolute URL: write {}", wanted()));
    };
    // The parser leaves out line ends and tabs, wherever they are, so that it would read another URL than people do.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("holds a space, a line end or another control character: remove it, or write a space as %20".into());
    }
    // With a `#`, `/` or `?` in a password that is not encoded, the part before it would be taken for the host, and the
    // rest of the password for a path, which messages may show.
    let (host, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let no_port = |port: &str| !port.bytes().all(|byte| byte.is_ascii_digit()) || rest.starts_with('#');
    let begun = host.rsplit_once(':').is_some_and(|(_, port)| no_port(port));
    let inside = rest.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    if !host.contains('@') && (begun && rest.contains('@') || inside) {
        return Err(
            "holds a password that can't be told from the rest: write # as %23, / as %2F, ? as %3F, @ as %40, \
                    : as %3A and % as %25 in it"
                .into(),
        );
    }
    match url::Url::parse(text) {
        Ok(url) if !schemes.contains(&url.scheme()) => Err(format!("must be an absolute URL: write {}", wanted())),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Err("names no host: write it in full".into()),
        Ok(url) => Ok(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(format!("must be an absolute URL: write {}", wanted())),
        Err(error) => Err(format!("is no URL ({error}): write {}", wanted())),
    }
}
