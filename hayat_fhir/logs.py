"""Logs: one JSON object a line on standard error; no personal data, no query strings, no bodies."""

from __future__ import annotations

import logging
import sys
import warnings

import structlog

_CONSTANT = frozenset({"uvicorn.error"})
"""Loggers of libraries whose texts are constants or templates, and so say nothing of a request."""


class _Library(logging.Handler):
    """Tells of a library's warning where it was raised; its text and values may be somebody's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        said = {"said": str(record.msg).strip()} if record.name in _CONSTANT else {}
        fault = {"type": record.exc_info[0].__name__} if record.exc_info and record.exc_info[0] else {}
        place = f"{record.filename}:{record.lineno}"
        structlog.get_logger().log(record.levelno, "library", logger=record.name, place=place, **said, **fault)


def configure_logging() -> None:
    """Set structlog up for this process, and lead what libraries log into it; what they warn of is not told.

    A warning's text may be somebody's, and Python keeps each that it has seen.
    """
    warnings.simplefilter("ignore")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Library(logging.WARNING)], level=logging.WARNING, force=True)
