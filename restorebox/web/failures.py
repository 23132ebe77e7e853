"""Errors of a restoration as messages for clients, without paths of the server."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from restorebox.errors import ConfigError, NonFiniteError, PictureError, RestoreboxError, out_of_memory
from restorebox.web.exchange import RequestRefused
from restorebox.web.service import TooLargeError

_FOLDERS = re.compile(r'(?:\b[A-Za-z]:)?[/\\](?:[^\s/\\:]+[/\\])+')


def explain(error: Exception, name: str, model: str, folder: Path) -> RequestRefused:
    """Return the refusal for an error; details that may name files of the server are only logged.

    Args:
        error: raised by a restoration.
        name: the client's name of the picture.
        model: name of the model.
        folder: files in it are called ``name``.
    """
    log = logging.getLogger(__name__)
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, (PictureError, NonFiniteError)):
        status = 413 if isinstance(error, TooLargeError) else 422
        return RequestRefused(status, public(str(error), name, folder))
    if isinstance(error, ConfigError):  # the strength
        return RequestRefused(422, public(str(error), name, folder))
    if out_of_memory(error):
        return RequestRefused(503, f'{name}: not enough memory')
    if isinstance(error, RestoreboxError):
        log.error('%s', error)
        return RequestRefused(500, f"{name}: the server can't restore with {model} now; see its log")
    if isinstance(error, OSError):  # without file names, which would name folders of the server
        return RequestRefused(507, f"{name}: the server can't store it: {error.strerror}")
    log.error('a picture was not restored', exc_info=error)
    return RequestRefused(500, f'{name}: not restored: internal server error')


def public(message: str, name: str, folder: Path) -> str:
    """Return a message about the picture ``name`` without paths of the server; files in ``folder`` become ``name``."""
    text = _FOLDERS.sub('', re.sub(rf'{re.escape(str(folder))}[/\\][^\s:]+', lambda _: name, message))
    return text if text.startswith(name) else f'{name}: {text}'
