//! TLS from files, or from a certificate made at the start.

use std::{fs, net::IpAddr, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use super::Failure;

/// An acceptor from PEM files.
///
/// # Errors
/// One sentence naming the file and what is wrong with it.
pub(super) fn from_files(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let read = |path: &Path, what: &str| {
        fs::read(path)
            .map_err(|error| Failure::Usage(format!("cannot read the TLS {what} {}: {error}", path.display())))
    };
    let pem = read(certificate, "certificate")?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(Failure::Usage(format!(
            "{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
            certificate.display()
        )));
    }
    let pem = read(key, "key")?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| Failure::Usage(format!("{} holds no private key in PEM form: {error}", key.display())))?;
    acceptor(chain, private).map_err(|error| {
        Failure::Usage(format!(
            "the key {} does not serve the certificate {}: {error}",
            key.display(),
            certificate.display()
        ))
    })
}

/// An acceptor with a certificate made now for these addresses and `localhost`.
///
/// # Errors
/// Where none can be made.
pub(super) fn self_made(addresses: &[IpAddr]) -> Result<TlsAcceptor, Failure> {
    let names: Vec<String> = addresses.iter().map(IpAddr::to_string).chain(["localhost".to_owned()]).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(anyhow::Error::from)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    Ok(acceptor(vec![made.cert.der().clone()], key).map_err(anyhow::Error::from)?)
}

/// The same certificate for RTMPS: without HTTP's protocol names, which clients of RTMPS do not offer.
pub(super) fn for_rtmp(acceptor: &TlsAcceptor) -> TlsAcceptor {
    let mut config = ServerConfig::clone(acceptor.config());
    config.alpn_protocols.clear();
    TlsAcceptor::from(Arc::new(config))
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
