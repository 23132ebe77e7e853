"""HTTP server of the web page, with connection limits and a private folder for files.

The folder is readable by its user only. An upload is removed after it has been read, a result when its page is closed,
both after ``MAX_AGE`` seconds at the latest. The folder is removed when the server stops.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

from restorebox.errors import ConfigError
from restorebox.web.connections import run_server
from restorebox.web.guard import Guard
from restorebox.web.hosts import HostNames
from restorebox.web.page import build_page, import_gradio
from restorebox.web.request_checks import CONCURRENT
from restorebox.web.results import CSS, HEAD
from restorebox.web.service import Limits, RestorationService
from restorebox.web.storage import FileStore

FOLDER = 'restorebox-web-'  # prefix of folder names
MAX_AGE = 600  # seconds
CAPACITY_FACTOR = 4  # disk space per active or queued request, in multiples of the maximum upload size
FONTS = ['system-ui', 'sans-serif']


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder that only this user can read, and remove it at the end.

    Folders left by killed servers are removed as well.
    """
    for leftover in Path(tempfile.gettempdir()).glob(f'{FOLDER}*'):
        with suppress(OSError), open(leftover / 'lock', 'rb') as other:
            if _try_lock(other):
                shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    lock = open(folder / 'lock', 'wb')  # noqa: SIM115 (held until the process ends)
    _try_lock(lock)
    before = os.environ.get('GRADIO_TEMP_DIR')
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    try:
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop('GRADIO_TEMP_DIR')
        if before is not None:
            os.environ['GRADIO_TEMP_DIR'] = before


def _try_lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; False if another process holds the lock or locks are not supported."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    Raises:
        ConfigError: the host is unknown or not an address of this machine, or the port is in use.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, number)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"can't serve on {host}, port {port}: {error.strerror or error}; try another --port or --host"
        ) from None
    return bound


def build_app(
    service: RestorationService, store: FileStore, names: HostNames, stopping: Event | None = None, prefix: str = ''
) -> Guard:
    """Return the ASGI application: the Gradio page, below the path ``prefix``, behind the guard."""
    gr = import_gradio()
    from fastapi import FastAPI

    page = build_page(service, store, stopping, prefix)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path=prefix or '/',
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=f'{service.limits.megabytes}mb',
        theme=gr.themes.Default(font=FONTS, font_mono=['monospace']),
        css=CSS,
        head=HEAD,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    work = next(number for number, each in page.fns.items() if each.name == 'work')
    return Guard(app, store, names, service.limits, work, stopping, prefix)


def file_store(folder: Path, limits: Limits, stopping: Event) -> FileStore:
    """Create the storage of the page's files in a private folder; a thread removes expired files."""
    files = folder / 'files'
    files.mkdir()
    store = FileStore(files, CAPACITY_FACTOR * (limits.waiting + CONCURRENT) * limits.megabytes * 2**20)

    def remove_expired_files() -> None:
        while not stopping.wait(MAX_AGE / 10):
            store.remove_expired(MAX_AGE)

    Thread(target=remove_expired_files, daemon=True).start()
    return store


def host_names(host: str, bound: socket.socket, allowed: tuple[str, ...]) -> HostNames:
    """Return the names under which a bound socket is reached."""
    address, port = bound.getsockname()[:2]
    return HostNames(host, port, socket.gethostname() if address in ('0.0.0.0', '::') else '', allowed)


def serve(
    service: RestorationService, host: str, port: int, ready: Callable[[str], None], allowed: tuple[str, ...] = ()
) -> None:
    """Serve the page until interrupted.

    Args:
        service: restoration service.
        host: name or address to listen on.
        port: port; 0 for any free one.
        ready: called with the page's URL when the server accepts connections.
        allowed: further host names, see :class:`~restorebox.web.hosts.HostNames`.

    Raises:
        ConfigError, MissingPackageError: see :func:`bind` and :func:`~restorebox.web.page.build_page`.
    """
    import_gradio()
    stopping = Event()
    with bind(host, port) as bound, private_folder() as folder:
        names = host_names(host, bound, allowed)
        app = build_app(service, file_store(folder, service.limits, stopping), names, stopping)
        # short grace period, since open pages keep their connections open
        run_server(app, bound, folder, lambda: ready(names.url), stopping)
