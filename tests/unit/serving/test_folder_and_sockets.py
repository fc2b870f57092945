"""What `obs up` claims first: its folder and its addresses, and what it says when it cannot have them."""

import os
from pathlib import Path

import pytest

from obs.errors import ConfigError
from obs.serving.data_folder import DataFolder
from obs.serving.sockets import address_of, listen


def test_a_port_in_use_names_the_option() -> None:
    with listen("127.0.0.1:0", "otlp_http") as first, pytest.raises(ConfigError, match="port is in use.*--otlp-http"):
        listen(address_of(first), "otlp_http")


def test_an_address_of_another_host_is_told() -> None:
    with pytest.raises(ConfigError, match="listen: cannot listen on '203.0.113.1:80'"):
        listen("203.0.113.1:80", "listen")


@pytest.mark.parametrize("address", ["nosuch host:80", "a\0b:80", "x" * 300 + ":80"])
def test_what_is_no_host_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match="listen: cannot listen on"):
        listen(address, "listen")


def test_a_second_obs_on_a_folder_is_told(tmp_path: Path) -> None:
    first = DataFolder(tmp_path / "new" / "data")
    with pytest.raises(ConfigError, match="has it open"):
        DataFolder(tmp_path / "new" / "data")
    first.release()
    DataFolder(tmp_path / "new" / "data").release()


def test_a_path_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="cannot make folder"):
        DataFolder(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a folder without permissions")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="make it writable"):
        DataFolder(tmp_path)
