"""The command ``demographics portal``: the pages on which reviewers read and decide."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import click

from pipeline.cli_console import reported
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.portal.settings import PortalSettings


@click.command()
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0 takes a free one [8600].")
def portal(host: str | None, port: int | None) -> None:
    """Serve reviewers' pages, and to recipients what is theirs, until it is interrupted.

    Listens on this machine alone, unless DEMOGRAPHICS_PORTAL_URL says that a proxy adds HTTPS.
    """
    with reported() as console:
        from pipeline.portal.settings import PortalSettings

        serve(PortalSettings.from_environment(host=host, port=port), console)


def serve(settings: PortalSettings, console: Console) -> None:
    """Serve until somebody interrupts; requests that have begun are answered first.

    Raises:
        ConfigurationError: There is no site, or the address cannot be listened on.
        LedgerError: The ledger's database cannot be reached or written.
    """
    with _listening(settings) as listener:
        import uvicorn

        from pipeline.portal.app import create_app
        from pipeline.portal.patience import patient

        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        app = create_app(Workspace.from_environment(), settings)
        console.print(f"Review: {settings.origin}", markup=False, highlight=False)
        if not app.state.accounts.names():
            console.print("Nobody can log in yet: demographics reviewer add NAME", markup=False, highlight=False)
        config = uvicorn.Config(
            app,
            access_log=False,  # addresses of people and of pages stay out of logs; who did what is in the audit log
            log_level="warning",
            log_config=None,  # through the one handler of this process, which redacts
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies or "",
            server_header=False,
            http=patient(settings.patience),
            limit_concurrency=settings.connections,
            timeout_graceful_shutdown=10,
        )
        with contextlib.suppress(KeyboardInterrupt):  # raised again when everything has come to its end
            uvicorn.Server(config).run(sockets=[listener])


def _listening(settings: PortalSettings) -> socket.socket:
    from pipeline.errors import ConfigurationError

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as failure:
        raise ConfigurationError(
            "the portal must have an address to listen on",
            value=f"{settings.host}, port {settings.port}: {failure.strerror or type(failure).__name__}",
            remedy="Stop what listens there, or give another --port.",
        ) from None
