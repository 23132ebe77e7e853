"""Reception of an uploaded picture: a raw body or a form, written to a private folder in pieces."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from restorebox.web.exchange import RequestRefused, Upload
from restorebox.web.storage import random_key, safe_name

FORM_BYTES = 16 * 2**10  # maximum length of a form in addition to its file
FORM = RequestRefused(400, 'a form must have one file in the field `file`')
RAW = re.compile(r'(?:image/[\w.+-]+|application/(?:octet-stream|x-www-form-urlencoded))?')  # the last: curl's default


async def receive_picture(upload: Upload, folder: Path, megabytes: int) -> tuple[Path, str]:
    """Write an uploaded picture to a folder.

    Args:
        upload: the upload in progress.
        folder: private folder.
        megabytes: maximum size of the file in MiB.

    Returns:
        The file, and the client's name of it for messages.

    Raises:
        RequestRefused: another type of body, no file, an empty or too large one, a slow client, or a full disk.
        ClientDisconnect: the client has gone.
    """
    kind = upload.exchange.header('content-type').partition(';')[0].strip().lower()
    path = folder / secrets.token_urlsafe(24)
    try:
        if kind == 'multipart/form-data':
            name = await _form(upload, path, megabytes)
        elif RAW.fullmatch(kind):
            name = 'picture'
            await _raw(upload, path)
        else:
            raise RequestRefused(415, 'send a picture as the body, or a form (multipart/form-data) with a field `file`')
        size = path.stat().st_size
        if not size:
            raise RequestRefused(400, f'{name}: is empty (0 bytes)')
        if size > megabytes * 2**20:
            raise RequestRefused(413, f'this server takes files up to {megabytes} MiB')
        return path.rename(folder / random_key(name)), name
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RequestRefused(507, f"the server can't store the picture: {error.strerror}") from None
    except BaseException:  # including the end of the connection
        path.unlink(missing_ok=True)
        raise


async def _raw(upload: Upload, path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, 'wb') as file:
        while True:
            message = await upload.receive()
            if message['type'] == 'http.disconnect':
                raise ClientDisconnect
            file.write(message.get('body', b''))  # at most 64 KiB, to the page cache
            if not message.get('more_body'):
                return


async def _form(upload: Upload, path: Path, megabytes: int) -> str:
    scope = {'type': 'http', 'method': 'POST', 'headers': upload.exchange.scope['headers']}
    try:
        async with Request(scope, upload.receive).form(max_files=1, max_fields=4, max_part_size=1024) as fields:
            files = [value for _, value in fields.multi_items() if not isinstance(value, str)]
            if len(files) != 1 or 'file' not in fields:
                raise FORM
            if (files[0].size or 0) > megabytes * 2**20:
                raise RequestRefused(413, f'this server takes files up to {megabytes} MiB')
            await asyncio.to_thread(_copy, files[0].file, path)
            return safe_name(files[0].filename or '') or 'picture'
    except (MultiPartException, KeyError, ValueError):
        raise FORM from None


def _copy(file: BinaryIO, path: Path) -> None:
    with open(path, 'xb') as out:
        shutil.copyfileobj(file, out, 2**18)
