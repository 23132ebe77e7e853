"""Exceptions for user errors, and helpers for their messages.

A wrong path, config key or checkpoint raises one of these. Its message is one line that says what is wrong, where, and
what would be right. The command line prints that line and exits non-zero; a traceback means a bug in restorebox.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import unicodedata

_MEMORY = re.compile(
    r"out of memory|not enough memory|insufficient memory|(can't|cannot|could not|failed to) allocate|bad.?alloc"
    r"|alloc_failed|killed by signal: killed|can't start new thread"
    # messages of oneDNN, and of Pillow when zlib cannot allocate its buffers
    r'|could not create a (primitive|memory)|codec configuration error when writing',
    re.IGNORECASE,
)

_HERE = os.path.dirname(__file__) + os.sep
_PYTHON = os.path.dirname(os.__file__) + os.sep

# disk full, file too large, quota, read-only, permission: reported as user errors wherever they occur
DISK_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES)


class RestoreboxError(Exception):
    """Base class of the errors that the command line prints as one line.

    Control characters in the message, such as those of file names, are escaped.
    """

    def __str__(self) -> str:
        text = super().__str__()
        worker = text.startswith('Caught ') and 'Original Traceback' in text  # raised in a data-loader worker
        return text if worker else printable(text)


class ConfigError(RestoreboxError):
    """A config is invalid: an unknown key, an unknown type, or contradictory values."""


class PluginError(ConfigError):
    """A plugin can't be imported; the message is complete without the place in a config that needed it."""


class DataError(RestoreboxError):
    """A data set is invalid: a missing or empty folder, mismatched counts, or unpaired pictures."""


class PictureError(DataError):
    """A picture can't be read. The message names the file and the reason."""


class CheckpointError(RestoreboxError):
    """A checkpoint can't be read or written, is not trusted, or does not match the model."""


class WeightsError(RestoreboxError):
    """Weights of a third-party network (VGG, AlexNet, Inception, CLIP, EfficientNet) were not found."""


class NonFiniteError(RestoreboxError):
    """A loss term or a weight became NaN or infinite. The message names the term."""


class BusyError(RestoreboxError):
    """Another process holds the lock of the folder. The message names it."""


class ExportError(RestoreboxError):
    """A model can't be exported, or an exported file can't be read or its output differs from the model's."""


class MissingPackageError(RestoreboxError):
    """An optional package is not installed. The message says what to install."""


def source_line(error: BaseException) -> str:
    """Return ``'FILE, line N'`` of a user's code that raised an exception; '' if none did.

    It is the innermost frame that is neither of this package, of Python, nor installed with other packages. MMEngine
    compiles the text of a config without a name; such a frame is that of the config.
    """
    found, config = '', ''
    trace = error.__traceback__
    while trace is not None:
        file, names = trace.tb_frame.f_code.co_filename, trace.tb_frame.f_locals
        if trace.tb_frame.f_code.co_name == '_file2dict':
            config = str(names.get('filename', ''))
        if file == '' and config:
            found = f'{config}, line {trace.tb_lineno}'
        elif file and not file.startswith(('<', _PYTHON, _HERE)) and 'site-packages' not in file:
            found = f'{file}, line {trace.tb_lineno}'
        trace = trace.tb_next
    return found


def missing_package(what: str, extra: str, error: ImportError) -> MissingPackageError:
    """Return the error for a missing package of an optional extra.

    Args:
        what: feature that needs the package; the message begins with it.
        extra: name in ``extras_require`` of setup.py.
        error: exception that the import raised.
    """
    name = (error.name or str(error)).split('.')[0]
    return MissingPackageError(f"{what} needs the package {name}, which is not here: pip install 'restorebox[{extra}]'")


def printable(text: object) -> str:
    r"""Return text with control and format characters escaped (``\x1b``), safe for a terminal or a log."""
    return ''.join(c if c.isprintable() or unicodedata.category(c) == 'Zs' else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode gives it
        return f'\\x{ord(character) - 0xDC00:02x}'
    return character.encode('unicode_escape').decode()


def out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error was caused by a lack of CPU or GPU memory, so that the input is not to blame.

    NumPy and Python raise ``MemoryError``; PyTorch, OpenCV, Pillow and ONNX Runtime raise other types. The whole chain
    of causes is searched.
    """
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {'MemoryError', 'OutOfMemoryError'} or getattr(error, 'errno', None) == errno.ENOMEM:
            return True
        text = getattr(error, 'strerror', None) or str(error)  # strerror has no file name, which could match by chance
        if not isinstance(error, RestoreboxError) and _MEMORY.search(text):
            return True
        error = error.__cause__ or error.__context__
    return False


def lost_peer(error: BaseException) -> bool:
    """Return whether an error of gloo or NCCL says that another rank has ended."""
    text = str(error)
    return isinstance(error, RuntimeError) and ('closed by peer' in text or 'reset by peer' in text)


def one_line(error: BaseException) -> str:
    """Return an error's message as one line; for data-loader workers, the last line of the traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any('Original Traceback' in line for line in lines):
        return lines[-1].split(': ', 1)[-1]
    return ' '.join(lines)


def tell_of_lost_log(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Print a line for a log that can't be written, once; logging would print a traceback for each message."""
    if not getattr(handler, 'told', False):
        handler.told = True  # type: ignore[attr-defined]
        name = getattr(handler, 'baseFilename', 'standard error')
        error = sys.exc_info()[1]
        reason = getattr(error, 'strerror', None) or error
        print(printable(f"log {name}: can't be written ({reason}); what follows is missing in it"), file=sys.stderr)
