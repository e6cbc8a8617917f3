"""Which package index is asked: as the variables and files of pip and uv say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.models.sources.settings import IndexSettings, read_hub_settings, read_index_settings

ONE, TWO, THREE = (f"https://{name}.example.org/simple" for name in ("one", "two", "three"))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., IndexSettings]:
    """A function that reads the settings of an operator with these files and variables."""

    def read(*, pip: str = "", uv: str = "", **variables: str) -> IndexSettings:
        (tmp_path / "pip.conf").write_text(pip)
        (tmp_path / "uv.toml").write_text(uv)
        files = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
                 "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
                 "XDG_CONFIG_DIRS": str(tmp_path), "HOME": str(tmp_path)}  # fmt: skip
        return read_index_settings({**files, **variables})

    return read


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({"PIP_INDEX_URL": ONE}, ONE),
        ({"PIP_INDEX_URL": ONE, "UV_INDEX_URL": f"{TWO}/"}, TWO),
        ({"PIP_INDEX_URL": ONE, "UV_INDEX_URL": TWO, "UV_DEFAULT_INDEX": THREE}, THREE),
        ({"UV_DEFAULT_INDEX": f"house={THREE}"}, THREE),
        ({"pip": f"[global]\nindex-url = {ONE}\n"}, ONE),
        ({"pip": f"[install]\nindex_url = {ONE}\n", "PIP_INDEX_URL": TWO}, TWO),
        ({"uv": f'index-url = "{ONE}"', "pip": f"[global]\nindex-url = {TWO}\n"}, ONE),
        ({"uv": f'[[index]]\nurl = "{ONE}"\ndefault = true'}, ONE),
        ({"uv": f'[pip]\nindex-url = "{ONE}"'}, ONE),
        ({"uv": "no toml", "pip": "no configuration", "PIP_INDEX_URL": ONE}, ONE),
    ],
)
def test_a_variable_goes_before_a_file_and_uv_before_pip(read, variables, first) -> None:
    assert read(**variables).urls[0] == first


def test_every_extra_index_is_asked_once(read) -> None:
    found = read(
        pip=f"[global]\nindex-url = {ONE}\nextra-index-url =\n    {TWO}\n    {ONE}\n",
        uv=f'[[index]]\nname = "house"\nurl = "{THREE}"',
        PIP_EXTRA_INDEX_URL=TWO,
    )

    assert found.urls == (ONE, TWO, THREE)


@pytest.mark.parametrize(
    "told", [{"PIP_NO_INDEX": "1"}, {"pip": "[global]\nno-index = true\n"}], ids=["var", "file"]
)
def test_no_index_is_asked_if_settings_forbid_it(read, told) -> None:
    assert read(PIP_INDEX_URL=ONE, **told).urls == ()


def test_the_certificates_that_pip_believes_are_believed(read) -> None:
    assert read(pip="[global]\ncert = /etc/house.pem\n").ca_file == "/etc/house.pem"
    assert read(PIP_CERT="/etc/other.pem").ca_file == "/etc/other.pem"


def test_the_hub_is_where_its_own_library_looks_for_it() -> None:
    found = read_hub_settings({"HF_ENDPOINT": ONE, "HF_HUB_OFFLINE": "1"})

    assert (found.endpoint, found.is_offline) == (ONE, True)
    assert read_hub_settings({}).endpoint == "https://huggingface.co"
