"""Errors that are the user's to mend.

Whatever a person can get wrong (a path, a config key, a checkpoint) is raised as one of these with one line that says
what is wrong, where, and what would be right. The command line prints that line and exits non-zero; a traceback is for
our own mistakes only.
"""

from __future__ import annotations

import errno
import re
import unicodedata

_MEMORY = re.compile(
    r"out of memory|not enough memory|insufficient memory|(can't|cannot|could not|failed to) allocate|bad.?alloc"
    r"|alloc_failed|killed by signal: killed|can't start new thread"
    # oneDNN's words, and Pillow's where zlib gets no memory to begin with
    r'|could not create a (primitive|memory)|codec configuration error when writing',
    re.IGNORECASE,
)

# disk full, file too large, quota, read-only, permission: the user's to mend, whoever wrote the file
DISK_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES)


class RestoreboxError(Exception):
    """Base of all errors that a command line prints as one line; the names of files in it may hold anything."""

    def __str__(self) -> str:
        text = super().__str__()
        worker = text.startswith('Caught ') and 'Original Traceback' in text  # torch's, around a data-loader worker's
        return text if worker else printable(text)


class ConfigError(RestoreboxError):
    """A config is wrong: an unknown key, an unknown type, values that contradict each other."""


class DataError(RestoreboxError):
    """A dataset is wrong: a missing or empty folder, counts that don't match, pictures without a partner."""


class PictureError(DataError):
    """One picture can't be read. The message names the file and the reason."""


class CheckpointError(RestoreboxError):
    """A checkpoint can't be read, written, trusted or doesn't fit the model."""


class WeightsError(RestoreboxError):
    """Weights of a third-party network (VGG, AlexNet, Inception, CLIP) are not where they are looked for."""


class NonFiniteError(RestoreboxError):
    """A loss term or a weight became NaN or infinite. The message names the term."""


class BusyError(RestoreboxError):
    """Another process is at work in the folder. The message names it."""


class ExportError(RestoreboxError):
    """A model can't be exported, or an exported file can't be read or does not give what its model gives."""


class MissingPackageError(RestoreboxError):
    """A package that only some of the work needs is not installed. The message says what to install."""


def missing_package(what: str, extra: str, error: ImportError) -> MissingPackageError:
    """The error for a package that one of our extras brings.

    Args:
        what: that needs it, as the line begins.
        extra: a name of ``extras_require`` in setup.py.
        error: what the import raised.
    """
    name = (error.name or str(error)).split('.')[0]
    return MissingPackageError(f"{what} needs the package {name}, which is not here: pip install 'restorebox[{extra}]'")


def printable(text: object) -> str:
    r"""A text from a file or a name, for a terminal or a log: control and format characters are escaped (``\x1b``)."""
    return ''.join(c if c.isprintable() or unicodedata.category(c) == 'Zs' else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode gives it
        return f'\\x{ord(character) - 0xDC00:02x}'
    return character.encode('unicode_escape').decode()


def out_of_memory(error: BaseException | None) -> bool:
    """Whether the machine's or the GPU's memory ran out: the input's fault it is never.

    NumPy and Python raise ``MemoryError``; PyTorch, OpenCV, Pillow and ONNX Runtime say it in errors of other kinds.
    One of ours that such an error led to counts as well.
    """
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {'MemoryError', 'OutOfMemoryError'} or getattr(error, 'errno', None) == errno.ENOMEM:
            return True
        text = getattr(error, 'strerror', None) or str(error)  # without the name of a file, which may be anything
        if not isinstance(error, RestoreboxError) and _MEMORY.search(text):
            return True
        error = error.__cause__ or error.__context__
    return False


def one_line(error: BaseException) -> str:
    """An error's message on one line; a data-loader worker's is the last line of the traceback that torch put in."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any('Original Traceback' in line for line in lines):
        return lines[-1].split(': ', 1)[-1]
    return ' '.join(lines)
