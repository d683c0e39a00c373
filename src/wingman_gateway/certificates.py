"""The certificate that the gateway shows, and whom it lets in: renewed on disk, served at the next handshake.

Guarantees: a client needs a certificate of the deployment's CA; half of a renewal changes nothing. Does not: tell of a
renewal that cannot be used (``reload`` does, without waiting for a handshake).
"""

import grpc

from wingman_core.errors import SettingInvalid
from wingman_gateway.reload import stamp_of
from wingman_gateway.settings import Settings, tls_files


class Credentials:
    """The server's certificate, read again when its files change."""

    def __init__(self, settings: Settings) -> None:
        """Read the files; raise ``SettingInvalid`` if they cannot be used."""
        self._settings = settings
        self._paths = (settings.tls_key, settings.tls_cert, settings.tls_ca)
        self._seen = stamp_of(self._paths)
        self._configuration = self._read()

    def for_server(self) -> grpc.ServerCredentials:
        """Return credentials that require a client certificate of the CA."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration,
            self._renewed,  # type: ignore[arg-type]  # None says unchanged; the stubs do not know
            require_client_authentication=True,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new configuration if the files changed and are usable; asked at every handshake."""
        stamp = stamp_of(self._paths)
        if stamp == self._seen:
            return None
        try:
            configuration = self._read()
        except SettingInvalid:
            # Half of a renewal: the old pair serves until the new one is whole.
            return None
        self._seen = stamp
        return configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        key, chain, authority = tls_files(self._settings)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authority)
