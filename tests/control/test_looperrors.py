"""What control's loop says of errors that nobody caught."""

from __future__ import annotations

import pytest

from lb.control.looperrors import report

CLOSED = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


class Loop:
    def __init__(self):
        self.said = []

    def default_exception_handler(self, context):
        self.said.append(context)


def test_bytes_for_a_closed_tls_connection_are_no_error():
    loop = Loop()
    report(loop, {"message": "Fatal error on SSL protocol", "exception": CLOSED})
    assert loop.said == []


@pytest.mark.parametrize(
    "context",
    [
        {"message": "Fatal error on SSL protocol", "exception": OSError("the handler is closed")},
        {"message": "Fatal error on SSL protocol", "exception": RuntimeError("of another kind")},
        {"message": "Exception in callback", "exception": CLOSED},
        {"message": "Task was destroyed but it is pending!"},
    ],
)
def test_everything_else_is_said(context):
    loop = Loop()
    report(loop, context)
    assert loop.said == [context]
