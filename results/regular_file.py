"""Opens a file of a run's folder to read it, whoever made that folder.

A bundle may come from anywhere. A pipe in a file's place would keep its reader waiting for ever, a
link would have it read what lies outside of the bundle: neither is opened. Every reader of a run's
folder opens its files by this. This module must not know what the files hold.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Raises OSError, whose `strerror` says what it is where that is no regular file.

    Links are not followed at the end of the path, where the file's own name is.
    """
    # Opening a pipe would wait for somebody to write; to a regular file O_NONBLOCK is nothing.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed") from error
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "it is no regular file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise
