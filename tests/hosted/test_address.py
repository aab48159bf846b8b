"""openai:NAME@URL."""

from __future__ import annotations

import pytest

from vsg_core.errors import WrongUse
from vsg_core.hosted.address import Address, is_hosted, without_secrets

SECRET = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    ("target", "model", "url"),
    [
        ("openai:tiny@http://127.0.0.1:8000/v1", "tiny", "http://127.0.0.1:8000/v1"),
        (
            "openai:owner/name:free@https://example.org/api/v1/",
            "owner/name:free",
            "https://example.org/api/v1",
        ),
        ("openai:at@sign@http://[::1]:80", "at@sign", "http://[::1]:80"),
    ],
)
def test_address_is_read(target: str, model: str, url: str) -> None:
    assert Address.of(target) == Address(model, url)
    assert Address.of(Address(model, url).target) == Address(model, url)


@pytest.mark.parametrize(
    "target",
    [
        "openai:tiny", "openai:@http://127.0.0.1/v1", "openai:tiny@ftp://127.0.0.1/v1", "openai:tiny@http://",
        "openai:tiny@http://127.0.0.1:port/v1", "openai:two words@http://127.0.0.1/v1",
        "openai:tiny@http://127.0.0.1/a b", "openai:tiny@http://[::1/v1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(WrongUse) as caught:
        Address.of(target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        f"openai:tiny@http://user:{SECRET}@127.0.0.1/v1", f"openai:tiny@http://{SECRET}@127.0.0.1/v1",
        f"openai:tiny@http://127.0.0.1/v1?key={SECRET}", f"openai:tiny@http://127.0.0.1/v1#{SECRET}",
        f"openai:tiny@http://user:{SECRET}@127.0.0.1:port/v1", f"openai:tiny@ftp://{SECRET}@127.0.0.1/v1",
    ],
)  # fmt: skip
def test_secrets_in_the_url_are_refused_and_not_shown(target: str) -> None:
    with pytest.raises(WrongUse) as caught:
        Address.of(target)
    assert SECRET not in str(caught.value)
    assert SECRET not in without_secrets(target)


def test_where_a_key_may_travel() -> None:
    assert Address("m", "http://127.0.0.1:1/v1").is_private
    assert Address("m", "http://[::1]:1/v1").is_private
    assert Address("m", "http://localhost/v1").is_private
    assert Address("m", "https://example.org/v1").is_private
    assert not Address("m", "http://example.org/v1").is_private
    assert not Address("m", "http://127.0.0.1.example.org/v1").is_private


def test_other_targets_are_not_hosted() -> None:
    assert is_hosted("openai:tiny@http://127.0.0.1/v1")
    assert not is_hosted("openai/tiny")
