"""The chapters Timer, Frame, numeric and awsSignatureV4 of the mutil seed."""

import logging
from typing import Any

import pytest

pytestmark = pytest.mark.extras


def test_timer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    from mainspring.compat.mutil.timer import Timer

    worker, things, counted = 3, range(5), []

    def count(thing):
        counted.append(thing)

    with Timer(f"[{worker}] Finished Counting!"):
        for thing in things:
            count(thing)
    assert list(things) == counted


def test_frame() -> None:
    import pandas as pd
    from loguru import logger

    df = pd.DataFrame({"price": range(30)})
    lines: list[Any] = []
    number = logger.add(lines.append, format="{level}|{message}", level=0)
    from mainspring.compat.mutil.frame import printFrame, setupLogger

    setupLogger()
    printFrame(df)
    printFrame(df, "optional caption for the log line")
    printFrame(df, "optional caption for the log line", 12)
    printFrame(df, "optional caption for the log line", 12, "INFO")
    logger.remove(number)
    assert 2 + 2 + 4 + 4 == len(lines)
    assert "INFO|optional caption for the log line :: Row count: 30\n" == lines[2]
    assert [True] * 3 == [line.startswith("FRAME|\n") and "price" in line for line in lines[5:8]]
    assert [True] * 3 == [line.startswith("INFO|\n") and "price" in line for line in lines[9:]]


def test_rounding() -> None:
    import mainspring.compat.mutil.numeric as n

    def roundnear7(p, updown):
        return n.roundnear(0.07, p, updown)

    def test_rn7_up():
        assert roundnear7(0.24, True) == 0.28
        assert roundnear7(0.01, True) == 0.07
        assert roundnear7(-0.01, True) == 0.00

    def test_rn7_down():
        assert roundnear7(0.24, False) == 0.21
        assert roundnear7(0.01, False) == 0.00
        assert roundnear7(-0.01, False) == -0.07

    test_rn7_up()
    test_rn7_down()


def test_formatting() -> None:
    from mainspring.compat.mutil.numeric import fmtPrice, fmtPricePad

    assert fmtPrice(3.333333333333) == "3.3333"
    assert fmtPrice(800000222222.333777777777777) == "800,000,222,222.3337"

    assert fmtPricePad(3.333333333333, 10) == "    3.3333"
    # the seed shows two blanks less, which would be 28 places and not the 30 that are asked for
    assert fmtPricePad(800000222222.333777777777777, 30) == "          800,000,222,222.3337"


def test_signatures() -> None:
    access_key, secret_key = "id", "key"
    from mainspring.compat.mutil.awsSignatureV4 import SignatureV4

    sig = SignatureV4(access_key, secret_key, "my-bucket.s3.us-west-001.amazonaws.com")
    request_headers_dict = sig.getHeaders("GET", "/path-inside/some-bucket")
    assert {"x-amz-date", "Authorization"} <= request_headers_dict.keys()

    import yarl

    def sig_for(access_key, secret_key, url):
        parts: Any = yarl.URL(url)
        sig = SignatureV4(access_key, secret_key, parts.host)
        return sig.getHeaders("GET", parts.path)

    request_headers_dict = sig_for(
        access_key, secret_key, "https://my-bucket.s3.us-west-001.amazonaws.com/path-inside/some-bucket"
    )
    assert "us-west-001/s3/aws4_request" in request_headers_dict["Authorization"]
