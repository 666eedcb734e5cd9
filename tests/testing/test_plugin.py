"""The pytest plugin in real runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

SERVICE_TEST = """
    import pytest
    from diijam_consent_sdk import Channel, Reason

    def send(consent, user_id):
        return "sent" if consent.can_market(user_id, Channel.EMAIL) else "not sent"

    def test_mails_who_agreed(consent):
        consent.opted_in("u-1", Channel.EMAIL)
        assert send(consent, "u-1") == "sent"
        consent.opted_out("u-1", Channel.EMAIL)
        assert send(consent, "u-1") == "not sent"

    def test_each_test_has_its_own_ledger(consent):
        assert consent.can_market("u-1", Channel.EMAIL).reason is Reason.UNKNOWN_USER

    def test_an_uncalled_guard_fails(consent):
        user = consent.opted_in("u-1", Channel.EMAIL)
        if user.can_market:
            pass
"""


def test_the_fixture_is_there_once_the_library_is_installed(pytester: pytest.Pytester) -> None:
    """A project's tests use `consent` with no configuration; what is broken fails, the rest passes."""
    pytester.makepyfile(SERVICE_TEST)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-W", "error")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*TypeError: a guard is called: write can_market(...)*"])


def test_the_plugin_alone_imports_nothing_of_the_library(pytester: pytest.Pytester) -> None:
    """A run that never asks for consent imports neither the package nor Hypothesis through the plugin."""
    pytester.makepyfile("""
        import sys

        def test_nothing_was_imported(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("diijam_consent_pytest")
            assert not [name for name in sys.modules if name.startswith("diijam_consent_sdk")]
    """)
    result = pytester.runpytest_subprocess(
        "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest"
    )
    result.assert_outcomes(passed=1)


def test_the_kit_needs_no_extra_until_it_is_used() -> None:
    """The client, clocks and fakes import neither pytest nor Hypothesis; nor a framework."""
    code = (
        "import sys, diijam_consent_sdk.testing;"
        "print(sorted({'pytest', '_pytest', 'hypothesis', 'httpx', 'litestar'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
