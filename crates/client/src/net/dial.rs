//! A TCP connection, with TLS over it where the URL says so.

use std::{net::IpAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::Trust;
use crate::Error;

/// Until a connection stands, and again until TLS does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, whatever is under it.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Connects; with the address of ours that the server is reached from.
///
/// # Errors
/// Where nobody answers, or the certificate is not believed.
pub(crate) async fn dial(host: &str, port: u16, tls: bool, trust: Trust) -> Result<(Box<dyn Io>, IpAddr), Error> {
    let failed = |why: &dyn std::fmt::Display| Error::Unreachable(format!("cannot reach {host} port {port}: {why}"));
    let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
    let socket = connected.map_err(|_| failed(&"no answer within 5 s"))?.map_err(|error| failed(&error))?;
    let _ = socket.set_nodelay(true);
    let local = socket.local_addr().map_err(|error| failed(&error))?.ip();
    if !tls {
        return Ok((Box::new(socket), local));
    }
    let config = trust.config().map_err(|error| failed(&error))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
    let secured = timeout(CONNECT_TIMEOUT, TlsConnector::from(config).connect(name, socket)).await;
    let secured = secured.map_err(|_| failed(&"no TLS within 5 s: is this a TLS port?"))?;
    let secured = secured.map_err(|error| {
        let certificate = error.to_string().contains("certificate");
        let hint = if certificate { "; for a self-made certificate, add --insecure" } else { "" };
        failed(&format!("{error}{hint}"))
    })?;
    Ok((Box::new(secured), local))
}
