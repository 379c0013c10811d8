"""SFTP servers that are checked: fsspec's own class takes any server for the right one.

A server is known by ``~/.ssh/known_hosts``, by ``/etc/ssh/ssh_known_hosts``, or by the ``host_key`` of its connection.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from pathlib import Path
from typing import Any, Final

import fsspec
import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from pipeline.errors import SourceError

_EVERYBODYS: Final = Path("/etc/ssh/ssh_known_hosts")
_PATIENCE: Final = 30.0  # seconds to connect, if the connection says nothing of it


def require_known_hosts() -> None:
    """Let fsspec open ``sftp://`` and ``ssh://`` in this process with the class below."""
    for protocol in KnownHostsFileSystem.protocol:
        fsspec.register_implementation(protocol, KnownHostsFileSystem, clobber=True)


class KnownHostsFileSystem(SFTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files over SFTP from servers that are known.

    Args:
        host: Name or address.
        host_key: The server's public key, ``ssh-ed25519 AAAA...`` or the part after the blank for RSA; no other is
            taken then.
        host_key_policy: ``reject`` for a server that is not known; ``auto_add`` takes any.
        ssh_kwargs: As paramiko's ``SSHClient.connect`` has them.

    Raises:
        SourceError: The server is not known, has another key than it is known by, does not answer, or does not let us
            in.
    """

    protocol = ("sftp", "ssh")

    def __init__(
        self, host: str, host_key: str | None = None, host_key_policy: str = "reject", **ssh_kwargs: Any
    ) -> None:
        self._host_key = _public_key(host_key) if host_key else None
        ssh_kwargs.setdefault("timeout", _PATIENCE)
        super().__init__(host, host_key_policy=host_key_policy, **ssh_kwargs)

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(self.host_key_policy)
        if self._host_key is None:
            self.client.load_system_host_keys()
            with contextlib.suppress(OSError):  # most machines have none for everybody
                self.client.load_system_host_keys(str(_EVERYBODYS))  # these, unlike others, are never written back
        else:
            port = self.ssh_kwargs.get("port", paramiko.config.SSH_PORT)
            name = self.host if port == paramiko.config.SSH_PORT else f"[{self.host}]:{port}"
            self.client.get_host_keys().add(name, self._host_key.get_name(), self._host_key)
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
        except (paramiko.SSHException, OSError, EOFError) as failure:
            self.client.close()
            raise _refusal(self.host, failure) from None

    def ls(self, path: str, detail: bool = False) -> list[Any]:
        """The entries of a folder, one request after the other.

        fsspec asks for many parts at once, and paramiko then takes answers in the order of its questions: a server that
        answers in another leaves entries out, or is waited for without end.
        """
        folder = self._strip_protocol(path)
        found = [self._decode_stat(entry, folder) for entry in self.ftp.listdir_attr(folder)]
        return found if detail else sorted(entry["name"] for entry in found)


def _public_key(text: str) -> paramiko.PKey:
    kind, _, digits = text.strip().rpartition(" ")
    try:
        return paramiko.PKey.from_type_string(kind or "ssh-rsa", base64.b64decode(digits, validate=True))
    except (paramiko.SSHException, binascii.Error, ValueError, IndexError):
        raise SourceError(
            "the host_key of a connection must be a public key of an SSH server",
            value="something else",
            remedy="Take it from the server's administrator, or from ssh-keyscan and compare its fingerprint.",
        ) from None


def _refusal(host: str, failure: Exception) -> SourceError:
    if isinstance(failure, paramiko.AuthenticationException):
        rule, remedy = "an SFTP server must let the pipeline in", "Check login, password and key of the connection."
    elif isinstance(failure, paramiko.BadHostKeyException):
        rule = "an SFTP server must have the key by which it is known"
        remedy = "Ask its administrator whether the key was changed; somebody may be in between."
    elif isinstance(failure, paramiko.SSHException) and "known_hosts" in str(failure):
        rule = "an SFTP server must be known"
        remedy = (
            "Compare its key's fingerprint with its administrator's, then add it to ~/.ssh/known_hosts or host_key."
        )
    else:
        rule, remedy = "an SFTP server must answer", "Check host and port, and whether it runs."
    return SourceError(rule, value=f"{type(failure).__name__} from {host}", remedy=remedy)
