"""Large questions, and answers that are read slowly, through the nginx of the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.conftest import Served
from tests.certificates import needs_openssl
from tests.service.conftest import NONCE
from tests.service.test_nginx import CONFIGURATION, NGINX, TEMPORARY, started

pytestmark = [needs_openssl, pytest.mark.skipif(not NGINX, reason="apt-get install nginx-light")]
ASKERS = 8


def test_no_customer_s_data_is_written_by_the_proxy(
    served: Served, bystanders: Callable[[], Any], tmp_path: Path
) -> None:
    """S7: questions far over 16 KB, by many at once who read their answers late, leave no file at the proxy."""
    question = json.dumps({"nonce": NONCE, "user_ids": [f"{n:04}" + "x" * 250 for n in range(1_000)]}).encode()
    (tmp_path / "nginx").mkdir()
    with started(tmp_path / "nginx", served.url, CONFIGURATION) as proxy:
        for name in TEMPORARY:
            (proxy.folder / name).rmdir()  # whatever is written there is an error
        with bystanders(), ThreadPoolExecutor(ASKERS) as askers:
            asked = [
                askers.submit(proxy.post, "/v1/records/load", served.token, question, wait=0.5)
                for _ in range(3 * ASKERS)
            ]
            answers = [each.result() for each in asked]
        assert {answer[:13] for answer in answers} == {b"HTTP/1.1 200 "}
        assert min(answer.count(b'"user_id":"') for answer in answers) == 1_000
        assert not [name for name in TEMPORARY if (proxy.folder / name).exists()]
        assert "temporary file" not in proxy.log()
