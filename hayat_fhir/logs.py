"""Logs: one JSON object a line on standard error; no personal data, no query strings, no bodies."""

from __future__ import annotations

import sys

import structlog


def configure_logging() -> None:
    """Set structlog up for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
