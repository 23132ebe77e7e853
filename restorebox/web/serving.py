"""Server of ``restorebox serve``: the HTTP service, and the web page below ``/page`` where Gradio is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from threading import Event, Thread

from restorebox.errors import missing_package
from restorebox.web.service import RestorationService

PAGE = '/page'
RESULT_AGE = 600.0  # seconds for which a job's result is kept
RESULT_FACTOR = 4  # storage for results of jobs, in multiples of the maximum upload size per place
PACKAGES = ('fastapi', 'uvicorn', 'prometheus_client', 'python_multipart')


def check_packages() -> None:
    """Check that the packages of the extra ``serve`` are installed.

    Raises:
        MissingPackageError: one is not.
    """
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise missing_package('restorebox serve', 'serve', ImportError(name=name))


def serve_api(
    service: RestorationService,
    host: str,
    port: int,
    ready: Callable[[str, bool], None],
    allowed: tuple[str, ...] = (),
    grace: int = 25,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in progress are finished within the grace period.

    Args:
        service: restoration service.
        host: name or address to listen on.
        port: port; 0 for any free one.
        ready: called with the URL, and whether the web page is served, when the server accepts connections.
        allowed: further host names, see :class:`~restorebox.web.hosts.HostNames`.
        grace: seconds.

    Raises:
        ConfigError: see :func:`~restorebox.web.server.bind`.
        MissingPackageError: a package of the extra ``serve`` is not installed.
    """
    check_packages()
    from restorebox.web.api import Api, build_api
    from restorebox.web.connections import run_server
    from restorebox.web.front import Front
    from restorebox.web.jobs import Jobs
    from restorebox.web.metrics import Metrics
    from restorebox.web.request_checks import CONCURRENT
    from restorebox.web.restorations import Restorations
    from restorebox.web.server import bind, build_app, file_store, host_names, private_folder

    stopping = Event()
    limits = service.limits
    places = limits.waiting + CONCURRENT
    with bind(host, port) as bound, private_folder() as folder:
        names = host_names(host, bound, allowed)
        pictures = folder / 'pictures'
        pictures.mkdir()
        metrics = Metrics()
        restorations = Restorations(service, pictures, metrics)
        jobs = Jobs(restorations, RESULT_AGE, RESULT_FACTOR * places * limits.megabytes * 2**20, 4 * places)
        page = None
        if importlib.util.find_spec('gradio') is not None:
            page = build_app(service, file_store(folder, limits, stopping), names, stopping, PAGE)
        api = Api(restorations, jobs, metrics, limits, places, stopping)
        app = Front(build_api(api, PAGE if page else None), page, PAGE, names, metrics, stopping)

        def watch() -> None:
            while not stopping.wait(RESULT_AGE / 10):
                jobs.tidy()
            jobs.cancel_all()  # nobody can fetch their results any more

        Thread(target=watch, daemon=True).start()
        run_server(app, bound, folder, lambda: ready(names.url, page is not None), stopping, grace)
