"""Certificates of authorities that only the tests know, made by the `openssl` command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = beluga test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
subjectAltName = IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
NEW_KEY = ("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Pair(NamedTuple):
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for 127.0.0.1, and for no name.

    Attributes:
        pair: its own.
    """

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("needs the openssl command")
        self._openssl, self._folder = openssl, folder
        folder.mkdir()
        (folder / "config").write_text(CONFIG, "utf-8")
        self.pair = Pair(folder / "ca.pem", folder / "ca.key")
        self._run("req", "-x509", "-extensions", "authority", *NEW_KEY, out=self.pair)

    def sign(self, name: str) -> Pair:
        """A new certificate."""
        made, asked = self._pair(name), self._pair("asked")
        self._run("req", "-new", *NEW_KEY, out=Pair(asked.certificate, made.key))
        subprocess.run(
            [
                *(self._openssl, "x509", "-req", "-in", asked.certificate, "-days", "2"),
                *("-CA", self.pair.certificate, "-CAkey", self.pair.key, "-CAcreateserial"),
                *("-extfile", self._folder / "config", "-extensions", "leaf"),
                *("-out", made.certificate),
            ],
            check=True,
            capture_output=True,
        )
        return made

    def _pair(self, name: str) -> Pair:
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def _run(self, *options: str, out: Pair) -> None:
        files = ("-config", self._folder / "config", "-out", out.certificate, "-keyout", out.key)
        subprocess.run([self._openssl, *options, *files], check=True, capture_output=True)
